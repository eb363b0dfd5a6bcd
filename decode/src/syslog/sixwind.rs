//! 6WIND vRouter (Turbo Router, VSR) CGNAT.
//!
//! ```text
//! fp-cgnat[PID]: NEW CONN: fwd proto P in:port -> remote:port, back proto P remote:port --> out:port
//! fp-cgnat[PID]: USER in (matching rule N): NEW BLOCK (pool "NAME", ip public out, proto P, port first - last)[ at DATE]
//! ```
//!
//! The counterparts are `DESTROY CONN` and `DESTROY BLOCK`; `->` and `-->` both occur. `fwd` goes from the inside to the
//! remote end, `back` from there to the outside: the outside end is the last of the line. The remote end is that of
//! `fwd`, but for NAT64, where the outside addresses it as `back` says. The program may be `fp-cgnat-logd@VRF[PID]`.
//! Blocks belong to one protocol each, the parts within their parentheses are read by name. The date behind them has no
//! zone: it is the event's time if the exporter's zone is said.

use std::net::IpAddr;

use event::{Action, Event, Kind, Text};

use super::frame::Header;
use super::{mark, pairs, session};
use crate::bytes::{Cursor, first_of};
use crate::endpoint::{self, End};
use crate::search::find;
use crate::value::Value;
use crate::{DecodeError, Ignored, Outcome};

pub(super) fn claims(text: &[u8]) -> bool {
    program(text).is_some()
}

/// Decodes what the first `fp-cgnat` of the text says.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let mut text = program(text).ok_or(DecodeError::UnknownFormat)?;
    let name = text.token();
    let vrf = vrf(name)?;
    if text.is_empty() {
        return Err(DecodeError::Truncated);
    }
    let Some(mut text) = body(text) else {
        return Ok(Outcome::Ignored(other(text.rest())));
    };
    let event = if text.take(b"USER ") {
        match block(&mut text)? {
            Some(event) => Some(event),
            None => return Ok(Outcome::Ignored(other(text.rest()))),
        }
    } else {
        connection(&mut text)?
    };
    let Some(mut event) = event else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    event.vrf = vrf;
    header.stamp(&mut event);
    if !text.is_empty() {
        text.expect(b" at ")?;
        header.stamp_zoneless(&mut event, text.rest());
    }
    sink(&event);
    Ok(Outcome::Events(1))
}

/// The text from the program's name on.
#[inline]
fn program(text: &[u8]) -> Option<Cursor<'_>> {
    let is_program = |rest: &&[u8]| {
        matches!(rest, [b'f', b'p', b'-', b'c', b'g', b'n', b'a', b't', ..])
            && matches!(rest.get(8), None | Some(b'[' | b':' | b'-' | b'@' | b' '))
    };
    mark::words(text).find(is_program).map(Cursor::new)
}

/// What stands behind the `@` of the program's name.
fn vrf(name: &[u8]) -> Result<Option<Text<'_>>, DecodeError> {
    let at = first_of(name, *b"@");
    let Some(vrf) = name.get(at + 1..) else {
        return Ok(None);
    };
    Value::new(vrf, first_of(vrf, *b"[:")).name()
}

/// The text from the first word that a mapping's message begins with; an RFC 5424 header has some words before it.
fn body(text: Cursor<'_>) -> Option<Cursor<'_>> {
    let begins: [&[u8]; 3] = [b"NEW CONN:", b"DESTROY CONN:", b"USER "];
    let is_begin = |rest: &&[u8]| {
        let begins = begins.iter();
        // One that is cut off is one, too: an error, not something else.
        begins.clone().any(|begin| rest.starts_with(begin))
            || rest.len() > 3 && begins.clone().any(|begin| begin.starts_with(rest))
    };
    mark::words(text.rest()).find(is_begin).map(Cursor::new)
}

#[cold]
fn other(text: &[u8]) -> Ignored {
    let has = |word: &[u8]| {
        text.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
    };
    if has(b"exhaust") || has(b"no more") || has(b"full") || has(b"quota") || has(b"limit") {
        Ignored::ResourceAlarm
    } else {
        Ignored::NotAMapping
    }
}

/// Takes a connection; `None` if it is not translated.
fn connection<'a>(text: &mut Cursor<'a>) -> Result<Option<Event<'a>>, DecodeError> {
    let action = action(text)?;
    text.expect(b" CONN: fwd proto ")?;
    let protocol = text.protocol()?;
    text.expect(b" ")?;
    let (inside, remote) = arrow(text)?;
    text.expect(b", back proto ")?;
    text.protocol()?;
    text.expect(b" ")?;
    let (back, outside) = arrow(text)?;
    if outside == inside {
        return Ok(None);
    }
    let nat64 = matches!((remote.0, back.0), (IpAddr::V6(_), IpAddr::V4(_)));
    let remote = if nat64 { back } else { remote };
    Ok(Some(session::session(action, protocol, inside, outside, remote)))
}

fn action(text: &mut Cursor<'_>) -> Result<Action, DecodeError> {
    if text.take(b"NEW") {
        return Ok(Action::Created);
    }
    text.expect(b"DESTROY")?;
    Ok(Action::Deleted)
}

/// Takes `A -> B` or `A --> B`.
fn arrow(text: &mut Cursor<'_>) -> Result<(End, End), DecodeError> {
    let from = endpoint::take(text)?;
    text.expect(b" -")?;
    let _ = text.take(b"-");
    text.expect(b"> ")?;
    Ok((from, endpoint::take(text)?))
}

/// Takes what follows `USER `; `None` if it is about something else than a block.
fn block<'a>(text: &mut Cursor<'a>) -> Result<Option<Event<'a>>, DecodeError> {
    let inside = endpoint::take_address(text)?;
    if text.take(b" (") {
        text.skip(first_of(text.rest(), *b")"));
        text.expect(b")")?;
    }
    text.expect(b": ")?;
    if !text.rest().starts_with(b"NEW ") && !text.rest().starts_with(b"DESTROY ") {
        // Another state of a block may be a mapping.
        let cut = b"NEW ".starts_with(text.rest()) || b"DESTROY ".starts_with(text.rest());
        return match find(text.rest(), b"BLOCK (") {
            Some(_) => Err(DecodeError::UnknownFormat),
            None if cut => Err(DecodeError::Truncated),
            None => Ok(None),
        };
    }
    let action = action(text)?;
    text.expect(b" BLOCK (")?;
    let (mut outside, mut protocol, mut ports) = (None, None, None);
    loop {
        if text.take(b"pool \"") {
            let end = pairs::closing(text.rest()).ok_or(DecodeError::Truncated)?;
            text.skip(end + 1);
        } else if text.take(b"ip public") {
            if text.peek() == Some(b',') {
                return Err(DecodeError::MissingField);
            }
            text.expect(b" ")?;
            outside = Some(endpoint::take_address(text)?);
        } else if text.take(b"proto ") {
            protocol = Some(text.protocol()?);
        } else if text.take(b"port ") {
            let start = text.port()?;
            text.expect(b" - ")?;
            ports = Some((start, text.port()?));
        } else {
            text.skip(first_of(text.rest(), *b",)"));
        }
        if text.take(b")") {
            break;
        }
        text.expect(b", ")?;
    }
    let (Some(outside), Some((start, end))) = (outside, ports) else {
        return Err(DecodeError::MissingField);
    };
    if end < start {
        return Err(DecodeError::BadRange);
    }
    let mut event = Event::new(Kind::Block, action, inside, Some(outside));
    event.protocol = protocol;
    (event.start_port, event.end_port) = (Some(start), Some(end));
    Ok(Some(event))
}
