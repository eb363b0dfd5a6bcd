//! Packets built octet by octet, with the verdict each must get. Unit tests run them through [`super::decide`], tests of
//! the XDP program run them through the kernel, benchmarks take some of them.

extern crate std;

mod tables;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::vec::Vec;

use super::Decision;
use crate::verdict::{ExporterId, Verdict};

pub use tables::Plain;

/// The listeners that [`samples`] count on.
pub const LISTENERS: [&str; 5] = [
    "0.0.0.0:514",
    "[::]:514",
    "192.0.2.1:2055",
    "[2001:db8::1]:2055",
    "0.0.0.0:5140",
];
/// The exporters that [`samples`] count on; the number of each is its place here, from 1.
pub const EXPORTERS: [&str; 5] = [
    "198.51.100.0/24",
    "198.51.100.7/32",
    "2001:db8:5::/48",
    "2001:db8:5::7/128",
    "198.51.101.128/25",
];

const EXPORTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
const EXPORTER_7: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const STRANGER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER_HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const EXPORTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x20);
const EXPORTER_7_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 7);
const STRANGER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 7);
const HOST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OTHER_HOST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

const TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;

/// A whole UDP datagram in an Ethernet frame, with right lengths and checksums.
#[derive(Clone, Copy, Debug)]
pub struct PlainFrame<'a> {
    /// Ether types of the tags, outermost first.
    pub tags: &'a [u16],
    pub source: IpAddr,
    /// Of the same family as `source`.
    pub destination: IpAddr,
    /// Destination port; the source port is 40000.
    pub port: u16,
    /// IPv4 options, in words of 4 octets, at most 10. Without meaning for IPv6.
    pub option_words: u8,
    /// Octets behind the UDP header.
    pub payload: usize,
    /// Octets behind the IP packet.
    pub padding: usize,
}

impl PlainFrame<'_> {
    /// To port 514, without tags, options and padding.
    pub fn new(source: impl Into<IpAddr>, destination: impl Into<IpAddr>) -> Self {
        let (source, destination) = (source.into(), destination.into());
        Self {
            tags: &[],
            source,
            destination,
            port: 514,
            option_words: 0,
            payload: 32,
            padding: 0,
        }
    }

    /// The octets, from locally administered address 2 to address 1.
    pub fn build(&self) -> Vec<u8> {
        let payload: Vec<u8> = (0..self.payload).map(|i| b'a' + (i % 26) as u8).collect();
        self.carrying(&payload)
    }

    /// The same with this payload.
    pub fn carrying(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        for (tag, vlan) in self.tags.iter().zip([100_u16, 200, 300, 400]) {
            frame.extend(tag.to_be_bytes());
            frame.extend(vlan.to_be_bytes());
        }
        let udp_octets = (8 + payload.len()) as u16;
        let mut pseudo = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header_octets = 20 + 4 * u16::from(self.option_words);
                let mut header = Vec::from([0x40 | (5 + self.option_words), 0]);
                header.extend((header_octets + udp_octets).to_be_bytes());
                // Identification 1, "don't fragment", 64 hops, UDP, checksum to come.
                header.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                // Option 1, "no operation".
                header.resize(header_octets.into(), 1);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend([0x08, 0x00]);
                frame.extend(header);
                [&source.octets()[..], &destination.octets()].concat()
            }
            (source, destination) => {
                let octets = |address| match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(udp_octets.to_be_bytes());
                frame.extend([17, 64]);
                let addresses = [octets(source), octets(destination)].concat();
                frame.extend(&addresses);
                addresses
            }
        };
        let mut udp = [40_000, self.port, udp_octets, 0].map(u16::to_be_bytes).concat();
        udp.extend(payload);
        pseudo.extend([0, 17]);
        pseudo.extend(udp_octets.to_be_bytes());
        pseudo.extend(&udp);
        let sum = checksum(&pseudo);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        frame.extend(udp);
        frame.resize(frame.len() + self.padding, 0);
        frame
    }
}

/// The checksum of RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// A packet and its verdict under [`Plain::default`].
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub frame: Vec<u8>,
    /// Octets behind the IP packet.
    pub padding: usize,
    pub decision: Decision,
}

/// Every kind of packet that the filter tells apart, and its borders.
pub fn samples() -> Vec<Sample> {
    let mut samples = Samples(Vec::new());
    samples.accepted_or_not();
    samples.not_ours();
    samples.fragments();
    samples.lengths();
    samples.0
}

struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &'static str, verdict: Verdict, exporter: ExporterId, plain: &PlainFrame<'_>) {
        self.add_changed(name, verdict, exporter, plain, &[]);
    }

    /// Adds the frame with some octets changed: `(offset, value)`.
    fn add_changed(
        &mut self,
        name: &'static str,
        verdict: Verdict,
        exporter: ExporterId,
        plain: &PlainFrame<'_>,
        changes: &[(usize, u8)],
    ) {
        let mut frame = plain.build();
        for &(offset, value) in changes {
            frame[offset] = value;
        }
        self.0.push(Sample {
            name,
            frame,
            padding: plain.padding,
            decision: Decision { verdict, exporter },
        });
    }

    fn accepted_or_not(&mut self) {
        let v4 = PlainFrame::new(EXPORTER, HOST);
        let v6 = PlainFrame::new(EXPORTER_V6, HOST_V6);
        let tagged = PlainFrame { tags: &[TAG], ..v4 };
        use Verdict::{Accepted, NotAllowed, NotOurs};
        self.add("IPv4", Accepted, 1, &v4);
        self.add(
            "IPv4, longest prefix",
            Accepted,
            2,
            &PlainFrame::new(EXPORTER_7, HOST),
        );
        self.add(
            "IPv4, empty payload",
            Accepted,
            1,
            &PlainFrame {
                payload: 0,
                padding: 18,
                ..v4
            },
        );
        self.add(
            "IPv4, options",
            Accepted,
            1,
            &PlainFrame {
                option_words: 2,
                ..v4
            },
        );
        self.add(
            "IPv4, all options",
            Accepted,
            1,
            &PlainFrame {
                option_words: 10,
                ..v4
            },
        );
        self.add("IPv4, one tag", Accepted, 1, &tagged);
        self.add(
            "IPv4, service tag",
            Accepted,
            1,
            &PlainFrame {
                tags: &[SERVICE_TAG],
                ..v4
            },
        );
        self.add(
            "IPv4, two tags",
            Accepted,
            1,
            &PlainFrame {
                tags: &[SERVICE_TAG, TAG],
                ..v4
            },
        );
        self.add(
            "IPv4, two tags, options",
            Accepted,
            1,
            &PlainFrame {
                tags: &[TAG, TAG],
                option_words: 3,
                ..v4
            },
        );
        self.add("IPv4, large", Accepted, 1, &PlainFrame { payload: 1400, ..v4 });
        self.add(
            "IPv4, bound listener",
            Accepted,
            1,
            &PlainFrame { port: 2055, ..v4 },
        );
        self.add(
            "IPv4, first of a /25",
            Accepted,
            5,
            &PlainFrame::new([198, 51, 101, 128], HOST),
        );
        self.add(
            "IPv4, below a /25",
            NotAllowed,
            0,
            &PlainFrame::new([198, 51, 101, 127], HOST),
        );
        self.add("IPv4, stranger", NotAllowed, 0, &PlainFrame::new(STRANGER, HOST));
        self.add(
            "IPv4, stranger, tag",
            NotAllowed,
            0,
            &PlainFrame {
                source: STRANGER.into(),
                ..tagged
            },
        );
        self.add("IPv6", Accepted, 3, &v6);
        self.add(
            "IPv6, longest prefix",
            Accepted,
            4,
            &PlainFrame::new(EXPORTER_7_V6, HOST_V6),
        );
        self.add("IPv6, one tag", Accepted, 3, &PlainFrame { tags: &[TAG], ..v6 });
        self.add(
            "IPv6, two tags",
            Accepted,
            3,
            &PlainFrame {
                tags: &[SERVICE_TAG, TAG],
                ..v6
            },
        );
        self.add(
            "IPv6, bound listener",
            Accepted,
            3,
            &PlainFrame { port: 2055, ..v6 },
        );
        self.add(
            "IPv6, stranger",
            NotAllowed,
            0,
            &PlainFrame::new(STRANGER_V6, HOST_V6),
        );
        self.add("IPv6, UDP length 0", Accepted, 3, &v6);
        self.0
            .last_mut()
            .into_iter()
            .for_each(|sample| sample.frame[58..60].fill(0));
        self.add(
            "IPv6, UDP length 0, stranger",
            NotAllowed,
            0,
            &PlainFrame::new(STRANGER_V6, HOST_V6),
        );
        self.0
            .last_mut()
            .into_iter()
            .for_each(|sample| sample.frame[58..60].fill(0));
        self.add(
            "IPv4, port without listener",
            NotOurs,
            0,
            &PlainFrame { port: 515, ..v4 },
        );
        self.add(
            "IPv6, port without listener",
            NotOurs,
            0,
            &PlainFrame { port: 515, ..v6 },
        );
        self.add(
            "IPv6, listener of IPv4 only",
            NotOurs,
            0,
            &PlainFrame { port: 5140, ..v6 },
        );
        self.add(
            "IPv4, not bound",
            NotOurs,
            0,
            &PlainFrame {
                port: 2055,
                destination: OTHER_HOST.into(),
                ..v4
            },
        );
        self.add(
            "IPv6, not bound",
            NotOurs,
            0,
            &PlainFrame {
                port: 2055,
                destination: OTHER_HOST_V6.into(),
                ..v6
            },
        );
    }

    fn not_ours(&mut self) {
        let v4 = PlainFrame::new(EXPORTER, HOST);
        let v6 = PlainFrame::new(EXPORTER_V6, HOST_V6);
        use Verdict::NotOurs;
        self.add_changed("IPv4, TCP", NotOurs, 0, &v4, &[(23, 6)]);
        self.add_changed("IPv4, ICMP", NotOurs, 0, &v4, &[(23, 1)]);
        self.add_changed("IPv4, UDP-Lite", NotOurs, 0, &v4, &[(23, 136)]);
        self.add_changed("IPv4, wrong version", NotOurs, 0, &v4, &[(14, 0x65)]);
        self.add_changed("IPv4, header of 16 octets", NotOurs, 0, &v4, &[(14, 0x44)]);
        self.add_changed("IPv4, TCP in fragments", NotOurs, 0, &v4, &[(23, 6), (20, 0x20)]);
        self.add_changed("ARP", NotOurs, 0, &v4, &[(12, 0x08), (13, 0x06)]);
        self.add_changed("IEEE 802.3 length", NotOurs, 0, &v4, &[(12, 0), (13, 50)]);
        self.add(
            "three tags",
            NotOurs,
            0,
            &PlainFrame {
                tags: &[SERVICE_TAG, TAG, TAG],
                ..v4
            },
        );
        self.add_changed("IPv6, TCP", NotOurs, 0, &v6, &[(20, 6)]);
        self.add_changed("IPv6, hop-by-hop options", NotOurs, 0, &v6, &[(20, 0)]);
        self.add_changed("IPv6, routing header", NotOurs, 0, &v6, &[(20, 43)]);
        self.add_changed("IPv6, wrong version", NotOurs, 0, &v6, &[(14, 0x45)]);
        // What was the UDP header is read as a fragment header now: first octet is the header that follows it.
        self.add_changed("IPv6, TCP in fragments", NotOurs, 0, &v6, &[(20, 44), (54, 6)]);
    }

    fn fragments(&mut self) {
        let v4 = PlainFrame::new(EXPORTER, HOST);
        let tagged = PlainFrame { tags: &[TAG], ..v4 };
        let v6 = PlainFrame::new(EXPORTER_V6, HOST_V6);
        let stranger = PlainFrame::new(STRANGER, HOST);
        use Verdict::Fragment;
        self.add_changed("IPv4, first fragment", Fragment, 1, &v4, &[(20, 0x20)]);
        self.add_changed("IPv4, last fragment", Fragment, 1, &v4, &[(20, 0), (21, 185)]);
        self.add_changed("IPv4, high offset", Fragment, 1, &v4, &[(20, 0x10)]);
        self.add_changed("IPv4, fragment, tag", Fragment, 1, &tagged, &[(24, 0x20)]);
        self.add_changed(
            "IPv4, fragment of a stranger",
            Fragment,
            0,
            &stranger,
            &[(20, 0x20)],
        );
        self.add_changed("IPv6, fragment", Fragment, 3, &v6, &[(20, 44), (54, 17)]);
        // The reserved bit of the flags is none of fragmentation.
        self.add_changed("IPv4, reserved flag", Verdict::Accepted, 1, &v4, &[(20, 0x80)]);
    }

    fn lengths(&mut self) {
        let v4 = PlainFrame::new(EXPORTER, HOST);
        let stranger = PlainFrame::new(STRANGER, HOST);
        let v6 = PlainFrame::new(EXPORTER_V6, HOST_V6);
        use Verdict::{Accepted, Malformed};
        self.add_changed("IPv4, UDP length 7", Malformed, 1, &v4, &[(39, 7)]);
        self.add_changed("IPv4, UDP length 0", Malformed, 1, &v4, &[(39, 0)]);
        self.add_changed("IPv4, UDP length 8", Accepted, 1, &v4, &[(39, 8)]);
        self.add_changed("IPv4, UDP longer than IP", Malformed, 1, &v4, &[(39, 41)]);
        self.add_changed("IPv4, IP longer than packet", Malformed, 1, &v4, &[(17, 61)]);
        self.add_changed("IPv4, IP shorter than UDP", Malformed, 1, &v4, &[(17, 59)]);
        self.add_changed(
            "IPv4, stranger, UDP length 7",
            Malformed,
            0,
            &stranger,
            &[(39, 7)],
        );
        self.add_changed(
            "IPv4, unknown port, UDP length 7",
            Verdict::NotOurs,
            0,
            &v4,
            &[(37, 3), (39, 7)],
        );
        self.add_changed("IPv6, UDP length 7", Malformed, 3, &v6, &[(59, 7)]);
        self.add_changed("IPv6, UDP longer than IP", Malformed, 3, &v6, &[(59, 41)]);
        self.add_changed("IPv6, IP longer than packet", Malformed, 3, &v6, &[(19, 41)]);
        self.add_changed("IPv6, IP payload 0", Malformed, 3, &v6, &[(19, 0)]);
    }
}

/// An accepted IPv4 packet with this payload, under [`Plain::default`].
pub fn accepted(payload: &[u8]) -> Vec<u8> {
    PlainFrame::new(EXPORTER, HOST).carrying(payload)
}

/// Frames to measure with: 150 octets each (154 with the tag), under [`Plain::default`].
pub fn measured() -> [(&'static str, Vec<u8>); 5] {
    let accepted = PlainFrame {
        payload: 150 - 14 - 20 - 8,
        ..PlainFrame::new(EXPORTER, HOST)
    };
    let mut tcp = accepted.build();
    tcp[23] = 6;
    [
        ("accepted_ipv4", accepted.build()),
        (
            "accepted_ipv4_vlan",
            PlainFrame {
                tags: &[TAG],
                ..accepted
            }
            .build(),
        ),
        (
            "accepted_ipv6",
            PlainFrame {
                payload: 150 - 14 - 40 - 8,
                ..PlainFrame::new(EXPORTER_V6, HOST_V6)
            }
            .build(),
        ),
        (
            "not_allowed",
            PlainFrame {
                source: STRANGER.into(),
                ..accepted
            }
            .build(),
        ),
        ("not_ours_tcp", tcp),
    ]
}
