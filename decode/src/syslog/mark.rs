//! Which vendor's text a message holds, and where it begins.
//!
//! The marks are looked for at every token of the text, in order, and the first one counts: what is quoted further
//! on (a policy name, a user name) cannot pose as one.

use super::frame::BYTE_ORDER_MARK;
use super::juniper_srx;
use crate::Profile;
use crate::bytes::Cursor;

/// The first mark of a known format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark<'a> {
    /// NFWare: a letter and ` VRF `. Holds the text from the letter on.
    Nfware(Cursor<'a>),
    /// Junos: a tag such as `RT_FLOW_SESSION_CREATE`, without its colon, and the text behind it.
    Junos { tag: &'a [u8], rest: Cursor<'a> },
}

/// Finds the first mark of the formats that `profile` admits.
#[inline]
pub(crate) fn find(profile: Profile, text: &[u8]) -> Option<Mark<'_>> {
    let (nfware, junos) = match profile {
        Profile::Auto => (true, true),
        Profile::Nfware => (true, false),
        Profile::JuniperSrx => (false, true),
        _ => return None,
    };
    // The Junos program (APP-NAME or TAG) was seen: the next word, after a PROCID, is the message's tag.
    let mut program = false;
    let mut cursor = Cursor::new(text);
    while !cursor.is_empty() {
        while cursor.take(b" ") || cursor.take(&BYTE_ORDER_MARK) {}
        if nfware && let [_, b' ', b'V', b'R', b'F', b' ', ..] = cursor.rest() {
            return Some(Mark::Nfware(cursor));
        }
        let token = cursor.token();
        if !junos {
            continue;
        }
        if program && !matches!(token, [b'-' | b'0'..=b'9', ..]) {
            return Some(Mark::Junos {
                tag: juniper_srx::tag::name(token),
                rest: cursor,
            });
        }
        match token {
            [b'R', b'T', b'_', ..]
            | [b'A', b'P', b'P', b'T', ..]
            | [b'A', b'A', b'M', b'W', ..]
            | [b'S', b'E', b'C', ..] => {
                let tag = juniper_srx::tag::name(token);
                if juniper_srx::tag::is_program(tag) {
                    program = true;
                } else if juniper_srx::tag::is_junos(tag) {
                    return Some(Mark::Junos { tag, rest: cursor });
                }
            }
            _ => {}
        }
    }
    // Cut off behind the program.
    program.then_some(Mark::Junos {
        tag: b"",
        rest: cursor,
    })
}
