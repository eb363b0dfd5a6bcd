//! Huawei NE40E, ME60, NetEngine 8000: flow syslog "type3".
//!
//! ```text
//! 1 2020 Jan 17 11:05:55 HOST APP - NAT444:SessionbasedA [L4 PRIVATE4 - PUBLIC PRIVATEPORT PUBLICPORT -]
//! 1 2020 Jan 17 11:05:55 HOST APP - NAT64:SessionbasedW [L4 - PRIVATE6 PUBLIC PRIVATEPORT PUBLICPORT -]
//! ```
//!
//! `SessionbasedA` creates a port mapping, `SessionbasedW` deletes it; no destination is named. ICMP identifiers stand
//! in the places of ports. The zone of the header's time is not stated: it is an absolute time if the exporter's is said.
//!
//! `UserbasedA`/`W` are port blocks, `NAT444:UserbasedA [- PRIVATE4 - PUBLIC - FIRST LAST]`. No such line was seen, only
//! parsers of them: they are told apart, and read where [`crate::Dialects`] says so.

use event::{Action, Event, Kind};

use super::frame::Header;
use super::mark::has_header;
use super::session::{self, one};
use crate::bytes::{Cursor, all};
use crate::search::around;
use crate::{DecodeError, Outcome, address};

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some()
}

/// Whether a text begins with the MSGID, behind the nil value of PROCID.
pub(super) fn begins(text: &[u8], before: &[u8]) -> bool {
    let is_msgid = matches!(
        text,
        [b'N', b'A', b'T', b'4', b'4', b'4', b':', b'S' | b'U', ..]
            | [b'N', b'A', b'T', b'6', b'4', b':', b'S' | b'U', ..]
    );
    is_msgid && before.ends_with(b" - ")
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (is_session, mut rest) = split(text).ok_or(DecodeError::UnknownFormat)?;
    if !is_session && !header.said.is_some_and(|said| said.dialects.huawei_user_blocks) {
        return Err(DecodeError::UnknownFormat);
    }
    let action = match rest.token() {
        b"A" => Action::Created,
        b"W" => Action::Deleted,
        _ if rest.is_empty() => return Err(DecodeError::Truncated),
        _ => return Err(DecodeError::UnknownFormat),
    };
    while rest.take(b" ") {}
    rest.expect(b"[")?;
    let end = rest.rest().iter().position(|&byte| byte == b']');
    let (record, behind) = rest.rest().split_at(end.ok_or(DecodeError::Truncated)?);
    if behind.len() > 1 {
        return Err(DecodeError::Malformed);
    }
    let mut record = Cursor::new(record);
    let mut value = || record.next_token().ok_or(DecodeError::MissingField);
    let [l4, private4, private6] = [value()?, value()?, value()?];
    let [public, private_port, public_port, last] = [value()?, value()?, value()?, value()?];
    if (last == b"-") != is_session || record.next_token().is_some() {
        return Err(DecodeError::Malformed);
    }
    let src_ip = match (private4, private6) {
        (b"-", b"-") => return Err(DecodeError::MissingField),
        (private4, b"-") => address::whole(private4)?,
        (b"-", private6) => address::ipv6(private6)?,
        _ => return Err(DecodeError::Malformed),
    };
    let x_ip = address::whole(public)?;
    let mut event = if is_session {
        let protocol = all(l4, Cursor::protocol)?;
        let inside = (src_ip, all(private_port, Cursor::port)?);
        session::port(
            action,
            Some(protocol),
            inside,
            (x_ip, all(public_port, Cursor::port)?),
        )
    } else {
        // A block belongs to all protocols, and to no inside port.
        if l4 != b"-" || private_port != b"-" {
            return Err(DecodeError::Malformed);
        }
        let (first, last) = (all(public_port, Cursor::port)?, all(last, Cursor::port)?);
        if last < first {
            return Err(DecodeError::BadRange);
        }
        let mut event = Event::new(Kind::Block, action, src_ip, Some(x_ip));
        (event.start_port, event.end_port) = (Some(first), Some(last));
        event
    };
    header.stamp(&mut event);
    Ok(one(&event, sink))
}

/// Whether a message is session based, and what stands behind that word, from `A` or `W` on.
fn split(text: &[u8]) -> Option<(bool, Cursor<'_>)> {
    let (is_session, (before, behind)) = match around(text, b":Sessionbased") {
        Some(parts) => (true, parts),
        None => (false, around(text, b":Userbased")?),
    };
    let is_nat = before.ends_with(b" - NAT444") || before.ends_with(b" - NAT64");
    (is_nat && has_header(text, behind)).then_some((is_session, Cursor::new(behind)))
}
