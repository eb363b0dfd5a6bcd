//! More than the collector can take: dropped by the XDP program, and every datagram counted.

use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bus::{FrameSender, QueueFull, SendCounts, Stream};
use collector::Collector;
use collector::collector::Sockets;
use collector::xdp::XdpFilter;
use config::{Config, XdpMode};
use harness::live::{LiveSender, Mark, Sent, Traffic};
use harness::netns::{Namespace, veth};
use wire::verdict::Verdict;

use crate::setup::{PATIENCE, PORT, packets, wait_for};

const EXPORTER: &str = "198.18.0.0/16";
const OTHER_PORT: u16 = PORT + 1;

/// A bus that forgets.
struct Discard;

impl FrameSender for Discard {
    fn send(&self, _: Stream, _: &[u8], _: u32) -> Result<(), QueueFull> {
        Ok(())
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }

    fn counts(&self) -> SendCounts {
        SendCounts::default()
    }

    fn is_up(&self) -> bool {
        true
    }
}

/// A collector behind its XDP program at one end of a veth pair.
struct Setup {
    sender: Namespace,
    receiver: Namespace,
    filter: XdpFilter,
    collector: Collector,
}

impl Setup {
    /// With socket buffers of so many octets.
    fn new(buffer_bytes: usize) -> Self {
        let (sender, receiver) = (
            Namespace::new("tx").expect("namespace"),
            Namespace::new("rx").expect("namespace"),
        );
        veth(
            (&sender, "eth0", &["198.18.0.2/16"]),
            (&receiver, "eth0", &["198.18.0.1/16"]),
        )
        .expect("veth");
        let listener =
            |port| format!("[[collector.listener]]\nkind = \"syslog\"\naddress = \"198.18.0.1:{port}\"\n");
        let text = format!(
            "[[exporters.exporter]]\naddress = \"{EXPORTER}\"\n[collector]\ncores = [0]\n\
             socket_buffer_bytes = {buffer_bytes}\n{}{}",
            listener(PORT),
            listener(OTHER_PORT)
        );
        let config = Config::parse(&text, Path::new("test")).expect("valid configuration");
        let settings = config.collector.as_ref().expect("given");
        let open = || {
            let mut sockets = Sockets::open(settings).expect("opens");
            let mut filter = XdpFilter::load(&sockets.addresses(), &config.exporters).expect("loads");
            filter
                .attach(&["eth0".into()], XdpMode::Native)
                .expect("attaches");
            sockets.shed_through(filter.rooms(1).expect("maps"));
            (sockets, filter)
        };
        let (sockets, filter) = receiver.run(open).expect("namespace");
        let collector = sockets
            .start(&config.exporters, 1, Arc::new(Discard))
            .expect("starts");
        Self {
            sender,
            receiver,
            filter,
            collector,
        }
    }

    fn send(&self, port: u16, rate: u64, count: u64) -> Sent {
        send(&self.sender, &self.receiver, port, rate, count)
    }

    fn packets(&self, verdict: Verdict) -> u64 {
        packets(&self.filter.counts().expect("counters"), Some(EXPORTER), verdict)
    }

    /// Waits until what the program let in was received, or dropped by the socket.
    fn settle(&self) {
        wait_for("all that was let in to be accounted for", || {
            let counts = self.collector.counts();
            counts.received + counts.kernel_drops == self.packets(Verdict::Accepted)
        });
    }
}

/// Lines of 150 octets from one exporter and port.
fn send(sender: &Namespace, receiver: &Namespace, port: u16, rate: u64, count: u64) -> Sent {
    let traffic = Traffic {
        from: "198.18.0.2:40000".parse().expect("address"),
        addresses: 1,
        ports: 1,
        to: SocketAddrV4::new([198, 18, 0, 1].into(), port),
        payload: &[b'x'; 150],
        mark: Mark::Hex(10),
        rate,
        count,
    };
    let mut live = LiveSender::new((sender, "eth0"), (receiver, "eth0"), 0).expect("sender");
    live.send(&traffic).expect("sends")
}

/// Sender and collector are on one CPU, so that any machine is too slow.
#[test]
fn shed_and_dropped_and_received_is_what_was_sent() {
    let setup = Setup::new(1024 * 1024);
    let sent = setup.send(PORT, 2_000_000, 1_000_000);
    setup.settle();
    let counts = setup.collector.counts();
    let shed = setup.packets(Verdict::Shed);
    assert_eq!(
        shed + counts.kernel_drops + counts.received,
        sent.datagrams,
        "{sent:?} {counts:?}"
    );
    assert!(shed > 0 && counts.received > 0, "{sent:?} {counts:?}");
    assert!(
        counts.kernel_drops < shed / 10,
        "the gate spares the sockets: {shed} shed, {counts:?}"
    );

    // What was lost has left no trace: a modest rate passes whole, and other ports never noticed.
    for port in [PORT, OTHER_PORT] {
        let before = (setup.packets(Verdict::Shed), setup.collector.counts().received);
        let sent = setup.send(port, 5000, 100);
        setup.settle();
        let after = (setup.packets(Verdict::Shed), setup.collector.counts().received);
        assert_eq!((after.0 - before.0, after.1 - before.1), (0, sent.datagrams));
    }
}

#[test]
fn a_collector_that_has_stopped_holds_nothing_back() {
    let setup = Setup::new(1024 * 1024);
    assert_eq!(setup.send(PORT, 5000, 100).datagrams, 100);
    setup.settle();
    let Setup {
        sender,
        receiver,
        filter,
        collector,
    } = setup;
    collector.stop(PATIENCE);
    let sent = send(&sender, &receiver, PORT, 100_000, 20_000);
    let count = |verdict| packets(&filter.counts().expect("counters"), Some(EXPORTER), verdict);
    wait_for("all of it to be judged", || {
        count(Verdict::Accepted) == 100 + sent.datagrams
    });
    assert_eq!(count(Verdict::Shed), 0);
}
