//! Bounds: what is dropped, what is lost with it, and by whom it was sent.

use std::net::IpAddr;
use std::path::Path;

use bus::log::cursor::{Cursor, Read};
use bus::log::directory::{Root, open_or_create, try_lock};
use bus::log::position::PositionFile;
use bus::log::retention::Reason;
use bus::log::writer::{Bounds, LogWriter, WriteError};

use crate::common::{frame, stream};

const KIB: u64 = 1024;
/// Nothing is dropped by age, and no space is left free for others.
const BOUNDS: Bounds = Bounds {
    segment_bytes: 16 * KIB,
    size_max_bytes: 100 * KIB,
    age_max_ns: u64::MAX,
    free_reserve_bytes: 0,
    drop_oldest: true,
};

fn writer(path: &Path, bounds: Bounds) -> LogWriter {
    LogWriter::open(Root::at(path), bounds).expect("opens")
}

/// Datagrams by exporter in what is read from `next` on.
fn readable(path: &Path, partition: i32, next: i64) -> [u64; 4] {
    let mut cursor = Cursor::new(Root::at(path).stream(stream(partition)), next);
    let mut counts = [0; 4];
    loop {
        match cursor.read().expect("reads") {
            Read::Record(found) => {
                let frame = wire::frame::Frame::open(cursor.payload(&found)).expect("a frame");
                for datagram in frame.datagrams() {
                    let IpAddr::V4(exporter) = datagram.exporter else {
                        panic!("IPv4 was sent")
                    };
                    counts[usize::from(exporter.octets()[3])] += 1;
                }
            }
            Read::Lost(..) => {}
            Read::End => return counts,
        }
    }
}

/// What the writer says was lost, by exporter.
fn lost(writer: &LogWriter) -> [u64; 4] {
    let mut counts = [0; 4];
    for (exporter, datagrams) in &writer.lost().by_exporter {
        let Some(IpAddr::V4(exporter)) = exporter else {
            panic!("all are told apart")
        };
        counts[usize::from(exporter.octets()[3])] += datagrams;
    }
    assert_eq!(counts.iter().sum::<u64>(), writer.lost().datagrams);
    counts
}

#[test]
fn the_oldest_is_dropped_and_what_was_not_consumed_is_counted_by_exporter() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = writer(directory.path(), BOUNDS);
    let mut sent = [0; 4];
    for number in 0..400u64 {
        let exporters = [1, (number % 3 + 1) as u8];
        for exporter in exporters {
            sent[usize::from(exporter)] += 1;
        }
        let octets = frame(&exporters, &[b'x'; 500], number);
        writer
            .append(stream((number % 2) as i32), 2, &octets)
            .expect("appends");
        assert!(writer.bytes() <= BOUNDS.size_max_bytes);
    }
    let mut left = [0; 4];
    for partition in 0..2 {
        for (left, more) in left.iter_mut().zip(readable(directory.path(), partition, -1)) {
            *left += more;
        }
    }
    let lost = lost(&writer);
    for exporter in 0..4 {
        assert_eq!(
            left[exporter] + lost[exporter],
            sent[exporter],
            "exporter {exporter}"
        );
    }
    assert!(left[1] > 0 && lost[1] > 0);
    let list = std::fs::read_to_string(Root::at(directory.path()).dropped()).expect("written down");
    let mut written = 0;
    for line in list.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["reason"], "size");
        written += line["lost_datagrams"].as_u64().expect("a number");
    }
    assert_eq!(written, writer.lost().datagrams);
}

#[test]
fn what_was_consumed_goes_first_and_costs_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = writer(directory.path(), BOUNDS);
    writer.add(stream(0)).expect("made");
    writer.add(stream(1)).expect("made");
    let mut position = PositionFile::open(&Root::at(directory.path()).stream(stream(1))).expect("opens");
    // The older stream is not consumed at all, the younger one is.
    for number in 0..60 {
        let octets = frame(&[1], &[b'x'; 500], number);
        writer.append(stream(0), 1, &octets).expect("appends");
    }
    for number in 0..500 {
        let octets = frame(&[2], &[b'x'; 500], number);
        let offset = writer.append(stream(1), 1, &octets).expect("appends");
        position.consumed(offset + 1).expect("noted");
    }
    assert_eq!(writer.lost().frames, 0);
    assert_eq!(readable(directory.path(), 0, 0), [0, 60, 0, 0]);
}

#[test]
fn newest_first_refuses_and_goes_on_when_there_is_room_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let bounds = Bounds {
        drop_oldest: false,
        ..BOUNDS
    };
    let mut writer = writer(directory.path(), bounds);
    let octets = frame(&[1], &[b'x'; 500], 0);
    let mut taken = 0;
    let refused = loop {
        match writer.append(stream(0), 1, &octets) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, WriteError::Full(Reason::Size)), "{refused:?}");
    assert!(taken > 100);
    assert_eq!(writer.lost().frames, 0);
    assert_eq!(readable(directory.path(), 0, 0), [0, taken, 0, 0]);
    let mut position = PositionFile::open(&Root::at(directory.path()).stream(stream(0))).expect("opens");
    position.consumed(60).expect("noted");
    writer.append(stream(0), 1, &octets).expect("there is room");
    assert_eq!(writer.lost().frames, 0);
    assert_eq!(readable(directory.path(), 0, 60), [0, taken + 1 - 60, 0, 0]);
}

#[test]
fn a_segment_that_is_being_read_stays_and_what_was_read_counts_as_consumed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = writer(directory.path(), BOUNDS);
    let append = |writer: &mut LogWriter, number| {
        writer
            .append(stream(0), 1, &frame(&[1], &[b'x'; 500], number))
            .expect("appends")
    };
    for number in 0..60 {
        append(&mut writer, number);
    }
    let directory_of = Root::at(directory.path()).stream(stream(0));
    // A consumer that lives and reads the third segment; nothing of it is committed yet.
    let lock = open_or_create(&directory_of.owner_lock()).expect("opens");
    assert!(try_lock(&lock).expect("locks").is_some());
    let position = PositionFile::open(&directory_of).expect("opens");
    let mut consumer = Cursor::consumer(directory_of.clone(), 0, position);
    let segments = directory_of.segments().expect("listed");
    let mut read = 0;
    while read < segments[2] + 5 {
        if let Read::Record(found) = consumer.read().expect("reads") {
            read = found.header.offset + 1;
        }
    }
    for number in 60..2000 {
        append(&mut writer, number);
    }
    // What is in the consumer's memory is no loss, and its segment is still there.
    let still = directory_of.segments().expect("listed");
    assert_eq!(still[0], segments[2]);
    let mut next = read;
    let mut lost_to_it = 0;
    loop {
        match consumer.read().expect("reads") {
            Read::Record(found) => next = found.header.offset + 1,
            Read::Lost(missing, why) => {
                assert_eq!(why, bus::Loss::Retention);
                lost_to_it += (missing.end - missing.start) as u64;
            }
            Read::End => break,
        }
    }
    assert_eq!(next, 2000);
    assert!(lost_to_it > 0);
    assert_eq!(writer.lost().frames, lost_to_it, "counted exactly");
}

#[test]
fn age_drops_and_young_segments_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let bounds = Bounds {
        age_max_ns: 300_000_000,
        ..BOUNDS
    };
    let mut writer = writer(directory.path(), bounds);
    for number in 0..60 {
        let octets = frame(&[1], &[b'x'; 500], number);
        writer.append(stream(0), 1, &octets).expect("appends");
    }
    writer.maintain().expect("maintained");
    assert_eq!(writer.lost().frames, 0, "nothing is old yet");
    std::thread::sleep(std::time::Duration::from_millis(400));
    let octets = frame(&[2], b"young", 60);
    writer.append(stream(1), 1, &octets).expect("appends");
    writer.maintain().expect("maintained");
    std::thread::sleep(std::time::Duration::from_millis(10));
    writer.maintain().expect("maintained");
    assert_eq!(lost(&writer), [0, 60, 0, 0]);
    assert_eq!(readable(directory.path(), 1, -1), [0, 0, 1, 0]);
}

#[test]
fn there_is_one_writer() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = writer(directory.path(), BOUNDS);
    let second = LogWriter::open(Root::at(directory.path()), BOUNDS).expect_err("locked");
    assert_eq!(second.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    writer(directory.path(), BOUNDS);
}
