//! Running text, as it stands in RFC 3164 messages.
//!
//! ```text
//! session created SRC/SP->DST/DP [0x0] SERVICE NSRC/NSP->NDST/NDP [0x0] RULES… PROTO POLICY FROM TO ID USER(ROLES) IF …
//! session closed REASON: (the same up to ID) PACKETS(BYTES) PACKETS(BYTES) ELAPSED APP NESTED USER(ROLES) IF …
//! Subscriber IN used/maximum [u/m] blocks, VERB port block [lo-hi] from OUT in source pool POOL[ lsys_id: N][ epoch 0xHEX]
//! ```
//!
//! The text has no end mark: whatever an event needs must have something behind it.

use event::Text;

use super::{Found, Session, Tag, block_action, session_action, whole_port};
use super::{whole_protocol, whole_seconds};
use crate::bytes::Cursor;
use crate::endpoint::End;
use crate::search::find;
use crate::syslog::frame::Header;
use crate::syslog::junos::{Block, take_epoch_ns};
use crate::syslog::session;
use crate::value::Value;
use crate::{DecodeError, address};

pub(super) fn decode<'a>(tag: Tag, text: Cursor<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    match session_action(tag) {
        Some(_) => session(tag, text)?.found(header),
        None => block(tag, text)?.event(header).map(Found::Event),
    }
}

fn session(tag: Tag, mut text: Cursor<'_>) -> Result<Session<'_>, DecodeError> {
    // MX-SPC3: `Prefix P svc-set-name SS: session created …`.
    if text.take(b"Prefix ") || text.take(b"prefix ") {
        while text.next_token().ok_or(DecodeError::Truncated)? != b"session" {}
    } else {
        text.expect(b"session")?;
    }
    if tag == Tag::SessionCreate {
        text.expect(b" created ")?;
    } else {
        text.expect(b" closed ")?;
    }
    let (source, destination) = arrow(&mut text, if tag == Tag::SessionCreate { 0 } else { usize::MAX })?;
    let (nat_source, nat_destination) = arrow(&mut text, usize::MAX)?;
    // The rules and the connection tag (`0x0`) are no plain numbers.
    let protocol = loop {
        let token = text.next_token().ok_or(DecodeError::Truncated)?;
        if token.iter().all(u8::is_ascii_digit) {
            break whole_protocol(token)?;
        }
    };
    let mut behind: [&[u8]; 10] = [b""; 10];
    for slot in &mut behind {
        *slot = text.next_token().unwrap_or_default();
    }
    if behind[0].is_empty() {
        return Err(DecodeError::Truncated);
    }
    // Both are extras: where the release has another layout, they are absent.
    let (user, elapsed) = if tag == Tag::SessionCreate {
        (behind[4], None)
    } else {
        (behind[9], Some(behind[6]))
    };
    let counted = [behind[4], behind[5]]
        .iter()
        .all(|counter| counter.ends_with(b")"));
    let ends = session::Session {
        action: session_action(tag).ok_or(DecodeError::UnknownFormat)?,
        protocol,
        source,
        destination,
        nat_source,
        nat_destination,
    };
    Ok(Session {
        ends,
        username: user_of(user)?,
        elapsed_s: elapsed
            .filter(|_| counted)
            .and_then(|elapsed| whole_seconds(elapsed).ok()),
    })
}

/// Takes `A/P->B/Q`, before which at most `others` other words may stand.
fn arrow(text: &mut Cursor<'_>, others: usize) -> Result<(End, End), DecodeError> {
    let mut before = 0;
    loop {
        while text.take(b" ") {}
        if let Some(ends) = ipv4_arrow(text) {
            return Ok(ends);
        }
        let token = text.next_token().ok_or(DecodeError::Truncated)?;
        if let Some(at) = find(token, b"->") {
            if text.is_empty() {
                return Err(DecodeError::Truncated);
            }
            return Ok((end(&token[..at])?, end(&token[at + 2..])?));
        }
        if before == others {
            return Err(DecodeError::Malformed);
        }
        before += 1;
    }
}

/// Takes a good `A/P->B/Q` of IPv4 addresses, which nearly all are; `None` if it is none.
#[inline]
fn ipv4_arrow(text: &mut Cursor<'_>) -> Option<(End, End)> {
    let (from, from_port, length) = address::ipv4_port(text.rest(), *b"//")?;
    let rest = text.rest().get(length..)?.strip_prefix(b"->")?;
    let (to, to_port, length) = address::ipv4_port(rest, *b"//")?;
    let behind = rest.get(length..)?;
    if behind.first() != Some(&b' ') || from.is_unspecified() || to.is_unspecified() {
        return None;
    }
    *text = Cursor::new(behind);
    Some(((from.into(), from_port), (to.into(), to_port)))
}

/// `ADDRESS/PORT`.
fn end(text: &[u8]) -> Result<End, DecodeError> {
    let slash = text
        .iter()
        .position(|&byte| byte == b'/')
        .ok_or(DecodeError::Malformed)?;
    Ok((address::whole(&text[..slash])?, whole_port(&text[slash + 1..])?))
}

/// The user of `USER(ROLES)`. Running text has no escapes: a backslash is part of the name, as in `DOMAIN\user`.
fn user_of(word: &[u8]) -> Result<Option<Text<'_>>, DecodeError> {
    let open = word
        .iter()
        .position(|&byte| byte == b'(')
        .filter(|_| word.ends_with(b")"));
    Value::new(word, open.unwrap_or(0)).name()
}

fn block(tag: Tag, mut text: Cursor<'_>) -> Result<Block, DecodeError> {
    text.expect(b"Subscriber ")?;
    let inside = whole_address(&mut text)?;
    // `used/maximum [u/m] blocks, VERB`: the verb of INTERIM is not certain, so none is asked for.
    text.expect(b" used/maximum [")?;
    word(&mut text)?;
    text.expect(b" blocks, ")?;
    word(&mut text)?;
    text.expect(b" port block [")?;
    let low = text.port()?;
    text.expect(b"-")?;
    let high = text.port()?;
    text.expect(b"] from ")?;
    let outside = whole_address(&mut text)?;
    text.expect(b" in source pool ")?;
    word(&mut text)?;
    if text.take(b" lsys_id: ") {
        word(&mut text)?;
    }
    let mut epoch = None;
    if text.take(b" epoch 0x") {
        epoch = Some(take_epoch_ns(&mut text)?);
    }
    if !text.is_empty() {
        let cut = [&b" lsys_id: "[..], b" epoch 0x"]
            .iter()
            .any(|part| part.starts_with(text.rest()));
        return Err(if cut {
            DecodeError::Truncated
        } else {
            DecodeError::Malformed
        });
    }
    Ok(Block {
        action: block_action(tag),
        inside,
        outside,
        ports: (low, high),
        epoch_ns: epoch,
    })
}

/// Goes past one word.
fn word(text: &mut Cursor<'_>) -> Result<(), DecodeError> {
    text.next_token().map(|_| ()).ok_or(DecodeError::Truncated)
}

/// Takes an address of either family, behind which something must stand.
fn whole_address(text: &mut Cursor<'_>) -> Result<std::net::IpAddr, DecodeError> {
    let token = text.token();
    if text.is_empty() {
        Err(DecodeError::Truncated)
    } else {
        address::whole(token)
    }
}
