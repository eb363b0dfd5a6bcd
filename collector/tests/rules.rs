//! Listeners' rules and exporters' rates in user space: what they drop is counted by its reason, to the datagram.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use collector::Collector;
use collector::counters::Counts;
use common::{MemoryBus, PATIENCE, exporter, wait_for};
use config::Config;

/// A collector whose listeners have these lines, and exporters those.
fn configuration(listeners: &[&str], exporters: &str) -> Config {
    let mut text = format!(
        "[[exporters.exporter]]\naddress = \"127.0.0.0/8\"\n{exporters}\n[collector]\ncores = [0]\nframe_age_ms = 20\n"
    );
    for (place, more) in listeners.iter().enumerate() {
        // An address of its own, so that a reload tells them apart.
        text += &format!(
            "[[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.{}:0\"\n{more}\n",
            place + 1
        );
    }
    Config::parse(&text, Path::new("test")).expect("valid")
}

fn start(config: &Config) -> (Collector, Arc<MemoryBus>) {
    let bus = Arc::new(MemoryBus::default());
    let collector = Collector::start(config, Arc::clone(&bus) as _).expect("starts");
    (collector, bus)
}

/// Ends it. What was received was framed or dropped.
fn stop(collector: Collector, bus: &MemoryBus) -> (Counts, Vec<String>) {
    let counts = collector.stop(PATIENCE).counts;
    assert_eq!(counts.received, counts.framed + counts.dropped(), "{counts:?}");
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    let kept = bus
        .kept()
        .iter()
        .map(|datagram| text(&datagram.payload))
        .collect();
    (counts, kept)
}

const MESSAGES: [&str; 6] = [
    "<134>1 - nat RT_FLOW_SESSION_CREATE a",
    "<134>1 - nat RT_FLOW_SESSION_CREATE test",
    "<135>1 - nat RT_FLOW_SESSION_CREATE b",
    "<30>1 - sshd login",
    "no PRI, RT_FLOW_SESSION_CREATE",
    "<134>1 - x RT_FLOW_SESSION_DENY",
];
const RULES: &str = "keep = [\"SESSION_(CREATE|CLOSE)\"]\ndrop = [\"test$\"]\nseverity_max = \"info\"";

#[test]
fn datagrams_and_connections_are_judged_by_their_listener() {
    let tcp = format!("{RULES}\ntransport = \"tcp\"");
    let (collector, bus) = start(&configuration(&[RULES, "", &tcp], ""));
    let addresses = collector.addresses().to_vec();
    for address in &addresses[..2] {
        let socket = exporter("127.0.0.1:0", *address);
        for message in MESSAGES {
            socket.send(message.as_bytes()).expect("sends");
        }
    }
    let mut stream = TcpStream::connect(addresses[2]).expect("connects");
    stream
        .write_all((MESSAGES.join("\n") + "\n").as_bytes())
        .expect("sends");
    wait_for(&collector, 18);
    let (counts, mut kept) = stop(collector, &bus);
    // Of the first and the third: 2 are kept, 1 is masked, 3 are filtered. The second keeps all.
    assert_eq!((counts.framed, counts.pri_masked, counts.filtered), (10, 2, 6));
    kept.sort();
    let mut expected: Vec<&str> = MESSAGES.to_vec();
    expected.extend([MESSAGES[0], MESSAGES[4]].repeat(2));
    expected.sort_unstable();
    assert_eq!(kept, expected);
}

#[test]
fn what_is_too_large_for_the_kernel_is_filtered_here() {
    let (collector, bus) = start(&configuration(&["keep = ['a.{20}b', 'x.{300}y']"], ""));
    let socket = exporter("127.0.0.1:0", collector.addresses()[0]);
    let long = format!("a{}b", "-".repeat(20));
    for message in [&long, "ab", &long[1..]] {
        socket.send(message.as_bytes()).expect("sends");
    }
    wait_for(&collector, 3);
    let (counts, kept) = stop(collector, &bus);
    assert_eq!((counts.framed, counts.filtered), (1, 2));
    assert_eq!(kept, [long]);
}

#[test]
fn a_reload_changes_rules_and_what_it_does_not_name_stays() {
    let config = configuration(&["keep = ['one']", "keep = ['one']"], "");
    let (collector, bus) = start(&config);
    let addresses = collector.addresses().to_vec();
    let mut sent = 0;
    let mut send = |text: &str| {
        for address in &addresses {
            exporter("127.0.0.1:0", *address)
                .send(text.as_bytes())
                .expect("sends");
            sent += 1;
        }
        wait_for(&collector, sent);
    };
    send("one 1");
    send("two 1");
    let listeners = |text| {
        configuration(&[text], "")
            .collector
            .expect("a collector")
            .listeners
    };
    let before = collector
        .reload_rules(&listeners("drop = ['one']"))
        .expect("valid");
    send("one 2");
    send("two 2");
    let after = collector
        .reload_rules(&listeners("drop = ['one']"))
        .expect("valid");
    for (before, after) in before.datagrams.iter().zip(&after.datagrams) {
        assert!(
            Arc::ptr_eq(before, after),
            "what is the same is not compiled again"
        );
    }
    let (counts, mut kept) = stop(collector, &bus);
    kept.sort();
    assert_eq!(kept, ["one 1", "one 1", "one 2", "two 2"]);
    assert_eq!(counts.filtered, 4);
}

/// What comes back into the bucket meanwhile is one datagram each second.
#[test]
fn an_exporters_burst_passes_and_the_rest_is_counted() {
    let limited = "[[exporters.exporter]]\naddress = \"127.0.0.9\"\nrate_max = 1\nburst = 40";
    let (collector, bus) = start(&configuration(&[""], limited));
    let to = collector.addresses()[0];
    let started = std::time::Instant::now();
    for source in ["127.0.0.9:0", "127.0.0.8:0"] {
        let socket = exporter(source, to);
        for _ in 0..200 {
            socket.send(b"x").expect("sends");
        }
    }
    wait_for(&collector, 400);
    let seconds = started.elapsed().as_secs() + 1;
    let (counts, _) = stop(collector, &bus);
    let passed = counts.framed - 200;
    assert!((40..=40 + seconds).contains(&passed), "{counts:?} in {seconds} s");
    assert_eq!(counts.rate_limited, 200 - passed);
}
