//! Linux: ulogd2 with NFCT (outputs LOGEMU and SYSLOG).
//!
//! ```text
//! [NEW|UPDATE|DESTROY] ORIG: SRC=… DST=… PROTO=… SPT=… DPT=… PKTS=… BYTES=… , REPLY: SRC=… DST=… PROTO=… SPT=… DPT=… PKTS=… BYTES=…
//! ```
//!
//! The protocol is `TCP`, `UDP`, `ICMP`, `ESP`, `AH` or a number. ICMP has `TYPE` and `CODE` (exchanged by the emitter)
//! and no identifier, so such a session has no ports; others that are not TCP or UDP have none either. The counters end
//! the line: without them, it is cut off.
//!
//! Lines of the packet filter (`IN=… OUT=… SRC=… DST=… LEN=…`) show a packet before its translation: no mapping.

use std::net::IpAddr;

use event::{Action, Event};

use super::frame::Header;
use super::mark::has_header;
use super::session::one;
use super::tuples::{self, Tuple};
use crate::bytes::Cursor;
use crate::search::{around, find, trim_end};
use crate::value::set;
use crate::{DecodeError, Ignored, Outcome, endpoint, protocol};

pub(super) fn claims(text: &[u8]) -> bool {
    split(text).is_some_and(|(before, behind)| before.ends_with(b"ORIG: ") || is_packet(before, behind))
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (before, behind) = split(text).ok_or(DecodeError::UnknownFormat)?;
    let Some(before) = before.strip_suffix(b"ORIG: ") else {
        return if is_packet(before, behind) {
            Ok(Outcome::Ignored(Ignored::NotAMapping))
        } else {
            Err(DecodeError::UnknownFormat)
        };
    };
    let before = trim_end(before);
    let action = if before.ends_with(b"[NEW]") {
        Action::Created
    } else if before.ends_with(b"[UPDATE]") {
        Action::Updated
    } else if before.ends_with(b"[DESTROY]") {
        Action::Deleted
    } else {
        // The emitter leaves out what it does not know. Unknown is not created.
        return Err(DecodeError::MissingField);
    };
    let tuples = &text[text.len() - behind.len() - b"SRC=".len()..];
    let (original, reply) = around(tuples, b", REPLY: ").ok_or(DecodeError::Truncated)?;
    let (original, reply) = (Fields::read(original)?, Fields::read(reply)?);
    if !reply.is_whole {
        return Err(DecodeError::Truncated);
    }
    let protocol = original.protocol.ok_or(DecodeError::MissingField)?;
    if reply.protocol != Some(protocol) {
        return Err(DecodeError::Malformed);
    }
    let session = tuples::session(action, protocol, original.tuple()?, reply.tuple()?);
    let Some(mut event) = session else {
        return Ok(Outcome::Ignored(Ignored::NotTranslated));
    };
    header.stamp(&mut event);
    Ok(one(&event, sink))
}

/// What stands before the first `SRC=`, and what behind it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    around(text, b"SRC=").filter(|(_, behind)| has_header(text, behind))
}

/// Whether this is the packet filter's line about one packet, told by what stands around `SRC=`.
fn is_packet(before: &[u8], behind: &[u8]) -> bool {
    find(before, b"IN=").is_some() && find(before, b" OUT=").is_some() && find(behind, b" DST=").is_some()
}

/// What is said of one direction.
#[derive(Default)]
struct Fields {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<u8>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    /// Whether something stands behind what is needed, so that it cannot be cut.
    is_whole: bool,
}

impl Fields {
    fn read(text: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(text);
        let mut fields = Self::default();
        loop {
            while cursor.take(b" ") {}
            if cursor.is_empty() {
                return Ok(fields);
            }
            fields.is_whole = false;
            if cursor.take(b"SRC=") {
                set(&mut fields.source, endpoint::take_address(&mut cursor)?)?;
            } else if cursor.take(b"DST=") {
                set(&mut fields.destination, endpoint::take_address(&mut cursor)?)?;
            } else if cursor.take(b"SPT=") {
                set(&mut fields.source_port, cursor.port()?)?;
            } else if cursor.take(b"DPT=") {
                set(&mut fields.destination_port, cursor.port()?)?;
            } else if cursor.take(b"PROTO=") {
                set(&mut fields.protocol, protocol::number(cursor.token())?)?;
            } else {
                fields.is_whole = cursor.token().contains(&b'=');
            }
            if !matches!(cursor.peek(), None | Some(b' ')) {
                return Err(DecodeError::Malformed);
            }
        }
    }

    fn tuple(&self) -> Result<Tuple, DecodeError> {
        let (Some(source), Some(destination), Some(protocol)) =
            (self.source, self.destination, self.protocol)
        else {
            return Err(DecodeError::MissingField);
        };
        let ports = (self.source_port, self.destination_port);
        if matches!(ports, (None, Some(_)) | (Some(_), None))
            || protocol::has_ports(protocol) && ports.0.is_none()
        {
            return Err(DecodeError::MissingField);
        }
        Ok(Tuple {
            source: (source, ports.0),
            destination: (destination, ports.1),
        })
    }
}
