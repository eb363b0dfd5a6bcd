//! `natrail generate`: the traffic of CGNs, for tests and measurements.
//!
//! - [`pool`]: subscribers, outside addresses, destinations;
//! - [`cgn`]: what happens on one CGN, one event after the other;
//! - [`nfware`], [`juniper`]: how the event is announced; [`render`]: numbers, addresses and times as text;
//! - [`flow`]: many events in a datagram of flow records;
//! - [`expect`]: what a perfect system would store;
//! - [`send`]: sockets and pace.

mod cgn;
mod expect;
mod flow;
mod juniper;
mod nfware;
mod pool;
mod render;
mod send;

use std::io::Write;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use cgn::{Cgn, Size};
use event::Event;
use expect::ExpectFile;
use render::Clockface;

/// Send the log messages of CGNs whose subscribers open and close sessions.
///
/// A message is a syslog line, or a datagram of flow records with twenty events; one of 256 of those holds templates alone.
/// Everything but the time follows from the seed. Each exporter is a CGN of its own, with subscribers and outside
/// addresses of its own, and with a source address of its own. Messages carry the time at which they are sent.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How the CGNs announce what they do.
    #[arg(long, value_enum)]
    format: Format,
    /// Where the messages go: host:port, UDP.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Messages a second; 0: as fast as possible.
    #[arg(long)]
    rate: u64,
    /// Messages in all.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Number of CGNs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    exporters: u32,
    /// Source address of the first CGN; the others have the addresses that follow it. All must be addresses of this
    /// machine. [default: 127.0.0.1 for a target on loopback, else the address that routing chooses]
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// Subscribers of all CGNs together.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(pool::SUBSCRIBERS_MAX)))]
    subscribers: u32,
    /// Everything but the time follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write what a perfect system would store to this file, one JSON object an event. The file has its name only
    /// once it is whole.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Print the summary as a JSON object.
    #[arg(long)]
    json: bool,
}

/// A log format that can be generated.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// NFWare vCGNAT: sessions, port mappings, port blocks, addresses.
    Nfware,
    /// Juniper SRX and MX-SPC3, structured data: sessions, port blocks.
    Juniper,
    /// IPFIX as RFC 8158 has it, NAT44 and NAT64: sessions, port mappings, port blocks, addresses.
    IpfixNat44,
    /// NetFlow v9 as Cisco IOS-XE sends it (NEL): sessions, port mappings, port blocks.
    NelV9,
}

impl Format {
    const fn traits(self) -> cgn::Traits {
        match self {
            Self::Nfware => nfware::TRAITS,
            Self::Juniper => juniper::TRAITS,
            Self::IpfixNat44 => flow::RFC8158.traits,
            Self::NelV9 => flow::NEL.traits,
        }
    }

    /// How flow records are made; `None` for syslog.
    const fn flow(self) -> Option<&'static flow::Style> {
        match self {
            Self::Nfware | Self::Juniper => None,
            Self::IpfixNat44 => Some(&flow::RFC8158),
            Self::NelV9 => Some(&flow::NEL),
        }
    }

    /// Most events of a message.
    const fn events_per_message(self) -> u64 {
        match self.flow() {
            Some(_) => flow::EVENTS_PER_DATAGRAM as u64,
            None => 1,
        }
    }
}

const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Messages of one CGN, one after the other.
struct Announcer {
    format: Format,
    cgn: Cgn,
    host: String,
    clock: Clockface,
    last_us: i64,
    flow: Option<flow::Exporter>,
}

impl Announcer {
    /// `size.events` is the number of messages.
    fn new(format: Format, mut size: Size, seed: u64) -> anyhow::Result<Self> {
        size.events *= format.events_per_message();
        let cgn = Cgn::new(format.traits(), size, seed).map_err(anyhow::Error::msg)?;
        let host = format!("cgn{}", size.exporter + 1);
        Ok(Self {
            format,
            cgn,
            host,
            clock: Clockface::default(),
            last_us: 0,
            flow: format.flow().map(flow::Exporter::new),
        })
    }

    /// Replaces `message` with the next one, announced at `now_us` (since 1970) or just after the message before, and gives
    /// its events to `each`.
    fn next(&mut self, now_us: i64, message: &mut Vec<u8>, mut each: impl FnMut(&Event<'_>)) {
        message.clear();
        if let Some(flow) = &mut self.flow {
            // A device states ms: whatever happens within one has the same time.
            self.last_us = now_us.max(self.last_us);
            flow.message(message, &mut self.cgn, self.last_us * 1000, each);
            return;
        }
        // No two messages of an exporter have the same time.
        self.last_us = now_us.max(self.last_us + 1);
        let now_ns = self.last_us * 1000;
        let (mut event, detail) = self.cgn.step(now_ns);
        if self.format == Format::Juniper {
            juniper::stamp(&mut event, now_ns, &detail);
            juniper::line(message, &mut self.clock, &self.host, now_ns, &event, &detail);
        } else {
            nfware::stamp(&mut event, now_ns);
            nfware::line(message, &mut self.clock, &self.host, &event);
        }
        each(&event);
    }
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Summary {
    sent: u64,
    /// Messages that the kernel refused; they are not in the expect file.
    refused: u64,
    /// Octets of the messages, without headers.
    bytes: u64,
    seconds: f64,
    lines_per_second: f64,
}

impl Summary {
    fn at(mut self, elapsed: Duration) -> Self {
        self.seconds = elapsed.as_secs_f64();
        self.lines_per_second = self.sent as f64 / self.seconds.max(1e-9);
        self
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = resolve(&args.to)?;
    let mut exporters = send::exporters(target, args.from, args.exporters)?;
    let mut announcers = Vec::with_capacity(exporters.len());
    for number in 0..args.exporters {
        let size = Size {
            exporter: number,
            exporters: args.exporters,
            subscribers: args.subscribers,
            events: args.count,
        };
        announcers.push(Announcer::new(args.format, size, args.seed)?);
    }
    let mut expect_file = args.expect.as_deref().map(ExpectFile::create).transpose()?;

    let mut pace = send::Pace::new(args.rate);
    let mut lines: Vec<Vec<u8>> = (0..send::BATCH_MAX).map(|_| Vec::with_capacity(2048)).collect();
    let mut expect_clock = Clockface::default();
    let mut expected = Vec::with_capacity(send::BATCH_MAX * 512);
    let mut expected_ends = Vec::with_capacity(send::BATCH_MAX);
    let mut summary = Summary::default();
    let start = Instant::now();
    let mut progress_due = start + PROGRESS_EVERY;
    let mut reported = summary;
    let mut turn = 0;
    while summary.sent + summary.refused < args.count {
        let left = args.count - summary.sent - summary.refused;
        let burst = (pace.burst() as u64).min(left) as usize;
        let (exporter, announcer) = (&mut exporters[turn], &mut announcers[turn]);
        turn = (turn + 1) % args.exporters as usize;

        pace.wait(burst);
        let now_us = now_us();
        expected.clear();
        expected_ends.clear();
        for line in &mut lines[..burst] {
            announcer.next(now_us, line, |event| {
                if expect_file.is_some() {
                    expect::line(&mut expected, &mut expect_clock, exporter.address, event);
                }
            });
            expected_ends.push(expected.len());
        }

        let mut written = Ok(());
        summary.refused += exporter.send(&lines[..burst], |index| {
            summary.sent += 1;
            summary.bytes += lines[index].len() as u64;
            if let (Some(file), Ok(())) = (&mut expect_file, &written) {
                let begin = index.checked_sub(1).map_or(0, |before| expected_ends[before]);
                written = file.write(&expected[begin..expected_ends[index]]);
            }
        })?;
        written?;

        let now = Instant::now();
        if now >= progress_due {
            let since = (now - progress_due + PROGRESS_EVERY).as_secs_f64();
            let rate = (summary.sent - reported.sent) as f64 / since;
            eprintln!(
                "natrail: {} of {} messages sent, {rate:.0}/s",
                summary.sent, args.count
            );
            reported = summary;
            progress_due = now + PROGRESS_EVERY;
        }
    }
    let summary = summary.at(start.elapsed());
    if let Some(file) = expect_file {
        file.finish()?;
    }
    report(&summary, args.json)?;
    if summary.refused > 0 {
        bail!(
            "cannot send {} of {} messages to {target}: the kernel refused them",
            summary.refused,
            args.count
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn resolve(target: &str) -> anyhow::Result<SocketAddr> {
    target
        .to_socket_addrs()
        .with_context(|| {
            format!(
                "cannot find {target:?}; --to wants host:port, such as 192.0.2.1:514 or [2001:db8::1]:514"
            )
        })?
        .next()
        .with_context(|| format!("{target:?} has no address"))
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

fn report(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, summary)?;
        writeln!(out)?;
    } else {
        let Summary {
            sent,
            refused,
            bytes,
            seconds,
            lines_per_second,
        } = summary;
        writeln!(
            out,
            "{sent} messages ({bytes} octets) sent in {seconds:.3} s: {lines_per_second:.0}/s; {refused} refused"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
