//! Mappings whose kind and action are known: their ends, from the columns.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use event::{Action, Event, Kind};

use super::dialect::Inside;
use super::plan::{Plan, Row};
use super::slot::Slot;
use crate::DecodeError;

/// Fills in the ends of an event whose kind and action are known.
#[inline]
pub(super) fn fill(
    event: &mut Event<'_>,
    plan: &Plan,
    row: &impl Row,
    inside_is: Inside,
) -> Result<(), DecodeError> {
    event.src_ip = inside(plan, row, inside_is)?;
    event.x_ip = outside(plan, row, event.action)?;
    event.protocol = protocol(plan, row)?;
    match event.kind {
        Kind::Block => block(plan, row, event)?,
        Kind::Address => event.protocol = event.protocol.filter(|&protocol| protocol != 0),
        Kind::Port | Kind::Session => {
            event.src_port = port(plan, row, Slot::SrcPort)?;
            event.x_port = port(plan, row, Slot::PostSrcPort)?;
            // TCP, UDP, DCCP and SCTP have no port 0: it stands for "not translated".
            if event.x_port == Some(0) && matches!(event.protocol, Some(6 | 17 | 33 | 132)) {
                return Err(DecodeError::BadPort);
            }
            if event.kind == Kind::Session {
                remote(plan, row, event)?;
            }
        }
    }
    Ok(())
}

#[inline]
fn inside(plan: &Plan, row: &impl Row, inside: Inside) -> Result<IpAddr, DecodeError> {
    let v4 = v4(row.number(Slot::Src4));
    match inside {
        Inside::V4 if v4.is_some() => v4,
        // DS-Lite that does not name the inner address: the softwire is the inside.
        _ => v6(plan, row, Slot::Src6),
    }
    .ok_or(DecodeError::BadAddress)
}

#[inline]
fn outside(plan: &Plan, row: &impl Row, action: Action) -> Result<Option<IpAddr>, DecodeError> {
    let outside = v4(row.number(Slot::PostSrc4)).or_else(|| v6(plan, row, Slot::PostSrc6));
    if outside.is_some() {
        Ok(outside)
    } else if plan.present.any([Slot::PostSrc4, Slot::PostSrc6]) {
        Err(DecodeError::BadAddress)
    } else if action == Action::Deleted {
        // A delete may name the inside alone.
        Ok(None)
    } else {
        Err(DecodeError::MissingField)
    }
}

/// The remote end as addressed on the outside: after translation, where that is stated.
#[inline]
fn remote(plan: &Plan, row: &impl Row, event: &mut Event<'_>) -> Result<(), DecodeError> {
    let translated = v4(row.number(Slot::PostDst4)).or_else(|| v6(plan, row, Slot::PostDst6));
    event.dst_ip = translated.or_else(|| v4(row.number(Slot::Dst4)));
    // For NAT64 the IPv6 destination is the inside's name of an IPv4 address that is not stated.
    let is_nat64 = event.src_ip.is_ipv6() && event.x_ip.is_none_or(|ip| ip.is_ipv4());
    if event.dst_ip.is_none() && !is_nat64 {
        event.dst_ip = v6(plan, row, Slot::Dst6);
    }
    event.dst_port = match port(plan, row, Slot::PostDstPort)? {
        None | Some(0) => port(plan, row, Slot::DstPort)?,
        translated => translated,
    };
    Ok(())
}

/// A block is start and end, or start, step and number.
fn block(plan: &Plan, row: &impl Row, event: &mut Event<'_>) -> Result<(), DecodeError> {
    event.protocol = event.protocol.filter(|&protocol| protocol != 0);
    let start = port(plan, row, Slot::BlockStart)?.ok_or(DecodeError::MissingField)?;
    let step = port(plan, row, Slot::BlockStep)?.filter(|&step| step > 1);
    let ports = port(plan, row, Slot::BlockPorts)?;
    let stated_end = port(plan, row, Slot::BlockEnd)?;
    let end = match (stated_end, ports) {
        (Some(0), Some(1..)) | (None, Some(_)) => {
            let steps = u32::from(ports.unwrap_or(0))
                .checked_sub(1)
                .ok_or(DecodeError::BadRange)?;
            let end = u32::from(start) + steps * u32::from(step.unwrap_or(1));
            Some(u16::try_from(end).map_err(|_| DecodeError::BadRange)?)
        }
        (Some(end), _) => Some(end),
        (None, None) if event.x_ip.is_none() => None,
        (None, None) => return Err(DecodeError::MissingField),
    };
    if end.is_some_and(|end| end < start) {
        return Err(DecodeError::BadRange);
    }
    (event.start_port, event.end_port, event.port_step) = (Some(start), end, step);
    Ok(())
}

/// An IPv4 address; `0.0.0.0` is none.
#[inline]
pub(super) fn v4(number: u64) -> Option<IpAddr> {
    (number != 0).then(|| IpAddr::V4(Ipv4Addr::from(number as u32)))
}

/// An IPv6 address; `::` is none.
#[inline]
pub(super) fn v6(plan: &Plan, row: &impl Row, slot: Slot) -> Option<IpAddr> {
    if !plan.present.has(slot) {
        return None;
    }
    let bits = row.wide(slot);
    (bits != 0).then(|| IpAddr::V6(Ipv6Addr::from(bits)))
}

/// A port, or a query identifier; `None` if there is no such field.
#[inline]
pub(super) fn port(plan: &Plan, row: &impl Row, slot: Slot) -> Result<Option<u16>, DecodeError> {
    let number = row.number(slot);
    if number > u64::from(u16::MAX) {
        return Err(DecodeError::BadPort);
    }
    Ok(plan.present.has(slot).then_some(number as u16))
}

#[inline]
pub(super) fn protocol(plan: &Plan, row: &impl Row) -> Result<Option<u8>, DecodeError> {
    let number = row.number(Slot::Protocol);
    if number > u64::from(u8::MAX) {
        return Err(DecodeError::BadProtocol);
    }
    Ok(plan.present.has(Slot::Protocol).then_some(number as u8))
}
