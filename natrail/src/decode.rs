//! `natrail decode`: what the decoders make of a file of messages, or of a capture.
//!
//! - [`pcap`]: the datagrams of a capture; [`profile`]: the name of a profile, of either kind.

mod pcap;
mod profile;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use config::Config;
use decode::exporter::Settings;
use decode::exporter::pattern::{Options, Pattern};
use decode::syslog::MAX_LINE_BYTES;
use decode::zone::Zone;
use decode::{DecodeError, Exporter, Outcome, Profile};
use event::{Event, Text};
use jiff::Timestamp;
use serde::Serialize;

/// Octets of input and output that are handled at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Show what is in messages, one JSON object for each line of input, or for each UDP datagram of a capture.
///
/// {"line":N,"events":[…],"error":null}: "error" is a reason, such as "truncated: message ends too early", where the
/// line is refused, or one of its records while others gave events; "ignored" is added where it is known and no mapping. Lines may hold any octets.
///
/// With --pcap {"datagram":N,"exporter":"IP","kind":"netflow","events":[…],"templates":[…],"errors":[…]}: syslog and flow
/// records are told apart by what they hold. Flow records that came before their template are shown with the datagram that
/// brought it, and carry the "datagram" that they came in.
///
/// Exit codes: 0 all lines or datagrams were read, whatever was in them; 2 the input cannot be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What the messages are [default with --pcap: what they look like]
    #[arg(long, value_enum, required_unless_present = "pcap")]
    kind: Option<MessageKind>,
    /// Format, as `natrail formats` lists them; with --pcap also how flow records are read [default: what the
    /// configuration has for --exporter, else auto]
    #[arg(long, value_name = "NAME", value_parser = profile::parser())]
    profile: Option<profile::Named>,
    /// Capture to read instead of lines, pcap or pcapng; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "exporter", "received", "pattern", "time_zone"])]
    pcap: Option<PathBuf>,
    /// Address that the messages came from: all that the configuration says of it is used
    #[arg(long, value_name = "IP")]
    exporter: Option<IpAddr>,
    /// Format of your own, as a regular expression with named groups; may be repeated, and is tried before those of
    /// --exporter. Without --profile and --exporter nothing else is read
    #[arg(long, value_name = "REGEX", value_parser = pattern)]
    pattern: Vec<Pattern>,
    /// Zone of the device's clock, as time_zone in the configuration
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Zone>,
    /// Receive time, RFC 3339: "received" of every line; it is the time of the events whose "timestamp" is null, and tells
    /// the year of times that have none [default for that: now]
    #[arg(long, value_name = "TIME")]
    received: Option<Timestamp>,
    /// File with one message per line; - is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
}

/// What a listener receives.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum MessageKind {
    Syslog,
    /// NetFlow v5, v9 and IPFIX
    Netflow,
    Radius,
}

/// Reads a pattern that has all the options that it needs in itself.
fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text, Options::default())
}

/// Runs the command. `config` is the configuration file that was named, if one was.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.pcap {
        return pcap::run(file, args.kind, args.profile.unwrap_or_default());
    }
    if let Some(kind @ (MessageKind::Netflow | MessageKind::Radius)) = args.kind {
        bail!("cannot read {kind:?} from lines: name a capture with --pcap");
    }
    let mut exporter = Exporter::new(settings(&args, config)?);
    let received = args
        .received
        .map(|time| ns(time).context("--received is not a time of 1678 to 2261"))
        .transpose()?;
    let name = args.file.display();
    let mut input = open(&args.file)?;
    // Somebody who types lines wants to see each answer.
    let at_once = io::stdout().is_terminal();
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());

    let mut line = Line::default();
    let mut number = 0;
    while line
        .read(&mut input)
        .with_context(|| format!("cannot read {name} behind line {number}"))?
    {
        number += 1;
        let written = write(&mut output, number, &line, &mut exporter, received)
            .and_then(|()| if at_once { output.flush() } else { Ok(()) });
        if reader_left(written)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    reader_left(output.flush())?;
    Ok(ExitCode::SUCCESS)
}

/// A file with one message per line; `-` is standard input.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            io::stdin().lock(),
        )));
    }
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("cannot read {name}: it is a directory; name a file with one message per line");
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

/// Whether output failed since nobody reads it any more, which is no error (`natrail decode … | head`).
pub fn reader_left(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        written => written.map(|()| false).context("cannot write to standard output"),
    }
}

/// What is said of the exporter: by the configuration, and by the other arguments, which come first.
fn settings(args: &Args, config: Option<&Path>) -> anyhow::Result<Settings> {
    let profile = args.profile.map(profile::Named::syslog).transpose()?;
    let mut settings = match args.exporter {
        Some(exporter) => configured(exporter, profile.is_some(), config)?,
        None => Settings {
            profile: args.pattern.is_empty().then_some(Profile::Auto),
            ..Settings::from(Profile::Auto)
        },
    };
    settings.profile = profile.or(settings.profile);
    if args.time_zone.is_some() {
        settings.zone.clone_from(&args.time_zone);
    }
    settings.patterns.splice(0..0, args.pattern.iter().cloned());
    Ok(settings)
}

/// What the configuration says of an exporter; `auto` where there is none.
fn configured(exporter: IpAddr, has_profile: bool, config: Option<&Path>) -> anyhow::Result<Settings> {
    let path = match config {
        Some(path) => path,
        None if Path::new(config::DEFAULT_PATH).exists() => Path::new(config::DEFAULT_PATH),
        None => return Ok(Profile::Auto.into()),
    };
    let config = Config::load(path)?;
    match config.exporters.find(exporter) {
        Some(entry) => Ok(entry.settings.clone()),
        None if config.exporters.allow_all || has_profile => Ok(Profile::Auto.into()),
        None => bail!(
            "{exporter} is no exporter of {}: its messages would be dropped; add it there, or name a --profile",
            path.display()
        ),
    }
}

/// A line of input. Of one that is too long to be decoded only the begin is kept.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
}

impl Line {
    /// Reads the next line, without its LF; `false` at the end of the input.
    pub(crate) fn read(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        self.bytes.clear();
        let mut any = false;
        loop {
            let buffer = match input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // CR and padding count as well: one octet more than allowed is enough to know that it is too long.
            let room = (MAX_LINE_BYTES + 1).saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            input.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// What is printed for a line.
#[derive(Serialize)]
struct Report<'a> {
    line: u64,
    events: &'a [EventObject],
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<String>,
}

/// An event, with the field names of cgn-ec and RFC 3339 times.
#[derive(Serialize)]
struct EventObject {
    kind: &'static str,
    event: &'static str,
    protocol: Option<u8>,
    src_ip: IpAddr,
    src_port: Option<u16>,
    x_ip: Option<IpAddr>,
    x_port: Option<u16>,
    dst_ip: Option<IpAddr>,
    dst_port: Option<u16>,
    start_port: Option<u16>,
    end_port: Option<u16>,
    port_step: Option<u16>,
    vrf: Option<String>,
    subscriber: Option<String>,
    timestamp: Option<String>,
    time_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping_start: Option<String>,
}

impl EventObject {
    fn new(event: &Event<'_>) -> Self {
        let text = |text: Text<'_>| text.to_str().into_owned();
        Self {
            kind: event.kind.name(),
            event: event.action.name(),
            protocol: event.protocol,
            src_ip: event.src_ip,
            src_port: event.src_port,
            x_ip: event.x_ip,
            x_port: event.x_port,
            dst_ip: event.dst_ip,
            dst_port: event.dst_port,
            start_port: event.start_port,
            end_port: event.end_port,
            port_step: event.port_step,
            vrf: event.vrf.map(text),
            subscriber: event.subscriber.map(text),
            timestamp: event.time_ns.map(rfc3339),
            time_source: event.time_source.name(),
            mapping_start: event.mapping_start_ns.map(rfc3339),
        }
    }
}

fn write(
    output: &mut impl Write,
    number: u64,
    line: &Line,
    exporter: &mut Exporter,
    received_ns: Option<i64>,
) -> io::Result<()> {
    let mut events = Vec::new();
    let near_ns = received_ns.or_else(|| ns(Timestamp::now())).unwrap_or(0);
    let outcome = exporter.decode(&line.bytes, near_ns, |event| {
        events.push(EventObject::new(event));
    });
    let report = Report {
        line: number,
        events: &events,
        error: match outcome {
            Err(error) | Ok(Outcome::Partly { error, .. }) => Some(reason(error)),
            Ok(_) => None,
        },
        ignored: match outcome {
            Ok(Outcome::Ignored(why)) => Some(why.name()),
            _ => None,
        },
        received: received_ns.map(rfc3339),
    };
    serde_json::to_writer(&mut *output, &report)?;
    output.write_all(b"\n")
}

/// The stable word, and what it means.
fn reason(error: DecodeError) -> String {
    format!("{}: {error}", error.name())
}

/// RFC 3339, UTC, with 3, 6 or 9 fraction digits.
fn rfc3339(ns: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(ns.into()) else {
        return String::new();
    };
    match ns {
        _ if ns % 1_000_000 == 0 => format!("{time:.3}"),
        _ if ns % 1_000 == 0 => format!("{time:.6}"),
        _ => format!("{time:.9}"),
    }
}

fn ns(time: Timestamp) -> Option<i64> {
    time.as_nanosecond().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(input: &[u8], received: Option<i64>) -> Vec<serde_json::Value> {
        let mut input = BufReader::with_capacity(16, input);
        let (mut output, mut line, mut number) = (Vec::new(), Line::default(), 0);
        let mut exporter = Exporter::new(Profile::Auto.into());
        while line.read(&mut input).unwrap() {
            number += 1;
            write(&mut output, number, &line, &mut exporter, received).unwrap();
        }
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn every_line_is_answered_whatever_it_holds() {
        let mut input = b"A VRF 0 INT 10.0.0.1 EXT 100.64.0.1\r\n\n\xff\xfe\n".to_vec();
        input.extend(vec![b'x'; 3 * MAX_LINE_BYTES]);
        input.extend(b"\nRT_NAT: RT_NAT_RULE_MATCH: x\nA VRF 0 INT 10.0.0.1 EXT");
        let reports = reports(&input, None);
        let column = |key: &str| {
            reports
                .iter()
                .map(|report| report[key].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(column("line"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            column("error"),
            [
                serde_json::Value::Null,
                "empty: empty message".into(),
                "not_utf8: not UTF-8".into(),
                "too_long: message too long".into(),
                serde_json::Value::Null,
                "truncated: message ends too early".into(),
            ]
        );
        assert_eq!(reports[0]["events"][0]["x_ip"], "100.64.0.1");
        assert_eq!(reports[4]["ignored"], "not_a_mapping");
        assert!(reports[0].get("ignored").is_none());
        assert!(reports[0]["events"][0].get("mapping_start").is_none());
    }

    #[test]
    fn no_line_at_all_is_no_answer() {
        assert!(reports(b"", None).is_empty());
        assert_eq!(reports(b"\n\n", None).len(), 2);
    }

    #[test]
    fn the_receive_time_stands_beside_the_events_and_never_for_a_device_time() {
        let input = b"A VRF 0 INT 10.0.0.1 EXT 100.64.0.1\n<1>1 2025-05-29T12:00:00.1Z - - - - - D VRF 0 INT 10.0.0.1 EXT 100.64.0.1\n";
        let with = reports(input, Some(1_000));
        for (report, time) in with
            .iter()
            .zip([serde_json::Value::Null, "2025-05-29T12:00:00.100Z".into()])
        {
            assert_eq!(report["events"][0]["timestamp"], time);
            assert_eq!(report["received"], "1970-01-01T00:00:00.000001Z");
        }
        assert_eq!(with[0]["events"][0]["time_source"], "receive");
        assert!(reports(input, None)[0].get("received").is_none());
    }
}
