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
    let mut fields = Fields::default();
    fields.read(rest)?;
    Ok(context.finish(match kind {
        Kind::Block => fields.block(action)?,
        kind => fields.mapping(kind, action)?,
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

#[derive(Default)]
struct Fields<'a> {
    protocol: Value<'a>,
    src: Value<'a>,
    spt: Value<'a>,
    dst: Value<'a>,
    dpt: Value<'a>,
    outside: Value<'a>,
    outside_port: Value<'a>,
    remote: Value<'a>,
    remote_port: Value<'a>,
    last: Value<'a>,
    last_label: Value<'a>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, text: &'a [u8]) -> Result<(), DecodeError> {
        let mut rest = text.trim_ascii_start();
        if rest.is_empty() {
            return Err(DecodeError::Truncated);
        }
        let mut equals = unescaped(rest, b'=');
        if equals == 0 || rest[..equals].contains(&b' ') {
            return Err(DecodeError::Malformed);
        }
        loop {
            if equals == rest.len() {
                return Err(DecodeError::Truncated);
            }
            let (key, value) = (&rest[..equals], &rest[equals + 1..]);
            // The next key begins behind the last blank before its equals sign.
            let mut from = 0;
            let next = loop {
                let next = from + unescaped(&value[from..], b'=');
                if next == value.len() {
                    break None;
                }
                match value[from..next].iter().rposition(|&octet| octet == b' ') {
                    Some(blank) if from + blank + 1 == next => return Err(DecodeError::Malformed),
                    Some(blank) => break Some((from + blank, next)),
                    // Part of the value.
                    None => from = next + 1,
                }
            };
            let end = next.map_or(value.len(), |(blank, _)| blank);
            self.put(key, Value::new(value, end))?;
            let Some((blank, next)) = next else {
                return Ok(());
            };
            rest = &value[blank + 1..];
            equals = next - blank - 1;
        }
    }

    #[inline]
    fn put(&mut self, key: &[u8], value: Value<'a>) -> Result<(), DecodeError> {
        let slot = match key {
            b"proto" => &mut self.protocol,
            b"src" => &mut self.src,
            b"spt" => &mut self.spt,
            b"dst" => &mut self.dst,
            b"dpt" => &mut self.dpt,
            b"sourceTranslatedAddress" => &mut self.outside,
            b"sourceTranslatedPort" => &mut self.outside_port,
            b"destinationTranslatedAddress" => &mut self.remote,
            b"destinationTranslatedPort" => &mut self.remote_port,
            b"cn3" => &mut self.last,
            b"cn3Label" => &mut self.last_label,
            _ => return Ok(()),
        };
        put(slot, value)
    }

    fn mapping(&self, kind: Kind, action: Action) -> Result<Event<'a>, DecodeError> {
        let end = |ip: Value<'_>, port: Value<'_>| Ok((ip.required()?.address()?, port.required()?.port()?));
        let protocol = self.protocol.required()?.protocol_by_name()?;
        let inside = end(self.src, self.spt)?;
        let outside = end(self.outside, self.outside_port)?;
        if kind == Kind::Session {
            let remote: End = if self.remote.is_absent() {
                end(self.dst, self.dpt)?
            } else {
                end(self.remote, self.remote_port)?
            };
            return Ok(session::session(action, protocol, inside, outside, remote));
        }
        let mut event = session::port(action, Some(protocol), inside, outside);
        if !self.dst.is_absent() && !self.dpt.is_absent() {
            let remote = end(self.dst, self.dpt)?;
            (event.dst_ip, event.dst_port) = (Some(remote.0), Some(remote.1));
        }
        Ok(event)
    }

    fn block(&self, action: Action) -> Result<Event<'a>, DecodeError> {
        let inside = self.src.required()?.address()?;
        let outside = self.outside.required()?.address()?;
        let start = self.outside_port.required()?.port()?;
        if self.last_label.text() != b"Last Nat Port" {
            return Err(DecodeError::MissingField);
        }
        let end = self.last.required()?.port()?;
        if end < start {
            return Err(DecodeError::BadRange);
        }
        let mut event = Event::new(Kind::Block, action, inside, Some(outside));
        if !self.protocol.is_absent() {
            event.protocol = Some(self.protocol.protocol_by_name()?);
        }
        (event.start_port, event.end_port) = (Some(start), Some(end));
        Ok(event)
    }
}
