//! Records of keys and values: quoted pairs parted by commas or blanks, or a JSON object.
//!
//! | key | value |
//! |---|---|
//! | `lsn_event` | the event's name |
//! | `start`, `duration` | Unix time and length in milliseconds |
//! | `cli`, `nat` | inside and outside end, `ip:port`, perhaps with `%rd` |
//! | `ip_protocol` | name or number; may be absent |
//! | `pem_subscriber_id` | `No-lookup` is none |
//! | `lsn_client`, `lsn_pb` | of port blocks: inside address, and `outside:first-last` (not confirmed by a real line) |
//!
//! A deletion happened at `start` + `duration`. No destination is named, so an end is that of a port mapping.

use event::{Action, Event, Kind, Text, TimeSource};

use super::{Name, name, routed_address, routed_end};
use crate::DecodeError;
use crate::bytes::{Cursor, first_of};
use crate::endpoint::take_address;
use crate::syslog::frame::Header;
use crate::syslog::pairs::put;
use crate::syslog::{json, pairs, session};
use crate::value::Value;

const NS_PER_MS: i64 = 1_000_000;

/// Decodes `key="value",…`; `None` for an alarm.
pub(super) fn pairs<'a>(text: &'a [u8], header: &Header) -> Result<Option<Event<'a>>, DecodeError> {
    let mut fields = Fields::default();
    pairs::read(text, b',', |key, value| fields.put(key, value))?;
    fields.event(header)
}

/// Decodes a JSON object; `None` for an alarm. Of a subscriber's escapes, `\"` and `\\` are undone where it is stored.
pub(super) fn json<'a>(text: &'a [u8], header: &Header) -> Result<Option<Event<'a>>, DecodeError> {
    let mut fields = Fields::default();
    json::read(text, |key, value| fields.put(key, value))?;
    fields.event(header)
}

#[derive(Default)]
struct Fields<'a> {
    event: Value<'a>,
    start: Value<'a>,
    duration: Value<'a>,
    client: Value<'a>,
    nat: Value<'a>,
    protocol: Value<'a>,
    subscriber: Value<'a>,
    block_client: Value<'a>,
    block: Value<'a>,
}

impl<'a> Fields<'a> {
    #[inline]
    fn put(&mut self, key: &[u8], value: Value<'a>) -> Result<(), DecodeError> {
        let slot = match key {
            b"lsn_event" => &mut self.event,
            b"start" => &mut self.start,
            b"duration" => &mut self.duration,
            b"cli" => &mut self.client,
            b"nat" => &mut self.nat,
            b"ip_protocol" => &mut self.protocol,
            b"pem_subscriber_id" => &mut self.subscriber,
            b"lsn_client" => &mut self.block_client,
            b"lsn_pb" => &mut self.block,
            _ => return Ok(()),
        };
        put(slot, value)
    }

    fn event(&self, header: &Header) -> Result<Option<Event<'a>>, DecodeError> {
        let mut event = match name(self.event.required()?.text())? {
            Name::Alarm => return Ok(None),
            Name::Mapping(action) => self.mapping(action)?,
            Name::Block(action) => self.port_block(action)?,
        };
        if !self.protocol.is_absent() {
            event.protocol = Some(self.protocol.protocol_by_name()?);
        }
        if self.subscriber.text() != b"No-lookup" {
            event.subscriber = self.subscriber.escaped_name()?;
        }
        header.stamp(&mut event);
        self.stamp(&mut event)?;
        Ok(Some(event))
    }

    fn mapping(&self, action: Action) -> Result<Event<'a>, DecodeError> {
        let (inside, domain) = end(self.client)?;
        let (outside, _) = end(self.nat)?;
        let mut event = session::port(action, None, inside, outside);
        event.vrf = domain;
        Ok(event)
    }

    fn port_block(&self, action: Action) -> Result<Event<'a>, DecodeError> {
        let mut client = Cursor::new(self.block_client.required()?.text());
        let (inside, domain) = routed_address(&mut client)?;
        let mut block = Cursor::new(self.block.required()?.text());
        // `%rd` ends an address, and the address ends at the last colon.
        let outside = match first_of(block.rest(), *b"%") {
            length if length == block.rest().len() => take_address(&mut block)?,
            _ => routed_address(&mut block)?.0,
        };
        block.expect(b":")?;
        let start = block.port()?;
        block.expect(b"-")?;
        let end = block.port()?;
        if !client.is_empty() || !block.is_empty() {
            return Err(DecodeError::Malformed);
        }
        if end < start {
            return Err(DecodeError::BadRange);
        }
        let mut event = Event::new(Kind::Block, action, inside, Some(outside));
        (event.start_port, event.end_port) = (Some(start), Some(end));
        event.vrf = domain;
        Ok(event)
    }

    fn stamp(&self, event: &mut Event<'_>) -> Result<(), DecodeError> {
        if self.start.is_absent() {
            return Ok(());
        }
        let ns = |ms: i64| ms.checked_mul(NS_PER_MS).ok_or(DecodeError::BadTime);
        let start_ns = ns(self.start.count()?)?;
        if event.action == Action::Created {
            event.time_ns = Some(start_ns);
            event.time_source = TimeSource::DeviceEvent;
            return Ok(());
        }
        if !self.duration.is_absent() {
            let duration_ns = ns(self.duration.count()?)?;
            event.time_ns = Some(start_ns.checked_add(duration_ns).ok_or(DecodeError::BadTime)?);
            event.time_source = TimeSource::DeviceEvent;
        }
        event.mapping_start_ns = Some(start_ns).filter(|_| event.time_ns != Some(start_ns));
        Ok(())
    }
}

/// Reads all of a value as `ip:port` or `ip%domain:port`.
fn end(value: Value<'_>) -> Result<((std::net::IpAddr, u16), Option<Text<'_>>), DecodeError> {
    let mut text = Cursor::new(value.required()?.text());
    match routed_end(&mut text) {
        Ok(end) if text.is_empty() => Ok(end),
        Ok(_) => Err(DecodeError::BadPort),
        // The value has its end mark: what is wrong in it is not that the message is cut.
        Err(DecodeError::Truncated | DecodeError::Malformed) => Err(DecodeError::BadAddress),
        Err(why) => Err(why),
    }
}
