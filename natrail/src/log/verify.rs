//! `natrail log verify`: whether all that a log holds is whole.

use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bus::Stream;
use bus::log::inspect::{self, Verified};
use serde::Serialize;

use super::Which;

/// After how long it says how far it is, and how often.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// Offsets that a line names; the object names all.
const OFFSETS_SHOWN: usize = 10;

/// Read all that the log holds, and say what of it is damaged.
///
/// Exit codes: 0 all is whole, 1 something is damaged, 2 it could not be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Partitions, such as syslog/0 [default: all]
    #[arg(value_name = "PARTITION")]
    partitions: Vec<Stream>,
    #[command(flatten)]
    which: Which,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    directory: String,
    id: String,
    whole: bool,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    stream: String,
    records: u64,
    datagrams: u64,
    /// Octets of the records that are whole.
    bytes: u64,
    whole: bool,
    /// Offsets of records that are not there any more, though what is around them is.
    damaged: Vec<Offsets>,
    /// Octets that are no whole record.
    damaged_bytes: u64,
    /// Offsets of records whose checksum is right and whose payload is no frame.
    no_frames: Vec<i64>,
}

/// From `first` up to before `next`.
#[derive(Serialize)]
struct Offsets {
    first: i64,
    next: i64,
}

pub fn run(args: &Args, config: Option<&Path>) -> Result<ExitCode> {
    let log = args.which.open(config)?;
    for &stream in &args.partitions {
        log.must_have(stream)?;
    }
    let streams = if args.partitions.is_empty() {
        log.streams()?
    } else {
        args.partitions.clone()
    };
    let mut said = Instant::now();
    let mut partitions = Vec::new();
    for stream in streams {
        let progress = |records| {
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                eprintln!("natrail: {stream}: {records} records so far");
            }
        };
        let verified =
            inspect::verify(&log.root, stream, progress).with_context(|| log.cannot_read(stream))?;
        partitions.push(Partition::new(stream, verified));
    }
    let report = Report {
        directory: log.root.path().display().to_string(),
        id: log.id,
        whole: partitions.iter().all(|partition| partition.whole),
        partitions,
    };
    let text = if args.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        report.partitions.iter().map(Partition::line).collect()
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::from(u8::from(!report.whole)))
}

impl Partition {
    fn new(stream: Stream, verified: Verified) -> Self {
        let offsets = |range: Range<i64>| Offsets {
            first: range.start,
            next: range.end,
        };
        Self {
            stream: stream.to_string(),
            records: verified.records,
            datagrams: verified.datagrams,
            bytes: verified.bytes,
            whole: verified.damaged.is_empty()
                && verified.damaged_bytes == 0
                && verified.no_frames.is_empty(),
            damaged: verified.damaged.into_iter().map(offsets).collect(),
            damaged_bytes: verified.damaged_bytes,
            no_frames: verified.no_frames,
        }
    }

    fn line(&self) -> String {
        let Self {
            stream,
            records,
            datagrams,
            bytes,
            ..
        } = self;
        let mut line = format!("{stream}: {records} records, {datagrams} datagrams, {bytes} octets");
        if self.whole {
            return line + ": whole\n";
        }
        line.push_str(": DAMAGED");
        if !self.damaged.is_empty() {
            let names = self.damaged.iter().map(|offsets| match offsets {
                Offsets { first, next } if first + 1 == *next => first.to_string(),
                Offsets { first, next } => format!("{first} to {}", next - 1),
            });
            line += &format!("; records missing at {}", some(names));
        }
        if self.damaged_bytes > 0 {
            line += &format!("; {} octets are no whole record", self.damaged_bytes);
        }
        if !self.no_frames.is_empty() {
            let names = self.no_frames.iter().map(i64::to_string);
            line += &format!("; no frame at {}", some(names));
        }
        line + "\n"
    }
}

/// The first of many names, and how many more there are.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(OFFSETS_SHOWN);
    let mut text = names.take(OFFSETS_SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more places");
    }
    text
}
