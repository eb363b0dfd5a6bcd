//! The octets on disk: header of a segment, header of a record. Layout in docs/frame-log.md.
//!
//! All integers are little endian. Checksums are CRC32C (RFC 3385), each begun with the segment's salt: a random number that
//! only the disk knows, so that no payload that somebody sends can hold what would pass for a record.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First octets of every segment.
const SEGMENT_MAGIC: [u8; 8] = *b"NTRLSEG1";
/// First octets of every record.
pub const RECORD_MAGIC: [u8; 4] = *b"NREC";
/// Octets of a segment's header.
const SEGMENT_HEADER_BYTES: usize = size_of::<RawSegmentHeader>();
/// Where the records of a segment begin: behind two copies of its header.
pub const RECORDS_BEGIN: u64 = 2 * SEGMENT_HEADER_BYTES as u64;
/// Octets of a record's header.
pub const RECORD_HEADER_BYTES: usize = size_of::<RawRecordHeader>();
/// Largest payload of a record: a frame, or a dead letter with its description.
pub const PAYLOAD_BYTES_MAX: usize = 1_100_000;
/// What offsets jump by when it is not sure how far the log was written before (power failure, torn end). More records
/// than a disk can lose, and 2^23 jumps fit an i64.
pub const JUMP: i64 = 1 << 40;
/// Largest offset that is believed, wherever it is read: there is always room for the next ones.
pub const OFFSET_MAX: i64 = i64::MAX - (1 << 50);

/// An offset as it is on disk, if it can be one.
pub fn offset(raw: u64) -> Option<i64> {
    i64::try_from(raw).ok().filter(|offset| *offset <= OFFSET_MAX)
}

/// Segment header, 64 octets, twice at the begin of the file.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawSegmentHeader {
    magic: [u8; 8],
    base: U64,
    gap_from: U64,
    created_ns: U64,
    boot_id: [u8; 16],
    salt: U64,
    reserved: U32,
    checksum: U32,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Offset of its first record.
    pub base: i64,
    /// Offsets from here up to `base` were never given to a record. Equal to `base` but after a jump.
    pub gap_from: i64,
    /// When it was begun, ns since 1970 (UTC).
    pub created_ns: u64,
    /// The boot of the machine that wrote it.
    pub boot_id: [u8; 16],
    /// Random number that its checksums begin with.
    pub salt: u64,
}

impl SegmentHeader {
    /// The first octets of the file.
    pub fn encode(&self) -> [u8; RECORDS_BEGIN as usize] {
        let mut raw = RawSegmentHeader {
            magic: SEGMENT_MAGIC,
            base: (self.base as u64).into(),
            gap_from: (self.gap_from as u64).into(),
            created_ns: self.created_ns.into(),
            boot_id: self.boot_id,
            salt: self.salt.into(),
            reserved: 0.into(),
            checksum: 0.into(),
        };
        raw.checksum = crc32c::crc32c(&raw.as_bytes()[..SEGMENT_HEADER_BYTES - 4]).into();
        let mut octets = [0; RECORDS_BEGIN as usize];
        for copy in octets.chunks_exact_mut(SEGMENT_HEADER_BYTES) {
            copy.copy_from_slice(raw.as_bytes());
        }
        octets
    }

    /// Reads whichever copy is whole; `None` if neither is.
    pub fn decode(octets: &[u8]) -> Option<Self> {
        octets
            .chunks_exact(SEGMENT_HEADER_BYTES)
            .take(2)
            .find_map(Self::decode_copy)
    }

    fn decode_copy(octets: &[u8]) -> Option<Self> {
        let raw = RawSegmentHeader::ref_from_bytes(octets).ok()?;
        let whole = raw.magic == SEGMENT_MAGIC
            && raw.checksum.get() == crc32c::crc32c(&octets[..SEGMENT_HEADER_BYTES - 4]);
        let header = Self {
            base: offset(raw.base.get())?,
            gap_from: offset(raw.gap_from.get())?,
            created_ns: raw.created_ns.get(),
            boot_id: raw.boot_id,
            salt: raw.salt.get(),
        };
        (whole && header.gap_from <= header.base).then_some(header)
    }

    /// What checksums of this segment begin with.
    pub fn seed(&self) -> u32 {
        crc32c::crc32c(&self.salt.to_le_bytes())
    }
}

/// Record header, 40 octets.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRecordHeader {
    magic: [u8; 4],
    payload_bytes: U32,
    offset: U64,
    appended_ns: U64,
    datagrams: U32,
    payload_checksum: U32,
    reserved: U32,
    header_checksum: U32,
}

/// What a record says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    pub offset: i64,
    /// When it was written, ns since 1970 (UTC).
    pub appended_ns: u64,
    /// Datagrams in its payload.
    pub datagrams: u32,
    pub payload_bytes: usize,
    payload_checksum: u32,
}

impl RecordHeader {
    /// The header of `payload`, which follows it on disk. `seed` is [`SegmentHeader::seed`].
    pub fn encode(
        seed: u32,
        offset: i64,
        appended_ns: u64,
        datagrams: u32,
        payload: &[u8],
    ) -> [u8; RECORD_HEADER_BYTES] {
        debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX);
        let mut raw = RawRecordHeader {
            magic: RECORD_MAGIC,
            payload_bytes: (payload.len() as u32).into(),
            offset: (offset as u64).into(),
            appended_ns: appended_ns.into(),
            datagrams: datagrams.into(),
            payload_checksum: crc32c::crc32c_append(seed, payload).into(),
            reserved: 0.into(),
            header_checksum: 0.into(),
        };
        raw.header_checksum = crc32c::crc32c_append(seed, &raw.as_bytes()[..RECORD_HEADER_BYTES - 4]).into();
        let mut octets = [0; RECORD_HEADER_BYTES];
        octets.copy_from_slice(raw.as_bytes());
        octets
    }

    /// Reads a header whose checksum is right; `None` for anything else, also for fewer octets.
    pub fn decode(seed: u32, octets: &[u8]) -> Option<Self> {
        let (raw, _) = RawRecordHeader::ref_from_prefix(octets).ok()?;
        let right = raw.magic == RECORD_MAGIC
            && raw.header_checksum.get() == crc32c::crc32c_append(seed, &octets[..RECORD_HEADER_BYTES - 4]);
        let payload_bytes = raw.payload_bytes.get() as usize;
        if !right || payload_bytes > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(Self {
            offset: offset(raw.offset.get())?,
            appended_ns: raw.appended_ns.get(),
            datagrams: raw.datagrams.get(),
            payload_bytes,
            payload_checksum: raw.payload_checksum.get(),
        })
    }

    /// Whether `payload` is what was written.
    pub fn fits(&self, seed: u32, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes && crc32c::crc32c_append(seed, payload) == self.payload_checksum
    }

    /// Octets of the record, header included.
    pub fn record_bytes(&self) -> u64 {
        (RECORD_HEADER_BYTES + self.payload_bytes) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        base: 7,
        gap_from: 5,
        created_ns: 11,
        boot_id: [3; 16],
        salt: 0x0123_4567_89ab_cdef,
    };

    #[test]
    fn one_damaged_copy_of_a_segment_header_is_enough() {
        let octets = HEADER.encode();
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&damaged), Some(HEADER), "bit {bit}");
        }
        let mut both = octets;
        both[9] ^= 1;
        both[SEGMENT_HEADER_BYTES + 9] ^= 1;
        assert_eq!(SegmentHeader::decode(&both), None);
        assert_eq!(SegmentHeader::decode(&octets[..40]), None);
    }

    #[test]
    fn a_record_is_right_in_its_own_segment_only() {
        let (seed, other) = (HEADER.seed(), SegmentHeader { salt: 1, ..HEADER }.seed());
        let octets = RecordHeader::encode(seed, 9, 12, 3, b"payload");
        let header = RecordHeader::decode(seed, &octets).expect("own header");
        assert_eq!(
            (
                header.offset,
                header.appended_ns,
                header.datagrams,
                header.payload_bytes
            ),
            (9, 12, 3, 7)
        );
        assert!(header.fits(seed, b"payload") && !header.fits(seed, b"payloae"));
        assert_eq!(RecordHeader::decode(other, &octets), None);
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(seed, &damaged), None, "bit {bit}");
        }
    }
}
