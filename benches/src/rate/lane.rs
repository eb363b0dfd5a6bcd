//! Where the datagrams run: a sender and a receiver in network namespaces of their own, joined by a veth pair.
//!
//! Core layout, the same for all: CPU 0 is the network: it sends, and does what a network card and its driver do, XDP
//! programs included. CPU 1 is the receiving machine: the kernel's network stack (in softirqs, by receive packet steering)
//! and the program with all its threads. What they leave no time for overflows a queue of the kernel and is lost.

use std::fmt;
use std::fs::read_to_string;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::live::{LiveSender, Sent, Traffic};
use harness::netns::{Namespace, veth};

use super::payload::Payload;

/// CPU of the sender.
pub const SENDER_CPU: usize = 0;
/// CPU of the receiver.
pub const RECEIVER_CPU: usize = 1;
/// Interface of both ends.
pub const INTERFACE: &str = "rate0";
/// Where the receiver is.
pub const RECEIVER: [u8; 4] = [198, 18, 0, 1];
/// The port that all receive on.
pub const PORT: u16 = 5514;
/// Receive buffer that every program asks for, where the machine allows it.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// Counters that stood still for so long will not move any more.
const STILL: Duration = Duration::from_millis(300);
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Receive buffer of every program, in octets: what those get that cannot force theirs beyond net.core.rmem_max.
pub fn buffer_bytes() -> Result<usize> {
    let limit: usize = read_to_string("/proc/sys/net/core/rmem_max")?.trim().parse()?;
    Ok(limit.min(BUFFER_BYTES))
}

/// The two namespaces.
pub struct Lane {
    pub sender: Namespace,
    pub receiver: Namespace,
}

impl Lane {
    pub fn new() -> Result<Self> {
        let lane = Self {
            sender: Namespace::new("rate-tx")?,
            receiver: Namespace::new("rate-rx")?,
        };
        veth(
            (&lane.sender, INTERFACE, &["198.18.0.2/16"]),
            (&lane.receiver, INTERFACE, &["198.18.0.1/16"]),
        )?;
        lane.stack_beside_receiver()?;
        Ok(lane)
    }

    /// Moves the work of the kernel's network stack from the sender's core, where a veth has it, to the receiver's.
    fn stack_beside_receiver(&self) -> Result<()> {
        let setting = format!("/sys/class/net/{INTERFACE}/queues/rx-0/rps_cpus");
        let write = format!("echo {:x} > {setting}", 1_u64 << RECEIVER_CPU);
        let status = self.receiver.command("sh").args(["-c", &write]).status()?;
        ensure!(status.success(), "cannot write {setting}");
        Ok(())
    }

    pub fn sender(&self) -> Result<LiveSender<'_>> {
        LiveSender::new((&self.sender, INTERFACE), (&self.receiver, INTERFACE), SENDER_CPU)
    }

    /// UDP datagrams that programs in the receiver's namespace have taken from their sockets.
    pub fn taken(&self) -> Result<u64> {
        let text = self
            .receiver
            .run(|| read_to_string("/proc/thread-self/net/snmp"))??;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (
            lines.next().context("no names")?,
            lines.next().context("no values")?,
        );
        let place = names.split(' ').position(|name| name == "InDatagrams");
        let value = place.and_then(|place| values.split(' ').nth(place));
        Ok(value.context("no InDatagrams in /proc/net/snmp")?.parse()?)
    }

    /// Whether a program in the receiver's namespace listens on [`PORT`].
    pub fn listens(&self) -> bool {
        let tables = self.receiver.run(|| {
            ["udp", "udp6"]
                .map(|table| read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default())
        });
        let local = format!(":{PORT:04X}");
        let in_table = |table: &String| {
            let mut addresses = table.lines().filter_map(|line| line.split_whitespace().nth(1));
            addresses.any(|address| address.ends_with(&local))
        };
        tables.is_ok_and(|tables| tables.iter().any(in_table))
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub sent: Sent,
    /// Datagrams that the receiver got.
    pub received: u64,
}

impl Run {
    /// Datagrams that were offered.
    pub fn offered(&self) -> u64 {
        self.sent.datagrams + self.sent.refused
    }

    /// Share of the datagrams offered that were lost.
    pub fn loss(&self) -> f64 {
        self.offered().saturating_sub(self.received) as f64 / self.offered().max(1) as f64
    }

    pub fn is_lossless(&self) -> bool {
        self.received >= self.offered()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sent { refused, elapsed, .. } = self.sent;
        write!(
            f,
            "{:.0}/s offered, {:.0}/s received, {:.3} % lost ({refused} of {} by the queue of the interface)",
            self.sent.rate(),
            self.received as f64 / elapsed.as_secs_f64(),
            100.0 * self.loss(),
            self.offered().saturating_sub(self.received),
        )
    }
}

/// Sends at `rate` for `duration`, one exporter on one port, and waits until `received` stands still.
pub fn run(
    sender: &mut LiveSender<'_>,
    payload: &Payload,
    rate: u64,
    duration: Duration,
    received: &mut dyn FnMut() -> Result<u64>,
) -> Result<Run> {
    let traffic = Traffic {
        from: "198.18.0.2:40000".parse()?,
        addresses: 1,
        ports: 1,
        to: SocketAddrV4::new(RECEIVER.into(), PORT),
        payload: &payload.octets,
        mark: payload.mark,
        rate,
        count: (rate as f64 * duration.as_secs_f64()) as u64,
    };
    let before = received()?;
    let sent = sender.send(&traffic)?;
    let mut run = Run {
        sent,
        received: received()? - before,
    };
    let (mut since, deadline) = (Instant::now(), Instant::now() + SETTLE_MAX);
    while !run.is_lossless() && since.elapsed() < STILL && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
        let now = received()? - before;
        if now != run.received {
            (run.received, since) = (now, Instant::now());
        }
    }
    Ok(run)
}
