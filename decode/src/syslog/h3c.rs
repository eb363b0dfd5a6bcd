//! H3C and HPE (Comware): NAT flow log as text.
//!
//! ```text
//! %@SEQ%Mon D HH:MM:SS:mmm YYYY HOST USERLOG/7/NAT: PROTO; IN:PORT--->OUT:PORT; DST:PORT; [START-END]; Operator N: TEXT
//! ```
//!
//! The operator's number says what happened, whatever its text: 8 is created, 6 is still in force, all others are an
//! end. START and END are `YYYY/MM/DD HH:MM:SS`, an END of zeros is none; like the header's time they name no zone: they
//! are absolute times if the exporter's is said. ICMP identifiers stand in the places of ports.

use event::{Action, Event};

use super::frame::Header;
use super::mark::has_header;
use super::session::{self, is_translated, one};
use crate::bytes::{Cursor, decimal};
use crate::search::around;
use crate::{DecodeError, Ignored, Outcome, endpoint, protocol};

/// Octets of `YYYY/MM/DD HH:MM:SS`.
const TIME_BYTES: usize = 19;

pub(super) fn claims(text: &[u8]) -> bool {
    body(text).is_some()
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let mut cursor = Cursor::new(body(text).ok_or(DecodeError::UnknownFormat)?);
    while cursor.take(b" ") {}
    let length = cursor.rest().iter().position(|&byte| byte == b';');
    let protocol = &cursor.rest()[..length.ok_or(DecodeError::Truncated)?];
    cursor.skip(protocol.len());
    cursor.expect(b"; ")?;
    let inside = endpoint::take(&mut cursor)?;
    cursor.expect(b"--->")?;
    let outside = endpoint::take(&mut cursor)?;
    cursor.expect(b"; ")?;
    if cursor.peek() == Some(b'[') && is_time(&cursor.rest()[1..]) {
        return Err(DecodeError::MissingField);
    }
    let remote = endpoint::take(&mut cursor)?;
    cursor.expect(b"; [")?;
    let start = take_time(&mut cursor)?;
    cursor.expect(b"-")?;
    let end = take_time(&mut cursor)?;
    let has_end = !end.starts_with(b"0000/00/00");
    cursor.expect(b"]; Operator ")?;
    let (operator, digits) = decimal(cursor.rest());
    cursor.skip(digits);
    // The number is whole if something follows it.
    cursor.expect(b":")?;
    let action = match operator {
        _ if digits == 0 => return Err(DecodeError::Malformed),
        8 => Action::Created,
        6 => Action::Updated,
        1..=4 | 7 | 0xfe => Action::Deleted,
        _ if has_end => Action::Deleted,
        _ => return Err(DecodeError::Malformed),
    };
    let mut event = session::session(action, protocol::number(protocol)?, inside, outside, remote);
    header.stamp(&mut event);
    // An event that says that a session goes on has the time of its message.
    match action {
        Action::Created => header.stamp_zoneless(&mut event, start),
        Action::Deleted if has_end => header.stamp_zoneless(&mut event, end),
        _ => {}
    }
    if action != Action::Created {
        event.mapping_start_ns = header.said.and_then(|said| said.moment_of(start));
        event
            .mapping_start_ns
            .take_if(|start_ns| event.time_ns == Some(*start_ns));
    }
    if is_translated(&event) {
        Ok(one(&event, sink))
    } else {
        Ok(Outcome::Ignored(Ignored::NotTranslated))
    }
}

/// What stands behind `USERLOG/7/NAT:`.
fn body(text: &[u8]) -> Option<&[u8]> {
    let (_, behind) = around(text, b"USERLOG/")?;
    match behind {
        [b'0'..=b'7', b'/', b'N', b'A', b'T', b':', body @ ..] => has_header(text, body).then_some(body),
        _ => None,
    }
}

fn take_time<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    if cursor.rest().len() < TIME_BYTES {
        return Err(DecodeError::Truncated);
    }
    if !is_time(cursor.rest()) {
        return Err(DecodeError::BadTime);
    }
    let time = &cursor.rest()[..TIME_BYTES];
    cursor.skip(TIME_BYTES);
    Ok(time)
}

/// Whether a text begins with `YYYY/MM/DD HH:MM:SS`.
fn is_time(text: &[u8]) -> bool {
    const SHAPE: &[u8; TIME_BYTES] = b"0000/00/00 00:00:00";
    let fits = |(&byte, &shape): (&u8, &u8)| byte == shape || shape == b'0' && byte.is_ascii_digit();
    text.len() >= TIME_BYTES && text.iter().zip(SHAPE).all(fits)
}
