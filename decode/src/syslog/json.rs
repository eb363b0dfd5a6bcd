//! JSON objects (RFC 8259), read by key.

use super::pairs::closing;
use crate::DecodeError;
use crate::bytes::first_of;
use crate::value::Value;

/// Objects inside of objects: envelopes have two or three.
const DEPTH_MAX: usize = 16;

/// Gives each member of the object that `text` is, and of the objects inside of it, to `each`, until that fails.
///
/// Strings come without their quotes and with their escapes, numbers and words as they stand. Arrays are gone past.
/// Behind the object there may be blanks only. [`DecodeError::Truncated`] if the text ends inside of it.
pub(super) fn read<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], Value<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = expect(text, b'{')?;
    let mut depth = 1;
    // Behind `{` the object may end at once; behind a comma it may not.
    let mut opened = true;
    loop {
        rest = blanks(rest);
        if opened && rest.first() == Some(&b'}') {
            rest = close(rest, &mut depth)?;
        } else {
            let quoted = expect(rest, b'"')?;
            let end = closing(quoted).ok_or(DecodeError::Truncated)?;
            let key = &quoted[..end];
            rest = blanks(expect(blanks(&quoted[end + 1..]), b':')?);
            match rest {
                [b'{', behind @ ..] => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return Err(DecodeError::Malformed);
                    }
                    rest = behind;
                    opened = true;
                    continue;
                }
                [b'[', ..] => rest = behind_array(rest)?,
                [b'"', quoted @ ..] => {
                    let end = closing(quoted).ok_or(DecodeError::Truncated)?;
                    each(key, Value::new(quoted, end))?;
                    rest = &quoted[end + 1..];
                }
                _ => {
                    let end = first_of(rest, [b',', b'}', b' ', b'\n']);
                    let word = rest[..end].trim_ascii_end();
                    if end == rest.len() {
                        return Err(DecodeError::Truncated);
                    }
                    let known = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
                    if word.is_empty() || !word.iter().all(known) {
                        return Err(DecodeError::Malformed);
                    }
                    each(key, Value::new(rest, word.len()))?;
                    rest = &rest[end..];
                }
            }
            rest = blanks(rest);
            if rest.first() == Some(&b'}') {
                rest = close(rest, &mut depth)?;
            }
        }
        // Behind a value or a closed object.
        loop {
            rest = blanks(rest);
            if depth == 0 {
                return if rest.is_empty() {
                    Ok(())
                } else {
                    Err(DecodeError::Malformed)
                };
            }
            if rest.first() != Some(&b'}') {
                break;
            }
            rest = close(rest, &mut depth)?;
        }
        rest = expect(rest, b',')?;
        opened = false;
    }
}

fn close<'a>(rest: &'a [u8], depth: &mut usize) -> Result<&'a [u8], DecodeError> {
    *depth -= 1;
    expect(rest, b'}')
}

fn blanks(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

fn expect(text: &[u8], octet: u8) -> Result<&[u8], DecodeError> {
    match text.split_first() {
        Some((first, rest)) if *first == octet => Ok(rest),
        Some(_) => Err(DecodeError::Malformed),
        None => Err(DecodeError::Truncated),
    }
}

fn behind_array(text: &[u8]) -> Result<&[u8], DecodeError> {
    let (mut rest, mut depth) = (text, 0_usize);
    loop {
        let at = first_of(rest, [b'[', b']', b'"']);
        let (octet, behind) = rest[at..].split_first().ok_or(DecodeError::Truncated)?;
        rest = behind;
        match octet {
            b'[' => depth += 1,
            b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(rest);
                }
            }
            _ => rest = &rest[closing(rest).ok_or(DecodeError::Truncated)? + 1..],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(text: &str) -> Result<Vec<(String, String)>, DecodeError> {
        let mut members = Vec::new();
        read(text.as_bytes(), |key, value| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            members.push((text(key), text(value.text())));
            Ok(())
        })?;
        Ok(members)
    }

    #[test]
    fn members_of_all_objects() {
        let text =
            r#"{ "a" : "x, \"y\"}" ,"b":-1.5e3, "c":{"d":{}, "e":null }, "f":[1,["]"],{"g":2}],"h":true}"#;
        let expected = [
            ("a", r#"x, \"y\"}"#),
            ("b", "-1.5e3"),
            ("e", "null"),
            ("h", "true"),
        ];
        let expected: Vec<_> = expected
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
        assert_eq!(members(text), Ok(expected));
        assert_eq!(members("{}"), Ok(vec![]));
        for end in 0..text.len() {
            assert_eq!(
                members(&text[..end]),
                Err(DecodeError::Truncated),
                "{}",
                &text[..end]
            );
        }
    }

    #[test]
    fn what_is_no_object() {
        let deep = "{\"a\":".repeat(DEPTH_MAX + 1);
        for text in [
            "[]",
            "{]",
            "{\"a\" 1}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}}",
            "{\"a\":1 2}",
            "{a:1}",
            &deep,
        ] {
            assert_eq!(members(text), Err(DecodeError::Malformed), "{text}");
        }
    }

    proptest! {
        // Nearly JSON: what serde_json reads, this reads; neither may panic.
        #[test]
        fn takes_what_is_json(text in r#"\{("[ab]":("x"|1|\{|\}|\[|\]|,| ){0,4},?){0,4}\}{1,2}"#) {
            let object = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert!(!object || members(&text).is_ok(), "{}", text);
        }
    }
}
