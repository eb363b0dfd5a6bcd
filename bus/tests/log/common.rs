//! What the tests of the log share.

use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use bus::log::cursor::{Cursor, Read};
use bus::log::directory::{StreamDirectory, boot_id};
use bus::log::partition::{Partition, Recovered};
use bus::{FrameReceiver, Handler, Loss, Ownership, Stream, Topic};
use wire::frame::{Datagram, FRAME_BYTES_MIN, FrameBuilder, PayloadKind};

pub const PATIENCE: Duration = Duration::from_mins(1);

pub fn stream(partition: i32) -> Stream {
    Stream {
        topic: Topic::Syslog,
        partition,
    }
}

/// A frame with one datagram for each of these exporters (last octet of 192.0.2.x), all with `payload`.
pub fn frame(exporters: &[u8], payload: &[u8], number: u64) -> Vec<u8> {
    let room = FRAME_BYTES_MIN + exporters.len() * (payload.len() + 64);
    let mut builder = FrameBuilder::new(vec![0; room], PayloadKind::Syslog, 7, number);
    for &exporter in exporters {
        let datagram = Datagram {
            exporter: IpAddr::from([192, 0, 2, exporter]),
            source_port: 514,
            destination_port: 514,
            received_ns: 1_750_000_000_000_000_000 + number,
            truncated: false,
            payload,
        };
        builder.push(&datagram).expect("fits");
    }
    let (mut octets, used) = builder.finish();
    octets.truncate(used);
    octets
}

/// Opens a partition in `path`, as the writer of this boot.
pub fn open(path: &Path) -> (Partition, Recovered) {
    Partition::open(StreamDirectory::at(path), stream(0), boot_id()).expect("opens")
}

/// What a cursor gives until its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub records: Vec<(i64, Vec<u8>)>,
    pub lost: Vec<(Range<i64>, Loss)>,
}

impl Seen {
    pub fn offsets(&self) -> Vec<i64> {
        self.records.iter().map(|(offset, _)| *offset).collect()
    }
}

pub fn read_all(cursor: &mut Cursor) -> Seen {
    let mut seen = Seen::default();
    cursor.look_around();
    loop {
        match cursor.read().expect("reads") {
            Read::Record(found) => seen
                .records
                .push((found.header.offset, cursor.payload(&found).to_vec())),
            Read::Lost(missing, why) => seen.lost.push((missing, why)),
            Read::End => return seen,
        }
    }
}

/// Everything in the directory, from `next` on.
pub fn read_from(path: &Path, next: i64) -> Seen {
    read_all(&mut Cursor::new(StreamDirectory::at(path), next))
}

/// What a receiver gives.
#[derive(Default)]
pub struct Taker {
    pub owned: Vec<Stream>,
    pub changes: usize,
    pub frames: Vec<(Stream, i64, Vec<u8>)>,
    pub lost: Vec<(Stream, Range<i64>, Loss)>,
}

impl Handler for Taker {
    fn frame(&mut self, stream: Stream, offset: i64, record: &[u8]) {
        self.frames.push((stream, offset, record.to_vec()));
    }
    fn ownership(&mut self, change: Ownership) {
        self.changes += 1;
        match change {
            Ownership::Assigned(streams) => self.owned = streams,
            Ownership::Revoked(_) => self.owned.clear(),
        }
    }
    fn lost(&mut self, stream: Stream, missing: Range<i64>, why: Loss) {
        self.lost.push((stream, missing, why));
    }
}

/// Polls until `done`; starts all streams that come at `from`.
pub fn poll_until(
    receiver: &mut dyn FrameReceiver,
    taker: &mut Taker,
    from: i64,
    mut done: impl FnMut(&Taker) -> bool,
) {
    let begin = Instant::now();
    let mut changes = taker.changes;
    while !done(taker) {
        assert!(
            begin.elapsed() < PATIENCE,
            "{} frames, owns {:?}",
            taker.frames.len(),
            taker.owned
        );
        receiver.poll(Duration::from_millis(50), taker).expect("polls");
        if taker.changes != changes {
            changes = taker.changes;
            let all: Vec<_> = taker.owned.iter().map(|stream| (*stream, from)).collect();
            receiver.start(&all).expect("starts");
        }
    }
}
