//! What comes out of a datagram, and to whom it is given.

use std::fmt;
use std::net::IpAddr;

use event::Event;

use super::message::{Header, Version};
use super::template::{Record, Template};
use super::v5::Flow;
use crate::{DecodeError, Ignored};

/// A datagram's payload and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub exporter: IpAddr,
    /// ns since 1970.
    pub received_ns: i64,
    /// The caller's name for the datagram. It comes back with all that was in it, also if that is decoded later.
    pub tag: u64,
    pub payload: &'a [u8],
}

/// The datagram that something stood in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub tag: u64,
    /// ns since 1970.
    pub received_ns: i64,
}

/// Who takes what was decoded.
pub trait Sink {
    /// Whether [`Sink::record`] is wanted.
    const RECORDS: bool = false;

    fn event(&mut self, event: &Event<'_>, origin: Origin);

    /// So many records that are known and no mapping.
    fn ignored(&mut self, _reason: Ignored, _records: u64, _origin: Origin) {}

    /// What may be an event, and cannot be decoded: a dead letter.
    fn refused(&mut self, _refused: &Refused<'_>, _origin: Origin) {}

    /// A template that came, new or not.
    fn template(&mut self, _template: &Known<'_>, _news: News) {}

    /// A set that waits for its template: its id, and its octets.
    fn parked(&mut self, _id: u16, _octets: &[u8], _origin: Origin) {}

    /// A set that waited does so no more: its template came, or it was given up. What was in it was given before.
    fn settled(&mut self, _id: u16, _origin: Origin) {}

    /// Any record, options records too, before what becomes of it.
    fn record(&mut self, _header: &Header, _record: Record<'_>, _origin: Origin) {}

    /// A flow of NetFlow v5, before what becomes of it.
    fn flow(&mut self, _flow: &Flow, _origin: Origin) {}

    /// The name that an exporter gives to a VRF (options records with IE 234 and 236).
    fn vrf_name(&mut self, _id: u64, _name: &str, _origin: Origin) {}
}

/// Whether a template says something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    New,
    /// Another one had this id.
    Changed,
    /// The same as before.
    Repeated,
    /// Its withdrawal was asked for, and ignored: over UDP nobody knows the order (RFC 7011 section 8.4).
    Withdrawn,
}

/// A template, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub exporter: IpAddr,
    pub version: Version,
    /// Observation domain, source id.
    pub domain: u32,
    pub template: &'a Template,
}

/// What cannot be decoded, and why.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    pub error: DecodeError,
    pub part: Part<'a>,
}

/// What of a datagram is refused.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The datagram, or what is left of it.
    Datagram,
    /// The set with this id, or what is left of it.
    Set(u16),
    /// A set whose template did not come: its id, and its octets.
    Waited(u16, &'a [u8]),
    /// One record of a template, with its natEvent or firewallEvent, if it has one.
    Record {
        template: &'a Template,
        octets: &'a [u8],
        nat_event: Option<u64>,
    },
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.name(), self.error)?;
        match self.part {
            Part::Datagram => Ok(()),
            Part::Set(id) | Part::Waited(id, _) => write!(f, " (set {id})"),
            Part::Record {
                template, nat_event, ..
            } => {
                f.write_str(" (")?;
                if let Some(value) = nat_event {
                    write!(f, "natEvent {value}, ")?;
                }
                write!(f, "template {}:", template.id)?;
                for field in &template.fields {
                    write!(f, " {}", field.element)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// What was in a datagram, in numbers. Records of earlier datagrams that it brought the template for are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub events: u64,
    pub ignored: u64,
    pub refused: u64,
    /// Sets that wait for their template.
    pub parked: u64,
    /// Events of sets that had waited.
    pub unparked_events: u64,
    /// Sequence numbers that were passed over before this datagram, in the unit of the sequence.
    pub passed_over: u64,
    /// Sequence numbers that had been passed over, and came late with this datagram.
    pub came_late: u64,
}

impl Summary {
    /// Takes note of what a sequence misses before and behind a datagram.
    pub(super) fn sequence(&mut self, before: u64, behind: u64) {
        self.passed_over = behind.saturating_sub(before);
        self.came_late = before.saturating_sub(behind);
    }
}
