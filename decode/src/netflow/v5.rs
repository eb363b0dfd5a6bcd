//! NetFlow v5: traffic flows in a fixed layout, without anything for NAT.
//!
//! One exporter tells of NAT in it: ipt-netflow with `natevents=1`. A flow without packets and octets is an event. The flags
//! SYN and ACK begin a translation, RST and FIN end it. The next hop is the outside address. With a source AS the source was
//! translated, and the AS is the outside port. With a destination AS the destination was: then the destination is the inside,
//! and the AS the port that it was addressed with. A translation of both comes as two flows.

use std::net::{IpAddr, Ipv4Addr};

use event::{Action, Event, Kind, TimeSource};

use super::clock::Clock;
use super::profile::Profile;
use super::sink::{Origin, Part, Refused, Sink, Summary};
use super::slot::Unit;
use crate::{DecodeError, Ignored};

const HEADER_OCTETS: usize = 24;
const RECORD_OCTETS: usize = 48;
/// Most flows of a datagram.
const RECORDS_MAX: usize = 30;

const SYN_ACK: u8 = 0x12;
const RST_FIN: u8 = 0x05;

/// A datagram of v5.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub sequence: u32,
    /// Engine type and id.
    pub engine: u32,
    /// When the exporter began, ms since 1970.
    pub boot_ms: i64,
    clock: Clock,
    pub records: &'a [[u8; RECORD_OCTETS]],
}

impl<'a> Message<'a> {
    /// # Errors
    /// [`DecodeError::Truncated`] if its flows are not all there, [`DecodeError::Malformed`] if there are none, or more
    /// than there can be.
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, body) = payload
            .split_first_chunk::<HEADER_OCTETS>()
            .ok_or(DecodeError::Truncated)?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let count = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if !(1..=RECORDS_MAX).contains(&count) {
            return Err(DecodeError::Malformed);
        }
        let (records, _) = body.as_chunks();
        let records = records.get(..count).ok_or(DecodeError::Truncated)?;
        let (uptime_ms, seconds, nanoseconds) = (word(4), word(8), word(12));
        let export_ns = i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds.min(999_999_999));
        Ok(Self {
            sequence: word(16),
            engine: u32::from(header[20]) << 8 | u32::from(header[21]),
            boot_ms: i64::from(seconds) * 1000 - i64::from(uptime_ms),
            clock: Clock {
                export_ns: (seconds != 0).then_some(export_ns),
                uptime_ms: Some(uptime_ms),
            },
            records,
        })
    }
}

/// A flow, as far as ipt-netflow uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub next_hop: Ipv4Addr,
    pub packets: u32,
    pub octets: u32,
    /// ms since the exporter began.
    pub first_ms: u32,
    pub last_ms: u32,
    pub source_port: u16,
    pub destination_port: u16,
    pub tcp_flags: u8,
    pub protocol: u8,
    pub source_as: u16,
    pub destination_as: u16,
}

impl Flow {
    /// Reads the 48 octets of a record.
    fn new(record: &[u8; RECORD_OCTETS]) -> Self {
        let word =
            |at: usize| u32::from_be_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        let half = |at: usize| u16::from_be_bytes([record[at], record[at + 1]]);
        Self {
            source: word(0).into(),
            destination: word(4).into(),
            next_hop: word(8).into(),
            packets: word(16),
            octets: word(20),
            first_ms: word(24),
            last_ms: word(28),
            source_port: half(32),
            destination_port: half(34),
            tcp_flags: record[37],
            protocol: record[38],
            source_as: half(40),
            destination_as: half(42),
        }
    }

    /// The NAT event of ipt-netflow, without a time; `None` if it is a traffic flow.
    fn nat_event<'a>(&self) -> Result<Option<Event<'a>>, DecodeError> {
        if self.packets != 0 || self.octets != 0 {
            return Ok(None);
        }
        let action = match self.tcp_flags {
            SYN_ACK => Action::Created,
            RST_FIN => Action::Deleted,
            _ => return Ok(None),
        };
        let source = (self.source, self.source_port);
        let destination = (self.destination, self.destination_port);
        let (inside, outside, remote) = match (self.source_as, self.destination_as) {
            (port @ 1.., 0) => (source, (self.next_hop, port), destination),
            (0, port @ 1..) => (destination, (self.next_hop, port), source),
            // Without ports (GRE) nobody knows which end was translated.
            _ => return Err(DecodeError::MissingField),
        };
        if inside.0.is_unspecified() || outside.0.is_unspecified() || remote.0.is_unspecified() {
            return Err(DecodeError::BadAddress);
        }
        let ip = IpAddr::V4;
        let mut event = Event::new(Kind::Session, action, ip(inside.0), Some(ip(outside.0)));
        event.protocol = Some(self.protocol);
        (event.src_port, event.x_port) = (Some(inside.1), Some(outside.1));
        (event.dst_ip, event.dst_port) = (Some(ip(remote.0)), Some(remote.1));
        Ok(Some(event))
    }
}

/// Gives the datagram's events to the sink.
pub(super) fn decode<S: Sink>(
    profile: Profile,
    message: &Message<'_>,
    origin: Origin,
    summary: &mut Summary,
    sink: &mut S,
) {
    for record in message.records {
        let flow = Flow::new(record);
        let event = match profile {
            Profile::IptNetflow => flow.nat_event(),
            _ => Ok(None),
        };
        sink.flow(&flow, origin);
        match event {
            Ok(Some(mut event)) => {
                let time = message.clock.ns(Unit::Uptime, flow.last_ms.into());
                (event.time_ns, event.time_source) = match (time, message.clock.export_ns) {
                    (Ok(Some(time)), _) => (Some(time), TimeSource::DeviceEvent),
                    (_, Some(export)) => (Some(export), TimeSource::DeviceHeader),
                    _ => (None, TimeSource::Receive),
                };
                summary.events += 1;
                sink.event(&event, origin);
            }
            Ok(None) => {
                summary.ignored += 1;
                sink.ignored(Ignored::TrafficFlow, 1, origin);
            }
            Err(error) => {
                summary.refused += 1;
                let part = Part::Datagram;
                sink.refused(&Refused { error, part }, origin);
            }
        }
    }
}
