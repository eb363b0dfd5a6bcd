//! `natrail trace`: who had this public address and port at this moment?

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use config::Config;
use store::time::rfc3339;
use store::trace::{Answer, Begin, End, Mapping, Query};

use crate::ledger::around::{Around, around};

/// Say who had a public address and port at a moment.
///
/// Mappings of all kinds are searched, whatever their age: sessions, port mappings, port blocks, addresses. Without a
/// port all candidates are given, without a protocol those of all protocols.
///
/// Exit codes: 0 found, 1 nobody, 2 the question or the database is at fault.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Public address, with port if it is known: 203.0.113.7:4000, [2001:db8::7]:4000, 203.0.113.7
    #[arg(long, value_name = "IP[:PORT]")]
    public: Public,
    /// tcp, udp, icmp, or an IANA protocol number
    #[arg(long, value_parser = protocol)]
    protocol: Option<u8>,
    /// The moment, with zone: 2026-03-01T12:00:00Z, 2026-03-01T13:00:00.5+01:00
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    at: i64,
    /// How far the clocks may be off, to both sides: 1s, 500ms, 2m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    tolerance: i64,
    /// Print a JSON object: query, coverage, mappings, ledger
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Public {
    address: IpAddr,
    port: Option<u16>,
}

impl FromStr for Public {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(both) = text.parse::<SocketAddr>() {
            return Ok(Self {
                address: both.ip(),
                port: Some(both.port()),
            });
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse()
            .map(|address| Self { address, port: None })
            .map_err(|_| "expected 203.0.113.7:4000, [2001:db8::7]:4000, or an address alone".into())
    }
}

fn protocol(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "icmpv6" => Ok(58),
        other => other
            .parse()
            .map_err(|_| "expected tcp, udp, icmp, or a number from 0 to 255".into()),
    }
}

pub(crate) fn moment(text: &str) -> Result<i64, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|error| format!("{error}; expected a time with its zone, as 2026-03-01T12:00:00Z"))?;
    i64::try_from(time.as_nanosecond()).map_err(|_| "expected a time from 1678 to 2261".into())
}

/// Plain non-negative durations; a year at most, since more is no tolerance.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    const EXPECTED: &str = "expected a duration from 0s to 365d, as 1s, 500ms, 2m, 1h";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit_ns: i64 = match &text[digits..] {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(EXPECTED.into()),
    };
    let number: i64 = text[..digits].parse().map_err(|_| EXPECTED)?;
    number
        .checked_mul(unit_ns)
        .filter(|&ns| ns <= 365 * 86_400_000_000_000)
        .ok_or_else(|| EXPECTED.into())
}

pub fn run(args: Args, config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load_or_default(config)?;
    let query = Query {
        public: args.public.address,
        port: args.public.port,
        protocol: args.protocol,
        at_ns: args.at,
        tolerance_ns: args.tolerance,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O runtime")?;
    let found = runtime.block_on(async {
        let mut client = store::connect::connect(&config.database.url).await?;
        let answer = store::trace::trace(&mut client, &query).await?;
        let exporters = &answer.coverage.exporters;
        let ledger = around(&mut client, query.at_ns, query.tolerance_ns, exporters).await?;
        anyhow::Ok(Found { answer, ledger })
    })?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&found)?)
    } else {
        let mut out = page(&found.answer);
        found.ledger.page(&mut out);
        out
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::from(u8::from(found.answer.mappings.is_empty())))
}

/// The answer, and what the ledger says of its time.
#[derive(serde::Serialize)]
struct Found {
    #[serde(flatten)]
    answer: Answer,
    ledger: Around,
}

/// The answer for people.
fn page(answer: &Answer) -> String {
    let query = &answer.query;
    let port = query
        .port
        .map_or_else(String::new, |port| format!(" port {port}"));
    let protocol = query
        .protocol
        .map_or_else(|| "any protocol".into(), protocol_name);
    let mut out = format!(
        "{}{port}, {protocol}, at {} ± {} s\n\n",
        query.public,
        rfc3339(query.at_ns),
        query.tolerance_ns as f64 / 1e9
    );
    if answer.mappings.is_empty() {
        nobody(&mut out, answer);
        return out;
    }
    let mut rows = vec![
        [
            "INSIDE",
            "OUTSIDE",
            "PROTOCOL",
            "REMOTE",
            "BEGIN",
            "END",
            "VRF",
            "SUBSCRIBER",
            "EXPORTER",
        ]
        .map(String::from),
    ];
    rows.extend(answer.mappings.iter().map(cells));
    table(&mut out, &rows);
    for (number, mapping) in answer.mappings.iter().enumerate() {
        let _ = write!(out, "\n{}: {}", number + 1, mapping.kind.name());
        if !mapping.at_the_moment {
            out.push_str(", only within the tolerance");
        }
        if mapping.begin.is_unknown() {
            out.push_str(", begin unknown: its creation was not received");
        }
        out.push('\n');
        for e in &mapping.evidence {
            let _ = writeln!(
                out,
                "   {} {} ({}), received {}: {} {}/{} offset {} event {}",
                e.event.name(),
                rfc3339(e.time_ns),
                e.time_source.name(),
                rfc3339(e.received_ns),
                e.bus,
                e.topic,
                e.partition,
                e.offset,
                e.index
            );
        }
        if mapping.evidence_total > mapping.evidence.len() {
            let _ = writeln!(
                out,
                "   and {} more between them",
                mapping.evidence_total - mapping.evidence.len()
            );
        }
    }
    if answer.more > 0 {
        let _ = writeln!(
            out,
            "\n{} more candidates are not shown: give a port or a protocol.",
            answer.more
        );
    }
    out
}

/// "No record" and "no data for that time" are different answers.
fn nobody(out: &mut String, answer: &Answer) {
    let coverage = &answer.coverage;
    if coverage.data_around {
        out.push_str("Nobody: no mapping was in force, and events of that time are stored.\n");
    } else {
        out.push_str("Unknown: no mapping is stored, and there is no data around that time.\n");
    }
    let shown = |ns: Option<i64>| ns.map_or_else(|| "none".into(), rfc3339);
    let _ = writeln!(
        out,
        "Nearest stored events: {} before, {} after.",
        shown(coverage.before_ns),
        shown(coverage.after_ns)
    );
    if coverage.exporters.is_empty() {
        out.push_str("No router ever announced a mapping that could be this one.\n");
    } else {
        let exporters: Vec<String> = coverage.exporters.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "Announced at other times by {}.", exporters.join(", "));
    }
}

fn cells(mapping: &Mapping) -> [String; 9] {
    let end_point = |ip: IpAddr, port: Option<u16>| match port {
        Some(port) => SocketAddr::new(ip, port).to_string(),
        None => ip.to_string(),
    };
    let outside = match (mapping.start_port, mapping.end_port) {
        (Some(start), Some(end)) => {
            let step = mapping
                .port_step
                .map_or_else(String::new, |step| format!(" step {step}"));
            format!("{} ports {start}-{end}{step}", mapping.x_ip)
        }
        _ => end_point(mapping.x_ip, mapping.x_port),
    };
    let begin = match mapping.begin {
        Begin::Created { at_ns } => rfc3339(at_ns),
        Begin::Stated { at_ns } => format!("{} (stated later)", rfc3339(at_ns)),
        Begin::Unknown {
            after_ns: None,
            until_ns,
        } => format!("before {}", rfc3339(until_ns)),
        Begin::Unknown {
            after_ns: Some(after_ns),
            until_ns,
        } => {
            format!("after {}, before {}", rfc3339(after_ns), rfc3339(until_ns))
        }
    };
    let end = match mapping.end {
        End::Open => "still open".into(),
        End::Deleted { at_ns } => rfc3339(at_ns),
        End::Superseded { at_ns } => format!("not after {} (taken over)", rfc3339(at_ns)),
    };
    let or_dash = |text: Option<&String>| text.map_or_else(|| "-".into(), |text| printable(text));
    [
        end_point(mapping.src_ip, mapping.src_port),
        outside,
        mapping.protocol.map_or_else(|| "all".into(), protocol_name),
        mapping
            .dst_ip
            .map_or_else(|| "-".into(), |ip| end_point(ip, mapping.dst_port)),
        begin,
        end,
        or_dash(mapping.vrf.as_ref()),
        or_dash(mapping.subscriber.as_ref()),
        mapping.exporter.to_string(),
    ]
}

/// Text comes from the network: control characters must not reach the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        other => format!("protocol {other}"),
    }
}

/// Columns as wide as their widest cell.
pub fn table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        let parsed = |text: &str| {
            text.parse::<Public>()
                .map(|public| (public.address.to_string(), public.port))
        };
        assert_eq!(parsed("203.0.113.7:4000"), Ok(("203.0.113.7".into(), Some(4000))));
        assert_eq!(parsed("203.0.113.7"), Ok(("203.0.113.7".into(), None)));
        assert_eq!(parsed("[2001:db8::7]:1"), Ok(("2001:db8::7".into(), Some(1))));
        assert_eq!(parsed("2001:db8::7"), Ok(("2001:db8::7".into(), None)));
        assert_eq!(parsed("[2001:db8::7]"), Ok(("2001:db8::7".into(), None)));
        for bad in ["", "203.0.113.256", "203.0.113.7:65536", "203.0.113.7:", "host:1"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_and_protocols() {
        assert_eq!(duration("1s"), Ok(1_000_000_000));
        assert_eq!(duration("500ms"), Ok(500_000_000));
        assert_eq!(duration("365d"), Ok(365 * 86_400_000_000_000));
        for bad in ["", "1", "s", "-1s", "366d", "9999999999999999999s", "1 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!((protocol("TCP"), protocol("47")), (Ok(6), Ok(47)));
        assert!(protocol("256").is_err());
    }

    #[test]
    fn moments_need_a_zone() {
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(moment("2026-03-01T12:00:00").is_err());
    }

    #[test]
    fn what_a_router_wrote_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
