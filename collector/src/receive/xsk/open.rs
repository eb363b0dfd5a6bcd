//! Opens the AF_XDP sockets of all threads: one for each queue and thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use config::{Choice, XdpMode};
use wire::verdict::{MAX_XSK_QUEUES, MAX_XSK_SOCKETS, XskQueue};

use super::counters::{XskCounters, XskView};
use super::datagram::Reader;
use super::error::XskError;
use super::receiver::XskReceiver;
use super::socket::{Failed, LOCK_FRAMES, OPEN_SOCKET, XskSocket};
use super::syscall::{self, Binding};
use super::umem::Umem;
use crate::receive::mapping::HUGE_PAGE_BYTES;

/// How often a taken queue is tried again: the kernel frees those of closed sockets 5 to 18 ms later.
const BIND_TRIES: u32 = 10;
const BIND_PAUSE: Duration = Duration::from_millis(50);
const MIB: usize = 1024 * 1024;

/// The sockets of all threads.
#[derive(Debug)]
pub struct Opened {
    /// Each thread's sockets, one for each of `queues`, in their order.
    pub by_thread: Vec<Vec<XskSocket>>,
    pub queues: Vec<OpenQueue>,
    /// Largest packet that fits into a frame, from the Ethernet header on.
    pub packet_octets_max: u32,
}

/// A queue that has sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQueue {
    pub interface: String,
    pub place: XskQueue,
    pub zero_copy: bool,
    /// Octets of its frames, and whether they are in huge pages.
    pub frames_bytes: usize,
    pub huge_pages: bool,
}

impl Opened {
    /// Every queue with its sockets, in the threads' order.
    pub fn descriptors(&self) -> Vec<(XskQueue, Vec<BorrowedFd<'_>>)> {
        let of_queue = |place: usize| {
            self.by_thread
                .iter()
                .map(move |sockets| sockets[place].as_fd())
                .collect()
        };
        let queues = self.queues.iter().enumerate();
        queues
            .map(|(place, queue)| (queue.place, of_queue(place)))
            .collect()
    }

    /// What each thread takes, and what metrics show of all.
    pub fn into_receivers(self, reader: &Reader) -> (Vec<XskReceiver>, XskView) {
        let counters: Vec<Arc<XskCounters>> = self.by_thread.iter().map(|_| Arc::default()).collect();
        let receivers = (self.by_thread.into_iter().zip(&counters).enumerate())
            .map(|(thread, (sockets, counters))| {
                XskReceiver::new(sockets, reader.clone(), thread, Arc::clone(counters))
            })
            .collect();
        let view = XskView {
            queues: self.queues,
            threads: counters,
        };
        (receivers, view)
    }
}

/// Opens and binds all sockets that the configuration asks for, and says in the log how.
///
/// # Minimum kernel version
/// 5.10: several sockets on one queue (`XDP_SHARED_UMEM`) are older, but not free of faults before.
pub fn open_all(settings: &config::Collector) -> Result<Opened, XskError> {
    let af_xdp = settings.af_xdp();
    let threads = settings.cores.len();
    let places = queues(settings, &af_xdp)?;
    if places.len() > MAX_XSK_QUEUES as usize || places.len() * threads > MAX_XSK_SOCKETS as usize {
        return Err(XskError::TooMany {
            queues: places.len(),
            threads,
        });
    }
    let generic = settings
        .xdp
        .as_ref()
        .is_some_and(|xdp| xdp.mode == XdpMode::Generic);
    let mut opened = Opened {
        by_thread: (0..threads).map(|_| Vec::new()).collect(),
        queues: Vec::new(),
        packet_octets_max: af_xdp.packet_octets_max(),
    };
    for (interface, place) in places {
        let queue = QueueOpener {
            interface: &interface,
            place,
            settings: &af_xdp,
            threads,
            generic,
        };
        let (sockets, open) = queue.open()?;
        for (thread, socket) in opened.by_thread.iter_mut().zip(sockets) {
            thread.push(socket);
        }
        opened.queues.push(open);
    }
    say(&opened, &af_xdp, threads);
    Ok(opened)
}

/// All queues to be opened, with their interfaces' names.
fn queues(settings: &config::Collector, af_xdp: &config::AfXdp) -> Result<Vec<(String, XskQueue)>, XskError> {
    let mut all = Vec::new();
    for interface in settings.xdp.iter().flat_map(|xdp| &xdp.interfaces) {
        let index = syscall::interface_index(interface).ok_or_else(|| XskError::NoInterface {
            interface: interface.clone(),
        })?;
        let count = syscall::receive_queues(interface);
        let chosen = af_xdp.queues.clone().unwrap_or_else(|| (0..count).collect());
        for queue in chosen {
            if queue >= count {
                return Err(XskError::NoQueue {
                    interface: interface.clone(),
                    queue,
                    queues: count,
                });
            }
            let place = XskQueue {
                interface: index,
                queue,
            };
            if !all.iter().any(|(_, known)| *known == place) {
                all.push((interface.clone(), place));
            }
        }
    }
    Ok(all)
}

/// What one queue is opened with.
struct QueueOpener<'a> {
    interface: &'a str,
    place: XskQueue,
    settings: &'a config::AfXdp,
    threads: usize,
    generic: bool,
}

impl QueueOpener<'_> {
    fn open(&self) -> Result<(Vec<XskSocket>, OpenQueue), XskError> {
        let mut first = self.bind_first()?;
        let mut sockets = Vec::with_capacity(self.threads);
        for _ in 1..self.threads {
            let socket = first
                .another(self.settings.ring_entries)
                .map_err(|failed| self.failed(failed))?;
            let shared = Binding {
                flags: libc::XDP_SHARED_UMEM,
                interface: self.place.interface,
                queue: self.place.queue,
                shared_with: Some(first.raw_descriptor()),
            };
            socket
                .bind(&shared)
                .map_err(|source| self.failed(Failed("share the queue with another socket", source)))?;
            sockets.push(socket);
        }
        let zero_copy = first
            .is_zero_copy()
            .map_err(|source| self.failed(Failed("ask whether it copies", source)))?;
        let open = OpenQueue {
            interface: self.interface.to_owned(),
            place: self.place,
            zero_copy,
            frames_bytes: first.umem().bytes(),
            huge_pages: first.umem().is_huge(),
        };
        self.busy_poll(&mut first)?;
        sockets.iter_mut().try_for_each(|socket| self.busy_poll(socket))?;
        sockets.insert(0, first);
        Ok((sockets, open))
    }

    fn busy_poll(&self, socket: &mut XskSocket) -> Result<(), XskError> {
        if self.settings.busy_poll_us == 0 {
            return Ok(());
        }
        socket
            .busy_poll(self.settings.busy_poll_us, self.settings.busy_poll_budget)
            .map_err(|source| self.failed(Failed("set SO_PREFER_BUSY_POLL (Linux 5.11)", source)))
    }

    /// The socket that the others share frames and fill ring with.
    fn bind_first(&self) -> Result<XskSocket, XskError> {
        let frames = self.settings.frames * self.threads as u32;
        let mut flags = match self.settings.zero_copy {
            _ if self.generic => libc::XDP_COPY,
            Choice::Auto => 0,
            Choice::Require => libc::XDP_ZEROCOPY,
            Choice::Off => libc::XDP_COPY,
        };
        if self.settings.need_wakeup {
            flags |= libc::XDP_USE_NEED_WAKEUP;
        }
        let binding = Binding {
            flags,
            interface: self.place.interface,
            queue: self.place.queue,
            shared_with: None,
        };
        let umem = self.umem(frames)?;
        let socket = XskSocket::first(umem, frames.next_power_of_two(), self.settings.ring_entries)
            .map_err(|failed| self.failed(failed))?;
        let mut tries = 0;
        loop {
            let Err(source) = socket.bind(&binding) else {
                return Ok(socket);
            };
            tries += 1;
            let interface = self.interface.to_owned();
            let queue = self.place.queue;
            match source.raw_os_error() {
                Some(libc::EBUSY) if tries < BIND_TRIES => std::thread::sleep(BIND_PAUSE),
                Some(libc::EBUSY) => return Err(XskError::Busy { interface, queue }),
                Some(libc::EOPNOTSUPP) if self.settings.zero_copy == Choice::Require => {
                    return Err(XskError::NoZeroCopy {
                        interface,
                        queue,
                        source,
                    });
                }
                _ => return Err(self.failed(Failed("bind", source))),
            }
        }
    }

    fn umem(&self, frames: u32) -> Result<Umem, XskError> {
        let plain = || {
            self.fits(frames)?;
            Umem::new(frames, self.settings.frame_bytes, false)
                .map_err(|source| self.failed(Failed("map memory for the frames", source)))
        };
        let huge = || Umem::new(frames, self.settings.frame_bytes, true);
        match self.settings.huge_pages {
            Choice::Off => plain(),
            Choice::Auto => huge().or_else(|_| plain()),
            Choice::Require => huge().map_err(|source| self.no_huge_pages(frames, source)),
        }
    }

    /// All of it is locked at once: what does not fit would cost others their lives.
    fn fits(&self, frames: u32) -> Result<(), XskError> {
        let bytes = frames as usize * self.settings.frame_bytes as usize;
        let available = memory_information("MemAvailable:")
            .and_then(|text| text.strip_suffix("kB")?.trim().parse::<usize>().ok())
            .map(|kib| kib * 1024);
        match available {
            Some(available) if available < bytes => Err(XskError::Memory {
                interface: self.interface.to_owned(),
                queue: self.place.queue,
                mib: bytes / MIB,
                available_mib: available / MIB,
            }),
            _ => Ok(()),
        }
    }

    fn no_huge_pages(&self, frames: u32, source: io::Error) -> XskError {
        if source.raw_os_error() != Some(libc::ENOMEM) {
            return self.failed(Failed("map huge pages for the frames", source));
        }
        let bytes = frames as usize * self.settings.frame_bytes as usize;
        XskError::HugePages {
            interface: self.interface.to_owned(),
            queue: self.place.queue,
            pages: bytes.div_ceil(HUGE_PAGE_BYTES),
            free: memory_information("HugePages_Free:").unwrap_or_else(|| "an unknown number".into()),
        }
    }

    fn failed(&self, Failed(what, source): Failed) -> XskError {
        let interface = self.interface.to_owned();
        let queue = self.place.queue;
        match source.raw_os_error() {
            Some(libc::EPERM) if what == OPEN_SOCKET => XskError::Privilege,
            Some(libc::EAFNOSUPPORT) => XskError::Unsupported,
            Some(libc::ENOBUFS) if what == LOCK_FRAMES => XskError::LockedMemory {
                interface,
                queue,
                mib: self.settings.frames as usize * self.threads * self.settings.frame_bytes as usize / MIB,
            },
            _ => XskError::Step {
                interface,
                queue,
                what,
                source,
            },
        }
    }
}

/// A line of /proc/meminfo, without its name.
fn memory_information(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

/// How it is, in the log, once.
fn say(opened: &Opened, af_xdp: &config::AfXdp, threads: usize) {
    for queue in &opened.queues {
        tracing::info!(
            "AF_XDP on {} queue {}: {}, {} MiB of frames in {} pages (locked)",
            queue.interface,
            queue.place.queue,
            if queue.zero_copy { "zero copy" } else { "copy mode" },
            queue.frames_bytes.div_ceil(MIB),
            if queue.huge_pages { "huge" } else { "normal" },
        );
    }
    let copied: Vec<_> = opened.queues.iter().filter(|queue| !queue.zero_copy).collect();
    if !copied.is_empty() && af_xdp.zero_copy == Choice::Auto {
        tracing::warn!(
            "AF_XDP copies every packet on {} of {} queues: their driver has no zero copy (collector.af_xdp.zero_copy = \"off\" \
             if that is known)",
            copied.len(),
            opened.queues.len()
        );
    }
    let frames: usize = opened.queues.iter().map(|queue| queue.frames_bytes).sum();
    let rings = opened.queues.len()
        * threads
        * (af_xdp.ring_entries as usize * size_of::<libc::xdp_desc>()
            + af_xdp.frames as usize * size_of::<u64>());
    tracing::info!(
        "memory of AF_XDP: {} MiB in frames, {} MiB in rings, for {} queues and {threads} threads; packets of more than {} \
         octets go to the UDP sockets",
        frames.div_ceil(MIB),
        rings.div_ceil(MIB),
        opened.queues.len(),
        opened.packet_octets_max,
    );
}
