//! Cisco IOS-XE (ASR 1000, CSR): `%NAT-6-LOG_TRANSLATION`.
//!
//! ```text
//! [SEQ: ][HOST: ][*|.]Mon D [YYYY ]HH:MM:SS[.mmm][ ZONE]: [%IOSXE-6-PLATFORM: … ]%NAT-6-LOG_TRANSLATION: EVENT
//! Created|Deleted Translation PROTO INSIDE-LOCAL INSIDE-GLOBAL OUTSIDE-LOCAL OUTSIDE-GLOBAL VRF-ID
//! ```
//!
//! Each of the four is `ip:port`, with query identifiers for ICMP. Behind the VRF id follows what was in the buffer, as
//! octets or as the dots that relays make of them: the id ends at its first non-digit. The first message tag counts, so
//! that what another message quotes (a user name) is no event.
//!
//! The time is absolute if it has a year and the zone is UTC or GMT, with `*` or `.` (clock not synchronised) as well.

use event::{Action, Event};

use super::frame::{BYTE_ORDER_MARK, Header};
use super::mark::has_header;
use super::session::{self, is_translated, one};
use crate::bytes::Cursor;
use crate::search::{around, find, split_last_word, trim_end};
use crate::value::plain;
use crate::{DecodeError, Ignored, Outcome, endpoint, protocol, time};

/// A message tag: `%FACILITY-SEVERITY-MNEMONIC: `.
#[derive(Clone, Copy)]
struct Message<'a> {
    /// What stands before the tag, without the blanks.
    header: &'a [u8],
    facility: &'a [u8],
    mnemonic: &'a [u8],
    text: &'a [u8],
}

pub(super) fn claims(text: &[u8]) -> bool {
    Message::first(text).is_some()
}

/// Whether a text begins with a message tag.
#[inline]
pub(super) fn begins(text: &[u8]) -> bool {
    matches!(text, [b'%', behind @ ..] if tag(behind).is_some())
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let message = Message::first(text).ok_or(DecodeError::UnknownFormat)?;
    let mut inner = message;
    // The data plane reports through the platform's own message.
    if let (b"IOSXE", b"PLATFORM") = (message.facility, message.mnemonic) {
        inner = match Message::of(message.text) {
            Some(inner) => inner,
            None if find(message.text, b"cpp_cp").is_some() => return Err(DecodeError::Truncated),
            None => return Ok(Outcome::Ignored(Ignored::NotAMapping)),
        };
    }
    if (inner.facility, inner.mnemonic) != (b"NAT", b"LOG_TRANSLATION") {
        return other(inner.facility, inner.mnemonic);
    }
    let mut event = translation(inner.text)?;
    let time_ns = clock(message.header).or(header.time_ns);
    Header { time_ns, ..*header }.stamp(&mut event);
    if is_translated(&event) {
        Ok(one(&event, sink))
    } else {
        Ok(Outcome::Ignored(Ignored::NotTranslated))
    }
}

impl<'a> Message<'a> {
    /// The message of a text that is one of this device's.
    fn first(text: &'a [u8]) -> Option<Self> {
        Self::of(text).filter(|message| has_header(text, message.text))
    }

    /// The first message tag of a text.
    fn of(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        loop {
            let (_, behind) = around(rest, b"%")?;
            let header = &text[..text.len() - behind.len() - 1];
            let header = header.strip_suffix(&BYTE_ORDER_MARK).unwrap_or(header);
            if matches!(header, [] | [.., b' '])
                && let Some((facility, mnemonic, text)) = tag(behind)
            {
                let header = trim_end(header);
                return Some(Self {
                    header,
                    facility,
                    mnemonic,
                    text,
                });
            }
            rest = behind;
        }
    }
}

/// The octets that tags are made of.
const IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-');
        byte += 1;
    }
    table
};

/// Reads a tag behind its `%`: facility, mnemonic, and the text behind it.
fn tag(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = text.iter().position(|&byte| !IS_NAME[usize::from(byte)])?;
    let (name, behind) = text.split_at(length);
    let behind = behind.strip_prefix(b":")?;
    // A facility may have a sub-facility: the severity is the last part but one.
    let hyphen = name.iter().rposition(|&byte| byte == b'-')?;
    let (rest, mnemonic) = (&name[..hyphen], &name[hyphen + 1..]);
    let (rest, severity) = rest.split_last_chunk::<2>()?;
    // These have other formats, and may report translations.
    let is_other = matches!(rest, b"" | b"ASA" | b"FTD" | b"PIX" | b"FWSM");
    let is_tag = matches!(severity, [b'-', b'0'..=b'7']) && !mnemonic.is_empty() && !is_other;
    is_tag.then_some((rest, mnemonic, behind))
}

/// What another message than a translation is: one about NAT may be a mapping in a shape that is not known.
fn other(facility: &[u8], mnemonic: &[u8]) -> Result<Outcome, DecodeError> {
    let has = |word: &[u8]| mnemonic.windows(word.len()).any(|part| part == word);
    if !facility.starts_with(b"NAT") && !facility.ends_with(b"NAT") {
        Ok(Outcome::Ignored(Ignored::NotAMapping))
    } else if has(b"FAILURE") || has(b"EXHAUST") || has(b"LIMIT") || has(b"MAX") {
        Ok(Outcome::Ignored(Ignored::ResourceAlarm))
    } else {
        Err(DecodeError::UnknownFormat)
    }
}

fn translation(text: &[u8]) -> Result<Event<'_>, DecodeError> {
    let mut cursor = Cursor::new(text);
    let mut word = || cursor.next_token().ok_or(DecodeError::Truncated);
    let action = match word()? {
        b"Created" => Action::Created,
        b"Deleted" => Action::Deleted,
        _ => return Err(DecodeError::Malformed),
    };
    if word()? != b"Translation" {
        return Err(DecodeError::Malformed);
    }
    let protocol = word()?;
    let mut end = || {
        while cursor.take(b" ") {}
        let end = endpoint::take(&mut cursor)?;
        cursor.expect(b" ").map(|()| end)
    };
    let (inside, outside) = (end()?, end()?);
    let (_outside_local, remote) = (end()?, end()?);
    while cursor.take(b" ") {}
    let rest = cursor.rest();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(if rest.is_empty() {
            DecodeError::Truncated
        } else {
            DecodeError::Malformed
        });
    }
    let mut event = session::session(action, protocol::number(protocol)?, inside, outside, remote);
    event.vrf = Some(plain(&rest[..digits])?);
    Ok(event)
}

/// The time that ends the header, `Mon D YYYY HH:MM:SS[.mmm] UTC:`, in ns since 1970; `None` if it is not absolute.
fn clock(header: &[u8]) -> Option<i64> {
    let header = header.strip_suffix(b":")?;
    let (header, zone) = split_last_word(header);
    if !zone.eq_ignore_ascii_case(b"UTC") && !zone.eq_ignore_ascii_case(b"GMT") {
        return None;
    }
    let (header, of_day) = split_last_word(header);
    let (header, year) = split_last_word(header);
    let (header, day) = split_last_word(header);
    let (_, month) = split_last_word(header);
    let month = month
        .strip_prefix(b"*")
        .or(month.strip_prefix(b"."))
        .unwrap_or(month);
    if year.len() != 4 {
        return None;
    }
    let date = (time::number(year, 4)?, time::month(month)?, time::number(day, 2)?);
    time::civil(date, time::of_day(of_day)?)
}
