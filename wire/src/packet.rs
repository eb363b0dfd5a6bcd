//! From Ethernet down to UDP, and the verdict on a packet.
//!
//! [`dissect`] is the only such parser of the project: the XDP program runs it in the kernel, the AF_XDP receive path in user
//! space, and [`decide`] judges what it finds. It reads through [`Packet`], and [`decide`] asks through [`Tables`], so that
//! both can be the kernel's.
//!
//! Understood are Ethernet, one or two tags (802.1Q, 802.1ad), IPv4 with options (RFC 791), IPv6 (RFC 8200) without
//! extension headers but the fragment header, and UDP (RFC 768). All else is not ours and passes; so do fragments.
//! The filter therefore saves work, it does not replace the check of the allow-list in user space: a datagram may come
//! around it in fragments or behind extension headers.
#![allow(
    clippy::inline_always,
    reason = "the kernel's verifier follows a function better when it is inlined"
)]

#[cfg(any(test, feature = "samples"))]
pub mod samples;

use crate::verdict::{BoundListener, ExporterId, Listener, NO_EXPORTER, Verdict};

/// A packet from its Ethernet header on.
pub trait Packet {
    /// Octets of the packet, those included that [`Self::load`] does not reach.
    fn octets(&self) -> usize;

    /// The `N` octets at `offset`, or `None` when they are not all there. Of a packet in several buffers, the
    /// first buffer is enough.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Packet for [u8] {
    fn octets(&self) -> usize {
        self.len()
    }

    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

/// What a verdict depends on besides the packet.
pub trait Tables {
    /// Who listens on UDP port `port`.
    fn listener(&self, port: u16) -> Option<Listener>;
    /// Whether somebody listens on exactly this address and port.
    fn bound(&self, listener: &BoundListener) -> bool;
    /// Exporter with the longest prefix that holds `address`.
    fn exporter_v4(&self, address: [u8; 4]) -> Option<ExporterId>;
    /// Exporter with the longest prefix that holds `address`.
    fn exporter_v6(&self, address: [u8; 16]) -> Option<ExporterId>;
    /// Whether sources that are no exporter are accepted.
    fn allow_all(&self) -> bool;
}

/// Verdict on a packet, and the exporter to whom it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// [`NO_EXPORTER`] for what is not ours, and for sources in no exporter's prefix.
    pub exporter: ExporterId,
}

impl Decision {
    const NOT_OURS: Self = Self {
        verdict: Verdict::NotOurs,
        exporter: NO_EXPORTER,
    };
}

/// An Internet address, in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Address {
    /// IPv6, or IPv4 as `::ffff:a.b.c.d`.
    #[inline(always)]
    pub const fn mapped(self) -> [u8; 16] {
        match self {
            Self::V4([a, b, c, d]) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
            Self::V6(octets) => octets,
        }
    }
}

impl From<Address> for core::net::IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(octets) => octets.into(),
            Address::V6(octets) => octets.into(),
        }
    }
}

/// A UDP datagram that is in one packet, and where its parts are there, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub source: Address,
    /// Of the same family as `source`.
    pub destination: Address,
    pub source_port: u16,
    pub destination_port: u16,
    /// Offset of the IP header.
    pub ip: usize,
    /// Offset of the UDP header: behind the IP header and its options.
    pub udp: usize,
    /// Octets of UDP header and payload, as the UDP header says; of RFC 2675's 0, as the IP header says.
    pub udp_octets: usize,
    /// Whether the lengths agree. If so, header and payload are in the packet.
    pub whole: bool,
}

impl Datagram {
    /// Where the payload is in the packet. Of a datagram that is not whole, nowhere.
    pub fn payload(&self) -> core::ops::Range<usize> {
        let begin = self.udp + UDP_OCTETS;
        let end = if self.whole {
            self.udp + self.udp_octets
        } else {
            begin
        };
        begin..end
    }
}

/// What is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No UDP, or UDP that is not looked at.
    Other,
    /// A fragment of UDP, with its source.
    Fragment(Address),
    Datagram(Datagram),
}

/// What is in a packet.
#[inline(always)]
pub fn dissect<P: Packet + ?Sized>(packet: &P) -> Content {
    let Some((ether_type, ip)) = network_layer(packet) else {
        return Content::Other;
    };
    let content = match ether_type {
        ETHER_TYPE_IPV4 => dissect_v4(packet, ip),
        ETHER_TYPE_IPV6 => dissect_v6(packet, ip),
        _ => None,
    };
    content.unwrap_or(Content::Other)
}

/// The verdict on a packet.
#[inline(always)]
pub fn decide<P: Packet + ?Sized, T: Tables>(packet: &P, tables: &T) -> Decision {
    judge(&dissect(packet), tables)
}

/// The verdict on a packet with such content.
#[inline(always)]
pub fn judge<T: Tables>(content: &Content, tables: &T) -> Decision {
    match content {
        Content::Other => Decision::NOT_OURS,
        Content::Fragment(source) => Decision {
            verdict: Verdict::Fragment,
            exporter: exporter(*source, tables).unwrap_or(NO_EXPORTER),
        },
        Content::Datagram(datagram) if !is_heard(datagram, tables) => Decision::NOT_OURS,
        Content::Datagram(datagram) => judge_datagram(datagram, tables),
    }
}

const ETHER_TYPE_IPV4: u16 = 0x0800;
const ETHER_TYPE_IPV6: u16 = 0x86dd;
const ETHER_TYPE_8021Q: u16 = 0x8100;
const ETHER_TYPE_8021AD: u16 = 0x88a8;
const ETHERNET_OCTETS: usize = 14;
const TAG_OCTETS: usize = 4;

const IPV4_OCTETS: usize = 20;
/// Flag MF and the fragment offset (RFC 791).
const IPV4_FRAGMENT: u16 = 0x3fff;
const IPV6_OCTETS: usize = 40;
const PROTOCOL_UDP: u8 = 17;
/// IPv6 next header of the fragment header (RFC 8200, 4.5).
const PROTOCOL_FRAGMENT: u8 = 44;

const UDP_OCTETS: usize = 8;

/// Ether type behind at most two tags, and the offset of the network header.
#[inline(always)]
fn network_layer<P: Packet + ?Sized>(packet: &P) -> Option<(u16, usize)> {
    let ether_type = u16::from_be_bytes(packet.load(12)?);
    if !is_tag(ether_type) {
        return Some((ether_type, ETHERNET_OCTETS));
    }
    let ether_type = u16::from_be_bytes(packet.load(12 + TAG_OCTETS)?);
    if !is_tag(ether_type) {
        return Some((ether_type, ETHERNET_OCTETS + TAG_OCTETS));
    }
    let ether_type = u16::from_be_bytes(packet.load(12 + 2 * TAG_OCTETS)?);
    Some((ether_type, ETHERNET_OCTETS + 2 * TAG_OCTETS))
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ETHER_TYPE_8021Q | ETHER_TYPE_8021AD)
}

/// `None`: neither a datagram nor a fragment of one.
#[inline(always)]
fn dissect_v4<P: Packet + ?Sized>(packet: &P, ip: usize) -> Option<Content> {
    let header: [u8; IPV4_OCTETS] = packet.load(ip)?;
    let [
        version_ihl,
        _,
        total_high,
        total_low,
        _,
        _,
        flags_high,
        flags_low,
        _,
        protocol,
        _,
        _,
        ..,
    ] = header;
    let header_octets = (version_ihl & 0x0f) as usize * 4;
    if version_ihl >> 4 != 4 || header_octets < IPV4_OCTETS || protocol != PROTOCOL_UDP {
        return None;
    }
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let source = Address::V4([s0, s1, s2, s3]);
    if u16::from_be_bytes([flags_high, flags_low]) & IPV4_FRAGMENT != 0 {
        return Some(Content::Fragment(source));
    }
    let udp = ip + header_octets;
    let header = UdpHeader::load(packet, udp)?;
    let total = u16::from_be_bytes([total_high, total_low]) as usize;
    let udp_octets = header.octets;
    // Shorter than the packet is fine: Ethernet pads to 60 octets.
    let whole =
        ip + total <= packet.octets() && udp_octets >= UDP_OCTETS && header_octets + udp_octets <= total;
    Some(Content::Datagram(Datagram {
        source,
        destination: Address::V4([d0, d1, d2, d3]),
        source_port: header.source_port,
        destination_port: header.destination_port,
        ip,
        udp,
        udp_octets,
        whole,
    }))
}

/// `None`: neither a datagram nor a fragment of one.
#[inline(always)]
fn dissect_v6<P: Packet + ?Sized>(packet: &P, ip: usize) -> Option<Content> {
    let [version, _, _, _, length_high, length_low, next_header, _] = packet.load(ip)?;
    if version >> 4 != 6 {
        return None;
    }
    let source = Address::V6(packet.load(ip + 8)?);
    let udp = ip + IPV6_OCTETS;
    if next_header == PROTOCOL_FRAGMENT {
        let [fragmented, ..] = packet.load::<8>(udp)?;
        return (fragmented == PROTOCOL_UDP).then_some(Content::Fragment(source));
    }
    if next_header != PROTOCOL_UDP {
        return None;
    }
    let destination = Address::V6(packet.load(ip + 24)?);
    let header = UdpHeader::load(packet, udp)?;
    let payload = u16::from_be_bytes([length_high, length_low]) as usize;
    let udp_octets = match header.octets {
        // RFC 2675, 4: "to the end of the packet". Linux takes it so in packets of any size, thus it must not come
        // around the allow-list as malformed.
        0 => payload,
        octets => octets,
    };
    let whole = udp + payload <= packet.octets() && udp_octets >= UDP_OCTETS && udp_octets <= payload;
    Some(Content::Datagram(Datagram {
        source,
        destination,
        source_port: header.source_port,
        destination_port: header.destination_port,
        ip,
        udp,
        udp_octets,
        whole,
    }))
}

/// The fields of a UDP header, without its checksum.
struct UdpHeader {
    source_port: u16,
    destination_port: u16,
    octets: usize,
}

impl UdpHeader {
    #[inline(always)]
    fn load<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Self> {
        let [s0, s1, d0, d1, o0, o1, _, _]: [u8; UDP_OCTETS] = packet.load(offset)?;
        Some(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            octets: u16::from_be_bytes([o0, o1]) as usize,
        })
    }
}

#[inline(always)]
fn exporter<T: Tables>(source: Address, tables: &T) -> Option<ExporterId> {
    match source {
        Address::V4(octets) => tables.exporter_v4(octets),
        Address::V6(octets) => tables.exporter_v6(octets),
    }
}

/// Whether somebody listens where the datagram goes to.
#[inline(always)]
fn is_heard<T: Tables>(datagram: &Datagram, tables: &T) -> bool {
    let port = datagram.destination_port;
    let Some(listener) = tables.listener(port) else {
        return false;
    };
    let (any, bound) = match datagram.destination {
        Address::V4(_) => (Listener::ANY_V4, Listener::BOUND_V4),
        Address::V6(_) => (Listener::ANY_V6, Listener::BOUND_V6),
    };
    if listener.bits & any != 0 {
        return true;
    }
    let address = datagram.destination.mapped();
    listener.bits & bound != 0 && tables.bound(&BoundListener { address, port })
}

/// The verdict on a datagram to one of the listeners.
#[inline(always)]
fn judge_datagram<T: Tables>(datagram: &Datagram, tables: &T) -> Decision {
    let exporter = exporter(datagram.source, tables);
    let verdict = match exporter {
        _ if !datagram.whole => Verdict::Malformed,
        Some(_) => Verdict::Accepted,
        None if tables.allow_all() => Verdict::Accepted,
        None => Verdict::NotAllowed,
    };
    Decision {
        verdict,
        exporter: exporter.unwrap_or(NO_EXPORTER),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::samples::{Plain, PlainFrame, samples};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn every_sample_gets_its_verdict() {
        let tables = Plain::default();
        for sample in samples() {
            assert_eq!(
                decide(&sample.frame[..], &tables),
                sample.decision,
                "{}",
                sample.name
            );
        }
    }

    #[test]
    fn when_all_are_allowed_none_is_dropped_and_exporters_keep_their_numbers() {
        let tables = Plain {
            allow_all: true,
            ..Plain::default()
        };
        for sample in samples() {
            let mut expected = sample.decision;
            if expected.verdict == Verdict::NotAllowed {
                expected.verdict = Verdict::Accepted;
            }
            assert_eq!(decide(&sample.frame[..], &tables), expected, "{}", sample.name);
        }
    }

    /// What is cut off can make a packet malformed or unrecognisable, never accepted nor dropped: an Ethernet frame
    /// that ends before its IP packet is not what its sender meant.
    #[test]
    fn a_cut_packet_is_neither_accepted_nor_dropped() {
        let tables = Plain::default();
        for sample in samples() {
            let mut seen = Vec::new();
            for octets in 0..sample.frame.len() - sample.padding {
                let decision = decide(&sample.frame[..octets], &tables);
                assert!(!decision.verdict.drops(), "{} cut to {octets}", sample.name);
                assert_ne!(
                    decision.verdict,
                    Verdict::Accepted,
                    "{} cut to {octets}",
                    sample.name
                );
                if seen.last() != Some(&decision.verdict) {
                    seen.push(decision.verdict);
                }
            }
            assert!(
                seen.len() <= 2,
                "{}: verdict goes back and forth with the length: {seen:?}",
                sample.name
            );
        }
    }

    fn addresses() -> impl Strategy<Value = (core::net::IpAddr, core::net::IpAddr)> {
        prop_oneof![
            (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (a.into(), b.into())),
            (0u8..3, 0u8..10)
                .prop_map(|(net, host)| ([198, 51, 100 + net, host].into(), [192, 0, 2, 1].into())),
            (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (a.into(), b.into())),
            (0u16..8, 0u16..10).prop_map(|(net, host)| {
                (
                    [0x2001, 0xdb8, net, 0, 0, 0, 0, host].into(),
                    [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
                )
            }),
        ]
    }

    const TAGS: &[&[u16]] = &[&[], &[0x8100], &[0x88a8], &[0x88a8, 0x8100]];

    proptest! {
        #[test]
        fn no_octets_panic(frame in proptest::collection::vec(any::<u8>(), 0..128)) {
            decide(&frame[..], &Plain::default());
        }

        /// As above, but with the ether type, so that the IP code is reached.
        #[test]
        fn no_ip_octets_panic(v6: bool, rest in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut frame = Vec::from([0; 12]);
            frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
            frame.extend(rest);
            decide(&frame[..], &Plain::default());
            if let Content::Datagram(datagram) = dissect(&frame[..]) {
                prop_assert!(frame.get(datagram.payload()).is_some(), "{:?}", datagram);
            }
        }

        /// A whole datagram is judged by addresses and port alone, whatever tags, options and payload it has.
        #[test]
        fn whole_datagrams_are_judged_by_addresses_and_port(
            (source, destination) in addresses(),
            port in prop_oneof![Just(514), Just(2055), Just(5140), any::<u16>()],
            tags in proptest::sample::select(TAGS),
            option_words in 0u8..=10,
            payload in 0usize..200,
            padding in 0usize..20,
        ) {
            let tables = Plain::default();
            let frame = PlainFrame { tags, source, destination, port, option_words, payload, padding }.build();
            let listens = tables.listeners.iter().any(|listener| {
                listener.port() == port
                    && listener.is_ipv4() == destination.is_ipv4()
                    && (listener.ip().is_unspecified() || listener.ip() == destination)
            });
            let exporter = tables.exporter(source);
            let expected = match (listens, exporter) {
                (false, _) => Decision::NOT_OURS,
                (true, Some(exporter)) => Decision { verdict: Verdict::Accepted, exporter },
                (true, None) => Decision { verdict: Verdict::NotAllowed, exporter: NO_EXPORTER },
            };
            prop_assert_eq!(decide(&frame[..], &tables), expected);
            let Content::Datagram(datagram) = dissect(&frame[..]) else {
                return Err(TestCaseError::fail("no datagram"));
            };
            prop_assert!(datagram.whole);
            prop_assert_eq!(core::net::IpAddr::from(datagram.source), source);
            prop_assert_eq!(core::net::IpAddr::from(datagram.destination), destination);
            prop_assert_eq!((datagram.source_port, datagram.destination_port), (40_000, port));
            let letters: Vec<u8> = (b'a'..=b'z').cycle().take(payload).collect();
            prop_assert_eq!(&frame[datagram.payload()], &letters);
        }

        /// One octet changed outside what the verdict rests on changes nothing.
        #[test]
        fn payload_and_ethernet_addresses_do_not_matter(index in 0usize..512, value: u8) {
            let tables = Plain::default();
            for sample in samples() {
                let mut frame = sample.frame.clone();
                let at = if index < 12 { index } else { frame.len().saturating_sub(1 + index % 8) };
                frame[at] = value;
                prop_assert_eq!(decide(&frame[..], &tables), sample.decision, "{}", sample.name);
            }
        }
    }
}
