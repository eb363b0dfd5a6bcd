//! Flow records of generated traffic are stored, each once, though the consumer is killed among them.

use std::fs::File;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use e2e::{Bus, PATIENCE, Settings, Stage, said};

const FLOWS: &str = "127.0.0.1:5515";
const ROUNDS: u64 = 3;
/// Datagrams of each format and round.
const DATAGRAMS: u64 = 100;

#[test]
fn generated_flow_records_are_stored_once_with_kafka() {
    kill_and_compare(Bus::Kafka);
}

#[test]
fn generated_flow_records_are_stored_once_with_the_log() {
    kill_and_compare(Bus::Log);
}

fn kill_and_compare(bus: Bus) {
    let settings = Settings {
        listeners: format!(", {{ kind = \"netflow\", address = \"{FLOWS}\" }}"),
        collector: "socket_buffer_bytes = 268435456\nframe_bytes = 262144\nframe_age_ms = 20".into(),
        consumer: "batch_rows = 2000\nbatch_age_ms = 50".into(),
        ..Settings::default()
    };
    let stage = Stage::new("flow", bus, settings).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let mut expected = File::create(stage.path("expect.jsonl")).expect("the expect file");
    let mut sent = 0;
    for round in 0..ROUNDS {
        let before = stage.taken("events");
        for (format, from) in [("ipfix-nat44", "127.0.1.1"), ("nel-v9", "127.0.2.1")] {
            let path = stage.path(&format!("{format}-{round}.jsonl"));
            let mut generator = stage
                .generate_to(
                    FLOWS,
                    &[
                        "--format",
                        format,
                        "--rate",
                        "20000",
                        "--count",
                        &DATAGRAMS.to_string(),
                        "--exporters",
                        "3",
                        "--from",
                        from,
                        "--seed",
                        &round.to_string(),
                        "--expect",
                        path.to_str().expect("a path"),
                    ],
                )
                .expect("a generator");
            generator
                .succeeded(PATIENCE)
                .expect("the generator sends everything");
            let part = std::fs::read_to_string(&path).expect("what is expected");
            expected.write_all(part.as_bytes()).expect("written");
            sent += part.lines().count() as i64;
        }
        consumer
            .wait_until(PATIENCE, "events of this round in the database", || {
                stage.taken("events") > before
            })
            .expect("the consumer takes what is sent");
        sleep(Duration::from_millis(30 * round));
        consumer.kill().expect("SIGKILL");
        consumer = stage.consumer().expect("a consumer");
    }
    collector
        .stop(PATIENCE)
        .expect("the collector delivers everything at its end");
    consumer
        .wait_until(PATIENCE, "all events in the database", || {
            stage.taken("events") >= sent
        })
        .expect("the consumer takes everything");
    assert_eq!((stage.taken("events"), stage.taken("dead_letters")), (sent, 0));
    consumer.stop(PATIENCE).expect("the consumer ends in order");
    let file = stage.path("expect.jsonl");
    let compared = stage
        .natrail(&["db", "compare", "--expect", file.to_str().expect("a path")])
        .expect("natrail runs");
    assert_eq!(compared.status.code(), Some(0), "{}", said(&compared));
}
