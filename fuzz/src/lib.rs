//! What the fuzz targets share.
//!
//! - here, and in [`files`]: a stream in a directory of its own, and what must hold of it whatever its files hold;
//! - [`decoding`]: what must hold of every message that is decoded;
//! - [`pieces`]: messages out of a vendor's words.

pub mod decoding;
pub mod files;
pub mod pieces;
pub mod flow;

use std::collections::BTreeSet;
use std::path::Path;

use bus::log::cursor::{Cursor, Read};
use bus::log::directory::{Root, StreamDirectory, boot_id};
use bus::log::inspect;
use bus::log::partition::Partition;
use bus::log::position::PositionFile;
use bus::{Stream, Topic};

/// More than a log of a fuzz target's size can give: a cursor that gives more does not end.
const READS_MAX: usize = 1 << 16;

pub const STREAM: Stream = Stream {
    topic: Topic::Syslog,
    partition: 0,
};

/// Offset and payload of a record.
pub type Record = (i64, Vec<u8>);

/// A log in a temporary directory (a RAM disk is fastest: `TMPDIR=/dev/shm`).
pub struct Log {
    directory: tempfile::TempDir,
}

impl Default for Log {
    fn default() -> Self {
        let log = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        log.stream().create().expect("makes a directory");
        log
    }
}

impl Log {
    pub fn root(&self) -> Root {
        Root::at(self.directory.path())
    }

    pub fn stream(&self) -> StreamDirectory {
        self.root().stream(STREAM)
    }

    pub fn write(&self, path: &Path, octets: &[u8]) {
        std::fs::write(path, octets).expect("writes");
    }

    /// Opens the stream as its writer, which recovers it.
    pub fn open(&self) -> Partition {
        let (partition, _) = Partition::open(self.stream(), STREAM, boot_id()).expect("recovers");
        partition
    }

    /// All that a reader gives from `next` on. Offsets must grow, and what is lost must lie between them.
    pub fn read(&self, next: i64) -> Vec<Record> {
        follow(Cursor::new(self.stream(), next), next)
    }

    /// The same as the stream's consumer, which holds what it reads.
    pub fn consume(&self, next: i64) -> Vec<Record> {
        let position = PositionFile::open(&self.stream()).expect("opens the position");
        follow(Cursor::consumer(self.stream(), next, position), next)
    }
}

fn follow(mut cursor: Cursor, from: i64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut least = from.max(0);
    for _ in 0..READS_MAX {
        cursor.look_around();
        match cursor.read().expect("reads") {
            Read::Record(found) => {
                let offset = found.header.offset;
                assert!(offset >= least, "record {offset} behind {least}");
                least = offset + 1;
                records.push((offset, cursor.payload(&found).to_vec()));
            }
            Read::Lost(missing, _) => {
                assert!(
                    missing.start >= least && missing.start < missing.end,
                    "{missing:?} behind {least}"
                );
                least = missing.end;
            }
            Read::End => return records,
        }
    }
    panic!("a cursor that does not end");
}

/// Reads, recovers, appends and reads again, whatever the files hold: no panic, an end, offsets that grow.
pub fn survives(log: &Log) -> Seen {
    let before = log.read(-1);
    let status = inspect::status(&log.root(), STREAM).expect("looks");
    status.lag(&log.root()).expect("counts");
    inspect::offset_at(&log.root(), STREAM, 1 << 40).expect("finds");

    let mut partition = log.open();
    let appended: Vec<Record> = [&b"first"[..], b"", b"third"]
        .iter()
        .map(|payload| {
            let offset = partition.append(1 << 41, 1, payload).expect("appends");
            (offset, payload.to_vec())
        })
        .collect();
    drop(partition);
    Seen {
        before,
        after: log.read(-1),
        consumed: log.consume(-1),
        appended,
    }
}

/// What was read of a log before and after a writer recovered it.
pub struct Seen {
    pub before: Vec<Record>,
    pub after: Vec<Record>,
    pub consumed: Vec<Record>,
    /// What the writer appended.
    pub appended: Vec<Record>,
}

impl Seen {
    /// What must hold of a log whose checksums nobody has forged: all that is read was written, recovery neither loses nor
    /// makes records, and what is appended comes last, also for the next writer.
    pub fn is_right(&self, log: &Log, written: &BTreeSet<Record>) {
        for (offset, payload) in &self.before {
            let known = written.contains(&(*offset, payload.clone()));
            assert!(known, "record {offset} was never written so");
        }
        let expected = [&self.before[..], &self.appended].concat();
        assert_eq!(self.after, expected);
        assert_eq!(self.consumed, expected);
        drop(log.open());
        assert_eq!(log.read(-1), expected);
        assert_eq!(log.read(self.appended[0].0), self.appended);
    }
}
