//! The columns of a NAT record: what of its fields an event can need.

use super::element::Element;
use super::message::Version;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    /// Time of the event.
    Time,
    /// Begin and end of the flow.
    Start,
    End,
    NatEvent,
    FirewallEvent,
    Protocol,
    /// IPv4 addresses before and after translation.
    Src4,
    Dst4,
    PostSrc4,
    PostDst4,
    SrcPort,
    DstPort,
    PostSrcPort,
    PostDstPort,
    Vrf,
    BlockStart,
    BlockEnd,
    BlockStep,
    BlockPorts,
    /// IPv6 addresses before and after translation.
    Src6,
    Dst6,
    PostSrc6,
    PostDst6,
    /// Texts.
    VrfName,
    Subscriber,
    /// Nokia's `name@inside address`.
    NatSubString,
    /// Present or not is all that counts: a limit that was reached, packets or octets of a flow.
    Quota,
    Counter,
}

/// Number of [`Slot`]s.
pub(super) const SLOTS: usize = Slot::Counter as usize + 1;

/// A set of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots(u32);

impl Slots {
    pub(super) const fn of<const N: usize>(slots: [Slot; N]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < N {
            bits |= 1 << slots[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    pub(super) const fn has(self, slot: Slot) -> bool {
        self.0 >> slot as u32 & 1 == 1
    }

    pub(super) const fn any<const N: usize>(self, slots: [Slot; N]) -> bool {
        self.0 & Self::of(slots).0 != 0
    }

    pub(super) const fn without(self, slot: Slot) -> Self {
        Self(self.0 & !(1 << slot as u32))
    }

    pub(super) const fn with(self, slot: Slot) -> Self {
        Self(self.0 | 1 << slot as u32)
    }
}

/// How a number tells a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// s since 1970.
    Seconds,
    /// ms since 1970.
    Milliseconds,
    /// s and 2^-32 s since 1900 (RFC 7011 sections 6.1.9 and 6.1.10).
    Ntp,
    /// ms since the exporter began.
    Uptime,
}

/// The column that an element fills; the time elements also say how they tell it.
pub(super) fn slot(version: Version, element: Element) -> Option<(Slot, Option<Unit>)> {
    const IANA: u32 = 0;
    let slot = match (element.enterprise, element.id) {
        (IANA, 322) => return Some((Slot::Time, Some(Unit::Seconds))),
        (IANA, 323) => return Some((Slot::Time, Some(Unit::Milliseconds))),
        (IANA, 324 | 325) => return Some((Slot::Time, Some(Unit::Ntp))),
        (IANA, 22) => return Some((Slot::Start, Some(Unit::Uptime))),
        (IANA, 150) => return Some((Slot::Start, Some(Unit::Seconds))),
        (IANA, 152) => return Some((Slot::Start, Some(Unit::Milliseconds))),
        (IANA, 154 | 156) => return Some((Slot::Start, Some(Unit::Ntp))),
        (IANA, 21) => return Some((Slot::End, Some(Unit::Uptime))),
        (IANA, 151) => return Some((Slot::End, Some(Unit::Seconds))),
        (IANA, 153) => return Some((Slot::End, Some(Unit::Milliseconds))),
        (IANA, 155 | 157) => return Some((Slot::End, Some(Unit::Ntp))),
        (IANA, 230) => Slot::NatEvent,
        (IANA, 233) => Slot::FirewallEvent,
        (IANA, 4) => Slot::Protocol,
        (IANA, 8) => Slot::Src4,
        (IANA, 12) => Slot::Dst4,
        (IANA, 225) => Slot::PostSrc4,
        (IANA, 226) => Slot::PostDst4,
        (IANA, 7) => Slot::SrcPort,
        (IANA, 11) => Slot::DstPort,
        (IANA, 227) => Slot::PostSrcPort,
        (IANA, 228) => Slot::PostDstPort,
        (IANA, 234) | (super::element::NOKIA, 91) => Slot::Vrf,
        (IANA, 361) => Slot::BlockStart,
        (IANA, 362) => Slot::BlockEnd,
        (IANA, 363) => Slot::BlockStep,
        (IANA, 364) => Slot::BlockPorts,
        (IANA, 27) => Slot::Src6,
        (IANA, 28) => Slot::Dst6,
        (IANA, 281) => Slot::PostSrc6,
        (IANA, 282) => Slot::PostDst6,
        (IANA, 236) => Slot::VrfName,
        (IANA, 371 | 455 | 456) => Slot::Subscriber,
        (super::element::NOKIA, 93) => Slot::NatSubString,
        (IANA, 466) => Slot::Quota,
        (IANA, 1 | 2 | 23 | 24 | 85 | 86) => Slot::Counter,
        // Old releases of ASA, before the elements above were registered.
        (IANA, private) if version == Version::V9 => match private {
            40000 => Slot::Subscriber,
            40001 => Slot::PostSrc4,
            40002 => Slot::PostDst4,
            40003 => Slot::PostSrcPort,
            40004 => Slot::PostDstPort,
            40005 => Slot::FirewallEvent,
            _ => return None,
        },
        _ => return None,
    };
    Some((slot, None))
}
