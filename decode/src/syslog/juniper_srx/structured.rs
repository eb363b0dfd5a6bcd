//! Structured data (RFC 5424 section 6.3), read by key: releases differ in order and number of the parameters.

use event::Action;
use wide::u8x16;

use super::quotes::Quotes;
use super::{Found, Session, Tag, block_action, session_action, whole_seconds};
use crate::DecodeError;
use crate::bytes::Cursor;
use crate::syslog::frame::Header;
use crate::syslog::junos::{Block, epoch_ns};
use crate::syslog::{pairs, session};
use crate::value::Value;

/// Longest PARAM-NAME (RFC 5424 section 6.3.3) that is looked at in one go.
const NAME_BYTES_MAX: usize = 32;

/// Decodes what follows the `[` of the first element.
pub(super) fn decode<'a>(tag: Tag, rest: Cursor<'a>, header: &Header) -> Result<Found<'a>, DecodeError> {
    if let Some(action) = session_action(tag) {
        let mut fields = SessionFields::default();
        read(rest.rest(), &mut fields)?;
        return session(&fields, action, tag == Tag::SessionClose)?.found(header);
    }
    let mut fields = BlockFields::default();
    read(rest.rest(), &mut fields)?;
    let epoch = fields.epoch_time_64;
    Block {
        action: block_action(tag),
        inside: fields.internal_ip.required()?.address()?,
        outside: fields.reflexive_ip.required()?.address()?,
        ports: (
            fields.block_port_low.required()?.port()?,
            fields.block_port_high.required()?.port()?,
        ),
        epoch_ns: if epoch.is_absent() {
            None
        } else {
            Some(epoch_ns(epoch.text())?)
        },
    }
    .event(header)
    .map(Found::Event)
}

fn session<'a>(fields: &SessionFields<'a>, action: Action, close: bool) -> Result<Session<'a>, DecodeError> {
    let end = |ip: Value<'_>, port: Value<'_>| Ok((ip.required()?.address()?, port.required()?.port()?));
    let destination = end(fields.destination_address, fields.destination_port)?;
    let absent = |value: Value<'_>| value.is_absent() || value.text() == b"N/A";
    let (nat_ip, nat_port) = (fields.nat_destination_address, fields.nat_destination_port);
    // Most destinations are not translated: comparing texts spares reading the same numbers again.
    let same = nat_ip.text() == fields.destination_address.text()
        && nat_port.text() == fields.destination_port.text();
    let nat_destination = if same || absent(nat_ip) && absent(nat_port) {
        destination
    } else {
        end(nat_ip, nat_port)?
    };
    let elapsed = fields.elapsed_time.text();
    let ends = session::Session {
        action,
        protocol: fields.protocol_id.required()?.protocol()?,
        source: end(fields.source_address, fields.source_port)?,
        destination,
        nat_source: end(fields.nat_source_address, fields.nat_source_port)?,
        nat_destination,
    };
    Ok(Session {
        ends,
        username: fields.username.escaped_name()?,
        elapsed_s: if close && !matches!(elapsed, b"" | b"N/A") {
            Some(whole_seconds(elapsed)?)
        } else {
            None
        },
    })
}

/// The parameters that an event needs.
trait Fields<'a> {
    /// Where the value of `key` goes; `None` if it is of no use.
    fn slot(&mut self, key: &[u8]) -> Option<&mut Value<'a>>;
}

#[derive(Default)]
struct SessionFields<'a> {
    source_address: Value<'a>,
    source_port: Value<'a>,
    destination_address: Value<'a>,
    destination_port: Value<'a>,
    nat_source_address: Value<'a>,
    nat_source_port: Value<'a>,
    nat_destination_address: Value<'a>,
    nat_destination_port: Value<'a>,
    protocol_id: Value<'a>,
    username: Value<'a>,
    elapsed_time: Value<'a>,
}

impl<'a> Fields<'a> for SessionFields<'a> {
    #[inline]
    fn slot(&mut self, key: &[u8]) -> Option<&mut Value<'a>> {
        // By length first: most keys are none of these, and one comparison tells.
        Some(match key.len() {
            8 if key == b"username" => &mut self.username,
            11 if key == b"source-port" => &mut self.source_port,
            11 if key == b"protocol-id" => &mut self.protocol_id,
            12 if key == b"elapsed-time" => &mut self.elapsed_time,
            14 if key == b"source-address" => &mut self.source_address,
            15 if key == b"nat-source-port" => &mut self.nat_source_port,
            16 if key == b"destination-port" => &mut self.destination_port,
            18 if key == b"nat-source-address" => &mut self.nat_source_address,
            19 if key == b"destination-address" => &mut self.destination_address,
            20 if key == b"nat-destination-port" => &mut self.nat_destination_port,
            23 if key == b"nat-destination-address" => &mut self.nat_destination_address,
            _ => return None,
        })
    }
}

#[derive(Default)]
struct BlockFields<'a> {
    internal_ip: Value<'a>,
    reflexive_ip: Value<'a>,
    block_port_low: Value<'a>,
    block_port_high: Value<'a>,
    epoch_time_64: Value<'a>,
}

impl<'a> Fields<'a> for BlockFields<'a> {
    #[inline]
    fn slot(&mut self, key: &[u8]) -> Option<&mut Value<'a>> {
        Some(match key {
            b"internal-ip" => &mut self.internal_ip,
            b"reflexive-ip" => &mut self.reflexive_ip,
            b"block-port-low" => &mut self.block_port_low,
            b"block-port-high" => &mut self.block_port_high,
            b"epoch-time-64" => &mut self.epoch_time_64,
            _ => return None,
        })
    }
}

/// Reads elements up to their end: `[id key="value" …]`, where the id may be absent (printed examples) and further
/// elements may follow (relays add theirs). A parameter that is needed and comes twice is an error.
#[inline]
fn read<'a>(text: &'a [u8], fields: &mut impl Fields<'a>) -> Result<(), DecodeError> {
    let mut quotes = Quotes::new();
    let mut places = quotes.of(text).ok_or(DecodeError::Malformed)?;
    // Where the next key begins.
    let mut at = element(text, 0)?;
    loop {
        let [open, close, rest @ ..] = places else {
            return Err(DecodeError::Truncated);
        };
        places = rest;
        let (open, mut close) = (usize::from(*open), usize::from(*close));
        let Some([key @ .., b'=']) = text.get(at..open) else {
            return Err(DecodeError::Malformed);
        };
        let tail = text.get(open + 1..).unwrap_or_default();
        while pairs::is_escaped(tail, close - open - 1) {
            let [next, rest @ ..] = places else {
                return Err(DecodeError::Truncated);
            };
            places = rest;
            close = usize::from(*next);
        }
        if let Some(slot) = fields.slot(key) {
            if !slot.is_absent() {
                return Err(DecodeError::Malformed);
            }
            *slot = Value::new(tail, close - open - 1);
        } else if !is_name(&text[at..], key.len()) {
            return Err(DecodeError::Malformed);
        }
        at = close + 2;
        match text.get(close + 1) {
            Some(b' ') => {}
            Some(b']') => match text.get(at) {
                Some(b'[') => at = element(text, at + 1)?,
                _ => return end(Cursor::new(text.get(at..).unwrap_or_default())),
            },
            Some(_) => return Err(DecodeError::Malformed),
            None => return Err(DecodeError::Truncated),
        }
    }
}

/// Goes past the id of an element that begins at `at`, if it has one: where the first key is.
fn element(text: &[u8], at: usize) -> Result<usize, DecodeError> {
    let rest = text.get(at..).unwrap_or_default();
    match rest
        .iter()
        .position(|byte| matches!(byte, b'=' | b' ' | b']' | b'"'))
    {
        Some(length) if rest[length] == b' ' => Ok(at + length + 1),
        Some(length) if rest[length] == b'=' => Ok(at),
        Some(_) => Err(DecodeError::Malformed),
        None => Err(DecodeError::Truncated),
    }
}

/// Whether the first `length` octets of `text` can be a PARAM-NAME (RFC 5424: up to 32 octets): without a blank, behind
/// which another key might hide.
#[inline]
fn is_name(text: &[u8], length: usize) -> bool {
    let Some(chunk) = text
        .first_chunk::<NAME_BYTES_MAX>()
        .filter(|_| length <= NAME_BYTES_MAX)
    else {
        return text.iter().take(length).all(|&octet| octet > b' ') && length != 0;
    };
    // All at once: octet by octet this took a third of the whole decoding.
    let (parts, _) = chunk.as_chunks::<16>();
    let blanks = |part: &[u8; 16]| {
        let octets = u8x16::new(*part);
        octets.min(u8x16::splat(b' ')).simd_eq(octets).to_bitmask()
    };
    let first_blank = (blanks(&parts[0]) | blanks(&parts[1]) << 16).trailing_zeros() as usize;
    first_blank >= length && length != 0
}

/// What may follow the last element: nothing, or the same in running text, which Junos adds unless it is told to be
/// brief.
fn end(rest: Cursor<'_>) -> Result<(), DecodeError> {
    let known: [&[u8]; 5] = [
        b" session created ",
        b" session closed ",
        b" Subscriber ",
        b" Prefix ",
        b" prefix ",
    ];
    if rest.is_empty() || known.iter().any(|begin| rest.rest().starts_with(begin)) {
        Ok(())
    } else {
        Err(DecodeError::Malformed)
    }
}
