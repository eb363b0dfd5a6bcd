//! An address with a port.

use std::net::IpAddr;

use crate::bytes::{Cursor, first_of};
use crate::{DecodeError, address};

/// Address and port.
pub(crate) type End = (IpAddr, u16);

/// Takes `ip:port`, `ip/port` or `[ip]:port`. Of an IPv6 address without brackets the last group is the port.
///
/// [`DecodeError::Truncated`] if the text ends inside of it; what follows the port is for the caller to judge.
#[inline]
pub(crate) fn take(text: &mut Cursor<'_>) -> Result<End, DecodeError> {
    if let Some((ip, port, length)) = address::ipv4_port(text.rest(), *b":/") {
        text.skip(length);
        return Ok((address::specified(ip.into())?, port));
    }
    unusual(text)
}

/// What is no IPv4 address with a port, or why.
#[cold]
fn unusual(text: &mut Cursor<'_>) -> Result<End, DecodeError> {
    let ip = match address::ipv4(text.rest()) {
        Some((ip, length)) => {
            text.skip(length);
            address::specified(ip.into())?
        }
        None => return other(text),
    };
    match text.peek() {
        Some(b':' | b'/') => text.skip(1),
        Some(_) => return Err(DecodeError::Malformed),
        None => return Err(DecodeError::Truncated),
    }
    Ok((ip, text.port()?))
}

/// Takes an address that ends where something else than an address can go on; an IPv6 address may have brackets.
#[inline]
pub(crate) fn take_address(text: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    if let Some((ip, length)) = address::ipv4(text.rest()) {
        text.skip(length);
        return address::specified(ip.into());
    }
    if text.take(b"[") {
        return bracketed(text);
    }
    let length = run(text.rest());
    let ip = address::ipv6(&text.rest()[..length]);
    text.skip(length);
    unless_cut(ip, *text)
}

#[cold]
fn other(text: &mut Cursor<'_>) -> Result<End, DecodeError> {
    if text.take(b"[") {
        let ip = bracketed(text)?;
        if !text.take(b":") {
            text.expect(b"/")?;
        }
        return Ok((ip, text.port()?));
    }
    let length = run(text.rest());
    let (run, rest) = text.rest().split_at(length);
    text.skip(length);
    if text.peek() == Some(b'/') {
        let ip = address::ipv6(run)?;
        text.skip(1);
        return Ok((ip, text.port()?));
    }
    let Some(colon) = run.iter().rposition(|&octet| octet == b':') else {
        return unless_cut(Err(DecodeError::BadAddress), *text);
    };
    let mut port = Cursor::new(&run[colon + 1..]);
    let number = match port.port() {
        Ok(number) if port.is_empty() => number,
        _ if rest.is_empty() => return Err(DecodeError::Truncated),
        _ => return Err(DecodeError::BadPort),
    };
    Ok((unless_cut(address::ipv6(&run[..colon]), *text)?, number))
}

/// Takes what follows a `[`, up to behind the `]`.
#[cold]
fn bracketed(text: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    let length = first_of(text.rest(), [b']']);
    if length == text.rest().len() {
        return Err(DecodeError::Truncated);
    }
    let ip = address::whole(&text.rest()[..length]);
    text.skip(length + 1);
    ip
}

/// How many octets an IPv6 address, perhaps with a port, can go on.
fn run(text: &[u8]) -> usize {
    let other = |octet: &u8| !(octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.'));
    text.iter().position(other).unwrap_or(text.len())
}

/// An address that is none because the text ended is cut off.
fn unless_cut<T>(ip: Result<T, DecodeError>, rest: Cursor<'_>) -> Result<T, DecodeError> {
    match ip {
        Err(_) if rest.is_empty() => Err(DecodeError::Truncated),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_with_and_without_brackets() {
        for (text, ip, port, tail) in [
            ("10.0.0.1:80", "10.0.0.1", 80, ""),
            ("10.0.0.1/65535 x", "10.0.0.1", 65535, " x"),
            ("[2001:db8::1]:80,", "2001:db8::1", 80, ","),
            ("[10.0.0.1]/80", "10.0.0.1", 80, ""),
            ("2001:DB8::1:80 ->", "2001:db8::1", 80, " ->"),
            ("3002:0:0:0:0:0:0:17/9", "3002::17", 9, ""),
            ("3002:0:0:0:0:0:0:17:9<", "3002::17", 9, "<"),
            ("64:ff9b::192.0.2.1:53", "64:ff9b::c000:201", 53, ""),
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(take(&mut cursor), Ok((ip.parse().unwrap(), port)), "{text}");
            assert_eq!(cursor.rest(), tail.as_bytes());
        }
        for (text, expected) in [
            ("", DecodeError::Truncated),
            ("10.0.0", DecodeError::Truncated),
            ("10.0.0.1", DecodeError::Truncated),
            ("10.0.0.1:", DecodeError::Truncated),
            ("[2001:db8::1", DecodeError::Truncated),
            ("[2001:db8::1] ", DecodeError::Malformed),
            ("10.0.0.1 ", DecodeError::Malformed),
            ("10.0.0.1:99999", DecodeError::BadPort),
            ("0.0.0.0:1", DecodeError::BadAddress),
            ("x:1", DecodeError::BadAddress),
            ("2001:db8::1:x", DecodeError::BadPort),
            ("2001:db8::1:99999 ", DecodeError::BadPort),
            ("1:2:3:4 ", DecodeError::BadAddress),
        ] {
            assert_eq!(take(&mut Cursor::new(text.as_bytes())), Err(expected), "{text}");
        }
    }

    #[test]
    fn addresses_alone() {
        for (text, ip, tail) in [
            ("10.0.0.1, x", "10.0.0.1", ", x"),
            ("2001:db8::1 x", "2001:db8::1", " x"),
            ("[2001:db8::1]-", "2001:db8::1", "-"),
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(take_address(&mut cursor), Ok(ip.parse().unwrap()), "{text}");
            assert_eq!(cursor.rest(), tail.as_bytes());
        }
        assert_eq!(
            take_address(&mut Cursor::new(b", x")),
            Err(DecodeError::BadAddress)
        );
        assert_eq!(
            take_address(&mut Cursor::new(b"2001:")),
            Err(DecodeError::Truncated)
        );
    }
}
