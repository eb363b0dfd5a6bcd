//! Juniper SRX, vSRX and MX-SPC3.
//!
//! - [`tag`]: which messages there are;
//! - [`structured`]: bodies of `key="value"`, read by key;
//! - [`text`]: bodies of running text.

mod order;
mod quotes;
mod structured;
mod tag;
mod text;

use event::{Action, Event, Text};

use super::frame::Header;
use super::session;
use crate::bytes::Cursor;
use crate::time::seconds;
use crate::{DecodeError, Ignored, Outcome};
use tag::Tag;

pub(super) fn claims(text: &[u8]) -> bool {
    tag::is_in(text)
}

/// Decodes the message behind the first tag of the text.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (tag, rest) = tag::find(text).ok_or(DecodeError::UnknownFormat)?;
    match message(tag, rest, header)? {
        Found::Event(event) => {
            sink(&event);
            Ok(Outcome::Events(1))
        }
        Found::Ignored(why) => Ok(Outcome::Ignored(why)),
    }
}

/// What a message holds: never more than one event.
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for the length of one call"
)]
#[derive(Debug)]
enum Found<'a> {
    Event(Event<'a>),
    Ignored(Ignored),
}

/// Decodes the message `tag`; `rest` is what stands behind it.
fn message<'a>(tag: &[u8], mut rest: Cursor<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    let tag = match Tag::of(tag)? {
        _ if rest.is_empty() => return Err(DecodeError::Truncated),
        Tag::Alarm => return Ok(Found::Ignored(Ignored::ResourceAlarm)),
        Tag::Other => return Ok(Found::Ignored(Ignored::NotAMapping)),
        tag => tag,
    };
    if rest.take(b" [") {
        return structured::decode(tag, rest, header);
    }
    // An RFC 5424 header around running text has the nil value for its structured data.
    let _ = rest.take(b" -");
    rest.expect(b" ")?;
    text::decode(tag, rest, header)
}

/// What a message of a session says.
#[derive(Debug)]
struct Session<'a> {
    ends: session::Session,
    username: Option<Text<'a>>,
    /// Seconds from begin to close.
    elapsed_s: Option<i64>,
}

impl<'a> Session<'a> {
    fn found(self, header: &Header) -> Result<Found<'a>, DecodeError> {
        let Some(mut event) = self.ends.event() else {
            return Ok(Found::Ignored(Ignored::NotTranslated));
        };
        event.subscriber = self.username;
        header.stamp(&mut event);
        if let (Some(end_ns), Some(elapsed_s @ 1..)) = (header.time_ns, self.elapsed_s) {
            let begin_ns = seconds(elapsed_s).and_then(|elapsed_ns| end_ns.checked_sub(elapsed_ns));
            event.mapping_start_ns = Some(begin_ns.ok_or(DecodeError::BadTime)?);
        }
        Ok(Found::Event(event))
    }
}

/// A session event's action; `None` for blocks' tags.
const fn session_action(tag: Tag) -> Option<Action> {
    match tag {
        Tag::SessionCreate => Some(Action::Created),
        Tag::SessionClose => Some(Action::Deleted),
        _ => None,
    }
}

/// A block event's action.
const fn block_action(tag: Tag) -> Action {
    match tag {
        Tag::BlockAlloc => Action::Created,
        Tag::BlockRelease => Action::Deleted,
        _ => Action::Updated,
    }
}

/// Reads all of `text` as a port.
fn whole_port(text: &[u8]) -> Result<u16, DecodeError> {
    let mut cursor = Cursor::new(text);
    let port = cursor.port().map_err(|_| DecodeError::BadPort)?;
    if cursor.is_empty() {
        Ok(port)
    } else {
        Err(DecodeError::BadPort)
    }
}

/// Reads all of `text` as a protocol number.
fn whole_protocol(text: &[u8]) -> Result<u8, DecodeError> {
    let mut cursor = Cursor::new(text);
    let protocol = cursor.protocol().map_err(|_| DecodeError::BadProtocol)?;
    if cursor.is_empty() {
        Ok(protocol)
    } else {
        Err(DecodeError::BadProtocol)
    }
}

/// Reads all of `text` as seconds.
fn whole_seconds(text: &[u8]) -> Result<i64, DecodeError> {
    let (value, digits) = crate::bytes::decimal(text);
    // 8 digits are three years, more than any session lasts.
    if digits == 0 || digits != text.len() || digits >= 8 {
        Err(DecodeError::BadTime)
    } else {
        Ok(value.into())
    }
}
