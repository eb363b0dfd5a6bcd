//! Kafka is away under load: what comes meanwhile goes to the disk, and to Kafka later, in order. What the disk cannot hold
//! either is counted, to the datagram. Each test has a broker of its own, which it freezes and kills.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use e2e::events::{self, Name};
use e2e::load::Load;
use e2e::{Bus, PATIENCE, Settings, Stage, said};
use harness::broker::Broker;
use harness::metrics::Metrics;
use harness::process::Process;
use harness::wait_until;

/// How long each outage lasts, in seconds: in the environment, or this.
const OUTAGE_VARIABLE: &str = "NATRAIL_OUTAGE_S";
const OUTAGE_S: u64 = 15;

const EXPORTERS: u32 = 4;
const MIB: u64 = 1 << 20;
const QUEUE_MIB: u64 = 8;
const FRAME_BYTES: u64 = 131_072;
/// Of the collector's one thread: 64 MiB of frames that may wait, and one open frame for each of two partitions.
const FRAME_BUFFERS_BYTES: u64 = 64 * MIB + 2 * FRAME_BYTES;
/// The collector without any messages; 4 MiB of it are the ledger's counts, by exporter and minute.
const PROGRAM_BYTES: u64 = 36 * MIB;
const RING_BUFFERS: u64 = 256;
const DATAGRAM_BYTES_MAX: u64 = 2048;

#[test]
fn a_frozen_and_a_killed_kafka_cost_nothing_but_time() {
    const EVENTS_PER_S: u64 = 20_000;
    let outage = outage();
    let home = tempfile::tempdir().expect("a directory");
    let mut broker = Broker::start(home.path()).expect("a broker");
    let stage = Stage::new("outage", Bus::KafkaAt(broker.address()), settings("")).expect("a stage");
    let mut consumer = stage.consumer().expect("a consumer");
    let mut collector = Watched::start(&stage);
    let load = Load::new(EVENTS_PER_S, EXPORTERS);
    load.during(&stage, || collector.watch(Duration::from_secs(2)))
        .expect("sent");
    stage
        .wait_until_taken(&mut consumer, load.sent() as i64)
        .expect("with Kafka there, everything is taken");
    let without_outage = collector.most;

    load.during(&stage, || {
        broker.freeze().expect("SIGSTOP");
        collector.watch(outage);
        broker.thaw().expect("SIGCONT");
        collector.watch(outage / 3);
        broker.kill().expect("SIGKILL");
        collector.watch(outage / 2);
    })
    .expect("sent");

    // Nobody is listening during a restart, so nobody sends.
    let sent = load.sent();
    wait_until(PATIENCE, "the collector to receive all", || {
        received(&stage) == sent
    })
    .expect("all is received");
    let metrics = stage.collector_metrics().expect("metrics");
    let spilled = metrics.count("natrail_collector_log_bytes", &[]);
    assert!(spilled > 0, "nothing is on the disk");
    collector.stop("SIGTERM without Kafka keeps everything on the disk");
    let mut collector = Watched::restart(&stage, collector.most);
    load.during(&stage, || {
        collector.watch(outage / 2);
        broker.restart().expect("Kafka starts again");
        collector.watch(Duration::from_secs(2));
    })
    .expect("sent");

    stage
        .wait_until_taken(&mut consumer, load.sent() as i64)
        .expect("everything is taken");
    collector.stop("the collector ends in order");
    consumer.stop(PATIENCE).expect("the consumer ends in order");
    let comparison = compare(&stage, &load);
    assert_eq!(
        (&comparison["missing"], &comparison["extra"]),
        (&0.into(), &0.into()),
        "{comparison}"
    );
    let stored = events::stored(&stage).expect("rows");
    assert!(is_in_order(&stored), "an exporter's events are out of order");

    // librdkafka and the allocator keep some of what is done with; the outages' messages are several times as much.
    let bound = PROGRAM_BYTES + 2 * QUEUE_MIB * MIB + FRAME_BUFFERS_BYTES + RING_BUFFERS * DATAGRAM_BYTES_MAX;
    let mib = |octets| octets / MIB;
    println!(
        "{} events, two outages of {outage:?}; {} MiB on the disk before the restart; memory {} MiB before the outages, at \
         most {} MiB",
        load.sent(),
        mib(spilled),
        mib(without_outage),
        mib(collector.most)
    );
    assert!(
        collector.most <= bound,
        "{} MiB are resident, {} MiB before the outages; the bound is {} MiB",
        mib(collector.most),
        mib(without_outage),
        mib(bound)
    );
}

#[test]
fn a_full_disk_costs_counted_old_datagrams() {
    fill_the_disk("drop_oldest");
}

#[test]
fn a_full_disk_costs_counted_new_datagrams() {
    fill_the_disk("drop_newest");
}

/// Kafka is frozen until its memory and the disk's share are full. Then as many datagrams are missing as are counted, of
/// each exporter.
fn fill_the_disk(when_full: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let mut broker = Broker::start(home.path()).expect("a broker");
    let log = format!("segment_mib = 1\nsize_max_mib = 8\nwhen_full = \"{when_full}\"");
    let stage = Stage::new("full", Bus::KafkaAt(broker.address()), settings(&log)).expect("a stage");
    let mut consumer = stage.consumer().expect("a consumer");
    let mut collector = stage.collector().expect("a collector");
    let load = Load::new(20_000, EXPORTERS);
    load.during(&stage, || sleep(Duration::from_secs(1)))
        .expect("sent");
    stage
        .wait_until_taken(&mut consumer, load.sent() as i64)
        .expect("with Kafka there, everything is taken");

    // Until much was dropped, whatever the buffers hold before; and on, while what was kept goes to Kafka.
    broker.freeze().expect("SIGSTOP");
    load.during(&stage, || {
        wait_until(PATIENCE, "datagrams to be dropped", || {
            dropped(&stage).values().sum::<u64>() > 20_000
        })
        .expect("a full disk drops");
        broker.thaw().expect("SIGCONT");
        sleep(Duration::from_secs(2));
    })
    .expect("sent");
    wait_until(PATIENCE, "the collector to receive all", || {
        received(&stage) == load.sent()
    })
    .expect("all is received");

    let stored = || stage.taken("datagrams") as u64;
    wait_until(PATIENCE, "what was kept to be taken", || {
        stored() + dropped(&stage).values().sum::<u64>() >= load.sent()
    })
    .unwrap_or_else(|error| panic!("{error}: {} stored, {:?} dropped", stored(), dropped(&stage)));
    let dropped = dropped(&stage);
    collector.stop(PATIENCE).expect("the collector ends in order");
    consumer.stop(PATIENCE).expect("the consumer ends in order");
    let comparison = compare(&stage, &load);
    assert_eq!(comparison["extra"], 0, "{comparison}");
    let mut missing: BTreeMap<Ipv4Addr, u64> = BTreeMap::new();
    for name in events::expected(&load.expected(&stage)).expect("what was sent") {
        *missing.entry(name.exporter).or_default() += 1;
    }
    for name in events::stored(&stage).expect("rows") {
        *missing.entry(name.exporter).or_default() -= 1;
    }
    println!("{} sent, dropped {dropped:?}: {comparison}", load.sent());
    assert_eq!(
        dropped, missing,
        "what is counted as dropped and what is missing, by exporter"
    );
}

/// Small memory, so that little of an outage fits into it; a socket buffer that holds all that a busy machine delays.
fn settings(log: &str) -> Settings {
    Settings {
        bus: format!("queue_mib = {QUEUE_MIB}"),
        log: format!("spill_after_ms = 500\n{log}"),
        collector: format!(
            "socket_buffer_bytes = 268435456\nframe_bytes = {FRAME_BYTES}\nframe_age_ms = 20\n\
             ring_buffers = {RING_BUFFERS}\ndatagram_bytes_max = {DATAGRAM_BYTES_MAX}"
        ),
        consumer: "batch_rows = 20000\nbatch_age_ms = 100".into(),
        ..Settings::default()
    }
}

fn outage() -> Duration {
    let seconds = match std::env::var(OUTAGE_VARIABLE) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{OUTAGE_VARIABLE} is no number of seconds: {text:?}")),
        Err(_) => OUTAGE_S,
    };
    Duration::from_secs(seconds)
}

/// A collector whose memory is looked at.
struct Watched<'a> {
    process: Process,
    stage: &'a Stage,
    /// Most octets that were resident.
    most: u64,
}

impl<'a> Watched<'a> {
    fn start(stage: &'a Stage) -> Self {
        Self::restart(stage, 0)
    }

    fn restart(stage: &'a Stage, most: u64) -> Self {
        Self {
            process: stage.collector().expect("a collector"),
            stage,
            most,
        }
    }

    fn watch(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.most = self
                .most
                .max(self.process.resident_bytes().expect("the collector runs"));
            sleep(Duration::from_millis(100));
        }
    }

    /// Ends it, after a look at what it has lost.
    fn stop(&mut self, what: &str) {
        let metrics = self.stage.collector_metrics().expect("metrics");
        for drops in [
            "natrail_collector_kernel_drops_total",
            "natrail_collector_datagrams_dropped_total",
            "natrail_collector_log_dropped_datagrams_total",
        ] {
            assert_eq!(metrics.count(drops, &[]), 0, "{drops}");
        }
        self.process.stop(PATIENCE).expect(what);
    }
}

/// Datagrams that the collector took from its socket in its life.
fn received(stage: &Stage) -> u64 {
    let metrics = stage.collector_metrics().expect("metrics");
    assert_eq!(
        metrics.count("natrail_collector_kernel_drops_total", &[]),
        0,
        "the machine does not hold the load"
    );
    metrics.count("natrail_collector_datagrams_received_total", &[])
}

/// Datagrams that were dropped for lack of room, on the disk or in memory, by exporter.
fn dropped(stage: &Stage) -> BTreeMap<Ipv4Addr, u64> {
    let metrics: Metrics = stage.collector_metrics().expect("metrics");
    (1..=EXPORTERS as u8)
        .map(|number| {
            let exporter = Ipv4Addr::new(127, 0, 1, number);
            let label = exporter.to_string();
            let of = |name| metrics.count(name, &[("exporter", &label)]);
            let dropped = of("natrail_collector_log_dropped_datagrams_total")
                + of("natrail_collector_exporter_dropped_total");
            (exporter, dropped)
        })
        .collect()
}

/// `natrail db compare` with all that was sent.
fn compare(stage: &Stage, load: &Load) -> serde_json::Value {
    let expect = load.expected(stage);
    let path = expect.to_str().expect("a path");
    let compared = stage.natrail(&["db", "compare", "--expect", path, "--json"]);
    let compared = compared.expect("natrail runs");
    serde_json::from_slice(&compared.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&compared)))
}

/// Whether no event of an exporter comes before an older one. `stored` is by exporter, in the order of the bus.
fn is_in_order(stored: &[Name]) -> bool {
    stored
        .windows(2)
        .all(|pair| pair[0].exporter != pair[1].exporter || pair[0].time_us < pair[1].time_us)
}
