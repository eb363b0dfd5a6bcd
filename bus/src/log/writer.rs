//! Writing a log: all its streams, within its bounds. One writer at a time, which holds the log's lock.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::directory::{Root, boot_id, open_or_create, try_lock};
use super::partition::{Partition, Recovered};
use super::retention::{self, Candidate, Lost, Reason};
use super::{now_ns, position};
use crate::{GivenUp, Stream};

const MIB: u64 = 1 << 20;
/// A segment is begun anew when it is this old, so that age finds something to drop.
const SEGMENT_AGE_MAX_NS: u64 = 3600 * 1_000_000_000;
const HOUR_NS: u64 = 3600 * 1_000_000_000;
/// Most that is written between two looks at the free space, in octets.
const FREE_LOOK_BYTES_MAX: u64 = 16 * MIB;

/// Why a log cannot be written.
#[derive(Debug)]
pub enum WriteError {
    Io(io::Error),
    /// There is no room, and nothing that may be dropped.
    Full(Reason),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Bounds of a log.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub segment_bytes: u64,
    pub size_max_bytes: u64,
    pub age_max_ns: u64,
    pub free_reserve_bytes: u64,
    /// Drops what was not consumed to make room.
    pub drop_oldest: bool,
}

impl Bounds {
    pub fn new(log: &config::Log) -> Self {
        Self {
            segment_bytes: u64::from(log.segment_mib) * MIB,
            size_max_bytes: log.size_max_mib * MIB,
            age_max_ns: u64::from(log.age_max_hours) * HOUR_NS,
            free_reserve_bytes: log.free_reserve_mib * MIB,
            drop_oldest: log.when_full == config::WhenFull::DropOldest,
        }
    }
}

/// The writer's end of a log.
#[derive(Debug)]
pub struct LogWriter {
    root: Root,
    bounds: Bounds,
    boot_id: [u8; 16],
    partitions: Vec<Partition>,
    places: HashMap<Stream, usize>,
    bytes: u64,
    /// Octets written since the file system was last asked for its free space.
    unasked: u64,
    lacks_space: bool,
    lost: Lost,
    /// Sealed files that are perhaps not on the disk yet.
    unsynced: Vec<Arc<File>>,
    _lock: File,
}

impl LogWriter {
    /// Opens the log, makes it if it is missing, and recovers all its streams.
    ///
    /// # Errors
    /// `WouldBlock` if another process writes it.
    pub fn open(root: Root, bounds: Bounds) -> io::Result<Self> {
        root.create()?;
        let lock = open_or_create(&root.writer_lock())?;
        if try_lock(&lock)?.is_none() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut writer = Self {
            boot_id: boot_id(),
            partitions: Vec::new(),
            places: HashMap::new(),
            bytes: 0,
            unasked: u64::MAX / 2,
            lacks_space: false,
            lost: Lost::default(),
            unsynced: Vec::new(),
            _lock: lock,
            root,
            bounds,
        };
        for stream in writer.root.streams()? {
            // Dead letters have writers of their own.
            if stream.topic != crate::Topic::DeadLetter {
                writer.partition(stream)?;
            }
        }
        Ok(writer)
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Octets of all segments.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was dropped before it was consumed, since the log was opened.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// The datagrams of it that were not taken yet.
    pub fn take_given_up(&mut self) -> GivenUp {
        std::mem::take(&mut self.lost.given_up)
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.partitions.iter().map(Partition::segments).sum()
    }

    /// Opens a stream, or makes it.
    pub fn add(&mut self, stream: Stream) -> io::Result<()> {
        self.partition(stream).map(drop)
    }

    /// Offset of the next record of a stream that was opened.
    pub fn next_offset(&self, stream: Stream) -> Option<i64> {
        let place = *self.places.get(&stream)?;
        Some(self.partitions[place].next_offset())
    }

    /// Offset behind the last record of a stream that was opened.
    pub fn end_offset(&self, stream: Stream) -> Option<i64> {
        let place = *self.places.get(&stream)?;
        Some(self.partitions[place].end_offset())
    }

    /// Number of records of a stream that was opened, from an offset on.
    pub fn records_from(&self, stream: Stream, from: i64) -> u64 {
        self.places
            .get(&stream)
            .map_or(0, |&place| self.partitions[place].records_from(from))
    }

    /// Removes all records of a stream: they are not needed any more.
    pub fn forget(&mut self, stream: Stream) -> io::Result<()> {
        let place = self.partition(stream)?;
        let partition = &mut self.partitions[place];
        let before = partition.bytes();
        partition.seal();
        while let Some(sealed) = partition.oldest() {
            partition.remove(sealed.base)?;
        }
        self.bytes = self.bytes.saturating_sub(before);
        self.look_at_space();
        Ok(())
    }

    /// Appends a record and gives its offset. After an error nothing of it is there.
    pub fn append(&mut self, stream: Stream, datagrams: u32, payload: &[u8]) -> Result<i64, WriteError> {
        let place = self.partition(stream)?;
        let now = now_ns();
        self.make_room(place, payload.len() as u64)?;
        let partition = &mut self.partitions[place];
        let before = partition.active_bytes();
        let offset = partition.append(now, datagrams, payload)?;
        let more = partition.active_bytes() - before;
        self.bytes += more;
        self.unasked += more;
        Ok(offset)
    }

    /// See [`Partition::leave_room`].
    pub fn leave_room(&mut self, stream: Stream) -> io::Result<i64> {
        let place = self.partition(stream)?;
        self.seal(place);
        Ok(self.partitions[place].leave_room())
    }

    /// Writes records into the room that was left at `first`.
    pub fn fill<'a>(
        &mut self,
        stream: Stream,
        first: i64,
        records: impl Iterator<Item = (u32, &'a [u8])>,
    ) -> io::Result<()> {
        let place = self.partition(stream)?;
        let before = self.partitions[place].bytes();
        let filled = self.partitions[place].fill(first, now_ns(), records)?;
        self.unsynced.extend(filled);
        self.bytes += self.partitions[place].bytes() - before;
        Ok(())
    }

    /// Files of segments that were ended and are perhaps not on the disk yet.
    pub fn take_ended(&mut self) -> Vec<Arc<File>> {
        std::mem::take(&mut self.unsynced)
    }

    /// Whether [`Self::take_ended`] has any.
    pub fn has_ended(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Files that have to be synced for all that was appended so far, and directories whose names have to be.
    pub fn take_unsynced(&mut self) -> (Vec<Arc<File>>, Vec<std::path::PathBuf>) {
        let mut files = std::mem::take(&mut self.unsynced);
        let mut directories = Vec::new();
        for partition in &mut self.partitions {
            files.extend(partition.active_file().cloned());
            if partition.take_new_name() {
                directories.push(partition.directory().path().to_owned());
            }
        }
        (files, directories)
    }

    /// Begins new segments: what was not synced may never be, and nothing is added to it.
    pub fn begin_anew(&mut self) {
        for partition in &mut self.partitions {
            partition.seal();
        }
    }

    /// What has to be done now and then: old segments, free space, files that somebody removed.
    pub fn maintain(&mut self) -> Result<(), WriteError> {
        let now = now_ns();
        self.look_at_space();
        self.restore_vanished()?;
        for place in 0..self.partitions.len() {
            let age = self.bounds.age_max_ns;
            if self.partitions[place]
                .active_since()
                .is_some_and(|since| now.saturating_sub(since) > age.min(SEGMENT_AGE_MAX_NS))
                && self.partitions[place].active_bytes() > super::format::RECORDS_BEGIN
            {
                self.seal(place);
            }
            // A segment is as old as its youngest record.
            while let Some(oldest) = self.too_old(place, now) {
                if !self.drop_candidate(&oldest, Reason::Age)? {
                    break;
                }
            }
        }
        // Room that consumers have made possible, or that others have taken.
        match self.room(0) {
            Err(WriteError::Full(_)) => Ok(()),
            result => result,
        }
    }

    fn too_old(&self, place: usize, now: u64) -> Option<Candidate> {
        let partition = &self.partitions[place];
        let oldest = partition.oldest()?;
        let floor = position::floor(partition.directory()).unwrap_or(0);
        (now.saturating_sub(oldest.ended_ns) > self.bounds.age_max_ns).then_some(Candidate {
            place,
            sealed: oldest,
            consumed: oldest.end <= floor,
        })
    }

    /// Begins a new segment where the present one is full, and drops what has to go.
    fn make_room(&mut self, place: usize, bytes: u64) -> Result<(), WriteError> {
        if self.partitions[place].active_bytes() + bytes > self.bounds.segment_bytes
            && self.partitions[place].active_bytes() > super::format::RECORDS_BEGIN
        {
            self.seal(place);
        }
        self.room(bytes)
    }

    fn room(&mut self, bytes: u64) -> Result<(), WriteError> {
        while let Some(reason) = self.lacks(bytes)? {
            self.drop_something(reason)?;
        }
        Ok(())
    }

    /// Which bound `bytes` more would break.
    fn lacks(&mut self, bytes: u64) -> io::Result<Option<Reason>> {
        if self.bytes + bytes > self.bounds.size_max_bytes {
            return Ok(Some(Reason::Size));
        }
        let look_every = (self.bounds.free_reserve_bytes / 8).min(FREE_LOOK_BYTES_MAX);
        if self.bounds.free_reserve_bytes > 0 && (self.lacks_space || self.unasked >= look_every) {
            let free = rustix::fs::statvfs(self.root.path())?;
            let free = free.f_bavail.saturating_mul(free.f_frsize);
            self.lacks_space = free < self.bounds.free_reserve_bytes;
            self.unasked = 0;
        }
        Ok(self.lacks_space.then_some(Reason::Reserve))
    }

    /// Drops one segment: the oldest that was consumed; else, if that is allowed, the oldest.
    fn drop_something(&mut self, reason: Reason) -> Result<(), WriteError> {
        let mut candidates = Vec::new();
        for (place, partition) in self.partitions.iter().enumerate() {
            candidates.extend(retention::candidates(place, partition)?);
        }
        candidates.sort_by_key(|candidate| (!candidate.consumed, candidate.sealed.created_ns));
        for candidate in candidates {
            if !candidate.consumed && !self.bounds.drop_oldest {
                break;
            }
            if self.drop_candidate(&candidate, reason)? {
                return Ok(());
            }
        }
        // Nothing sealed can go: the fullest segment is ended, if it holds anything that could.
        let fullest = (0..self.partitions.len())
            .filter(|&place| self.partitions[place].active_bytes() > super::format::RECORDS_BEGIN)
            .max_by_key(|&place| self.partitions[place].active_bytes());
        let Some(place) = fullest else {
            return Err(WriteError::Full(reason));
        };
        let next = self.partitions[place].next_offset();
        if !self.bounds.drop_oldest && position::floor(self.partitions[place].directory())? < next {
            return Err(WriteError::Full(reason));
        }
        self.seal(place);
        let sealed = self.partitions[place].sealed().last().copied();
        let dropped = match sealed {
            Some(sealed) => self.drop_candidate(
                &Candidate {
                    place,
                    sealed,
                    consumed: false,
                },
                reason,
            )?,
            None => false,
        };
        if dropped {
            Ok(())
        } else {
            Err(WriteError::Full(reason))
        }
    }

    /// False: its consumer is reading it.
    fn drop_candidate(&mut self, candidate: &Candidate, reason: Reason) -> io::Result<bool> {
        let partition = &mut self.partitions[candidate.place];
        let stream = partition.stream();
        let Some(lost) = retention::drop_segment(partition, candidate.sealed)? else {
            return Ok(false);
        };
        self.bytes = self.bytes.saturating_sub(candidate.sealed.bytes);
        self.lacks_space = false;
        self.look_at_space();
        if lost.frames > 0 {
            let (first, next) = (candidate.sealed.base, candidate.sealed.end);
            tracing::error!(
                "frame log {}: {} frames with {} datagrams of {stream} are LOST: dropped before they were consumed ({})",
                self.root.path().display(),
                lost.frames,
                lost.datagrams,
                match reason {
                    Reason::Size => "bus.log.size_max_mib is reached",
                    Reason::Reserve => "the disk has only bus.log.free_reserve_mib left",
                    Reason::Age => "older than bus.log.age_max_hours",
                    Reason::Vanished => "somebody removed them",
                }
            );
            retention::write_down(&self.root.dropped(), stream, reason, (first, next), &lost, None);
            self.lost.add(lost);
        }
        Ok(true)
    }

    /// The free space is asked for before the next record.
    fn look_at_space(&mut self) {
        self.unasked = u64::MAX / 2;
    }

    fn restore_vanished(&mut self) -> io::Result<()> {
        if !self.partitions.iter().any(Partition::has_vanished) {
            return Ok(());
        }
        let path = self.root.path().display().to_string();
        tracing::error!(
            "frame log {path}: files of it were removed while they were written; makes them anew"
        );
        self.root.create()?;
        for partition in &mut self.partitions {
            let floor = position::floor(partition.directory()).unwrap_or(0);
            for gone in partition.restore()? {
                // Without its files nobody knows whose they were.
                let frames = (gone.end - gone.start.max(floor)).max(0) as u64;
                let lost = Lost {
                    frames,
                    ..Lost::default()
                };
                if frames > 0 {
                    tracing::error!(
                        "frame log {path}: up to {frames} frames of {} are LOST: their segment {} was removed",
                        partition.stream(),
                        gone.start
                    );
                    let range = (gone.start, gone.end);
                    let note = Some("datagrams unknown");
                    retention::write_down(
                        &self.root.dropped(),
                        partition.stream(),
                        Reason::Vanished,
                        range,
                        &lost,
                        note,
                    );
                    self.lost.add(lost);
                }
            }
        }
        self.bytes = self.partitions.iter().map(Partition::bytes).sum();
        Ok(())
    }

    fn seal(&mut self, place: usize) {
        self.unsynced.extend(self.partitions[place].seal());
    }

    /// Place of the stream; opens it if that was not done yet.
    fn partition(&mut self, stream: Stream) -> io::Result<usize> {
        if let Some(&place) = self.places.get(&stream) {
            return Ok(place);
        }
        let (partition, recovered) = Partition::open(self.root.stream(stream), stream, self.boot_id)?;
        let Recovered {
            cut_bytes,
            damaged_bytes,
        } = recovered;
        if cut_bytes > 0 {
            tracing::warn!(
                "frame log {}: {stream} ended in the middle of a record: {cut_bytes} octets were cut off",
                self.root.path().display()
            );
        }
        if damaged_bytes > 0 {
            tracing::error!(
                "frame log {}: {stream} has {damaged_bytes} octets that are no whole record; `natrail log verify` says where",
                self.root.path().display()
            );
        }
        self.bytes += partition.bytes();
        self.places.insert(stream, self.partitions.len());
        self.partitions.push(partition);
        Ok(self.partitions.len() - 1)
    }
}
