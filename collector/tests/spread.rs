//! One exporter over several receive threads, on the real kernel. Needs root.

mod common;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use collector::Collector;
use collector::collector::Sockets;
use common::{Kept, MemoryBus, PATIENCE, exporter, wait_for};
use config::Config;

/// Fewer than fit into a socket, so that none is lost.
const SENT: u32 = 20_000;

/// Two threads (on one CPU: that is enough for the test), and a listener of this kind, with these lines.
fn config(kind: &str, address: &str, more: &str) -> Config {
    let text = format!(
        "[exporters]\nallow_all = true\n[collector]\ncores = [0, 0]\nframe_age_ms = 20\nsocket_buffer_bytes = 67108864\n\
         [[collector.listener]]\nkind = \"{kind}\"\naddress = \"{address}\"\n{more}\n"
    );
    Config::parse(&text, Path::new("test")).expect("valid configuration")
}

fn start(config: &Config) -> (Collector, Arc<MemoryBus>) {
    let bus = Arc::new(MemoryBus::default());
    let collector = Collector::start(config, Arc::clone(&bus) as Arc<_>).expect("starts");
    (collector, bus)
}

/// Sends from one socket, and gives what each thread got.
fn send_from(from: &str, collector: &Collector, sent: u32) -> Vec<u64> {
    let threads = collector.view().threads;
    let received = || threads.iter().map(|thread| thread.received.get());
    let before: Vec<u64> = received().collect();
    let socket = exporter(from, collector.addresses()[0]);
    for number in 0..sent {
        socket.send(&number.to_be_bytes()).expect("sends");
    }
    wait_for(collector, before.iter().sum::<u64>() + u64::from(sent));
    assert_eq!(collector.counts().kernel_drops, 0);
    received()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect()
}

fn numbers(kept: &[Kept]) -> HashSet<u32> {
    let number = |kept: &Kept| u32::from_be_bytes(kept.payload[..].try_into().expect("four octets"));
    kept.iter().map(number).collect()
}

/// Both had between 40 and 60 of 100.
fn assert_even(by_thread: &[u64]) {
    let sum: u64 = by_thread.iter().sum();
    assert!(by_thread.iter().all(|one| *one * 10 > sum * 4), "{by_thread:?}");
}

#[test]
fn syslog_of_one_exporter_and_port_uses_all_threads_and_loses_nothing() {
    for (listener, from) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
        let (collector, bus) = start(&config("syslog", listener, ""));
        let by_thread = send_from(from, &collector, SENT);
        assert_even(&by_thread);
        collector.stop(PATIENCE);
        let kept = bus.kept();
        assert_eq!((kept.len(), numbers(&kept).len()), (SENT as usize, SENT as usize));
        // The same source and port, and the order in which they came is told by their times.
        assert_eq!(
            kept.iter()
                .map(|kept| kept.source_port)
                .collect::<HashSet<_>>()
                .len(),
            1
        );
        let mut by_time: Vec<_> = kept
            .iter()
            .map(|kept| (kept.received_ns, &kept.payload))
            .collect();
        by_time.sort();
        assert!(
            by_time.is_sorted_by_key(|(_, payload)| *payload),
            "as it was sent"
        );
    }
}

#[test]
fn it_stays_so_over_reloads_and_restarts() {
    let mut config = config("syslog", "127.0.0.1:0", "");
    for _ in 0..3 {
        let (collector, _) = start(&config);
        assert_even(&send_from("127.0.0.1:0", &collector, 2000));
        collector.reload(&config.exporters);
        assert_even(&send_from("127.0.0.1:0", &collector, 2000));
        // The next life listens on the same port.
        config.collector.as_mut().expect("given").listeners[0].address = collector.addresses()[0];
        assert_eq!(collector.stop(PATIENCE).counts.framed, 4000);
    }
}

/// Whichever port it sends from; and different exporters use both threads.
#[test]
fn netflow_of_one_exporter_stays_with_one_thread() {
    for kind in ["netflow", "radius"] {
        let (collector, _) = start(&config(kind, "0.0.0.0:0", ""));
        let port = collector.addresses()[0].port();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let mut thread_of = HashMap::new();
        for host in 1..=16_u8 {
            for _port in 0..2 {
                let threads = collector.view().threads;
                let counts = || {
                    threads
                        .iter()
                        .map(|thread| thread.received.get())
                        .collect::<Vec<_>>()
                };
                let before = counts();
                let socket = exporter(&format!("127.0.0.{host}:0"), to);
                (0..10).for_each(|_| assert_eq!(socket.send(b"x").expect("sends"), 1));
                wait_for(&collector, before.iter().sum::<u64>() + 10);
                let after = counts();
                let took: Vec<_> = (0..2).filter(|thread| after[*thread] > before[*thread]).collect();
                assert_eq!(took.len(), 1, "{before:?} {after:?}");
                assert_eq!(
                    *thread_of.entry(host).or_insert(took[0]),
                    took[0],
                    "127.0.0.{host}"
                );
            }
        }
        let threads: HashSet<_> = thread_of.into_values().collect();
        assert_eq!(threads.len(), 2, "all exporters on one thread");
    }
}

#[test]
fn off_leaves_it_to_the_kernel() {
    let (collector, _) = start(&config("syslog", "127.0.0.1:0", "spread = \"off\""));
    let by_thread = send_from("127.0.0.1:0", &collector, 1000);
    assert!(
        by_thread.contains(&1000),
        "one 4-tuple, one socket: {by_thread:?}"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    for (kind, more, words) in [
        ("netflow", "spread = \"datagram\"", "is for syslog"),
        (
            "syslog",
            "transport = \"tcp\"\nspread = \"off\"",
            "transport = \"udp\"",
        ),
    ] {
        let text = format!(
            "[exporters]\nallow_all = true\n[collector]\ncores = [0]\n[[collector.listener]]\nkind = \"{kind}\"\n\
             address = \"127.0.0.1:1\"\n{more}\n"
        );
        let error = Config::parse(&text, Path::new("test"))
            .expect_err("refused")
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// On a thread of its own, which takes its capabilities with it.
fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work).join().expect("no panic");
}

#[test]
fn once_it_is_there_it_needs_no_privilege() {
    on_a_thread(|| {
        let config = config("syslog", "127.0.0.1:0", "");
        let settings = config.collector.as_ref().expect("given");
        let sockets = Sockets::open(settings).expect("opens");
        collector::privileges::drop_all().expect("can always be given up");
        let bus: Arc<MemoryBus> = Arc::default();
        let collector = sockets
            .start(&config.exporters, 1, Arc::clone(&bus) as Arc<_>)
            .expect("starts");
        assert_even(&send_from("127.0.0.1:0", &collector, 2000));
    });
}

#[test]
fn without_the_privilege_the_kernel_chooses() {
    on_a_thread(|| {
        collector::privileges::drop_all().expect("can always be given up");
        let mut config = config("syslog", "127.0.0.1:0", "");
        config.collector.as_mut().expect("given").socket_buffer_bytes = 100_000;
        let (collector, _) = start(&config);
        let by_thread = send_from("127.0.0.1:0", &collector, 50);
        assert!(by_thread.contains(&50), "{by_thread:?}");
    });
}
