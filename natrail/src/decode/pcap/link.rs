//! What stands before the IP header of a captured packet.
//!
//! `wire::packet` reads Ethernet. All other link types are shown to it as Ethernet: with the ether type that they name, or
//! that the IP version tells.

use std::ops::Range;

use anyhow::bail;
use pcap_parser::Linktype;
use wire::packet::Packet;

/// Octets of the addresses before an Ethernet header's ether type, and of both.
const ADDRESSES_OCTETS: usize = 12;
const HEADER_OCTETS: usize = 14;

/// A captured packet, as Ethernet.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    Ethernet(&'a [u8]),
    /// An ether type, and what is behind it.
    Other([u8; 2], &'a [u8]),
}

impl<'a> View<'a> {
    /// Octets of the packet; those of the header that is only shown cannot be had.
    pub fn octets(&self, range: Range<usize>) -> Option<&'a [u8]> {
        match *self {
            Self::Ethernet(frame) => frame.get(range),
            Self::Other(_, rest) => {
                rest.get(range.start.checked_sub(HEADER_OCTETS)?..range.end.checked_sub(HEADER_OCTETS)?)
            }
        }
    }

    fn octet(&self, at: usize) -> Option<u8> {
        match *self {
            Self::Ethernet(frame) => frame.get(at).copied(),
            Self::Other(..) if at < ADDRESSES_OCTETS => Some(0),
            Self::Other(ether_type, _) if at < HEADER_OCTETS => Some(ether_type[at - ADDRESSES_OCTETS]),
            Self::Other(_, rest) => rest.get(at - HEADER_OCTETS).copied(),
        }
    }
}

impl Packet for View<'_> {
    fn octets(&self) -> usize {
        match self {
            Self::Ethernet(frame) => frame.len(),
            Self::Other(_, rest) => HEADER_OCTETS + rest.len(),
        }
    }

    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut octets = [0; N];
        for (index, octet) in octets.iter_mut().enumerate() {
            *octet = self.octet(offset + index)?;
        }
        Some(octets)
    }
}

/// A link type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    /// IP without anything before it.
    Raw,
    /// Four octets of address family, in an order that is not told (BSD loopback).
    Loopback,
    /// Linux "cooked" captures, as of `tcpdump -i any`.
    Cooked,
    Cooked2,
}

impl Link {
    /// # Errors
    /// If it is another one, with those that are read.
    pub fn new(link_type: Linktype) -> anyhow::Result<Self> {
        Ok(match link_type {
            Linktype::ETHERNET => Self::Ethernet,
            // 12 and 14 are what some BSDs have for 101.
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => Self::Raw,
            Linktype::NULL | Linktype::LOOP => Self::Loopback,
            Linktype::LINUX_SLL => Self::Cooked,
            Linktype::LINUX_SLL2 => Self::Cooked2,
            Linktype(other) => {
                bail!(
                    "packets of link type {other}; Ethernet, raw IP, loopback and Linux cooked captures are read"
                )
            }
        })
    }

    /// The packet as Ethernet; `None` if it is shorter than its header.
    pub fn view(self, packet: &[u8]) -> Option<View<'_>> {
        let at = |range: Range<usize>| packet.get(range)?.first_chunk().copied();
        match self {
            Self::Ethernet => Some(View::Ethernet(packet)),
            Self::Raw => ip(packet),
            Self::Loopback => ip(packet.get(4..)?),
            Self::Cooked => Some(View::Other(at(14..16)?, packet.get(16..)?)),
            Self::Cooked2 => Some(View::Other(at(0..2)?, packet.get(20..)?)),
        }
    }
}

/// The version in the IP header tells the ether type.
fn ip(packet: &[u8]) -> Option<View<'_>> {
    let ether_type = match packet.first()? >> 4 {
        4 => [0x08, 0x00],
        6 => [0x86, 0xdd],
        _ => return None,
    };
    Some(View::Other(ether_type, packet))
}
