//! What the frame log itself holds, read without any of natrail's code, knowing only docs/frame-log.md and docs/frame.md: a
//! second opinion beside what the daemons count. Not while the log is written: what is being written would look torn.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Number of records in a topic (`syslog`, `netflow`, `radius`, `ledger`, `dead-letter`) of the log in this directory, over all
/// partitions; 0 if there is none.
pub fn records(log: &Path, topic: &str) -> Result<u64> {
    let mut count = 0;
    each_record(&log.join(topic), |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Gives all datagrams of a topic to `each`, partition by partition, in the order of the log.
pub fn datagrams(log: &Path, topic: &str, mut each: impl FnMut(Datagram<'_>)) -> Result<()> {
    each_record(&log.join(topic), |frame| open_frame(frame, &mut each))
}

/// A datagram in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub exporter: IpAddr,
    pub payload: &'a [u8],
}

/// Gives the payload of each record to `each`. A record that is torn ends its segment.
fn each_record(topic: &Path, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    for partition in entries(topic)? {
        for path in entries(&partition)? {
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let octets = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut rest = octets.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
            while let Some(payload) = next_record(&mut rest) {
                each(payload).with_context(|| format!("{} has a record that is no frame", path.display()))?;
            }
        }
    }
    Ok(())
}

/// What is in a directory, by name: the names of segments have as many digits as any. Nothing, if it is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut paths = read().with_context(|| format!("cannot read {}", directory.display()))?;
    paths.sort();
    Ok(paths)
}

/// Two copies of 64 octets.
const SEGMENT_HEADER_BYTES: usize = 128;
const RECORD_HEADER_BYTES: usize = 40;
const FRAME_HEADER_BYTES: usize = 48;
const DATAGRAM_HEADER_BYTES: usize = 32;

/// The payload of the next record, if it is whole.
fn next_record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (header, behind) = rest.split_at_checked(RECORD_HEADER_BYTES)?;
    if !header.starts_with(b"NREC") {
        return None;
    }
    let (payload, behind) = behind.split_at_checked(number(&header[4..8]))?;
    *rest = behind;
    Some(payload)
}

fn open_frame(frame: &[u8], each: &mut impl FnMut(Datagram<'_>)) -> Result<()> {
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
