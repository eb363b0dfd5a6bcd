//! What stands around a vendor's text: padding, PRI, the header's time.
//!
//! Of the RFC 5424 header only the time is read, and of the "China Telecom" header, which looks like it
//! (`<134>1 2020 Jan 17 11:05:55 …`), as well; that one names no zone. An RFC 3164 header in any of its shapes (blank
//! after the PRI, two blanks before the host, sequence number or `*` first, zone name, no host, no header at all) has
//! no absolute time, unless the exporter's zone is said. Where such a header ends is not asked: a TAG cannot be told
//! from the first word of a text without TAG, and a parser that tries loses `A VRF 0 …`. The vendors' marks are looked
//! for in the whole text instead.

use event::{Event, TimeSource};

use crate::bytes::Cursor;
use crate::said::Said;
use crate::time;

/// UTF-8 byte order mark, which RFC 5424 section 6.4 puts before MSG.
pub(crate) const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// What the header of a message said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header<'a> {
    /// Its absolute time in ns since 1970 (UTC).
    pub time_ns: Option<i64>,
    /// The time of a header of four tokens, which names no zone, in ns since 1970 if the device means UTC.
    pub zoneless_ns: Option<i64>,
    /// What is said of the exporter, if anything is.
    pub said: Option<&'a Said<'a>>,
}

impl<'a> Header<'a> {
    /// Gives `event` the header's time, if that is absolute.
    #[inline]
    pub(crate) fn stamp(&self, event: &mut Event<'_>) {
        if self.time_ns.is_some() {
            event.time_ns = self.time_ns;
            event.time_source = TimeSource::DeviceHeader;
        }
    }

    /// Gives `event` a time of its own that names no zone, if the exporter's is said. `text` is all of that time.
    pub(crate) fn stamp_zoneless(&self, event: &mut Event<'_>, text: &[u8]) {
        if let Some(time_ns) = self.said.and_then(|said| said.moment_of(text)) {
            event.time_ns = Some(time_ns);
            event.time_source = TimeSource::DeviceEvent;
        }
    }

    /// The header with what is said of the exporter, which may make its time absolute; `text` is what follows PRI,
    /// VERSION and the times that [`read`] knows.
    #[cold]
    fn with(mut self, said: &'a Said<'a>, text: &[u8]) -> Self {
        self.said = Some(said);
        self.time_ns = self.time_ns.or_else(|| match self.zoneless_ns {
            Some(zoneless_ns) => said.moment(zoneless_ns),
            None => said.header_moment(text),
        });
        self
    }
}

/// A message without its PRI, VERSION and TIMESTAMP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub header: Header<'a>,
    /// The text that may hold a vendor's mark.
    pub text: &'a [u8],
}

/// Cuts what senders and relays put around a message: blanks, NUL, CR and LF, and the `#000`, `#012`, `#015` that
/// rsyslog writes for the last three.
pub(crate) fn strip(mut message: &[u8]) -> &[u8] {
    loop {
        message = match message {
            [rest @ .., 0 | b'\n' | b'\r' | b' ' | b'\t']
            | [rest @ .., b'#', b'0', b'0', b'0']
            | [rest @ .., b'#', b'0', b'1', b'2' | b'5'] => rest,
            _ => break,
        }
    }
    while let [b'\n' | b'\r' | b' ' | b'\t', rest @ ..] = message {
        message = rest;
    }
    message
}

/// Reads the header of a stripped message of an exporter of which `said` is said.
#[inline]
pub(crate) fn read<'a>(message: &'a [u8], said: Option<&'a Said<'a>>) -> Frame<'a> {
    let mut frame = read_plain(message);
    if let Some(said) = said {
        frame.header = frame.header.with(said, frame.text);
    }
    frame
}

#[inline]
fn read_plain(message: &[u8]) -> Frame<'_> {
    let mut cursor = Cursor::new(message);
    cursor.take(&BYTE_ORDER_MARK);
    if skip_pri(&mut cursor) && cursor.peek() == Some(b' ') {
        cursor.skip(1);
    }
    let text = cursor.rest();
    if cursor.take(b"1 ") {
        let mut behind = cursor;
        if let time_ns @ Some(_) = time::rfc5424(behind.token()) {
            let header = Header {
                time_ns,
                ..Header::default()
            };
            return Frame {
                header,
                text: behind.rest(),
            };
        }
        if let zoneless_ns @ Some(_) = time::take_four_tokens(&mut cursor) {
            let header = Header {
                zoneless_ns,
                ..Header::default()
            };
            return Frame {
                header,
                text: cursor.rest(),
            };
        }
    }
    // A header whose time is none is left to the text: it may be no header.
    Frame {
        header: Header::default(),
        text,
    }
}

/// Goes past `<PRI>`, 1 to 3 digits (RFC 5424 section 6.2.1), if there is one.
fn skip_pri(cursor: &mut Cursor<'_>) -> bool {
    let length = match cursor.rest() {
        [b'<', a, b, c, b'>', ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => 5,
        [b'<', a, b, b'>', ..] if [a, b].iter().all(|byte| byte.is_ascii_digit()) => 4,
        [b'<', a, b'>', ..] if a.is_ascii_digit() => 3,
        _ => return false,
    };
    cursor.skip(length);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(message: &str) -> (Option<i64>, &str) {
        let frame = read(message.as_bytes(), None);
        (frame.header.time_ns, str::from_utf8(frame.text).unwrap())
    }

    #[test]
    fn rfc_5424_time_is_absolute_only_with_its_zone() {
        let second = Some(1_748_520_000_000_000_000);
        assert_eq!(
            read_text("<134>1 2025-05-29T12:00:00Z h a - - - x"),
            (second, " h a - - - x")
        );
        assert_eq!(read_text("1 2025-05-29T12:00:00Z h a - - - x").0, second);
        assert_eq!(read_text("<134> 1 2025-05-29T14:00:00+02:00 h").0, second);
        for message in [
            "<134>1 2025-05-29T12:00:00 h a - - - x",
            "<134>1 2025-05-29T12:00:00.040 h a - - - x",
            "<134>1 - h a - - - x",
            "<134>1 2020 Jan 17 11:05:55 host app - TYPE [..]",
            "<134> 1 2011 May 31 10:30:45 host - - NAT44 - [..][..]",
            "<134>2 2025-05-29T12:00:00Z h a - - - x",
            "2025-05-29T12:00:00Z relay x",
            "1 ",
            "<",
            "",
        ] {
            assert_eq!(read_text(message).0, None, "{message}");
        }
    }

    #[test]
    fn the_time_of_four_tokens_has_no_zone() {
        let second = 1_306_837_845_000_000_000;
        for message in [
            "<134> 1 2011 May 31 10:30:45 host - - NAT44 - x",
            "<134>1 2011 May 31 10:30:45 host - - NAT44 - x",
        ] {
            let frame = read(message.as_bytes(), None);
            assert_eq!(frame.header.zoneless_ns, Some(second));
            assert_eq!(
                (frame.header.time_ns, frame.text),
                (None, &b" host - - NAT44 - x"[..])
            );
        }
        let frame = read(b"<134>1 2011 May 32 10:30:45 host x", None);
        assert_eq!(frame.header.zoneless_ns, None);
        assert_eq!(frame.text, b"1 2011 May 32 10:30:45 host x");
    }

    #[test]
    fn rfc_3164_headers_have_no_absolute_time_and_hide_nothing() {
        for message in [
            "<23> Nov 18 09:56:58  HOST tag: x",
            "<14>*Nov 18 09:56:58.123 UTC: x",
            "<189>29: host: Nov 18 09:56:58: x",
            "Nov 18 09:56:58 x",
            "<14>x",
            "x",
        ] {
            let (time_ns, text) = read_text(message);
            assert_eq!(time_ns, None);
            assert!(text.ends_with('x'), "{message}");
        }
        assert_eq!(read_text("<1234>x").1, "<1234>x");
        assert_eq!(read_text("<7>x").1, "x");
    }

    #[test]
    fn padding_is_cut_on_both_sides() {
        assert_eq!(strip(b" \tx y\0\r\n \0"), b"x y");
        assert_eq!(strip(b"x#012#000\n"), b"x");
        assert_eq!(strip(b"x#013"), b"x#013");
        assert_eq!(strip(b"\0\r\n #000"), b"");
    }
}
