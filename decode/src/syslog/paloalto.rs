//! Palo Alto Networks PAN-OS: TRAFFIC records, comma separated.
//!
//! | field, counted from the leading `1` as 0 | |
//! |---|---|
//! | 3, 4 | type (`TRAFFIC`), subtype (`start`, `end`, `drop`, `deny`) |
//! | 7, 8, 9, 10 | source, destination, both after NAT |
//! | 12, 15 | source user (the subscriber), virtual system (the VRF) |
//! | 24, 25, 26, 27 | ports in the same order |
//! | 29, 36 | protocol's name, elapsed seconds |
//!
//! Fields may be quoted; of a quote inside of one both halves (`""`) stay. Times in the record have no zone: where the
//! exporter's is said, the time is that at which the record was made (field 6), else the header's. An unspecified address or port 0 after NAT stands for "not translated".

use event::{Action, Event};

use super::frame::Header;
use super::mark;
use super::session::Session;
use crate::bytes::first_of;
use crate::endpoint::End;
use crate::time::seconds;
use crate::value::Value;
use crate::{DecodeError, Ignored, Outcome};

/// Fields that are read: up to the elapsed seconds.
const FIELDS: usize = 37;

/// Fields that a record must have, whole: up to the protocol.
const FIELDS_MIN: usize = 30;

pub(super) fn claims(text: &[u8]) -> bool {
    record(text).is_some()
}

/// Decodes the record of the text.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let record = record(text).ok_or(DecodeError::UnknownFormat)?;
    let mut fields = [Value::default(); FIELDS];
    let whole = split(record, &mut fields)?;
    let name = |field: usize| fields[field].text();
    if name(3) != b"TRAFFIC" {
        return Ok(Outcome::Ignored(Ignored::NotAMapping));
    }
    if whole < FIELDS_MIN {
        return Err(DecodeError::Truncated);
    }
    let action = match name(4) {
        b"start" => Action::Created,
        b"end" => Action::Deleted,
        b"drop" | b"deny" => return Ok(Outcome::Ignored(Ignored::NotAMapping)),
        _ => return Err(DecodeError::UnknownFormat),
    };
    let source: End = (fields[7].address()?, fields[24].port()?);
    let destination: End = (fields[8].address()?, fields[25].port()?);
    let (nat_source, nat_source_port) = (translated(fields[9])?, fields[26].port()?);
    let (nat_destination, nat_destination_port) = (translated(fields[10])?, fields[27].port()?);
    let session = Session {
        action,
        protocol: fields[29].protocol_by_name()?,
        source,
        destination,
        nat_source: match nat_source {
            Some(ip) if nat_source_port != 0 => (ip, nat_source_port),
            _ => source,
        },
        nat_destination: match nat_destination {
            Some(ip) if nat_destination_port != 0 => (ip, nat_destination_port),
            Some(ip) => (ip, destination.1),
            None => destination,
        },
    };
    let Some(mut event) = session.event() else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    event.subscriber = fields[12].name()?;
    event.vrf = fields[15].name()?;
    header.stamp(&mut event);
    header.stamp_zoneless(&mut event, name(6));
    if let Some(end_ns) = event.time_ns
        && action == Action::Deleted
        && whole == FIELDS
    {
        let elapsed_ns = seconds(fields[36].count()?).ok_or(DecodeError::BadTime)?;
        event.mapping_start_ns = Some(end_ns.checked_sub(elapsed_ns).ok_or(DecodeError::BadTime)?)
            .filter(|&begin_ns| begin_ns != end_ns);
    }
    sink(&event);
    Ok(Outcome::Events(1))
}

/// An address after NAT; `None` if there is none.
fn translated(field: Value<'_>) -> Result<Option<std::net::IpAddr>, DecodeError> {
    if field.text().is_empty() {
        Ok(None)
    } else {
        field.address_or_none()
    }
}

/// The text from the record on: `1,2012/10/30 09:46:12,SERIAL,TYPE,`.
#[inline]
fn record(text: &[u8]) -> Option<&[u8]> {
    mark::words(text).find(|rest| is_record(rest))
}

fn is_record(text: &[u8]) -> bool {
    let digits = text
        .iter()
        .take(4)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let Some((stamp, rest)) = text.get(digits..).and_then(<[u8]>::split_first_chunk::<21>) else {
        return false;
    };
    const SHAPE: &[u8; 21] = b",0000/00/00 00:00:00,";
    let fits = |(octet, shape): (&u8, &u8)| match shape {
        b'0' => octet.is_ascii_digit(),
        _ => octet == shape,
    };
    if digits == 0 || !stamp.iter().zip(SHAPE).all(fits) {
        return false;
    }
    // The serial number, then the type in capitals.
    let serial = first_of(rest, *b", ");
    let Some([b',', kind @ ..]) = rest.get(serial..) else {
        return false;
    };
    let length = first_of(kind, *b", ");
    length != 0
        && kind.get(length) == Some(&b',')
        && kind[..length]
            .iter()
            .all(|octet| matches!(octet, b'A'..=b'Z' | b'-'))
}

/// Splits a record into its first fields: how many of them have a comma behind them.
fn split<'a>(record: &'a [u8], fields: &mut [Value<'a>; FIELDS]) -> Result<usize, DecodeError> {
    let mut rest = record;
    for (index, field) in fields.iter_mut().enumerate() {
        let behind = if let [b'"', quoted @ ..] = rest {
            let end = closing(quoted).ok_or(DecodeError::Truncated)?;
            *field = Value::new(quoted, end);
            &quoted[end + 1..]
        } else {
            let end = first_of(rest, *b",");
            *field = Value::new(rest, end);
            &rest[end..]
        };
        rest = match behind {
            [b',', behind @ ..] => behind,
            [] => return Ok(index),
            _ => return Err(DecodeError::Malformed),
        };
    }
    Ok(FIELDS)
}

/// Where the quote is that closes what `quoted` begins with: one that is not doubled.
fn closing(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += first_of(quoted.get(at..)?, *b"\"");
        match quoted.get(at..)? {
            [b'"', b'"', ..] => at += 2,
            [b'"', ..] => return Some(at),
            _ => return None,
        }
    }
}
