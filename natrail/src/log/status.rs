//! `natrail log status`: how much a log holds, and how far it is consumed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use bus::Topic;
use bus::log::inspect::{self, StreamStatus};
use serde::Serialize;

use super::dropped::{self, Dropped};
use super::{Log, Which, rfc3339};
use crate::trace::table;

const MIB: u64 = 1 << 20;
/// Exporters that the page names; the object names all.
const EXPORTERS_SHOWN: usize = 20;

/// Say how much the log holds, how far it is consumed, and what was lost.
///
/// A partition's consumer is told of by what it said last itself; the database has the last word (`natrail db status`).
/// Dead letters are consumed by nobody: they have no lag, and "owned" tells whether somebody writes them now.
///
/// Exit codes: 0 shown, 2 there is no log, or it cannot be read.
#[derive(clap::Args, Debug)]
pub struct Args {
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
    /// Octets of all frames' segments: what is bounded.
    bytes: u64,
    /// `bus.log.size_max_mib`; null for a log that was named by its directory, as is the next but one.
    bytes_max: Option<u64>,
    free_bytes: u64,
    free_reserve_bytes: Option<u64>,
    dead_letter_bytes: u64,
    /// Frames of all partitions that are not consumed.
    lag_frames: u64,
    partitions: Vec<Partition>,
    dropped: Dropped,
}

#[derive(Serialize)]
struct Partition {
    stream: String,
    topic: &'static str,
    #[serde(rename = "partition")]
    number: i32,
    segments: usize,
    first_offset: i64,
    next_offset: i64,
    bytes: u64,
    /// When its oldest record was written.
    oldest: Option<String>,
    /// Offset of the next frame to consume.
    consumed: Option<i64>,
    consumed_at: Option<String>,
    owned: bool,
    lag_frames: u64,
}

pub fn run(args: &Args, config: Option<&Path>) -> Result<ExitCode> {
    let log = args.which.open(config)?;
    let report = report(&log)?;
    let text = if args.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        page(&report)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::SUCCESS)
}

fn report(log: &Log) -> Result<Report> {
    let path = log.root.path();
    let (mut partitions, mut bytes, mut dead_letter_bytes) = (Vec::new(), 0, 0);
    for stream in log.streams()? {
        let partition = inspect::status(&log.root, stream)
            .and_then(|status| partition(log, &status))
            .with_context(|| log.cannot_read(stream))?;
        if stream.topic == Topic::DeadLetter {
            dead_letter_bytes += partition.bytes;
        } else {
            bytes += partition.bytes;
        }
        partitions.push(partition);
    }
    let space =
        inspect::space(path).with_context(|| format!("cannot ask the file system of {}", path.display()))?;
    let list = log.root.dropped();
    Ok(Report {
        directory: path.display().to_string(),
        id: log.id.clone(),
        bytes,
        bytes_max: log.settings.as_ref().map(|settings| settings.size_max_mib * MIB),
        free_bytes: space.free_bytes,
        free_reserve_bytes: log
            .settings
            .as_ref()
            .map(|settings| settings.free_reserve_mib * MIB),
        dead_letter_bytes,
        lag_frames: partitions.iter().map(|partition| partition.lag_frames).sum(),
        partitions,
        dropped: dropped::read(&log.root).with_context(|| format!("cannot read {}", list.display()))?,
    })
}

fn partition(log: &Log, status: &StreamStatus) -> std::io::Result<Partition> {
    let is_consumed = status.stream.topic != Topic::DeadLetter;
    Ok(Partition {
        stream: status.stream.to_string(),
        topic: status.stream.topic.name(),
        number: status.stream.partition,
        segments: status.segments,
        first_offset: status.first_offset,
        next_offset: status.next_offset,
        bytes: status.bytes,
        oldest: status.oldest_ns.map(rfc3339),
        consumed: status.position.map(|position| position.next),
        consumed_at: status.position.map(|position| rfc3339(position.written_ns)),
        owned: status.is_owned,
        lag_frames: if is_consumed { status.lag(&log.root)? } else { 0 },
    })
}

fn page(report: &Report) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB as f64);
    let mut out = format!("log      {}, id {}\n", report.directory, report.id);
    let _ = write!(out, "frames   {} MiB", mib(report.bytes));
    if let Some(most) = report.bytes_max {
        let _ = write!(out, " of at most {} MiB", mib(most));
    }
    let _ = writeln!(out, ", and {} MiB of dead letters", mib(report.dead_letter_bytes));
    let _ = write!(out, "disk     {} MiB free", mib(report.free_bytes));
    if let Some(reserve) = report.free_reserve_bytes {
        let _ = write!(out, ", of which {} MiB are left to others", mib(reserve));
    }
    let _ = writeln!(out, "\nlag      {} frames are not consumed\n", report.lag_frames);
    let head = [
        "STREAM", "SEGMENTS", "FIRST", "NEXT", "MIB", "OLDEST", "CONSUMED", "SAID AT", "OWNED", "LAG",
    ];
    let none = || "-".to_owned();
    let mut rows = vec![head.map(String::from)];
    rows.extend(report.partitions.iter().map(|partition| {
        [
            partition.stream.clone(),
            partition.segments.to_string(),
            partition.first_offset.to_string(),
            partition.next_offset.to_string(),
            mib(partition.bytes),
            partition.oldest.clone().unwrap_or_else(none),
            partition
                .consumed
                .map_or_else(none, |consumed| consumed.to_string()),
            partition.consumed_at.clone().unwrap_or_else(none),
            if partition.owned { "yes" } else { "no" }.into(),
            partition.lag_frames.to_string(),
        ]
    }));
    table(&mut out, &rows);
    lost(&mut out, &report.dropped);
    out
}

fn lost(out: &mut String, dropped: &Dropped) {
    if dropped.unreadable_lines > 0 {
        let _ = writeln!(
            out,
            "\ndropped.jsonl has {} lines that cannot be read",
            dropped.unreadable_lines
        );
    }
    let (Some(first), Some(last)) = (&dropped.first_at, &dropped.last_at) else {
        return;
    };
    let _ = writeln!(
        out,
        "\nLOST, dropped before they were consumed: {} frames with {} datagrams, from {first} to {last}",
        dropped.frames, dropped.datagrams
    );
    let mut exporters: Vec<_> = dropped.by_exporter.iter().collect();
    exporters.sort_by_key(|(_, datagrams)| std::cmp::Reverse(**datagrams));
    for (exporter, datagrams) in exporters.iter().take(EXPORTERS_SHOWN) {
        let _ = writeln!(out, "  {exporter:<40} {datagrams}");
    }
    if exporters.len() > EXPORTERS_SHOWN {
        let _ = writeln!(
            out,
            "  and {} more, which --json names",
            exporters.len() - EXPORTERS_SHOWN
        );
    }
}
