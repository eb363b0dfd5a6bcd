//! Linux: `conntrack -E -o timestamp,id`.
//!
//! ```text
//! [S.US]⇥    [NEW] tcp      6 120 SYN_SENT src=… dst=… sport=N dport=N [UNREPLIED] src=… dst=… sport=N dport=N id=N
//! [S.US]⇥[DESTROY] icmp     1 src=… dst=… type=8 code=0 id=N packets=N bytes=N src=… dst=… type=0 code=0 id=N … id=N
//! ```
//!
//! The type is `[NEW]`, `[UPDATE]` or `[DESTROY]`; `-o extended` puts the network protocol and its number first. Behind
//! the original tuple come counters, its zone and `[UNREPLIED]`; behind the reply tuple counters, `[ASSURED]`, mark and
//! others, and `id=`. Of up to three `id=`, those of the tuples are query identifiers. GRE has `srckey=0x…` and
//! `dstkey=0x…` in place of ports.
//!
//! Without `-o id` many lines end with the last port; such a line is refused: a port that was cut cannot be told from a
//! whole one.
//!
//! Relays write `#011` for the TAB. Older emitters write the microseconds without leading zeros, and eight columns wide.

use std::net::IpAddr;

use event::{Action, Event, TimeSource};

use super::frame::Header;
use super::mark::has_header;
use super::session::one;
use super::tuples::{self, Tuple};
use crate::bytes::{Cursor, hexadecimal};
use crate::search::around;
use crate::time::{NS_PER_S, seconds};
use crate::value::set;
use crate::{DecodeError, Ignored, Outcome, endpoint, protocol};

/// Words between the protocol's number and the first tuple: a timeout and a state.
const WORDS_BEFORE_TUPLES_MAX: usize = 3;

/// Columns of the microseconds where they are not padded with zeros.
const COLUMNS: usize = 8;

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some()
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (before, action, mut cursor) = split(text).ok_or(DecodeError::UnknownFormat)?;
    let protocol = protocol(&mut cursor)?;
    for _ in 0..WORDS_BEFORE_TUPLES_MAX {
        if cursor.rest().starts_with(b" src=") {
            break;
        }
        cursor.next_token();
    }
    let (original, reply) = Side::read_both(&mut cursor, protocol)?;
    let session = tuples::session(
        action,
        protocol,
        original.tuple(protocol)?,
        reply.tuple(protocol)?,
    );
    let Some(mut event) = session else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    if protocol::is_icmp(protocol) {
        event.dst_port = None;
    }
    header.stamp(&mut event);
    if let Some(time_ns) = clock(before)? {
        event.time_ns = Some(time_ns);
        event.time_source = TimeSource::DeviceEvent;
    }
    Ok(one(&event, sink))
}

/// What stands before the event's type, what it does, and what stands behind it.
fn split(text: &[u8]) -> Option<(&[u8], Action, Cursor<'_>)> {
    let (head, _) = around(text, b" src=")?;
    let at = head.iter().rposition(|&byte| byte == b'[')?;
    let (action, length) = match &text[at..] {
        [b'[', b'N', b'E', b'W', b']', b' ', ..] => (Action::Created, 6),
        [b'[', b'U', b'P', b'D', b'A', b'T', b'E', b']', b' ', ..] => (Action::Updated, 9),
        [b'[', b'D', b'E', b'S', b'T', b'R', b'O', b'Y', b']', b' ', ..] => (Action::Deleted, 10),
        _ => return None,
    };
    let behind = &text[at + length..];
    has_header(text, behind).then_some((&text[..at], action, Cursor::new(behind)))
}

/// Takes the protocol's name and number, and the network protocol's where it is there.
fn protocol(cursor: &mut Cursor<'_>) -> Result<u8, DecodeError> {
    let mut number = || {
        let name = cursor.next_token().ok_or(DecodeError::Truncated)?;
        if !name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            || name[0].is_ascii_digit()
        {
            return Err(DecodeError::Malformed);
        }
        while cursor.take(b" ") {}
        Ok((name, cursor.protocol()?))
    };
    let (name, number_of) = number()?;
    if matches!(name, b"ipv4" | b"ipv6") && matches!(number_of, 2 | 10) {
        return Ok(number()?.1);
    }
    Ok(number_of)
}

/// What is said of one direction.
#[derive(Default)]
struct Side {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    identifier: Option<u16>,
}

impl Side {
    /// Reads the original and the reply, to the end of the message.
    fn read_both(cursor: &mut Cursor<'_>, protocol: u8) -> Result<(Self, Self), DecodeError> {
        let has_identifier = protocol::is_icmp(protocol);
        let (mut original, mut reply) = (Self::default(), None);
        // Whether something stands behind what is needed, so that it cannot be cut.
        let mut is_whole = false;
        loop {
            while cursor.take(b" ") {}
            if cursor.is_empty() {
                return match reply {
                    Some(reply) if is_whole => Ok((original, reply)),
                    _ => Err(DecodeError::Truncated),
                };
            }
            is_whole = false;
            if cursor.rest().starts_with(b"src=") && original.source.is_some() {
                set(&mut reply, Self::default())?;
            }
            let side = reply.as_mut().unwrap_or(&mut original);
            if cursor.take(b"src=") {
                set(&mut side.source, endpoint::take_address(cursor)?)?;
            } else if cursor.take(b"dst=") {
                set(&mut side.destination, endpoint::take_address(cursor)?)?;
            } else if cursor.take(b"sport=") {
                set(&mut side.source_port, cursor.port()?)?;
            } else if cursor.take(b"dport=") {
                set(&mut side.destination_port, cursor.port()?)?;
            } else if cursor.take(b"srckey=") {
                set(&mut side.source_port, key(cursor.token())?)?;
            } else if cursor.take(b"dstkey=") {
                set(&mut side.destination_port, key(cursor.token())?)?;
            } else if has_identifier && side.identifier.is_none() && cursor.take(b"id=") {
                side.identifier = Some(cursor.port()?);
            } else {
                cursor.token();
                is_whole = true;
            }
            if !matches!(cursor.peek(), None | Some(b' ')) {
                return Err(DecodeError::Malformed);
            }
        }
    }

    fn tuple(&self, protocol: u8) -> Result<Tuple, DecodeError> {
        let (Some(source), Some(destination)) = (self.source, self.destination) else {
            return Err(DecodeError::MissingField);
        };
        // A query's identifier is the same at both ends.
        let ports = if protocol::is_icmp(protocol) {
            (self.identifier, self.identifier)
        } else {
            (self.source_port, self.destination_port)
        };
        let must_have = protocol::has_ports(protocol) || protocol::is_icmp(protocol);
        if ports.0.is_some() != ports.1.is_some() || must_have && ports.0.is_none() {
            return Err(DecodeError::MissingField);
        }
        Ok(Tuple {
            source: (source, ports.0),
            destination: (destination, ports.1),
        })
    }
}

/// Reads a GRE key, `0x` and up to four digits.
fn key(text: &[u8]) -> Result<u16, DecodeError> {
    let digits = text.strip_prefix(b"0x").ok_or(DecodeError::BadPort)?;
    let key = hexadecimal(digits).and_then(|key| u16::try_from(key).ok());
    key.ok_or(DecodeError::BadPort)
}

/// The time `[S.US]` that ends a text, in ns since 1970; `None` if there is no such word.
fn clock(mut text: &[u8]) -> Result<Option<i64>, DecodeError> {
    while let [rest @ .., b' ' | b'\t'] | [rest @ .., b'#', b'0', b'1', b'1'] = text {
        text = rest;
    }
    let Some(text) = text.strip_suffix(b"]") else {
        return Ok(None);
    };
    let begin = text.iter().rposition(|&byte| byte == b'[').map_or(0, |at| at + 1);
    let Some((s, fraction)) = around(&text[begin..], b".") else {
        return Ok(None);
    };
    let us = match fraction.len() {
        6 => fraction,
        COLUMNS => fraction.split(|&byte| byte == b' ').next().unwrap_or_default(),
        _ => return Err(DecodeError::BadTime),
    };
    let is_padding = fraction[us.len()..].iter().all(|&byte| byte == b' ');
    let (s, us) = (number(s)?, number(us)?);
    if !is_padding || us > 999_999 {
        return Err(DecodeError::BadTime);
    }
    let ns = seconds(s).and_then(|ns| ns.checked_add(us * (NS_PER_S / 1_000_000)));
    ns.map(Some).ok_or(DecodeError::BadTime)
}

/// Reads all of `text` as a number of up to 18 digits.
fn number(text: &[u8]) -> Result<i64, DecodeError> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(DecodeError::BadTime);
    }
    Ok(text
        .iter()
        .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}
