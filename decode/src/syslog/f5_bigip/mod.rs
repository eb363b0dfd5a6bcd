//! F5 BIG-IP CGNAT.
//!
//! - [`line`]: `LSN_ADD 100.64.23.122%0:33000 6 194.15.97.34%0:4000 93.184.216.34 443`;
//! - [`record`]: `lsn_event="LSN_ADD",start="1562105093001",cli="100.64.8.8:33000",nat="198.51.100.8:4000"`, the Splunk
//!   format of high speed logging, or the same keys as JSON, as Telemetry Streaming forwards them.
//!
//! An outside `%N` (route domain) is read and not kept: an event has one VRF, that of the inside.

mod line;
mod record;

use std::net::IpAddr;

use event::{Action, Event, Text};

use super::frame::Header;
use super::pairs;
use crate::bytes::{Cursor, first_of};
use crate::endpoint::{self, End};
use crate::search::find;
use crate::{DecodeError, Ignored, Outcome, address};

pub(super) fn claims(text: &[u8]) -> bool {
    form(text).is_some()
}

/// Decodes the record of the text, which must end with it.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let event = match form(text).ok_or(DecodeError::UnknownFormat)? {
        Form::Line(line) => line::decode(line, header)?,
        Form::Pairs(pairs) => record::pairs(pairs, header)?,
        Form::Json(object) => record::json(object, header)?,
    };
    Ok(match event {
        Some(event) => {
            sink(&event);
            Outcome::Events(1)
        }
        None => Outcome::Ignored(Ignored::ResourceAlarm),
    })
}

enum Form<'a> {
    Line(Cursor<'a>),
    Pairs(&'a [u8]),
    Json(&'a [u8]),
}

fn form(text: &[u8]) -> Option<Form<'_>> {
    let text = pairs::begin(text, |word| word.starts_with(b"LSN_") || word.starts_with(b"{"))?;
    match text {
        [b'L', b'S', b'N', b'_', ..] => Some(Form::Line(Cursor::new(text))),
        [b'{', ..] => find(text, b"\"lsn_event\"").map(|_| Form::Json(text)),
        _ => find(text, b"lsn_event=").map(|_| Form::Pairs(text)),
    }
}

/// What an event's name says.
enum Name {
    Mapping(Action),
    Block(Action),
    /// Errors, quotas and failed translations.
    Alarm,
}

/// Reads an event's name. One that is not known is an error: it may be a mapping.
fn name(text: &[u8]) -> Result<Name, DecodeError> {
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    Ok(match text {
        b"LSN_ADD" | b"LSN_INBOUND_ADD" => Name::Mapping(Action::Created),
        b"LSN_DELETE" | b"LSN_INBOUND_DELETE" => Name::Mapping(Action::Deleted),
        b"LSN_PB_ALLOCATED" => Name::Block(Action::Created),
        b"LSN_PB_RELEASED" => Name::Block(Action::Deleted),
        _ if has(b"ERROR") || has(b"QUOTA") || has(b"FAIL") => Name::Alarm,
        _ => return Err(DecodeError::UnknownFormat),
    })
}

/// Takes `ip%domain`, or `ip`, which end before a `:`, a blank or the end.
fn routed_address<'a>(text: &mut Cursor<'a>) -> Result<(IpAddr, Option<Text<'a>>), DecodeError> {
    if let Some((ip, length)) = address::ipv4(text.rest()) {
        text.skip(length);
        return Ok((address::specified(ip.into())?, domain(text)?));
    }
    let length = first_of(text.rest(), *b"% ");
    let ip = address::ipv6(&text.rest()[..length]);
    text.skip(length);
    match ip {
        Err(_) if text.is_empty() => Err(DecodeError::Truncated),
        ip => Ok((ip?, domain(text)?)),
    }
}

/// Takes `ip%domain:port` or `ip:port`.
fn routed_end<'a>(text: &mut Cursor<'a>) -> Result<(End, Option<Text<'a>>), DecodeError> {
    let length = first_of(text.rest(), *b"% ");
    if text.rest().get(length) != Some(&b'%') {
        return Ok((endpoint::take(text)?, None));
    }
    let (ip, domain) = routed_address(text)?;
    text.expect(b":")?;
    Ok(((ip, text.port()?), domain))
}

/// Takes `%domain`, if it is next: a route domain has up to five digits.
fn domain<'a>(text: &mut Cursor<'a>) -> Result<Option<Text<'a>>, DecodeError> {
    if !text.take(b"%") {
        return Ok(None);
    }
    let from = text.rest();
    text.port()?;
    let digits = &from[..from.len() - text.rest().len()];
    str::from_utf8(digits)
        .map(|digits| Some(Text::plain(digits)))
        .map_err(|_| DecodeError::NotUtf8)
}
