//! IPv4 and IPv6 addresses as text.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wide::u8x16;

use crate::DecodeError;
use crate::bytes;

/// Longest IPv6 text: eight groups, the last two as a dotted quad.
const IPV6_TEXT_MAX: usize = 45;

/// Octets that [`ipv4`] looks at: 15 of an address and the one behind it.
const WINDOW: usize = 16;

/// Stands for every octet that is no digit.
const NO_DIGIT: u8 = 10;

/// Reads the dotted quad at the begin of `bytes`: address and length.
///
/// An octet with a leading zero is refused: some read it as octal. What follows is for the caller to judge.
#[inline]
pub(crate) fn ipv4(bytes: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let packed = packed_ipv4(bytes)?;
    Some((
        Ipv4Addr::from((packed as u32).to_le_bytes()),
        (packed >> 48) as usize,
    ))
}

/// [`ipv4`] in one register: the four octets of the address, the first one lowest, two of nothing, the length.
fn packed_ipv4(bytes: &[u8]) -> Option<u64> {
    ipv4_in(&window(bytes)?)
}

#[inline]
fn window(bytes: &[u8]) -> Option<[u8; WINDOW]> {
    match bytes.first_chunk() {
        Some(window) => Some(*window),
        None => padded(bytes),
    }
}

#[cold]
fn padded(bytes: &[u8]) -> Option<[u8; WINDOW]> {
    let mut window = [0; WINDOW];
    window.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(window)
}

/// [`ipv4`] without a branch per digit, of whose number the processor would have to guess: the ends of the four numbers
/// come from one mask, and a table has what the three octets at the begin of each say.
#[allow(clippy::inline_always, reason = "a call costs as much as a number")]
#[inline(always)]
fn ipv4_in(window: &[u8; WINDOW]) -> Option<u64> {
    let octets = u8x16::new(*window);
    let none = u8x16::splat(NO_DIGIT);
    let values = (octets - u8x16::splat(b'0')).min(none);
    let ends = values.simd_eq(none).to_bitmask() & 0xffff;
    let dots = octets.simd_eq(u8x16::splat(b'.')).to_bitmask();
    // As long as no place that is looked at can be outside of it: one behind an end, of which there may be none.
    let mut digits = [NO_DIGIT; 40];
    digits[..WINDOW].copy_from_slice(&values.to_array());
    let number = |start: usize| {
        let word = u32::from_le_bytes([
            digits[start],
            digits[start + 1],
            digits[start + 2],
            digits[start + 3],
        ]);
        // The first three go to the top 12 bits, in the order third, first, second; all else is below or beyond these.
        let place = word.wrapping_mul(1 << 24 | 1 << 12) >> 20;
        u32::from(NUMBERS[place as usize])
    };
    let place = |ends: u32| ends.trailing_zeros() as usize;
    let behind = |ends: u32| ends & ends.wrapping_sub(1);

    let second = behind(ends);
    let third = behind(second);
    let last = behind(third);
    let numbers = [
        number(0),
        number(place(ends) + 1),
        number(place(second) + 1),
        number(place(third) + 1),
    ];
    let length = last.trailing_zeros();
    let dotted = (ends ^ last) & !dots == 0;
    // The numbers' digits and three dots; never so many if a number is none, or has more digits than were looked at.
    let count = numbers.iter().sum::<u32>() & 0xff;
    let address = numbers.map(|number| (number >> 8) as u8);
    let address = u64::from(u32::from_le_bytes(address));
    (dotted && count + 3 == length).then_some(address | u64::from(length) << 48)
}

/// What three octets say, the third of them in the highest of three times four bits, then the first one, then the second,
/// [`NO_DIGIT`] for what is none: the number that they begin with, 0 to 255 without leading zeros, times 256, and how many digits it has. [`NO_NUMBER`] if
/// there is none.
static NUMBERS: [u16; 1 << 12] = {
    let mut numbers = [NO_NUMBER; 1 << 12];
    let mut number = 0;
    while number < 256 {
        let (ones, tens, hundreds) = (number % 10, number / 10 % 10, number / 100);
        let mut other = 0;
        while other < 16 {
            match number {
                0..10 => numbers[other << 8 | ones << 4 | NO_DIGIT as usize] = (number as u16) << 8 | 1,
                10..100 => numbers[(NO_DIGIT as usize) << 8 | tens << 4 | ones] = (number as u16) << 8 | 2,
                _ => numbers[ones << 8 | hundreds << 4 | tens] = (number as u16) << 8 | 3,
            }
            other += 1;
        }
        number += 1;
    }
    numbers
};

/// More digits than four numbers have; four times as many still fit an octet.
const NO_NUMBER: u16 = 32;

/// Reads `ip:port` at the begin of `bytes`, with one of `separators` between them: address, port and length. What follows
/// is for the caller to judge. `None` for everything else.
#[inline]
pub(crate) fn ipv4_port(bytes: &[u8], separators: [u8; 2]) -> Option<(Ipv4Addr, u16, usize)> {
    let packed = packed_ipv4_port(bytes, separators)?;
    Some((
        Ipv4Addr::from((packed as u32).to_le_bytes()),
        (packed >> 32) as u16,
        (packed >> 48) as usize,
    ))
}

/// [`ipv4_port`] in one register, as [`packed_ipv4`], with the port instead of nothing.
fn packed_ipv4_port(bytes: &[u8], separators: [u8; 2]) -> Option<u64> {
    let packed = ipv4_in(&window(bytes)?)?;
    let (separator, behind) = bytes.get((packed >> 48) as usize..)?.split_first()?;
    let (port, digits) = bytes::port(behind)?;
    let separates = *separator == separators[0] || *separator == separators[1];
    separates.then_some(packed + (u64::from(port) << 32 | (1 + digits as u64) << 48))
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
