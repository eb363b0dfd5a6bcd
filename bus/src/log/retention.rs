//! What is dropped when the log is full or old, and what is lost with it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use wire::frame::{Frame, PayloadKind};

use super::directory::{StreamDirectory, try_lock};
use super::partition::{Partition, Sealed};
use super::position;
use super::segment::{OpenError, SegmentReader};
use crate::{GivenUp, Stream, Topic};

/// Exporters that are told apart in the counts of what was dropped; all others are added up.
pub const EXPORTERS_MAX: usize = 1024;
/// Size at which the list of what was dropped is begun anew; the one before is kept.
const DROPPED_BYTES_MAX: u64 = 4 << 20;

/// Why segments are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `size_max_mib` is reached.
    Size,
    /// The file system has no more than `free_reserve_mib` left.
    Reserve,
    /// `age_max_hours` is over.
    Age,
    /// Somebody else removed the files.
    Vanished,
}

/// What was dropped before it was consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub frames: u64,
    pub datagrams: u64,
    /// Datagrams by exporter; `None` for those beyond [`EXPORTERS_MAX`], or in records that could not be read.
    pub by_exporter: BTreeMap<Option<IpAddr>, u64>,
    /// The same datagrams for the ledger, until they are taken.
    pub given_up: GivenUp,
}

impl Lost {
    pub fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.datagrams += other.datagrams;
        self.given_up.append(other.given_up);
        for (exporter, datagrams) in other.by_exporter {
            self.count(exporter, datagrams);
        }
    }

    fn count(&mut self, exporter: Option<IpAddr>, datagrams: u64) {
        let known = self.by_exporter.len() < EXPORTERS_MAX || self.by_exporter.contains_key(&exporter);
        *self.by_exporter.entry(exporter.filter(|_| known)).or_default() += datagrams;
    }
}

/// What a partition has that could be dropped first: its oldest sealed segment.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Place of the partition in the writer.
    pub place: usize,
    pub sealed: Sealed,
    /// Whether all of it was consumed.
    pub consumed: bool,
}

/// The sealed segments of a partition that could be dropped: the oldest consumed one, and the oldest at all.
pub fn candidates(place: usize, partition: &Partition) -> io::Result<Vec<Candidate>> {
    let floor = floor(partition)?;
    Ok(partition
        .sealed()
        .map(|&sealed| Candidate {
            place,
            sealed,
            consumed: sealed.end <= floor,
        })
        .collect())
}

/// Offset before which everything is consumed. Dead letters are kept to be looked at, and nobody consumes them.
fn floor(partition: &Partition) -> io::Result<i64> {
    if partition.stream().topic == Topic::DeadLetter {
        return Ok(i64::MAX);
    }
    position::floor(partition.directory())
}

/// Drops a sealed segment, and says what of it was not consumed. `None`: its consumer is reading it.
pub fn drop_segment(partition: &mut Partition, sealed: Sealed) -> io::Result<Option<Lost>> {
    let path = partition.directory().segment(sealed.base);
    // Held until it is gone: no consumer begins to read it now.
    let _held = match File::open(&path) {
        Ok(file) => match try_lock(&file)? {
            Some(()) => Some(file),
            None => return Ok(None),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let floor = floor(partition)?;
    let lost = if sealed.end <= floor {
        Lost::default()
    } else {
        count(partition.directory(), sealed, floor)?
    };
    partition.remove(sealed.base)?;
    Ok(Some(lost))
}

/// Counts what a segment has at and behind `floor`.
fn count(directory: &StreamDirectory, sealed: Sealed, floor: i64) -> io::Result<Lost> {
    let mut lost = Lost::default();
    let mut next = floor.max(sealed.base);
    let mut reader = match SegmentReader::open(&directory.segment(sealed.base)) {
        Ok(reader) => reader,
        Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {
            lost.frames = (sealed.end - next).max(0) as u64;
            return Ok(lost);
        }
    };
    while let Some(found) = reader.next_record()? {
        if found.header.offset < next {
            continue;
        }
        // Records that are damaged are lost as well; how many datagrams they had, nobody knows.
        lost.frames += (found.header.offset - next) as u64 + 1;
        next = found.header.offset + 1;
        lost.datagrams += u64::from(found.header.datagrams);
        let payload = reader.payload(&found);
        lost.given_up.add_frame(payload, found.header.datagrams.into());
        match Frame::open(payload) {
            Ok(frame) if frame.kind() == PayloadKind::Ledger => {}
            Ok(frame) => {
                for datagram in frame.datagrams() {
                    lost.count(Some(datagram.exporter), 1);
                }
            }
            Err(_) => lost.count(None, u64::from(found.header.datagrams)),
        }
    }
    lost.frames += (sealed.end - next).max(0) as u64;
    Ok(lost)
}

/// A line of the list of what was dropped before it was consumed.
#[derive(Serialize)]
struct Line<'a> {
    /// ns since 1970 (UTC).
    time_ns: u64,
    stream: String,
    reason: Reason,
    /// Offsets of the segment.
    first: i64,
    next: i64,
    lost_frames: u64,
    lost_datagrams: u64,
    by_exporter: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// Writes down what was lost, for whoever asks later. What fails is said in the log alone.
pub fn write_down(
    path: &Path,
    stream: Stream,
    reason: Reason,
    (first, next): (i64, i64),
    lost: &Lost,
    note: Option<&str>,
) {
    let line = Line {
        time_ns: super::now_ns(),
        stream: stream.to_string(),
        reason,
        first,
        next,
        lost_frames: lost.frames,
        lost_datagrams: lost.datagrams,
        by_exporter: lost
            .by_exporter
            .iter()
            .map(|(exporter, count)| (exporter.map_or("others".into(), |ip| ip.to_string()), *count))
            .collect(),
        note,
    };
    let write = || -> io::Result<()> {
        if std::fs::metadata(path).is_ok_and(|file| file.len() > DROPPED_BYTES_MAX) {
            std::fs::rename(path, path.with_extension("jsonl.1"))?;
        }
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o640)
            .open(path)?
            .write_all(&text)
    };
    if let Err(error) = write() {
        tracing::warn!(
            "cannot write down in {} what was dropped: {error}",
            path.display()
        );
    }
}
