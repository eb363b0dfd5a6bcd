//! IPv4 and IPv6 addresses as text.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wide::u8x16;

use crate::DecodeError;
use crate::bytes::{self, ONES};

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
    let first: &[u8; 16] = window.first_chunk()?;
    let mut ends = non_digit_bits(first);
    let (bits, length) = octets(window, &mut ends)?;
    Some((Ipv4Addr::from_bits(bits), length))
}

/// Reads `ip:port` at the begin of `bytes`, with one of `separators` between them: address, port and length. What follows
/// is for the caller to judge. `None` for everything else.
#[inline]
pub(crate) fn ipv4_port(bytes: &[u8], separators: [u8; 2]) -> Option<(Ipv4Addr, u16, usize)> {
    if let Some(window) = bytes.first_chunk::<PORT_WINDOW>() {
        return ipv4_port_in(window, separators);
    }
    let mut window = [0; PORT_WINDOW];
    window.get_mut(..bytes.len())?.copy_from_slice(bytes);
    ipv4_port_in(&window, separators)
}

/// Octets that [`ipv4_port`] looks at: 21 of address and port, the one behind them, and whole loads.
const PORT_WINDOW: usize = 32;

#[inline]
fn ipv4_port_in(window: &[u8; PORT_WINDOW], separators: [u8; 2]) -> Option<(Ipv4Addr, u16, usize)> {
    let (halves, _) = window.as_chunks::<16>();
    let mut ends = non_digit_bits(&halves[0]) | non_digit_bits(&halves[1]) << 16;
    let (bits, length) = octets(window.first_chunk()?, &mut ends)?;
    let start = length + 1;
    let digits = (ends.trailing_zeros() as usize).wrapping_sub(start);
    let word = u64::from_le_bytes(*window.get(start..)?.first_chunk()?);
    let (port, wrong) = up_to_5_digits(word, digits)?;
    let separator = *window.get(length)?;
    let separates = separator == separators[0] || separator == separators[1];
    (separates && !wrong).then(|| (Ipv4Addr::from_bits(bits), port as u16, start + digits))
}

/// The number of the first `digits` octets of `word`, which are digits, and whether it has a leading zero or is above
/// 65,535; `None` if it has no digits, or more than five.
#[inline]
fn up_to_5_digits(word: u64, digits: usize) -> Option<(u32, bool)> {
    const LEAST: [u32; 8] = [0, 0, 10, 100, 1000, 10_000, 0, 0];
    if !(1..=5).contains(&digits) {
        return None;
    }
    let value = bytes::digits(word ^ (0x30 * ONES), digits);
    Some((value, value < LEAST[digits & 7] || value > 65_535))
}

/// The four octets whose ends are the first four bits of `ends`, which are taken out, as one number, and their length.
#[allow(
    clippy::inline_always,
    reason = "as a call it takes a fifth more instructions"
)]
#[inline(always)]
fn octets(window: &[u8; WINDOW], ends: &mut u32) -> Option<(u32, usize)> {
    let mut start = 0;
    let mut wrong = 0;
    let mut address = 0;
    for last in [false, false, false, true] {
        if last && *ends == 0 {
            return None;
        }
        // The 17th bit stands for "none"; `OCTETS` refuses what comes of it. The masks below only spare checks.
        let end = (*ends | 1 << 16).trailing_zeros();
        *ends &= ends.wrapping_sub(1);
        let digits = end.wrapping_sub(start) & 15;
        let at = (start & 15) as usize;
        let word = u32::from_le_bytes([window[at], window[at + 1], window[at + 2], window[at + 3]]);
        // The last digit goes to the top octet.
        let number = (word & 0x0f0f_0f0f) << (0_u32.wrapping_sub(8 * digits) & 31);
        let (least, span) = OCTETS[digits as usize];
        wrong |= u32::from(number.swap_bytes().wrapping_sub(least) > span);
        if !last {
            wrong |= u32::from(window[(end & 15) as usize] ^ b'.');
        }
        // Hundreds, tens and ones meet in one octet of the product, and nothing is carried into that.
        let value = (number >> 8).wrapping_mul(100 << 16 | 10 << 8 | 1) >> 16 & 0xff;
        address = address << 8 | value;
        start = end + 1;
    }
    (wrong == 0).then(|| (address, start as usize - 1))
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

/// A bit for each octet that is no digit.
#[inline]
fn non_digit_bits(octets: &[u8; 16]) -> u32 {
    let values = u8x16::new(*octets) - u8x16::splat(b'0');
    !values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() & 0xffff
}

/// Reads all of `text` as an address of either family.
pub(crate) fn whole(text: &[u8]) -> Result<IpAddr, DecodeError> {
    match ipv4(text) {
        Some((address, length)) if length == text.len() => specified(address.into()),
        _ => ipv6(text),
    }
}

/// Reads all of `text` as an IPv6 address.
pub(crate) fn ipv6(text: &[u8]) -> Result<IpAddr, DecodeError> {
    if text.len() > IPV6_TEXT_MAX {
        return Err(DecodeError::BadAddress);
    }
    let address = groups(text).ok_or(DecodeError::BadAddress)?;
    specified(address.into())
}

/// Reads all of `text` as eight groups, `::` standing for one or more of zeros. The standard library, which reads them octet
/// by octet as characters, takes 860 instructions more.
fn groups(text: &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut count) = ([0_u16; 8], 0);
    // The group that `::` stands before.
    let mut gap = None;
    let mut rest = text;
    if let [b':', b':', behind @ ..] = rest {
        (gap, rest) = (Some(0), behind);
    }
    while !rest.is_empty() {
        let (mut group, mut digits) = (0, 0);
        while let Some(value @ 0..16) = rest.get(digits).map(|&octet| HEXADECIMAL[usize::from(octet)]) {
            group = group << 4 | u16::from(value);
            digits += 1;
            if digits > 4 {
                return None;
            }
        }
        if digits == 0 {
            return None;
        }
        *groups.get_mut(count)? = group;
        count += 1;
        rest = match &rest[digits..] {
            [] => &[],
            [b':', b':', behind @ ..] => {
                if gap.replace(count).is_some() {
                    return None;
                }
                behind
            }
            [b':', _, ..] => &rest[digits + 1..],
            // The last two groups are a dotted quad.
            [b'.', ..] => return str::from_utf8(text).ok()?.parse().ok(),
            _ => return None,
        };
    }
    match gap {
        Some(gap) if count < 8 => {
            groups.copy_within(gap..count, 8 - (count - gap));
            let zeros = gap..8 - (count - gap);
            groups[zeros].fill(0);
            Some(groups.into())
        }
        None if count == 8 => Some(groups.into()),
        _ => None,
    }
}

/// The value of each octet that is a hexadecimal digit; 255 for the others.
const HEXADECIMAL: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};

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

        #[test]
        fn reads_every_address_with_a_port(bits: u32, port: u16, colon: bool, tail in "([^0-9].{0,24})?") {
            let (address, separator) = (Ipv4Addr::from_bits(bits), if colon { ':' } else { '/' });
            let text = format!("{address}{separator}{port}{tail}");
            let length = text.len() - tail.len();
            prop_assert_eq!(ipv4_port(text.as_bytes(), *b":/"), Some((address, port, length)));
        }

        #[test]
        fn ports_agree_with_the_standard_library(text in "[0-9]{1,3}(\\.[0-9]{1,3}){3}[:/.]?[0-9]{0,6}", tail in " {0,20}") {
            let ours = ipv4_port(format!("{text}{tail}").as_bytes(), *b":/").filter(|&(_, _, length)| length == text.len());
            let theirs = text.rsplit_once([':', '/']).and_then(|(ip, port)| {
                let canonical = port == "0" || !port.starts_with('0');
                Some((ip.parse().ok()?, port.parse().ok().filter(|_| canonical)?, text.len()))
            });
            prop_assert_eq!(ours, theirs);
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
        fn groups_are_those_of_the_standard_library(bits: u128, mask: u128, upper: bool, full: bool) {
            let address = Ipv6Addr::from_bits(bits & mask);
            let text = if full {
                address.segments().map(|group| format!("{group:04x}")).join(":")
            } else {
                address.to_string()
            };
            let text = if upper { text.to_uppercase() } else { text };
            prop_assert_eq!(groups(text.as_bytes()), Some(address));
        }

        #[test]
        fn groups_agree_on_near_misses(text in "(:{0,2}[0-9a-fA-Fg]{0,5}){0,10}[:.%]{0,2}(1\\.2\\.3\\.4)?") {
            prop_assert_eq!(groups(text.as_bytes()), text.parse().ok(), "{}", text);
        }

        #[test]
        fn groups_agree_around_the_full_length(
            text in "(::)?[0-9a-f]{1,4}(:[0-9a-f]{1,4}){0,4}(::?[0-9a-f]{1,4}){1,4}(::)?(:192\\.0\\.2\\.1)?",
        ) {
            prop_assert_eq!(groups(text.as_bytes()), text.parse().ok(), "{}", text);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = whole(&bytes);
            let _ = ipv4_port(&bytes, *b":/");
        }

        #[test]
        fn canonical_text_is_that_of_the_standard_library(bits: u128, ones in 0_u32..128) {
            let address = Ipv6Addr::from_bits(bits & (u128::MAX >> ones));
            let canonical = Canonical::of(address);
            prop_assert_eq!(canonical.as_str(), address.to_string());
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
