//! Batches as binary COPY data.

use event::columns::Columns;
use event::sort::Sorter;
use event::{Batch, Kind};

use crate::buffer::{BUFFER_BYTES, Pool, PooledBytes, Segment};
use crate::ingest::Advance;
use crate::ledger::Changes;
use crate::time::day_of;
use crate::{flow, layout};

/// Signature, flags and extension length of the format (PostgreSQL manual, COPY, "Binary Format").
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A field count of -1 ends the data.
const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// Turns batches into COPY data: sorts by (x_ip, x_port, time) and encodes. Keeps its memory from batch to batch.
#[derive(Debug, Default)]
pub struct Encoder {
    sorter: Sorter,
    pool: Pool,
}

/// A batch as it goes over the wire, with what it moves its streams by. Can be sent any number of times.
#[derive(Debug)]
pub struct EncodedBatch {
    parts: Vec<Part>,
    advances: Vec<Advance>,
    ledger: Changes,
    flow: flow::Changes,
}

/// The rows of one kind.
#[derive(Debug)]
pub struct Part {
    pub kind: Kind,
    pub rows: usize,
    pub segments: Vec<Segment>,
    /// The UTC days of the rows' event times, ascending, counted from 1970-01-01.
    pub days: Vec<i64>,
}

impl Encoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sorts and encodes `batch`. `advances` are committed with it.
    pub fn encode(&mut self, batch: &Batch, advances: Vec<Advance>) -> EncodedBatch {
        let parts = Kind::ALL
            .into_iter()
            .map(|kind| (kind, batch.of(kind)))
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(kind, rows)| self.encode_kind(kind, rows))
            .collect();
        EncodedBatch {
            parts,
            advances,
            ledger: Changes::default(),
            flow: flow::Changes::default(),
        }
    }

    fn encode_kind(&mut self, kind: Kind, rows: &Columns) -> Part {
        let encode_row = layout::row_encoder(kind);
        let mut segments = Vec::with_capacity(rows.len() * 160 / BUFFER_BYTES + 1);
        let mut buffer: PooledBytes = self.pool.take();
        buffer.bytes.extend_from_slice(&HEADER);
        for &row in self.sorter.order(rows) {
            if buffer.bytes.len() >= BUFFER_BYTES {
                segments.push(Segment::new(std::mem::replace(&mut buffer, self.pool.take())));
            }
            encode_row(&mut buffer.bytes, rows, row as usize);
        }
        buffer.bytes.extend_from_slice(&TRAILER);
        segments.push(Segment::new(buffer));
        Part {
            kind,
            rows: rows.len(),
            segments,
            days: days(rows),
        }
    }

    /// The buffers of this encoder.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// The distinct days of the rows. Their number is bounded by the batch's plausible times.
fn days(rows: &Columns) -> Vec<i64> {
    let mut days: Vec<i64> = Vec::new();
    let mut last = None;
    for day in rows.time.iter().map(|&time| day_of(time)) {
        if last != Some(day) {
            last = Some(day);
            if let Err(place) = days.binary_search(&day) {
                days.insert(place, day);
            }
        }
    }
    days
}

impl EncodedBatch {
    /// Adds what the batch adds to the ledger.
    pub fn with_ledger(self, ledger: Changes) -> Self {
        Self { ledger, ..self }
    }

    /// Adds what the batch changes of the state of flow records.
    pub fn with_flow(self, flow: flow::Changes) -> Self {
        Self { flow, ..self }
    }

    /// What the batch changes of the state of flow records.
    pub fn flow(&self) -> &flow::Changes {
        &self.flow
    }

    /// What the batch adds to the ledger.
    pub fn ledger(&self) -> &Changes {
        &self.ledger
    }

    /// Rows of all kinds.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// Bytes of COPY data.
    pub fn bytes(&self) -> usize {
        use bytes::Buf as _;
        self.parts
            .iter()
            .flat_map(|part| &part.segments)
            .map(Segment::remaining)
            .sum()
    }

    /// What the batch moves its streams by.
    pub fn advances(&self) -> &[Advance] {
        &self.advances
    }

    /// The kinds that have rows.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}
