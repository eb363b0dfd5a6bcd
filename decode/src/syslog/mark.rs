//! Which vendor's text a message holds, and where it begins.
//!
//! Every word of the text is looked at, in order, and the first mark counts: what is quoted further on (a policy name,
//! a user name) cannot pose as one.

use super::frame::BYTE_ORDER_MARK;
use super::{juniper_srx, nfware};
use crate::Profile;
use crate::bytes::Cursor;

/// The format whose mark comes first in `text`, and the octet where that begins.
#[inline]
pub(super) fn find(text: &[u8]) -> Option<(Profile, usize)> {
    words(text).find_map(|rest| {
        // What the marks begin with tells which format to ask: no two begin alike.
        let (profile, claims) = match rest {
            [_, b' ', b'V', b'R', b'F', b' ', ..] => (Profile::Nfware, nfware::claims(rest)),
            [b'R', b'T', b'_', ..]
            | [b'A', b'P', b'P', b'T', ..]
            | [b'A', b'A', b'M', b'W', ..]
            | [b'S', b'E', b'C', ..] => (Profile::JuniperSrx, juniper_srx::claims(rest)),
            _ => return None,
        };
        claims.then_some((profile, text.len() - rest.len()))
    })
}

/// What is left of `text` from each of its words on. Words are parted by blanks; a byte order mark is no part of one.
#[inline]
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(text);
    std::iter::from_fn(move || {
        while cursor.take(b" ") || cursor.take(&BYTE_ORDER_MARK) {}
        let rest = cursor.rest();
        cursor.token();
        (!rest.is_empty()).then_some(rest)
    })
}
