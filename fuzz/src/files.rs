//! The files of a stream as one run of octets, in which a fuzzer can change each of them.
//!
//! `kind` (1 octet, of which the two lowest bits count: segment, index, position; the next bit: its checksums are made right),
//! `length` (2 octets, little endian), the file; again and again.

use bus::log::format::{RECORD_HEADER_BYTES, RECORD_MAGIC, RECORDS_BEGIN, SegmentHeader};

use crate::Log;

/// Files that are read of a run of octets.
const FILES_MAX: usize = 16;
/// Largest offset that a segment may begin with or a position may have. A writer jumps by 2^40, and has no room for that just
/// below 2^63; natrail itself needs 2^20 jumps to come here.
const OFFSET_MAX: i64 = 1 << 60;

#[derive(Clone, Copy)]
pub enum Kind {
    Segment = 0,
    Index = 1,
    Position = 2,
}

/// Appends a file; `sealed`: its checksums are made right when it is read.
pub fn push(octets: &mut Vec<u8>, kind: Kind, sealed: bool, file: &[u8]) {
    octets.push(kind as u8 | u8::from(sealed) << 2);
    octets.extend_from_slice(&(file.len() as u16).to_le_bytes());
    octets.extend_from_slice(file);
}

/// Writes the files into the log. A segment is named after the offset in its header, if it has a readable one.
pub fn write(log: &Log, mut octets: &[u8]) {
    let directory = log.stream();
    let mut base = 0;
    for number in 0..FILES_MAX {
        let [kind, low, high, rest @ ..] = octets else {
            return;
        };
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (file, rest) = rest.split_at(length);
        octets = rest;
        let mut file = file.to_vec();
        let is_sealed = kind & 4 != 0;
        match kind & 3 {
            0 => {
                if is_sealed {
                    seal_segment(&mut file);
                }
                let head = &file[..file.len().min(RECORDS_BEGIN as usize)];
                base = SegmentHeader::decode(head).map_or(number as i64 * 3, |header| header.base);
                if base <= OFFSET_MAX {
                    log.write(&directory.segment(base), &file);
                }
            }
            1 if base <= OFFSET_MAX => log.write(&directory.index(base), &file),
            _ => {
                if is_sealed {
                    seal_position(&mut file);
                }
                let next = file.get(8..16).and_then(|octets| octets.try_into().ok());
                if next.is_none_or(|next| i64::from_le_bytes(next) <= OFFSET_MAX) {
                    log.write(&directory.position(), &file);
                }
            }
        }
    }
}

/// Makes the checksums of a segment's header and of its records right; docs/frame-log.md has the places.
fn seal_segment(file: &mut [u8]) {
    if file.len() < RECORDS_BEGIN as usize {
        return;
    }
    let sum = crc32c::crc32c(&file[..60]);
    file[60..64].copy_from_slice(&sum.to_le_bytes());
    file.copy_within(..64, 64);
    let seed = crc32c::crc32c(&file[48..56]);
    let mut rest = &mut file[RECORDS_BEGIN as usize..];
    while rest.len() >= RECORD_HEADER_BYTES {
        let (head, payload) = rest.split_at_mut(RECORD_HEADER_BYTES);
        let length = usize::from(u16::from_le_bytes([head[4], head[5]])).min(payload.len());
        let (payload, behind) = payload.split_at_mut(length);
        head[..4].copy_from_slice(&RECORD_MAGIC);
        head[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        let sum = crc32c::crc32c_append(seed, payload);
        head[28..32].copy_from_slice(&sum.to_le_bytes());
        let sum = crc32c::crc32c_append(seed, &head[..36]);
        head[36..40].copy_from_slice(&sum.to_le_bytes());
        rest = behind;
    }
}

fn seal_position(file: &mut [u8]) {
    if file.len() != 32 {
        return;
    }
    file[..4].copy_from_slice(b"NPOS");
    file[4..8].fill(0);
    let sum = crc32c::crc32c(file);
    file[4..8].copy_from_slice(&sum.to_le_bytes());
}
