//! Kills, rebalances, broken connections: no row is lost, none is stored twice.

mod common;

use std::time::Duration;

use common::{Consumer, PARTITIONS, SOURCE, Setup, sessions};

/// Small batches, so that there are many commits to be hit.
const SMALL: &str = "batch_rows = 500\nbatch_age_ms = 50";
const PER_FRAME: u32 = 100;
const COUNT: &str = "SELECT count(*) FROM natrail.session";

/// Sends frames `from..to` of [`PER_FRAME`] sessions over all partitions, with a breath after each `pace` frames.
fn feed(setup: &Setup, frames: std::ops::Range<u32>, pace: u32) {
    for number in frames {
        let begin = number * PER_FRAME;
        let partition = (number % u32::from(PARTITIONS)) as i32;
        setup.send_sessions(partition, begin..begin + PER_FRAME);
        if number % pace == pace - 1 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    setup.flush();
}

fn stop(mut consumer: Consumer) {
    consumer
        .process
        .stop(Duration::from_secs(30))
        .expect("exit code 0");
}

#[test]
fn a_killed_consumer_loses_and_doubles_nothing() {
    let setup = Setup::new("killed");
    // All is there before the first consumer starts, so that each is killed with most of its work undone.
    feed(&setup, 0..2000, 2000);
    let mut stored = 0;
    for _ in 0..4 {
        let mut consumer = setup.start("[0]", SMALL);
        let more = || setup.integer(COUNT) > stored;
        consumer
            .process
            .wait_until(Duration::from_secs(90), "rows", more)
            .expect("rows");
        consumer.process.kill().expect("killed");
        stored = setup.integer(COUNT);
    }
    assert!(
        stored < 200_000,
        "everything was stored before the last kill: nothing is shown"
    );
    let consumer = setup.start("[0]", SMALL);
    setup.wait_for(COUNT, 200_000, &[&consumer]);
    setup.assert_exactly(200_000);
    stop(consumer);
    // Its last act was to have BRIN learn about all new rows.
    let left = "SELECT COALESCE(sum(brin_summarize_new_values(c.oid)), 0)::int8 FROM pg_class c
                JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'brin' AND c.relkind = 'i' AND c.relname ~ 'session'";
    assert_eq!(setup.integer(left), 0, "block ranges without summary");
}

#[test]
fn streams_that_move_between_workers_and_processes_lose_and_double_nothing() {
    let setup = Setup::new("moved");
    let first = setup.start("[0, 1]", SMALL);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = &setup.bus;
            // A sender of its own: frames keep coming while consumers come and go.
            let sender = bus::kafka::connect_sender(other).expect("sender");
            for number in 0..1500u32 {
                let sequence = u64::from(number / 4);
                let record = sessions(SOURCE, sequence, number * PER_FRAME..(number + 1) * PER_FRAME);
                let stream = bus::Stream {
                    topic: bus::Topic::Syslog,
                    partition: (number % 4) as i32,
                };
                bus::FrameSender::send(&sender, stream, &record, PER_FRAME).expect("room");
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(bus::FrameSender::flush(&sender, Duration::from_mins(1)));
        });
        let consumer = |at_least: i64| {
            let mut consumer = setup.start("[1]", SMALL);
            let what = "streams of its own and rows";
            consumer
                .process
                .wait_until(Duration::from_secs(90), what, || setup.integer(COUNT) >= at_least)
                .expect(what);
            consumer
        };
        let second = consumer(10_000);
        std::thread::sleep(Duration::from_secs(4));
        stop(first);
        let third = consumer(60_000);
        std::thread::sleep(Duration::from_secs(4));
        stop(second);
        setup.wait_for(COUNT, 150_000, &[&third]);
        setup.assert_exactly(150_000);
        stop(third);
    });
}

#[test]
fn broken_database_connections_lose_and_double_nothing() {
    let setup = Setup::new("broken");
    let consumer = setup.start("[0]", SMALL);
    setup.wait_for("SELECT count(*) FROM natrail.stream", 16, &[&consumer]);
    for round in 0..6 {
        feed(&setup, round * 150..(round + 1) * 150, 30);
        setup
            .database
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'natrail'",
            )
            .expect("connections are cut");
    }
    setup.wait_for(COUNT, 90_000, &[&consumer]);
    setup.assert_exactly(90_000);
    assert!(consumer.metrics().count("natrail_consumer_recoveries_total", &[]) > 0);
    stop(consumer);
}

#[test]
fn a_commit_from_a_stale_position_is_refused_and_recovered_from() {
    let setup = Setup::new("fenced");
    let consumer = setup.start("[0]", SMALL);
    setup.send_sessions(1, 0..100);
    setup.flush();
    setup.wait_for(COUNT, 100, &[&consumer]);
    // Somebody else has taken the next frame.
    setup
        .database
        .execute("UPDATE natrail.stream SET next_offset = 2 WHERE topic = 'syslog' AND partition = 1")
        .expect("moved");
    setup.send_sessions(1, 5000..5100);
    setup.send_sessions(1, 100..200);
    setup.flush();
    setup.wait_for(COUNT, 200, &[&consumer]);
    setup.assert_exactly(200);
    let metrics = consumer.metrics();
    assert!(metrics.count("natrail_consumer_fenced_total", &[]) >= 1);
    assert!(metrics.count("natrail_consumer_recoveries_total", &[]) >= 1);
    stop(consumer);
}
