//! The record on the bus: raw datagrams of one kind, with who sent them and when they came.
//!
//! Layout in docs/frame.md. All integers are little endian; nothing is aligned. A frame is a [`Header`], then
//! `count` times a [`DatagramHeader`] with its payload behind it. The checksum covers header and body, so a reader
//! that has opened a frame may rely on every length in it being inside it.

use core::net::{IpAddr, Ipv6Addr};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First octets of every frame.
pub const MAGIC: [u8; 4] = *b"NTRF";
/// Version of the layout.
pub const VERSION: u8 = 1;
/// Largest frame, in octets. Kafka's default limit for a record batch is 1,048,588.
pub const FRAME_BYTES_MAX: usize = 1_000_000;
/// Smallest capacity of a builder: one datagram of the largest size fits.
pub const FRAME_BYTES_MIN: usize = HEADER_BYTES + DATAGRAM_HEADER_BYTES + u16::MAX as usize;
/// Size of [`Header`], in octets.
pub const HEADER_BYTES: usize = size_of::<Header>();
/// Size of [`DatagramHeader`], in octets.
pub const DATAGRAM_HEADER_BYTES: usize = size_of::<DatagramHeader>();

/// What the datagrams of a frame carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PayloadKind {
    Syslog = 1,
    /// NetFlow v5, v9 or IPFIX.
    Netflow = 2,
    /// RADIUS accounting.
    Radius = 3,
    /// No datagrams but a collector's counts of them: [`crate::ledger::record`].
    Ledger = 4,
}

impl PayloadKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Syslog, Self::Netflow, Self::Radius, Self::Ledger];

    /// `syslog`, `netflow`, `radius` or `ledger`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Netflow => "netflow",
            Self::Radius => "radius",
            Self::Ledger => "ledger",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Header of a frame, 48 octets.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: u8,
    kind: u8,
    flags: U16,
    /// Number of datagrams.
    count: U32,
    /// Octets after this header.
    body_bytes: U32,
    /// CRC32C (RFC 3385) of the header with this field 0, and the body.
    checksum: U32,
    reserved: U32,
    /// Random number of the builder's life (one collector thread from start to end).
    source: U64,
    /// Number of the frame in the builder's life, from 0.
    sequence: U64,
    /// Receive time of the first datagram, ns since 1970 (UTC).
    opened_ns: U64,
}

/// Header of a datagram in a frame, 32 octets.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DatagramHeader {
    /// Source address of the datagram; IPv4 as `::ffff:a.b.c.d`. In network order, as addresses are.
    exporter: [u8; 16],
    /// Receive time, ns since 1970 (UTC).
    received_ns: U64,
    source_port: U16,
    destination_port: U16,
    /// Octets of payload behind this header.
    length: U16,
    /// Bit 0: the payload was cut on receive.
    flags: U16,
}

const FLAG_TRUNCATED: u16 = 1;

/// One datagram, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub exporter: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    /// Receive time by the kernel's clock, ns since 1970 (UTC).
    pub received_ns: u64,
    /// The payload did not fit the receive buffer and lacks its end.
    pub truncated: bool,
    pub payload: &'a [u8],
}

/// The frame is full: finish it and push to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Fills a buffer with datagrams. Allocates nothing.
#[derive(Debug)]
pub struct FrameBuilder<B> {
    buffer: B,
    used: usize,
    count: u32,
    kind: PayloadKind,
    source: u64,
    sequence: u64,
    opened_ns: u64,
}

impl<B: AsMut<[u8]> + AsRef<[u8]>> FrameBuilder<B> {
    /// Starts frame number `sequence` of `source` in `buffer`, of which at most [`FRAME_BYTES_MAX`] octets are used.
    ///
    /// # Panics
    /// If `buffer` is smaller than [`FRAME_BYTES_MIN`]: such a builder might never take a datagram.
    pub fn new(buffer: B, kind: PayloadKind, source: u64, sequence: u64) -> Self {
        assert!(
            buffer.as_ref().len() >= FRAME_BYTES_MIN,
            "frame buffer below FRAME_BYTES_MIN"
        );
        Self {
            buffer,
            used: HEADER_BYTES,
            count: 0,
            kind,
            source,
            sequence,
            opened_ns: 0,
        }
    }

    /// Appends a datagram; `Err(Full)` leaves the frame as it was.
    ///
    /// A payload above 65,535 octets (no UDP datagram is) is cut there and marked.
    pub fn push(&mut self, datagram: &Datagram<'_>) -> Result<(), Full> {
        let payload = &datagram.payload[..datagram.payload.len().min(u16::MAX as usize)];
        let cut = payload.len() < datagram.payload.len();
        let end = self.used + DATAGRAM_HEADER_BYTES + payload.len();
        if end > FRAME_BYTES_MAX {
            return Err(Full);
        }
        let Some(place) = self.buffer.as_mut().get_mut(self.used..end) else {
            return Err(Full);
        };
        let header = DatagramHeader {
            exporter: match datagram.exporter {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            },
            received_ns: datagram.received_ns.into(),
            source_port: datagram.source_port.into(),
            destination_port: datagram.destination_port.into(),
            length: (payload.len() as u16).into(),
            flags: (if datagram.truncated || cut {
                FLAG_TRUNCATED
            } else {
                0
            })
            .into(),
        };
        let (head, body) = place.split_at_mut(DATAGRAM_HEADER_BYTES);
        head.copy_from_slice(header.as_bytes());
        body.copy_from_slice(payload);
        if self.count == 0 {
            self.opened_ns = datagram.received_ns;
        }
        self.used = end;
        self.count += 1;
        Ok(())
    }

    /// Number of datagrams so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Octets so far, the header included.
    pub fn bytes(&self) -> usize {
        self.used
    }

    /// Receive time of the first datagram, ns since 1970 (UTC); 0 while empty.
    pub fn opened_ns(&self) -> u64 {
        self.opened_ns
    }

    /// Writes the header and gives the buffer back, with the number of octets of it that are the frame.
    pub fn finish(mut self) -> (B, usize) {
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            kind: self.kind as u8,
            flags: 0.into(),
            count: self.count.into(),
            body_bytes: ((self.used - HEADER_BYTES) as u32).into(),
            checksum: 0.into(),
            reserved: 0.into(),
            source: self.source.into(),
            sequence: self.sequence.into(),
            opened_ns: self.opened_ns.into(),
        };
        let frame = &mut self.buffer.as_mut()[..self.used];
        let (head, body) = frame.split_at_mut(HEADER_BYTES);
        header.checksum = checksum(&header, body).into();
        head.copy_from_slice(header.as_bytes());
        (self.buffer, self.used)
    }
}

fn checksum(header: &Header, body: &[u8]) -> u32 {
    let bare = Header {
        checksum: 0.into(),
        ..*header
    };
    crc32c::crc32c_append(crc32c::crc32c(bare.as_bytes()), body)
}

/// Why a record is no frame. Small and `Copy`: it indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameError {
    TooShort,
    BadMagic,
    /// A version that this build does not read.
    UnknownVersion(u8),
    UnknownKind(u8),
    /// The length in the header is not the record's.
    BadLength,
    BadChecksum,
    /// Whole and checksummed, but a datagram reaches beyond the end: its writer was wrong.
    BadDatagram,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort => f.write_str("shorter than a frame header"),
            Self::BadMagic => f.write_str("does not begin with NTRF"),
            Self::UnknownVersion(version) => write!(f, "frame version {version}, this build reads {VERSION}"),
            Self::UnknownKind(kind) => write!(f, "unknown payload kind {kind}"),
            Self::BadLength => f.write_str("length in the header differs from the record's"),
            Self::BadChecksum => f.write_str("checksum differs"),
            Self::BadDatagram => f.write_str("a datagram reaches beyond the frame"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame that was checked, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    header: &'a Header,
    kind: PayloadKind,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks magic, version, length, checksum and every datagram's bounds.
    pub fn open(record: &'a [u8]) -> Result<Self, FrameError> {
        let (header, body) = Header::ref_from_prefix(record).map_err(|_| FrameError::TooShort)?;
        if header.magic != MAGIC {
            return Err(FrameError::BadMagic);
        }
        if header.version != VERSION {
            return Err(FrameError::UnknownVersion(header.version));
        }
        if header.body_bytes.get() as usize != body.len() {
            return Err(FrameError::BadLength);
        }
        if header.checksum.get() != checksum(header, body) {
            return Err(FrameError::BadChecksum);
        }
        let kind = PayloadKind::from_number(header.kind).ok_or(FrameError::UnknownKind(header.kind))?;
        let frame = Self { header, kind, body };
        let mut datagrams = frame.datagrams();
        let whole = datagrams.by_ref().count();
        if whole != header.count.get() as usize || !datagrams.rest.is_empty() {
            return Err(FrameError::BadDatagram);
        }
        Ok(frame)
    }

    pub fn kind(&self) -> PayloadKind {
        self.kind
    }

    /// Number of datagrams.
    pub fn count(&self) -> u32 {
        self.header.count.get()
    }

    /// Random number of the builder's life.
    pub fn source(&self) -> u64 {
        self.header.source.get()
    }

    /// Number of the frame in the builder's life.
    pub fn sequence(&self) -> u64 {
        self.header.sequence.get()
    }

    /// Receive time of the first datagram, ns since 1970 (UTC).
    pub fn opened_ns(&self) -> u64 {
        self.header.opened_ns.get()
    }

    /// The datagrams, in the order in which they came.
    pub fn datagrams(&self) -> Datagrams<'a> {
        Datagrams { rest: self.body }
    }
}

/// Iterator over the datagrams of a frame.
#[derive(Clone, Debug)]
pub struct Datagrams<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        let (header, rest) = DatagramHeader::ref_from_prefix(self.rest).ok()?;
        let (payload, rest) = rest.split_at_checked(header.length.get() as usize)?;
        self.rest = rest;
        Some(Datagram {
            exporter: Ipv6Addr::from(header.exporter).to_canonical(),
            source_port: header.source_port.get(),
            destination_port: header.destination_port.get(),
            received_ns: header.received_ns.get(),
            truncated: header.flags.get() & FLAG_TRUNCATED != 0,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn datagram(payload: &[u8], last_octet: u8) -> Datagram<'_> {
        Datagram {
            exporter: IpAddr::from([192, 0, 2, last_octet]),
            source_port: 40000,
            destination_port: 514,
            received_ns: 1_700_000_000_000_000_000 + u64::from(last_octet),
            truncated: last_octet == 7,
            payload,
        }
    }

    fn frame_of(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN], PayloadKind::Syslog, 9, 3);
        for (i, payload) in payloads.iter().enumerate() {
            builder.push(&datagram(payload, i as u8)).expect("fits");
        }
        let (mut buffer, used) = builder.finish();
        buffer.truncate(used);
        buffer
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40)) {
            let record = frame_of(&payloads);
            let frame = Frame::open(&record).expect("own frame");
            prop_assert_eq!((frame.source(), frame.sequence()), (9, 3));
            prop_assert_eq!(frame.count() as usize, payloads.len());
            for (i, (got, payload)) in frame.datagrams().zip(&payloads).enumerate() {
                prop_assert_eq!(got, datagram(payload, i as u8));
            }
        }

        #[test]
        fn no_bytes_panic(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::open(&record);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let record = frame_of(&[b"one".to_vec(), b"two".to_vec()]);
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::open(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let record = frame_of(&[b"one".to_vec(), b"two".to_vec()]);
        for end in 0..record.len() {
            assert!(Frame::open(&record[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_full_frame_says_so_and_stays_whole() {
        let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN], PayloadKind::Netflow, 0, 0);
        let payload = vec![1; 60_000];
        assert_eq!(builder.push(&datagram(&payload, 1)), Ok(()));
        assert_eq!(builder.push(&datagram(&payload, 2)), Err(Full));
        let (buffer, used) = builder.finish();
        assert_eq!(Frame::open(&buffer[..used]).map(|frame| frame.count()), Ok(1));
    }

    #[test]
    fn the_largest_datagram_fits_an_empty_frame() {
        let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN], PayloadKind::Syslog, 0, 0);
        assert_eq!(builder.push(&datagram(&vec![0; 65_535], 1)), Ok(()));
    }
}
