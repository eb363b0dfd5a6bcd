//! A value inside of a message.

use std::net::IpAddr;

use event::Text;

use crate::bytes::{Cursor, decimal};
use crate::{DecodeError, address, protocol};

/// A value, without its quotes.
///
/// It knows what stands behind it, too, so that numbers and addresses can be read by whole words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value<'a> {
    /// From the value's begin to the end of the message; empty if the value is absent.
    tail: &'a [u8],
    length: usize,
}

impl<'a> Value<'a> {
    /// The first `length` octets of `tail`.
    #[inline]
    pub(crate) const fn new(tail: &'a [u8], length: usize) -> Self {
        Self { tail, length }
    }

    #[inline]
    pub(crate) fn is_absent(self) -> bool {
        self.tail.is_empty()
    }

    #[inline]
    pub(crate) fn text(self) -> &'a [u8] {
        self.tail.get(..self.length).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn required(self) -> Result<Self, DecodeError> {
        if self.is_absent() {
            Err(DecodeError::MissingField)
        } else {
            Ok(self)
        }
    }

    #[inline]
    pub(crate) fn address(self) -> Result<IpAddr, DecodeError> {
        match address::ipv4(self.tail) {
            Some((ip, length)) if length == self.length => address::specified(ip.into()),
            _ => address::ipv6(self.text()),
        }
    }

    /// An address; `None` where it is unspecified (`0.0.0.0`, `::`), which stands for "not translated".
    #[inline]
    pub(crate) fn address_or_none(self) -> Result<Option<IpAddr>, DecodeError> {
        match self.text() {
            b"0.0.0.0" | b"::" => Ok(None),
            _ => self.address().map(Some),
        }
    }

    #[inline]
    pub(crate) fn port(self) -> Result<u16, DecodeError> {
        let mut cursor = Cursor::new(self.tail);
        let port = cursor.port();
        port.ok()
            .filter(|_| self.is_read(cursor))
            .ok_or(DecodeError::BadPort)
    }

    /// A protocol number.
    #[inline]
    pub(crate) fn protocol(self) -> Result<u8, DecodeError> {
        let mut cursor = Cursor::new(self.tail);
        let protocol = cursor.protocol();
        protocol
            .ok()
            .filter(|_| self.is_read(cursor))
            .ok_or(DecodeError::BadProtocol)
    }

    /// A protocol that is named or numbered.
    #[inline]
    pub(crate) fn protocol_by_name(self) -> Result<u8, DecodeError> {
        protocol::number(self.text())
    }

    /// A count of seconds, milliseconds or the like, of up to 19 digits: more are no time of this world.
    #[inline]
    pub(crate) fn count(self) -> Result<i64, DecodeError> {
        let text = self.text();
        let mut value: i64 = 0;
        if text.is_empty() || text.len() > 19 {
            return Err(DecodeError::BadTime);
        }
        for digits in text.chunks(7) {
            let (part, length) = decimal(digits);
            if length != digits.len() {
                return Err(DecodeError::BadTime);
            }
            let scale = 10_i64.pow(length as u32);
            value = value
                .checked_mul(scale)
                .and_then(|value| value.checked_add(part.into()))
                .ok_or(DecodeError::BadTime)?;
        }
        Ok(value)
    }

    /// Text as written; `None` if it is empty or `N/A`. [`DecodeError::Malformed`] if it contains NUL.
    #[inline]
    pub(crate) fn name(self) -> Result<Option<Text<'a>>, DecodeError> {
        let raw = self.text();
        if matches!(raw, b"" | b"N/A") {
            return Ok(None);
        }
        plain(raw).map(Some)
    }

    /// The same, with the escapes of RFC 5424 (`\"`, `\\`, `\]`) still in it, to be undone where it is stored.
    #[inline]
    pub(crate) fn escaped_name(self) -> Result<Option<Text<'a>>, DecodeError> {
        let name = self.name()?;
        Ok(match str::from_utf8(self.text()) {
            Ok(text) if name.is_some() && text.contains('\\') => Some(Text::escaped(text)),
            _ => name,
        })
    }

    /// Whether the cursor went to the value's end and no further.
    #[inline]
    fn is_read(self, cursor: Cursor<'_>) -> bool {
        self.tail.len() - cursor.rest().len() == self.length
    }
}

/// A name as the device wrote it, without escapes: [`DecodeError::Malformed`] if it contains NUL.
#[inline]
pub(crate) fn plain(raw: &[u8]) -> Result<Text<'_>, DecodeError> {
    let text = str::from_utf8(raw).map_err(|_| DecodeError::NotUtf8)?;
    if raw.contains(&0) {
        Err(DecodeError::Malformed)
    } else {
        Ok(Text::plain(text))
    }
}

/// Keeps the value of a field that must not be given twice.
#[inline]
pub(crate) fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), DecodeError> {
    if slot.replace(value).is_some() {
        Err(DecodeError::Malformed)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value<'_> {
        Value::new(text.as_bytes(), text.len())
    }

    #[test]
    fn counts_up_to_19_digits() {
        for text in ["0", "7", "12345678", "1562105093001", "9223372036854775807"] {
            assert_eq!(
                value(text).count(),
                text.parse().map_err(|_| DecodeError::BadTime)
            );
        }
        for text in [
            "",
            "-1",
            "1.5",
            "12345678x",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(value(text).count(), Err(DecodeError::BadTime), "{text}");
        }
    }

    #[test]
    fn unspecified_is_told_from_bad() {
        assert_eq!(value("0.0.0.0").address_or_none(), Ok(None));
        assert_eq!(value("::").address_or_none(), Ok(None));
        assert_eq!(value("0.0.0.0").address(), Err(DecodeError::BadAddress));
        assert_eq!(value("X.X.X.X").address_or_none(), Err(DecodeError::BadAddress));
    }

    #[test]
    fn names() {
        assert_eq!(value("N/A").name(), Ok(None));
        assert_eq!(value("a\0b").name(), Err(DecodeError::Malformed));
        assert_eq!(value(r"a\b").name(), Ok(Some(Text::plain(r"a\b"))));
        assert_eq!(value(r"a\\b").escaped_name().unwrap().unwrap().to_str(), r"a\b");
    }
}
