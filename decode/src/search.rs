//! Where a short text stands in a message.

use wide::u8x16;

/// Where `needle`, at least one octet, first stands in `text`.
///
/// Sixteen places at a time are asked for the needle's first and last octet: the rarer these two are in a log line,
/// the faster it is.
#[inline]
pub(crate) fn find<const N: usize>(text: &[u8], needle: &[u8; N]) -> Option<usize> {
    const { assert!(N > 0) };
    let (first, last) = (u8x16::splat(needle[0]), u8x16::splat(needle[N - 1]));
    let matches = |base: usize| {
        let heads = u8x16::new(*text.get(base..)?.first_chunk()?);
        let tails = u8x16::new(*text.get(base + N - 1..)?.first_chunk()?);
        let mut bits = (heads.simd_eq(first) & tails.simd_eq(last)).to_bitmask() & 0xffff;
        while bits != 0 {
            let at = base + bits.trailing_zeros() as usize;
            if text.get(at..at + N) == Some(needle) {
                return Some(at);
            }
            bits &= bits - 1;
        }
        None
    };
    let Some(final_base) = text.len().checked_sub(N + 15) else {
        return text.windows(N).position(|window| window == needle);
    };
    let mut base = 0;
    while base < final_base {
        if let Some(at) = matches(base) {
            return Some(at);
        }
        base += 16;
    }
    // The last sixteen places, some of which were asked before.
    matches(final_base)
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
