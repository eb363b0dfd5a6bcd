//! Common Event Format.
//!
//! ```text
//! CEF:0|A10|PRODUCT|VERSION|CGN NNN|NAME|SEVERITY|key=value …
//! ```
//!
//! The class decides, not the name: 100, 101 port, 102, 103 session, 106, 107 port batch; even is allocated, odd freed.
//! Values contain blanks: one ends at the blank before the next key. `\=`, `\\`, `\n` are escapes, in the header `\|`.
//! Batches belong to one protocol each, and a port's record may name the remote end of the first packet.

use event::{Action, Event, Kind};

use super::{Context, Record};
use crate::bytes::first_of;
use crate::endpoint::End;
use crate::syslog::keys::{Key, Walk};
use crate::syslog::pairs::{self, put};
use crate::syslog::session;
use crate::value::Value;
use crate::{DecodeError, Ignored};

/// Whether `text`, which begins with `CEF:`, is of this vendor.
pub(super) fn is_a10(text: &[u8]) -> bool {
    matches!(
        text,
        [
            b'C',
            b'E',
            b'F',
            b':',
            b'0'..=b'9',
            b'|',
            b'A',
            b'1',
            b'0',
            b'|',
            ..
        ]
    )
}

/// Decodes a record, which ends with the text.
pub(super) fn decode<'a>(text: &'a [u8], context: &Context<'a>) -> Result<Record<'a>, DecodeError> {
    let mut rest = text;
    let mut part = || {
        let end = unescaped(rest, b'|');
        let (part, behind) = rest.split_at(end);
        rest = behind.get(1..).ok_or(DecodeError::Truncated)?;
        Ok(part)
    };
    // Version, vendor, product, product's version; then what happened.
    for _ in 0..4 {
        part()?;
    }
    let (class, name, _severity) = (part()?, part()?, part()?);
    let [b'C', b'G', b'N', b' ', number @ ..] = class else {
        return Ok(Record::Ignored(Ignored::NotAMapping));
    };
    let (kind, action) = match number {
        b"100" => (Kind::Port, Action::Created),
        b"101" => (Kind::Port, Action::Deleted),
        b"102" => (Kind::Session, Action::Created),
        b"103" => (Kind::Session, Action::Deleted),
        b"106" => (Kind::Block, Action::Created),
        b"107" => (Kind::Block, Action::Deleted),
        _ => return Ok(Record::Ignored(unknown(name))),
    };
    let mut values = Values::default();
    read(rest, &mut values)?;
    Ok(context.finish(match kind {
        Kind::Block => block(&values, action)?,
        kind => mapping(&values, kind, action)?,
    }))
}

#[cold]
fn unknown(name: &[u8]) -> Ignored {
    let has = |word: &[u8]| {
        name.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
    };
    if has(b"usage") || has(b"exhaust") || has(b"exceed") || has(b"fail") {
        Ignored::ResourceAlarm
    } else {
        Ignored::NotAMapping
    }
}

/// Where the first `octet` without a backslash before it is; the length if there is none.
#[inline]
fn unescaped(text: &[u8], octet: u8) -> usize {
    let mut at = 0;
    loop {
        at += first_of(&text[at..], [octet]);
        if !pairs::is_escaped(text, at) || at == text.len() {
            return at;
        }
        at += 1;
    }
}

/// The values that events need, by their slots.
type Values<'a> = [Value<'a>; OTHER];

mod slot {
    pub const PROTO: usize = 0;
    pub const SRC: usize = 1;
    pub const SPT: usize = 2;
    pub const DST: usize = 3;
    pub const DPT: usize = 4;
    pub const OUTSIDE: usize = 5;
    pub const OUTSIDE_PORT: usize = 6;
    pub const REMOTE: usize = 7;
    pub const REMOTE_PORT: usize = 8;
    pub const LAST: usize = 9;
    pub const LAST_LABEL: usize = 10;
}

/// What stands for the slot of a value that no event needs.
const OTHER: usize = 11;

const fn key(name: &str, slot: usize) -> Key<2> {
    Key::new(name, false, slot as u8)
}

/// The keys in their usual order, of ports, of sessions and of batches.
const ORDER: [Key<2>; 13] = [
    key("proto", slot::PROTO),
    key("src", slot::SRC),
    key("spt", slot::SPT),
    key("dst", slot::DST),
    key("dpt", slot::DPT),
    key("sourceTranslatedAddress", slot::OUTSIDE),
    key("sourceTranslatedPort", slot::OUTSIDE_PORT),
    key("dst", slot::DST),
    key("dpt", slot::DPT),
    key("destinationTranslatedAddress", slot::REMOTE),
    key("destinationTranslatedPort", slot::REMOTE_PORT),
    key("cn3", slot::LAST),
    key("cn3Label", slot::LAST_LABEL),
];

/// Reads the extension. A key that is needed and comes twice is an error.
fn read<'a>(text: &'a [u8], values: &mut Values<'a>) -> Result<(), DecodeError> {
    let mut walk = Walk::new(&ORDER);
    let mut rest = text.trim_ascii_start();
    let mut known = walk.take(rest);
    loop {
        let (length, slot) = match known {
            Some(key) => (key.length(), key.slot()),
            None => (unknown_key(rest)?, OTHER),
        };
        let value = rest.get(length..).unwrap_or_default();
        // Mostly there is no blank in a value, and a known key behind it.
        let mut end = first_of(value, *b" ");
        known = value.get(end + 1..).and_then(|behind| walk.take(behind));
        if known.is_none() && end != value.len() {
            end = blank_before_key(value)?;
            known = value.get(end + 1..).and_then(|behind| walk.take(behind));
        }
        if let Some(field) = values.get_mut(slot) {
            put(field, Value::new(value, end))?;
        }
        let Some(behind) = value.get(end + 1..) else {
            return Ok(());
        };
        rest = behind;
    }
}

/// The length of a key that is not known, with its `=`.
fn unknown_key(text: &[u8]) -> Result<usize, DecodeError> {
    let equals = unescaped(text, b'=');
    if equals == text.len() {
        return Err(DecodeError::Truncated);
    }
    if equals == 0 || text[..equals].contains(&b' ') {
        return Err(DecodeError::Malformed);
    }
    Ok(equals + 1)
}

/// Where a value ends: at the last blank before the next key; its length if there is none.
fn blank_before_key(value: &[u8]) -> Result<usize, DecodeError> {
    let mut from = 0;
    loop {
        let equals = from + unescaped(&value[from..], b'=');
        if equals == value.len() {
            return Ok(equals);
        }
        match value[from..equals].iter().rposition(|&octet| octet == b' ') {
            Some(blank) if from + blank + 1 == equals => return Err(DecodeError::Malformed),
            Some(blank) => return Ok(from + blank),
            // Part of the value.
            None => from = equals + 1,
        }
    }
}

fn mapping<'a>(values: &Values<'a>, kind: Kind, action: Action) -> Result<Event<'a>, DecodeError> {
    let end = |ip: usize, port: usize| -> Result<End, DecodeError> {
        Ok((
            values[ip].required()?.address()?,
            values[port].required()?.port()?,
        ))
    };
    let protocol = values[slot::PROTO].required()?.protocol_by_name()?;
    let inside = end(slot::SRC, slot::SPT)?;
    let outside = end(slot::OUTSIDE, slot::OUTSIDE_PORT)?;
    if kind == Kind::Session {
        let remote = if values[slot::REMOTE].is_absent() {
            end(slot::DST, slot::DPT)?
        } else {
            end(slot::REMOTE, slot::REMOTE_PORT)?
        };
        return Ok(session::session(action, protocol, inside, outside, remote));
    }
    let mut event = session::port(action, Some(protocol), inside, outside);
    if !values[slot::DST].is_absent() && !values[slot::DPT].is_absent() {
        let remote = end(slot::DST, slot::DPT)?;
        (event.dst_ip, event.dst_port) = (Some(remote.0), Some(remote.1));
    }
    Ok(event)
}

fn block<'a>(values: &Values<'a>, action: Action) -> Result<Event<'a>, DecodeError> {
    let inside = values[slot::SRC].required()?.address()?;
    let outside = values[slot::OUTSIDE].required()?.address()?;
    let start = values[slot::OUTSIDE_PORT].required()?.port()?;
    if values[slot::LAST_LABEL].text() != b"Last Nat Port" {
        return Err(DecodeError::MissingField);
    }
    let end = values[slot::LAST].required()?.port()?;
    if end < start {
        return Err(DecodeError::BadRange);
    }
    let mut event = Event::new(Kind::Block, action, inside, Some(outside));
    if !values[slot::PROTO].is_absent() {
        event.protocol = Some(values[slot::PROTO].protocol_by_name()?);
    }
    (event.start_port, event.end_port) = (Some(start), Some(end));
    Ok(event)
}
