//! VyOS `set nat cgnat log-allocation`.
//!
//! ```text
//! cgnat[PID]: Internal host: IN, external host: OUT, Port range: FIRST-LAST
//! ```
//!
//! One line for each inside host whenever the configuration is committed: a statement of the deterministic allocation,
//! so a block for all protocols, which may be stated again. The line ends with the number: a cut in its last digits
//! cannot be seen.

use event::{Action, Event, Kind};

use super::frame::Header;
use super::mark::{begins_word, has_header};
use super::session::one;
use crate::bytes::Cursor;
use crate::search::{around, find};
use crate::{DecodeError, Ignored, Outcome, endpoint};

pub(super) fn claims(text: &[u8]) -> bool {
    allocation(text).is_some() || is_complaint(text)
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let Some(allocation) = allocation(text) else {
        return if is_complaint(text) {
            Ok(Outcome::Ignored(Ignored::NotAMapping))
        } else {
            Err(DecodeError::UnknownFormat)
        };
    };
    let mut cursor = Cursor::new(allocation);
    let inside = endpoint::take_address(&mut cursor)?;
    cursor.expect(b", external host: ")?;
    let outside = endpoint::take_address(&mut cursor)?;
    cursor.expect(b", Port range: ")?;
    let first = cursor.port()?;
    cursor.expect(b"-")?;
    let last = cursor.port()?;
    if !cursor.is_empty() {
        return Err(DecodeError::Malformed);
    }
    if last < first {
        return Err(DecodeError::BadRange);
    }
    let mut event = Event::new(Kind::Block, Action::Created, inside, Some(outside));
    (event.start_port, event.end_port) = (Some(first), Some(last));
    header.stamp(&mut event);
    Ok(one(&event, sink))
}

/// What stands behind the first words of an allocation.
fn allocation(text: &[u8]) -> Option<&[u8]> {
    let (before, behind) = around(text, b"Internal host: ")?;
    (begins_word(before) && has_header(text, behind)).then_some(behind)
}

/// Whether this is what the program says of a line that it could not read.
fn is_complaint(text: &[u8]) -> bool {
    around(text, b"Error processing line '")
        .and_then(|(before, _)| around(before, b"cgnat"))
        .is_some_and(|(before, _)| begins_word(before))
        && find(text, b"Internal host: ").is_none()
}
