//! What a natEvent (IE 230) means: three incompatible numberings, told apart by the fields of the record where possible.
//!
//! 14 and 15 are an address binding or a port block, 4 and 5 a NAT44 or a NAT64 session, depending on the dialect: read
//! in the wrong one, they would corrupt data in silence. So a reading must fit the fields, and `auto` takes only what all
//! dialects agree on.

use event::{Action, Kind};

use super::profile::Dialect;
use super::slot::{Slot, Slots};
use crate::{DecodeError, Ignored};

/// natEvents that the numberings reach; any other is in none of them.
pub(super) const NAT_EVENTS: usize = 32;

/// What a record with this natEvent and these fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Event {
        action: Action,
        kind: Kind,
        inside: Inside,
    },
    Ignored(Ignored),
    Refused(DecodeError),
}

/// Which field names the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// The IPv4 address. With an IPv6 address beside it (DS-Lite), that is the softwire.
    V4,
    /// The IPv6 address (NAT64).
    V6,
}

/// One dialect's meaning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Mapping(Action, Class, Family),
    AddressesExhausted,
    PortsExhausted,
    Quota,
    Threshold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The fields say it.
    Any,
    Session,
    Bib,
    Block,
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Any,
    V4,
    V6,
}

/// What `value` means in any of `dialects`, for a record that has the fields `present`. With several dialects, all whose
/// reading fits the fields must agree.
pub(super) fn judge(dialects: &[Dialect], value: u64, present: Slots) -> Judgement {
    if value == 0 {
        return Judgement::Ignored(Ignored::NotAMapping);
    }
    let is_sure = dialects.len() == 1;
    let mut agreed = None;
    for &dialect in dialects {
        let Some(reading) = reading(dialect, value) else {
            continue;
        };
        // All templates that Juniper documents for sessions name the remote end; in RFC 8158 it is optional.
        let names_remote = dialect != Dialect::JunosDraft02 || present.any(REMOTE);
        if !is_sure && !names_remote && matches!(reading, Reading::Mapping(_, Class::Session, _)) {
            continue;
        }
        let Some(judgement) = fit(reading, present, is_sure) else {
            continue;
        };
        match agreed {
            Some(other) if other != judgement => return Judgement::Refused(DecodeError::UnknownDialect),
            _ => agreed = Some(judgement),
        }
    }
    agreed.unwrap_or(Judgement::Refused(DecodeError::BadNatEvent))
}

/// The kind of mapping that the fields alone describe.
pub(super) fn kind_by_fields(present: Slots) -> Kind {
    if present.has(Slot::BlockStart) {
        Kind::Block
    } else if present.any(REMOTE) {
        Kind::Session
    } else if present.any([Slot::SrcPort, Slot::PostSrcPort]) {
        Kind::Port
    } else {
        Kind::Address
    }
}

/// Where the subscriber stands, by the fields alone.
pub(super) fn inside_by_fields(present: Slots) -> Inside {
    if present.has(Slot::Src4) {
        Inside::V4
    } else {
        Inside::V6
    }
}

const REMOTE: [Slot; 4] = [Slot::Dst4, Slot::Dst6, Slot::PostDst4, Slot::PostDst6];
const OUTSIDE: [Slot; 2] = [Slot::PostSrc4, Slot::PostSrc6];
const INSIDE: [Slot; 2] = [Slot::Src4, Slot::Src6];

/// The numberings, from 1 on.
const LEGACY: [Reading; 3] = [
    mapping(Action::Created, Class::Any, Family::Any),
    mapping(Action::Deleted, Class::Any, Family::Any),
    Reading::AddressesExhausted,
];
const RFC8158: [Reading; 18] = [
    // Historic: the translation may be of any kind.
    mapping(Action::Created, Class::Any, Family::Any),
    mapping(Action::Deleted, Class::Any, Family::Any),
    Reading::AddressesExhausted,
    mapping(Action::Created, Class::Session, Family::V4),
    mapping(Action::Deleted, Class::Session, Family::V4),
    mapping(Action::Created, Class::Session, Family::V6),
    mapping(Action::Deleted, Class::Session, Family::V6),
    mapping(Action::Created, Class::Bib, Family::V4),
    mapping(Action::Deleted, Class::Bib, Family::V4),
    mapping(Action::Created, Class::Bib, Family::V6),
    mapping(Action::Deleted, Class::Bib, Family::V6),
    Reading::PortsExhausted,
    Reading::Quota,
    mapping(Action::Created, Class::Address, Family::Any),
    mapping(Action::Deleted, Class::Address, Family::Any),
    mapping(Action::Created, Class::Block, Family::Any),
    mapping(Action::Deleted, Class::Block, Family::Any),
    Reading::Threshold,
];
const JUNOS_DRAFT_02: [Reading; 15] = [
    mapping(Action::Created, Class::Session, Family::V4),
    mapping(Action::Deleted, Class::Session, Family::V4),
    Reading::AddressesExhausted,
    mapping(Action::Created, Class::Session, Family::V6),
    mapping(Action::Deleted, Class::Session, Family::V6),
    mapping(Action::Created, Class::Bib, Family::V4),
    mapping(Action::Deleted, Class::Bib, Family::V4),
    mapping(Action::Created, Class::Bib, Family::V6),
    mapping(Action::Deleted, Class::Bib, Family::V6),
    Reading::PortsExhausted,
    Reading::Quota,
    mapping(Action::Created, Class::Address, Family::Any),
    mapping(Action::Deleted, Class::Address, Family::Any),
    mapping(Action::Created, Class::Block, Family::Any),
    mapping(Action::Deleted, Class::Block, Family::Any),
];

const fn mapping(action: Action, class: Class, family: Family) -> Reading {
    Reading::Mapping(action, class, family)
}

fn reading(dialect: Dialect, value: u64) -> Option<Reading> {
    let numbering = match dialect {
        Dialect::Legacy => &LEGACY[..],
        Dialect::Rfc8158 => &RFC8158,
        Dialect::JunosDraft02 => &JUNOS_DRAFT_02,
    };
    let index = usize::try_from(value).ok()?.checked_sub(1)?;
    numbering.get(index).copied()
}

/// What the reading is with these fields; `None` if it does not fit them. `is_sure`: the dialect is known, so that fields
/// that are optional may be absent, or there without need.
fn fit(reading: Reading, present: Slots, is_sure: bool) -> Option<Judgement> {
    let (inside, outside) = (present.any(INSIDE), present.any(OUTSIDE));
    let block = present.has(Slot::BlockStart);
    let ports = present.any([Slot::SrcPort, Slot::PostSrcPort]);
    let remote = present.any(REMOTE);
    let fits = match reading {
        Reading::AddressesExhausted => true,
        Reading::PortsExhausted => !inside,
        Reading::Quota => present.has(Slot::Quota) || !outside,
        Reading::Threshold => !(inside && outside),
        Reading::Mapping(action, class, family) => {
            let family_fits = match family {
                Family::Any => true,
                Family::V4 => present.has(Slot::Src4),
                Family::V6 => present.has(Slot::Src6),
            };
            let class_fits = match class {
                Class::Any => true,
                // VPP's sessions name no remote end, which RFC 8158 allows.
                Class::Session => !block,
                Class::Bib => !block && (is_sure || !remote),
                Class::Block => block,
                Class::Address => !block && !ports && !remote,
            };
            inside && (outside || is_sure && action == Action::Deleted) && family_fits && class_fits
        }
    };
    if !fits {
        return None;
    }
    let Reading::Mapping(action, class, family) = reading else {
        return Some(Judgement::Ignored(Ignored::ResourceAlarm));
    };
    Some(Judgement::Event {
        action,
        kind: match class {
            Class::Any => kind_by_fields(present),
            Class::Session => Kind::Session,
            // RFC 8158: ports are optional in a BIB entry; without them the address is what is bound.
            Class::Bib if !ports => Kind::Address,
            Class::Bib => Kind::Port,
            Class::Block => Kind::Block,
            Class::Address => Kind::Address,
        },
        inside: match family {
            Family::V4 => Inside::V4,
            Family::V6 => Inside::V6,
            Family::Any => inside_by_fields(present),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    const NAT44: [Slot; 7] = [
        Slot::Time,
        Slot::NatEvent,
        Slot::Src4,
        Slot::PostSrc4,
        Slot::Protocol,
        Slot::SrcPort,
        Slot::PostSrcPort,
    ];

    fn v6(present: Slots) -> Slots {
        present.without(Slot::Src4).with(Slot::Src6)
    }

    fn event(action: Action, kind: Kind, inside: Inside) -> Judgement {
        Judgement::Event { action, kind, inside }
    }

    fn auto(value: u64, present: Slots) -> Judgement {
        judge(Profile::Auto.dialects(), value, present)
    }

    #[test]
    fn auto_knows_dialects_apart_by_the_fields() {
        use Action::{Created, Deleted};
        let bib = Slots::of(NAT44);
        let session = bib.with(Slot::Dst4).with(Slot::DstPort);
        let block = Slots::of([Slot::Src4, Slot::PostSrc4, Slot::BlockStart, Slot::BlockEnd]);
        let address = Slots::of([Slot::Src4, Slot::PostSrc4]);
        let session6 = v6(session);
        let bib6 = v6(bib);
        for (value, present, expected) in [
            (1, session, event(Created, Kind::Session, Inside::V4)),
            (4, session, event(Created, Kind::Session, Inside::V4)),
            (5, session6, event(Deleted, Kind::Session, Inside::V6)),
            (6, session6, event(Created, Kind::Session, Inside::V6)),
            // Draft-02: NAT44 BIB, NAT64 BIB.
            (6, bib, event(Created, Kind::Port, Inside::V4)),
            (8, bib6, event(Created, Kind::Port, Inside::V6)),
            (8, bib, event(Created, Kind::Port, Inside::V4)),
            (10, bib6, event(Created, Kind::Port, Inside::V6)),
            (14, address, event(Created, Kind::Address, Inside::V4)),
            (12, address, event(Created, Kind::Address, Inside::V4)),
            (14, block, event(Created, Kind::Block, Inside::V4)),
            (16, block, event(Created, Kind::Block, Inside::V4)),
            (2, block, event(Deleted, Kind::Block, Inside::V4)),
        ] {
            assert_eq!(auto(value, present), expected, "{value} with {present:?}");
        }
    }

    #[test]
    fn what_fits_no_dialect_or_several_is_refused() {
        let session = Slots::of(NAT44).with(Slot::Dst4);
        for value in [6, 14, 15, 16, 19, 31, 200] {
            assert_eq!(
                auto(value, session),
                Judgement::Refused(DecodeError::BadNatEvent),
                "{value}"
            );
        }
        // Both families present: NAT44 in one dialect, NAT64 in the other.
        let both = session.with(Slot::Src6);
        assert_eq!(auto(4, both), Judgement::Refused(DecodeError::UnknownDialect));
        assert_eq!(
            judge(Profile::JunosDraft02.dialects(), 4, both),
            event(Action::Created, Kind::Session, Inside::V6)
        );
        // Without a remote end, 1 is a BIB entry in the legacy dialect and would be a session of Junos.
        assert_eq!(
            auto(1, Slots::of(NAT44)),
            event(Action::Created, Kind::Port, Inside::V4)
        );
        assert_eq!(
            judge(Profile::JunosDraft02.dialects(), 1, Slots::of(NAT44)),
            event(Action::Created, Kind::Session, Inside::V4)
        );
    }

    #[test]
    fn a_known_dialect_is_checked_against_the_fields_too() {
        let block = Slots::of([Slot::Src4, Slot::PostSrc4, Slot::BlockStart]);
        let refused = Judgement::Refused(DecodeError::BadNatEvent);
        assert_eq!(judge(Profile::Rfc8158.dialects(), 14, block), refused);
        assert_eq!(judge(Profile::Legacy.dialects(), 4, block), refused);
        assert_eq!(judge(Profile::JunosDraft02.dialects(), 16, block), refused);
    }

    #[test]
    fn exhaustion_is_no_mapping() {
        let alarm = Judgement::Ignored(Ignored::ResourceAlarm);
        assert_eq!(auto(3, Slots::default()), alarm);
        assert_eq!(auto(13, Slots::of([Slot::Quota, Slot::Src4])), alarm);
        assert_eq!(auto(12, Slots::of([Slot::PostSrc4, Slot::Protocol])), alarm);
        assert_eq!(
            auto(0, Slots::of(NAT44)),
            Judgement::Ignored(Ignored::NotAMapping)
        );
    }
}
