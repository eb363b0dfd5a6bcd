//! Frames that reach the consumer twice are stored once; frames that never reach it are counted.

mod common;

use std::time::Duration;

use common::{Consumer, PATIENCE, Setup, sessions};

const COUNT: &str = "SELECT count(*) FROM natrail.session";
const PER_FRAME: u32 = 10;

/// Frame number `sequence` of `source`; each frame has sessions of its own, the same whenever it is sent.
fn record(source: u64, sequence: u64) -> Vec<u8> {
    let begin = (source as u32 * 100 + sequence as u32) * PER_FRAME;
    sessions(source, sequence, begin..begin + PER_FRAME)
}

/// Sends `frames` (source, sequence) to partition 0.
fn send(setup: &Setup, frames: &[(u64, u64)]) {
    for &(source, sequence) in frames {
        setup.send(0, &record(source, sequence));
    }
    setup.flush();
}

/// Waits until partition 0 is taken up to `next`.
fn wait_for_offset(setup: &Setup, next: i64, consumer: &Consumer) {
    let sql = "SELECT next_offset FROM natrail.stream WHERE topic = 'syslog' AND partition = 0";
    setup.wait_for(sql, next, &[consumer]);
}

/// Frames, datagrams, duplicate and missing frames: the same in the database and, by this process, in the metrics.
fn assert_totals(setup: &Setup, consumer: &Consumer, expected: [i64; 4]) {
    let names = ["frames", "datagrams", "duplicate_frames", "missing_frames"];
    let metrics = consumer.metrics();
    for (name, count) in names.into_iter().zip(expected) {
        let total = format!("SELECT sum({name})::int8 FROM natrail.stream");
        assert_eq!(setup.integer(&total), count, "{name} in the database");
        let metric = format!("natrail_consumer_{name}_total");
        assert_eq!(metrics.count(&metric, &[]), count as u64, "{metric}");
    }
    assert_closed(setup);
}

/// Each datagram of these tests holds one event, so the totals close.
fn assert_closed(setup: &Setup) {
    let open = "SELECT count(*) FROM natrail.stream WHERE datagrams <> events + ignored + dead_letters";
    assert_eq!(
        setup.integer(open),
        0,
        "datagrams = events + ignored + dead letters"
    );
}

fn stop(mut consumer: Consumer) {
    consumer
        .process
        .stop(Duration::from_secs(30))
        .expect("exit code 0");
}

#[test]
fn interleaved_repeats_of_several_sources_are_stored_once() {
    let setup = Setup::new("repeats");
    let consumer = setup.start("[0]", "");
    // 1 and 2 from their begin, 3 begins at 7: nobody knows what was before. 2 stops at once, and comes again last.
    let first = [
        (1, 0),
        (2, 0),
        (1, 0),
        (3, 7),
        (2, 0),
        (1, 1),
        (3, 7),
        (1, 0),
        (2, 1),
        (1, 1),
    ];
    send(&setup, &first);
    wait_for_offset(&setup, first.len() as i64, &consumer);
    setup.assert_exactly(5 * PER_FRAME);
    // In a batch of their own, so that it has no rows at all.
    send(&setup, &[(2, 1), (1, 0), (3, 7)]);
    wait_for_offset(&setup, 13, &consumer);
    send(&setup, &[(3, 8), (2, 1), (2, 2)]);
    wait_for_offset(&setup, 16, &consumer);
    setup.assert_exactly(7 * PER_FRAME);
    assert_totals(&setup, &consumer, [16, 70, 9, 0]);
    stop(consumer);
}

#[test]
fn a_repeat_on_another_stream_is_none() {
    let setup = Setup::new("streams");
    let consumer = setup.start("[0]", "");
    setup.send(0, &sessions(1, 5, 0..10));
    setup.send(1, &sessions(1, 5, 10..20));
    setup.send(1, &sessions(1, 5, 10..20));
    setup.flush();
    setup.wait_for("SELECT sum(frames)::int8 FROM natrail.stream", 3, &[&consumer]);
    setup.assert_exactly(20);
    assert_totals(&setup, &consumer, [3, 20, 1, 0]);
    stop(consumer);
}

#[test]
fn a_consumer_killed_between_a_frame_and_its_repeat_stores_it_once() {
    let setup = Setup::new("killrep");
    let mut consumer = setup.start("[0]", "");
    send(&setup, &[(1, 0), (2, 0), (1, 1)]);
    wait_for_offset(&setup, 3, &consumer);
    consumer.process.kill().expect("killed");
    send(&setup, &[(1, 1), (2, 0), (1, 0), (1, 2)]);
    let consumer = setup.start("[0]", "");
    wait_for_offset(&setup, 7, &consumer);
    setup.assert_exactly(4 * PER_FRAME);
    let duplicates = "SELECT sum(duplicate_frames)::int8 FROM natrail.stream";
    assert_eq!(setup.integer(duplicates), 3);
    assert_closed(&setup);
    assert_eq!(
        consumer
            .metrics()
            .count("natrail_consumer_missing_frames_total", &[]),
        0
    );
    stop(consumer);
}

#[test]
fn kills_at_any_time_among_repeats_lose_and_double_nothing() {
    let setup = Setup::new("killany");
    // 20 sources, 100 frames each; every third frame comes again a while later, as after an outage.
    let mut sent = 0;
    let mut late = std::collections::VecDeque::new();
    for sequence in 0..100 {
        for source in 0..20 {
            setup.send(0, &record(source, sequence));
            sent += 1;
            if sent % 3 == 0 {
                late.push_back((source, sequence));
            }
            if late.len() > 50 {
                let (source, sequence) = late.pop_front().expect("one is there");
                setup.send(0, &record(source, sequence));
            }
        }
    }
    let rest: Vec<_> = late.into();
    send(&setup, &rest);
    let small = "batch_rows = 300\nbatch_age_ms = 50";
    let mut stored = 0;
    for _ in 0..4 {
        let mut consumer = setup.start("[0]", small);
        let more = || setup.integer(COUNT) > stored;
        consumer.process.wait_until(PATIENCE, "rows", more).expect("rows");
        consumer.process.kill().expect("killed");
        stored = setup.integer(COUNT);
    }
    assert!(
        stored < 20_000,
        "all was stored before the last kill: nothing is shown"
    );
    let consumer = setup.start("[0]", small);
    wait_for_offset(&setup, 2000 + 666, &consumer);
    setup.assert_exactly(2000 * PER_FRAME);
    let count = |column: &str| setup.integer(&format!("SELECT sum({column})::int8 FROM natrail.stream"));
    assert_eq!((count("duplicate_frames"), count("missing_frames")), (666, 0));
    assert_closed(&setup);
    stop(consumer);
}

#[test]
fn missing_frames_are_counted_and_said_and_their_successor_is_stored() {
    let setup = Setup::new("missing");
    let consumer = setup.start("[0]", "");
    send(&setup, &[(1, 0), (1, 4), (2, 9), (1, 5), (2, 11)]);
    wait_for_offset(&setup, 5, &consumer);
    setup.assert_exactly(5 * PER_FRAME);
    assert_totals(&setup, &consumer, [5, 50, 0, 4]);
    let log = consumer.process.log();
    assert!(
        log.contains("3 frames are MISSING before offset 1 of syslog partition 0")
            && log.contains("source 0000000000000001 numbered them 1 to 3"),
        "{log}"
    );
    // The second gap comes within ten seconds of the first.
    assert_eq!(log.matches("are MISSING").count(), 1, "{log}");
    stop(consumer);
}

#[test]
fn a_number_that_no_collector_reaches_stops_nothing() {
    let setup = Setup::new("wild");
    let consumer = setup.start("[0]", "");
    for (sequence, begin) in [(0, 0), (u64::MAX, 10), (u64::MAX, 20), (7, 20)] {
        setup.send(0, &sessions(u64::MAX, sequence, begin..begin + 10));
    }
    setup.flush();
    wait_for_offset(&setup, 4, &consumer);
    for (sequence, begin) in [(0, 20), (u64::MAX - 1, 30)] {
        setup.send(0, &sessions(3, sequence, begin..begin + 10));
    }
    setup.flush();
    wait_for_offset(&setup, 6, &consumer);
    setup.assert_exactly(40);
    // The total ends where its column ends.
    let count = |column: &str| setup.integer(&format!("SELECT sum({column})::int8 FROM natrail.stream"));
    assert_eq!(
        (count("duplicate_frames"), count("missing_frames")),
        (2, i64::MAX)
    );
    assert_eq!(
        consumer.metrics().count("natrail_consumer_recoveries_total", &[]),
        0
    );
    stop(consumer);
}

#[test]
fn the_table_of_sources_keeps_those_seen_last() {
    let setup = Setup::new("bound");
    let small = "batch_rows = 200\nbatch_age_ms = 50";
    let mut consumer = setup.start("[0]", small);
    let all: Vec<_> = (0..300).map(|source| (source, 0)).collect();
    send(&setup, &all);
    wait_for_offset(&setup, 300, &consumer);
    let kept = || setup.integer("SELECT count(*) FROM natrail.stream_source");
    let has = |from: u64, to: u64| {
        let between =
            format!("SELECT count(*) FROM natrail.stream_source WHERE source BETWEEN {from} AND {to}");
        setup.integer(&between)
    };
    assert_eq!((kept(), has(0, 43), has(44, 299)), (256, 0, 256));
    consumer.process.kill().expect("killed");
    // 44 is seen again, so 45 is the one that a new source pushes out.
    send(&setup, &[(44, 0), (299, 0), (300, 0)]);
    let consumer = setup.start("[0]", small);
    wait_for_offset(&setup, 303, &consumer);
    assert_eq!((kept(), has(44, 44), has(45, 45), has(300, 300)), (256, 1, 0, 1));
    send(&setup, &[(46, 0), (301, 0)]);
    wait_for_offset(&setup, 305, &consumer);
    assert_eq!((kept(), has(46, 46), has(47, 47), has(301, 301)), (256, 1, 0, 1));
    setup.assert_exactly(302 * PER_FRAME);
    let repeats = consumer
        .metrics()
        .count("natrail_consumer_duplicate_frames_total", &[]);
    assert_eq!(repeats, 3);
    assert_closed(&setup);
    stop(consumer);
}
