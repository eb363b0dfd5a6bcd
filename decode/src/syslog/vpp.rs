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
use super::{has_header, is_translated, one, set, stamp};
use crate::address::{self, Canonical};
use crate::bytes::Cursor;
use crate::search::{around, split_last_word};
use crate::{DecodeError, Ignored, Outcome};

/// Longest name of a parameter (RFC 5424 section 6.3.3).
const NAME_BYTES_MAX: usize = 32;

pub(super) fn claims(text: &[u8]) -> bool {
    element(text).is_some_and(|(.., cursor)| has_header(text, cursor.rest()))
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
    stamp(&mut event, header.time_ns);
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
    Some((kind, action, Cursor::new(parameters)))
}

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
            let name = name(cursor)?;
            match name {
                b"ISADDR" => set(&mut all.inside, inside(cursor)?)?,
                b"ISPORT" => set(&mut all.inside_port, cursor.port()?)?,
                b"XSADDR" => set(&mut all.outside, address::take(cursor)?)?,
                b"XSPORT" => set(&mut all.outside_port, cursor.port()?)?,
                b"XDADDR" => set(&mut all.remote, address::take(cursor)?)?,
                b"XDPORT" => set(&mut all.remote_port, cursor.port()?)?,
                b"PROTO" => set(&mut all.protocol, cursor.protocol()?)?,
                b"SVLAN" => set(&mut all.table, text(cursor)?)?,
                b"SVPN" => set(&mut all.vpn, text(cursor)?)?,
                b"SV6ENC" => match address::take(cursor)? {
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

/// Takes `NAME="`.
fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let rest = cursor.rest();
    let equals = rest
        .iter()
        .take(NAME_BYTES_MAX + 1)
        .position(|&byte| byte == b'=');
    let Some(equals) = equals else {
        return Err(if rest.len() <= NAME_BYTES_MAX {
            DecodeError::Truncated
        } else {
            DecodeError::Malformed
        });
    };
    cursor.skip(equals);
    cursor.expect(b"=\"")?;
    Ok(&rest[..equals])
}

/// Takes the inside address; of a softwire's it may be 0.0.0.0, which is none.
fn inside(cursor: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    if cursor.take(b"0.0.0.0") {
        return Ok(IpAddr::from([0; 4]));
    }
    address::take(cursor)
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
