//! What the tests of `natrail log` share.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Output};

use bus::log::directory::Root;
use bus::log::writer::{Bounds, LogWriter};
use bus::{Stream, Topic};
use serde_json::Value;
use wire::frame::{Datagram, FRAME_BYTES_MIN, FrameBuilder, PayloadKind};

pub const BOUNDS: Bounds = Bounds {
    segment_bytes: 64 * 1024,
    size_max_bytes: 1 << 30,
    age_max_ns: u64::MAX,
    free_reserve_bytes: 0,
    drop_oldest: true,
};
/// Receive time of the first datagram: 2026-03-01T12:00:00Z. Each next one came a second later.
pub const BEGIN_NS: u64 = 1_772_366_400_000_000_000;
pub const SECOND_NS: u64 = 1_000_000_000;

pub fn stream(topic: Topic, partition: i32) -> Stream {
    Stream { topic, partition }
}

pub const SYSLOG: Stream = Stream {
    topic: Topic::Syslog,
    partition: 0,
};

/// A frame of these payloads. Datagram `n` of all (`first` is that of the first one) came from 192.0.2.(n % 3).
pub fn frame(kind: PayloadKind, payloads: &[&[u8]], first: u64) -> Vec<u8> {
    let bytes: usize = payloads.iter().map(|payload| payload.len() + 64).sum();
    let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN + bytes], kind, 1, first);
    for (n, payload) in (first..).zip(payloads) {
        let datagram = Datagram {
            exporter: IpAddr::from([192, 0, 2, (n % 3) as u8]),
            source_port: 40_000,
            destination_port: 514,
            received_ns: BEGIN_NS + n * SECOND_NS,
            truncated: n == 1,
            payload,
        };
        builder.push(&datagram).expect("fits");
    }
    let (mut octets, used) = builder.finish();
    octets.truncate(used);
    octets
}

/// A log below `directory`, as the collector's is, and its writer.
pub fn log(directory: &Path) -> (Root, LogWriter) {
    let root = Root::at(directory.join("bus"));
    let writer = LogWriter::open(root.clone(), BOUNDS).expect("opens");
    (root, writer)
}

/// Writes payloads as frames of `each` datagrams.
pub fn write(writer: &mut LogWriter, stream: Stream, kind: PayloadKind, payloads: &[&[u8]], each: usize) {
    for (number, some) in payloads.chunks(each).enumerate() {
        let octets = frame(kind, some, (number * each) as u64);
        writer
            .append(stream, some.len() as u32, &octets)
            .expect("appends");
    }
}

/// `n 0`, `n 1`, …
pub fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("n {n}").into_bytes()).collect()
}

pub fn borrowed(payloads: &[Vec<u8>]) -> Vec<&[u8]> {
    payloads.iter().map(Vec::as_slice).collect()
}

pub fn natrail(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natrail"));
    command
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .args(arguments);
    command
}

/// Runs `natrail log …` on the log that was written below `directory`.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    let root = directory.join("bus");
    natrail(&["log"])
        .args(arguments)
        .args(["--directory".as_ref(), root.as_os_str()])
        .output()
        .expect("natrail starts")
}

pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub fn lines(output: &Output) -> Vec<String> {
    text(&output.stdout).lines().map(String::from).collect()
}

/// Flips a bit of the segment's octet at `at`, counted from the end if negative.
pub fn damage(root: &Root, stream: Stream, at: i64) {
    let path = root.stream(stream).segment(0);
    let mut octets = std::fs::read(&path).expect("the segment");
    let place = if at < 0 { octets.len() as i64 + at } else { at };
    octets[place as usize] ^= 1;
    std::fs::write(&path, octets).expect("written");
}
