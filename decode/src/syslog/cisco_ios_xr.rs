//! Cisco IOS-XR CGv6 (CRS, ASR 9000 ISM and VSM).
//!
//! ```text
//! 1 2011 May 31 10:30:45 HOST - - NAT44 - [EVENT L4 IN4 VRF IN6 OUT4 INPORT FIRST LAST DST4 DSTPORT ][…]…
//! ```
//!
//! `-` is absent, and a blank stands before `]`; older releases leave the last two values out. `UserbasedA`/`W` is a
//! block that is assigned or withdrawn, `SessionbasedA`/`W` a port mapping, `SessionbasedAD`/`WD` one with its
//! destination, which makes it a session. The MSGID is `NAT44` or `DSLITE`. The header's time is UTC.
//!
//! A datagram holds as many records as fit. One that is cut off at the end of the message, or whole and wrong, costs no
//! other. What stands between records ends them.
//!
//! A softwire (IN6) is the inside end where no IN4 is given, and the subscriber where one is.

use std::net::{IpAddr, Ipv6Addr};

use event::{Action, Event, Kind, Text};

use super::frame::Header;
use super::mark::has_header;
use super::tally::Tally;
use crate::address::Canonical;
use crate::bytes::Cursor;
use crate::endpoint::take_address;
use crate::search::{around, split_last_word, trim_end, trim_start};
use crate::time::take_four_tokens;
use crate::value::plain;
use crate::{DecodeError, Ignored, Outcome};

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some()
}

/// Whether a text begins with the MSGID, and what stands before it ends with the nil values of APP-NAME and PROCID.
pub(super) fn begins(text: &[u8], before: &[u8]) -> bool {
    (text.starts_with(b"NAT44 -") || text.starts_with(b"DSLITE -")) && trim_end(before).ends_with(b" - -")
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (before, records) = split(text).ok_or(DecodeError::UnknownFormat)?;
    // The emitter writes UTC. Behind a relay's header its own is a part of the text.
    let time_ns = header.zoneless_ns.or_else(|| clock(before)).or(header.time_ns);
    let header = Header { time_ns, ..*header };
    let (mut tally, mut records) = (Tally::default(), Cursor::new(records));
    while !records.is_empty() {
        if let Err(why) = records.expect(b"[") {
            tally.add(Err(why));
            break;
        }
        let Some(length) = records.rest().iter().position(|&byte| byte == b']') else {
            tally.add(Err(DecodeError::Truncated));
            break;
        };
        let record = read(&records.rest()[..length]);
        tally.add(record.map(|record| record.give(&header, sink)));
        records.skip(length + 1);
        while records.take(b" ") {}
    }
    tally.outcome(Ok(Outcome::Ignored(Ignored::NotAMapping)))
}

/// What stands before the MSGID, and what behind it and the nil value that follows it: nothing, or records.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, behind) = around(text, b" NAT44 -").or_else(|| around(text, b" DSLITE -"))?;
    // These are the nil values of APP-NAME and PROCID.
    let before = trim_end(before).strip_suffix(b" - -")?;
    let records = trim_start(behind);
    let is_known = matches!(records, [] | [b'[', ..]) && has_header(text, records);
    is_known.then_some((before, records))
}

/// The time in a header that ends with the host, `1 2011 May 31 10:30:45 HOST`, in ns since 1970.
fn clock(header: &[u8]) -> Option<i64> {
    let mut begin = header;
    for _word in 0..5 {
        (begin, _) = split_last_word(begin);
    }
    let mut cursor = Cursor::new(header.get(begin.len()..)?);
    take_four_tokens(&mut cursor).filter(|_| begin.ends_with(b"1 "))
}

/// What a record says.
enum Record<'a> {
    Event(Mapping<'a>),
    Ignored(Ignored),
}

impl Record<'_> {
    fn give(self, header: &Header, sink: &mut impl FnMut(&Event<'_>)) -> Outcome {
        match self {
            Self::Event(mapping) => {
                mapping.deliver(header, sink);
                Outcome::Events(1)
            }
            Self::Ignored(why) => Outcome::Ignored(why),
        }
    }
}

/// An event, and the softwire it came through where that is not its inside end.
struct Mapping<'a> {
    event: Event<'a>,
    softwire: Option<Ipv6Addr>,
}

impl Mapping<'_> {
    fn deliver(&self, header: &Header, sink: &mut impl FnMut(&Event<'_>)) {
        let softwire = self.softwire.map(Canonical::of);
        let mut event = self.event;
        event.subscriber = softwire.as_ref().map(|softwire| Text::plain(softwire.as_str()));
        header.stamp(&mut event);
        sink(&event);
    }
}

fn read(record: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut cursor = Cursor::new(record);
    let (action, kind) = match cursor.next_token().unwrap_or_default() {
        b"UserbasedA" => (Action::Created, Kind::Block),
        b"UserbasedW" => (Action::Deleted, Kind::Block),
        b"SessionbasedA" => (Action::Created, Kind::Port),
        b"SessionbasedW" => (Action::Deleted, Kind::Port),
        b"SessionbasedAD" => (Action::Created, Kind::Session),
        b"SessionbasedWD" => (Action::Deleted, Kind::Session),
        b"Portblockrunout" => return Ok(Record::Ignored(Ignored::ResourceAlarm)),
        b"TCPseqmismatch" | b"Invalid" => return Ok(Record::Ignored(Ignored::NotAMapping)),
        _ => return Err(DecodeError::UnknownFormat),
    };
    let l4 = value(&mut cursor, Cursor::protocol)?;
    // DS-Lite without an inner address has none, or 0.0.0.0.
    let is_zero = cursor.rest().starts_with(b" 0.0.0.0 ");
    let inside4 = if is_zero {
        cursor.skip(b" 0.0.0.0".len());
        None
    } else {
        value(&mut cursor, take_address)?
    };
    let vrf = value(&mut cursor, |cursor| plain(cursor.token()))?;
    let softwire = value(&mut cursor, take_softwire)?;
    let outside = value(&mut cursor, take_address)?.ok_or(DecodeError::MissingField)?;
    let inside_port = value(&mut cursor, Cursor::port)?;
    let first = value(&mut cursor, Cursor::port)?.ok_or(DecodeError::MissingField)?;
    let last = value(&mut cursor, Cursor::port)?;
    let remote = if cursor.is_empty() {
        None
    } else {
        let ip = value(&mut cursor, take_address)?;
        let port = value(&mut cursor, Cursor::port)?;
        ip.zip(port)
    };
    while cursor.take(b" ") {}
    if !cursor.is_empty() {
        return Err(DecodeError::Malformed);
    }

    let (src_ip, softwire) = match (inside4, softwire) {
        (Some(inside), softwire) => (inside, softwire),
        (None, Some(softwire)) => (softwire.into(), None),
        (None, None) if is_zero => return Err(DecodeError::BadAddress),
        (None, None) => return Err(DecodeError::MissingField),
    };
    let mut event = Event::new(kind, action, src_ip, Some(outside));
    event.protocol = l4;
    event.vrf = vrf;
    if kind == Kind::Block {
        let last = last.ok_or(DecodeError::MissingField)?;
        if last < first {
            return Err(DecodeError::BadRange);
        }
        (event.start_port, event.end_port) = (Some(first), Some(last));
    } else {
        // A claim on all protocols would be wrong.
        l4.ok_or(DecodeError::MissingField)?;
        event.src_port = Some(inside_port.ok_or(DecodeError::MissingField)?);
        event.x_port = Some(first);
        (event.dst_ip, event.dst_port) = remote.unzip();
        if kind == Kind::Session {
            remote.ok_or(DecodeError::MissingField)?;
        }
    }
    Ok(Record::Event(Mapping { event, softwire }))
}

/// Takes the blanks before a value and the value, `None` if that is `-`.
#[inline]
fn value<'a, T>(
    cursor: &mut Cursor<'a>,
    take: impl FnOnce(&mut Cursor<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    while cursor.take(b" ") {}
    let value = match cursor.rest() {
        [] => return Err(DecodeError::MissingField),
        [b'-'] | [b'-', b' ', ..] => {
            cursor.skip(1);
            None
        }
        _ => Some(take(cursor)?),
    };
    match cursor.peek() {
        None | Some(b' ') => Ok(value),
        Some(_) => Err(DecodeError::Malformed),
    }
}

fn take_softwire(cursor: &mut Cursor<'_>) -> Result<Ipv6Addr, DecodeError> {
    match take_address(cursor)? {
        IpAddr::V6(softwire) => Ok(softwire),
        IpAddr::V4(_) => Err(DecodeError::BadAddress),
    }
}
