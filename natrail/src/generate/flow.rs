//! Flow records: IPFIX as RFC 8158 has it, and NetFlow v9 as Cisco IOS-XE sends it.
//!
//! One record an event, in the order in which things happen: a data set ends where the template changes.

use std::net::{IpAddr, Ipv6Addr};

use event::{Action, Event, Kind, TimeSource};

use super::cgn::{Cgn, Traits};
use super::pool::OutsidePool;

/// Events of a datagram: with all of them NAT64 sessions it fits into an Ethernet frame.
pub const EVENTS_PER_DATAGRAM: usize = 20;
/// One message of so many holds the templates, and nothing else.
const TEMPLATES_EVERY: u64 = 256;
const DOMAIN: u32 = 1;

/// Element and octets.
type Field = (u16, u16);

/// Id and fields.
type Template = (u16, &'static [Field]);

/// How a device announces what it does.
#[derive(Debug)]
pub struct Style {
    pub traits: Traits,
    is_ipfix: bool,
    /// Of IPv4 and of IPv6 subscribers: sessions, port mappings, blocks, addresses.
    v4: [Template; 4],
    v6: [Template; 4],
    /// natEvent.
    event: fn(&Event<'_>) -> u8,
}

const TIME: Field = (323, 8);
const EVENT: Field = (230, 1);
const INSIDE4: Field = (8, 4);
const INSIDE6: Field = (27, 16);
const OUTSIDE: Field = (225, 4);
const PROTOCOL: Field = (4, 1);
const INSIDE_PORT: Field = (7, 2);
const OUTSIDE_PORT: Field = (227, 2);
const REMOTE4: Field = (12, 4);
const REMOTE6: Field = (28, 16);
const OUTER_REMOTE: Field = (226, 4);
const REMOTE_PORT: Field = (11, 2);
const OUTER_REMOTE_PORT: Field = (228, 2);
const VRF: Field = (234, 4);
const BLOCK_START: Field = (361, 2);
const BLOCK_END: Field = (362, 2);
const BLOCK_STEP: Field = (363, 2);
const BLOCK_PORTS: Field = (364, 2);

/// RFC 8158 over IPFIX.
pub const RFC8158: Style = Style {
    traits: Traits {
        outside: OutsidePool::FIRST,
        block_ports: 512,
        vrf: true,
        usernames: false,
        interim: false,
        port_mappings: true,
        address_mappings: true,
    },
    is_ipfix: true,
    v4: [
        (
            256,
            &[
                TIME,
                EVENT,
                INSIDE4,
                OUTSIDE,
                PROTOCOL,
                INSIDE_PORT,
                OUTSIDE_PORT,
                REMOTE4,
                REMOTE_PORT,
                VRF,
            ],
        ),
        (
            257,
            &[
                TIME,
                EVENT,
                INSIDE4,
                OUTSIDE,
                PROTOCOL,
                INSIDE_PORT,
                OUTSIDE_PORT,
                VRF,
            ],
        ),
        (258, &[TIME, EVENT, INSIDE4, OUTSIDE, BLOCK_START, BLOCK_END, VRF]),
        (259, &[TIME, EVENT, INSIDE4, OUTSIDE, VRF]),
    ],
    v6: [
        (
            260,
            &[
                TIME,
                EVENT,
                INSIDE6,
                OUTSIDE,
                PROTOCOL,
                INSIDE_PORT,
                OUTSIDE_PORT,
                REMOTE6,
                OUTER_REMOTE,
                REMOTE_PORT,
                OUTER_REMOTE_PORT,
                VRF,
            ],
        ),
        (
            261,
            &[
                TIME,
                EVENT,
                INSIDE6,
                OUTSIDE,
                PROTOCOL,
                INSIDE_PORT,
                OUTSIDE_PORT,
                VRF,
            ],
        ),
        (262, &[TIME, EVENT, INSIDE6, OUTSIDE, BLOCK_START, BLOCK_END, VRF]),
        (263, &[TIME, EVENT, INSIDE6, OUTSIDE, VRF]),
    ],
    event: rfc8158_event,
};

/// Cisco's NEL over NetFlow v9. The templates of IPv4 are those of an ASR 1000.
pub const NEL: Style = Style {
    traits: Traits {
        outside: OutsidePool::SECOND,
        block_ports: 256,
        vrf: true,
        usernames: false,
        interim: false,
        port_mappings: true,
        address_mappings: false,
    },
    is_ipfix: false,
    v4: [
        (
            264,
            &[
                INSIDE4,
                OUTSIDE,
                REMOTE4,
                OUTER_REMOTE,
                INSIDE_PORT,
                OUTSIDE_PORT,
                REMOTE_PORT,
                OUTER_REMOTE_PORT,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
            ],
        ),
        (
            265,
            &[
                INSIDE4,
                OUTSIDE,
                INSIDE_PORT,
                OUTSIDE_PORT,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
            ],
        ),
        (
            267,
            &[
                INSIDE4,
                OUTSIDE,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
                BLOCK_START,
                BLOCK_STEP,
                BLOCK_PORTS,
            ],
        ),
        (268, &[INSIDE4, OUTSIDE, VRF, EVENT, TIME]),
    ],
    v6: [
        (
            269,
            &[
                INSIDE6,
                OUTSIDE,
                OUTER_REMOTE,
                INSIDE_PORT,
                OUTSIDE_PORT,
                OUTER_REMOTE_PORT,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
            ],
        ),
        (
            270,
            &[
                INSIDE6,
                OUTSIDE,
                INSIDE_PORT,
                OUTSIDE_PORT,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
            ],
        ),
        (
            271,
            &[
                INSIDE6,
                OUTSIDE,
                VRF,
                PROTOCOL,
                EVENT,
                TIME,
                BLOCK_START,
                BLOCK_STEP,
                BLOCK_PORTS,
            ],
        ),
        (272, &[INSIDE6, OUTSIDE, VRF, EVENT, TIME]),
    ],
    event: nel_event,
};

fn rfc8158_event(event: &Event<'_>) -> u8 {
    let created = match (event.kind, event.src_ip.is_ipv6()) {
        (Kind::Session, false) => 4,
        (Kind::Session, true) => 6,
        (Kind::Port, false) => 8,
        (Kind::Port, true) => 10,
        (Kind::Address, _) => 14,
        (Kind::Block, _) => 16,
    };
    created + u8::from(event.action == Action::Deleted)
}

fn nel_event(event: &Event<'_>) -> u8 {
    match event.action {
        Action::Deleted => 2,
        _ => 1,
    }
}

/// One exporter's messages.
#[derive(Debug)]
pub struct Exporter {
    style: &'static Style,
    messages: u64,
    records: u32,
    /// ns since 1970.
    began_ns: Option<i64>,
}

impl Exporter {
    pub fn new(style: &'static Style) -> Self {
        Self {
            style,
            messages: 0,
            records: 0,
            began_ns: None,
        }
    }

    /// Appends the next message, and gives its events to `each`.
    pub fn message(
        &mut self,
        out: &mut Vec<u8>,
        cgn: &mut Cgn,
        now_ns: i64,
        mut each: impl FnMut(&Event<'_>),
    ) {
        let began_ns = *self.began_ns.get_or_insert(now_ns);
        let records_before = self.records;
        self.header(out, now_ns, began_ns);
        let mut sets = 0;
        if self.messages.is_multiple_of(TEMPLATES_EVERY) {
            sets = self.templates(out);
        } else {
            let mut set = None;
            for _ in 0..EVENTS_PER_DATAGRAM {
                let (mut event, _) = cgn.step(now_ns);
                event.time_ns = Some(now_ns - now_ns.rem_euclid(1_000_000));
                event.time_source = TimeSource::DeviceEvent;
                let templates = match event.src_ip {
                    IpAddr::V4(_) => &self.style.v4,
                    IpAddr::V6(_) => &self.style.v6,
                };
                let (id, fields) = templates[event.kind as usize];
                let begin = match set {
                    Some((of, begin)) if of == id => begin,
                    before => {
                        end_set(out, before.map(|(_, begin)| begin));
                        sets += 1;
                        begin_set(out, id)
                    }
                };
                set = Some((id, begin));
                for &field in fields {
                    push(out, field, value(&event, field.0, self.style.event));
                }
                self.records = self.records.wrapping_add(1);
                each(&event);
            }
            end_set(out, set.map(|(_, begin)| begin));
        }
        self.messages += 1;
        // IPFIX: octets of the message; v9: its records, of which exporters and collectors make what they like.
        let second = if self.style.is_ipfix {
            out.len() as u16
        } else {
            self.records.wrapping_sub(records_before) as u16 + sets
        };
        out[2..4].copy_from_slice(&second.to_be_bytes());
    }

    fn header(&self, out: &mut Vec<u8>, now_ns: i64, began_ns: i64) {
        let second = (now_ns / 1_000_000_000) as u32;
        out.extend_from_slice(&[0, if self.style.is_ipfix { 10 } else { 9 }, 0, 0]);
        if !self.style.is_ipfix {
            // The exporter began an hour before its first message.
            let uptime_ms = (now_ns - began_ns) / 1_000_000 + 3_600_000;
            out.extend_from_slice(&(uptime_ms as u32).to_be_bytes());
        }
        let sequence = if self.style.is_ipfix {
            self.records
        } else {
            self.messages as u32
        };
        for word in [second, sequence, DOMAIN] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Appends all templates in one set; the number of sets.
    fn templates(&self, out: &mut Vec<u8>) -> u16 {
        let begin = begin_set(out, if self.style.is_ipfix { 2 } else { 0 });
        for (id, fields) in self.style.v4.iter().chain(&self.style.v6) {
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&(fields.len() as u16).to_be_bytes());
            for (element, octets) in *fields {
                out.extend_from_slice(&element.to_be_bytes());
                out.extend_from_slice(&octets.to_be_bytes());
            }
        }
        end_set(out, Some(begin));
        1
    }
}

/// Where the set begins.
fn begin_set(out: &mut Vec<u8>, id: u16) -> usize {
    let begin = out.len();
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    begin
}

/// Pads the set and writes its length.
fn end_set(out: &mut Vec<u8>, begin: Option<usize>) {
    let Some(begin) = begin else {
        return;
    };
    let octets = (out.len() - begin).next_multiple_of(4);
    out.resize(begin + octets, 0);
    out[begin + 2..begin + 4].copy_from_slice(&(octets as u16).to_be_bytes());
}

fn push(out: &mut Vec<u8>, (_, octets): Field, value: u128) {
    out.extend_from_slice(&value.to_be_bytes()[16 - usize::from(octets)..]);
}

/// What the event has for an element.
fn value(event: &Event<'_>, element: u16, nat_event: fn(&Event<'_>) -> u8) -> u128 {
    let address = |ip: Option<IpAddr>| match ip {
        Some(IpAddr::V4(ip)) => u32::from(ip).into(),
        Some(IpAddr::V6(ip)) => ip.into(),
        None => 0,
    };
    let port = |port: Option<u16>| port.unwrap_or(0).into();
    match element {
        323 => (event.time_ns.unwrap_or(0) / 1_000_000) as u128,
        230 => nat_event(event).into(),
        8 | 27 => address(Some(event.src_ip)),
        225 => address(event.x_ip),
        // The well-known prefix of NAT64 (RFC 6052).
        28 => u128::from(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)) | address(event.dst_ip),
        12 | 226 => address(event.dst_ip),
        4 => event.protocol.unwrap_or(0).into(),
        7 => port(event.src_port),
        227 => port(event.x_port),
        11 | 228 => port(event.dst_port),
        234 => event.vrf.and_then(|vrf| vrf.to_str().parse().ok()).unwrap_or(0),
        361 => port(event.start_port),
        362 => port(event.end_port),
        363 => 1,
        364 => match (event.start_port, event.end_port) {
            (Some(start), Some(end)) => u128::from(end - start) + 1,
            _ => 0,
        },
        _ => 0,
    }
}
