//! One stream: written, read, recovered.

use bus::Loss;
use bus::log::cursor::Cursor;
use bus::log::directory::StreamDirectory;
use bus::log::format::JUMP;
use bus::log::partition::Partition;
use bus::log::position::PositionFile;
use proptest::prelude::*;

use crate::common::{frame, open, read_all, read_from, stream};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_appended_is_read_from_every_offset(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 1..40),
        seal_after in proptest::collection::vec(any::<bool>(), 40),
        reopen_after in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut partition, _) = open(directory.path());
        for (number, payload) in payloads.iter().enumerate() {
            prop_assert_eq!(partition.append(number as u64, 1, payload).expect("appends"), number as i64);
            if seal_after[number] {
                partition.seal();
            }
            if reopen_after[number] {
                drop(partition);
                let (again, recovered) = open(directory.path());
                prop_assert_eq!((recovered.cut_bytes, recovered.damaged_bytes), (0, 0));
                partition = again;
            }
        }
        for from in 0..payloads.len() {
            let seen = read_from(directory.path(), from as i64);
            prop_assert!(seen.lost.is_empty());
            let expected: Vec<_> = (from as i64..).zip(payloads[from..].iter().cloned()).collect();
            prop_assert_eq!(seen.records, expected);
        }
        let all = read_from(directory.path(), -1);
        prop_assert_eq!(all.records.len(), payloads.len());
    }
}

#[test]
fn a_reader_that_waits_at_the_end_sees_what_comes_in_this_segment_and_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut cursor = Cursor::new(StreamDirectory::at(directory.path()), -1);
    assert!(
        read_all(&mut cursor).records.is_empty(),
        "no directory content yet"
    );
    let (mut partition, _) = open(directory.path());
    for number in 0..50u8 {
        partition
            .append(1, 1, &frame(&[number], b"x", number.into()))
            .expect("appends");
        let seen = read_all(&mut cursor);
        assert_eq!((seen.offsets(), seen.lost.len()), (vec![i64::from(number)], 0));
        if number % 7 == 0 {
            partition.seal();
        }
    }
}

#[test]
fn a_large_segment_is_read_from_its_index_and_without_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    let payload = vec![7; 300_000];
    for _ in 0..60 {
        partition.append(1, 1, &payload).expect("appends");
    }
    assert_eq!(read_from(directory.path(), 57).offsets(), [57, 58, 59]);
    let stream = StreamDirectory::at(directory.path());
    // An index that is wrong costs time, never a record.
    let mut index = std::fs::read(stream.index(0)).expect("there is one");
    assert!(index.len() >= 10 * 32, "an entry for each MiB");
    for octet in index.iter_mut().skip(320) {
        *octet ^= 0x55;
    }
    std::fs::write(stream.index(0), &index).expect("written");
    assert_eq!(read_from(directory.path(), 57).offsets(), [57, 58, 59]);
    std::fs::remove_file(stream.index(0)).expect("removed");
    assert_eq!(read_from(directory.path(), 57).offsets(), [57, 58, 59]);
}

#[test]
fn after_a_power_failure_no_offset_is_given_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = |boot| {
        Partition::open(StreamDirectory::at(directory.path()), stream(0), [boot; 16])
            .expect("opens")
            .0
    };
    let mut before = open(1);
    for number in 0..10 {
        before
            .append(1, 1, &frame(&[1], b"before", number))
            .expect("appends");
    }
    drop(before);
    // A consumer has read all ten; the disk has kept six. Then the machine starts anew.
    let mut consumer = Cursor::new(StreamDirectory::at(directory.path()), 0);
    assert_eq!(read_all(&mut consumer).records.len(), 10);
    let segment = StreamDirectory::at(directory.path()).segment(0);
    let size = std::fs::metadata(&segment).expect("there").len();
    std::fs::File::options()
        .write(true)
        .open(&segment)
        .and_then(|file| file.set_len(size / 10 * 6 + 40))
        .expect("cut");
    let mut after = open(2);
    let offset = after.append(1, 1, &frame(&[1], b"after", 10)).expect("appends");
    assert!(offset >= JUMP);
    // Whoever has consumed ten goes on with the eleventh, and has lost nothing.
    let seen = read_from(directory.path(), 10);
    assert_eq!((seen.offsets(), seen.lost), (vec![offset], vec![]));
    // So does the consumer that was reading when it happened.
    let seen = read_all(&mut consumer);
    assert_eq!((seen.offsets(), seen.lost), (vec![offset], vec![]));
}

#[test]
fn a_log_that_lost_its_segments_goes_on_behind_what_was_consumed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    for number in 0..10 {
        partition
            .append(1, 1, &frame(&[1], b"x", number))
            .expect("appends");
    }
    drop(partition);
    let stream = StreamDirectory::at(directory.path());
    let mut position = PositionFile::open(&stream).expect("opens");
    position.consumed(10).expect("noted");
    std::fs::remove_file(stream.segment(0)).expect("removed");
    let (mut partition, _) = open(directory.path());
    let offset = partition.append(1, 1, b"next").expect("appends");
    let seen = read_from(directory.path(), 10);
    assert_eq!((seen.offsets(), seen.lost), (vec![offset], vec![]));
}

#[test]
fn dropped_segments_are_reported_as_lost_to_whoever_had_not_read_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    for number in 0..30 {
        partition
            .append(1, 1, &frame(&[1], b"x", number))
            .expect("appends");
        if number % 10 == 9 {
            partition.seal();
        }
    }
    partition.append(1, 1, b"last").expect("appends");
    partition.remove(0).expect("removed");
    partition.remove(10).expect("removed");
    let seen = read_from(directory.path(), 4);
    assert_eq!(seen.lost, [(4..20, Loss::Retention)]);
    assert_eq!(seen.offsets(), (20..=30).collect::<Vec<_>>());
    assert!(
        read_from(directory.path(), -1).lost.is_empty(),
        "who begins at the oldest has lost nothing"
    );
}

#[test]
fn records_that_belong_before_others_find_their_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    partition.append(1, 1, b"first").expect("appends");
    let room = partition.leave_room();
    partition.append(1, 1, b"fourth").expect("appends");
    let found: [(u32, &[u8]); 2] = [(1, b"second"), (1, b"third")];
    partition.fill(room, 1, found.into_iter()).expect("fills");
    partition.append(1, 1, b"fifth").expect("appends");
    drop(partition);
    let (mut partition, _) = open(directory.path());
    partition.append(1, 1, b"sixth").expect("appends");
    let seen = read_from(directory.path(), 0);
    let texts: Vec<_> = seen
        .records
        .iter()
        .map(|(_, payload)| str::from_utf8(payload).expect("text"))
        .collect();
    assert_eq!(texts, ["first", "second", "third", "fourth", "fifth", "sixth"]);
    assert!(seen.lost.is_empty());
}

#[test]
fn a_directory_that_vanishes_comes_back_with_what_was_being_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("stream");
    let (mut partition, _) = open(&path);
    for number in 0..10 {
        partition
            .append(1, 1, &frame(&[1], b"x", number))
            .expect("appends");
        if number == 3 {
            partition.seal();
        }
    }
    let mut cursor = Cursor::new(StreamDirectory::at(&path), 6);
    assert_eq!(read_all(&mut cursor).records.len(), 4);
    assert!(!partition.has_vanished());
    std::fs::remove_dir_all(&path).expect("removed");
    assert!(partition.has_vanished());
    assert_eq!(
        partition.restore().expect("made anew"),
        std::iter::once(0..4).collect::<Vec<_>>()
    );
    partition.append(1, 1, b"next").expect("appends");
    assert_eq!(
        read_all(&mut cursor).offsets(),
        [10],
        "the reader goes on in the new file"
    );
    let seen = read_from(&path, 0);
    assert_eq!(
        (seen.offsets(), seen.lost),
        ((4..=10).collect(), vec![(0..4, Loss::Retention)])
    );
}
