//! DANOS and Vyatta CGNAT.
//!
//! ```text
//! CGNAT: PB_ALLOCATED subs-addr=IN policy=… pub-addr=OUT pool=… port=FIRST-LAST start-time=US
//! CGNAT: PB_RELEASED … start-time=US end-time=US
//! CGNAT: SESSION_CREATE ifname=… session-id=N.N proto=N dir=… addr=IN->DST port=N->N cgn-addr=OUT cgn-port=N state=… start-time=US
//! CGNAT: SESSION_ACTIVE … start-time=US cur-time=US out=N/N in=N/N[ int-rtt=N ext-rtt=N]
//! CGNAT: SESSION_DELETE … start-time=US end-time=US out=N/N in=N/N[ int-rtt=N ext-rtt=N]
//! ```
//!
//! Fields are read by name. Times are microseconds since 1970 (UTC). `addr` and `port` name the inside end first,
//! whatever `dir` says. A block holds for all protocols. `SESSION_CLEAR` closes many sessions and names none of them.

use std::net::IpAddr;

use event::{Action, Event, Kind, TimeSource};

use super::frame::Header;
use super::mark::{begins_word, has_header};
use super::session::one;
use crate::bytes::Cursor;
use crate::search::around;
use crate::value::set;
use crate::{DecodeError, Ignored, Outcome, endpoint};

/// Digits of a time in microseconds after September 2001. At the end of a message, fewer are what is left of one.
const TIME_DIGITS: usize = 16;

const NS_PER_US: i64 = 1000;

pub(super) fn claims(text: &[u8]) -> bool {
    const BEGINS: [&[u8]; 7] = [
        b"SESSION_",
        b"PB_",
        b"SUBSCRIBER_",
        b"MBPU_",
        b"NP_",
        b"APM_TABLE_",
        b"DEST_SESSIONS_",
    ];
    message(text).is_some_and(|message| BEGINS.iter().any(|&begin| message.starts_with(begin)))
}

pub(super) fn decode(
    text: &[u8],
    _header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let mut cursor = Cursor::new(message(text).ok_or(DecodeError::UnknownFormat)?);
    let (kind, action) = match cursor.token() {
        b"PB_ALLOCATED" => (Kind::Block, Action::Created),
        b"PB_RELEASED" => (Kind::Block, Action::Deleted),
        b"SESSION_CREATE" => (Kind::Session, Action::Created),
        b"SESSION_ACTIVE" => (Kind::Session, Action::Updated),
        b"SESSION_DELETE" => (Kind::Session, Action::Deleted),
        b"SESSION_CLEAR" | b"SUBSCRIBER_START" | b"SUBSCRIBER_END" => {
            return Ok(Outcome::Ignored(Ignored::NotAMapping));
        }
        name => return alarm(name, cursor.is_empty()),
    };
    let fields = Fields::read(&mut cursor)?;
    let mut event = match kind {
        Kind::Block => fields.block(action)?,
        _ => fields.session(action)?,
    };
    let start_ns = required(fields.start_ns)?;
    let time_ns = match action {
        Action::Created => start_ns,
        Action::Updated => required(fields.current_ns)?,
        Action::Deleted => required(fields.end_ns)?,
    };
    event.time_ns = Some(time_ns);
    event.time_source = TimeSource::DeviceEvent;
    event.mapping_start_ns = Some(start_ns).filter(|_| action != Action::Created);
    Ok(one(&event, sink))
}

/// What stands behind `CGNAT: `.
fn message(text: &[u8]) -> Option<&[u8]> {
    let (before, behind) = around(text, b"CGNAT: ")?;
    (begins_word(before) && has_header(text, behind)).then_some(behind)
}

/// What a message is whose name is no event's.
fn alarm(name: &[u8], is_last: bool) -> Result<Outcome, DecodeError> {
    const ENDS: [&[u8]; 5] = [
        b"_FULL",
        b"_AVAILABLE",
        b"_THRESHOLD",
        b"_ABOVE_LIMIT",
        b"_BELOW_LIMIT",
    ];
    if ENDS.iter().any(|&end| name.ends_with(end)) {
        Ok(Outcome::Ignored(Ignored::ResourceAlarm))
    } else if is_last {
        Err(DecodeError::Truncated)
    } else {
        Err(DecodeError::UnknownFormat)
    }
}

/// The fields that events need.
#[derive(Default)]
struct Fields {
    protocol: Option<u8>,
    subscriber: Option<IpAddr>,
    public: Option<IpAddr>,
    range: Option<(u16, u16)>,
    addresses: Option<(IpAddr, IpAddr)>,
    ports: Option<(u16, u16)>,
    outside: Option<IpAddr>,
    outside_port: Option<u16>,
    start_ns: Option<i64>,
    current_ns: Option<i64>,
    end_ns: Option<i64>,
}

impl Fields {
    /// Reads what stands behind the message's name.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        loop {
            while cursor.take(b" ") {}
            if cursor.is_empty() {
                return Ok(fields);
            }
            let rest = cursor.rest();
            let equals = rest.iter().position(|byte| matches!(byte, b'=' | b' '));
            let name = &rest[..equals.unwrap_or(rest.len())];
            cursor.skip(name.len());
            cursor.expect(b"=")?;
            match name {
                b"proto" => set(&mut fields.protocol, cursor.protocol()?)?,
                b"subs-addr" => set(&mut fields.subscriber, endpoint::take_address(cursor)?)?,
                b"pub-addr" => set(&mut fields.public, endpoint::take_address(cursor)?)?,
                b"addr" => {
                    let inside = endpoint::take_address(cursor)?;
                    cursor.expect(b"->")?;
                    set(&mut fields.addresses, (inside, endpoint::take_address(cursor)?))?;
                }
                b"port" => {
                    let first = cursor.port()?;
                    cursor.expect(b"-")?;
                    if cursor.take(b">") {
                        set(&mut fields.ports, (first, cursor.port()?))?;
                    } else {
                        set(&mut fields.range, (first, cursor.port()?))?;
                    }
                }
                b"cgn-addr" => set(&mut fields.outside, endpoint::take_address(cursor)?)?,
                b"cgn-port" => set(&mut fields.outside_port, cursor.port()?)?,
                b"start-time" => set(&mut fields.start_ns, time(cursor)?)?,
                b"cur-time" => set(&mut fields.current_ns, time(cursor)?)?,
                b"end-time" => set(&mut fields.end_ns, time(cursor)?)?,
                _ => {
                    cursor.token();
                }
            }
            if !matches!(cursor.peek(), None | Some(b' ')) {
                return Err(DecodeError::Malformed);
            }
        }
    }

    fn block(&self, action: Action) -> Result<Event<'static>, DecodeError> {
        let (first, last) = required(self.range)?;
        if last < first {
            return Err(DecodeError::BadRange);
        }
        let inside = required(self.subscriber)?;
        let mut event = Event::new(Kind::Block, action, inside, Some(required(self.public)?));
        (event.start_port, event.end_port) = (Some(first), Some(last));
        Ok(event)
    }

    fn session(&self, action: Action) -> Result<Event<'static>, DecodeError> {
        let (inside, remote) = required(self.addresses)?;
        let (inside_port, remote_port) = required(self.ports)?;
        let mut event = Event::new(Kind::Session, action, inside, Some(required(self.outside)?));
        event.protocol = Some(required(self.protocol)?);
        (event.src_port, event.x_port) = (Some(inside_port), Some(required(self.outside_port)?));
        (event.dst_ip, event.dst_port) = (Some(remote), Some(remote_port));
        Ok(event)
    }
}

fn required<T: Copy>(field: Option<T>) -> Result<T, DecodeError> {
    field.ok_or(DecodeError::MissingField)
}

/// Takes microseconds since 1970, as ns.
fn time(cursor: &mut Cursor<'_>) -> Result<i64, DecodeError> {
    let mut us: i64 = 0;
    let mut digits = 0;
    while let Some(digit @ b'0'..=b'9') = cursor.peek() {
        let value = us
            .checked_mul(10)
            .and_then(|us| us.checked_add(i64::from(digit - b'0')));
        us = value.ok_or(DecodeError::BadTime)?;
        digits += 1;
        cursor.skip(1);
    }
    if cursor.is_empty() && digits < TIME_DIGITS {
        return Err(DecodeError::Truncated);
    }
    if digits == 0 {
        return Err(DecodeError::BadTime);
    }
    us.checked_mul(NS_PER_US).ok_or(DecodeError::BadTime)
}
