//! A cursor over the bytes of a message, and decimal numbers.

use wide::u8x16;

use crate::DecodeError;

/// `0x01` in every octet.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every octet.
pub(crate) const TOPS: u64 = 0x80 * ONES;

/// What is left of a message. Everything it does is bounded by the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next octet, left in place.
    pub(crate) fn peek(self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Goes `count` octets on, or to the end.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Goes past `text` if it is next.
    #[inline]
    pub(crate) fn take<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((first, rest)) if first == text => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Goes past `text`, which must be next: [`DecodeError::Truncated`] if the message ends inside it.
    #[allow(clippy::inline_always, reason = "a call costs more than the comparison")]
    #[inline(always)]
    pub(crate) fn expect<const N: usize>(&mut self, text: &[u8; N]) -> Result<(), DecodeError> {
        if self.take(text) {
            Ok(())
        } else {
            Err(self.unlike(text))
        }
    }

    #[cold]
    fn unlike(self, text: &[u8]) -> DecodeError {
        if text.starts_with(self.rest) {
            DecodeError::Truncated
        } else {
            DecodeError::Malformed
        }
    }

    /// Takes octets up to the next blank, which stays, or to the end.
    #[inline]
    pub(crate) fn token(&mut self) -> &'a [u8] {
        let (token, rest) = self.rest.split_at(blank(self.rest));
        self.rest = rest;
        token
    }

    /// Takes the next token and the blanks before it; `None` at the end.
    pub(crate) fn next_token(&mut self) -> Option<&'a [u8]> {
        while self.peek() == Some(b' ') {
            self.skip(1);
        }
        let token = self.token();
        (!token.is_empty()).then_some(token)
    }

    /// Takes a port, 1 to 5 digits without leading zeros, up to 65,535.
    #[inline]
    pub(crate) fn port(&mut self) -> Result<u16, DecodeError> {
        match port(self.rest) {
            Some((port, digits)) => {
                self.skip(digits);
                Ok(port)
            }
            None if self.is_empty() => Err(DecodeError::Truncated),
            None => Err(DecodeError::BadPort),
        }
    }

    /// Takes a protocol number, 0 to 255 without leading zeros.
    #[inline]
    pub(crate) fn protocol(&mut self) -> Result<u8, DecodeError> {
        match number(self.rest, 255) {
            Some((protocol, digits)) => {
                self.skip(digits);
                Ok(protocol as u8)
            }
            None if self.is_empty() => Err(DecodeError::Truncated),
            None => Err(DecodeError::BadProtocol),
        }
    }
}

/// Reads all of `text` with `take`, such as [`Cursor::port`].
pub(crate) fn all<'a, T>(
    text: &'a [u8],
    take: impl FnOnce(&mut Cursor<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut cursor = Cursor::new(text);
    let value = take(&mut cursor)?;
    if cursor.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::Malformed)
    }
}

/// Reads the port at the begin of `bytes`, 1 to 5 digits without leading zeros, up to 65,535: port and digits.
#[inline]
pub(crate) fn port(bytes: &[u8]) -> Option<(u16, usize)> {
    let (port, digits) = number(bytes, 65_535)?;
    Some((port as u16, digits))
}

/// Reads the number at the begin of `bytes`, up to `greatest` and without leading zeros: value and digits.
#[inline]
fn number(bytes: &[u8], greatest: u32) -> Option<(u32, usize)> {
    /// The least number of so many digits; none has as many digits as it takes for the greatest one here.
    const LEAST: [u32; 8] = [u32::MAX, 0, 10, 100, 1000, 10_000, u32::MAX, u32::MAX];
    let (value, digits) = match bytes.first_chunk::<8>() {
        Some(word) => {
            let word = u64::from_le_bytes(*word) ^ (0x30 * ONES);
            let mark = non_digits(word).trailing_zeros();
            (
                aligned(word << (7_u32.wrapping_sub(mark) & 63)),
                (mark / 8) as usize,
            )
        }
        None => decimal_at_end(bytes),
    };
    let fits = value >= LEAST[digits & 7] && value <= greatest;
    fits.then_some((value, digits))
}

/// Reads the decimal number at the begin of `bytes`: value and digits. No digits: 0 digits. More than 8 digits:
/// a value that fits nothing.
#[inline]
pub(crate) fn decimal(bytes: &[u8]) -> (u32, usize) {
    let Some(word) = bytes.first_chunk::<8>() else {
        return decimal_at_end(bytes);
    };
    let word = u64::from_le_bytes(*word) ^ (0x30 * ONES);
    let others = non_digits(word);
    if others & 0x80 != 0 {
        return (0, 0);
    }
    let digits = (others.trailing_zeros() / 8) as usize;
    if digits == 8 {
        return (u32::MAX, 8);
    }
    (self::digits(word, digits), digits)
}

/// The number whose `digits` digits, 1 to 7, are the first octets of `word`, as values; the others may be anything.
#[inline]
pub(crate) const fn digits(word: u64, digits: usize) -> u32 {
    // The digits go to the top octets, so that zeros lead.
    aligned(word << (64 - 8 * digits))
}

/// The number of eight digits, the first one in the lowest octet: pairs, quads and the whole are summed at once.
#[inline]
const fn aligned(digits: u64) -> u32 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    let value = (pairs & EVERY_FOURTH)
        .wrapping_mul(0x000f_4240_0000_0064)
        .wrapping_add(((pairs >> 16) & EVERY_FOURTH).wrapping_mul(0x0000_2710_0000_0001))
        >> 32;
    value as u32
}

/// [`decimal`] where fewer than 8 octets are left.
fn decimal_at_end(bytes: &[u8]) -> (u32, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(value, count), digit| {
        (value * 10 + u32::from(digit - b'0'), count + 1)
    })
}

/// The top bit of each octet of `word` that is above 9: what is no digit after `^ 0x30`.
#[inline]
pub(crate) const fn non_digits(word: u64) -> u64 {
    (((word & !TOPS) + 0x76 * ONES) | word) & TOPS
}

/// Where the first blank of `bytes` is; the length if there is none.
#[inline]
pub(crate) fn blank(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (0x20 * ONES);
        // The lowest marked octet is a true zero; those above it may be borrows.
        let zeros = word.wrapping_sub(ONES) & !word & TOPS;
        if zeros != 0 {
            return 8 * index + (zeros.trailing_zeros() / 8) as usize;
        }
    }
    8 * words.len() + tail.iter().position(|&byte| byte == b' ').unwrap_or(tail.len())
}

/// Whether all octets are ASCII. By 64 octets at once, and by whole words to the last octet: the standard library takes
/// what is left of 32 octets one by one.
#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<16>() else {
        return bytes.is_ascii();
    };
    let any =
        |chunks: &[[u8; 16]], any: u8x16| chunks.iter().fold(any, |any, chunk| any | u8x16::new(*chunk));
    let (blocks, rest) = bytes.as_chunks::<64>();
    let all = blocks.iter().fold(u8x16::new(*last), |all, block| {
        any(block.as_chunks::<16>().0, all)
    });
    any(rest.as_chunks::<16>().0, all).to_bitmask().trailing_zeros() >= 16
}

/// Where the first octet of `bytes` is that is one of `wanted`; the length if there is none.
///
/// By 16 octets at once: the lengths of words, keys and values vary, and a branch for each octet would be guessed wrong
/// once for each of them.
#[inline]
pub(crate) fn first_of<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> usize {
    let found = |chunk: &[u8; 16]| {
        let octets = u8x16::new(*chunk);
        wanted.iter().fold(0, |bits, &octet| {
            bits | octets.simd_eq(u8x16::splat(octet)).to_bitmask() & 0xffff
        })
    };
    let (chunks, tail) = bytes.as_chunks::<16>();
    for (index, chunk) in chunks.iter().enumerate() {
        let bits = found(chunk);
        if bits != 0 {
            return 16 * index + bits.trailing_zeros() as usize;
        }
    }
    let place = tail.iter().position(|octet| wanted.contains(octet));
    16 * chunks.len() + place.unwrap_or(tail.len())
}

/// Reads all of `bytes` as a hexadecimal number of 1 to 16 digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    bytes.iter().try_fold(0, |value, &byte| {
        Some(value << 4 | u64::from(char::from(byte).to_digit(16)?))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decimal_reads_what_is_written(value in 0_u32..10_000_000, tail in "([^0-9].{0,12})?") {
            let text = format!("{value}{tail}");
            prop_assert_eq!(decimal(text.as_bytes()), (value, value.to_string().len()));
        }

        #[test]
        fn decimal_counts_digits(bytes: Vec<u8>) {
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            prop_assert_eq!(decimal(&bytes).1, digits.min(8));
        }

        #[test]
        fn blank_is_the_first(bytes: Vec<u8>) {
            let first = bytes.iter().position(|&byte| byte == b' ');
            prop_assert_eq!(blank(&bytes), first.unwrap_or(bytes.len()));
        }

        #[test]
        fn ascii_is_ascii(mut bytes in "[ -~]{0,70}", other in any::<prop::sample::Index>()) {
            prop_assert!(is_ascii(bytes.as_bytes()));
            bytes.insert(other.index(bytes.len() + 1), '\u{e9}');
            prop_assert!(!is_ascii(bytes.as_bytes()));
        }

        #[test]
        fn first_of_is_the_first(text in "[a-f]{0,70}") {
            let expected = text.bytes().position(|byte| byte == b'e' || byte == b'f');
            prop_assert_eq!(first_of(text.as_bytes(), [b'f', b'e']), expected.unwrap_or(text.len()));
        }

        #[test]
        fn every_octet_but_a_digit_is_none(octet: u8, place in 0_u32..8) {
            let word = (u64::from(octet) << (8 * place)) ^ (0x30 * ONES);
            let marked = non_digits(word) >> (8 * place) & 0x80 != 0;
            prop_assert_eq!(marked, !octet.is_ascii_digit());
        }
    }

    #[test]
    fn ports_are_strict() {
        let port = |text: &str| Cursor::new(text.as_bytes()).port();
        for tail in ["", " DIR OUT and more"] {
            assert_eq!(port(&format!("65535{tail}")), Ok(65535));
            assert_eq!(port(&format!("0{tail}")), Ok(0));
            for bad in ["65536", "99999", "080", "123456789", "x"] {
                assert_eq!(port(&format!("{bad}{tail}")), Err(DecodeError::BadPort), "{bad}");
            }
        }
        assert_eq!(port(""), Err(DecodeError::Truncated));
    }
}
