//! Sessions that state both ends before and after translation: firewalls (ASA NSEL, PAN-OS) and traffic flows.
//!
//! Only a translation tells who is inside. If the source was translated, the source is. If only the destination was, the
//! destination is the outside, and what it was translated to the inside (port forwarding, or the way back of MikroTik's
//! flows). FortiGate and PAN-OS write 0 for what was not translated, and on the way back the outside end into the
//! translated destination: then the destination is the inside.

use std::net::IpAddr;

use event::{Action, Event, Kind};

use super::mapping::{port, protocol, v4, v6};
use super::plan::{Plan, Row};
use super::slot::Slot;
use crate::DecodeError;

/// Address and port; no port if the record has none.
type End = (IpAddr, Option<u16>);

/// What a firewallEvent says (IE 233); `None`: no mapping (denied, alert, ignore).
pub(super) fn firewall_action(number: u64) -> Result<Option<Action>, DecodeError> {
    match number {
        1 => Ok(Some(Action::Created)),
        2 => Ok(Some(Action::Deleted)),
        5 => Ok(Some(Action::Updated)),
        0 | 3 | 4 => Ok(None),
        _ => Err(DecodeError::BadNatEvent),
    }
}

/// The event, without time and texts; `None` if nothing was translated.
pub(super) fn event<'a>(
    plan: &Plan,
    row: &impl Row,
    action: Action,
) -> Result<Option<Event<'a>>, DecodeError> {
    let end = |v4_slot, v6_slot, port_slot| -> Result<Option<End>, DecodeError> {
        let address = v4(row.number(v4_slot)).or_else(|| v6(plan, row, v6_slot));
        let port = port(plan, row, port_slot)?;
        Ok(address.map(|address| (address, port)))
    };
    let before = (
        end(Slot::Src4, Slot::Src6, Slot::SrcPort)?.ok_or(DecodeError::BadAddress)?,
        end(Slot::Dst4, Slot::Dst6, Slot::DstPort)?.ok_or(DecodeError::BadAddress)?,
    );
    let after = (
        end(Slot::PostSrc4, Slot::PostSrc6, Slot::PostSrcPort)?,
        end(Slot::PostDst4, Slot::PostDst6, Slot::PostDstPort)?,
    );
    let Some([inside, outside, remote]) = roles(before, after) else {
        return Ok(None);
    };
    let mut event = Event::new(Kind::Session, action, inside.0, Some(outside.0));
    event.protocol = protocol(plan, row)?;
    (event.src_port, event.x_port) = (inside.1, outside.1);
    (event.dst_ip, event.dst_port) = (Some(remote.0), remote.1);
    Ok(Some(event))
}

/// Inside, outside and remote end.
fn roles(before: (End, End), after: (Option<End>, Option<End>)) -> Option<[End; 3]> {
    match after {
        (Some(source), destination) if differs(source, before.0) => {
            Some([before.0, source, destination.unwrap_or(before.1)])
        }
        (None, Some(destination)) if differs(destination, before.1) => {
            Some([before.1, destination, before.0])
        }
        (Some(_), Some(destination)) if differs(destination, before.1) => {
            Some([destination, before.1, before.0])
        }
        _ => None,
    }
}

/// A port that is not stated is the same.
fn differs(after: End, before: End) -> bool {
    after.0 != before.0 || after.1.is_some() && before.1.is_some() && after.1 != before.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_translated_end_tells_who_is_inside() {
        let end = |last, port| (IpAddr::from([192, 0, 2, last]), Some(port));
        let [inside, outside, remote, zero] = [Some(end(1, 10)), Some(end(2, 20)), Some(end(3, 30)), None];
        let (i, o, r) = (end(1, 10), end(2, 20), end(3, 30));
        let without_port = Some((o.0, None));
        for (before, after, expected) in [
            ((i, r), (outside, remote), Some([i, o, r])),
            ((i, r), (outside, zero), Some([i, o, r])),
            ((i, r), (without_port, remote), Some([i, (o.0, None), r])),
            ((r, o), (remote, inside), Some([i, o, r])),
            ((r, i), (zero, outside), Some([i, o, r])),
            ((i, r), (inside, remote), None),
            ((i, r), (zero, zero), None),
            ((i, r), (Some((i.0, None)), remote), None),
        ] {
            assert_eq!(roles(before, after), expected, "{before:?} {after:?}");
        }
    }
}
