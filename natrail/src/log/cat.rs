//! `natrail log cat`: the datagrams that a log holds.

mod line;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bus::log::cursor::{Cursor, Read};
use bus::log::{inspect, letters};
use bus::{Loss, Stream, Topic};
use wire::frame::Frame;

use self::line::{Form, Letter, Message};
use super::{Log, Which};
use crate::decode::reader_left;

/// Octets of output that are handled at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// How often the log is looked at for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// How much later a frame may be begun than one that stands behind it: collector threads write beside each other.
const FRAMES_APART_NS: u64 = 60 * 1_000_000_000;

/// Print the datagrams that a partition holds.
///
/// Plain: one a line, as `natrail decode --kind syslog -` takes them; LF and NUL inside are written as #012 and #000, those at the
/// end (and CR) are left out. --json: one object a line, {"stream", "offset", "index", "exporter", "received",
/// "source_port", "destination_port", "truncated", "payload", "payload_hex"}; the payload is hexadecimal where it is not
/// UTF-8 or the kind is binary (netflow, radius), and the other of the two is null. Of dead letters the message that could
/// not be decoded is printed; their objects have "reason", "bytes" and "of" (its frame and place) instead of ports.
///
/// What is damaged or was dropped is said on standard error.
///
/// Exit codes: 0 printed, 1 something was damaged or dropped, 2 it could not be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Partition, such as syslog/0
    #[arg(value_name = "PARTITION")]
    partition: Stream,
    /// First offset, or receive time (RFC 3339) [default: the oldest there is]
    #[arg(long, value_name = "OFFSET|TIME", allow_negative_numbers = true)]
    from: Option<Place>,
    /// Up to before this offset, or receive time
    #[arg(long, value_name = "OFFSET|TIME", allow_negative_numbers = true)]
    to: Option<Place>,
    /// Only datagrams from this address
    #[arg(long, value_name = "IP")]
    exporter: Option<IpAddr>,
    /// At most so many datagrams
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Wait for more at the end
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON objects
    #[arg(long)]
    json: bool,
}

/// Where to begin or to end.
#[derive(Clone, Copy, Debug)]
enum Place {
    Offset(i64),
    /// ns since 1970 (UTC).
    Time(u64),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(offset) = text.parse::<i64>() {
            return if offset >= 0 {
                Ok(Self::Offset(offset))
            } else {
                Err("offsets begin at 0".into())
            };
        }
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| "expected an offset, or a time with zone such as 2026-03-01T12:00:00Z")?;
        u64::try_from(time.as_nanosecond())
            .map(Self::Time)
            .map_err(|_| "expected a time of 1970 to 2554".into())
    }
}

pub fn run(args: &Args, config: Option<&Path>) -> Result<ExitCode> {
    let stream = args.partition;
    if !args.json && matches!(stream.topic, Topic::Netflow | Topic::Radius) {
        bail!(
            "{} is binary: print it with --json (payload_hex)",
            stream.topic.name()
        );
    }
    let log = args.which.open(config)?;
    log.must_have(stream)?;
    let output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let mut cat = Cat::new(args, output);
    let cursor = cat.begin(&log).with_context(|| log.cannot_read(stream))?;
    cat.copy(&log, cursor)?;
    Ok(ExitCode::from(u8::from(cat.has_gaps)))
}

/// What is printed, and how far.
struct Cat<W> {
    output: W,
    stream: Stream,
    form: Form,
    exporter: Option<IpAddr>,
    /// Receive times, ns since 1970 (UTC).
    times: Range<u64>,
    end: i64,
    /// Datagrams that may still be printed.
    left: u64,
    from: Option<Place>,
    follow: bool,
    /// Something was damaged or dropped.
    has_gaps: bool,
    done: bool,
}

impl<W: Write> Cat<W> {
    fn new(args: &Args, output: W) -> Self {
        let time = |place, default| match place {
            Some(Place::Time(time)) => time,
            _ => default,
        };
        Self {
            output,
            stream: args.partition,
            form: match args.json {
                true => Form::Json,
                false if io::stdout().is_terminal() => Form::Terminal,
                false => Form::Plain,
            },
            exporter: args.exporter.map(|address| address.to_canonical()),
            times: time(args.from, 0)..time(args.to, u64::MAX),
            end: match args.to {
                Some(Place::Offset(offset)) => offset,
                _ => i64::MAX,
            },
            left: args.limit.unwrap_or(u64::MAX),
            from: args.from,
            follow: args.follow,
            has_gaps: false,
            done: false,
        }
    }

    fn begin(&self, log: &Log) -> io::Result<Cursor> {
        let next = match self.from {
            None => -1,
            Some(Place::Offset(offset)) => offset,
            // Written before it was received is nothing.
            Some(Place::Time(time)) => inspect::offset_at(&log.root, self.stream, time)?,
        };
        Ok(Cursor::new(log.root.stream(self.stream), next))
    }

    fn copy(&mut self, log: &Log, mut cursor: Cursor) -> Result<()> {
        while !self.done && self.left > 0 && cursor.next_offset() < self.end {
            match inspect::read_settled(&mut cursor).with_context(|| log.cannot_read(self.stream))? {
                Read::Record(found) if found.header.offset >= self.end => break,
                Read::Record(found) => {
                    let written = self.record(found.header.offset, cursor.payload(&found));
                    if reader_left(written)? {
                        return Ok(());
                    }
                }
                Read::Lost(missing, why) => self.lost(missing.start..missing.end.min(self.end), why),
                Read::End if self.follow => {
                    if reader_left(self.output.flush())? || crate::reader_is_gone() {
                        return Ok(());
                    }
                    std::thread::sleep(FOLLOW_EVERY);
                }
                Read::End => {
                    let unreadable = inspect::unreadable_end(&log.root, self.stream)
                        .with_context(|| log.cannot_read(self.stream))?;
                    self.end(cursor.damaged_bytes() + cursor.unread_bytes() + unreadable);
                    break;
                }
            }
        }
        reader_left(self.output.flush()).map(drop)
    }

    /// Nothing more is there: whether what was there was whole.
    fn end(&mut self, octets: u64) {
        if octets > 0 {
            self.gap(&format!("{octets} octets of {} are no whole record", self.stream));
        }
    }

    fn lost(&mut self, missing: Range<i64>, why: Loss) {
        if missing.is_empty() {
            return;
        }
        let (stream, records) = (self.stream, missing.end - missing.start);
        let why = match why {
            Loss::Damaged => "damaged",
            Loss::Retention => "not there any more: dropped",
        };
        self.gap(&format!(
            "{stream}: {records} records from offset {} on are {why}",
            missing.start
        ));
    }

    fn gap(&mut self, what: &str) {
        self.has_gaps = true;
        eprintln!("natrail: {what}");
    }

    fn record(&mut self, offset: i64, payload: &[u8]) -> io::Result<()> {
        if self.stream.topic == Topic::DeadLetter {
            let Some((letter, message)) = letters::read(payload) else {
                self.gap(&format!("{}: record {offset} is no dead letter", self.stream));
                return Ok(());
            };
            return self.letter(offset, &letter, message);
        }
        let frame = match Frame::open(payload) {
            Ok(frame) => frame,
            Err(error) => {
                self.gap(&format!("{}: record {offset} is no frame: {error}", self.stream));
                return Ok(());
            }
        };
        if frame.opened_ns() > self.times.end.saturating_add(FRAMES_APART_NS) {
            self.done = true;
            return Ok(());
        }
        for (index, datagram) in frame.datagrams().enumerate() {
            if !self.wants(datagram.exporter, datagram.received_ns) {
                continue;
            }
            let message = Message {
                stream: self.stream,
                offset,
                index: index as u32,
                datagram,
                letter: None,
            };
            message.write(&mut self.output, self.form)?;
        }
        Ok(())
    }

    fn letter(&mut self, offset: i64, letter: &letters::Description, message: &[u8]) -> io::Result<()> {
        if !self.wants(letter.exporter, letter.received_ns) {
            return Ok(());
        }
        let message = Message {
            stream: self.stream,
            offset,
            index: 0,
            datagram: wire::frame::Datagram {
                exporter: letter.exporter,
                source_port: 0,
                destination_port: 0,
                received_ns: letter.received_ns,
                truncated: letter.bytes > message.len(),
                payload: message,
            },
            letter: Some(Letter::new(letter)),
        };
        message.write(&mut self.output, self.form)
    }

    /// Whether a datagram is to be printed; counts it if so.
    fn wants(&mut self, exporter: IpAddr, received_ns: u64) -> bool {
        let wanted = self.left > 0
            && self.times.contains(&received_ns)
            && self.exporter.is_none_or(|only| only == exporter.to_canonical());
        self.left -= u64::from(wanted);
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_offset_or_a_time() {
        assert!(matches!("17".parse(), Ok(Place::Offset(17))));
        assert!(matches!(
            "1970-01-01T01:00:01+01:00".parse(),
            Ok(Place::Time(1_000_000_000))
        ));
        for wrong in ["-1", "yesterday", "2026-03-01", "1969-12-31T23:59:59Z", ""] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
