//! The sparse index of a segment: where some of its records begin. A hint: whatever it says is checked against the segment,
//! and without it the segment is read from its begin.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::directory::create;

/// Octets of records between two entries.
pub const EVERY_BYTES: u64 = 1 << 20;
const ENTRY_BYTES: usize = size_of::<Raw>();
/// Entries that are read; more than a segment of the largest size has.
const ENTRIES_MAX: usize = 16 * 1024;

/// An entry, 32 octets.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    offset: U64,
    at: U64,
    appended_ns: U64,
    reserved: U32,
    /// CRC32C of the octets before, begun with the segment's salt.
    checksum: U32,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub offset: i64,
    /// Octet of the segment.
    pub at: u64,
    pub appended_ns: u64,
}

/// Writes the entries of the segment that is being written.
#[derive(Debug)]
pub struct IndexWriter {
    /// `None` after a failure: this segment is not indexed further.
    file: Option<File>,
    seed: u32,
    bytes: u64,
    next_at: u64,
}

impl IndexWriter {
    /// Begins the index of a segment anew.
    pub fn create(path: &Path, seed: u32) -> Self {
        Self {
            file: create(path).ok(),
            seed,
            bytes: 0,
            next_at: 0,
        }
    }

    /// Notes a record, if it is time for an entry. What fails is not indexed, and nothing else.
    pub fn note(&mut self, entry: Entry) {
        if entry.at < self.next_at {
            return;
        }
        self.next_at = entry.at + EVERY_BYTES;
        let mut raw = Raw {
            offset: (entry.offset as u64).into(),
            at: entry.at.into(),
            appended_ns: entry.appended_ns.into(),
            reserved: 0.into(),
            checksum: 0.into(),
        };
        raw.checksum = crc32c::crc32c_append(self.seed, &raw.as_bytes()[..ENTRY_BYTES - 4]).into();
        let written = self
            .file
            .as_ref()
            .map(|file| file.write_all_at(raw.as_bytes(), self.bytes));
        match written {
            Some(Ok(())) => self.bytes += ENTRY_BYTES as u64,
            _ => self.file = None,
        }
    }
}

/// The whole entries of an index; none where it cannot be read.
pub fn read(path: &Path, seed: u32) -> Vec<Entry> {
    octets(path)
        .unwrap_or_default()
        .chunks_exact(ENTRY_BYTES)
        .filter_map(|octets| {
            let raw = Raw::ref_from_bytes(octets).ok()?;
            let right = raw.checksum.get() == crc32c::crc32c_append(seed, &octets[..ENTRY_BYTES - 4]);
            right.then_some(Entry {
                offset: raw.offset.get() as i64,
                at: raw.at.get(),
                appended_ns: raw.appended_ns.get(),
            })
        })
        .collect()
}

fn octets(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = (file.metadata()?.len() as usize).min(ENTRIES_MAX * ENTRY_BYTES);
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, 0)?;
    Ok(octets)
}
