//! Syslog messages of NAT devices.
//!
//! - [`frame`]: padding, PRI, and the header's time;
//! - [`mark`]: which vendor's text it is, and where it begins;
//! - [`tuples`]: which ends a connection's two tuples name;
//! - [`nfware`], [`juniper_srx`] and so on: the vendors' grammars.

mod cisco_ios_xe;
mod cisco_ios_xr;
mod conntrack;
mod danos;
mod frame;
mod h3c;
mod huawei;
mod jool;
mod juniper_srx;
mod mark;
mod mikrotik;
mod nfware;
mod tuples;
mod ulogd;
mod vpp;
mod vyos;

use event::{Event, Text, TimeSource};

use crate::{DecodeError, Ignored, Outcome, Profile, search};
use mark::Mark;

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
    let (message, is_whole) = utf8_part(message);
    let frame::Frame { header, text } = frame::read(message);
    let sink = &mut sink;
    if let Some(mark) = mark::find(profile, text).filter(|_| is_whole) {
        let found = match mark {
            Mark::Nfware(text) => nfware::decode(text, header.time_ns),
            Mark::Junos { tag, rest } => juniper_srx::decode(tag, rest, header.time_ns),
        };
        return match found? {
            Found::Event(event) => Ok(one(&event, sink)),
            Found::Ignored(why) => Ok(Outcome::Ignored(why)),
        };
    }
    let format = format_of(profile, text);
    // What IOS-XE leaves behind its event is not always text.
    if !is_whole && format != Some(Profile::CiscoIosXe) {
        return Err(DecodeError::NotUtf8);
    }
    match format.ok_or(DecodeError::UnknownFormat)? {
        Profile::Auto | Profile::Nfware | Profile::JuniperSrx => Err(DecodeError::UnknownFormat),
        Profile::CiscoIosXe => cisco_ios_xe::decode(text, &header, sink),
        Profile::CiscoIosXr => cisco_ios_xr::decode(text, &header, sink),
        Profile::Huawei => huawei::decode(text, &header, sink),
        Profile::H3c => h3c::decode(text, &header, sink),
        Profile::Mikrotik => mikrotik::decode(text, &header, sink),
        Profile::Ulogd => ulogd::decode(text, &header, sink),
        Profile::Conntrack => conntrack::decode(text, &header, sink),
        Profile::Vpp => vpp::decode(text, &header, sink),
        Profile::Jool => jool::decode(text, &header, sink),
        Profile::Danos => danos::decode(text, &header, sink),
        Profile::Vyos => vyos::decode(text, &header, sink),
    }
}

/// The order in which formats are asked for their marks. Those whose lines quote what users may choose (names of users
/// and interfaces) are first, so that nobody can pose as another device in them.
const AUTO: [Profile; 11] = [
    Profile::CiscoIosXe,
    Profile::Mikrotik,
    Profile::CiscoIosXr,
    Profile::Huawei,
    Profile::H3c,
    Profile::Ulogd,
    Profile::Conntrack,
    Profile::Vpp,
    Profile::Jool,
    Profile::Danos,
    Profile::Vyos,
];

/// Which of the formats that `profile` admits claims the text, apart from those of [`mark`].
#[inline]
fn format_of(profile: Profile, text: &[u8]) -> Option<Profile> {
    if profile == Profile::Auto {
        AUTO.into_iter().find(|&profile| claims(profile, text))
    } else {
        claims(profile, text).then_some(profile)
    }
}

/// Whether a text has the own marks of a format.
#[inline]
fn claims(profile: Profile, text: &[u8]) -> bool {
    match profile {
        Profile::Auto | Profile::Nfware | Profile::JuniperSrx => false,
        Profile::CiscoIosXe => cisco_ios_xe::claims(text),
        Profile::CiscoIosXr => cisco_ios_xr::claims(text),
        Profile::Huawei => huawei::claims(text),
        Profile::H3c => h3c::claims(text),
        Profile::Mikrotik => mikrotik::claims(text),
        Profile::Ulogd => ulogd::claims(text),
        Profile::Conntrack => conntrack::claims(text),
        Profile::Vpp => vpp::claims(text),
        Profile::Jool => jool::claims(text),
        Profile::Danos => danos::claims(text),
        Profile::Vyos => vyos::claims(text),
    }
}

/// What of a message is UTF-8, and whether that is all of it.
fn utf8_part(message: &[u8]) -> (&[u8], bool) {
    if message.is_ascii() {
        return (message, true);
    }
    match str::from_utf8(message) {
        Ok(_) => (message, true),
        Err(error) => (&message[..error.valid_up_to()], false),
    }
}

/// Gives a message's only event to the sink.
fn one(event: &Event<'_>, sink: &mut impl FnMut(&Event<'_>)) -> Outcome {
    sink(event);
    Outcome::Events(1)
}

/// What a message of these vendors holds: never more than one event.
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for the length of one call"
)]
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Event(Event<'a>),
    Ignored(Ignored),
}

/// Whether what stands before `behind`, which ends the text, may be a header and a format's mark. Behind the mark of a
/// MikroTik line are the names of interfaces, which users may choose: one of them must not pose as another device.
fn has_header(text: &[u8], behind: &[u8]) -> bool {
    let before = text
        .len()
        .checked_sub(behind.len())
        .and_then(|length| text.get(..length));
    before.is_some_and(|before| search::find(before, b": in:").is_none())
}

/// A name as the device wrote it, without escapes.
fn plain(raw: &[u8]) -> Result<Text<'_>, DecodeError> {
    let text = str::from_utf8(raw).map_err(|_| DecodeError::NotUtf8)?;
    if raw.contains(&0) {
        Err(DecodeError::Malformed)
    } else {
        Ok(Text::plain(text))
    }
}

/// Keeps the value of a field that must not be given twice.
fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), DecodeError> {
    if slot.replace(value).is_some() {
        Err(DecodeError::Malformed)
    } else {
        Ok(())
    }
}

/// Whether the event's outside end differs from its inside end.
fn is_translated(event: &Event<'_>) -> bool {
    (Some(event.src_ip), event.src_port) != (event.x_ip, event.x_port)
}

/// Gives `event` the header's time, if that is absolute.
fn stamp(event: &mut Event<'_>, header_ns: Option<i64>) {
    if header_ns.is_some() {
        event.time_ns = header_ns;
        event.time_source = TimeSource::DeviceHeader;
    }
}
