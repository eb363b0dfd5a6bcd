//! How far a stream is consumed, as its consumer last said: a hint beside the database, which decides.
//!
//! The writer asks it before it drops a segment, and `natrail log status` shows it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::directory::{StreamDirectory, is_locked, open_or_create};
use super::format::offset;

const MAGIC: [u8; 4] = *b"NPOS";

/// 32 octets, written at once.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    magic: [u8; 4],
    checksum: U32,
    next: U64,
    claimed: U64,
    written_ns: U64,
}

impl Raw {
    fn sum(&self) -> u32 {
        let bare = Self {
            checksum: 0.into(),
            ..*self
        };
        crc32c::crc32c(bare.as_bytes())
    }
}

/// What the consumer of a stream said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Offset of the next record to consume: everything before is stored.
    pub next: i64,
    /// First record of the segment that is being read: everything before is at least in the consumer's memory.
    pub claimed: i64,
    /// When it was said, ns since 1970 (UTC).
    pub written_ns: u64,
}

/// The consumer's end.
#[derive(Debug)]
pub struct PositionFile {
    file: File,
}

impl PositionFile {
    /// Opens the stream's file, or makes it.
    pub fn open(directory: &StreamDirectory) -> io::Result<Self> {
        let file = open_or_create(&directory.position())?;
        Ok(Self { file })
    }

    /// Everything before `next` is stored.
    pub fn consumed(&mut self, next: i64) -> io::Result<()> {
        self.say(|position| position.next = next)
    }

    /// The segment that begins at `base` is being read.
    pub fn claim(&mut self, base: i64) -> io::Result<()> {
        self.say(|position| position.claimed = base)
    }

    fn say(&mut self, change: impl FnOnce(&mut Position)) -> io::Result<()> {
        let mut octets = [0; size_of::<Raw>()];
        let length = self.file.read_at(&mut octets, 0)?;
        let mut position = decode(&octets[..length]).unwrap_or_default();
        change(&mut position);
        let mut raw = Raw {
            magic: MAGIC,
            checksum: 0.into(),
            next: (position.next.max(0) as u64).into(),
            claimed: (position.claimed.max(0) as u64).into(),
            written_ns: super::now_ns().into(),
        };
        raw.checksum = raw.sum().into();
        self.file.write_all_at(raw.as_bytes(), 0)
    }
}

/// What the consumer said last; `None` if it never said anything whole.
pub fn read(directory: &StreamDirectory) -> io::Result<Option<Position>> {
    let octets = match std::fs::read(directory.position()) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(decode(&octets))
}

fn decode(octets: &[u8]) -> Option<Position> {
    let raw = Raw::ref_from_bytes(octets).ok()?;
    let right = raw.magic == MAGIC && raw.checksum.get() == raw.sum();
    right.then_some(Position {
        next: offset(raw.next.get())?,
        claimed: offset(raw.claimed.get())?,
        written_ns: raw.written_ns.get(),
    })
}

/// Records before this offset can be dropped without loss: they are stored, or in the memory of a consumer that lives.
pub fn floor(directory: &StreamDirectory) -> io::Result<i64> {
    let Some(position) = read(directory)? else {
        return Ok(0);
    };
    Ok(if is_locked(&directory.owner_lock())? {
        position.next.max(position.claimed)
    } else {
        position.next
    })
}
