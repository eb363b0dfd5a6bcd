//! Port blocks, as all Junos NAT services report them.

use std::net::IpAddr;

use event::{Action, Event, Kind, TimeSource};

use super::frame::Header;
use crate::DecodeError;
use crate::bytes::{Cursor, hexadecimal};
use crate::time::seconds;

/// Hexadecimal digits of a time after 1978: fewer are what is left of one.
const EPOCH_DIGITS_MIN: usize = 8;

/// What a message of the port block allocation (PBA) says. Blocks hold for all protocols.
#[derive(Debug)]
pub(super) struct Block {
    pub action: Action,
    pub inside: IpAddr,
    pub outside: IpAddr,
    pub ports: (u16, u16),
    pub epoch_ns: Option<i64>,
}

impl Block {
    pub(super) fn event<'a>(&self, header: &Header) -> Result<Event<'a>, DecodeError> {
        let (start, end) = self.ports;
        if end < start {
            return Err(DecodeError::BadRange);
        }
        let mut event = Event::new(Kind::Block, self.action, self.inside, Some(self.outside));
        (event.start_port, event.end_port) = (Some(start), Some(end));
        header.stamp(&mut event);
        if self.action == Action::Updated {
            // In an INTERIM the epoch is still that of the allocation.
            event.mapping_start_ns = self.epoch_ns.filter(|_| self.epoch_ns != header.time_ns);
        } else if self.epoch_ns.is_some() {
            // The header is local time on some releases, hours off; the epoch is UTC.
            event.time_ns = self.epoch_ns;
            event.time_source = TimeSource::DeviceEvent;
        }
        Ok(event)
    }
}

/// Hexadecimal Unix seconds as ns.
pub(super) fn epoch_ns(text: &[u8]) -> Result<i64, DecodeError> {
    let s = hexadecimal(text).and_then(|s| i64::try_from(s).ok());
    s.and_then(seconds).ok_or(DecodeError::BadTime)
}

/// Takes the digits behind a `0x`, which have no end mark.
pub(super) fn take_epoch_ns(text: &mut Cursor<'_>) -> Result<i64, DecodeError> {
    let digits = text.token();
    if digits.len() < EPOCH_DIGITS_MIN {
        return Err(DecodeError::Truncated);
    }
    epoch_ns(digits)
}
