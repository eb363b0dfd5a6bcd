//! From real sockets into frames: nothing lost that is not counted.

mod common;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use collector::{Collector, StartError};
use common::{Kept, MemoryBus, PATIENCE, config, exporter, wait_for};
use wire::frame::PayloadKind;

fn start(config: &config::Config) -> (Collector, Arc<MemoryBus>) {
    let bus = Arc::new(MemoryBus::default());
    let collector = Collector::start(config, Arc::clone(&bus) as _).expect("starts");
    (collector, bus)
}

fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos() as u64
}

#[test]
fn every_datagram_is_in_a_frame_as_it_was_sent() {
    let listeners = [("netflow", "[::1]:0"), ("radius", "127.0.0.2:0")];
    let (collector, bus) = start(&config("", &listeners));
    let addresses = collector.addresses().to_vec();
    let sources = ["127.0.0.1:0", "[::1]:0", "127.0.0.9:0"];
    let kinds = [PayloadKind::Syslog, PayloadKind::Netflow, PayloadKind::Radius];
    let lengths = [0, 1, 200, 1472, 9000, 0, 65_507, 3];
    let begin = now_ns();
    let mut sent = Vec::new();
    for ((&to, source), kind) in addresses.iter().zip(sources).zip(kinds) {
        let socket = exporter(source, to);
        let from = socket.local_addr().expect("bound");
        for (i, &length) in lengths.iter().cycle().take(200).enumerate() {
            let payload = vec![i as u8; length];
            assert_eq!(socket.send(&payload).expect("sends"), length);
            sent.push((kind, from.ip(), from.port(), to.port(), payload));
            if i % 8 == 7 {
                wait_for(&collector, sent.len() as u64);
            }
        }
    }
    let outcome = collector.stop(PATIENCE);
    let end = now_ns();
    assert_eq!((outcome.counts.received, outcome.counts.framed), (600, 600));
    assert_eq!((outcome.undelivered.frames(), outcome.thread_failed), (0, false));
    let kept = bus.kept();
    for kind in kinds {
        // One exporter for each kind here, so its order must be kept.
        let mut got = kept.iter().filter(|datagram| datagram.kind == kind);
        for (_, ip, from, to, payload) in sent.iter().filter(|datagram| datagram.0 == kind) {
            let Kept {
                exporter,
                source_port,
                destination_port,
                received_ns,
                truncated,
                ..
            } = got
                .next()
                .inspect(|got| assert_eq!(&got.payload, payload))
                .expect("as many as sent");
            assert_eq!(
                (exporter, source_port, destination_port, truncated),
                (ip, from, to, &false)
            );
            assert!((begin..=end).contains(received_ns), "{begin} {received_ns} {end}");
        }
        assert!(got.next().is_none());
    }
    assert!(
        kept.iter()
            .all(|datagram| datagram.partition == bus::partition_of(datagram.exporter, 3))
    );
}

#[test]
fn what_a_small_socket_buffer_loses_is_counted_exactly() {
    const SENT: u64 = 50_000;
    let (collector, bus) = start(&config("socket_buffer_bytes = 4096", &[]));
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    for i in 0..SENT {
        socket.send(&i.to_ne_bytes()).expect("sends");
    }
    wait_for(&collector, SENT);
    let counts = collector.stop(PATIENCE).counts;
    assert_eq!(counts.received + counts.kernel_drops, SENT, "{counts:?}");
    assert!(counts.kernel_drops > 0, "a burst must overflow 4 KiB: {counts:?}");
    assert_eq!(bus.kept().len() as u64, counts.received);
}

#[test]
fn a_bus_that_takes_nothing_costs_counted_datagrams_and_no_others() {
    // More than the 64 MiB of frames that may wait.
    const SENT: u64 = 12_000;
    let (collector, bus) = start(&config("frame_bytes = 66000", &[]));
    bus.full.store(true, Ordering::Relaxed);
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    let payload = [7; 8000];
    for sent in 1..=SENT {
        socket.send(&payload).expect("sends");
        if sent % 50 == 0 {
            wait_for(&collector, sent);
        }
    }
    wait_for(&collector, SENT);
    let view = collector.view();
    let mut dropped = rustc_hash::FxHashMap::default();
    view.threads[0].dropped_exporters.add_to(&mut dropped);
    let counts = collector.counts();
    assert_eq!((counts.received, counts.framed + counts.no_buffer), (SENT, SENT));
    assert!(counts.no_buffer > 0 && view.stalls.get() > 0);
    assert_eq!(
        dropped.get(&IpAddr::from([127, 0, 0, 1])),
        Some(&counts.no_buffer)
    );

    // The bus comes back: what was framed arrives, and new datagrams are framed again.
    bus.full.store(false, Ordering::Relaxed);
    let arrived = || bus.kept().len() as u64 == counts.framed;
    harness::wait_until(PATIENCE, "the frames that waited", arrived).expect("they arrive");
    socket.send(b"after").expect("sends");
    wait_for(&collector, SENT + 1);
    let outcome = collector.stop(PATIENCE);
    assert_eq!(outcome.undelivered.frames(), 0);
    assert_eq!(
        bus.kept().last().map(|datagram| datagram.payload.clone()),
        Some(b"after".to_vec())
    );
}

#[test]
fn frames_that_the_bus_never_took_are_named_at_the_end() {
    let (collector, bus) = start(&config("", &[]));
    bus.full.store(true, Ordering::Relaxed);
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    for _ in 0..10 {
        socket.send(b"x").expect("sends");
    }
    wait_for(&collector, 10);
    let outcome = collector.stop(Duration::from_millis(50));
    assert_eq!(
        (outcome.undelivered.unsent_datagrams, outcome.counts.framed),
        (10, 10)
    );
    assert_eq!(outcome.undelivered.unsent_frames, outcome.counts.frames());
}

#[test]
fn a_datagram_that_is_too_long_is_cut_and_marked() {
    let (collector, bus) = start(&config("datagram_bytes_max = 512", &[]));
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    for length in [511, 512, 513, 60_000] {
        socket.send(&vec![1; length]).expect("sends");
    }
    wait_for(&collector, 4);
    let counts = collector.stop(PATIENCE).counts;
    let kept: Vec<_> = bus
        .kept()
        .iter()
        .map(|kept| (kept.payload.len(), kept.truncated))
        .collect();
    assert_eq!(kept, [(511, false), (512, false), (512, true), (512, true)]);
    assert_eq!((counts.truncated, counts.framed), (2, 4));
}

#[test]
fn eight_buffers_run_out_and_nothing_is_lost() {
    const SENT: u64 = 20_000;
    let (collector, bus) = start(&config("ring_buffers = 8", &[]));
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    for i in 0..SENT {
        socket.send(&i.to_ne_bytes()).expect("sends");
    }
    wait_for(&collector, SENT);
    let counts = collector.stop(PATIENCE).counts;
    assert_eq!((counts.received, counts.kernel_drops), (SENT, 0));
    assert!(counts.out_of_buffers > 0, "{counts:?}");
    let payloads: Vec<_> = bus.kept().into_iter().map(|kept| kept.payload).collect();
    assert!(
        payloads
            .iter()
            .map(Vec::as_slice)
            .eq((0..SENT).map(u64::to_ne_bytes).collect::<Vec<_>>().iter())
    );
}

#[test]
fn a_lone_datagram_is_delivered_by_age() {
    let (collector, bus) = start(&config("", &[]));
    exporter("127.0.0.1:0", collector.addresses()[0])
        .send(b"lone")
        .expect("sends");
    harness::wait_until(PATIENCE, "the frame", || bus.kept().len() == 1).expect("it is closed by age");
    let counts = collector.stop(PATIENCE).counts;
    assert_eq!((counts.frames_by_age, counts.frames()), (1, 1));
}

#[test]
fn what_the_sockets_hold_at_the_end_is_still_framed() {
    const SENT: u64 = 5000;
    let (collector, bus) = start(&config("", &[]));
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    for i in 0..SENT {
        socket.send(&i.to_ne_bytes()).expect("sends");
    }
    let outcome = collector.stop(PATIENCE);
    assert_eq!((outcome.counts.framed, outcome.undelivered.frames()), (SENT, 0));
    assert_eq!(bus.kept().len() as u64, SENT);
}

#[test]
fn others_than_the_allowed_are_dropped_and_counted_also_after_a_reload() {
    let (collector, bus) = start(&config("", &[]));
    let to = collector.addresses()[0];
    let allow = |address: &str| {
        let text = format!("[[exporters.exporter]]\naddress = \"{address}\"");
        config::Config::parse(&text, std::path::Path::new("test"))
            .expect("valid")
            .exporters
    };
    let (one, two) = (exporter("127.0.0.1:0", to), exporter("127.0.0.2:0", to));
    one.send(b"1a").expect("sends");
    two.send(b"2a").expect("sends");
    wait_for(&collector, 2);
    collector.reload(&allow("127.0.0.2"));
    // Longer than a thread's longest wait: the next batch sees the new list.
    std::thread::sleep(Duration::from_millis(500));
    one.send(b"1b").expect("sends");
    two.send(b"2b").expect("sends");
    wait_for(&collector, 4);
    let counts = collector.stop(PATIENCE).counts;
    assert_eq!((counts.received, counts.framed, counts.not_allowed), (4, 3, 1));
    let payloads: HashSet<_> = bus.kept().into_iter().map(|kept| kept.payload).collect();
    assert_eq!(
        payloads,
        HashSet::from([b"1a".to_vec(), b"2a".to_vec(), b"2b".to_vec()])
    );
}

#[test]
fn two_threads_share_a_port_and_the_work() {
    // Twice the same CPU, so that one is enough for the test.
    let mut config = config("", &[]);
    config.collector.as_mut().expect("given").cores = vec![0, 0];
    let (collector, bus) = start(&config);
    let to = collector.addresses()[0];
    for i in 0..200u8 {
        exporter("127.0.0.1:0", to).send(&[i]).expect("sends");
    }
    wait_for(&collector, 200);
    let by_thread: Vec<_> = collector
        .view()
        .threads
        .iter()
        .map(|thread| thread.received.get())
        .collect();
    assert!(by_thread.iter().all(|received| *received > 0), "{by_thread:?}");
    assert_eq!(collector.stop(PATIENCE).counts.framed, 200);
    assert_eq!(
        bus.kept()
            .into_iter()
            .map(|kept| kept.payload)
            .collect::<HashSet<_>>()
            .len(),
        200
    );
}

#[test]
fn a_taken_port_is_refused_and_free_again_after_the_end() {
    let (first, _) = start(&config("", &[]));
    let mut config = config("", &[]);
    let address = first.addresses()[0];
    config.collector.as_mut().expect("given").listeners[0].address = address;
    let refused = Collector::start(&config, Arc::new(MemoryBus::default()));
    let error = refused.err().expect("the port is taken");
    assert!(
        matches!(error, StartError::PortInUse { address: named, .. } if named == address),
        "{error}"
    );
    assert!(error.to_string().contains(&address.to_string()));
    first.stop(PATIENCE);
    let (second, _) = start(&config);
    second.stop(PATIENCE);
}

#[test]
fn what_cannot_start_says_why() {
    let error_of = |change: &dyn Fn(&mut config::Collector)| {
        let mut config = config("", &[]);
        change(config.collector.as_mut().expect("given"));
        Collector::start(&config, Arc::new(MemoryBus::default()))
            .err()
            .expect("cannot start")
            .to_string()
    };
    let error = error_of(&|collector| collector.cores = vec![100_000]);
    assert!(error.contains("CPU 100000"), "{error}");
    let error =
        error_of(&|collector| collector.listeners[0].address = "192.0.2.77:5140".parse().expect("address"));
    assert!(
        error.contains("192.0.2.77:5140") && error.contains("no network interface"),
        "{error}"
    );
}
