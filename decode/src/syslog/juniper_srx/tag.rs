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

/// The first tag of a text, without its colon, and what stands behind it.
#[inline]
pub(super) fn find(text: &[u8]) -> Option<(&[u8], Cursor<'_>)> {
    // The Junos program (APP-NAME or TAG) was seen: the next word, after a PROCID, is the message's tag.
    let mut program = false;
    for rest in mark::words(text) {
        let mut rest = Cursor::new(rest);
        let word = rest.token();
        let tag = word.strip_suffix(b":").unwrap_or(word);
        if program && !matches!(word, [b'-' | b'0'..=b'9', ..]) {
            return Some((tag, rest));
        }
        match word {
            [b'R', b'T', b'_', ..]
            | [b'A', b'P', b'P', b'T', ..]
            | [b'A', b'A', b'M', b'W', ..]
            | [b'S', b'E', b'C', ..] => {
                if is_program(tag) {
                    program = true;
                } else if is_junos(tag) {
                    return Some((tag, rest));
                }
            }
            _ => {}
        }
    }
    // Cut off behind the program.
    program.then_some((b"", Cursor::new(b"")))
}

/// Whether a word is the program (APP-NAME, TAG) whose messages these are.
fn is_program(word: &[u8]) -> bool {
    // RFC 3164 may give the program a process id.
    let word = word.split(|&byte| byte == b'[').next().unwrap_or(word);
    matches!(
        word,
        b"RT_FLOW" | b"RT_NAT" | b"RT_IDP" | b"RT_IDS" | b"RT_UTM" | b"RT_AAMW" | b"RT_SECINTEL" | b"RT_LOG"
    )
}

/// Whether a word is a tag, even without a program before it.
fn is_junos(word: &[u8]) -> bool {
    const BEGINS: [&[u8]; 6] = [
        b"RT_FLOW_",
        b"RT_SRC_NAT_",
        b"RT_NAT_",
        b"APPTRACK_",
        b"AAMW_",
        b"SECINTEL_",
    ];
    BEGINS.iter().any(|begin| word.starts_with(begin))
}
