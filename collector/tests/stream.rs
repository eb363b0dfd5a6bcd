//! Syslog over TCP: connections on the loopback, whatever they bring.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use collector::stream::counters::{Ending, Refusal, StreamCounters};
use collector::{Collector, Outcome};
use common::{Kept, MemoryBus, PATIENCE};
use harness::wait_until;

/// A collector with one TCP listener, and what it has put on the bus.
struct Running {
    collector: Collector,
    bus: Arc<MemoryBus>,
    streams: Arc<StreamCounters>,
    address: SocketAddr,
}

impl Running {
    /// `more` are lines of the listener.
    fn start(address: &str, more: &str) -> Self {
        let listener = format!(
            "[[collector.listener]]\nkind = \"syslog\"\naddress = \"{address}\"\ntransport = \"tcp\"\n{more}"
        );
        let bus = Arc::new(MemoryBus::default());
        let collector =
            Collector::start(&common::config(&listener, &[]), Arc::clone(&bus) as _).expect("starts");
        Self {
            streams: collector.view().streams.expect("a listener for streams"),
            address: collector.addresses()[0],
            collector,
            bus,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("connects")
    }

    /// From an address of the loopback.
    fn connect_from(&self, source: Ipv4Addr) -> TcpStream {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("binds");
        socket.connect(&self.address.into()).expect("connects");
        socket.into()
    }

    fn wait(&self, what: &str, done: impl FnMut() -> bool) {
        if let Err(error) = wait_until(PATIENCE, what, done) {
            panic!("{error}: {:?}, {:?}", self.collector.counts(), self.streams);
        }
    }

    fn wait_for_messages(&self, messages: u64) {
        self.wait("messages", || self.collector.counts().received >= messages);
    }

    fn wait_for_ending(&self, ending: Ending, count: u64) {
        self.wait(ending.name(), || self.streams.ended(ending).get() >= count);
    }

    fn wait_for_refusal(&self, refusal: Refusal, count: u64) {
        self.wait(refusal.name(), || self.streams.refused(refusal).get() == count);
    }

    /// Ends it; every message that was received was framed, and is on the bus.
    fn stop(self) -> (Vec<Kept>, Outcome) {
        let outcome = self.collector.stop(PATIENCE);
        let kept = self.bus.kept();
        assert_eq!(
            outcome.counts.received, outcome.counts.framed,
            "nothing is dropped"
        );
        assert_eq!(kept.len() as u64, outcome.counts.framed);
        assert_eq!(self.streams.open(), 0);
        assert!(!outcome.thread_failed);
        (kept, outcome)
    }

    /// The same, without the rest.
    fn payloads(self) -> Vec<String> {
        let (kept, _) = self.stop();
        kept.iter()
            .map(|kept| String::from_utf8_lossy(&kept.payload).into_owned())
            .collect()
    }
}

/// Whether the other side ends the connection; what it sends until then is of no interest.
fn is_ended(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    loop {
        match socket.read(&mut [0; 1024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_nanos() as u64
}

#[test]
fn messages_of_both_framings_become_datagrams_with_peer_port_and_time() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let running = Running::start(address, "line_bytes_max = 512");
        let begin = now_ns();
        let mut counted = running.connect();
        let mut lines = running.connect();
        let ports = [&counted, &lines].map(|socket| socket.local_addr().expect("an address").port());
        let long = "x".repeat(513);
        // Octet by octet: each in a segment of its own.
        counted.set_nodelay(true).expect("set");
        for octet in b"5 <1>ab3 cde" {
            counted.write_all(&[*octet]).expect("sends");
        }
        write!(counted, "513 {long}1 z").expect("sends");
        lines
            .write_all(b"<2>first\r\n\n<3>second\n<4>unfinish")
            .expect("sends");
        running.wait_for_messages(6);
        drop(lines);
        running.wait_for_ending(Ending::Closed, 1);
        let port = running.address.port();
        let (mut kept, outcome) = running.stop();
        assert_eq!(outcome.counts.truncated, 2);
        kept.sort_by_key(|kept| kept.source_port != ports[0]);
        let brought: Vec<_> = (kept.iter())
            .map(|kept| {
                (
                    kept.source_port,
                    str::from_utf8(&kept.payload).expect("text"),
                    kept.truncated,
                )
            })
            .collect();
        assert_eq!(
            brought,
            [
                (ports[0], "<1>ab", false),
                (ports[0], "cde", false),
                (ports[0], &long[..512], true),
                (ports[0], "z", false),
                (ports[1], "<2>first", false),
                (ports[1], "<3>second", false),
                (ports[1], "<4>unfinish", true),
            ]
        );
        let loopback: IpAddr = if address.starts_with('[') {
            "::1"
        } else {
            "127.0.0.1"
        }
        .parse()
        .expect("an address");
        for kept in &kept {
            assert_eq!((kept.exporter, kept.destination_port), (loopback, port));
            assert!((begin..now_ns()).contains(&kept.received_ns));
        }
    }
}

#[test]
fn what_is_no_count_ends_its_connection_and_no_other() {
    let running = Running::start("127.0.0.1:0", "");
    let mut good = running.connect();
    good.write_all(b"1 a").expect("sends");
    for bad in ["1 b0 ", "1 b99999999 ", "1 b<134>", "2026-11-25 a line"] {
        let mut socket = running.connect();
        socket.write_all(bad.as_bytes()).expect("sends");
        assert!(is_ended(&mut socket), "{bad}");
    }
    running.wait_for_ending(Ending::BadCount, 4);
    good.write_all(b"1 c").expect("sends");
    running.wait_for_messages(5);
    let mut payloads = running.payloads();
    payloads.sort_unstable();
    assert_eq!(payloads, ["a", "b", "b", "b", "c"]);
}

#[test]
fn connections_are_bounded_over_all_and_for_each_source() {
    let limits = "connections_max = 3\nconnections_per_source_max = 2";
    let running = Running::start("127.0.0.1:0", limits);
    let first = Ipv4Addr::LOCALHOST;
    let mut kept: Vec<_> = (0..2).map(|_| running.connect_from(first)).collect();
    running.wait("two connections", || running.streams.open() == 2);
    assert!(is_ended(&mut running.connect_from(first)));
    kept.push(running.connect_from(Ipv4Addr::new(127, 0, 0, 2)));
    running.wait("three connections", || running.streams.open() == 3);
    assert!(is_ended(&mut running.connect_from(Ipv4Addr::new(127, 0, 0, 3))));
    running.wait_for_refusal(Refusal::TooManyFromSource, 1);
    running.wait_for_refusal(Refusal::TooMany, 1);
    // Those that are in are served, and one that ends makes room.
    kept[2].write_all(b"1 a").expect("sends");
    running.wait_for_messages(1);
    drop(kept.pop());
    running.wait_for_ending(Ending::Closed, 1);
    let mut next = running.connect_from(Ipv4Addr::new(127, 0, 0, 3));
    next.write_all(b"1 b").expect("sends");
    running.wait_for_messages(2);
    assert_eq!(running.payloads(), ["a", "b"]);
}

#[test]
fn who_may_not_send_is_refused_unread_and_a_reload_ends_who_may_not_any_more() {
    let running = Running::start("127.0.0.1:0", "");
    let mut socket = running.connect();
    socket.write_all(b"1 a").expect("sends");
    running.wait_for_messages(1);
    let text = "[[exporters.exporter]]\naddress = \"127.0.0.2\"";
    let only = config::Config::parse(text, std::path::Path::new("test"))
        .expect("valid")
        .exporters;
    running.collector.reload(&only);
    assert!(is_ended(&mut socket), "a silent peer notices as well");
    running.wait_for_ending(Ending::NotAllowed, 1);
    let mut stranger = running.connect();
    // It may be closed before this is sent.
    let _ = stranger.write_all(b"1 b");
    assert!(is_ended(&mut stranger));
    running.wait_for_refusal(Refusal::NotAllowed, 1);
    let mut newcomer = running.connect_from(Ipv4Addr::new(127, 0, 0, 2));
    newcomer.write_all(b"1 c").expect("sends");
    running.wait_for_messages(2);
    assert_eq!(running.collector.counts().received_bytes, 2);
    assert_eq!(running.payloads(), ["a", "c"]);
}

#[test]
fn who_sends_no_whole_message_is_idle_whatever_it_sends() {
    let running = Running::start("127.0.0.1:0", "idle_s = 1");
    let silent = running.connect();
    let mut slow = running.connect();
    let mut empty = running.connect();
    let mut good = running.connect();
    let begin = Instant::now();
    let mut sent = 0;
    while running.streams.ended(Ending::Idle).get() < 3 {
        assert!(begin.elapsed() < PATIENCE, "{:?}", running.streams);
        // Never a line's end.
        let _ = slow.write_all(b"x");
        // More than a turn takes, and no message in it.
        let _ = empty.write_all(&b"\n".repeat(100_000));
        good.write_all(b"<1>good\n").expect("the good one stays");
        sent += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begin.elapsed() >= Duration::from_secs(1));
    drop(silent);
    running.wait_for_messages(sent);
    let (kept, outcome) = running.stop();
    assert_eq!(
        kept.iter().filter(|kept| kept.payload == b"<1>good").count() as u64,
        sent
    );
    // The beginning that the slow one has sent.
    assert_eq!(outcome.counts.truncated, 1);
}

#[test]
fn floods_do_not_hold_back_a_good_peer() {
    const GOOD: usize = 200;
    let running = Running::start("127.0.0.1:0", "");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for flood in [
            b"\n".repeat(65536),
            b"1 x".repeat(20000),
            [b"1048576 ".as_slice(), &b"y".repeat(65536)].concat(),
        ] {
            let (running, stop) = (&running, &stop);
            scope.spawn(move || {
                let mut socket = running.connect();
                while !stop.load(Ordering::Relaxed) {
                    if socket.write_all(&flood).is_err() {
                        socket = running.connect();
                    }
                    // Bounded in all: this is about turns, not about memory.
                    if running.collector.counts().received > 1_000_000 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        let mut socket = running.connect();
        for number in 0..GOOD {
            writeln!(socket, "<1>good {number}").expect("sends");
            std::thread::sleep(Duration::from_millis(1));
        }
        let good = || {
            (running.bus.kept().iter())
                .filter(|kept| kept.payload.starts_with(b"<1>good"))
                .count()
        };
        let arrived = wait_until(PATIENCE, "the good peer's messages", || good() == GOOD);
        stop.store(true, Ordering::Relaxed);
        arrived.expect("all of them arrive while the floods go on");
    });
    running.stop();
}

#[test]
fn a_bus_that_takes_nothing_makes_peers_wait_and_costs_nothing() {
    const MESSAGES: usize = 12_000;
    let running = Running::start("127.0.0.1:0", "idle_s = 1");
    running.bus.full.store(true, Ordering::Relaxed);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut socket = running.connect();
            for number in 0..MESSAGES {
                let message = format!("{number:0>8000}");
                write!(socket, "{} {message}", message.len()).expect("sends, sooner or later");
            }
            done.store(true, Ordering::Relaxed);
        });
        running.wait("a pause", || running.streams.pauses.get() > 0);
        // Longer than a connection may be idle: it is not the peer that is.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!done.load(Ordering::Relaxed), "the peer waits");
        running.bus.full.store(false, Ordering::Relaxed);
    });
    running.wait_for_messages(MESSAGES as u64);
    let (kept, outcome) = running.stop();
    assert_eq!(outcome.counts.no_buffer, 0);
    let numbers: Vec<usize> = (kept.iter())
        .map(|kept| {
            str::from_utf8(&kept.payload)
                .expect("text")
                .parse()
                .expect("a number")
        })
        .collect();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn the_end_takes_what_was_sent_and_says_goodbye() {
    const PEERS: usize = 20;
    const MESSAGES: usize = 5000;
    let running = Running::start("127.0.0.1:0", "");
    let mut sockets: Vec<_> = (0..PEERS).map(|_| running.connect()).collect();
    for socket in &mut sockets {
        let messages: Vec<_> = (0..MESSAGES).map(|number| format!("<1>{number}\n")).collect();
        socket.write_all(messages.concat().as_bytes()).expect("sends");
    }
    // Most of it is in the sockets, and some connections may not be accepted yet.
    let (kept, _) = running.stop();
    assert_eq!(kept.len(), PEERS * MESSAGES);
    for mut socket in sockets {
        assert!(is_ended(&mut socket));
    }
}

#[test]
fn a_peer_that_never_stops_does_not_hold_up_the_end() {
    let running = Running::start("127.0.0.1:0", "");
    let address = running.address;
    let peer = std::thread::spawn(move || {
        let mut socket = TcpStream::connect(address).expect("connects");
        while socket.write_all(b"<1>on and on\n").is_ok() {}
    });
    running.wait_for_messages(1);
    let begin = Instant::now();
    let (kept, _) = running.stop();
    assert!(!kept.is_empty());
    assert!(begin.elapsed() < PATIENCE / 2, "bounded");
    peer.join().expect("its connection has ended");
}

#[test]
fn a_port_in_use_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = holder.local_addr().expect("an address");
    let listener =
        format!("[[collector.listener]]\nkind = \"syslog\"\naddress = \"{address}\"\ntransport = \"tcp\"\n");
    let started = Collector::start(&common::config(&listener, &[]), Arc::new(MemoryBus::default()));
    let error = started.err().expect("the port is taken").to_string();
    assert!(
        error.contains("TCP port in use") && error.contains("ss -tlpn"),
        "{error}"
    );
}
