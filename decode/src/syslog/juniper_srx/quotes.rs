//! The quotes of a text, one behind the other.

use std::slice;

use wide::u8x16;

/// Octets that are asked at once.
const BLOCK: usize = 64;

/// Where the quotes of a text stand, escaped ones too. The octets behind its last whole block of 64 are not asked.
///
/// Searched block by block, where a quote stands does not hang on where the one before it did: a processor goes on to
/// the next value while it still checks this one.
#[derive(Debug)]
pub(super) struct Quotes<'a> {
    blocks: slice::Iter<'a, [u8; BLOCK]>,
    /// Where the block stands whose quotes are given out.
    base: usize,
    /// A bit for each of its quotes that was not given out yet.
    bits: u64,
}

impl<'a> Quotes<'a> {
    /// Of `text` from `at` on.
    #[inline]
    pub(super) fn of(text: &'a [u8], at: usize) -> Self {
        let (blocks, _) = text.get(at..).unwrap_or_default().as_chunks();
        Self {
            blocks: blocks.iter(),
            base: at.wrapping_sub(BLOCK),
            bits: 0,
        }
    }

    /// Goes past a quote, and gives the place of the one behind it.
    #[inline]
    pub(super) fn second(&mut self) -> Option<usize> {
        self.fill()?;
        self.bits &= self.bits - 1;
        self.fill()?;
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// Goes on to the next block with a quote, if all of this one were given out.
    #[inline]
    fn fill(&mut self) -> Option<()> {
        while self.bits == 0 {
            self.bits = quotes(self.blocks.next()?);
            self.base = self.base.wrapping_add(BLOCK);
        }
        Some(())
    }
}

/// A bit for each quote.
#[inline]
fn quotes(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let bits = |quarter: usize| {
        let quotes = u8x16::new(quarters[quarter]).simd_eq(u8x16::splat(b'"'));
        u64::from(quotes.to_bitmask() as u16) << (16 * quarter)
    };
    bits(0) | bits(1) | bits(2) | bits(3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_second_quote_of_whole_blocks(text in "[a\"]{0,40}([a-d]{0,90}\"){0,6}[a\"]{0,40}", at in 0_usize..20) {
            let blocks = text.len().saturating_sub(at) / BLOCK * BLOCK;
            let places = (at..at + blocks).filter(|&place| text.as_bytes()[place] == b'"');
            let expected: Vec<_> = places.skip(1).step_by(2).collect();
            let mut quotes = Quotes::of(text.as_bytes(), at);
            let found: Vec<_> = std::iter::from_fn(|| quotes.second()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
