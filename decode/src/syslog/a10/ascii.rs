//! The ASCII format.
//!
//! ```text
//! NAT-TCP-C: in:port<-->out:port to remote:port                        port mapping
//! NAT-TCP-C: in:port<->remote:port,[ ]out:port<-->remote:port          session; the second pair in either order
//! FIXED-NAT-PORTS in->out:first-last                                   fixed NAT
//! PortBatchV2Allocated: [in out first last]                            port batch; counterpart PortBatchV2Freed
//! ```
//!
//! The letter is C, N or B (created), D or F (deleted), U (updated); only C, D and U were seen in use. Behind a record the attributes of RADIUS may stand,
//! `MSISDN="…" IMSI="…"`, quoted or not, in the order that the operator chose: the first that is not empty is the
//! subscriber, or the one that [`crate::exporter::Dialects`] names.

use std::net::IpAddr;

use event::{Action, Event, Kind, Text};

use super::{Context, Record};
use crate::bytes::{Cursor, first_of};
use crate::endpoint::{self, End};
use crate::syslog::{pairs, session};
use crate::value::Value;
use crate::{DecodeError, protocol};

/// Whether `text` begins with the mark of a record.
pub(super) fn is_mark(text: &[u8]) -> bool {
    let word = &text[..first_of(text, *b" ")];
    match word {
        [b'N', b'A', b'T', b'-', name @ .., b':'] => {
            matches!(name, [_, _, _, ..]) && name[name.len() - 2] == b'-'
        }
        _ => word.starts_with(b"FIXED-NAT-") || is_batch(word),
    }
}

/// Whether `text` begins with the mark of a port batch.
pub(super) fn is_batch(text: &[u8]) -> bool {
    text.starts_with(b"PortBatchV2")
}

/// Takes a record with its attributes; what is left begins with the next record's mark.
pub(super) fn decode<'a>(text: &mut Cursor<'a>, context: &Context<'a>) -> Result<Record<'a>, DecodeError> {
    let mut event = if text.take(b"NAT-") {
        mapping(text)?
    } else if is_batch(text.rest()) {
        batch(text)?
    } else {
        fixed(text)?
    };
    event.subscriber = attributes(text, context)?;
    Ok(context.finish(event))
}

fn mapping<'a>(text: &mut Cursor<'a>) -> Result<Event<'a>, DecodeError> {
    let name = text.token();
    let Some((protocol, [b'-', letter, b':'])) = name.split_last_chunk::<3>() else {
        return Err(DecodeError::Malformed);
    };
    let protocol = protocol::number(protocol)?;
    // An unknown letter is never "created".
    let action = match letter {
        b'C' | b'N' | b'B' => Action::Created,
        b'D' | b'F' => Action::Deleted,
        b'U' => Action::Updated,
        _ => return Err(DecodeError::UnknownFormat),
    };
    text.expect(b" ")?;
    let inside = endpoint::take(text)?;
    text.expect(b"<-")?;
    if text.take(b"->") {
        let outside = endpoint::take(text)?;
        text.expect(b" to ")?;
        let remote = endpoint::take(text)?;
        let mut event = session::port(action, Some(protocol), inside, outside);
        (event.dst_ip, event.dst_port) = (Some(remote.0), Some(remote.1));
        return Ok(event);
    }
    text.expect(b">")?;
    let remote = endpoint::take(text)?;
    text.expect(b",")?;
    let _ = text.take(b" ");
    let one = endpoint::take(text)?;
    text.expect(b"<-->")?;
    let other = endpoint::take(text)?;
    // Whether the outside end comes first is not certain: it is the one that is not the remote end.
    let (outside, remote) = match (is_remote(one, remote), is_remote(other, remote)) {
        (true, false) => (other, one),
        (false, true) => (one, other),
        _ => return Err(DecodeError::Malformed),
    };
    Ok(session::session(action, protocol, inside, outside, remote))
}

/// Whether `end` is `remote`, or the IPv4 end that is embedded in it (NAT64, RFC 6052 section 2.2, /96).
fn is_remote(end: End, remote: End) -> bool {
    let same = match (end.0, remote.0) {
        (IpAddr::V4(ip), IpAddr::V6(remote)) => remote.octets().ends_with(&ip.octets()),
        (ip, remote) => ip == remote,
    };
    same && end.1 == remote.1
}

fn fixed<'a>(text: &mut Cursor<'a>) -> Result<Event<'a>, DecodeError> {
    let name = text.token();
    if name != b"FIXED-NAT-PORTS" && name != b"FIXED-NAT-PORTS:" {
        return Err(DecodeError::UnknownFormat);
    }
    text.expect(b" ")?;
    let inside = endpoint::take_address(text)?;
    text.expect(b"->")?;
    let (outside, start) = endpoint::take(text)?;
    text.expect(b"-")?;
    // A statement of the configuration, which may be repeated.
    block(Action::Created, inside, outside, start, text.port()?)
}

fn batch<'a>(text: &mut Cursor<'a>) -> Result<Event<'a>, DecodeError> {
    let action = match text.token() {
        b"PortBatchV2Allocated:" => Action::Created,
        b"PortBatchV2Freed:" => Action::Deleted,
        _ if text.is_empty() => return Err(DecodeError::Truncated),
        _ => return Err(DecodeError::UnknownFormat),
    };
    text.expect(b" [")?;
    let inside = endpoint::take_address(text)?;
    text.expect(b" ")?;
    let outside = endpoint::take_address(text)?;
    text.expect(b" ")?;
    let start = text.port()?;
    text.expect(b" ")?;
    let end = text.port()?;
    text.expect(b"]")?;
    block(action, inside, outside, start, end)
}

fn block<'a>(
    action: Action,
    inside: IpAddr,
    outside: IpAddr,
    start: u16,
    end: u16,
) -> Result<Event<'a>, DecodeError> {
    if end < start {
        return Err(DecodeError::BadRange);
    }
    let mut event = Event::new(Kind::Block, action, inside, Some(outside));
    (event.start_port, event.end_port) = (Some(start), Some(end));
    Ok(event)
}

/// Takes the attributes behind a record, up to the next one: the subscriber.
fn attributes<'a>(text: &mut Cursor<'a>, context: &Context<'a>) -> Result<Option<Text<'a>>, DecodeError> {
    let asked = context
        .header
        .said
        .and_then(|said| said.dialects.a10_subscriber.as_deref());
    let mut subscriber = None;
    while !text.is_empty() {
        text.expect(b" ")?;
        let rest = text.rest();
        if rest.starts_with(b" ") {
            continue;
        }
        if is_mark(rest) {
            break;
        }
        let key = first_of(rest, *b"= \"");
        if rest.get(key) != Some(&b'=') || key == 0 {
            return Err(DecodeError::Malformed);
        }
        let value = &rest[key + 1..];
        let (value, length) = if let [b'"', quoted @ ..] = value {
            let end = pairs::closing(quoted).ok_or(DecodeError::Truncated)?;
            (Value::new(quoted, end), end + 2)
        } else {
            let end = first_of(value, *b" ");
            (Value::new(value, end), end)
        };
        text.skip(key + 1 + length);
        let is_asked = asked.is_none_or(|asked| asked.as_bytes().eq_ignore_ascii_case(&rest[..key]));
        if subscriber.is_none() && is_asked {
            subscriber = value.escaped_name()?;
        }
    }
    Ok(subscriber)
}
