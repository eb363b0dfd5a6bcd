//! IPv4 and IPv6 addresses as text.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wide::u8x16;

use crate::DecodeError;
use crate::bytes::Cursor;

/// Longest IPv6 text: eight groups, the last two as a dotted quad.
const IPV6_TEXT_MAX: usize = 45;

/// Octets that [`ipv4`] looks at: 15 of an address, the one behind it, and 4 for whole loads.
const WINDOW: usize = 20;

/// Reads the dotted quad at the begin of `bytes`: address and length.
///
/// An octet with a leading zero is refused: some read it as octal. What follows is for the caller to judge.
#[inline]
pub(crate) fn ipv4(bytes: &[u8]) -> Option<(Ipv4Addr, usize)> {
    if let Some(window) = bytes.first_chunk::<WINDOW>() {
        return ipv4_in(window);
    }
    let mut window = [0; WINDOW];
    window[..bytes.len()].copy_from_slice(bytes);
    ipv4_in(&window)
}

/// [`ipv4`] without a branch per digit: the ends of the four octets come from one mask of non-digits, and each
/// octet is then a shifted load, whose bounds follow from its number of digits. With a branch per digit the
/// processor would have to guess the number of digits, which is random.
#[inline]
fn ipv4_in(window: &[u8; WINDOW]) -> Option<(Ipv4Addr, usize)> {
    let mut ends = non_digit_bits(window);
    let mut start = 0;
    let mut wrong = 0;
    let mut address = 0;
    for last in [false, false, false, true] {
        if last && ends == 0 {
            return None;
        }
        // The 17th bit stands for "none"; `OCTETS` refuses what comes of it. The masks below only spare checks.
        let end = (ends | 1 << 16).trailing_zeros();
        ends &= ends.wrapping_sub(1);
        let digits = end.wrapping_sub(start) & 15;
        let at = (start & 15) as usize;
        let word = u32::from_be_bytes([window[at], window[at + 1], window[at + 2], window[at + 3]]);
        let number = (word & 0x0f0f_0f0f) >> (0_u32.wrapping_sub(8 * digits) & 31);
        let (least, span) = OCTETS[digits as usize];
        wrong |= u32::from(number.wrapping_sub(least) > span);
        if !last {
            wrong |= u32::from(window[(end & 15) as usize] ^ b'.');
        }
        let value = (number >> 16) * 100 + (number >> 8 & 0xff) * 10 + (number & 0xff);
        address = address << 8 | value;
        start = end + 1;
    }
    (wrong == 0).then(|| (Ipv4Addr::from_bits(address), start as usize - 1))
}

/// The least number of so many digits and how far above it the greatest is, a digit per octet: without leading zeros,
/// up to 255. Nothing is in range where there is no such number.
const OCTETS: [(u32, u32); 16] = {
    let mut octets = [(u32::MAX, 0); 16];
    octets[1] = (0, 9);
    octets[2] = (0x0100, 0x0909 - 0x0100);
    octets[3] = (0x01_0000, 0x02_0505 - 0x01_0000);
    octets
};

/// A bit for each of the first 16 octets that is no digit.
#[inline]
fn non_digit_bits(window: &[u8; WINDOW]) -> u32 {
    let first: [u8; 16] = std::array::from_fn(|index| window[index]);
    let values = u8x16::new(first) - u8x16::splat(b'0');
    !values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() & 0xffff
}

/// Reads all of `text` as an address of either family.
pub(crate) fn whole(text: &[u8]) -> Result<IpAddr, DecodeError> {
    match ipv4(text) {
        Some((address, length)) if length == text.len() => specified(address.into()),
        _ => ipv6(text),
    }
}

/// Takes an address of either family, bare or in brackets: [`DecodeError::Truncated`] if the message ends inside it.
///
/// What stands behind it is for the caller to judge.
#[inline]
pub(crate) fn take(cursor: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    match ipv4(cursor.rest()) {
        Some((ip, length)) => {
            cursor.skip(length);
            specified(ip.into())
        }
        None => take_ipv6(cursor),
    }
}

/// An inside or outside end: address and port.
pub(crate) type End = (IpAddr, u16);

/// Takes `ip:port` or `[ip]:port`. Of a bare IPv6 address the last group is the port.
#[inline]
pub(crate) fn take_end(cursor: &mut Cursor<'_>) -> Result<End, DecodeError> {
    match ipv4(cursor.rest()) {
        Some((ip, length)) if cursor.rest().get(length) == Some(&b':') => {
            cursor.skip(length + 1);
            Ok((specified(ip.into())?, cursor.port()?))
        }
        _ => take_other_end(cursor),
    }
}

#[cold]
fn take_ipv6(cursor: &mut Cursor<'_>) -> Result<IpAddr, DecodeError> {
    let bracket = cursor.take(b"[");
    let (text, at_end) = address_text(*cursor);
    let found = ipv6(text);
    cursor.skip(text.len());
    match found {
        Err(_) if at_end => Err(DecodeError::Truncated),
        Ok(ip) if bracket => cursor.expect(b"]").map(|()| ip),
        found => found,
    }
}

#[cold]
fn take_other_end(cursor: &mut Cursor<'_>) -> Result<End, DecodeError> {
    if cursor.peek() == Some(b'[') {
        let ip = take(cursor)?;
        cursor.expect(b":")?;
        return Ok((ip, cursor.port()?));
    }
    let (text, at_end) = address_text(*cursor);
    let error = if at_end {
        DecodeError::Truncated
    } else {
        DecodeError::BadAddress
    };
    let colon = text.iter().rposition(|&byte| byte == b':').ok_or(error)?;
    let ip = whole(&text[..colon]).map_err(|_| error)?;
    cursor.skip(colon + 1);
    Ok((ip, cursor.port()?))
}

/// What of the text that is next can be an address or `ip:port`, and whether the text ends there.
fn address_text(cursor: Cursor<'_>) -> (&[u8], bool) {
    let rest = cursor.rest();
    let other = |byte: &u8| !(byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let length = rest.iter().position(other).unwrap_or(rest.len());
    (&rest[..length], length == rest.len())
}

/// Reads all of `text` as an IPv6 address.
pub(crate) fn ipv6(text: &[u8]) -> Result<IpAddr, DecodeError> {
    if text.len() > IPV6_TEXT_MAX {
        return Err(DecodeError::BadAddress);
    }
    let text = str::from_utf8(text).map_err(|_| DecodeError::BadAddress)?;
    let address: Ipv6Addr = text.parse().map_err(|_| DecodeError::BadAddress)?;
    specified(address.into())
}

/// Refuses `0.0.0.0` and `::`, which mean "not translated".
#[inline]
pub(crate) fn specified(address: IpAddr) -> Result<IpAddr, DecodeError> {
    if address.is_unspecified() {
        Err(DecodeError::BadAddress)
    } else {
        Ok(address)
    }
}

/// The text of an IPv6 address as RFC 5952 wants it, without the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canonical {
    text: [u8; IPV6_TEXT_MAX],
    length: usize,
}

impl Canonical {
    pub(crate) fn of(address: Ipv6Addr) -> Self {
        let mut text = [0; IPV6_TEXT_MAX];
        let mut free = &mut text[..];
        let fits = write!(free, "{address}").is_ok();
        debug_assert!(fits, "every IPv6 address fits");
        let length = IPV6_TEXT_MAX - free.len();
        Self { text, length }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_every_address(bits: u32, tail in "([^0-9].{0,24})?") {
            let address = Ipv4Addr::from_bits(bits);
            let text = format!("{address}{tail}");
            prop_assert_eq!(ipv4(text.as_bytes()), Some((address, address.to_string().len())));
        }

        // The standard library is the judge: strict about leading zeros as well.
        #[test]
        fn agrees_with_the_standard_library(text in "[0-9]{0,4}[.:]?[0-9]{0,4}[.x]?[0-9]{0,4}[.-]{0,2}[0-9]{0,4}") {
            let ours = ipv4(text.as_bytes()).filter(|&(_, length)| length == text.len());
            prop_assert_eq!(ours.map(|(address, _)| address), text.parse().ok());
        }

        #[test]
        fn agrees_on_near_misses(octets in proptest::collection::vec(0_u16..1100, 3..6), zeros: bool, tail in " {0,9}") {
            let octets: Vec<_> =
                octets.iter().map(|octet| if zeros { format!("{octet:02}") } else { octet.to_string() }).collect();
            let text = octets.join(".");
            let ours = ipv4(format!("{text}{tail}").as_bytes()).filter(|&(_, length)| length == text.len());
            prop_assert_eq!(ours.map(|(address, _)| address), text.parse().ok());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = whole(&bytes);
            let _ = take_end(&mut Cursor::new(&bytes));
        }

        #[test]
        fn canonical_text_is_that_of_the_standard_library(bits: u128, ones in 0_u32..128) {
            let address = Ipv6Addr::from_bits(bits & (u128::MAX >> ones));
            let canonical = Canonical::of(address);
            prop_assert_eq!(canonical.as_str(), address.to_string());
        }
    }

    #[test]
    fn ends_have_a_port() {
        let end = |text: &str| {
            let mut cursor = Cursor::new(text.as_bytes());
            take_end(&mut cursor).map(|end| (end, cursor.rest().len()))
        };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(end("10.0.0.1:80 x"), Ok(((ip("10.0.0.1"), 80), 2)));
        assert_eq!(end("[2001:DB8::1]:443->"), Ok(((ip("2001:db8::1"), 443), 2)));
        assert_eq!(end("2001:db8::1:443, x"), Ok(((ip("2001:db8::1"), 443), 3)));
        for (text, error) in [
            ("", DecodeError::Truncated),
            ("10.0.0.1", DecodeError::Truncated),
            ("10.0.0.1:", DecodeError::Truncated),
            ("2001:db8:1", DecodeError::Truncated),
            ("[2001:db8::1", DecodeError::Truncated),
            ("[2001:db8::1]", DecodeError::Truncated),
            ("10.0.0.1 :80", DecodeError::BadAddress),
            ("10.0.0.256:80 ", DecodeError::BadAddress),
            ("0.0.0.0:80 ", DecodeError::BadAddress),
            ("10.0.0.1:65536 ", DecodeError::BadPort),
            ("10.0.0.1.5:80 ", DecodeError::BadAddress),
            ("[2001:db8::x]:1", DecodeError::Malformed),
            ("[2001:db8::1]x", DecodeError::Malformed),
        ] {
            assert_eq!(end(text), Err(error), "{text}");
        }
    }

    #[test]
    fn unspecified_is_no_address() {
        for text in [
            "0.0.0.0",
            "::",
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.04",
            "::1%eth0",
            "fe80::1 ",
        ] {
            assert_eq!(whole(text.as_bytes()), Err(DecodeError::BadAddress), "{text}");
        }
        assert_eq!(whole(b"2001:DB8:0:0:0:0:0:1"), Ok("2001:db8::1".parse().unwrap()));
    }
}
