//! Jool NAT64.
//!
//! ```text
//! [Jool: ][INSTANCE ]Y/M/D H:M:S (GMT) - Mapped|Forgot IN6#PORT to OUT4#PORT (PROTO)
//! [Jool: ][INSTANCE ]Y/M/D H:M:S (GMT) - Added|Forgot session IN6#PORT|DST6#PORT|OUT4#PORT|DST4#PORT|PROTO
//! ```
//!
//! The first is a port mapping (BIB entry), the second a session. Numbers of the date are not padded. The protocol is
//! `TCP`, `UDP`, `ICMP` (whichever side: the outside's is given) or `unknown`, which is none.

use event::{Action, Event, Kind, TimeSource};

use super::frame::Header;
use super::mark::{begins_word, has_header};
use super::session::{self, one};
use crate::bytes::Cursor;
use crate::endpoint::{End, take_address};
use crate::search::{around, split_last_word, trim_end};
use crate::{DecodeError, Ignored, Outcome, protocol, time};

/// What an event says first.
const VERBS: [&[u8]; 3] = [b"Mapped ", b"Forgot ", b"Added "];

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some() || module_message(text).is_some()
}

/// Whether a text begins with an event's zone, and what stands before it ends with a time.
pub(super) fn begins(text: &[u8], before: &[u8]) -> bool {
    let is_known = |body: &[u8]| VERBS.iter().any(|&verb| body.starts_with(verb));
    text.strip_prefix(b"(GMT) - ").is_some_and(is_known) && matches!(before, [.., b'0'..=b'9', b' '])
}

pub(super) fn decode(
    text: &[u8],
    _header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let Some((before, body)) = split(text) else {
        return match module_message(text) {
            // With a date it was to be an event.
            Some(text) if text.split(|&byte| byte == b' ').any(begins_a_date) => Err(DecodeError::Truncated),
            Some(_) => Ok(Outcome::Ignored(Ignored::NotAMapping)),
            None => Err(DecodeError::UnknownFormat),
        };
    };
    let mut cursor = Cursor::new(body);
    let mut event = if cursor.take(b"Added session ") {
        session(Action::Created, &mut cursor)?
    } else if cursor.take(b"Forgot session ") {
        session(Action::Deleted, &mut cursor)?
    } else if cursor.take(b"Mapped ") {
        mapping(Action::Created, &mut cursor)?
    } else if cursor.take(b"Forgot ") {
        mapping(Action::Deleted, &mut cursor)?
    } else {
        return Err(DecodeError::UnknownFormat);
    };
    event.time_ns = Some(clock(before).ok_or(DecodeError::BadTime)?);
    event.time_source = TimeSource::DeviceEvent;
    Ok(one(&event, sink))
}

fn mapping(action: Action, cursor: &mut Cursor<'_>) -> Result<Event<'static>, DecodeError> {
    let inside = end(cursor)?;
    cursor.expect(b" to ")?;
    let outside = end(cursor)?;
    cursor.expect(b" (")?;
    let name = cursor.rest().strip_suffix(b")").ok_or(DecodeError::Truncated)?;
    Ok(session::port(action, protocol(name)?, inside, outside))
}

fn session(action: Action, cursor: &mut Cursor<'_>) -> Result<Event<'static>, DecodeError> {
    let inside = end(cursor)?;
    cursor.expect(b"|")?;
    let _destination6 = end(cursor)?;
    cursor.expect(b"|")?;
    let outside = end(cursor)?;
    cursor.expect(b"|")?;
    let remote = end(cursor)?;
    cursor.expect(b"|")?;
    let mut event = session::port(action, protocol(cursor.rest())?, inside, outside);
    event.kind = Kind::Session;
    (event.dst_ip, event.dst_port) = (Some(remote.0), Some(remote.1));
    Ok(event)
}

/// Takes `ip#port`.
fn end(cursor: &mut Cursor<'_>) -> Result<End, DecodeError> {
    let ip = take_address(cursor)?;
    cursor.expect(b"#")?;
    Ok((ip, cursor.port()?))
}

fn protocol(name: &[u8]) -> Result<Option<u8>, DecodeError> {
    const NAMES: [&[u8]; 4] = [b"TCP", b"UDP", b"ICMP", b"unknown"];
    match name {
        b"unknown" => Ok(None),
        _ if NAMES.contains(&name) => protocol::number(name).map(Some),
        _ if NAMES.iter().any(|whole| whole.starts_with(name)) => Err(DecodeError::Truncated),
        _ => Err(DecodeError::BadProtocol),
    }
}

/// What stands before the zone, and what behind it, of an event.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, behind) = around(text, b"(GMT)")?;
    let body = behind.strip_prefix(b" - ")?;
    let is_known = VERBS.iter().any(|&verb| body.starts_with(verb));
    let is_event = is_known && matches!(before, [.., b'0'..=b'9', b' ']) && has_header(text, body);
    is_event.then_some((before, body))
}

/// What the module says, behind its name and the kernel's time.
fn module_message(text: &[u8]) -> Option<&[u8]> {
    let (before, behind) = around(text, b"Jool: ")?;
    (begins_word(before) && has_header(text, behind)).then_some(behind)
}

/// The time that ends a text, `Y/M/D H:M:S`, in ns since 1970.
fn clock(text: &[u8]) -> Option<i64> {
    let (text, of_day) = split_last_word(text);
    let (_, day) = split_last_word(trim_end(text));
    time::civil(date(day)?, time::of_day(of_day)?)
}

/// Whether a word begins like `Y/M/D`.
fn begins_a_date(word: &[u8]) -> bool {
    matches!(word, [a, b, c, d, b'/', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
}

/// Reads `Y/M/D`.
fn date(word: &[u8]) -> Option<(u32, u32, u32)> {
    let mut parts = word.split(|&byte| byte == b'/');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((
        time::number(year, 4)?,
        time::number(month, 2)?,
        time::number(day, 2)?,
    ))
}
