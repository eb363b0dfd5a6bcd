//! Damaged and cut logs: never a panic, never a wrong record, exactly what is damaged is missing.

use std::path::Path;

use bus::Loss;
use bus::log::directory::StreamDirectory;
use bus::log::format::RECORDS_BEGIN;

use crate::common::{Seen, frame, open, read_from};

const RECORDS: i64 = 6;

/// A small log in one segment; gives the segment's octets, and where each record begins and the last one ends.
fn small(path: &Path) -> (Vec<u8>, Vec<usize>) {
    let (mut partition, _) = open(path);
    let mut begins = vec![RECORDS_BEGIN as usize];
    for number in 0..RECORDS {
        // Payloads of different lengths; one is empty.
        let payload = if number == 2 {
            Vec::new()
        } else {
            frame(&[number as u8], &vec![b'x'; number as usize * 3], 1)
        };
        partition.append(number as u64 + 1, 1, &payload).expect("appends");
        begins.push(begins.last().expect("one") + 40 + payload.len());
    }
    let octets = std::fs::read(StreamDirectory::at(path).segment(0)).expect("the segment");
    assert_eq!(octets.len(), *begins.last().expect("the end"));
    (octets, begins)
}

fn with(path: &Path, octets: &[u8]) -> Seen {
    std::fs::write(StreamDirectory::at(path).segment(0), octets).expect("written");
    read_from(path, 0)
}

#[test]
fn a_log_cut_at_any_octet_gives_the_records_before_it_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (octets, begins) = small(directory.path());
    let whole = with(directory.path(), &octets).records;
    for end in 0..octets.len() {
        let here = tempfile::tempdir().expect("a directory");
        let seen = with(here.path(), &octets[..end]);
        let left = begins[1..].iter().filter(|begin| **begin <= end).count();
        assert_eq!(seen.records, whole[..left], "cut at {end}");
        assert!(
            seen.lost.is_empty(),
            "cut at {end}: the rest may still be written"
        );

        // A writer cuts the torn record off, says how much that was, and goes on.
        let (mut partition, recovered) = open(here.path());
        let torn = if end < RECORDS_BEGIN as usize {
            0
        } else {
            end - begins[left]
        };
        assert_eq!(
            (recovered.cut_bytes, recovered.damaged_bytes),
            (torn as u64, 0),
            "cut at {end}"
        );
        let offset = partition.append(9, 1, b"next").expect("appends");
        let seen = read_from(here.path(), 0);
        assert_eq!(seen.records[..left], whole[..left], "cut at {end}");
        assert_eq!(seen.records[left..], [(offset, b"next".to_vec())], "cut at {end}");
        assert!(seen.lost.is_empty(), "cut at {end}: {:?}", seen.lost);
    }
}

#[test]
fn every_flipped_bit_costs_its_record_and_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let (octets, begins) = small(directory.path());
    let whole = with(directory.path(), &octets).records;
    for bit in 0..octets.len() * 8 {
        let mut damaged = octets.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let seen = with(directory.path(), &damaged);
        let hit = begins.iter().rposition(|begin| *begin <= bit / 8);
        let mut expected = whole.clone();
        let mut lost = Vec::new();
        if let Some(hit) = hit {
            expected.remove(hit);
            // Nothing tells the last record from one that is being written.
            if (hit as i64) < RECORDS - 1 {
                lost.push((hit as i64..hit as i64 + 1, Loss::Damaged));
            }
        }
        assert_eq!((seen.records, seen.lost), (expected, lost), "bit {bit}");
    }
}

#[test]
fn a_flipped_bit_in_the_last_record_costs_it_alone_once_a_writer_has_gone_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (octets, begins) = small(directory.path());
    let whole = with(directory.path(), &octets).records;
    let last = begins[RECORDS as usize - 1];
    for bit in last * 8..octets.len() * 8 {
        let here = tempfile::tempdir().expect("a directory");
        let mut damaged = octets.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        with(here.path(), &damaged);
        let (mut partition, recovered) = open(here.path());
        assert_eq!(recovered.cut_bytes as usize, octets.len() - last, "bit {bit}");
        let offset = partition.append(9, 1, b"next").expect("appends");
        assert!(offset > RECORDS, "the damaged record's offset is not given again");
        let seen = read_from(here.path(), 0);
        assert_eq!(
            seen.records[..RECORDS as usize - 1],
            whole[..RECORDS as usize - 1],
            "bit {bit}"
        );
        assert_eq!(seen.offsets()[RECORDS as usize - 1..], [offset], "bit {bit}");
    }
}

#[test]
fn several_damaged_records_and_foreign_octets_are_passed_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (octets, begins) = small(directory.path());
    let whole = with(directory.path(), &octets).records;
    // Records 1 to 3 become something else, longer than they were, with marks of records in it.
    let mut damaged = octets[..begins[1]].to_vec();
    for _ in 0..100_000 {
        damaged.extend_from_slice(b"NREC and more ");
    }
    damaged.extend_from_slice(&octets[begins[4]..]);
    let seen = with(directory.path(), &damaged);
    assert_eq!(seen.lost, [(1..4, Loss::Damaged)]);
    assert_eq!(seen.offsets(), [0, 4, 5]);
    assert_eq!(seen.records[1..], whole[4..]);
}

#[test]
fn a_record_inside_a_payload_is_never_read_as_one() {
    // Somebody sends what would be a record of this very place in another log.
    let other = tempfile::tempdir().expect("a directory");
    let (foreign, begins) = small(other.path());
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    partition.append(1, 1, b"first").expect("appends");
    partition.append(1, 1, &foreign[begins[1]..]).expect("appends");
    partition.append(1, 1, b"third").expect("appends");
    let path = StreamDirectory::at(directory.path()).segment(0);
    let mut octets = std::fs::read(&path).expect("the segment");
    // Its header is damaged, so that what is inside is searched.
    octets[RECORDS_BEGIN as usize + 45 + 9] ^= 1;
    let seen = with(directory.path(), &octets);
    assert_eq!(seen.records, [(0, b"first".to_vec()), (2, b"third".to_vec())]);
    assert_eq!(seen.lost, [(1..2, Loss::Damaged)]);
}

#[test]
fn a_segment_without_a_readable_header_costs_its_records_and_no_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    for number in 0..9 {
        partition
            .append(1, 1, &frame(&[1], b"x", number))
            .expect("appends");
        if number % 3 == 2 {
            partition.seal();
        }
    }
    partition.append(1, 1, b"last").expect("appends");
    drop(partition);
    let path = StreamDirectory::at(directory.path()).segment(3);
    let mut octets = std::fs::read(&path).expect("the segment");
    octets[..RECORDS_BEGIN as usize].fill(0);
    std::fs::write(&path, octets).expect("written");
    let seen = read_from(directory.path(), 0);
    assert_eq!(seen.lost, [(3..6, Loss::Damaged)]);
    assert_eq!(seen.offsets(), [0, 1, 2, 6, 7, 8, 9]);
}

#[test]
fn a_last_segment_without_a_readable_header_is_told_of_once_a_writer_has_gone_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    partition.append(1, 1, b"first").expect("appends");
    partition.seal();
    partition.append(1, 1, b"second").expect("appends");
    drop(partition);
    let path = StreamDirectory::at(directory.path()).segment(1);
    let mut octets = std::fs::read(&path).expect("the segment");
    octets[..RECORDS_BEGIN as usize].fill(0);
    std::fs::write(&path, octets).expect("written");
    let (mut partition, recovered) = open(directory.path());
    assert!(recovered.damaged_bytes > 0);
    let offset = partition.append(1, 1, b"third").expect("appends");
    let seen = read_from(directory.path(), 0);
    assert_eq!(seen.offsets(), [0, offset]);
    assert_eq!(seen.lost, [(1..2, Loss::Damaged)]);
}

#[test]
fn a_segment_under_another_name_is_not_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut partition, _) = open(directory.path());
    partition.append(1, 1, b"first").expect("appends");
    drop(partition);
    let stream = StreamDirectory::at(directory.path());
    std::fs::copy(stream.segment(0), stream.segment(7)).expect("copied");
    let (mut partition, _) = open(directory.path());
    let offset = partition.append(1, 1, b"next").expect("appends");
    assert!(offset > 7);
    assert_eq!(read_from(directory.path(), 0).offsets(), [0, offset]);
}
