//! The frame log as a bus, beside the same octets written and read without any log, and beside Kafka.
//!
//! Everything of this process runs on one core; Kafka's broker may use all. All three get the same frames, in turns.

mod kafka;
mod log;
mod raw;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use config::Sync;
use wire::frame::{Datagram, FRAME_BYTES_MAX, FrameBuilder, PayloadKind};

use crate::decode_lines::Lines;
use crate::measure::Measure;

/// Octets of one round, about.
const ROUND_BYTES: u64 = 768 << 20;
const FRAME_BYTES: usize = 512 * 1024;
const ROUNDS: usize = 5;
/// Different frames; they are written in turn.
const FRAMES: usize = 16;
/// One stream: what is compared is one file.
const PARTITIONS: u16 = 1;

/// Time and CPU of a piece of work.
#[derive(Clone, Copy, Debug)]
struct Cost {
    seconds: f64,
    /// Of all processes that took part.
    cpu_seconds: f64,
}

impl Cost {
    fn of(work: impl FnOnce() -> Result<()>, cpu: impl Fn() -> Result<f64>) -> Result<Self> {
        let (cpu_begin, begin) = (cpu()?, Instant::now());
        work()?;
        Ok(Self {
            seconds: begin.elapsed().as_secs_f64(),
            cpu_seconds: cpu()? - cpu_begin,
        })
    }
}

/// CPU time of this process, in seconds.
fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The frames of a round: which one comes at each place.
struct Load {
    frames: Vec<Vec<u8>>,
    count: usize,
    bytes: u64,
}

impl Load {
    fn new() -> Self {
        let lines = Lines::NfwareSession.make();
        let mut next = 0;
        let frames: Vec<_> = (0..FRAMES)
            .map(|number| {
                let mut builder =
                    FrameBuilder::new(vec![0; FRAME_BYTES_MAX], PayloadKind::Syslog, 1, number as u64);
                while builder.bytes() < FRAME_BYTES {
                    let datagram = Datagram {
                        exporter: [192, 0, 2, 1].into(),
                        source_port: 514,
                        destination_port: 514,
                        received_ns: 1_750_000_000_000_000_000 + next as u64,
                        truncated: false,
                        payload: &lines[next % lines.len()],
                    };
                    next += 1;
                    if builder.push(&datagram).is_err() {
                        break;
                    }
                }
                let (mut octets, used) = builder.finish();
                octets.truncate(used);
                octets
            })
            .collect();
        let mean = frames.iter().map(Vec::len).sum::<usize>() / FRAMES;
        let count = ROUND_BYTES as usize / mean;
        let bytes = (0..count).map(|place| frames[place % FRAMES].len() as u64).sum();
        Self { frames, count, bytes }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|place| self.frames[place % FRAMES].as_slice())
    }
}

/// Writing and reading of one round.
#[derive(Clone, Copy, Debug)]
struct Round {
    write: Cost,
    read: Cost,
}

/// Lets the kernel write out what the work before left, so that it is not part of the next one.
fn settle() {
    rustix::fs::sync();
    std::thread::sleep(Duration::from_millis(200));
}

/// All measures. Kafka takes part if there is one.
pub fn measure() -> Result<Vec<Measure>> {
    daemon::cpu::pin(0)?;
    let directory = tempfile::tempdir_in(scratch()?).context("cannot make a directory for the files")?;
    let load = Load::new();
    let mut measures = Vec::new();
    for sync in [Sync::Interval, Sync::None, Sync::Always] {
        let (mut logs, mut raws, mut kafkas) = (Vec::new(), Vec::new(), Vec::new());
        let mut besides = Vec::new();
        for _ in 0..ROUNDS {
            settle();
            let log = log::round(directory.path(), &load, sync)?;
            settle();
            let raw = raw::round(directory.path(), &load, sync)?;
            eprintln!(
                "  sync {}: log {:.0} MB/s written, {:.0} read; raw {:.0} written, {:.0} read",
                sync.name(),
                rate(&load, log.write),
                rate(&load, log.read),
                rate(&load, raw.write),
                rate(&load, raw.read)
            );
            logs.push(log);
            raws.push(raw);
            if sync == Sync::Interval {
                settle();
                let kafka = kafka::round(&load)?;
                eprintln!(
                    "  Kafka: {:.0} MB/s written, {:.0} read; CPU s/GB {:.2} and {:.2} (log: {:.2} and {:.2})",
                    rate(&load, kafka.write),
                    rate(&load, kafka.read),
                    per_gb(&load, kafka.write),
                    per_gb(&load, kafka.read),
                    per_gb(&load, log.write),
                    per_gb(&load, log.read),
                );
                kafkas.push(kafka);
                settle();
                let beside = log::write_beside_reader(directory.path(), &load)?;
                eprintln!("  log beside a reader: {:.0} MB/s written", rate(&load, beside));
                besides.push(beside);
            }
        }
        measures.extend(compare(&load, sync, &logs, &raws, &kafkas));
        if !besides.is_empty() {
            let rates = |costs: &mut dyn Iterator<Item = Cost>| {
                costs.map(|cost| rate(&load, cost)).collect::<Vec<_>>()
            };
            let besides = rates(&mut besides.into_iter());
            let (value, alone) = paired(&besides, &rates(&mut logs.iter().map(|round| round.write)));
            measures.push(Measure {
                bench: "bus",
                measure: "log_write_beside_reader_mb_per_s".into(),
                value,
                unit: "MB/s",
                against: Some(("log_write", alone)),
            });
        }
    }
    Ok(measures)
}

/// MB/s (10^6).
fn rate(load: &Load, cost: Cost) -> f64 {
    load.bytes as f64 / cost.seconds / 1e6
}

/// CPU seconds for 10^9 octets.
fn per_gb(load: &Load, cost: Cost) -> f64 {
    cost.cpu_seconds / (load.bytes as f64 / 1e9)
}

/// Where files are written: not in memory, as a temporary directory may be.
fn scratch() -> Result<std::path::PathBuf> {
    let path = harness::services::cache()?.join("bench");
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// The round whose ratio is the median, of pairs that followed each other.
fn paired(ours: &[f64], theirs: &[f64]) -> (f64, f64) {
    let mut pairs: Vec<_> = ours.iter().copied().zip(theirs.iter().copied()).collect();
    pairs.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    pairs[pairs.len() / 2]
}

fn compare(load: &Load, sync: Sync, logs: &[Round], raws: &[Round], kafkas: &[Round]) -> Vec<Measure> {
    let mut measures = Vec::new();
    let mut add = |measure: &'static str, unit, against, of: &dyn Fn(&Round) -> f64, others: &[Round]| {
        if others.is_empty() {
            return;
        }
        let values = |rounds: &[Round]| rounds.iter().map(of).collect::<Vec<_>>();
        let (value, other) = paired(&values(logs), &values(others));
        measures.push(Measure {
            bench: "bus",
            measure: measure.into(),
            value,
            unit,
            against: Some((against, other)),
        });
    };
    let [written, read] = match sync {
        Sync::Interval => ["log_write_mb_per_s", "log_read_mb_per_s"],
        Sync::None => ["log_write_sync_none_mb_per_s", "log_read_sync_none_mb_per_s"],
        Sync::Always => ["log_write_sync_always_mb_per_s", "log_read_sync_always_mb_per_s"],
    };
    add(
        written,
        "MB/s",
        "raw_write",
        &|round| rate(load, round.write),
        raws,
    );
    add(read, "MB/s", "raw_read", &|round| rate(load, round.read), raws);
    let frames = |cost: Cost| load.count as f64 / cost.seconds;
    add(
        "log_write_frames_per_s",
        "frames/s",
        "kafka",
        &|round| frames(round.write),
        kafkas,
    );
    add(
        "log_read_frames_per_s",
        "frames/s",
        "kafka",
        &|round| frames(round.read),
        kafkas,
    );
    add(
        "log_write_cpu_s_per_gb",
        "s",
        "kafka",
        &|round| per_gb(load, round.write),
        kafkas,
    );
    add(
        "log_read_cpu_s_per_gb",
        "s",
        "kafka",
        &|round| per_gb(load, round.read),
        kafkas,
    );
    measures
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}
