//! What was dropped before it was consumed: the list that the log's writer keeps, added up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bus::log::directory::Root;
use serde::{Deserialize, Serialize};

/// Most that is read of a list, in octets; more than its writer lets it grow to.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// The sums.
#[derive(Debug, Default, Serialize)]
pub struct Dropped {
    pub frames: u64,
    pub datagrams: u64,
    /// Datagrams by exporter; `others` are those that were not told apart.
    pub by_exporter: BTreeMap<String, u64>,
    /// When the first and the last of them were dropped, RFC 3339.
    pub first_at: Option<String>,
    pub last_at: Option<String>,
    /// Lines that are no line of such a list: the last one may just be being written.
    pub unreadable_lines: u64,
}

/// A line, as far as it is added up.
#[derive(Deserialize)]
struct Line {
    time_ns: u64,
    lost_frames: u64,
    lost_datagrams: u64,
    by_exporter: BTreeMap<String, u64>,
}

/// Adds the log's list up, and the one before it, which is kept when a list has become long.
pub fn read(root: &Root) -> io::Result<Dropped> {
    let mut dropped = Dropped::default();
    let mut times = Vec::new();
    let list = root.dropped();
    for path in [list.with_extension("jsonl.1"), list] {
        add(&path, &mut dropped, &mut times)?;
    }
    dropped.first_at = times.iter().min().copied().map(super::rfc3339);
    dropped.last_at = times.iter().max().copied().map(super::rfc3339);
    Ok(dropped)
}

fn add(path: &Path, dropped: &mut Dropped, times: &mut Vec<u64>) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file.take(LIST_BYTES_MAX)).split(b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(&line?) else {
            dropped.unreadable_lines += 1;
            continue;
        };
        times.push(line.time_ns);
        dropped.frames = dropped.frames.saturating_add(line.lost_frames);
        dropped.datagrams = dropped.datagrams.saturating_add(line.lost_datagrams);
        for (exporter, datagrams) in line.by_exporter {
            let sum = dropped.by_exporter.entry(exporter).or_default();
            *sum = sum.saturating_add(datagrams);
        }
    }
    Ok(())
}
