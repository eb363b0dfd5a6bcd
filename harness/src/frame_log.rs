//! The frame log, looked at from outside: a second opinion beside what the daemons count.
//!
//! [`partitions`] is what `natrail log status` says. [`read`] reads the segments themselves, knowing of them only what
//! docs/frame-log.md and docs/frame.md say, and without any of natrail's code.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One partition of the log.
#[derive(Clone, Debug, Deserialize)]
pub struct Partition {
    /// `syslog`, `netflow`, `radius` or `dead-letter`.
    pub topic: String,
    pub partition: u32,
    /// Offset of the oldest record that is still there.
    pub first_offset: u64,
    /// Offset of the record that will be written next: as many were ever written.
    pub next_offset: u64,
    /// Offset of the record that the consumer will take next; none before it has committed.
    pub consumed: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    partitions: Vec<Partition>,
}

/// All partitions. `natrail` is the program with the options that name its configuration.
pub fn partitions(natrail: &mut Command) -> Result<Vec<Partition>> {
    let command = natrail.args(["log", "status", "--json"]);
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let status: Status = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} does not print what was agreed"))?;
    Ok(status.partitions)
}

/// Records ever written to a topic, over all partitions.
pub fn records(natrail: &mut Command, topic: &str) -> Result<u64> {
    Ok(partitions(natrail)?
        .iter()
        .filter(|partition| partition.topic == topic)
        .map(|partition| partition.next_offset)
        .sum())
}

/// A datagram in a record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub exporter: IpAddr,
    pub payload: &'a [u8],
}

/// Gives all datagrams of a partition (`<log>/<topic>/<number>`) to `each`, in the order of the log. A record that is torn
/// ends its segment. Not while the log is written: what is being written would look torn.
pub fn read(partition: &Path, mut each: impl FnMut(Datagram<'_>)) -> Result<()> {
    let cannot_read = || format!("cannot read {}", partition.display());
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(partition).with_context(cannot_read)? {
        let path = entry.with_context(cannot_read)?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            segments.push(path);
        }
    }
    // Base offsets have as many digits as any.
    segments.sort();
    for path in segments {
        let octets = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut rest = octets.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        while let Some(frame) = record(&mut rest) {
            datagrams(frame, &mut each)
                .with_context(|| format!("{} has a record that is no frame", path.display()))?;
        }
    }
    Ok(())
}

/// Two copies of 64 octets.
const SEGMENT_HEADER_BYTES: usize = 128;
const RECORD_HEADER_BYTES: usize = 40;
const FRAME_HEADER_BYTES: usize = 48;
const DATAGRAM_HEADER_BYTES: usize = 32;

/// The frame of the next record, if it is whole.
fn record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (header, behind) = rest.split_at_checked(RECORD_HEADER_BYTES)?;
    if !header.starts_with(b"NREC") {
        return None;
    }
    let (frame, behind) = behind.split_at_checked(number(&header[4..8]))?;
    *rest = behind;
    Some(frame)
}

fn datagrams(frame: &[u8], each: &mut impl FnMut(Datagram<'_>)) -> Result<()> {
    let (header, mut rest) = frame
        .split_at_checked(FRAME_HEADER_BYTES)
        .context("it is too short")?;
    if !header.starts_with(b"NTRF\x01") || number(&header[12..16]) != rest.len() {
        bail!("its header is wrong");
    }
    for _ in 0..number(&header[8..12]) {
        let (header, behind) = rest
            .split_at_checked(DATAGRAM_HEADER_BYTES)
            .context("it has too few datagrams")?;
        let (payload, behind) = behind
            .split_at_checked(number(&header[28..30]))
            .context("a datagram is too short")?;
        let exporter: [u8; 16] = header[..16].try_into()?;
        each(Datagram {
            exporter: IpAddr::from(Ipv6Addr::from(exporter)).to_canonical(),
            payload,
        });
        rest = behind;
    }
    if !rest.is_empty() {
        bail!("octets follow its datagrams");
    }
    Ok(())
}

/// Little endian, of at most four octets.
fn number(octets: &[u8]) -> usize {
    octets
        .iter()
        .rev()
        .fold(0, |number, &octet| number << 8 | usize::from(octet))
}
