//! One thread's AF_XDP socket on one queue, and what all sockets of the queue share.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use super::ring::{ConsumerRing, ProducerRing};
use super::syscall::{self, Binding, Offsets, Ring};
use super::umem::{BadDescriptor, Packet, Umem};

/// Packets that are taken between two looks at the fill ring: it is short of at most so many frames of each thread.
const BATCH_PACKETS: u32 = 64;
/// The completion ring is for sending, which nobody does here; the kernel wants one all the same.
const COMPLETION_ENTRIES: u32 = 2;

/// What the sockets of one queue share. A queue is free for others when the last of them is dropped.
#[derive(Debug)]
pub struct Queue {
    // Dropped in this order; the kernel keeps hold of the memory by itself as long as it needs it.
    fill: Mutex<ProducerRing<u64>>,
    umem: Umem,
}

/// A socket with its rx ring.
#[derive(Debug)]
pub struct XskSocket {
    rx: ConsumerRing<libc::xdp_desc>,
    descriptor: OwnedFd,
    queue: Arc<Queue>,
    /// Packets that one call of [`Self::take`] takes at most.
    take_max: u32,
    busy_poll: bool,
}

/// What failed, and how.
#[derive(Debug)]
pub struct Failed(pub &'static str, pub io::Error);

fn step(what: &'static str) -> impl Fn(io::Error) -> Failed {
    move |source| Failed(what, source)
}

/// The name of the step that fails without CAP_NET_RAW.
pub const OPEN_SOCKET: &str = "open an AF_XDP socket";
/// The name of the step that [`XskSocket::first`] fails in when memory must not be locked.
pub const LOCK_FRAMES: &str = "lock the memory of the frames";

impl XskSocket {
    /// The first socket of a queue, with all frames in its fill ring. It is not bound yet.
    pub fn first(umem: Umem, fill_entries: u32, rx_entries: u32) -> Result<Self, Failed> {
        let descriptor = syscall::open().map_err(step(OPEN_SOCKET))?;
        let socket = descriptor.as_fd();
        // SAFETY: the memory goes into the queue, which every socket that uses it holds on to.
        unsafe { syscall::register_frames(socket, umem.memory(), umem.bytes(), umem.frame_bytes()) }
            .map_err(step(LOCK_FRAMES))?;
        syscall::make_ring(socket, Ring::Fill, fill_entries).map_err(step("make the fill ring"))?;
        syscall::make_ring(socket, Ring::Completion, COMPLETION_ENTRIES)
            .map_err(step("make the completion ring"))?;
        let Offsets { fill: layout, .. } =
            syscall::offsets(socket).map_err(step("read the places of the rings"))?;
        let mut fill = syscall::map_ring(socket, Ring::Fill, layout.bytes::<u64>(fill_entries))
            .and_then(|mapping| ProducerRing::new(mapping, &layout, fill_entries))
            .map_err(step("map the fill ring"))?;
        for frame in umem.frames() {
            let pushed = fill.push(frame);
            debug_assert!(pushed, "the fill ring has room for all frames");
        }
        fill.submit();
        let queue = Arc::new(Queue {
            fill: Mutex::new(fill),
            umem,
        });
        Self::with(descriptor, queue, rx_entries)
    }

    /// Another socket of the same queue, with an rx ring of its own. It is not bound yet.
    pub fn another(&self, rx_entries: u32) -> Result<Self, Failed> {
        let descriptor = syscall::open().map_err(step(OPEN_SOCKET))?;
        Self::with(descriptor, Arc::clone(&self.queue), rx_entries)
    }

    fn with(descriptor: OwnedFd, queue: Arc<Queue>, rx_entries: u32) -> Result<Self, Failed> {
        let socket = descriptor.as_fd();
        syscall::make_ring(socket, Ring::Rx, rx_entries).map_err(step("make the rx ring"))?;
        let Offsets { rx: layout, .. } =
            syscall::offsets(socket).map_err(step("read the places of the rings"))?;
        let rx = syscall::map_ring(socket, Ring::Rx, layout.bytes::<libc::xdp_desc>(rx_entries))
            .and_then(|mapping| ConsumerRing::new(mapping, &layout, rx_entries))
            .map_err(step("map the rx ring"))?;
        Ok(Self {
            rx,
            descriptor,
            queue,
            take_max: rx_entries,
            busy_poll: false,
        })
    }

    /// Binds it to a queue of an interface.
    pub fn bind(&self, binding: &Binding) -> io::Result<()> {
        syscall::bind(self.descriptor.as_fd(), binding)
    }

    /// Polls the driver from [`Self::take`] instead of waiting for its interrupts.
    pub fn busy_poll(&mut self, microseconds: u32, budget: u16) -> io::Result<()> {
        syscall::prefer_busy_poll(self.descriptor.as_fd(), microseconds, budget)?;
        self.busy_poll = true;
        Ok(())
    }

    pub fn is_zero_copy(&self) -> io::Result<bool> {
        syscall::is_zero_copy(self.descriptor.as_fd())
    }

    /// What was lost since the socket was opened.
    pub fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        syscall::statistics(self.descriptor.as_fd())
    }

    /// Packets that one [`Self::take`] takes at most.
    pub fn take_max(&self) -> usize {
        self.take_max as usize
    }

    pub fn umem(&self) -> &Umem {
        &self.queue.umem
    }

    pub(in crate::receive) fn raw_descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    /// Gives all packets that wait to `handle`, at most as many as the rx ring holds, and their frames back to the kernel.
    /// Gives back their number.
    pub fn take(&mut self, mut handle: impl FnMut(Result<Packet<'_>, BadDescriptor>)) -> usize {
        if self.busy_poll {
            syscall::wake(self.descriptor.as_fd());
        }
        let mut taken = 0;
        let mut asleep = false;
        while taken < self.take_max {
            let batch = self.rx.waiting(BATCH_PACKETS);
            if batch == 0 {
                break;
            }
            for index in 0..batch {
                // SAFETY: the descriptor waits in the rx ring of these frames; it is released below, and borrowed here only.
                handle(unsafe { self.queue.umem.packet(&self.rx.peek(index)) });
            }
            asleep = self.give_back(batch);
            self.rx.release(batch);
            taken += batch;
        }
        if asleep {
            syscall::wake(self.descriptor.as_fd());
        }
        taken as usize
    }

    /// Puts the frames of the first `count` waiting packets into the fill ring; true if the driver has to be woken.
    fn give_back(&self, count: u32) -> bool {
        let mut fill = self.queue.fill.lock().unwrap_or_else(PoisonError::into_inner);
        for index in 0..count {
            // A frame that cannot be told is lost, rather than one given twice.
            if let Some(frame) = self.queue.umem.frame_of(&self.rx.peek(index)) {
                let pushed = fill.push(frame);
                debug_assert!(pushed, "the fill ring has room for all frames");
            }
        }
        fill.submit();
        fill.needs_wakeup()
    }
}

impl AsFd for XskSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
