//! A bus that keeps frames in memory, and collectors that listen on free ports of the loopback.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{FrameSender, QueueFull, SendCounts, Stream};
use collector::Collector;
use config::Config;
use wire::frame::{Frame, PayloadKind};

/// More than any wait here needs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A datagram as it was in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub kind: PayloadKind,
    pub partition: i32,
    pub exporter: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    pub received_ns: u64,
    pub truncated: bool,
    pub payload: Vec<u8>,
}

/// Keeps everything, checks every frame, and says no while `full`.
#[derive(Default)]
pub struct MemoryBus {
    kept: Mutex<Vec<Kept>>,
    counts: Mutex<SendCounts>,
    pub full: AtomicBool,
}

impl MemoryBus {
    pub fn kept(&self) -> Vec<Kept> {
        self.kept.lock().expect("no panic while locked").clone()
    }
}

impl FrameSender for MemoryBus {
    fn send(&self, stream: Stream, record: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        if self.full.load(Ordering::Relaxed) {
            return Err(QueueFull);
        }
        let frame = Frame::open(record).expect("a whole frame");
        assert_eq!(frame.count(), datagrams);
        assert_eq!(stream.topic, frame.kind().into());
        let mut kept = self.kept.lock().expect("no panic while locked");
        kept.extend(frame.datagrams().map(|datagram| Kept {
            kind: frame.kind(),
            partition: stream.partition,
            exporter: datagram.exporter,
            source_port: datagram.source_port,
            destination_port: datagram.destination_port,
            received_ns: datagram.received_ns,
            truncated: datagram.truncated,
            payload: datagram.payload.to_vec(),
        }));
        let mut counts = self.counts.lock().expect("no panic while locked");
        counts.acknowledged_frames += 1;
        counts.acknowledged_datagrams += u64::from(datagrams);
        Ok(())
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }

    fn counts(&self) -> SendCounts {
        *self.counts.lock().expect("no panic while locked")
    }

    fn is_up(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}

/// A configuration for all of the loopback, with a syslog listener on a free port of 127.0.0.1 and `collector` added to
/// its section. `listeners` are more of them.
pub fn config(collector: &str, listeners: &[(&str, &str)]) -> Config {
    let mut text = format!(
        "[bus]\npartitions = 3\n[[exporters.exporter]]\naddress = \"127.0.0.0/8\"\n\
         [[exporters.exporter]]\naddress = \"::1\"\n[collector]\ncores = [0]\nframe_age_ms = 20\n{collector}\n"
    );
    for (kind, address) in [("syslog", "127.0.0.1:0")].iter().chain(listeners) {
        text += &format!("[[collector.listener]]\nkind = \"{kind}\"\naddress = \"{address}\"\n");
    }
    Config::parse(&text, Path::new("test")).expect("valid configuration")
}

/// A socket on `address` (port 0: a free one) that sends to `to`.
pub fn exporter(address: &str, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a local address");
    socket.connect(to).expect("connects");
    socket
}

/// Waits until so many datagrams were taken from the sockets or dropped there.
pub fn wait_for(collector: &Collector, datagrams: u64) {
    let seen = || {
        let counts = collector.counts();
        counts.received + counts.kernel_drops >= datagrams
    };
    if let Err(error) = harness::wait_until(PATIENCE, "datagrams", seen) {
        panic!("{error}: {:?} of {datagrams}", collector.counts());
    }
}
