//! A collector's counts in a frame.
//!
//! A *page* is the payload of one datagram of a ledger frame. The datagram's own header says the rest: its exporter is whose
//! counts they are (`::`: not told apart), its receive time is the begin of the minute they are of. Counts are what was added
//! since the last page: a frame is stored exactly once, so they add up. Little endian, nothing aligned.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Cell;

/// Version of the layout.
const VERSION: u8 = 1;
const KIND_CELLS: u8 = 1;
const KIND_LIFE: u8 = 2;
/// Octets kept for a host's name: HOST_NAME_MAX of Linux.
pub const HOST_BYTES: usize = 64;
/// Size of the largest page, in octets.
pub const PAGE_BYTES_MAX: usize = size_of::<Head>() + LONGEST_BODY;
const LONGEST_BODY: usize = {
    let cells = Cell::ALL.len() * size_of::<Entry>();
    if cells > size_of::<Life>() {
        cells
    } else {
        size_of::<Life>()
    }
};

/// Begin of a page, 16 octets.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    version: u8,
    kind: u8,
    reserved: [u8; 6],
    /// Random number of the collector's life.
    life: U64,
}

/// What was added to a cell, 16 octets.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Entry {
    cell: U16,
    reserved: [u8; 6],
    count: U64,
}

impl Entry {
    /// Number of the cell; [`Cell::from_number`] knows those of this version.
    pub fn number(&self) -> u16 {
        self.cell.get()
    }

    pub fn count(&self) -> u64 {
        self.count.get()
    }
}

/// What a collector says of itself, 112 octets. The newest one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Life {
    /// When it started, ns since 1970 (UTC).
    pub started_ns: U64,
    flags: U32,
    reserved: U32,
    /// Most datagrams that can wait in its sockets and rings.
    pub hold_max: U64,
    /// By how much the interfaces' counts may differ from XDP's since they cannot be read at one moment.
    pub skew_interface: U64,
    /// The same for XDP's counts and those of the sockets.
    pub skew_sockets: U64,
    /// Frames in its memory and on its disk that the bus had not acknowledged.
    pub waiting_frames: U64,
    host: [u8; HOST_BYTES],
}

const FLAG_ENDED: u32 = 1;
const FLAG_XDP: u32 = 2;

impl Life {
    /// A life that has just begun. A longer `host` is cut.
    pub fn new(started_ns: u64, host: &[u8], has_xdp: bool) -> Self {
        let mut name = [0; HOST_BYTES];
        for (to, from) in name.iter_mut().zip(host) {
            *to = *from;
        }
        Self {
            started_ns: started_ns.into(),
            flags: (if has_xdp { FLAG_XDP } else { 0 }).into(),
            reserved: 0.into(),
            hold_max: 0.into(),
            skew_interface: 0.into(),
            skew_sockets: 0.into(),
            waiting_frames: 0.into(),
            host: name,
        }
    }

    /// This is its last word: it ends in order.
    pub fn end(&mut self) {
        self.flags = (self.flags.get() | FLAG_ENDED).into();
    }

    pub fn has_ended(&self) -> bool {
        self.flags.get() & FLAG_ENDED != 0
    }

    /// Whether its interfaces have the XDP program.
    pub fn has_xdp(&self) -> bool {
        self.flags.get() & FLAG_XDP != 0
    }

    /// The machine's name, up to its end.
    pub fn host(&self) -> &[u8] {
        self.host.split(|octet| *octet == 0).next().unwrap_or_default()
    }
}

/// A page that was read.
#[derive(Clone, Copy, Debug)]
pub enum Page<'a> {
    Cells(&'a [Entry]),
    Life(&'a Life),
}

/// The payload is no page of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPage;

/// Reads a payload; gives the collector's life and what it says.
pub fn read(payload: &[u8]) -> Result<(u64, Page<'_>), NoPage> {
    let (head, body) = Head::ref_from_prefix(payload).map_err(|_| NoPage)?;
    let page = match (head.version, head.kind) {
        (VERSION, KIND_CELLS) => Page::Cells(<[Entry]>::ref_from_bytes(body).map_err(|_| NoPage)?),
        (VERSION, KIND_LIFE) => Page::Life(Life::ref_from_bytes(body).map_err(|_| NoPage)?),
        _ => return Err(NoPage),
    };
    Ok((head.life.get(), page))
}

/// Writes a page of cells into `buffer`, those that are not 0; gives the page.
pub fn write_cells(
    buffer: &mut [u8; PAGE_BYTES_MAX],
    life: u64,
    counts: impl Iterator<Item = (Cell, u64)>,
) -> &[u8] {
    let mut used = begin(buffer, KIND_CELLS, life);
    for (cell, count) in counts.filter(|(_, count)| *count > 0) {
        let entry = Entry {
            cell: (cell as u16).into(),
            reserved: [0; 6],
            count: count.into(),
        };
        let Some(place) = buffer.get_mut(used..used + size_of::<Entry>()) else {
            debug_assert!(false, "each cell once");
            break;
        };
        place.copy_from_slice(entry.as_bytes());
        used += size_of::<Entry>();
    }
    &buffer[..used]
}

/// Writes what a collector says of itself into `buffer`; gives the page.
pub fn write_life<'b>(buffer: &'b mut [u8; PAGE_BYTES_MAX], life: u64, says: &Life) -> &'b [u8] {
    let used = begin(buffer, KIND_LIFE, life);
    let end = used + size_of::<Life>();
    buffer[used..end].copy_from_slice(says.as_bytes());
    &buffer[..end]
}

fn begin(buffer: &mut [u8; PAGE_BYTES_MAX], kind: u8, life: u64) -> usize {
    let head = Head {
        version: VERSION,
        kind,
        reserved: [0; 6],
        life: life.into(),
    };
    buffer[..size_of::<Head>()].copy_from_slice(head.as_bytes());
    size_of::<Head>()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = [0; PAGE_BYTES_MAX];
        let all = Cell::ALL.into_iter().zip(0..);
        let page = write_cells(&mut buffer, 7, all.clone());
        let Ok((7, Page::Cells(entries))) = read(page) else {
            panic!("{:?}", read(page))
        };
        let got: Vec<_> = entries
            .iter()
            .map(|entry| (entry.number(), entry.count()))
            .collect();
        let wanted: Vec<_> = all.skip(1).map(|(cell, count)| (cell as u16, count)).collect();
        assert_eq!(got, wanted);

        let mut life = Life::new(5, b"collector-1.example", true);
        life.end();
        let page = write_life(&mut buffer, 8, &life);
        let Ok((8, Page::Life(says))) = read(page) else {
            panic!("{:?}", read(page))
        };
        assert_eq!(*says, life);
        assert_eq!(
            (says.host(), says.has_ended(), says.has_xdp()),
            (&b"collector-1.example"[..], true, true)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(payload in proptest::collection::vec(any::<u8>(), 0..200), version in 0..3_u8, kind in 0..4_u8) {
            let _ = read(&payload);
            let mut payload = payload;
            if payload.len() > 1 {
                payload[0] = version;
                payload[1] = kind;
            }
            let _ = read(&payload);
        }
    }
}
