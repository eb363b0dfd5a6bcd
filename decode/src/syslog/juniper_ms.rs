//! Juniper MX with MS-MPC or MS-MIC (`JSERVICES_…`, older `MSVCS_LOG_…`) and MS-DPC (`ASP_…`).
//!
//! ```text
//! HOST{SERVICE-SET}[jservices-nat]: JSERVICES_NAT_PORT_BLOCK_ALLOC: in -> out:first-last[ 0xEPOCH]
//! {SERVICE-SET}MSVCS_LOG_SESSION_OPEN: App:APP, IF#012 in:port [out:port] -> remote:port (UDP)
//! (FPC Slot 1, PIC Slot 0) DATE TIME [FWNAT]:ASP_NAT_PORT_BLOCK_RELEASE: in -> out:first-last
//! ```
//!
//! The tag may be glued to what stands before it. Ports stand behind `:` or `/`, IPv6 addresses without brackets: the last
//! group is the port. `#012` is a line feed that a relay wrote, it may also be a real one. No bracket: not translated; no
//! port in it: basic NAT, which keeps the port. A bracket behind the arrow is the translated destination, as NAT64 has it.
//! Neither the service set nor the clocks in front are used: the latter have no zone.

use event::{Action, Event};

use super::frame::Header;
use super::junos::{Block, take_epoch_ns};
use super::mark;
use super::session::Session;
use crate::bytes::{Cursor, first_of};
use crate::endpoint::{self, End};
use crate::{DecodeError, Ignored, Outcome, address, protocol};

pub(super) fn claims(text: &[u8]) -> bool {
    find(text).is_some()
}

/// Decodes the message behind the first tag of the text.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (tag, mut text) = find(text).ok_or(DecodeError::UnknownFormat)?;
    let tag = match Tag::of(tag)? {
        _ if text.is_empty() => return Err(DecodeError::Truncated),
        Tag::Ignored(why) => return Ok(Outcome::Ignored(why)),
        tag => tag,
    };
    text.expect(b":")?;
    let _ = text.take(b" ");
    let event = match tag {
        Tag::Block(action) => Some(block(action, &mut text, header)?),
        Tag::Session(action) => session(action, &mut text)?,
        Tag::Ignored(_) => None,
    };
    if !text.is_empty() {
        return Err(DecodeError::Malformed);
    }
    let Some(mut event) = event else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    if matches!(tag, Tag::Session(_)) {
        header.stamp(&mut event);
    }
    sink(&event);
    Ok(Outcome::Events(1))
}

#[derive(Clone, Copy)]
enum Tag {
    Block(Action),
    Session(Action),
    Ignored(Ignored),
}

impl Tag {
    /// Classifies a tag. A relative of an event's tag that is not known is an error: it may be a mapping.
    fn of(tag: &[u8]) -> Result<Self, DecodeError> {
        const EVENTS: [(&[u8], Tag); 5] = [
            (b"NAT_PORT_BLOCK_ALLOC", Tag::Block(Action::Created)),
            (b"NAT_PORT_BLOCK_RELEASE", Tag::Block(Action::Deleted)),
            (b"NAT_PORT_BLOCK_ACTIVE", Tag::Block(Action::Updated)),
            (b"SESSION_OPEN", Tag::Session(Action::Created)),
            (b"SESSION_CLOSE", Tag::Session(Action::Deleted)),
        ];
        let Some(name) = PREFIXES.iter().find_map(|prefix| tag.strip_prefix(*prefix)) else {
            return Err(DecodeError::Truncated);
        };
        if let Some((_, tag)) = EVENTS.iter().find(|(event, _)| *event == name) {
            return Ok(*tag);
        }
        if EVENTS.iter().any(|(event, _)| event.starts_with(name)) {
            return Err(DecodeError::Truncated);
        }
        let has = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
        if has(b"OUTOF") || has(b"OUT_OF") || has(b"EXHAUST") || has(b"ALARM") {
            return Ok(Self::Ignored(Ignored::ResourceAlarm));
        }
        if name.starts_with(b"NAT_PORT_BLOCK")
            || name.starts_with(b"NAT_POOL")
            || name.starts_with(b"SESSION")
        {
            return Err(DecodeError::UnknownFormat);
        }
        // NAT_RULE_MATCH names no translated address.
        Ok(Self::Ignored(Ignored::NotAMapping))
    }
}

const PREFIXES: [&[u8]; 3] = [b"JSERVICES_", b"MSVCS_LOG_", b"ASP_"];

/// The first tag of a text, without its colon, and what stands behind it.
#[inline]
fn find(text: &[u8]) -> Option<(&[u8], Cursor<'_>)> {
    mark::words(text).find_map(|rest| {
        let word = &rest[..first_of(rest, *b" ")];
        // What stands before a tag ends in a bracket, or in one and a colon.
        let mut glued = word
            .iter()
            .enumerate()
            .filter(|(_, octet)| matches!(octet, b'}' | b']'));
        let mut at = 0;
        loop {
            let tag = &word[at..];
            let tag = tag.strip_prefix(b":").filter(|_| at != 0).unwrap_or(tag);
            if PREFIXES.iter().any(|prefix| tag.starts_with(prefix)) {
                let length = first_of(tag, *b":");
                return Some((
                    &tag[..length],
                    Cursor::new(&rest[word.len() - tag.len() + length..]),
                ));
            }
            at = glued.next()?.0 + 1;
        }
    })
}

/// Takes `in -> out:first-last[ 0xEPOCH]`.
fn block<'a>(action: Action, text: &mut Cursor<'a>, header: &Header) -> Result<Event<'a>, DecodeError> {
    let inside = endpoint::take_address(text)?;
    text.expect(b" -> ")?;
    let (outside, start) = endpoint::take(text)?;
    text.expect(b"-")?;
    let end = text.port()?;
    let mut epoch_ns = None;
    if !text.is_empty() {
        text.expect(b" 0x")?;
        epoch_ns = Some(take_epoch_ns(text)?);
    }
    Block {
        action,
        inside,
        outside,
        ports: (start, end),
        epoch_ns,
    }
    .event(header)
}

/// Takes a session; `None` if it is not translated.
fn session<'a>(action: Action, text: &mut Cursor<'a>) -> Result<Option<Event<'a>>, DecodeError> {
    if !text.take(b"App:") {
        text.expect(b"application:")?;
    }
    text.skip(first_of(text.rest(), *b","));
    text.expect(b", ")?;
    // The interface.
    text.skip(first_of(text.rest(), *b" \n#"));
    if !text.take(b"#012") && !text.take(b"\n") {
        text.expect(b" ")?;
    }
    let _ = text.take(b" ");
    let source = endpoint::take(text)?;
    text.expect(b" ")?;
    let nat_source = bracket(text, source)?;
    text.expect(b"-> ")?;
    let translated = text.rest();
    let in_bracket = translated.first() == Some(&b'[');
    if in_bracket {
        text.skip(first_of(translated, *b" "));
        text.expect(b" ")?;
    }
    let destination = endpoint::take(text)?;
    let nat_destination = if in_bracket {
        bracket(&mut Cursor::new(translated), destination)?
    } else {
        destination
    };
    text.expect(b" (")?;
    let name = &text.rest()[..first_of(text.rest(), *b")")];
    text.skip(name.len());
    text.expect(b")")?;
    let session = Session {
        action,
        protocol: protocol::number(name)?,
        source,
        destination,
        nat_source,
        nat_destination,
    };
    Ok(session.event())
}

/// Takes `[ip] ` or `[ip:port] `, the translation of `end`; `end` itself if none is next.
fn bracket(text: &mut Cursor<'_>, end: End) -> Result<End, DecodeError> {
    if !text.take(b"[") {
        return Ok(end);
    }
    let length = first_of(text.rest(), *b"]");
    let content = &text.rest()[..length];
    text.skip(length);
    text.expect(b"] ")?;
    if let Ok(ip) = address::whole(content) {
        return Ok((ip, end.1));
    }
    let mut content = Cursor::new(content);
    match endpoint::take(&mut content) {
        Ok(translated) if content.is_empty() => Ok(translated),
        Ok(_) => Err(DecodeError::BadPort),
        // It has its end mark: what is wrong in it is not that the message is cut.
        Err(DecodeError::Truncated | DecodeError::Malformed) => Err(DecodeError::BadAddress),
        Err(why) => Err(why),
    }
}
