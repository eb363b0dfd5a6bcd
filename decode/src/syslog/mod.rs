//! Syslog messages of NAT devices.
//!
//! - [`frame`]: padding, PRI, and the header's time;
//! - [`mark`]: which vendor's text it is, and where it begins;
//! - [`pairs`], [`keys`], [`json`], [`session`]: what several vendors' texts have in common;
//! - one module per vendor, each with the same two functions: `claims` says whether a text has the vendor's own marks
//!   (cheap and strict: no line of another vendor has them), `decode` gives its events to a sink, all or none.

mod a10;
mod f5_bigip;
mod fortinet;
mod frame;
mod json;
mod juniper_ms;
mod juniper_srx;
mod junos;
mod keys;
mod mark;
mod nfware;
mod pairs;
mod paloalto;
mod session;
mod sixwind;

use event::Event;

use crate::{DecodeError, Outcome, Profile, bytes};

/// Longest message that is decoded, in octets. RFC 5424 section 6.1 asks for 2,048.
pub const MAX_LINE_BYTES: usize = 8192;

/// Decodes one message and gives its events to `sink`.
///
/// `message` is one datagram's payload, or one line: blanks around it, trailing NUL, CR and LF, and the `#000`,
/// `#012`, `#015` that relays write for those are stripped.
/// On `Err` nothing went to the sink.
#[inline]
pub fn decode(
    profile: Profile,
    message: &[u8],
    mut sink: impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    if message.len() > MAX_LINE_BYTES {
        return Err(DecodeError::TooLong);
    }
    let message = frame::strip(message);
    if message.is_empty() {
        return Err(DecodeError::Empty);
    }
    if !bytes::is_ascii(message) && str::from_utf8(message).is_err() {
        return Err(DecodeError::NotUtf8);
    }
    let frame = frame::read(message);
    let (profile, at) = match profile {
        Profile::Auto => mark::find(frame.text).ok_or(DecodeError::UnknownFormat)?,
        profile => (profile, 0),
    };
    let (text, header) = (&frame.text[at..], &frame.header);
    match profile {
        Profile::Auto => Err(DecodeError::UnknownFormat),
        Profile::Nfware => nfware::decode(text, header, &mut sink),
        Profile::JuniperSrx => juniper_srx::decode(text, header, &mut sink),
        Profile::F5BigIp => f5_bigip::decode(text, header, &mut sink),
        Profile::A10 => a10::decode(text, header, &mut sink),
        Profile::SixWind => sixwind::decode(text, header, &mut sink),
        Profile::Fortinet => fortinet::decode(text, header, &mut sink),
        Profile::PaloAlto => paloalto::decode(text, header, &mut sink),
        Profile::JuniperMs => juniper_ms::decode(text, header, &mut sink),
    }
}
