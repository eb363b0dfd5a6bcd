//! Syslog messages of NAT devices.
//!
//! - [`frame`]: padding, PRI, and the header's time;
//! - [`mark`]: which vendor's text it is, and where it begins;
//! - [`tally`]: messages of several records;
//! - [`pairs`], [`keys`], [`fields`], [`json`], [`junos`], [`session`], [`tuples`]: what several vendors' texts have in common;
//! - one module per vendor, each with the same two functions: `claims` says whether a text has the vendor's own marks
//!   (cheap and strict: no line of another vendor has them), `decode` gives its events to a sink.

mod a10;
mod cisco_ios_xe;
mod cisco_ios_xr;
mod conntrack;
mod danos;
mod f5_bigip;
mod fields;
mod fortinet;
pub(crate) mod frame;
mod h3c;
mod huawei;
mod jool;
mod json;
mod juniper_ms;
mod juniper_srx;
mod junos;
mod keys;
mod mark;
mod mikrotik;
mod nfware;
mod pairs;
mod paloalto;
pub(crate) mod session;
mod sixwind;
mod tally;
mod tuples;
mod ulogd;
mod vpp;
mod vyos;

use event::Event;

use crate::said::Said;
use crate::{DecodeError, Outcome, Profile, bytes};

/// Longest message that is decoded, in octets. RFC 5424 section 6.1 asks for 2,048.
pub const MAX_LINE_BYTES: usize = 8192;

/// Decodes one message and gives its events to `sink`.
///
/// `message` is one datagram's payload, or one line: blanks around it, trailing NUL, CR and LF, and the `#000`,
/// `#012`, `#015` that relays write for those are stripped.
/// On `Err` nothing went to the sink. A message of several records gives the events of the good ones.
#[inline]
pub fn decode(
    profile: Profile,
    message: &[u8],
    mut sink: impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    decode_stripped(profile, stripped(message)?, None, &mut sink)
}

/// The message without what senders and relays put around it.
#[inline]
pub(crate) fn stripped(message: &[u8]) -> Result<&[u8], DecodeError> {
    if message.len() > MAX_LINE_BYTES {
        return Err(DecodeError::TooLong);
    }
    let message = frame::strip(message);
    if message.is_empty() {
        return Err(DecodeError::Empty);
    }
    Ok(message)
}

/// [`decode`] for a stripped message of an exporter of which `said` is said.
#[inline]
pub(crate) fn decode_stripped<'a>(
    profile: Profile,
    message: &'a [u8],
    said: Option<&'a Said<'a>>,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (message, is_whole) = utf8_part(message);
    let frame = frame::read(message, said);
    let (profile, at) = match profile {
        Profile::Auto => mark::find(frame.text).unwrap_or((Profile::Auto, 0)),
        profile => (profile, 0),
    };
    // What IOS-XE leaves behind its event is not always text.
    if !is_whole && profile != Profile::CiscoIosXe {
        return Err(DecodeError::NotUtf8);
    }
    let (text, header) = (&frame.text[at..], &frame.header);
    match profile {
        Profile::Auto => Err(DecodeError::UnknownFormat),
        Profile::Nfware => nfware::decode(text, header, sink),
        Profile::JuniperSrx => juniper_srx::decode(text, header, sink),
        Profile::F5BigIp => f5_bigip::decode(text, header, sink),
        Profile::A10 => a10::decode(text, header, sink),
        Profile::SixWind => sixwind::decode(text, header, sink),
        Profile::Fortinet => fortinet::decode(text, header, sink),
        Profile::PaloAlto => paloalto::decode(text, header, sink),
        Profile::JuniperMs => juniper_ms::decode(text, header, sink),
        Profile::CiscoIosXe => cisco_ios_xe::decode(text, header, sink),
        Profile::CiscoIosXr => cisco_ios_xr::decode(text, header, sink),
        Profile::Huawei => huawei::decode(text, header, sink),
        Profile::H3c => h3c::decode(text, header, sink),
        Profile::Mikrotik => mikrotik::decode(text, header, sink),
        Profile::Ulogd => ulogd::decode(text, header, sink),
        Profile::Conntrack => conntrack::decode(text, header, sink),
        Profile::Vpp => vpp::decode(text, header, sink),
        Profile::Jool => jool::decode(text, header, sink),
        Profile::Danos => danos::decode(text, header, sink),
        Profile::Vyos => vyos::decode(text, header, sink),
    }
}

/// What of a message is UTF-8, and whether that is all of it.
#[inline]
fn utf8_part(message: &[u8]) -> (&[u8], bool) {
    if bytes::is_ascii(message) {
        return (message, true);
    }
    match str::from_utf8(message) {
        Ok(_) => (message, true),
        Err(error) => (&message[..error.valid_up_to()], false),
    }
}
