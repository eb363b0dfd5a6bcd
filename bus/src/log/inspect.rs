//! What a log holds, for the operator: reads beside the daemons, locks nothing, changes nothing.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::cursor::{Cursor, Read};
use super::directory::{Root, is_locked};
use super::format::RECORDS_BEGIN;
use super::index;
use super::position::{self, Position};
use super::segment::{OpenError, SegmentReader};
use crate::{Loss, Stream};

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    pub stream: Stream,
    pub segments: usize,
    pub bytes: u64,
    /// Offset of the oldest record; that of the next one where there is none.
    pub first_offset: i64,
    /// Offset of the next record.
    pub next_offset: i64,
    /// When the oldest record was written, ns since 1970 (UTC).
    pub oldest_ns: Option<u64>,
    /// What its consumer said last.
    pub position: Option<Position>,
    /// Whether a consumer has it now.
    pub is_owned: bool,
}

impl StreamStatus {
    /// Records that are not consumed. Offsets that jumped over are none.
    pub fn lag(&self, root: &Root) -> io::Result<u64> {
        let Some(position) = self.position else {
            return records_from(root, self.stream, -1);
        };
        records_from(root, self.stream, position.next)
    }
}

/// Number of records from an offset on, by their headers.
fn records_from(root: &Root, stream: Stream, next: i64) -> io::Result<u64> {
    let directory = root.stream(stream);
    let mut records = 0;
    let bases = directory.segments()?;
    for (place, &base) in bases.iter().enumerate() {
        let end = match SegmentReader::open(&directory.segment(base)) {
            Ok(reader) if place + 1 == bases.len() => end_of(root, stream, reader)?,
            // The next segment says where this one ended.
            Ok(_) => match SegmentReader::open(&directory.segment(bases[place + 1])) {
                Ok(later) => later.header().gap_from.max(base),
                Err(_) => base,
            },
            Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => base,
        };
        records += (end - next.max(base)).max(0) as u64;
    }
    Ok(records)
}

/// Offset behind the last whole record of a segment.
fn end_of(root: &Root, stream: Stream, mut reader: SegmentReader) -> io::Result<i64> {
    let header = *reader.header();
    let entries = index::read(&root.stream(stream).index(header.base), header.seed());
    if let Some(entry) = entries.last() {
        reader.seek(entry.at, entry.offset)?;
    }
    let mut next = reader.skip_to_end()?;
    // Whatever is damaged there.
    while let Some(found) = reader.next_record()? {
        next = found.header.offset + 1;
    }
    Ok(next)
}

/// Looks at a stream.
pub fn status(root: &Root, stream: Stream) -> io::Result<StreamStatus> {
    let directory = root.stream(stream);
    let bases = directory.segments()?;
    let mut status = StreamStatus {
        stream,
        segments: bases.len(),
        bytes: 0,
        first_offset: bases.first().copied().unwrap_or(0),
        next_offset: bases.last().copied().unwrap_or(0),
        oldest_ns: None,
        position: position::read(&directory)?,
        is_owned: is_locked(&directory.owner_lock())?,
    };
    for (place, &base) in bases.iter().enumerate() {
        let path = directory.segment(base);
        status.bytes += std::fs::metadata(&path).map_or(0, |file| file.len());
        let is_last = place + 1 == bases.len();
        if !is_last && status.oldest_ns.is_some() {
            continue;
        }
        match SegmentReader::open(&path) {
            Ok(mut reader) => {
                if status.oldest_ns.is_none()
                    && let Some(found) = reader.next_record()?
                {
                    status.oldest_ns = Some(found.header.appended_ns);
                }
                if is_last {
                    status.next_offset = end_of(root, stream, reader)?;
                }
            }
            Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    Ok(status)
}

/// What the file system has on which a log is, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Octets that whoever is not root may still write.
    pub free_bytes: u64,
    /// tmpfs or ramfs: nothing of it outlives the machine's next start.
    pub is_memory: bool,
}

/// Looks at the file system of an existing file or directory.
pub fn space(path: &Path) -> io::Result<Space> {
    // linux/magic.h.
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    let found = rustix::fs::statfs(path)?;
    // Of a width and sign that differ from machine to machine.
    let kind = found.f_type as u64 & 0xffff_ffff;
    Ok(Space {
        free_bytes: (found.f_bavail as u64).saturating_mul(found.f_bsize as u64),
        is_memory: kind == TMPFS_MAGIC || kind == RAMFS_MAGIC,
    })
}

/// Whether this process may make files in an existing directory.
pub fn may_write(directory: &Path) -> bool {
    rustix::fs::access(
        directory,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .is_ok()
}

/// What reading a stream from begin to end found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// Offsets of records that are damaged: not there, though the segments around them are.
    pub damaged: Vec<std::ops::Range<i64>>,
    /// Octets that are no whole record, those of a torn end included.
    pub damaged_bytes: u64,
    /// Records whose checksum is right and whose payload is no frame, by offset.
    pub no_frames: Vec<i64>,
}

/// A record that is just being written is whole after a moment: this long, so often.
const SETTLE: Duration = Duration::from_millis(20);
const SETTLE_TRIES: u32 = 10;

/// What comes next, of what is written at this moment. At [`Read::End`], octets that the cursor has not read
/// ([`Cursor::unread_bytes`]) are no record that somebody is writing.
pub fn read_settled(cursor: &mut Cursor) -> io::Result<Read> {
    for _ in 0..SETTLE_TRIES {
        cursor.look_around();
        match cursor.read()? {
            Read::End if cursor.unread_bytes() > 0 => std::thread::sleep(SETTLE),
            read => return Ok(read),
        }
    }
    cursor.read()
}

/// Reads a stream from its oldest record to its end. `progress` is told the number of records now and then.
pub fn verify(root: &Root, stream: Stream, mut progress: impl FnMut(u64)) -> io::Result<Verified> {
    const TELL_EVERY: u64 = 256;
    let mut verified = Verified::default();
    let mut cursor = Cursor::new(root.stream(stream), -1);
    loop {
        match read_settled(&mut cursor)? {
            Read::Record(found) => {
                verified.records += 1;
                verified.datagrams += u64::from(found.header.datagrams);
                verified.bytes += found.header.record_bytes();
                let payload = cursor.payload(&found);
                let right = if stream.topic == crate::Topic::DeadLetter {
                    super::letters::read(payload).is_some()
                } else {
                    wire::frame::Frame::open(payload).is_ok()
                };
                if !right {
                    verified.no_frames.push(found.header.offset);
                }
                if verified.records.is_multiple_of(TELL_EVERY) {
                    progress(verified.records);
                }
            }
            Read::Lost(missing, Loss::Damaged) => verified.damaged.push(missing),
            // Dropped while it was read, or before.
            Read::Lost(..) => {}
            Read::End => {
                verified.damaged_bytes =
                    cursor.damaged_bytes() + cursor.unread_bytes() + unreadable_end(root, stream)?;
                return Ok(verified);
            }
        }
    }
}

/// Octets of the last segment, if its header is damaged: a cursor waits before it for a header that never comes.
pub fn unreadable_end(root: &Root, stream: Stream) -> io::Result<u64> {
    let directory = root.stream(stream);
    let Some(base) = directory.segments()?.last().copied() else {
        return Ok(0);
    };
    let path = directory.segment(base);
    Ok(match SegmentReader::open(&path) {
        // A shorter one is just being made, or was when its writer ended: no record was ever in it.
        Err(OpenError::Header) => {
            let size = std::fs::metadata(&path).map_or(0, |file| file.len());
            if size < RECORDS_BEGIN { 0 } else { size }
        }
        Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => 0,
    })
}

/// Offset of the first record written at or after a time (ns since 1970, UTC); the next one's if there is none.
pub fn offset_at(root: &Root, stream: Stream, time_ns: u64) -> io::Result<i64> {
    let directory = root.stream(stream);
    let bases = directory.segments()?;
    // The last segment that was begun before the time has it, or ends before it.
    let mut begin = -1;
    for &base in &bases {
        match SegmentReader::open(&directory.segment(base)) {
            Ok(reader) if reader.header().created_ns < time_ns => begin = base,
            Ok(_) => break,
            Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    if begin >= 0
        && let Ok(reader) = SegmentReader::open(&directory.segment(begin))
    {
        let entries = index::read(&directory.index(begin), reader.header().seed());
        if let Some(entry) = entries.iter().rev().find(|entry| entry.appended_ns < time_ns) {
            begin = entry.offset;
        }
    }
    let mut cursor = Cursor::new(directory, begin);
    loop {
        match cursor.read()? {
            Read::Record(found) if found.header.appended_ns >= time_ns => return Ok(found.header.offset),
            Read::Record(_) | Read::Lost(..) => {}
            Read::End => return Ok(cursor.next_offset().max(0)),
        }
    }
}
