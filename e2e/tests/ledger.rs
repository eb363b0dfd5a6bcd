//! The ledger closes, and each kind of loss is found in its cell, to the datagram. Counts are compared with what the test
//! itself has sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use e2e::{Bus, LISTENER, PATIENCE, Settings, Stage, said};
use harness::broker::Broker;
use harness::netns::{Namespace, veth};
use harness::process::Process;
use harness::wait_until;
use serde_json::Value;

/// The collector's address on the link.
const COLLECTOR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const EXPORTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
/// On no allow-list.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
const PORT: u16 = 5515;

/// A stage whose collector listens on a link too, behind XDP.
struct Linked {
    stage: Stage,
    sender: Namespace,
}

impl Linked {
    fn new(tag: &str, bus: Bus, collector: &str) -> Self {
        let settings = Settings {
            exporters: "[[exporters.exporter]]\naddress = \"198.18.0.0/24\"\nname = \"edge\"".into(),
            listeners: format!(", {{ kind = \"syslog\", address = \"{COLLECTOR}:{PORT}\" }}"),
            collector: format!("{collector}\n[collector.xdp]\ninterfaces = [\"eth0\"]"),
            ..Settings::default()
        };
        Self::with(tag, bus, settings)
    }

    fn with(tag: &str, bus: Bus, settings: Settings) -> Self {
        let stage = Stage::new(tag, bus, settings).expect("a stage");
        let sender = Namespace::new("tx").expect("a namespace");
        let address = |ip: Ipv4Addr| format!("{ip}/15");
        let senders = [EXPORTER, SECOND, STRANGER].map(address);
        veth(
            (&sender, "eth0", &senders.each_ref().map(String::as_str)),
            (&stage.network, "eth0", &[&address(COLLECTOR)]),
        )
        .expect("a link");
        Self { stage, sender }
    }

    fn send(&self, from: Ipv4Addr, count: usize) {
        self.send_payload(from, count, &line());
    }

    fn send_payload(&self, from: Ipv4Addr, count: usize, payload: &[u8]) {
        let to = SocketAddr::from((COLLECTOR, PORT));
        self.sender
            .run(|| send(from.into(), to, count, payload))
            .expect("in the namespace");
    }
}

/// A session, as NFWare writes it.
fn line() -> Vec<u8> {
    b"A VRF 0 6 INT 100.64.7.9:40001 EXT 203.0.113.77:2345 DST 198.18.0.1:443 DIR OUT".to_vec()
}

/// Slowly enough for a busy machine: nothing is to be lost but where the test wants it.
fn send(from: IpAddr, to: SocketAddr, count: usize, payload: &[u8]) {
    let socket = UdpSocket::bind((from, 0)).expect("an address of the network");
    for number in 1..=count {
        socket.send_to(payload, to).expect("sent");
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Sends over the loopback of the stage.
fn send_on_loopback(stage: &Stage, from: Ipv4Addr, count: usize, payload: &[u8]) {
    let to = LISTENER.parse().expect("an address");
    stage
        .network
        .run(|| send(from.into(), to, count, payload))
        .expect("in the namespace");
}

/// Exit code and answer of `natrail ledger --json`.
fn ledger(stage: &Stage, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = stage
        .natrail(&[&["ledger", "--json"], arguments].concat())
        .expect("natrail runs");
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code(), answer)
}

/// The same for people.
fn page(stage: &Stage) -> String {
    said(
        &stage
            .natrail(&["ledger", "--by", "exporter"])
            .expect("natrail runs"),
    )
}

/// A count of all exporters and minutes.
fn cell(answer: &Value, name: &str) -> i64 {
    answer["cells"][name].as_i64().unwrap_or(0)
}

/// A count of the only collector's whole life.
fn total(answer: &Value, name: &str) -> i64 {
    answer["lives"][0]["cells"][name].as_i64().unwrap_or(0)
}

/// State and difference of an equation, of the only collector or of all.
fn equation(answer: &Value, name: &str) -> (String, i64) {
    let of = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let all = [of(&answer["lives"][0]["equations"]), of(&answer["equations"])].concat();
    let found = all.iter().find(|equation| equation["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no equation {name}: {answer:#}"));
    (
        found["state"].as_str().unwrap_or_default().into(),
        found["difference"].as_i64().unwrap_or(i64::MIN),
    )
}

/// Asserts that all equations close, with nothing under way.
fn assert_closed(stage: &Stage) -> Value {
    let (code, answer) = ledger(stage, &[]);
    assert_eq!(
        (code, &answer["closes"], &answer["open"]),
        (Some(0), &true.into(), &false.into()),
        "{}\n{answer:#}",
        page(stage)
    );
    answer
}

/// Ends the collector in order, and the consumer once all is taken.
fn finish(stage: &Stage, mut collector: Process, mut consumer: Process, taken: i64) {
    collector.stop(PATIENCE).expect("the collector ends in order");
    settle(stage, &mut consumer, taken);
    consumer.stop(PATIENCE).expect("the consumer ends in order");
}

/// Waits until the datagrams and the last word of every collector are stored.
fn settle(stage: &Stage, consumer: &mut Process, taken: i64) {
    stage.wait_until_taken(consumer, taken).expect("all is taken");
    let ended = || {
        let sql = "SELECT count(*) FROM natrail.ledger_life WHERE ended IS NULL";
        let open = stage.database.integer(sql).unwrap_or(1);
        let any = stage
            .database
            .integer("SELECT count(*) FROM natrail.ledger_life")
            .unwrap_or(0);
        any > 0 && open == 0
    };
    consumer
        .wait_until(PATIENCE, "the collector's last counts", ended)
        .expect("they come by the same bus");
}

fn clean_traffic(bus: Bus) {
    const EACH: usize = 1500;
    const STRANGE: usize = 70;
    let linked = Linked::new("clean", bus, "");
    let collector = linked.stage.collector().expect("a collector");
    let mut consumer = linked.stage.consumer().expect("a consumer");
    linked.send(EXPORTER, EACH);
    linked.send(STRANGER, STRANGE);
    linked.send(SECOND, 2 * EACH);
    let sent = 3 * EACH as i64;
    linked
        .stage
        .wait_until_taken(&mut consumer, sent)
        .expect("all is taken");
    // It may be asked while all runs: what is under way is no failure.
    let (code, running) = ledger(&linked.stage, &[]);
    assert_eq!(code, Some(0), "{running:#}");
    assert_eq!(running["lives"][0]["state"], "running");

    finish(&linked.stage, collector, consumer, sent);
    let answer = assert_closed(&linked.stage);
    for name in [
        "interface",
        "sockets",
        "threads",
        "collector",
        "bus",
        "consumer",
        "rows",
    ] {
        assert_eq!(equation(&answer, name), ("closes".into(), 0), "{name}");
    }
    let strange = STRANGE as i64;
    assert_eq!(
        (total(&answer, "xdp.accepted"), total(&answer, "xdp.not_allowed")),
        (sent, strange)
    );
    assert_eq!(
        (
            total(&answer, "socket.received"),
            total(&answer, "socket.dropped")
        ),
        (sent, 0)
    );
    assert!(total(&answer, "nic.received") >= sent + strange, "{answer:#}");
    for name in ["received.udp", "framed", "taken", "stored", "events", "rows"] {
        assert_eq!(cell(&answer, name), sent, "{name}");
    }

    // Of one exporter, by address, and of all by name.
    let (code, one) = ledger(
        &linked.stage,
        &["--exporter", &EXPORTER.to_string(), "--by", "exporter"],
    );
    assert_eq!((code, cell(&one, "rows")), (Some(0), EACH as i64), "{one:#}");
    let (code, all) = ledger(&linked.stage, &["--exporter", "edge", "--by", "minute"]);
    assert_eq!((code, cell(&all, "rows")), (Some(0), sent), "{all:#}");
    let text = page(&linked.stage);
    for words in [
        "The ledger closes.",
        "xdp.not_allowed",
        "add it under [[exporters.exporter]]",
    ] {
        assert!(text.contains(words), "{text}");
    }
    every_count_matters(&linked.stage);
}

/// Takes one datagram out of each cell in turn: no such ledger closes.
fn every_count_matters(stage: &Stage) {
    // What stands beside the equations.
    const CELLS: &str = "SELECT DISTINCT cell FROM natrail.ledger
                         WHERE cell NOT IN ('nic.dropped', 'missing_frames', 'repeated') ORDER BY cell";
    let mut client = stage.database.connect().expect("a connection");
    let cells = client.query(CELLS, &[]).expect("cells");
    assert!(cells.len() >= 10, "only {} cells", cells.len());
    for row in cells {
        let cell: String = row.get(0);
        for change in ["count - 1", "count + 1"] {
            let row = format!(
                "WHERE ctid = (SELECT max(ctid) FROM natrail.ledger WHERE cell = '{cell}') RETURNING minute::text, life, exporter::text"
            );
            let changed = client
                .query_one(&format!("UPDATE natrail.ledger SET count = {change} {row}"), &[])
                .expect("changed");
            let (code, answer) = ledger(stage, &[]);
            assert_eq!(
                (code, &answer["closes"]),
                (Some(1), &false.into()),
                "{cell}, {change}: {answer:#}"
            );
            assert!(page(stage).contains("The ledger DOES NOT CLOSE."));
            let back = if change == "count - 1" {
                "count + 1"
            } else {
                "count - 1"
            };
            let (minute, life, exporter): (String, i64, String) =
                (changed.get(0), changed.get(1), changed.get(2));
            let restored = client
                .execute(
                    &format!(
                        "UPDATE natrail.ledger SET count = {back} WHERE cell = '{cell}' AND minute = '{minute}' AND life = {life} \
                         AND exporter = '{exporter}'"
                    ),
                    &[],
                )
                .expect("restored");
            assert_eq!(restored, 1);
        }
    }
    assert_closed(stage);
}

#[test]
fn clean_traffic_through_xdp_closes_with_the_log() {
    clean_traffic(Bus::Log);
}

#[test]
fn clean_traffic_through_xdp_closes_with_kafka() {
    clean_traffic(Bus::Kafka);
}

/// Datagrams of the link that the collector has received, or that were dropped on their way to it.
fn seen(linked: &Linked) -> u64 {
    let metrics = linked.stage.collector_metrics().expect("metrics");
    let of = |name, labels: &[(&str, &str)]| metrics.count(name, labels);
    of("natrail_collector_datagrams_received_total", &[])
        + of("natrail_collector_kernel_drops_total", &[])
        + of("natrail_collector_af_xdp_dropped_total", &[])
        + of("natrail_xdp_packets_total", &[("verdict", "shed")])
}

fn received_count(stage: &Stage) -> i64 {
    let metrics = stage.collector_metrics().expect("metrics");
    metrics.count("natrail_collector_datagrams_received_total", &[]) as i64
}

/// Sends 20 datagrams to a running collector and `more` to one that stands still; gives what it received in the end.
fn send_to_a_frozen(linked: &Linked, collector: &Process, more: usize) -> i64 {
    linked.send(EXPORTER, 20);
    let all = |count: usize| move || seen(linked) == count as u64;
    wait_until(PATIENCE, "the first", all(20)).expect("they are received");
    collector.freeze().expect("SIGSTOP");
    linked.send(EXPORTER, more);
    collector.thaw().expect("SIGCONT");
    wait_until(PATIENCE, "all to be received or dropped", all(20 + more)).expect("nothing is lost uncounted");
    received_count(&linked.stage)
}

#[test]
fn what_a_small_socket_buffer_loses_while_the_collector_stands_still_is_in_its_cell() {
    const MORE: usize = 3000;
    let linked = Linked::new("tiny", Bus::Log, "socket_buffer_bytes = 65536");
    let collector = linked.stage.collector().expect("a collector");
    let consumer = linked.stage.consumer().expect("a consumer");
    let received = send_to_a_frozen(&linked, &collector, MORE);
    finish(&linked.stage, collector, consumer, received);

    let answer = assert_closed(&linked.stage);
    let sent = MORE as i64 + 20;
    let (shed, dropped) = (total(&answer, "xdp.shed"), total(&answer, "socket.dropped"));
    assert!(shed > 0, "{answer:#}");
    assert_eq!(total(&answer, "xdp.accepted"), sent - shed);
    assert_eq!(total(&answer, "socket.received"), sent - shed - dropped);
    assert_eq!(
        (cell(&answer, "taken"), cell(&answer, "rows")),
        (received, received)
    );
    assert_eq!(received, sent - shed - dropped);
    assert!(page(&linked.stage).contains("give the collector more cores"));

    // Whoever asks about that time is told that something of it is missing.
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let mut client = linked.stage.database.connect().expect("a connection");
    let at: String = client.query_one(now, &[]).expect("the time").get(0);
    let question = [
        "trace",
        "--public",
        "203.0.113.77:2345",
        "--tolerance",
        "5m",
        "--at",
        &at,
    ];
    let traced = linked
        .stage
        .natrail(&[&question[..], &["--json"]].concat())
        .expect("natrail runs");
    let traced: Value =
        serde_json::from_slice(&traced.stdout).unwrap_or_else(|_| panic!("{}", said(&traced)));
    let lost = &traced["ledger"]["lost"];
    assert_eq!(
        (&lost[0]["cell"], &lost[0]["count"], &lost[0]["exporter"]),
        (&"xdp.shed".into(), &shed.into(), &Value::Null),
        "{traced:#}"
    );
    let text = said(&linked.stage.natrail(&question).expect("natrail runs"));
    assert!(text.contains("NOT everything is stored"), "{text}");
}

#[test]
fn what_a_small_ring_loses_while_the_collector_stands_still_is_in_its_cell() {
    const MORE: usize = 1000;
    let linked = Linked::new(
        "ring",
        Bus::Log,
        "receive = \"af_xdp\"\naf_xdp = { ring_entries = 64, frames = 128 }",
    );
    let off = (linked.sender.command("ethtool").args(["-K", "eth0", "tx", "off"])).status();
    assert!(off.expect("ethtool").success());
    let collector = linked.stage.collector().expect("a collector");
    let consumer = linked.stage.consumer().expect("a consumer");
    let received = send_to_a_frozen(&linked, &collector, MORE);
    finish(&linked.stage, collector, consumer, received);

    let answer = assert_closed(&linked.stage);
    let sent = MORE as i64 + 20;
    let dropped = total(&answer, "ring.dropped");
    assert!(dropped > 0, "{answer:#}");
    assert_eq!(total(&answer, "xdp.redirected"), sent);
    assert_eq!(total(&answer, "ring.received"), sent - dropped);
    assert_eq!(equation(&answer, "rings"), ("closes".into(), 0));
    assert_eq!(
        (cell(&answer, "received.ring"), cell(&answer, "rows")),
        (received, received)
    );
    assert_eq!(received, sent - dropped);
    assert!(page(&linked.stage).contains("longer rings"));
}

#[test]
fn what_sockets_lose_without_xdp_is_in_its_cell() {
    const MORE: usize = 3000;
    let settings = Settings {
        collector: "socket_buffer_bytes = 65536".into(),
        ..Settings::default()
    };
    let stage = Stage::new("sockets", Bus::Log, settings).expect("a stage");
    let collector = stage.collector().expect("a collector");
    let consumer = stage.consumer().expect("a consumer");
    let exporter = Ipv4Addr::new(127, 0, 1, 9);
    collector.freeze().expect("SIGSTOP");
    send_on_loopback(&stage, exporter, MORE, &line());
    collector.thaw().expect("SIGCONT");
    let dropped = || {
        let metrics = stage.collector_metrics().expect("metrics");
        metrics.count("natrail_collector_kernel_drops_total", &[]) as i64
    };
    let all = || received_count(&stage) + dropped() == MORE as i64;
    wait_until(PATIENCE, "all to be received or dropped", all).expect("nothing is lost uncounted");
    let (received, dropped) = (received_count(&stage), dropped());
    assert!(dropped > 0);
    finish(&stage, collector, consumer, received);

    let answer = assert_closed(&stage);
    assert_eq!(
        (
            total(&answer, "socket.received"),
            total(&answer, "socket.dropped")
        ),
        (received, dropped)
    );
    assert_eq!(cell(&answer, "rows"), received);
    assert!(page(&stage).contains("raise collector.socket_buffer_bytes"));
}

#[test]
fn what_rules_drop_in_the_kernel_is_in_its_cells() {
    const EACH: usize = 200;
    let settings = Settings {
        exporters: "[[exporters.exporter]]\naddress = \"198.18.0.2\"\n\
                    [[exporters.exporter]]\naddress = \"198.18.0.3\"\nrate_max = 1\nburst = 60"
            .into(),
        listeners: format!(
            ", {{ kind = \"syslog\", address = \"{COLLECTOR}:{PORT}\", drop = [\"keepalive\"], severity_max = \"info\" }}"
        ),
        collector: "[collector.xdp]\ninterfaces = [\"eth0\"]".into(),
        ..Settings::default()
    };
    let linked = Linked::with("rules", Bus::Log, settings);
    let collector = linked.stage.collector().expect("a collector");
    let consumer = linked.stage.consumer().expect("a consumer");
    linked.send(EXPORTER, EACH);
    linked.send_payload(EXPORTER, EACH, b"a keepalive of the router");
    linked.send_payload(EXPORTER, EACH, b"<191>debugging");
    linked.send(SECOND, EACH);
    let dropped = |verdict| {
        let metrics = linked.stage.collector_metrics().expect("metrics");
        metrics.count("natrail_xdp_packets_total", &[("verdict", verdict)]) as i64
    };
    let limited = dropped("rate_limited");
    let taken = 2 * EACH as i64 - limited;
    finish(&linked.stage, collector, consumer, taken);

    let answer = assert_closed(&linked.stage);
    assert_eq!(
        (total(&answer, "xdp.filtered"), total(&answer, "xdp.pri_masked")),
        (EACH as i64, EACH as i64)
    );
    // A token comes back each second, however long the sending took.
    assert!((1..=EACH as i64 - 60).contains(&limited), "{limited}");
    assert_eq!(total(&answer, "xdp.rate_limited"), limited);
    assert_eq!(
        (total(&answer, "xdp.accepted"), cell(&answer, "rows")),
        (taken, taken)
    );
}

#[test]
fn strangers_and_poison_are_in_their_cells_without_xdp() {
    let settings = Settings {
        exporters: "[[exporters.exporter]]\naddress = \"127.0.1.0/24\"".into(),
        ..Settings::default()
    };
    let stage = Stage::new("cells", Bus::Log, settings).expect("a stage");
    let nothing = stage.natrail(&["ledger"]).expect("natrail runs");
    assert_eq!(
        nothing.status.code(),
        Some(2),
        "without a schema: {}",
        said(&nothing)
    );
    let collector = stage.collector().expect("a collector");
    let consumer = stage.consumer().expect("a consumer");
    let exporter = Ipv4Addr::new(127, 0, 1, 9);
    send_on_loopback(&stage, exporter, 400, &line());
    send_on_loopback(&stage, Ipv4Addr::new(127, 0, 2, 9), 37, &line());
    send_on_loopback(&stage, exporter, 23, b"no line of any vendor");
    finish(&stage, collector, consumer, 423);

    let answer = assert_closed(&stage);
    assert_eq!(
        [
            "received.udp",
            "dropped.not_allowed",
            "framed",
            "taken",
            "stored",
            "dead_letter",
            "rows"
        ]
        .map(|name| cell(&answer, name)),
        [460, 37, 423, 423, 400, 23, 400],
        "{answer:#}"
    );
    assert_eq!(answer["lives"][0]["xdp"], false);
    assert!(
        page(&stage).contains("interface  not looked at: no XDP program"),
        "{}",
        page(&stage)
    );

    let early = stage
        .natrail(&["ledger", "--since", "2h", "--until", "1h"])
        .expect("natrail runs");
    assert_eq!(
        early.status.code(),
        Some(2),
        "a time without data: {}",
        said(&early)
    );
    let unknown = stage
        .natrail(&["ledger", "--exporter", "nobody"])
        .expect("natrail runs");
    assert_eq!(unknown.status.code(), Some(2), "no such name: {}", said(&unknown));
}

/// Long messages, so that memory and disk are full soon.
fn long() -> Vec<u8> {
    vec![b'x'; 1400]
}

/// A log of a few MiB, and little memory before it.
fn small_log(when_full: &str) -> Settings {
    Settings {
        bus: "queue_mib = 8".into(),
        log: format!("segment_mib = 1\nsize_max_mib = 8\nwhen_full = \"{when_full}\""),
        collector: "socket_buffer_bytes = 268435456\nframe_bytes = 131072\nframe_age_ms = 20\ndatagram_bytes_max = 2048".into(),
        ..Settings::default()
    }
}

fn received(stage: &Stage) -> u64 {
    let metrics = stage.collector_metrics().expect("metrics");
    assert_eq!(
        metrics.count("natrail_collector_kernel_drops_total", &[]),
        0,
        "the machine does not hold the load"
    );
    metrics.count("natrail_collector_datagrams_received_total", &[])
}

#[test]
fn what_has_no_buffer_while_the_bus_is_stuck_is_in_its_cell() {
    const SENT: usize = 80_000;
    let stage = Stage::new("stuck", Bus::Log, small_log("drop_newest")).expect("a stage");
    let collector = stage.collector().expect("a collector");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, SENT, &long());
    wait_until(PATIENCE, "all to be received", || received(&stage) == SENT as u64).expect("received");
    let metrics = stage.collector_metrics().expect("metrics");
    let framed = metrics.count("natrail_collector_datagrams_framed_total", &[]) as i64;
    let consumer = stage.consumer().expect("a consumer");
    finish(&stage, collector, consumer, framed);

    let answer = assert_closed(&stage);
    let sent = SENT as i64;
    assert!(framed < sent, "the bus took all of it");
    assert_eq!(
        [
            "received.udp",
            "dropped.no_buffer",
            "framed",
            "taken",
            "dead_letter"
        ]
        .map(|name| cell(&answer, name)),
        [sent, sent - framed, framed, framed, framed],
        "{answer:#}"
    );
}

#[test]
fn what_a_full_log_drops_is_in_its_cell() {
    const SENT: usize = 20_000;
    let stage = Stage::new("full", Bus::Log, small_log("drop_oldest")).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, SENT, &long());
    wait_until(PATIENCE, "all to be received", || received(&stage) == SENT as u64).expect("received");
    collector.stop(PATIENCE).expect("the collector ends in order");
    let mut consumer = stage.consumer().expect("a consumer");
    settle(&stage, &mut consumer, 1);
    let sent = SENT as i64;
    let taken = || stage.taken("datagrams");
    let behind = || {
        let metrics = stage.consumer_metrics().expect("metrics");
        metrics.count("natrail_consumer_lag_frames", &[])
    };
    let mut last = (0, 1);
    consumer
        .wait_until(PATIENCE, "the rest to be taken", || {
            std::thread::sleep(Duration::from_secs(1));
            let now = (taken(), behind());
            let still = now == last && now.1 == 0;
            last = now;
            still
        })
        .expect("taken");
    consumer.stop(PATIENCE).expect("the consumer ends in order");

    let answer = assert_closed(&stage);
    assert!(taken() < sent, "nothing was dropped");
    assert_eq!(
        ["received.udp", "framed", "lost.log_full", "taken"].map(|name| cell(&answer, name)),
        [sent, sent, sent - taken(), taken()],
        "{answer:#}"
    );
    assert!(page(&stage).contains("raise bus.log.size_max_mib"));
}

#[test]
fn an_outage_of_kafka_closes_once_it_is_over() {
    let home = tempfile::tempdir().expect("a directory");
    let mut broker = Broker::start(home.path()).expect("a broker");
    let settings = Settings {
        log: "spill_after_ms = 500".into(),
        ..Settings::default()
    };
    let stage = Stage::new("away", Bus::KafkaAt(broker.address()), settings).expect("a stage");
    let collector = stage.collector().expect("a collector");
    let consumer = stage.consumer().expect("a consumer");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, 500, &line());
    broker.freeze().expect("SIGSTOP");
    for _ in 0..6 {
        send_on_loopback(&stage, Ipv4Addr::LOCALHOST, 500, &line());
        std::thread::sleep(Duration::from_secs(1));
    }
    let spilled = stage
        .collector_metrics()
        .expect("metrics")
        .count("natrail_collector_spill_frames_total", &[]);
    assert!(spilled > 0, "nothing went to the disk");
    broker.thaw().expect("SIGCONT");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, 500, &line());
    let empty = || {
        let metrics = stage.collector_metrics().expect("metrics");
        metrics.count("natrail_collector_spill_waiting_frames", &[]) == 0
    };
    wait_until(PATIENCE, "the disk's frames to be in Kafka", empty).expect("the spill is empty");
    finish(&stage, collector, consumer, 4000);
    let answer = assert_closed(&stage);
    assert_eq!(
        ["received.udp", "framed", "taken", "rows"].map(|name| cell(&answer, name)),
        [4000; 4],
        "{answer:#}"
    );
}

#[test]
fn a_killed_collector_is_never_called_fine() {
    let stage = Stage::new("killed", Bus::Log, Settings::default()).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, 300, &line());
    stage.wait_until_taken(&mut consumer, 300).expect("taken");
    collector.kill().expect("SIGKILL");
    let state = || ledger(&stage, &[]).1["lives"][0]["state"].clone();
    wait_until(PATIENCE, "its silence to be noticed", || state() == "cut_off").expect("noticed");
    let (code, answer) = ledger(&stage, &[]);
    assert_eq!((code, &answer["closes"]), (Some(1), &false.into()), "{answer:#}");
    assert!(page(&stage).contains("UNKNOWN"), "{}", page(&stage));

    // The next life is told apart, and does not make it good.
    let second = stage.collector().expect("a collector");
    send_on_loopback(&stage, Ipv4Addr::LOCALHOST, 200, &line());
    stage.wait_until_taken(&mut consumer, 500).expect("taken");
    let mut second = second;
    second.stop(PATIENCE).expect("the collector ends in order");
    let states = || {
        let (code, answer) = ledger(&stage, &[]);
        let lives = answer["lives"].as_array().cloned().unwrap_or_default();
        (
            code,
            lives.iter().map(|life| life["state"].clone()).collect::<Vec<_>>(),
        )
    };
    wait_until(PATIENCE, "the second one's last word", || {
        states() == (Some(1), vec!["cut_off".into(), "ended".into()])
    })
    .unwrap_or_else(|error| panic!("{error}: {:?}", states()));

    let database = format!(
        "postgresql://natrail@{}/natrail",
        e2e::free_address().expect("a port")
    );
    let away = stage.natrail_at(&database, &["ledger"]).expect("natrail runs");
    assert_eq!(away.status.code(), Some(2), "{}", said(&away));
}
