//! Where the quotes of a message are.

use wide::u8x16;

/// Most quotes that are looked at: two for each of 128 parameters. Junos writes up to about 60.
pub(super) const QUOTES_MAX: usize = 256;

/// Room for the positions of the quotes of a message.
#[derive(Debug)]
pub(super) struct Quotes {
    places: [u16; QUOTES_MAX + 8],
}

impl Quotes {
    pub(super) const fn new() -> Self {
        Self {
            places: [0; QUOTES_MAX + 8],
        }
    }

    /// The positions of the quotes of `text`, which is at most 65,535 octets, in order; `None` if there are more than
    /// [`QUOTES_MAX`].
    ///
    /// One pass with a bit for each octet: looking for the end of every key and value one after the other costs a
    /// mispredicted branch each, since their lengths vary.
    #[inline]
    pub(super) fn of(&mut self, text: &[u8]) -> Option<&[u16]> {
        debug_assert!(u16::try_from(text.len()).is_ok());
        let (blocks, tail) = text.as_chunks::<64>();
        let mut count = 0;
        for (index, block) in blocks.iter().enumerate() {
            count = self.add(count, 64 * index, quote_bits(block))?;
        }
        let mut last = [0; 64];
        last[..tail.len()].copy_from_slice(tail);
        count = self.add(count, 64 * blocks.len(), quote_bits(&last))?;
        self.places.get(..count)
    }

    /// Adds the positions of `bits`, counted from `base`, behind the `count` that are there: how many there are now.
    #[inline]
    fn add(&mut self, count: usize, base: usize, mut bits: u64) -> Option<usize> {
        let mut at = count;
        loop {
            // Eight at a time, needed or not: a loop that ends at the last bit would end unpredictably.
            let places: &mut [u16; 8] = self.places.get_mut(at..at + 8)?.try_into().ok()?;
            let found = bits.count_ones() as usize;
            for place in places {
                // The top bit keeps the count of zeros defined: it spares an instruction that most processors lack.
                *place = (base as u16).wrapping_add((bits | 1 << 63).trailing_zeros() as u16);
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                return (at + found <= QUOTES_MAX).then_some(at + found);
            }
            at += 8;
        }
    }
}

/// A bit for each octet that is a quote.
#[inline]
fn quote_bits(block: &[u8; 64]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let quote = u8x16::splat(b'"');
    parts.iter().enumerate().fold(0, |bits, (index, part)| {
        bits | u64::from(u8x16::new(*part).simd_eq(quote).to_bitmask()) << (16 * index)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_every_quote(text in "(\"|[a-c!#\u{a2}]){0,300}") {
            let expected: Vec<_> =
                text.bytes().enumerate().filter(|&(_, byte)| byte == b'"').map(|(at, _)| at as u16).collect();
            let mut quotes = Quotes::new();
            prop_assert_eq!(quotes.of(text.as_bytes()), (expected.len() <= QUOTES_MAX).then_some(&*expected));
        }
    }

    #[test]
    fn more_quotes_than_any_message_has_are_refused() {
        let mut quotes = Quotes::new();
        assert!(quotes.of(&[b'"'; QUOTES_MAX]).is_some());
        assert!(quotes.of(&[b'"'; QUOTES_MAX + 1]).is_none());
        assert!(quotes.of(&[b'"'; 8192]).is_none());
    }
}
