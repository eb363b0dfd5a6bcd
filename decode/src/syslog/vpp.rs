//! FD.io VPP, and what it writes of draft-ietf-behave-syslog-nat-logging-06.
//!
//! ```text
//! 1 TIMESTAMP HOST NAT PROCID SADD|SDEL [nsess SSUBIX="…" SVLAN="…" IATYP="IPv4" ISADDR="…" ISPORT="…" XATYP="IPv4"
//!     XSADDR="…" XSPORT="…" PROTO="…" XDADDR="…" XDPORT="…"[ IDADDR="…" IDPORT="…"]]
//! 1 TIMESTAMP HOST NAT PROCID APMADD|APMDEL [napmap SSUBIX="…" SVLAN="…"|SV6ENC="…" … PROTO="…"]
//! ```
//!
//! Parameters are read by name. `nsess` is a session, `napmap` a port mapping. `SVLAN` is the number of the routing
//! table; where there is none, the draft's `SVPN` is taken. `SV6ENC` is the softwire of DS-Lite: the subscriber, and the
//! inside end itself where no inner address is given. The remote end is the one outside (`XDADDR`): with twice-NAT,
//! `IDADDR` is what the inside takes it for.
//!
//! VPP cuts its messages at 480 octets by default and does not say so: only `]` ends an element.
//!
//! An escape (RFC 5424 section 6.3.3) in a table's name stays in the text until it is stored.

use std::net::{IpAddr, Ipv6Addr};

use event::{Action, Event, Kind, Text};

use super::frame::Header;
use super::mark::has_header;
use super::session::{is_translated, one};
use crate::address::Canonical;
use crate::bytes::Cursor;
use crate::search::{around, split_last_word};
use crate::value::set;
use crate::{DecodeError, Ignored, Outcome, endpoint};

/// Longest name of a parameter (RFC 5424 section 6.3.3).
const NAME_BYTES_MAX: usize = 32;

/// Longest name of a parameter that is read.
const OWN_NAME_BYTES_MAX: usize = 6;

pub(super) fn claims(text: &[u8]) -> bool {
    element(text).is_some()
}

pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let (kind, action, mut cursor) = element(text).ok_or(DecodeError::UnknownFormat)?;
    let parameters = Parameters::take(&mut cursor)?;
    // Another element or a MSG may follow, but nothing else.
    if !matches!(cursor.peek(), None | Some(b' ' | b'[')) {
        return Err(DecodeError::Malformed);
    }
    let (src_ip, softwire) = parameters.inside()?;
    let softwire = softwire.map(Canonical::of);
    let outside = parameters.outside.ok_or(DecodeError::MissingField)?;
    let mut event = Event::new(kind, action, src_ip, Some(outside));
    event.subscriber = softwire.as_ref().map(|softwire| Text::plain(softwire.as_str()));
    event.vrf = parameters.table.or(parameters.vpn);
    event.protocol = Some(parameters.protocol.ok_or(DecodeError::MissingField)?);
    event.src_port = Some(parameters.inside_port.ok_or(DecodeError::MissingField)?);
    event.x_port = Some(parameters.outside_port.ok_or(DecodeError::MissingField)?);
    if kind == Kind::Session {
        event.dst_ip = Some(parameters.remote.ok_or(DecodeError::MissingField)?);
        event.dst_port = Some(parameters.remote_port.ok_or(DecodeError::MissingField)?);
    }
    header.stamp(&mut event);
    if is_translated(&event) {
        Ok(one(&event, sink))
    } else {
        Ok(Outcome::Ignored(Ignored::NotTranslated))
    }
}

/// The first element that is a mapping: its kind, its action, and what stands behind its name.
fn element(text: &[u8]) -> Option<(Kind, Action, Cursor<'_>)> {
    let (before, name) = around(text, b" [n")?;
    let (_, msgid) = split_last_word(before);
    let (kind, parameters) = match name {
        [b's', b'e', b's', b's', b' ', rest @ ..] => (Kind::Session, rest),
        [b'a', b'p', b'm', b'a', b'p', b' ', rest @ ..] => (Kind::Port, rest),
        _ => return None,
    };
    let action = match (kind, msgid) {
        (Kind::Session, b"SADD") | (Kind::Port, b"APMADD") => Action::Created,
        (Kind::Session, b"SDEL") | (Kind::Port, b"APMDEL") => Action::Deleted,
        _ => return None,
    };
    has_header(text, parameters).then_some((kind, action, Cursor::new(parameters)))
}

// Names of parameters.
const ISADDR: u64 = word(b"ISADDR");
const ISPORT: u64 = word(b"ISPORT");
const XSADDR: u64 = word(b"XSADDR");
const XSPORT: u64 = word(b"XSPORT");
const XDADDR: u64 = word(b"XDADDR");
const XDPORT: u64 = word(b"XDPORT");
const PROTO: u64 = word(b"PROTO");
const SVLAN: u64 = word(b"SVLAN");
const SVPN: u64 = word(b"SVPN");
const SV6ENC: u64 = word(b"SV6ENC");

#[derive(Default)]
struct Parameters<'a> {
    table: Option<Text<'a>>,
    vpn: Option<Text<'a>>,
    softwire: Option<Ipv6Addr>,
    inside: Option<IpAddr>,
    inside_port: Option<u16>,
    outside: Option<IpAddr>,
    outside_port: Option<u16>,
    remote: Option<IpAddr>,
    remote_port: Option<u16>,
    protocol: Option<u8>,
}

impl<'a> Parameters<'a> {
    /// Takes the parameters of an element and the `]` that ends it.
    fn take(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        loop {
            while cursor.take(b" ") {}
            if cursor.take(b"]") {
                return Ok(all);
            }
            match take_name(cursor)? {
                ISADDR => set(&mut all.inside, inside(cursor)?)?,
                ISPORT => set(&mut all.inside_port, cursor.port()?)?,
                XSADDR => set(&mut all.outside, endpoint::take_address(cursor)?)?,
                XSPORT => set(&mut all.outside_port, cursor.port()?)?,
                XDADDR => set(&mut all.remote, endpoint::take_address(cursor)?)?,
                XDPORT => set(&mut all.remote_port, cursor.port()?)?,
                PROTO => set(&mut all.protocol, cursor.protocol()?)?,
                SVLAN => set(&mut all.table, text(cursor)?)?,
                SVPN => set(&mut all.vpn, text(cursor)?)?,
                SV6ENC => match endpoint::take_address(cursor)? {
                    IpAddr::V6(softwire) => set(&mut all.softwire, softwire)?,
                    IpAddr::V4(_) => return Err(DecodeError::BadAddress),
                },
                _ => {
                    raw(cursor)?;
                }
            }
            cursor.expect(b"\"")?;
        }
    }

    /// The inside address, and the softwire if that is another.
    fn inside(&self) -> Result<(IpAddr, Option<Ipv6Addr>), DecodeError> {
        match (self.inside.filter(|ip| !ip.is_unspecified()), self.softwire) {
            (Some(inside), softwire) => Ok((inside, softwire)),
            (None, Some(softwire)) => Ok((softwire.into(), None)),
            (None, None) if self.inside.is_some() => Err(DecodeError::BadAddress),
            (None, None) => Err(DecodeError::MissingField),
        }
    }
}

/// Takes `NAME="`: the name as a [`word`], 0 if it is longer than those that are read.
fn take_name(cursor: &mut Cursor<'_>) -> Result<u64, DecodeError> {
    let rest = cursor.rest();
    let name = &rest[..rest.len().min(NAME_BYTES_MAX + 1)];
    let length = name.iter().position(|&byte| byte == b'=');
    let Some(length) = length else {
        return Err(if rest.len() <= NAME_BYTES_MAX {
            DecodeError::Truncated
        } else {
            DecodeError::Malformed
        });
    };
    cursor.skip(length);
    cursor.expect(b"=\"")?;
    // Behind a name that is read stand at least two quotes and more.
    Ok(match rest.first_chunk::<8>() {
        Some(begin) if length <= OWN_NAME_BYTES_MAX => u64::from_be_bytes(*begin)
            .checked_shr(64 - 8 * length as u32)
            .unwrap_or(0),
        _ => 0,
    })
}

/// A name as a number: comparing that takes one step.
const fn word(name: &[u8]) -> u64 {
    let mut word = 0;
    let mut at = 0;
    while at < name.len() {
        word = word << 8 | name[at] as u64;
        at += 1;
    }
    word
}

/// Takes the inside address; of a softwire's it may be 0.0.0.0, which is none.
fn inside(cursor: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    if cursor.take(b"0.0.0.0") {
        return Ok(IpAddr::from([0; 4]));
    }
    endpoint::take_address(cursor)
}

/// Takes a value up to its closing quote, which stays, and tells whether it has escapes.
fn raw<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], bool), DecodeError> {
    let rest = cursor.rest();
    let mut escaped = false;
    let mut length = 0;
    loop {
        match rest.get(length).ok_or(DecodeError::Truncated)? {
            b'"' => break,
            b'\\' => {
                escaped = true;
                length += 2;
            }
            0 => return Err(DecodeError::Malformed),
            _ => length += 1,
        }
    }
    cursor.skip(length);
    Ok((rest.get(..length).ok_or(DecodeError::Truncated)?, escaped))
}

/// Takes a value as text.
fn text<'a>(cursor: &mut Cursor<'a>) -> Result<Text<'a>, DecodeError> {
    let (text, escaped) = raw(cursor)?;
    let text = str::from_utf8(text).map_err(|_| DecodeError::NotUtf8)?;
    Ok(if escaped {
        Text::escaped(text)
    } else {
        Text::plain(text)
    })
}
