//! Fortinet FortiGate.
//!
//! Pairs `key=value`, bare or quoted, parted by blanks or, in the CSV format, by commas, in any order:
//!
//! - `type=sess act=start …`: sessions of the NP7 hardware log;
//! - `type=event logid=…22015 …`: port block allocation (PBA), created 22015, closed 22016, interim 22024;
//! - `type=traffic logid=0000000013 …`: sessions of the traffic log, written at their end.
//!
//! `vd` (VDOM) is the VRF. `eventtime` is in s or ns, by its number of digits; where it is absent, `date` and `time` are
//! a time only if `tz` says in which zone, or the exporter's is said. An unspecified address or port 0 stands for "not translated".

use event::{Action, Event, Kind, TimeSource};

use super::frame::Header;
use super::pairs;
use super::session::Session;
use crate::bytes::first_of;
use crate::endpoint::End;
use crate::said::Said;
use crate::search::find;
use crate::time::{self, seconds};
use crate::value::Value;
use crate::{DecodeError, Ignored, Outcome};

mod order;
use order::{Fields, ORDER, slot};

const NS_PER_MS: i64 = 1_000_000;

/// Bit of `pid`: the policy denies.
const PID_DENIES: i64 = 1 << 30;

pub(super) fn claims(text: &[u8]) -> bool {
    body(text).is_some()
}

/// Decodes the pairs of the text.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let body = pairs::begin(text, |_| false).ok_or(DecodeError::UnknownFormat)?;
    let mut fields = Fields::of(body);
    pairs::read_known(&mut fields, separator(body), &ORDER)?;
    let found = match fields.value(slot::KIND).text() {
        b"sess" => hardware(&fields, header)?,
        _ if fields.value(slot::LOGID).is_absent() => return Err(DecodeError::UnknownFormat),
        b"event" => port_block(&fields, header)?,
        b"traffic" => traffic(&fields, header)?,
        _ => Err(Ignored::NotAMapping),
    };
    Ok(match found {
        Ok(event) => {
            sink(&event);
            Outcome::Events(1)
        }
        Err(why) => Outcome::Ignored(why),
    })
}

/// The pairs of a text that has the marks: `logid=`, or `type=sess`.
#[inline]
fn body(text: &[u8]) -> Option<&[u8]> {
    let body = pairs::begin(text, |_| false)?;
    let is_key = |at: usize| at == 0 || matches!(body[at - 1], b' ' | b',');
    let known = find(body, b"logid=").is_some_and(is_key)
        || find(body, b"type=sess").is_some_and(is_key)
        || find(body, b"type=\"sess\"").is_some_and(is_key);
    known.then_some(body)
}

/// What parts the pairs beside blanks: a comma if one stands behind the first value.
fn separator(body: &[u8]) -> u8 {
    let value = first_of(body, *b"=") + 1;
    let end = match body.get(value..) {
        Some([b'"', quoted @ ..]) => pairs::closing(quoted).map(|end| value + end + 2),
        Some(bare) => Some(value + first_of(bare, *b" ,")),
        None => None,
    };
    match end.and_then(|end| body.get(end)) {
        Some(b',') => b',',
        _ => b' ',
    }
}

/// An event, or why a record that is whole holds none.
type Found<'a> = Result<Event<'a>, Ignored>;

/// A session of the NP7 hardware log.
fn hardware<'a>(fields: &Fields<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    let action = match fields.value(slot::ACT).required()?.text() {
        b"start" => Action::Created,
        b"end" => Action::Deleted,
        _ => return Err(DecodeError::UnknownFormat),
    };
    if !fields.value(slot::PID).is_absent() && fields.value(slot::PID).count()? & PID_DENIES != 0 {
        return Ok(Err(Ignored::NotAMapping));
    }
    let source = end(fields.value(slot::SIP), fields.value(slot::SPORT))?;
    let destination = end(fields.value(slot::DIP), fields.value(slot::DPORT))?;
    let session = Session {
        action,
        protocol: fields.value(slot::PROTO).required()?.protocol()?,
        source,
        destination,
        nat_source: end_or_none(fields.value(slot::NSIP), fields.value(slot::NSPORT))?.unwrap_or(source),
        nat_destination: remote_or_none(fields.value(slot::NDIP), fields.value(slot::NDPORT))?
            .unwrap_or(destination),
    };
    let Some(event) = session.event() else {
        return Ok(Err(Ignored::NotTranslated));
    };
    let duration_ns = if fields.value(slot::DUR).is_absent() {
        None
    } else {
        fields.value(slot::DUR).count()?.checked_mul(NS_PER_MS)
    };
    finish(event, fields, header, duration_ns).map(Ok)
}

/// A port block event.
fn port_block<'a>(fields: &Fields<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    let action = match (
        message_id(fields.value(slot::LOGID).text()),
        fields.value(slot::ACTION).text(),
    ) {
        (b"22015", b"pba-close" | b"pba-interim") | (b"22016", b"pba-create" | b"pba-interim") => {
            return Err(DecodeError::Malformed);
        }
        (b"22015", _) | (b"", b"pba-create") => Action::Created,
        (b"22016", _) | (b"", b"pba-close") => Action::Deleted,
        (b"22024", _) | (b"", b"pba-interim") => Action::Updated,
        (b"22013" | b"22014", _) => return Ok(Err(Ignored::ResourceAlarm)),
        _ => return Ok(Err(Ignored::NotAMapping)),
    };
    let inside = fields.value(slot::SADDR).required()?.address()?;
    let outside = fields.value(slot::NAT).required()?.address()?;
    let ports = (
        fields.value(slot::PORTBEGIN).required()?.port()?,
        fields.value(slot::PORTEND).required()?.port()?,
    );
    if ports.1 < ports.0 {
        return Err(DecodeError::BadRange);
    }
    let mut event = Event::new(Kind::Block, action, inside, Some(outside));
    (event.start_port, event.end_port) = (Some(ports.0), Some(ports.1));
    // The unit of its duration is not documented: it must be said.
    let unit = header.said.and_then(|said| said.dialects.fortinet_pba_duration);
    let duration_ns = match unit {
        Some(unit) if action == Action::Deleted && !fields.value(slot::DURATION).is_absent() => {
            fields.value(slot::DURATION).count()?.checked_mul(unit.ns())
        }
        _ => None,
    };
    finish(event, fields, header, duration_ns).map(Ok)
}

/// A session of the traffic log.
fn traffic<'a>(fields: &Fields<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    let how = fields.value(slot::TRANDISP).text();
    let has = |word: &[u8]| how.windows(word.len()).any(|part| part == word);
    let nat_source = if has(b"snat") {
        end_or_none(fields.value(slot::TRANSIP), fields.value(slot::TRANSPORT))?
    } else {
        None
    };
    let nat_destination = if has(b"dnat") {
        end_or_none(fields.value(slot::TRANIP), fields.value(slot::TRANPORT))?
    } else {
        None
    };
    if nat_source.is_none() && nat_destination.is_none() {
        return Ok(Err(Ignored::NotTranslated));
    }
    let action = match (
        message_id(fields.value(slot::LOGID).text()),
        fields.value(slot::ACTION).text(),
    ) {
        (_, b"deny" | b"blocked") => return Ok(Err(Ignored::NotAMapping)),
        (b"00013", b"start") => Action::Created,
        (b"00013", _) => Action::Deleted,
        // Statistics of a session that goes on.
        (b"00020", _) => Action::Updated,
        _ => return Ok(Err(Ignored::NotAMapping)),
    };
    let source = end(fields.value(slot::SRCIP), fields.value(slot::SRCPORT))?;
    let destination = end(fields.value(slot::DSTIP), fields.value(slot::DSTPORT))?;
    let session = Session {
        action,
        protocol: fields.value(slot::PROTO).required()?.protocol()?,
        source,
        destination,
        nat_source: nat_source.unwrap_or(source),
        nat_destination: nat_destination.unwrap_or(destination),
    };
    let Some(event) = session.event() else {
        return Ok(Err(Ignored::NotTranslated));
    };
    let duration_ns = if fields.value(slot::DURATION).is_absent() || action == Action::Created {
        None
    } else {
        seconds(fields.value(slot::DURATION).count()?)
    };
    finish(event, fields, header, duration_ns).map(Ok)
}

/// The last five digits of a log's number.
fn message_id(logid: &[u8]) -> &[u8] {
    logid.get(logid.len().saturating_sub(5)..).unwrap_or_default()
}

fn end(ip: Value<'_>, port: Value<'_>) -> Result<End, DecodeError> {
    Ok((ip.required()?.address()?, port.required()?.port()?))
}

/// A translated end; `None` where address or port say that it is not.
fn end_or_none(ip: Value<'_>, port: Value<'_>) -> Result<Option<End>, DecodeError> {
    Ok(remote_or_none(ip, port)?.filter(|&(_, port)| port != 0))
}

/// The same for a remote end, where ICMP has port 0.
fn remote_or_none(ip: Value<'_>, port: Value<'_>) -> Result<Option<End>, DecodeError> {
    let (ip, port) = (ip.required()?.address_or_none()?, port.required()?.port()?);
    Ok(ip.map(|ip| (ip, port)))
}

/// Gives an event what all of them have.
fn finish<'a>(
    mut event: Event<'a>,
    fields: &Fields<'a>,
    header: &Header,
    duration_ns: Option<i64>,
) -> Result<Event<'a>, DecodeError> {
    event.vrf = fields.value(slot::VD).name()?;
    event.subscriber = fields.value(slot::USER).escaped_name()?;
    header.stamp(&mut event);
    if let Some(time_ns) = event_time(fields, header)? {
        event.time_ns = Some(time_ns);
        event.time_source = TimeSource::DeviceEvent;
    }
    if let (Some(end_ns), Some(duration_ns @ 1..)) = (event.time_ns, duration_ns) {
        event.mapping_start_ns = Some(end_ns.checked_sub(duration_ns).ok_or(DecodeError::BadTime)?);
    }
    Ok(event)
}

/// The time of a record, if it is absolute.
fn event_time(fields: &Fields<'_>, header: &Header) -> Result<Option<i64>, DecodeError> {
    if !fields.value(slot::EVENTTIME).is_absent() {
        let count = fields.value(slot::EVENTTIME).count()?;
        return match fields.value(slot::EVENTTIME).text().len() {
            ..=11 => seconds(count).map(Some).ok_or(DecodeError::BadTime),
            18.. => Ok(Some(count)),
            _ => Err(DecodeError::BadTime),
        };
    }
    // `2026-02-03`, `10:11:12`, `+0000`.
    if let (Some(said), b"") = (header.said, fields.value(slot::TZ).text()) {
        return Ok(local_time(
            said,
            fields.value(slot::DATE).text(),
            fields.value(slot::TIME).text(),
        ));
    }
    let (Some(date), Some(clock), Some([sign, h1, h0, m1, m0])) = (
        fields.value(slot::DATE).text().as_array::<10>(),
        fields.value(slot::TIME).text().as_array::<8>(),
        fields.value(slot::TZ).text().as_array::<5>(),
    ) else {
        return Ok(None);
    };
    let mut text = *b"0000-00-00T00:00:00+00:00";
    text[..10].copy_from_slice(date);
    text[11..19].copy_from_slice(clock);
    text[19..].copy_from_slice(&[*sign, *h1, *h0, b':', *m1, *m0]);
    Ok(time::rfc5424(&text))
}

/// `2026-02-03` and `10:11:12` on the clock of an exporter whose zone is said.
#[cold]
fn local_time(said: &Said<'_>, date: &[u8], clock: &[u8]) -> Option<i64> {
    let mut text = *b"0000-00-00 00:00:00";
    text[..10].copy_from_slice(date.as_array::<10>()?);
    text[11..].copy_from_slice(clock.as_array::<8>()?);
    said.moment_of(&text)
}
