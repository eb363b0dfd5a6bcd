//! Reading a stream: record after record, from segment to segment, and what is missing in between.

use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Advice, FlockOperation, fadvise, flock};

use super::directory::StreamDirectory;
use super::format::RECORDS_BEGIN;
use super::index;
use super::position::PositionFile;
use super::segment::{Found, OpenError, SegmentReader};
use crate::Loss;

/// How often a segment that vanishes while it is opened is looked for anew before that is an error.
const TRIES: u32 = 16;

/// What a stream has next.
#[derive(Debug)]
pub enum Read {
    Record(Found),
    /// These offsets were given to records that are not there any more.
    Lost(Range<i64>, Loss),
    /// Nothing more, for now.
    End,
}

/// A place in a stream.
#[derive(Debug)]
pub struct Cursor {
    directory: StreamDirectory,
    /// Offset of the next record; -1: the oldest there is.
    next: i64,
    reader: Option<SegmentReader>,
    /// Read to its end, and held until the next one is: else it might be dropped, and counted as not consumed.
    held: Option<SegmentReader>,
    /// First offset of the segment that was read to its end.
    finished: Option<i64>,
    /// Something of the segments read since the last record could not be read.
    damaged: bool,
    /// Whether the directory may have segments that are not known here.
    look: bool,
    /// Set for the consumer of the stream: the segment that it reads is not dropped.
    position: Option<PositionFile>,
    damaged_bytes: u64,
}

impl Cursor {
    /// A reader that nobody knows of, from `next` on (-1: the oldest there is).
    pub fn new(directory: StreamDirectory, next: i64) -> Self {
        Self {
            directory,
            next,
            reader: None,
            held: None,
            finished: None,
            damaged: false,
            look: true,
            position: None,
            damaged_bytes: 0,
        }
    }

    /// The consumer of the stream. While it reads a segment, the writer does not drop it.
    pub fn consumer(directory: StreamDirectory, next: i64, position: PositionFile) -> Self {
        Self {
            position: Some(position),
            ..Self::new(directory, next)
        }
    }

    /// Offset of the next record; -1: the oldest there is.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Octets that were passed over since they are no whole record.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes + self.reader.as_ref().map_or(0, SegmentReader::damaged_bytes)
    }

    /// Octets of the present segment that are not read: those of a record that is being written, or was torn.
    pub fn unread_bytes(&self) -> u64 {
        self.reader.as_ref().map_or(0, |reader| {
            let size = reader.file().metadata().map_or(0, |file| file.len());
            size.saturating_sub(reader.position())
        })
    }

    /// Everything before `next` is stored.
    pub fn consumed(&mut self, next: i64) -> io::Result<()> {
        match &mut self.position {
            Some(position) => position.consumed(next),
            None => Ok(()),
        }
    }

    /// Looks for new segments when the present one ends, and whether the present one still has its name.
    pub fn look_around(&mut self) {
        self.look = true;
        if let Some(reader) = &self.reader {
            let path = self.directory.segment(reader.header().base);
            if std::fs::metadata(path).is_ok_and(|file| file.ino() != reader.inode()) {
                // Its directory was lost, and the writer has made it anew from what it had.
                self.reader = None;
                self.finished = None;
            }
        }
    }

    /// What comes next. After an error the same may be asked again.
    pub fn read(&mut self) -> io::Result<Read> {
        loop {
            let Some(reader) = &mut self.reader else {
                match self.open()? {
                    Opened::Ready => continue,
                    Opened::Nothing => return Ok(Read::End),
                    Opened::Lost(missing, why) => return Ok(Read::Lost(missing, why)),
                }
            };
            let mut found = reader.next_record()?;
            if found.is_none() {
                if !self.has_later()? {
                    return Ok(Read::End);
                }
                // All of it was written before the later one was made: what is not there now never will be.
                let Some(reader) = &mut self.reader else { continue };
                found = reader.next_record()?;
            }
            match found {
                Some(found) => {
                    if let Some(read) = self.arrive(found) {
                        return Ok(read);
                    }
                }
                None => self.finish(),
            }
        }
    }

    /// Payload of the record that [`Self::read`] gave last.
    pub fn payload(&self, found: &Found) -> &[u8] {
        self.reader.as_ref().map_or(&[], |reader| reader.payload(found))
    }

    /// Goes back to the record that [`Self::read`] gave last.
    pub fn unread(&mut self, found: &Found) {
        self.next = found.header.offset;
        if let Some(reader) = &mut self.reader {
            reader.unread(found);
        }
    }

    fn arrive(&mut self, found: Found) -> Option<Read> {
        let offset = found.header.offset;
        if offset < self.next {
            return None;
        }
        if offset > self.next {
            let missing = self.next..offset;
            self.next = offset;
            if let Some(reader) = &mut self.reader {
                reader.unread(&found);
            }
            return Some(Read::Lost(missing, Loss::Damaged));
        }
        self.next = offset + 1;
        self.damaged = false;
        Some(Read::Record(found))
    }

    fn finish(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        let size = reader.file().metadata().map_or(0, |file| file.len());
        self.damaged |= reader.damaged_bytes() > 0 || size > reader.position();
        self.damaged_bytes += reader.damaged_bytes() + size.saturating_sub(reader.position());
        self.finished = Some(reader.header().base);
        if self.position.is_some() {
            // A consumer far behind would push what others need out of the page cache. Only advice.
            let _ = fadvise(reader.file(), 0, None, Advice::DontNeed);
            self.held = Some(reader);
        }
    }

    fn has_later(&mut self) -> io::Result<bool> {
        let Some(reader) = &self.reader else {
            return Ok(false);
        };
        let base = reader.header().base;
        // The usual case, without reading the directory.
        if self.next > base && self.directory.segment(self.next).exists() {
            return Ok(true);
        }
        if !self.look {
            return Ok(false);
        }
        self.look = false;
        Ok(self.directory.segments()?.last().is_some_and(|last| *last > base))
    }

    /// Opens the segment that has the next record, or the first one behind it.
    fn open(&mut self) -> io::Result<Opened> {
        for _ in 0..TRIES {
            let later = self.later_segments()?;
            let chosen = later
                .iter()
                .rev()
                .find(|base| **base <= self.next)
                .or(later.first());
            let Some(&base) = chosen else {
                return Ok(Opened::Nothing);
            };
            let path = self.directory.segment(base);
            let reader = match SegmentReader::open(&path) {
                Ok(reader) => reader,
                Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(OpenError::Io(error)) => return Err(error),
                Err(OpenError::Header) => {
                    if self.directory.segments()?.last() == Some(&base) {
                        // Just being made, unless it stays so.
                        return Ok(Opened::Nothing);
                    }
                    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
                    self.damaged |= size > RECORDS_BEGIN;
                    self.damaged_bytes += size;
                    self.finished = Some(base);
                    continue;
                }
            };
            if !self.hold(&reader)? {
                continue;
            }
            return self.enter(reader);
        }
        Err(io::Error::other(format!(
            "{}: its segments change faster than they can be opened",
            self.directory.path().display()
        )))
    }

    /// Segments behind the one that was read to its end, ascending.
    fn later_segments(&self) -> io::Result<Vec<i64>> {
        // The usual case, without reading the directory.
        if self.finished.is_some_and(|finished| self.next > finished)
            && self.directory.segment(self.next).exists()
        {
            return Ok(vec![self.next]);
        }
        let mut bases = self.directory.segments()?;
        bases.retain(|base| self.finished.is_none_or(|finished| *base > finished));
        Ok(bases)
    }

    /// Keeps the writer from dropping the segment. False: it was faster.
    fn hold(&mut self, reader: &SegmentReader) -> io::Result<bool> {
        let Some(position) = &mut self.position else {
            return Ok(true);
        };
        match flock(reader.file(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if reader.file().metadata()?.nlink() == 0 {
            return Ok(false);
        }
        if let Err(error) = position.claim(reader.header().base) {
            // Only the writer's counts ask for it: a disk that has become read-only is still read.
            tracing::debug!("claim of {} not noted: {error}", self.directory.path().display());
        }
        Ok(true)
    }

    fn enter(&mut self, mut reader: SegmentReader) -> io::Result<Opened> {
        let header = *reader.header();
        let mut opened = Opened::Ready;
        if self.next < 0 {
            self.next = header.base;
        } else if header.base > self.next {
            if self.next < header.gap_from {
                let why = if self.damaged {
                    Loss::Damaged
                } else {
                    Loss::Retention
                };
                opened = Opened::Lost(self.next..header.gap_from, why);
            }
            self.next = header.base;
        } else if self.next > header.base {
            let entries = index::read(&self.directory.index(header.base), header.seed());
            let at = entries.iter().rev().find(|entry| entry.offset <= self.next);
            if let Some(entry) = at {
                reader.seek(entry.at, entry.offset)?;
            }
        }
        self.damaged = false;
        self.reader = Some(reader);
        self.held = None;
        Ok(opened)
    }
}

enum Opened {
    Ready,
    /// There is no such segment yet.
    Nothing,
    Lost(Range<i64>, Loss),
}
