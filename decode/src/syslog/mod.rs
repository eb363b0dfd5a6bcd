//! Syslog messages of NAT devices.
//!
//! - [`frame`]: padding, PRI, and the header's time;
//! - [`mark`]: which vendor's text it is, and where it begins;
//! - [`nfware`], [`juniper_srx`]: the vendors' grammars.

mod frame;
mod juniper_srx;
mod mark;
mod nfware;

use event::{Event, TimeSource};

use crate::{DecodeError, Ignored, Outcome, Profile};
use mark::Mark;

/// Longest message that is decoded, in octets. RFC 5424 section 6.1 asks for 2,048.
pub const MAX_LINE_BYTES: usize = 8192;

/// Decodes one message and gives its events to `sink`.
///
/// `message` is one datagram's payload, or one line: blanks around it, trailing NUL, CR and LF, and the `#000`,
/// `#012`, `#015` that relays write for those are stripped.
/// On `Err` nothing went to the sink.
#[inline]
pub fn decode(
    profile: Profile,
    message: &[u8],
    mut sink: impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    match one(profile, message)? {
        Found::Event(event) => {
            sink(&event);
            Ok(Outcome::Events(1))
        }
        Found::Ignored(why) => Ok(Outcome::Ignored(why)),
    }
}

/// What a message of these vendors holds: never more than one event.
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for the length of one call"
)]
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Event(Event<'a>),
    Ignored(Ignored),
}

fn one(profile: Profile, message: &[u8]) -> Result<Found<'_>, DecodeError> {
    if message.len() > MAX_LINE_BYTES {
        return Err(DecodeError::TooLong);
    }
    let message = frame::strip(message);
    if message.is_empty() {
        return Err(DecodeError::Empty);
    }
    if !message.is_ascii() && str::from_utf8(message).is_err() {
        return Err(DecodeError::NotUtf8);
    }
    let frame = frame::read(message);
    match mark::find(profile, frame.text) {
        Some(Mark::Nfware(text)) => nfware::decode(text, frame.time_ns),
        Some(Mark::Junos { tag, rest }) => juniper_srx::decode(tag, rest, frame.time_ns),
        None => Err(DecodeError::UnknownFormat),
    }
}

/// Gives `event` the header's time, if that is absolute.
fn stamp(event: &mut Event<'_>, header_ns: Option<i64>) {
    if header_ns.is_some() {
        event.time_ns = header_ns;
        event.time_source = TimeSource::DeviceHeader;
    }
}
