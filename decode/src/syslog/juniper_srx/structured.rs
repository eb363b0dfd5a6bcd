//! Structured data (RFC 5424 section 6.3), read by key: releases differ in order and number of the parameters.

use event::Action;

use super::order::{self, Fields, block, session as slot};
use super::quotes::Quotes;
use super::{Found, Session, Tag, block_action, session_action, whole_seconds};
use crate::DecodeError;
use crate::bytes::{Cursor, first_of};
use crate::syslog::frame::Header;
use crate::syslog::junos::{Block, epoch_ns};
use crate::syslog::keys::{Key, Walk};
use crate::syslog::{pairs, session};

/// Octets in which a known key is looked for.
const WINDOW: usize = 32;

/// Decodes what follows the `[` of the first element.
pub(super) fn decode<'a>(tag: Tag, rest: Cursor<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    let mut fields = Fields::of(rest.rest());
    if let Some(action) = session_action(tag) {
        let close = tag == Tag::SessionClose;
        let order: &[Key<2>] = if close { &order::CLOSE } else { &order::CREATE };
        read(&mut fields, order)?;
        return session(&fields, action, close)?.found(header);
    }
    read(&mut fields, &order::BLOCK)?;
    let epoch = fields.value(block::EPOCH_TIME_64);
    Block {
        action: block_action(tag),
        inside: fields.value(block::INTERNAL_IP).required()?.address()?,
        outside: fields.value(block::REFLEXIVE_IP).required()?.address()?,
        ports: (
            fields.value(block::BLOCK_PORT_LOW).required()?.port()?,
            fields.value(block::BLOCK_PORT_HIGH).required()?.port()?,
        ),
        epoch_ns: if epoch.is_absent() {
            None
        } else {
            Some(epoch_ns(epoch.text())?)
        },
    }
    .event(header)
    .map(Found::Event)
}

fn session<'a>(fields: &Fields<'a>, action: Action, close: bool) -> Result<Session<'a>, DecodeError> {
    let end = |ip: usize, port: usize| {
        Ok((
            fields.value(ip).required()?.address()?,
            fields.value(port).required()?.port()?,
        ))
    };
    let destination = end(slot::DESTINATION_ADDRESS, slot::DESTINATION_PORT)?;
    let absent = |slot: usize| fields.value(slot).is_absent() || fields.value(slot).text() == b"N/A";
    // Most destinations are not translated: comparing texts spares reading the same numbers again.
    let same = |one: usize, other: usize| fields.value(one).text() == fields.value(other).text();
    let untranslated = same(slot::NAT_DESTINATION_ADDRESS, slot::DESTINATION_ADDRESS)
        && same(slot::NAT_DESTINATION_PORT, slot::DESTINATION_PORT)
        || absent(slot::NAT_DESTINATION_ADDRESS) && absent(slot::NAT_DESTINATION_PORT);
    let nat_destination = if untranslated {
        destination
    } else {
        end(slot::NAT_DESTINATION_ADDRESS, slot::NAT_DESTINATION_PORT)?
    };
    let elapsed = fields.value(slot::ELAPSED_TIME).text();
    let ends = session::Session {
        action,
        protocol: fields.value(slot::PROTOCOL_ID).required()?.protocol()?,
        source: end(slot::SOURCE_ADDRESS, slot::SOURCE_PORT)?,
        destination,
        nat_source: end(slot::NAT_SOURCE_ADDRESS, slot::NAT_SOURCE_PORT)?,
        nat_destination,
    };
    Ok(Session {
        ends,
        username: fields.value(slot::USERNAME).escaped_name()?,
        elapsed_s: if close && !matches!(elapsed, b"" | b"N/A") {
            Some(whole_seconds(elapsed)?)
        } else {
            None
        },
    })
}

/// Reads elements up to their end: `[id key="value" …]`, where the id may be absent (printed examples) and further
/// elements may follow (relays add theirs). A parameter that is needed and comes twice is an error.
#[inline]
fn read(fields: &mut Fields<'_>, order: &[Key<2>]) -> Result<(), DecodeError> {
    let text = fields.text();
    let mut walk = Walk::new(order);
    let mut at = element(text)?;
    loop {
        let mut quotes = Quotes::of(text, at);
        // The key that is due with its value, as long as the usual order lasts. A known key has one quote, its last
        // octet: the second quote from `at` on is the one that closes the value, or an escaped one.
        while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk::<WINDOW>)
            && let Some(key) = walk.due(window)
            && let Some(close) = quotes.second()
            && let Some(length) = close.checked_sub(at + key.length())
            && another_follows(text, close)
        {
            walk.pass();
            // Most values are not needed.
            if key.slot() != Fields::OTHER {
                fields.keep(key.slot(), at + key.length(), length)?;
            }
            at = close + 2;
        }
        let rest = text.get(at..).unwrap_or_default();
        let (key_length, slot) = match walk.take(rest) {
            Some(key) => (key.length(), key.slot()),
            None => (unknown(rest)?, Fields::OTHER),
        };
        let value = rest.get(key_length..).unwrap_or_default();
        let length = pairs::closing(value).ok_or(DecodeError::Truncated)?;
        fields.keep(slot, at + key_length, length)?;
        at += key_length + length + 2;
        match &value[length + 1..] {
            [b' ', ..] => {}
            [b']', b'[', behind @ ..] => at += 1 + element(behind)?,
            [b']', behind @ ..] => return end(behind),
            [_, ..] => return Err(DecodeError::Malformed),
            [] => return Err(DecodeError::Truncated),
        }
    }
}

/// Whether another parameter stands behind the value that the quote at `close` ends. Not where that may be escaped.
#[inline]
fn another_follows(text: &[u8], close: usize) -> bool {
    // Before an empty value there is the quote that opens it, which is no backslash.
    let around = text.get(close.wrapping_sub(1)..).and_then(<[u8]>::first_chunk);
    matches!(around, Some([before, _, b' ']) if *before != b'\\')
}

/// The length of a key that is not known, with `="`.
#[cold]
fn unknown(text: &[u8]) -> Result<usize, DecodeError> {
    let quote = first_of(text, *b"\"");
    if quote == text.len() {
        return Err(DecodeError::Truncated);
    }
    // A PARAM-NAME (section 6.3.3) has no blank, behind which another key might hide.
    let [name @ .., b'='] = &text[..quote] else {
        return Err(DecodeError::Malformed);
    };
    if name.is_empty() || !name.iter().all(|&octet| octet > b' ') {
        return Err(DecodeError::Malformed);
    }
    Ok(quote + 1)
}

/// Where the first key of an element stands, behind its id if it has one.
fn element(text: &[u8]) -> Result<usize, DecodeError> {
    let end = first_of(text, *b"= ]\"");
    match text.get(end) {
        Some(b' ') => Ok(end + 1),
        Some(b'=') => Ok(0),
        Some(_) => Err(DecodeError::Malformed),
        None => Err(DecodeError::Truncated),
    }
}

/// What may follow the last element: nothing, or the same in running text, which Junos adds unless it is told to be
/// brief.
fn end(rest: &[u8]) -> Result<(), DecodeError> {
    let known: [&[u8]; 5] = [
        b" session created ",
        b" session closed ",
        b" Subscriber ",
        b" Prefix ",
        b" prefix ",
    ];
    if rest.is_empty() || known.iter().any(|begin| rest.starts_with(begin)) {
        Ok(())
    } else {
        Err(DecodeError::Malformed)
    }
}
