//! Where a short text stands in a message.

use wide::u8x16;

/// Places that are asked at once.
const BLOCK: usize = 32;

/// Where `needle`, 1 to 32 octets, first stands in `text`.
///
/// Many places at a time are asked for the needle's first and last octet: the rarer these two are in a log line, the
/// faster it is.
#[inline]
pub(crate) fn find<const N: usize>(text: &[u8], needle: &[u8; N]) -> Option<usize> {
    const { assert!(N > 0) };
    let places = (text.len() + 1).checked_sub(N)?;
    let (firsts, lasts) = (&text[..places], &text[N - 1..]);
    let ends = (u8x16::splat(needle[0]), u8x16::splat(needle[N - 1]));
    let check = |base: usize, bits: u32| verify(text, needle, base, bits);
    let (first_blocks, _) = firsts.as_chunks::<BLOCK>();
    let (last_blocks, _) = lasts.as_chunks::<BLOCK>();
    for (index, (first, last)) in first_blocks.iter().zip(last_blocks).enumerate() {
        if let Some(bits) = both(first, last, ends)
            && let Some(at) = check(index * BLOCK, bits)
        {
            return Some(at);
        }
    }
    // The last places, some of which were asked before.
    match (firsts.last_chunk::<BLOCK>(), lasts.last_chunk::<BLOCK>()) {
        (Some(first), Some(last)) => check(places - BLOCK, both(first, last, ends)?),
        _ => find_in_short(text, needle, places, ends),
    }
}

/// [`find`] with fewer places than a block has: the text is copied to where one can be read.
#[inline]
fn find_in_short<const N: usize>(
    text: &[u8],
    needle: &[u8; N],
    places: usize,
    ends: (u8x16, u8x16),
) -> Option<usize> {
    const { assert!(N <= BLOCK) };
    let mut padded = [0; 2 * BLOCK];
    padded.get_mut(..text.len())?.copy_from_slice(text);
    let (firsts, lasts) = (padded.first_chunk()?, padded[N - 1..].first_chunk()?);
    let bits = both(firsts, lasts, ends)? & ((1 << places) - 1);
    verify(text, needle, 0, bits)
}

/// A bit for each place where both octets are; `None` if there is no such place.
#[inline]
fn both(firsts: &[u8; BLOCK], lasts: &[u8; BLOCK], ends: (u8x16, u8x16)) -> Option<u32> {
    let [first_low, first_high] = halves(firsts).map(|half| half.simd_eq(ends.0));
    let [last_low, last_high] = halves(lasts).map(|half| half.simd_eq(ends.1));
    let (low, high) = (first_low & last_low, first_high & last_high);
    if (low | high).to_bitmask() == 0 {
        return None;
    }
    let bits = |half: u8x16| u32::from(half.to_bitmask() as u16);
    Some(bits(low) | bits(high) << 16)
}

#[inline]
fn halves(block: &[u8; BLOCK]) -> [u8x16; 2] {
    let (halves, _) = block.as_chunks::<16>();
    [u8x16::new(halves[0]), u8x16::new(halves[1])]
}

/// The first of the marked places, counted from `base`, where the needle is.
#[inline(never)]
fn verify<const N: usize>(text: &[u8], needle: &[u8; N], base: usize, mut bits: u32) -> Option<usize> {
    while bits != 0 {
        let at = base + bits.trailing_zeros() as usize;
        if text.get(at..at + N) == Some(needle) {
            return Some(at);
        }
        bits &= bits - 1;
    }
    None
}

/// What stands before the first `needle` of `text`, and what behind it.
#[inline]
pub(crate) fn around<'a, const N: usize>(text: &'a [u8], needle: &[u8; N]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, needle)?;
    Some((text.get(..at)?, text.get(at + N..)?))
}

/// The text without the blanks at its begin.
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The text without the blanks at its end.
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

/// The text before its last word, and that word; blanks at the end are no part of either.
pub(crate) fn split_last_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = trim_end(text);
    let blank = text.iter().rposition(|&byte| byte == b' ');
    text.split_at(blank.map_or(0, |blank| blank + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn find_is_the_first(text in "[ab=]{0,120}") {
            let text = text.as_bytes();
            for needle in [b"a=b", b"bbb", b"==a"] {
                let expected = text.windows(3).position(|window| window == needle);
                prop_assert_eq!(find(text, needle), expected);
            }
            prop_assert_eq!(find(text, b"="), text.iter().position(|&byte| byte == b'='));
            let long = b"aabba=ababb=";
            prop_assert_eq!(find(text, long), text.windows(12).position(|window| window == long));
        }

        #[test]
        fn find_finds_it_everywhere(before in 0_usize..80, behind in 0_usize..80) {
            let text = [vec![b'.'; before], b"needle".to_vec(), vec![b'.'; behind]].concat();
            prop_assert_eq!(find(&text, b"needle"), Some(before));
        }
    }

    #[test]
    fn words_are_split_at_the_last_blank() {
        assert_eq!(split_last_word(b"a bc  d "), (&b"a bc  "[..], &b"d"[..]));
        assert_eq!(split_last_word(b"word"), (&b""[..], &b"word"[..]));
        assert_eq!(split_last_word(b"  "), (&b""[..], &b""[..]));
    }
}
