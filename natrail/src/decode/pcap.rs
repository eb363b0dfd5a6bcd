//! `natrail decode --pcap`: the UDP datagrams of a capture, and what is in them.
//!
//! - [`capture`]: pcap and pcapng, packet by packet; [`link`]: what stands before the IP header;
//! - [`kind`]: what a payload is; [`flow`]: flow records as JSON.

mod capture;
mod flow;
mod kind;
mod link;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use decode::netflow::{self, Exporters, Version};
use decode::{DecodeError, Outcome, Profile};
use serde::Serialize;
use wire::packet::{Content, Datagram, dissect};

use super::profile::Named;
use super::{BUFFER_BYTES, EventObject, MessageKind, reader_left, reason, rfc3339};
use capture::{Capture, Packet};
use flow::{FlowReport, TemplateObject};

/// Reads `file` and prints an object for each datagram. `kind`: what all of them are, if the user says so.
pub fn run(file: &Path, kind: Option<MessageKind>, profile: Named) -> anyhow::Result<ExitCode> {
    let mut capture = Capture::open(file)?;
    let at_once = io::stdout().is_terminal();
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let mut reader = Reader {
        kind,
        syslog: profile.syslog_or_auto(),
        flow: profile.flow_or_auto(),
        exporters: Exporters::default(),
        datagrams: 0,
    };
    let end = loop {
        let written = match capture.next() {
            Ok(Some(packet)) => reader.packet(&packet, &mut output),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let written = written.and_then(|()| if at_once { output.flush() } else { Ok(()) });
        if reader_left(written)? {
            return Ok(ExitCode::SUCCESS);
        }
    };
    if reader_left(output.flush())? {
        return Ok(ExitCode::SUCCESS);
    }
    reader.say_what_is_missing();
    if let Err(error) = end {
        bail!(
            "cannot read {} behind datagram {}: {error}",
            file.display(),
            reader.datagrams
        );
    }
    if reader.datagrams == 0 {
        eprintln!("natrail: {} holds no UDP datagram", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What is printed for a datagram.
#[derive(Serialize)]
struct Report<'a> {
    datagram: u64,
    exporter: IpAddr,
    kind: &'static str,
    events: &'a [FlowEvent],
    templates: &'a [TemplateObject],
    errors: &'a [String],
    /// Records that are known and no mapping, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ignored: &'a BTreeMap<&'static str, u64>,
    /// Ids of the sets that wait for their template.
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    parked: &'a [u16],
    /// Names that the exporter gives to VRFs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    vrf_names: &'a BTreeMap<u64, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<String>,
}

/// An event, with the datagram that it came in if that is another one.
#[derive(Serialize)]
struct FlowEvent {
    #[serde(flatten)]
    event: EventObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    datagram: Option<u64>,
}

struct Reader {
    kind: Option<MessageKind>,
    syslog: Profile,
    flow: netflow::Profile,
    exporters: Exporters,
    datagrams: u64,
}

impl Reader {
    fn packet(&mut self, packet: &Packet<'_>, output: &mut impl Write) -> io::Result<()> {
        let (exporter, found) = match dissect(&packet.view) {
            Content::Other => return Ok(()),
            Content::Fragment(source) => (
                source.into(),
                Err("fragment: a piece of a datagram; pieces are not put together".to_owned()),
            ),
            Content::Datagram(datagram) => (datagram.source.into(), payload(packet, &datagram)),
        };
        self.datagrams += 1;
        let mut report = FlowReport::new(self.datagrams);
        let kind = match found {
            Ok((datagram, payload)) => {
                let kind = self.kind.or_else(|| kind::of(&datagram, payload));
                self.payload(kind, exporter, packet.received_ns, payload, &mut report);
                kind.map_or("unknown", kind::name)
            }
            Err(error) => {
                report.errors.push(error);
                self.kind.map_or("unknown", kind::name)
            }
        };
        let report = Report {
            datagram: self.datagrams,
            exporter,
            kind,
            events: &report.events,
            templates: &report.templates,
            errors: &report.errors,
            ignored: &report.ignored,
            parked: &report.parked,
            vrf_names: &report.vrf_names,
            received: packet.received_ns.map(rfc3339),
        };
        serde_json::to_writer(&mut *output, &report)?;
        output.write_all(b"\n")
    }

    fn payload(
        &mut self,
        kind: Option<MessageKind>,
        exporter: IpAddr,
        received_ns: Option<i64>,
        payload: &[u8],
        report: &mut FlowReport,
    ) {
        match kind {
            Some(MessageKind::Netflow) => {
                let datagram = netflow::Datagram {
                    exporter,
                    received_ns: received_ns.unwrap_or(0),
                    tag: self.datagrams,
                    payload,
                };
                self.exporters.decode(self.flow, &datagram, report);
            }
            Some(MessageKind::Syslog) => {
                let outcome = decode::syslog::decode(self.syslog, payload, |event| report.push(event, None));
                match outcome {
                    Ok(Outcome::Events(_)) => {}
                    Ok(Outcome::Ignored(why)) => *report.ignored.entry(why.name()).or_default() += 1,
                    Err(error) | Ok(Outcome::Partly { error, .. }) => report.errors.push(reason(error)),
                }
            }
            Some(MessageKind::Radius) => report.errors.push(reason(DecodeError::NoDecoder)),
            None => report.errors.push(reason(DecodeError::UnknownFormat)),
        }
    }

    /// What the datagrams themselves cannot tell: what was lost on the way, and templates that never came.
    fn say_what_is_missing(&self) {
        let mut waiting: BTreeMap<(IpAddr, u32, u16), u64> = BTreeMap::new();
        for (exporter, set) in self.exporters.parked() {
            *waiting.entry((exporter, set.header.domain, set.id)).or_default() += 1;
        }
        for ((exporter, domain, id), sets) in waiting {
            eprintln!(
                "natrail: {sets} data sets of {exporter}, domain {domain}, wait for template {id}, which is not in the capture"
            );
        }
        let mut missing: Vec<_> = self
            .exporters
            .sequences()
            .map(|(exporter, version, domain, sequence)| {
                (exporter, version, domain, sequence.counters.missing)
            })
            .filter(|&(.., missing)| missing > 0)
            .collect();
        missing.sort_unstable();
        for (exporter, version, domain, missing) in missing {
            let unit = match version {
                None => "flows",
                Some(Version::V9) => "messages",
                Some(Version::Ipfix) => "records (or messages, of who counts those)",
            };
            eprintln!(
                "natrail: {missing} {unit} of {exporter}, domain {domain}, are missing by their sequence numbers"
            );
        }
    }
}

/// The datagram's payload, or why it is not there.
fn payload<'a>(packet: &'a Packet<'_>, datagram: &Datagram) -> Result<(Datagram, &'a [u8]), String> {
    if datagram.whole
        && let Some(payload) = packet.view.octets(datagram.payload())
    {
        return Ok((*datagram, payload));
    }
    let (held, sent) = (packet.octets_held, packet.octets_sent);
    Err(if held < sent {
        format!(
            "truncated_on_receive: the capture holds {held} of the packet's {sent} octets; capture with a greater snaplen"
        )
    } else {
        "malformed: the lengths of the packet, of IP and of UDP disagree".to_owned()
    })
}
