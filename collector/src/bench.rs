//! How fast one core receives: a whole collector before a bus that forgets, under a paced sender, on the loopback or by
//! AF_XDP on an interface.
//!
//! The sender hands the kernel [`BURST`] datagrams at a time (`UDP_SEGMENT`), which the kernel takes apart again before
//! the socket: sending then costs less than receiving. On the loopback the kernel's receive work is done on the sender's
//! core, so the CPU time measured here is the receive thread's own: system calls, copies, frames, checksum. So it is on veth,
//! where the XDP program and the copy into the frames of AF_XDP are the sender's work too.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bus::{FrameSender, QueueFull, SendCounts, Stream};

use crate::collector::Sockets;
use crate::receive::socket::set_option;

/// Datagrams in one system call of the sender.
const BURST: usize = 32;
/// Port of the listener on an interface: the namespace is the bench's own.
const AF_XDP_PORT: u16 = 5514;
/// How long counters may take to stand still after the last datagram.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// CPU of the receive thread.
    pub core: usize,
    /// CPU of the sender; should be another one.
    pub sender_core: usize,
    /// Every datagram's payload; at most 1400 octets.
    pub payload: &'a [u8],
    /// Datagrams per second asked for.
    pub rate: u64,
    pub duration: Duration,
    pub path: Path<'a>,
}

/// The way of the datagrams.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// UDP sockets on 127.0.0.1.
    Loopback,
    /// AF_XDP on an interface of the calling thread's network namespace. Needs root.
    AfXdp {
        interface: &'a str,
        /// An address of that interface.
        to: IpAddr,
        /// A socket at the other end.
        from: &'a UdpSocket,
    },
}

impl Path<'_> {
    fn config(&self, core: usize) -> String {
        let (collector, address, xdp) = match self {
            Self::Loopback => ("", SocketAddr::from(([127, 0, 0, 1], 0)), String::new()),
            Self::AfXdp { interface, to, .. } => (
                "receive = \"af_xdp\"",
                SocketAddr::new(*to, AF_XDP_PORT),
                format!("[collector.xdp]\ninterfaces = [\"{interface}\"]\n"),
            ),
        };
        format!(
            "[exporters]\nallow_all = true\n[collector]\ncores = [{core}]\n{collector}\n{xdp}[[collector.listener]]\n\
             kind = \"syslog\"\naddress = \"{address}\"\n"
        )
    }

    fn sender(&self) -> std::io::Result<UdpSocket> {
        match self {
            Self::Loopback => UdpSocket::bind("127.0.0.1:0"),
            Self::AfXdp { from, .. } => from.try_clone(),
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub sent: u64,
    pub framed: u64,
    /// At the sockets, or at the rings of AF_XDP.
    pub kernel_drops: u64,
    pub no_buffer: u64,
    /// Datagrams per second that the sender reached.
    pub sent_per_s: f64,
    /// CPU time of the receive thread for each datagram framed, in ns.
    pub cpu_ns_per_datagram: f64,
}

impl Measured {
    pub fn is_lossless(&self) -> bool {
        self.framed == self.sent
    }
}

/// Sends one load to a new collector and waits until each of its datagrams is accounted for.
pub fn measure(load: &Load<'_>) -> Result<Measured> {
    let config = config::Config::parse(&load.path.config(load.core), std::path::Path::new("bench"))?;
    let settings = config.collector.as_ref().context("there is a collector")?;
    let mut sockets = Sockets::open(settings)?;
    let filter = sockets.attach_filter(&config.exporters)?;
    let collector = sockets.start(
        &config.exporters,
        config.bus.partitions,
        Arc::new(Discard::default()),
    )?;
    let cpu = ThreadTime::of(&format!("receive-{}", load.core))?;
    let to = collector.addresses()[0];
    let before = cpu.ns()?;
    let (sent, seconds) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> Result<(u64, f64)> {
            daemon::cpu::pin(load.sender_core)?;
            let socket = load.path.sender()?;
            socket.connect(to)?;
            send(&socket, load)
        });
        sender
            .join()
            .map_err(|_| anyhow::anyhow!("the sender panicked"))?
    })?;
    let deadline = Instant::now() + SETTLE_MAX;
    let view = collector.view();
    let ring_drops = || {
        (view.af_xdp.as_ref()).map_or(0, |xsk| {
            xsk.sum(|thread| &thread.ring_full) + xsk.sum(|thread| &thread.no_frame)
        })
    };
    let seen = || view.counts().received + view.counts().kernel_drops + ring_drops();
    while seen() < sent && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counts = view.counts();
    let used = cpu.ns()? - before;
    if let Some(filter) = &filter {
        filter.end_redirect();
    }
    collector.stop(Duration::ZERO);
    Ok(Measured {
        sent,
        framed: counts.framed,
        kernel_drops: counts.kernel_drops + ring_drops(),
        no_buffer: counts.no_buffer,
        sent_per_s: sent as f64 / seconds,
        cpu_ns_per_datagram: used as f64 / counts.framed.max(1) as f64,
    })
}

/// The highest rate, in steps of a tenth, at which nothing is lost; starts from `load.rate`, which must be one.
///
/// Ends also where the sender can send no faster; the rate given back is the one that it really reached.
pub fn lossless_rate(load: &Load<'_>) -> Result<Measured> {
    let mut best = measure(load)?;
    anyhow::ensure!(
        best.is_lossless(),
        "already {} datagrams/s are too many: {best:?}",
        load.rate
    );
    let mut rate = load.rate;
    let (mut factor, floor) = (1.5, 1.1);
    loop {
        let next = (rate as f64 * factor) as u64;
        let measured = measure(&Load { rate: next, ..*load })?;
        let limited = measured.sent_per_s < 0.95 * next as f64;
        if measured.is_lossless() {
            if measured.sent_per_s > best.sent_per_s {
                best = measured;
            }
            rate = next;
        }
        if limited || (!measured.is_lossless() && factor <= floor) {
            return Ok(best);
        }
        if !measured.is_lossless() {
            factor = floor;
        }
    }
}

/// Sends at the asked rate, or as fast as it can; gives the number sent and the seconds that it took.
fn send(socket: &UdpSocket, load: &Load<'_>) -> Result<(u64, f64)> {
    let segment = i32::try_from(load.payload.len()).context("payload too long")?;
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, segment).context("cannot set UDP_SEGMENT")?;
    let burst = load.payload.repeat(BURST);
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < load.duration {
        let due = begin + Duration::from_secs_f64(sent as f64 / load.rate as f64);
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        socket.send(&burst)?;
        sent += BURST as u64;
    }
    Ok((sent, begin.elapsed().as_secs_f64()))
}

/// A bus that forgets.
#[derive(Default)]
struct Discard {
    frames: AtomicU64,
    datagrams: AtomicU64,
}

impl FrameSender for Discard {
    fn send(&self, _: Stream, _: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.datagrams.fetch_add(u64::from(datagrams), Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }

    fn counts(&self) -> SendCounts {
        SendCounts {
            acknowledged_frames: self.frames.load(Ordering::Relaxed),
            acknowledged_datagrams: self.datagrams.load(Ordering::Relaxed),
            ..SendCounts::default()
        }
    }

    fn is_up(&self) -> bool {
        true
    }
}

/// CPU time of one thread of this process.
struct ThreadTime {
    path: std::path::PathBuf,
}

impl ThreadTime {
    fn of(name: &str) -> Result<Self> {
        for task in std::fs::read_dir("/proc/self/task").context("cannot list threads")? {
            let path = task?.path();
            if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
                return Ok(Self {
                    path: path.join("schedstat"),
                });
            }
        }
        anyhow::bail!("there is no thread {name}")
    }

    fn ns(&self) -> Result<u64> {
        let text =
            std::fs::read_to_string(&self.path).context("cannot read the CPU time of the receive thread")?;
        let first = text
            .split_whitespace()
            .next()
            .context("no CPU time in schedstat")?;
        Ok(first.parse()?)
    }
}
