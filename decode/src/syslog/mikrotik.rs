//! MikroTik RouterOS firewall log.
//!
//! ```text
//! [TOPICS ][PREFIX ]CHAIN: in:IF out:IF, [connection-state:STATE[,snat][,dnat] ][src-mac MAC, ]proto P[ (FLAGS)], S->D[, NAT (…)][, …], len N
//! ```
//!
//! A line without the NAT part shows the packet before its translation: no mapping. The part has several shapes, and is
//! compared with the main tuple, S and D, to find X, the end that is neither:
//!
//! ```text
//! (S->X)->D        the packet leaves the inside: S is the inside end, X the outside end
//! S->(X->D)        it goes to the inside: D is the inside end, X the outside end
//! S->(D->X)        the main tuple has its old destination: D is the outside end, X the inside end
//! (S->X)->(D->Y)   both: S is the inside end, X the outside end, Y the remote end
//! (X->D)           the tuple behind source translation
//! ```
//!
//! `snat` or `dnat` in the state, or the chain `srcnat` or `dstnat`, tells what else X may be: the outside end if the
//! source was translated, the inside end if the destination was. What stays ambiguous is refused.
//!
//! A packet of an established connection says that the mapping is still in force. No line says that it ended. IPv6
//! addresses stand in brackets, ICMP has no ports.

use std::net::IpAddr;

use event::{Action, Event, Kind};

use super::frame::Header;
use super::session::one;
use crate::bytes::Cursor;
use crate::search::{around, split_last_word};
use crate::{DecodeError, Ignored, Outcome, endpoint, protocol};

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some()
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (chain, before, mut cursor) = split(text).ok_or(DecodeError::UnknownFormat)?;
    let rest = cursor.rest();
    let name = rest.iter().position(|byte| matches!(byte, b' ' | b','));
    let name = &rest[..name.ok_or(DecodeError::Truncated)?];
    cursor.skip(name.len());
    if cursor.take(b" (") {
        let flags = cursor.rest().iter().position(|&byte| byte == b')');
        cursor.skip(flags.ok_or(DecodeError::Truncated)? + 1);
    }
    cursor.expect(b", ")?;
    let main = tuple(&mut cursor)?;
    let nat = if cursor.take(b", NAT ") {
        Some(Nat::take(&mut cursor)?)
    } else {
        None
    };
    // The length ends the line.
    if !matches!(around(cursor.rest(), b", len "), Some((_, [b'0'..=b'9', ..]))) {
        return Err(DecodeError::Truncated);
    }
    let Some(nat) = nat else {
        return Ok(Outcome::Ignored(Ignored::NotAMapping));
    };
    let state = State::of(chain, before)?;
    let Some([inside, outside, remote]) = nat.ends(main, state)? else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    let protocol = protocol::number(name)?;
    let ports = [inside.1, outside.1, remote.1];
    if ports.iter().any(|port| port.is_some() != ports[0].is_some())
        || protocol::has_ports(protocol) && ports[0].is_none()
    {
        return Err(DecodeError::MissingField);
    }
    let mut event = Event::new(Kind::Session, state.action, inside.0, Some(outside.0));
    event.protocol = Some(protocol);
    [event.src_port, event.x_port, event.dst_port] = ports;
    event.dst_ip = Some(remote.0);
    header.stamp(&mut event);
    Ok(one(&event, sink))
}

/// The chain, what stands before the protocol, and what from its name on.
fn split(text: &[u8]) -> Option<(&[u8], &[u8], Cursor<'_>)> {
    let (chain, interfaces) = around(text, b": in:")?;
    let (_, chain) = split_last_word(chain);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if chain.is_empty() || !chain.iter().all(is_name) {
        return None;
    }
    let (_, mut behind) = around(interfaces, b" out:")?;
    // The last one counts: users may have a say in the names of interfaces.
    (_, behind) = around(behind, b" proto ")?;
    while let Some((_, rest)) = around(behind, b" proto ") {
        behind = rest;
    }
    let before = &text[..text.len() - behind.len()];
    Some((chain, before, Cursor::new(behind)))
}

/// An address and, but for ICMP, a port.
type End = (IpAddr, Option<u16>);

fn end(cursor: &mut Cursor<'_>) -> Result<End, DecodeError> {
    let ip = endpoint::take_address(cursor)?;
    let port = if cursor.take(b":") {
        Some(cursor.port()?)
    } else {
        None
    };
    Ok((ip, port))
}

fn tuple(cursor: &mut Cursor<'_>) -> Result<(End, End), DecodeError> {
    let source = end(cursor)?;
    cursor.expect(b"->")?;
    Ok((source, end(cursor)?))
}

/// What the connection's state and the chain say.
#[derive(Clone, Copy)]
struct State {
    action: Action,
    /// The source, and no destination, was translated.
    is_snat: bool,
    /// The destination, and no source, was translated.
    is_dnat: bool,
}

impl State {
    fn of(chain: &[u8], before: &[u8]) -> Result<Self, DecodeError> {
        let mut words: &[u8] = b"";
        let mut rest = before;
        while let Some((_, behind)) = around(rest, b"connection-state:") {
            words = Cursor::new(behind).token();
            rest = behind;
        }
        let has = |word: &[u8]| words.split(|&byte| byte == b',').any(|other| other == word);
        let action = if has(b"established") {
            Action::Updated
        } else if words.is_empty() || has(b"new") || has(b"related") {
            Action::Created
        } else {
            return Err(DecodeError::Malformed);
        };
        let (mut snat, mut dnat) = (has(b"snat"), has(b"dnat"));
        if !snat && !dnat {
            (snat, dnat) = (chain == b"srcnat", chain == b"dstnat");
        }
        Ok(Self {
            action,
            is_snat: snat && !dnat,
            is_dnat: dnat && !snat,
        })
    }
}

/// One side of the NAT part: an end, or what became of it.
#[derive(Clone, Copy)]
enum Side {
    Same(End),
    Translated(End, End),
}

impl Side {
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        if !cursor.take(b"(") {
            return Ok(Self::Same(end(cursor)?));
        }
        let (before, behind) = tuple(cursor)?;
        cursor.expect(b")")?;
        Ok(Self::Translated(before, behind))
    }
}

/// The NAT part.
enum Nat {
    /// `(S->X)->D` and the like: source, destination.
    Sides(Side, Side),
    /// `(X->D)`: one tuple.
    Tuple(End, End),
}

impl Nat {
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let first = Side::take(cursor)?;
        if cursor.take(b"->") {
            return Ok(match (first, Side::take(cursor)?) {
                (Side::Same(source), Side::Same(destination)) => Self::Tuple(source, destination),
                (source, destination) => Self::Sides(source, destination),
            });
        }
        match first {
            Side::Translated(source, destination) => Ok(Self::Tuple(source, destination)),
            Side::Same(_) => Err(DecodeError::Malformed),
        }
    }

    /// Inside, outside and remote end; `None` if nothing was translated.
    fn ends(&self, (source, destination): (End, End), state: State) -> Result<Option<[End; 3]>, DecodeError> {
        let State { is_snat, is_dnat, .. } = state;
        let ends = match *self {
            Self::Tuple(a, b) if (a, b) == (source, destination) => return Ok(None),
            Self::Tuple(other, b) if b == destination && !is_dnat => [source, other, destination],
            Self::Tuple(a, other) if a == source && is_snat => [source, other, destination],
            Self::Tuple(a, other) if a == source && is_dnat => [other, destination, source],
            Self::Sides(Side::Translated(a, b), Side::Same(c)) if c == destination => match (a, b) {
                _ if a == b => return Ok(None),
                // The packet leaves the inside, be it a reply or not.
                (a, other) if a == source => [source, other, destination],
                (other, b) if b == source && is_snat => [source, other, destination],
                (other, b) if b == source && is_dnat => [other, source, destination],
                _ => return Err(DecodeError::Malformed),
            },
            Self::Sides(Side::Same(c), Side::Translated(a, b)) if c == source => match (a, b) {
                _ if a == b => return Ok(None),
                // The packet goes to the inside, be it a reply or not.
                (other, b) if b == destination => [destination, other, source],
                (a, other) if a == destination && is_snat => [destination, other, source],
                (a, other) if a == destination => [other, destination, source],
                _ => return Err(DecodeError::Malformed),
            },
            // Both were: the remote end is the one that the outside knows.
            Self::Sides(Side::Translated(a, outside), Side::Translated(b, remote))
                if a == source && b == destination =>
            {
                [source, outside, remote]
            }
            _ => return Err(DecodeError::Malformed),
        };
        Ok(Some(ends))
    }
}
