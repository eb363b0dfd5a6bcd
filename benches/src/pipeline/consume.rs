//! The consumer, from frames on the bus to committed rows.
//!
//! The frames are on the bus before the consumer starts, so that nothing but the consumer, the broker's read side and the
//! database work. Then the server copies the same rows from a file of its own into the same table of an empty
//! database: what it can do without anybody sending them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bus::{FrameSender, Stream, Topic};
use wire::frame::{Datagram, FRAME_BYTES_MAX, FrameBuilder, PayloadKind};

use super::setting::Setting;
use crate::decode_lines::Lines;
use crate::measure::Measure;

const EVENTS: u64 = 3_000_000;
const FRAME_BYTES: usize = 512 * 1024;
const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_mins(5);

const CONSUMER: &str = "[consumer]\ncores = [0]\n";

const ROUNDS: usize = 3;

/// Rows a second of one worker, beside the server's own COPY: the round whose ratio is the median.
///
/// Both of a round follow each other, so that what slows the machine down for a while hits both.
pub fn measure() -> Result<Vec<Measure>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let setting = Setting::new(CONSUMER)?;
        fill(&setting)?;
        settle(&setting)?;
        let (consumed, copied) = (consume(&setting)?, copy_from_file(&setting)?);
        eprintln!(
            "  consumer {consumed:.0} rows/s, COPY FROM file {copied:.0} rows/s: {:.2}",
            consumed / copied
        );
        rounds.push((consumed, copied));
    }
    rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    let (consumed, copied) = rounds[ROUNDS / 2];
    Ok(vec![Measure {
        bench: "pipeline",
        measure: "consumer_rows_per_s".into(),
        value: consumed,
        unit: "rows/s",
        against: Some(("copy_from_file", copied)),
    }])
}

/// Lets the server and the kernel write out what the step before left, so that it is not part of the next one.
fn settle(setting: &Setting) -> Result<()> {
    setting.database.execute("CHECKPOINT")?;
    rustix::fs::sync();
    Ok(())
}

/// Puts frames with [`EVENTS`] sessions on the bus.
fn fill(setting: &Setting) -> Result<()> {
    bus::kafka::ensure_topics(&setting.config.bus, || false)?;
    let sender = bus::kafka::connect_sender(&setting.config.bus)?;
    let lines = Lines::NfwareSession.make();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_nanos() as u64;
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    let (mut sent, mut frames) = (0, 0);
    while sent < EVENTS {
        let mut builder = FrameBuilder::new(buffer, PayloadKind::Syslog, 1, frames / PARTITIONS as u64);
        while sent < EVENTS && builder.bytes() < FRAME_BYTES {
            let datagram = Datagram {
                exporter: IpAddr::from([192, 0, 2, (frames % 4) as u8]),
                source_port: 514,
                destination_port: 514,
                // One partition by time: the last hour, at most.
                received_ns: now + sent * 1000,
                truncated: false,
                payload: &lines[(sent.wrapping_mul(2_654_435_761) % lines.len() as u64) as usize],
            };
            if builder.push(&datagram).is_err() {
                break;
            }
            sent += 1;
        }
        let datagrams = builder.count();
        let (filled, used) = builder.finish();
        let stream = Stream {
            topic: Topic::Syslog,
            partition: frames as i32 % PARTITIONS,
        };
        while sender.send(stream, &filled[..used], datagrams).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        buffer = filled;
        frames += 1;
    }
    if !sender.flush(PATIENCE) {
        bail!("Kafka has not taken all frames");
    }
    Ok(())
}

/// Runs the consumer until everything is committed. From the first commit seen to the last, so that its start does not count.
fn consume(setting: &Setting) -> Result<f64> {
    let mut consumer = setting.consumer()?;
    let mut client = setting.database.connect()?;
    let mut committed = || -> Result<u64> {
        let row = client.query_one("SELECT coalesce(sum(events), 0)::int8 FROM natrail.stream", &[])?;
        Ok(row.get::<_, i64>(0) as u64)
    };
    let deadline = Instant::now() + PATIENCE;
    let mut first = None;
    let rate = loop {
        let events = committed()?;
        let now = Instant::now();
        match first {
            None if events > 0 => first = Some((events, now)),
            Some((begin, since)) if events == EVENTS => {
                break (events - begin) as f64 / (now - since).as_secs_f64();
            }
            _ if now > deadline || !consumer.is_running() => {
                bail!("{events} of {EVENTS} events committed; {}", consumer.end_of_log());
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    consumer.stop(PATIENCE)?;
    Ok(rate)
}

/// Lets the server write the rows to a file, and read them into the same table of an empty database.
fn copy_from_file(setting: &Setting) -> Result<f64> {
    let empty = Setting::new("")?;
    // Seen from the server: its own temporary directory.
    let file = format!("/tmp/natrail-bench-{}.copy", std::process::id());
    let copy = || -> Result<f64> {
        setting
            .database
            .execute(&format!(
                "COPY (SELECT * FROM natrail.session) TO '{file}' (FORMAT binary)"
            ))
            .context("the server must be able to write a file (superuser, or pg_write_server_files)")?;
        let started = Instant::now();
        empty
            .database
            .execute(&format!("COPY natrail.session FROM '{file}' (FORMAT binary)"))?;
        let seconds = started.elapsed().as_secs_f64();
        let rows = empty.database.integer("SELECT count(*) FROM natrail.session")?;
        if rows as u64 != EVENTS {
            bail!("{rows} rows copied, {EVENTS} events were consumed");
        }
        Ok(rows as f64 / seconds)
    };
    let rate = copy();
    let tidied = setting
        .database
        .execute(&format!("COPY (SELECT) TO PROGRAM 'rm -f {file}'"));
    let rate = rate?;
    tidied.context("cannot remove the server's temporary file")?;
    Ok(rate)
}
