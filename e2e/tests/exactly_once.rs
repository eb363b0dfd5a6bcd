//! Nothing is lost and nothing is doubled, whatever is killed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use e2e::{Bus, PATIENCE, Settings, Stage, said};
use harness::wait_until;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// In each round both formats are sent at full speed, the consumer is killed while it stores them, and, with Kafka, the
/// collector's connections to it are cut.
const ROUNDS: u64 = 12;
const EVENTS_PER_ROUND_AND_FORMAT: u64 = 15_000;

fn append(whole: &mut File, part: &Path) {
    let mut part = File::open(part).expect("a part of what is expected");
    std::io::copy(&mut part, whole).expect("copied");
}

#[test]
fn killed_consumers_and_cut_connections_lose_and_double_nothing() {
    let cuts = kill_and_compare(Bus::Kafka);
    assert!(cuts >= 10, "{cuts} cuts");
}

#[test]
fn killed_consumers_lose_and_double_nothing_with_the_log() {
    kill_and_compare(Bus::Log);
}

/// Gives back how often connections to Kafka were cut.
fn kill_and_compare(bus: Bus) -> usize {
    // Small batches: many transactions for the kills to fall between and into. A socket buffer that holds a whole
    // round: what the kernel drops before the collector sees it is another matter, and would blur this one.
    let settings = Settings {
        collector: "socket_buffer_bytes = 268435456\nframe_bytes = 262144\nframe_age_ms = 20".into(),
        consumer: "batch_rows = 3000\nbatch_age_ms = 50".into(),
        ..Settings::default()
    };
    let stage = Stage::new("once", bus, settings).expect("a stage");
    let mut rng = SmallRng::seed_from_u64(3);
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let (mut cuts, mut cut_connections) = (0, 0);
    let mut expected = File::create(stage.path("expect.jsonl")).expect("the expect file");

    // The bus has its topics and the consumer its streams before anything is cut: until the topics are made, the
    // collector holds what comes, and a whole round would be more than it can hold.
    let expect = stage.path("first.jsonl");
    let path = expect.to_str().expect("a path");
    let first = stage.generate(&[
        "--format", "nfware", "--rate", "1000", "--count", "100", "--expect", path,
    ]);
    first
        .expect("a generator")
        .succeeded(PATIENCE)
        .expect("the generator sends everything");
    stage
        .wait_until_taken(&mut consumer, 100)
        .expect("the first events are taken");
    append(&mut expected, &expect);

    for round in 0..ROUNDS {
        let before = stage.taken("datagrams");
        let generate = |format: &str, from: &str| {
            let expect = stage.path(&format!("{format}-{round}.jsonl"));
            let count = EVENTS_PER_ROUND_AND_FORMAT.to_string();
            let process = stage.generate(&[
                "--format",
                format,
                "--rate",
                "0",
                "--count",
                &count,
                "--exporters",
                "3",
                "--from",
                from,
                "--subscribers",
                "300",
                "--seed",
                &round.to_string(),
                "--expect",
                expect.to_str().expect("a path"),
            ]);
            (process.expect("a generator"), expect)
        };
        let generators = [generate("nfware", "127.0.1.1"), generate("juniper", "127.0.2.1")];
        for _ in 0..2 {
            sleep(Duration::from_millis(rng.random_range(0..150)));
            let cut = stage.cut_kafka();
            cuts += usize::from(cut > 0);
            cut_connections += cut;
        }
        // Once it is storing what this round sent, at any moment.
        consumer
            .wait_until(PATIENCE, "datagrams of this round in the database", || {
                stage.taken("datagrams") > before
            })
            .expect("the consumer takes what is sent");
        sleep(Duration::from_millis(rng.random_range(0..100)));
        consumer.kill().expect("SIGKILL");
        consumer = stage.consumer().expect("a consumer");
        for (mut generator, expect) in generators {
            generator
                .succeeded(PATIENCE)
                .expect("the generator sends everything");
            append(&mut expected, &expect);
        }
    }
    expected.flush().expect("flushed");

    let sent = 100 + ROUNDS * 2 * EVENTS_PER_ROUND_AND_FORMAT;
    let counts = |name: &str| {
        stage
            .collector_metrics()
            .map_or(0, |metrics| metrics.count(name, &[]))
    };
    wait_until(PATIENCE, "the collector to receive everything", || {
        counts("natrail_collector_datagrams_received_total") + counts("natrail_collector_kernel_drops_total")
            >= sent
    })
    .expect("everything arrives");
    for drops in [
        "natrail_collector_kernel_drops_total",
        "natrail_collector_datagrams_dropped_total",
    ] {
        assert_eq!(counts(drops), 0, "{drops}: the comparison would mean nothing");
    }

    // SIGTERM delivers what it holds: exit code 0 says that nothing was lost.
    collector
        .stop(PATIENCE)
        .expect("the collector delivers everything at its end");
    stage
        .wait_until_taken(&mut consumer, sent as i64)
        .expect("the consumer takes everything");
    assert_eq!(stage.taken("datagrams"), sent as i64, "taken exactly once");
    assert_eq!(
        (stage.taken("events"), stage.taken("dead_letters")),
        (sent as i64, 0)
    );
    consumer.stop(PATIENCE).expect("the consumer ends in order");

    let compared = stage.natrail(&[
        "db",
        "compare",
        "--expect",
        stage.path("expect.jsonl").to_str().expect("a path"),
    ]);
    let compared = compared.expect("natrail runs");
    assert_eq!(compared.status.code(), Some(0), "{}", said(&compared));
    println!(
        "{ROUNDS} kills, {cuts} cuts of {cut_connections} connections, {sent} events: {}",
        said(&compared)
    );
    cuts
}

#[test]
fn the_comparison_sees_one_missing_and_one_doubled_event() {
    let stage = Stage::new("compare", Bus::Kafka, Settings::default()).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let expect = stage.path("expect.jsonl");
    let path = expect.to_str().expect("a path");
    let mut generator = stage
        .generate(&[
            "--format", "nfware", "--rate", "5000", "--count", "500", "--expect", path,
        ])
        .expect("a generator");
    generator.succeeded(PATIENCE).expect("everything is sent");
    stage
        .wait_until_taken(&mut consumer, 500)
        .expect("everything is taken");
    collector.stop(PATIENCE).expect("the collector ends");
    consumer.stop(PATIENCE).expect("the consumer ends");

    let compare = || {
        stage
            .natrail(&["db", "compare", "--expect", path])
            .expect("natrail runs")
    };
    let all = compare();
    assert_eq!(all.status.code(), Some(0), "{}", said(&all));

    let text = std::fs::read_to_string(&expect).expect("the expectation");
    let (first, rest) = text.split_once('\n').expect("many lines");
    std::fs::write(&expect, rest).expect("written");
    let one_too_many = compare();
    assert_eq!(
        one_too_many.status.code(),
        Some(1),
        "a row that nobody expects: {}",
        said(&one_too_many)
    );

    std::fs::write(&expect, format!("{first}\n{text}")).expect("written");
    let one_missing = compare();
    assert_eq!(
        one_missing.status.code(),
        Some(1),
        "an event that is not there twice: {}",
        said(&one_missing)
    );
}
