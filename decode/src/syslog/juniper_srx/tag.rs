//! The messages of Junos security services.

use crate::DecodeError;
use crate::bytes::Cursor;
use crate::syslog::mark;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    SessionCreate,
    SessionClose,
    BlockAlloc,
    BlockInterim,
    BlockRelease,
    /// Exhaustion or a threshold of a pool.
    Alarm,
    /// No mapping, even where it carries `nat-source-address`.
    Other,
}

const EVENTS: [(&[u8], Tag); 5] = [
    (b"RT_FLOW_SESSION_CREATE", Tag::SessionCreate),
    (b"RT_FLOW_SESSION_CLOSE", Tag::SessionClose),
    (b"RT_SRC_NAT_PBA_ALLOC", Tag::BlockAlloc),
    (b"RT_SRC_NAT_PBA_INTERIM", Tag::BlockInterim),
    (b"RT_SRC_NAT_PBA_RELEASE", Tag::BlockRelease),
];

impl Tag {
    /// Classifies a tag. A relative of an event's tag that is not known is an error: it may be a mapping.
    pub(super) fn of(name: &[u8]) -> Result<Self, DecodeError> {
        match name {
            b"RT_FLOW_SESSION_CREATE" => return Ok(Self::SessionCreate),
            b"RT_FLOW_SESSION_CLOSE" => return Ok(Self::SessionClose),
            _ => {}
        }
        for (event, tag) in EVENTS {
            if let Some(suffix) = name.strip_prefix(event) {
                // Logical system, MX-SPC3.
                return match suffix {
                    b"" | b"_LS" | b"_USF" | b"_LS_USF" | b"_USF_LS" => Ok(tag),
                    _ => Err(DecodeError::UnknownFormat),
                };
            }
        }
        if name.is_empty() || EVENTS.iter().any(|(event, _)| event.starts_with(name)) {
            return Err(DecodeError::Truncated);
        }
        if name.starts_with(b"RT_SRC_NAT_PBA_") {
            return Err(DecodeError::UnknownFormat);
        }
        let has = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
        let alarm = has(b"ALARM") || has(b"OUTOF") || has(b"OUT_OF") || has(b"EXHAUST");
        Ok(if alarm { Self::Alarm } else { Self::Other })
    }
}

/// Whether a text has a program or a tag of these messages.
pub(super) fn is_in(text: &[u8]) -> bool {
    mark::words(text).any(|rest| is_program(rest) || is_junos(rest))
}

/// The first tag of a text, without its colon, and what stands behind it.
#[inline]
pub(super) fn find(text: &[u8]) -> Option<(&[u8], Cursor<'_>)> {
    let rest = if is_program(text) {
        text
    } else {
        mark::words(text).find(|rest| is_program(rest) || is_junos(rest))?
    };
    let mut cursor = Cursor::new(rest);
    let mut word = cursor.token();
    if is_program(rest) {
        // The next word, after a PROCID, is the message's tag.
        word = loop {
            match cursor.next_token() {
                Some([b'-' | b'0'..=b'9', ..]) => {}
                Some(word) => break word,
                // Cut off behind the program.
                None => return Some((b"", cursor)),
            }
        };
    }
    Some((word.strip_suffix(b":").unwrap_or(word), cursor))
}

/// Whether a text begins with the program (APP-NAME, TAG) whose messages these are; RFC 3164 may give it a process id.
fn is_program(text: &[u8]) -> bool {
    let [b'R', b'T', b'_', name @ ..] = text else {
        return false;
    };
    let length = match name {
        [b'F', b'L', b'O', b'W', ..] | [b'A', b'A', b'M', b'W', ..] => 4,
        [b'N', b'A', b'T', ..]
        | [b'I', b'D', b'P' | b'S', ..]
        | [b'U', b'T', b'M', ..]
        | [b'L', b'O', b'G', ..] => 3,
        _ if name.starts_with(b"SECINTEL") => 8,
        _ => return false,
    };
    matches!(name.get(length), None | Some(b' ' | b':' | b'['))
}

/// Whether a text begins with a tag, which may stand without a program before it.
fn is_junos(text: &[u8]) -> bool {
    const BEGINS: [&[u8]; 6] = [
        b"RT_FLOW_",
        b"RT_SRC_NAT_",
        b"RT_NAT_",
        b"APPTRACK_",
        b"AAMW_",
        b"SECINTEL_",
    ];
    BEGINS.iter().any(|begin| text.starts_with(begin))
}
