//! Texts of `key=value` pairs.

use wide::u8x16;

use super::fields::Fields;
use super::frame::BYTE_ORDER_MARK;
use super::keys::{Key, Walk};
use crate::DecodeError;
use crate::bytes::first_of;
use crate::value::Value;

/// The text from its first pair on, or from the first word on that `is_mark` knows, past the words of a header and past
/// the structured data (`[id key="value"]`) that RFC 5424 puts before the message.
#[inline]
pub(super) fn begin(mut text: &[u8], is_mark: impl Fn(&[u8]) -> bool) -> Option<&[u8]> {
    loop {
        text = match text {
            [] => return None,
            [b' ', rest @ ..] => rest,
            _ if is_mark(text) => return Some(text),
            [b'[', ..] => behind_element(text)?,
            _ if text.starts_with(&BYTE_ORDER_MARK) => &text[BYTE_ORDER_MARK.len()..],
            _ => match first_of(text, *b"= \"") {
                word if text.get(word) == Some(&b'=') && word != 0 => return Some(text),
                word if text.get(word) == Some(&b' ') => &text[word..],
                _ => return None,
            },
        }
    }
}

/// What stands behind the element that `text` begins with, or behind its first word if that is no element.
pub(super) fn behind_element(text: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        at += first_of(text.get(at..)?, [b']', b'"']);
        match text.get(at)? {
            b']' => return text.get(at + 1..),
            _ => at += closing(text.get(at + 1..)?)? + 2,
        }
    }
}

/// Gives each pair to `each`, until that fails.
///
/// Pairs are parted by blanks or by `separator`. A value is bare, or in quotes, and then may contain anything: a
/// backslash takes the meaning from a quote or a backslash, and stays in the value. [`DecodeError::Truncated`] if the
/// text ends inside of a pair, as far as one can see: a bare value has no end mark.
#[inline]
pub(super) fn read<'a>(
    text: &'a [u8],
    separator: u8,
    mut each: impl FnMut(&'a [u8], Value<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = behind_separators(text, separator);
    while !rest.is_empty() {
        let key = key(rest)?;
        let (value, behind) = value(&rest[key.len() + 1..], separator)?;
        each(key, value)?;
        rest = behind_separators(behind, separator);
    }
    Ok(())
}

/// Octets in which a key, a short value and what stands behind it are looked for.
const WINDOW: usize = 34;

/// [`read`] of the fields' text for keys that usually come in an order. A key that has a slot of its own and comes
/// twice is an error.
#[inline]
pub(super) fn read_known<const SLOTS: usize>(
    fields: &mut Fields<'_, SLOTS>,
    separator: u8,
    order: &[Key<1>],
) -> Result<(), DecodeError> {
    let text = fields.text();
    let mut walk = Walk::new(order);
    let mut at = text.len() - behind_separators(text, separator).len();
    loop {
        // The key that is due and a short value, with one check of the bounds for both.
        while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk)
            && let Some(key) = walk.due(window)
            && let Some(length) = short(window, key.length(), separator)
        {
            walk.pass();
            fields.keep(key.slot(), at + key.length(), length)?;
            at += key.length() + length + 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let (length, slot) = match walk.take(rest) {
            Some(key) => (key.length(), key.slot()),
            None => (key(rest)?.len() + 1, Fields::<SLOTS>::OTHER),
        };
        let (found, behind) = value(rest.get(length..).unwrap_or_default(), separator)?;
        let quote = usize::from(rest.get(length) == Some(&b'"'));
        fields.keep(slot, at + length + quote, found.text().len())?;
        at = text.len() - behind_separators(behind, separator).len();
    }
}

/// How many octets a bare value of up to 15 has that begins at `start` and has one octet between it and another pair, as
/// nearly all do; `None` for others.
#[inline]
fn short(window: &[u8; WINDOW], start: usize, separator: u8) -> Option<usize> {
    let first: &[u8; 16] = window.get(start..)?.first_chunk()?;
    let octets = u8x16::new(*first);
    let ends = octets.simd_eq(u8x16::splat(b' ')) | octets.simd_eq(u8x16::splat(separator));
    let length = (ends.to_bitmask() & 0xffff | 1 << 16).trailing_zeros() as usize;
    let next = *window.get(start + length + 1)?;
    let is_usual = length < 16 && first[0] != b'"' && next != b' ' && next != separator;
    is_usual.then_some(length)
}

/// The key that `text` begins with, before its `=`.
#[inline]
fn key(text: &[u8]) -> Result<&[u8], DecodeError> {
    match text.split_at(first_of(text, *b"= \"")) {
        (b"", _) => Err(DecodeError::Malformed),
        (key, [b'=', ..]) => Ok(key),
        (_, []) => Err(DecodeError::Truncated),
        _ => Err(DecodeError::Malformed),
    }
}

/// The value that `text` begins with, and what stands behind it.
#[inline]
fn value(text: &[u8], separator: u8) -> Result<(Value<'_>, &[u8]), DecodeError> {
    if let [b'"', quoted @ ..] = text {
        let end = closing(quoted).ok_or(DecodeError::Truncated)?;
        let behind = &quoted[end + 1..];
        if !matches!(behind, [] | [b' ', ..]) && behind[0] != separator {
            return Err(DecodeError::Malformed);
        }
        return Ok((Value::new(quoted, end), behind));
    }
    let end = first_of(text, [b' ', separator]);
    Ok((Value::new(text, end), &text[end..]))
}

#[inline]
fn behind_separators(mut text: &[u8], separator: u8) -> &[u8] {
    while let [octet, behind @ ..] = text
        && (*octet == b' ' || *octet == separator)
    {
        text = behind;
    }
    text
}

/// Where the quote is that closes what `quoted` begins with.
#[inline]
pub(super) fn closing(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += first_of(quoted.get(at..)?, [b'"']);
        if at == quoted.len() {
            return None;
        }
        if !is_escaped(quoted, at) {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether the octet at `at` stands behind an odd number of backslashes.
#[inline]
pub(super) fn is_escaped(text: &[u8], at: usize) -> bool {
    text.get(at.wrapping_sub(1)) == Some(&b'\\') && backslashes(&text[..at]) % 2 == 1
}

/// How many backslashes `text` ends with.
#[cold]
fn backslashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|&&octet| octet == b'\\').count()
}

/// Puts `value` where a key's value goes: [`DecodeError::Malformed`] if there is one already.
#[inline]
pub(super) fn put<'a>(slot: &mut Value<'a>, value: Value<'a>) -> Result<(), DecodeError> {
    if !slot.is_absent() {
        return Err(DecodeError::Malformed);
    }
    *slot = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(&str, &str)>, DecodeError> {
        let mut pairs = Vec::new();
        read(text.as_bytes(), b',', |key, value| {
            pairs.push((
                str::from_utf8(key).unwrap(),
                str::from_utf8(value.text()).unwrap(),
            ));
            Ok(())
        })?;
        Ok(pairs)
    }

    #[test]
    fn bare_and_quoted_values() {
        assert_eq!(
            pairs(r#"a=1, b="x, y=z" c="",d="q\"\\" e="#),
            Ok(vec![
                ("a", "1"),
                ("b", "x, y=z"),
                ("c", ""),
                ("d", r#"q\"\\"#),
                ("e", "")
            ])
        );
        for (text, expected) in [
            ("a=1 b", DecodeError::Truncated),
            ("a=1 b=\"x", DecodeError::Truncated),
            ("a=1 b=\"x\\\"", DecodeError::Truncated),
            ("a=\"1\"b=2", DecodeError::Malformed),
            ("a=1 word b=2", DecodeError::Malformed),
            ("=1", DecodeError::Malformed),
            ("a\"b\"=1", DecodeError::Malformed),
        ] {
            assert_eq!(pairs(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn headers_end_where_pairs_begin() {
        for header in [
            "",
            "test ",
            "Oct 5 23:29:33 172.16.200.26 ",
            " host app 1 - [x@1 a=\"b ]\" c=\"\\\"]\"][y@2 d=\"e\"] \u{feff}",
            "[  312.4] ",
        ] {
            let text = format!("{header}a=1 b=2");
            let mark = format!("{header}{{a=1");
            assert_eq!(
                begin(mark.as_bytes(), |rest| rest[0] == b'{'),
                Some(&b"{a=1"[..]),
                "{header}"
            );
            assert_eq!(
                begin(text.as_bytes(), |_| false),
                Some(&b"a=1 b=2"[..]),
                "{header}"
            );
        }
        for text in ["", "word", "a \"b=1\"", "[x@1 a=\"b", "=1"] {
            assert_eq!(begin(text.as_bytes(), |_| false), None, "{text}");
        }
    }
}
