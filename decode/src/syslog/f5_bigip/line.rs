//! The plain line.
//!
//! ```text
//! EVENT inside%rd:port protocol outside%rd:port destination port
//! ```
//!
//! `%rd` may be absent. Inbound events have the same order: the inside end comes first whatever the direction. A line
//! without a destination is refused: it is what is left of a line that was cut. So are port blocks in this form, whose
//! order is not known.

use event::Event;

use super::{Name, name, routed_address, routed_end};
use crate::bytes::Cursor;
use crate::syslog::frame::Header;
use crate::syslog::session::session;
use crate::{DecodeError, protocol};

/// Decodes a line that begins with an event's name; `None` for an alarm.
pub(super) fn decode<'a>(mut text: Cursor<'a>, header: &Header) -> Result<Option<Event<'a>>, DecodeError> {
    let name = name(text.token());
    if text.is_empty() {
        return Err(DecodeError::Truncated);
    }
    let action = match name? {
        Name::Mapping(action) => action,
        Name::Block(_) => return Err(DecodeError::Malformed),
        Name::Alarm => return Ok(None),
    };
    text.expect(b" ")?;
    let (inside, domain) = routed_end(&mut text)?;
    text.expect(b" ")?;
    let protocol = text.token();
    text.expect(b" ")?;
    let (outside, _) = routed_end(&mut text)?;
    text.expect(b" ")?;
    let (remote, _) = routed_address(&mut text)?;
    text.expect(b" ")?;
    let remote = (remote, text.port()?);
    if !text.is_empty() {
        return Err(DecodeError::Malformed);
    }
    let mut event = session(action, protocol::number(protocol)?, inside, outside, remote);
    event.vrf = domain;
    header.stamp(&mut event);
    Ok(Some(event))
}
