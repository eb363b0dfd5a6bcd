//! Writing one stream: recovery of what an earlier writer left, appending, new segments.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use super::directory::{StreamDirectory, create, create_new, open_or_create, random};
use super::format::{JUMP, RECORDS_BEGIN, RecordHeader, SegmentHeader};
use super::index::{Entry, IndexWriter};
use super::position;
use super::segment::{OpenError, SegmentReader};
use crate::Stream;

/// Octets that are copied at once when a segment is made anew.
const COPY_BYTES: usize = 1 << 20;

/// A segment that is not written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Offset of its first record.
    pub base: i64,
    /// Offset behind its last one.
    pub end: i64,
    pub bytes: u64,
    pub created_ns: u64,
    /// No record of it is younger, ns since 1970 (UTC).
    pub ended_ns: u64,
}

/// The segment that is written.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
    inode: u64,
    header: SegmentHeader,
    seed: u32,
    bytes: u64,
    /// When its last record was written, ns since 1970 (UTC).
    last_ns: u64,
    index: IndexWriter,
}

/// What recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Octets of a torn record that were cut off.
    pub cut_bytes: u64,
    /// Octets in the middle that are no whole record.
    pub damaged_bytes: u64,
}

/// The writer's end of a stream.
#[derive(Debug)]
pub struct Partition {
    stream: Stream,
    directory: StreamDirectory,
    boot_id: [u8; 16],
    sealed: VecDeque<Sealed>,
    active: Option<Active>,
    /// Offset of the next record.
    next: i64,
    /// Offsets from here up to `next` are given to no record.
    gap_from: i64,
    /// A segment was made, and its name is perhaps not on the disk yet.
    has_new_name: bool,
}

impl Partition {
    /// Opens the stream, makes its directory if it is missing, and recovers what an earlier writer left.
    pub fn open(
        directory: StreamDirectory,
        stream: Stream,
        boot_id: [u8; 16],
    ) -> io::Result<(Self, Recovered)> {
        directory.create()?;
        let mut partition = Self {
            stream,
            directory,
            boot_id,
            sealed: VecDeque::new(),
            active: None,
            next: 0,
            gap_from: 0,
            has_new_name: true,
        };
        let recovered = partition.recover()?;
        Ok((partition, recovered))
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    pub fn directory(&self) -> &StreamDirectory {
        &self.directory
    }

    /// Offset of the next record.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Offset behind the last record. Offsets from there up to the next record's are given to none.
    pub fn end_offset(&self) -> i64 {
        self.gap_from
    }

    /// Number of records from an offset on.
    pub fn records_from(&self, from: i64) -> u64 {
        let sealed = self.sealed.iter().map(|sealed| (sealed.base, sealed.end));
        let active = self
            .active
            .iter()
            .map(|active| (active.header.base, self.gap_from));
        sealed
            .chain(active)
            .map(|(base, end)| (end - base.max(from)).max(0) as u64)
            .sum()
    }

    /// Segments that can be dropped, the oldest first.
    pub fn sealed(&self) -> impl Iterator<Item = &Sealed> {
        self.sealed.iter()
    }

    /// The segment that would be dropped first.
    pub fn oldest(&self) -> Option<Sealed> {
        self.sealed.front().copied()
    }

    /// Octets of the segment that is written; 0 without one.
    pub fn active_bytes(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.bytes)
    }

    /// When the segment that is written was begun, ns since 1970 (UTC).
    pub fn active_since(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.header.created_ns)
    }

    /// The file that has to be synced for what was appended last.
    pub fn active_file(&self) -> Option<&Arc<File>> {
        self.active.as_ref().map(|active| &active.file)
    }

    /// Whether a segment was made since the last call: its name has to be synced as well.
    pub fn take_new_name(&mut self) -> bool {
        std::mem::take(&mut self.has_new_name)
    }

    /// Octets of all segments.
    pub fn bytes(&self) -> u64 {
        self.active_bytes() + self.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.sealed.len() + usize::from(self.active.is_some())
    }

    /// Appends a record and gives its offset. After an error nothing of it is there, and it may be tried again.
    pub fn append(&mut self, now_ns: u64, datagrams: u32, payload: &[u8]) -> io::Result<i64> {
        if self.active.is_none() {
            self.begin(now_ns)?;
        }
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("no segment"));
        };
        let head = RecordHeader::encode(active.seed, self.next, now_ns, datagrams, payload);
        if let Err(error) = write_at(&active.file, &head, payload, active.bytes) {
            if active.file.set_len(active.bytes).is_err() {
                // Readers pass over the torn record; the next one goes into a segment of its own.
                self.seal();
            }
            return Err(error);
        }
        active.index.note(Entry {
            offset: self.next,
            at: active.bytes,
            appended_ns: now_ns,
        });
        active.bytes += (head.len() + payload.len()) as u64;
        active.last_ns = now_ns;
        let offset = self.next;
        self.next += 1;
        self.gap_from = self.next;
        Ok(offset)
    }

    /// Ends the segment that is written, and gives its file, which may have to be synced.
    pub fn seal(&mut self) -> Option<Arc<File>> {
        let active = self.active.take()?;
        self.sealed.push_back(Sealed {
            base: active.header.base,
            end: self.gap_from,
            bytes: active.bytes,
            created_ns: active.header.created_ns,
            ended_ns: active.last_ns,
        });
        Some(active.file)
    }

    /// Leaves room for records that are found later and belong before those that are appended from now on.
    /// Gives the offset of the first of them; [`Self::fill`] writes them.
    pub fn leave_room(&mut self) -> i64 {
        self.seal();
        let first = self.next;
        self.next += JUMP;
        first
    }

    /// Writes records into the room that [`Self::leave_room`] left at `first`, and gives their file, which may have to be synced.
    pub fn fill<'a>(
        &mut self,
        first: i64,
        now_ns: u64,
        records: impl Iterator<Item = (u32, &'a [u8])>,
    ) -> io::Result<Option<Arc<File>>> {
        let active = self.active.take();
        let (next, gap_from) = (self.next, self.gap_from);
        (self.next, self.gap_from) = (first, first);
        let mut written = Ok(0);
        for (datagrams, payload) in records {
            written = self.append(now_ns, datagrams, payload);
            if written.is_err() {
                break;
            }
        }
        let file = self.seal();
        self.sealed.make_contiguous().sort_by_key(|sealed| sealed.base);
        (self.next, self.gap_from, self.active) = (next, gap_from.max(self.gap_from), active);
        written.map(|_| file)
    }

    /// Removes a sealed segment; its index goes with it.
    pub fn remove(&mut self, base: i64) -> io::Result<()> {
        match std::fs::remove_file(self.directory.segment(base)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Without its segment it is only litter.
        let _ = std::fs::remove_file(self.directory.index(base));
        self.sealed.retain(|sealed| sealed.base != base);
        Ok(())
    }

    /// Whether the segment that is written has lost its name, with its directory or alone.
    pub fn has_vanished(&self) -> bool {
        self.active.as_ref().is_some_and(|active| {
            let path = self.directory.segment(active.header.base);
            std::fs::metadata(path).map_or(true, |file| file.ino() != active.inode)
        })
    }

    /// Writes the segment that lost its name anew from what this process still has open. Sealed segments that vanished as
    /// well are gone: gives their records' offsets.
    pub fn restore(&mut self) -> io::Result<Vec<std::ops::Range<i64>>> {
        self.directory.create()?;
        let there = self.directory.segments()?;
        let mut gone = Vec::new();
        self.sealed.retain(|sealed| {
            let keeps = there.contains(&sealed.base);
            if !keeps {
                gone.push(sealed.base..sealed.end);
            }
            keeps
        });
        let Some(old) = self.active.take() else {
            return Ok(gone);
        };
        match self.copy(&old) {
            Ok(restored) => {
                self.active = Some(restored);
                Ok(gone)
            }
            Err(error) => {
                // Tried again: the old file is still all there is.
                self.active = Some(old);
                Err(error)
            }
        }
    }

    fn copy(&self, old: &Active) -> io::Result<Active> {
        let path = self.directory.segment(old.header.base);
        let partial = path.with_extension("partial");
        let file = create(&partial)?;
        let mut octets = vec![0; COPY_BYTES];
        let mut at = 0;
        while at < old.bytes {
            let length = octets.len().min((old.bytes - at) as usize);
            old.file.read_exact_at(&mut octets[..length], at)?;
            file.write_all_at(&octets[..length], at)?;
            at += length as u64;
        }
        // Readers find all of it under its name, or nothing.
        std::fs::rename(&partial, &path)?;
        Ok(Active {
            inode: file.metadata()?.ino(),
            file: Arc::new(file),
            header: old.header,
            seed: old.seed,
            bytes: old.bytes,
            last_ns: old.last_ns,
            index: IndexWriter::create(&self.directory.index(old.header.base), old.seed),
        })
    }

    /// Begins a new segment.
    fn begin(&mut self, now_ns: u64) -> io::Result<()> {
        let mut salt = [0; 8];
        random(&mut salt)?;
        let mut header = SegmentHeader {
            base: self.next,
            gap_from: self.gap_from,
            created_ns: now_ns,
            boot_id: self.boot_id,
            salt: u64::from_le_bytes(salt),
        };
        let file = match create_new(&self.directory.segment(header.base)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // What is there was not recovered: it is left alone, and its offsets are not given again.
                self.next += JUMP;
                header.base = self.next;
                create_new(&self.directory.segment(header.base))?
            }
            made => made?,
        };
        if let Err(error) = file.write_all_at(&header.encode(), 0) {
            let _ = std::fs::remove_file(self.directory.segment(header.base));
            return Err(error);
        }
        let seed = header.seed();
        self.has_new_name = true;
        self.active = Some(Active {
            inode: file.metadata()?.ino(),
            file: Arc::new(file),
            header,
            seed,
            bytes: RECORDS_BEGIN,
            last_ns: now_ns,
            index: IndexWriter::create(&self.directory.index(header.base), seed),
        });
        Ok(())
    }

    /// Looks at what is there, cuts a torn end off, and decides where offsets go on.
    fn recover(&mut self) -> io::Result<Recovered> {
        let mut recovered = Recovered::default();
        let bases = self.directory.segments()?;
        for (place, &base) in bases.iter().enumerate() {
            let path = self.directory.segment(base);
            let is_last = place + 1 == bases.len();
            let file = std::fs::metadata(&path)?;
            let bytes = file.len();
            let ended_ns = (file.mtime().max(0) as u64) * 1_000_000_000 + file.mtime_nsec().max(0) as u64;
            match SegmentReader::open(&path) {
                Ok(reader) if is_last => self.recover_last(reader, bytes, &mut recovered)?,
                Ok(reader) => self.sealed.push_back(Sealed {
                    base,
                    end: 0,
                    bytes,
                    created_ns: reader.header().created_ns,
                    ended_ns,
                }),
                Err(OpenError::Header) if bytes < RECORDS_BEGIN => {
                    // Its writer ended while it made it: no record was ever in it.
                    std::fs::remove_file(&path)?;
                    self.next = self.next.max(base);
                    self.gap_from = self.next;
                }
                Err(OpenError::Header) => {
                    recovered.damaged_bytes += bytes;
                    self.sealed.push_back(Sealed {
                        base,
                        end: 0,
                        bytes,
                        created_ns: 0,
                        ended_ns,
                    });
                    // Nobody knows how many records it had: whoever has not read them is told of one.
                    (self.gap_from, self.next) = (base + 1, base + JUMP);
                }
                Err(OpenError::Io(error)) => return Err(error),
            }
        }
        self.complete_ends();
        if let Some(position) = position::read(&self.directory)?
            && position.next > self.next
        {
            // Somebody has consumed what is not there any more: its offsets are not given again.
            self.seal();
            (self.gap_from, self.next) = (position.next, position.next + JUMP);
        }
        Ok(recovered)
    }

    fn recover_last(
        &mut self,
        mut reader: SegmentReader,
        bytes: u64,
        recovered: &mut Recovered,
    ) -> io::Result<()> {
        let header = *reader.header();
        let mut index = IndexWriter::create(&self.directory.index(header.base), header.seed());
        self.next = header.base;
        let mut last_ns = header.created_ns;
        while let Some(found) = reader.next_record()? {
            self.next = found.header.offset + 1;
            last_ns = last_ns.max(found.header.appended_ns);
            index.note(Entry {
                offset: found.header.offset,
                at: found.at,
                appended_ns: found.header.appended_ns,
            });
        }
        self.gap_from = self.next;
        recovered.damaged_bytes += reader.damaged_bytes();
        let end = reader.position();
        let torn = bytes.saturating_sub(end);
        let file = open_or_create(&self.directory.segment(header.base))?;
        if torn > 0 {
            file.set_len(end)?;
            recovered.cut_bytes += torn;
        }
        let active = Active {
            inode: file.metadata()?.ino(),
            file: Arc::new(file),
            header,
            seed: header.seed(),
            bytes: end,
            last_ns,
            index,
        };
        self.active = Some(active);
        if torn > 0 || header.boot_id != self.boot_id {
            // How far it was written before is not sure, and somebody may have consumed more than is there.
            self.seal();
            self.next += JUMP;
        }
        Ok(())
    }

    /// A sealed segment ends where the next one says that its predecessor did.
    fn complete_ends(&mut self) {
        let mut end = self
            .active
            .as_ref()
            .map_or(self.gap_from, |active| active.header.gap_from);
        for sealed in self.sealed.iter_mut().rev() {
            if sealed.end == 0 {
                sealed.end = end.max(sealed.base);
            }
            let path = self.directory.segment(sealed.base);
            end = SegmentReader::open(&path).map_or(sealed.base, |reader| reader.header().gap_from);
        }
    }
}

/// Writes a record's header and payload behind each other.
fn write_at(file: &File, head: &[u8], payload: &[u8], at: u64) -> io::Result<()> {
    let total = head.len() + payload.len();
    let mut written = 0;
    while written < total {
        let parts = [
            IoSlice::new(&head[written.min(head.len())..]),
            IoSlice::new(&payload[written.saturating_sub(head.len())..]),
        ];
        match rustix::io::pwritev(file, &parts, at + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
