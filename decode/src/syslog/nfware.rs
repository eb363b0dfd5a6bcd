//! NFWare vCGNAT.
//!
//! ```text
//! A VRF 0 INT 10.0.0.1 EXT 100.64.0.1                                                  address
//! A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475                                    port
//! A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT    session
//! A VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1024-1535                                        port block
//! ```
//!
//! `A` is created, `D` deleted; a block may name a protocol. IPv6 addresses stand bare or in brackets. Of a bare one
//! the last group is the port where the grammar demands a port: inside, when one outside port is named, and in DST. A
//! bare outside address could be read in two ways, and is taken for one without a port. The format has no end mark, so a message cut off inside its EXT part can look whole; whatever begins a DST part must finish it.

use std::net::IpAddr;

use event::{Action, Event, Kind, Text};

use super::frame::Header;
use super::mark;
use crate::bytes::Cursor;
use crate::{DecodeError, Outcome, address};

/// Longest VRF name, in characters.
const VRF_CHARS_MAX: usize = 64;

pub(super) fn claims(text: &[u8]) -> bool {
    find(text).is_some()
}

/// Decodes the first word that is a letter before ` VRF `, and what follows: the text must end with the event.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    event(find(text).ok_or(DecodeError::UnknownFormat)?, header, sink)
}

/// Whether a text begins with the mark.
#[inline]
pub(super) fn begins(text: &[u8]) -> bool {
    matches!(text, [_, b' ', b'V', b'R', b'F', b' ', ..])
}

/// The text from its mark on.
#[inline]
fn find(text: &[u8]) -> Option<Cursor<'_>> {
    // Nearly always: what is decoded begins with the mark.
    if begins(text) {
        return Some(Cursor::new(text));
    }
    mark::words(text).find(|rest| begins(rest)).map(Cursor::new)
}

fn event(
    mut text: Cursor<'_>,
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    // An unknown letter is never "created".
    let letter = text.peek();
    if !matches!(letter, Some(b'A' | b'D')) {
        return Err(DecodeError::Malformed);
    }
    let action = if letter == Some(b'A') {
        Action::Created
    } else {
        Action::Deleted
    };
    text.skip(1);
    text.expect(b" VRF ")?;
    let vrf = vrf(text.token())?;
    text.expect(b" ")?;
    let mut protocol = None;
    if matches!(text.peek(), Some(b'0'..=b'9')) {
        protocol = Some(text.protocol()?);
        text.expect(b" ")?;
    }
    text.expect(b"INT ")?;
    let (src_ip, src_port) = match ipv4_end(&mut text) {
        Some(end) => end,
        None if bare_port_due(text) => with_port(text.token())?,
        None => other_end(&mut text)?,
    };
    text.expect(b" EXT ")?;
    let (x_ip, x_port) = end(&mut text)?;

    let mut event = Event::new(Kind::Session, action, src_ip, Some(x_ip));
    event.protocol = protocol;
    event.vrf = Some(vrf);
    header.stamp(&mut event);
    if src_port.is_none() {
        event.kind = match x_port {
            None if protocol.is_none() => Kind::Address,
            Some(start) if text.take(b"-") => {
                let end = text.port()?;
                if end < start {
                    return Err(DecodeError::BadRange);
                }
                (event.start_port, event.end_port) = (Some(start), Some(end));
                Kind::Block
            }
            _ => return Err(unfinished(text)),
        };
    } else {
        if x_port.is_none() {
            return Err(unfinished(text));
        }
        (event.src_port, event.x_port) = (src_port, x_port);
        if text.is_empty() {
            event.kind = Kind::Port;
        } else {
            text.expect(b" DST ")?;
            let (dst_ip, dst_port) = match ipv4_end(&mut text) {
                Some(end) => end,
                None if is_bare_ipv6(text) => with_port(text.token())?,
                None => other_end(&mut text)?,
            };
            if dst_port.is_none() {
                return Err(unfinished(text));
            }
            (event.dst_ip, event.dst_port) = (Some(dst_ip), dst_port);
            // The direction does not swap the roles of the three ends.
            text.expect(b" DIR ")?;
            if !text.take(b"OUT") && !text.take(b"IN") {
                return Err(unfinished(text));
            }
        }
        // A claim on all protocols would be wrong, and there is none to make it for.
        if protocol.is_none() {
            return Err(DecodeError::MissingField);
        }
    }
    if !text.is_empty() {
        return Err(DecodeError::Malformed);
    }
    sink(&event);
    Ok(Outcome::Events(1))
}

/// An address, perhaps with a port.
type End = (IpAddr, Option<u16>);

/// Takes `ip`, `ip:port`, `[ip]` or `[ip]:port`.
#[inline]
fn end(text: &mut Cursor<'_>) -> Result<End, DecodeError> {
    match ipv4_end(text) {
        Some(end) => Ok(end),
        None => other_end(text),
    }
}

/// Takes a good IPv4 end; `None` if none is next.
#[inline]
fn ipv4_end(text: &mut Cursor<'_>) -> Option<End> {
    let with_port = address::ipv4_port(text.rest(), *b"::");
    let (ip, port, length) = if let Some((ip, port, length)) = with_port {
        (ip, Some(port), length)
    } else {
        let (ip, length) = address::ipv4(text.rest())?;
        (ip, None, length)
    };
    let is_whole = port.is_some() || matches!(text.rest().get(length), None | Some(b' '));
    if ip.is_unspecified() || !is_whole {
        return None;
    }
    text.skip(length);
    Some((ip.into(), port))
}

/// Takes an IPv6 end, or says what is wrong with an IPv4 one.
#[cold]
fn other_end(text: &mut Cursor<'_>) -> Result<End, DecodeError> {
    let ip = match address::ipv4(text.rest()) {
        Some((ip, length)) if matches!(text.rest().get(length), None | Some(b' ' | b':')) => {
            text.skip(length);
            address::specified(ip.into())?
        }
        _ => other_address(text)?,
    };
    let port = if text.take(b":") { Some(text.port()?) } else { None };
    Ok((ip, port))
}

/// Whether a bare IPv6 address is next, perhaps with a port.
#[cold]
fn is_bare_ipv6(mut text: Cursor<'_>) -> bool {
    // An IPv4 address has its first dot by then, and a bracket is no digit.
    let begin = text.rest().get(..5).unwrap_or_default();
    begin.contains(&b':') && !begin.contains(&b'.') && !begin.contains(&b'[') && {
        let token = text.token();
        token.split(|&byte| byte == b':').nth(2).is_some()
    }
}

/// Whether the inside end that is next is a bare IPv6 address with a port: the outside end has one port.
#[cold]
fn bare_port_due(mut text: Cursor<'_>) -> bool {
    is_bare_ipv6(text) && {
        text.token();
        text.take(b" EXT ")
            && match end(&mut text) {
                Ok((_, port)) => port.is_some() && text.peek() != Some(b'-'),
                Err(_) => false,
            }
    }
}

/// Reads `ip:port`, where `ip` is a bare IPv6 address.
#[cold]
fn with_port(token: &[u8]) -> Result<End, DecodeError> {
    let colon = token
        .iter()
        .rposition(|&byte| byte == b':')
        .ok_or(DecodeError::Malformed)?;
    let mut port = Cursor::new(&token[colon + 1..]);
    let number = port.port()?;
    if !port.is_empty() {
        return Err(DecodeError::BadPort);
    }
    Ok((address::ipv6(&token[..colon])?, Some(number)))
}

/// Takes an IPv6 address.
#[cold]
fn other_address(text: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    let at_end;
    let found = if text.take(b"[") {
        let length = text
            .rest()
            .iter()
            .position(|&byte| byte == b']')
            .unwrap_or(text.rest().len());
        at_end = length == text.rest().len();
        let found = address::ipv6(&text.rest()[..length]);
        text.skip(length + 1);
        found
    } else {
        let token = text.token();
        at_end = text.is_empty();
        address::ipv6(token)
    };
    match found {
        Err(_) if at_end => Err(DecodeError::Truncated),
        found => found,
    }
}

/// A VRF as written: 1 to 64 printable characters.
#[inline]
fn vrf(token: &[u8]) -> Result<Text<'_>, DecodeError> {
    let text = str::from_utf8(token).map_err(|_| DecodeError::NotUtf8)?;
    let is_plain =
        !token.is_empty() && token.len() <= VRF_CHARS_MAX && token.iter().all(u8::is_ascii_graphic);
    if is_plain || is_printable(text) {
        Ok(Text::plain(text))
    } else {
        Err(DecodeError::Malformed)
    }
}

#[cold]
fn is_printable(text: &str) -> bool {
    let blank = |char: char| char.is_control() || char.is_whitespace();
    !text.is_empty() && !text.contains(blank) && text.chars().count() <= VRF_CHARS_MAX
}

/// Why the text cannot go on like this: it ended, or says something else.
#[cold]
fn unfinished(text: Cursor<'_>) -> DecodeError {
    if text.is_empty() || b"OUT".starts_with(text.rest()) || b"IN".starts_with(text.rest()) {
        DecodeError::Truncated
    } else {
        DecodeError::Malformed
    }
}
