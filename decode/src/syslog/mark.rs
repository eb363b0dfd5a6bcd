//! Which vendor's text a message holds, and where it begins.
//!
//! Every word of the header is looked at, in order, and the first mark counts: what is quoted further on (a policy name,
//! a user name) cannot pose as one.

use super::frame::BYTE_ORDER_MARK;
use super::{
    a10, cisco_ios_xe, cisco_ios_xr, conntrack, danos, f5_bigip, fortinet, h3c, huawei, jool, juniper_ms,
    juniper_srx, mikrotik, nfware, pairs, paloalto, sixwind, ulogd, vpp, vyos,
};
use crate::Profile;
use crate::bytes::{Cursor, first_of};
use crate::search;

/// The format whose mark comes first in `text`, and the octet from which on its decoder wants the text: that of the
/// mark, or the first one where the header says something about the event.
#[inline]
pub(super) fn find(text: &[u8]) -> Option<(Profile, usize)> {
    // Without a header.
    if nfware::begins(text) {
        return Some((Profile::Nfware, 0));
    }
    for rest in words(text) {
        let at = text.len() - rest.len();
        if let [_, b' ', ..] = rest {
            if nfware::begins(rest) {
                return Some((Profile::Nfware, at));
            }
            continue;
        }
        // A batch of A10 may be glued to its time.
        if !may_begin(rest) && rest.get(8) != Some(&b'P') {
            continue;
        }
        // What marks usually begin with tells which format to ask, and of what: no two begin alike.
        let (profile, asked, from) = match rest {
            [b'R', b'T', b'_', b'F', b'L', b'O', b'W', b' ' | b':' | b'_', ..]
            | [b'R', b'T', b'_', b'N', b'A', b'T', b' ' | b':' | b'_', ..] => {
                return Some((Profile::JuniperSrx, at));
            }
            [b'R', b'T', b'_', ..]
            | [b'A', b'P', b'P', b'T', ..]
            | [b'A', b'A', b'M', b'W', ..]
            | [b'S', b'E', b'C', ..] => (Profile::JuniperSrx, rest, at),
            [b'L', b'S', b'N', b'_', ..]
            | [b'l', b's', b'n', b'_', ..]
            | [b'i', b'p', b'_', b'p', ..]
            | [b'{', b'"' | b' ', ..] => (Profile::F5BigIp, rest, at),
            [b'N', b'A', b'T', b'-', ..]
            | [b'C', b'E', b'F', b':', ..]
            | [b'F', b'I', b'X', b'E', ..]
            | [b'P', b'o', b'r', b't', ..]
            | [_, _, b':', _, _, b':', _, _, b'P', ..]
            | [b'a', b'1', b'0', b'l', ..] => (Profile::A10, rest, 0),
            [b'f', b'p', b'-', b'c', ..] => (Profile::SixWind, rest, at),
            [b'd', b'a', b't', b'e', b'=', ..] => return Some((Profile::Fortinet, at)),
            [b'0'..=b'9', b',', ..] => (Profile::PaloAlto, rest, at),
            [b'J', b'S', b'E', b'R', ..]
            | [b'M', b'S', b'V', b'C', ..]
            | [b'A', b'S', b'P', b'_', ..]
            | [b'{', ..]
            | [b'[', b'F', b'W', ..] => (Profile::JuniperMs, rest, at),
            [b'C', b'G', b'N', b'A', ..] => (Profile::Danos, rest, at),
            [b'c', b'g', b'n', b'a', ..] => (Profile::Vyos, rest, at),
            [b'[', b'N' | b'U' | b'D', ..] => match connection(rest) {
                Some(found) => return Some((found, 0)),
                None => continue,
            },
            // Glued to its time by a TAB, or by what relays write for one.
            [b'\t', glued @ ..] | [b'#', b'0', b'1', b'1', glued @ ..] => match connection(glued) {
                Some(found) => return Some((found, 0)),
                None => continue,
            },
            _ => match whole_mark(rest, &text[..at]) {
                Some((profile, from_begin)) => return Some((profile, if from_begin { 0 } else { at })),
                None => continue,
            },
        };
        if claims(profile, asked) {
            return Some((profile, from));
        }
    }
    unusual(text)
}

/// The format whose mark is known from its begin alone, and whether its decoder wants the text from the first octet on.
#[inline]
fn whole_mark(rest: &[u8], before: &[u8]) -> Option<(Profile, bool)> {
    match rest {
        // Users may name what stands behind it: no mark in there counts.
        [b'i', b'n', b':', ..] if before.ends_with(b": ") => Some((Profile::Mikrotik, true)),
        [b'%', b'A'..=b'Z', ..] if cisco_ios_xe::begins(rest) => Some((Profile::CiscoIosXe, true)),
        [b'%', b'%', ..] if h3c::claims(rest) => Some((Profile::H3c, false)),
        [b'U', ..] if rest.starts_with(b"USERLOG/") => Some((Profile::H3c, false)),
        [b'N', b'A', b'T', ..] if huawei::begins(rest, before) => Some((Profile::Huawei, true)),
        [b'N' | b'D', ..] if cisco_ios_xr::begins(rest, before) => Some((Profile::CiscoIosXr, true)),
        [b'O', ..] if rest.starts_with(b"ORIG: SRC=") => Some((Profile::Ulogd, true)),
        [b'I', b'N', b'=', ..] if ulogd::claims(rest) => Some((Profile::Ulogd, true)),
        [b'I', ..] if rest.starts_with(b"Internal host: ") => Some((Profile::Vyos, false)),
        [b'S', b'A', b'D', b'D', b' ', ..]
        | [b'S', b'D', b'E', b'L', b' ', ..]
        | [b'A', b'P', b'M', b'A', b'D', b'D', b' ', ..]
        | [b'A', b'P', b'M', b'D', b'E', b'L', b' ', ..] => Some((Profile::Vpp, false)),
        [b'J', ..] if rest.starts_with(b"Jool: ") => Some((Profile::Jool, true)),
        [b'(', ..] if jool::begins(rest, before) => Some((Profile::Jool, true)),
        _ => None,
    }
}

/// The format of a text that begins with the type of a connection's event.
#[inline]
fn connection(rest: &[u8]) -> Option<Profile> {
    let behind = match rest {
        [b'[', b'N', b'E', b'W', b']', behind @ ..]
        | [b'[', b'U', b'P', b'D', b'A', b'T', b'E', b']', behind @ ..]
        | [b'[', b'D', b'E', b'S', b'T', b'R', b'O', b'Y', b']', behind @ ..] => search::trim_start(behind),
        _ => return None,
    };
    if behind.starts_with(b"ORIG: ") {
        Some(Profile::Ulogd)
    } else {
        conntrack::claims(rest).then_some(Profile::Conntrack)
    }
}

/// Whether a mark may begin as `text` does: most words of a header are told by their first two octets.
#[inline]
fn may_begin(text: &[u8]) -> bool {
    match text {
        [first, second, ..] => SECONDS[usize::from(*first)] >> (second & 31) & 1 != 0,
        _ => false,
    }
}

/// For each octet a bit for the low five bits of each octet that follows it in a mark.
const SECONDS: [u32; 256] = {
    const PAIRS: [&[u8]; 25] = [
        b"RT", b"APASA", b"SEAD", b"LS", b"ls", b"ipn", b"NA", b"CEG", b"FI", b"Po", b"a1", b"fp", b"da",
        b"JSo", b"MS", b"[FNUD", b"DS", b"US", b"cg", b"\t[", b"#0", b"OR", b"INn", b"(G", b"0,",
    ];
    let mut seconds = [0; 256];
    let mut index = 0;
    while index < PAIRS.len() {
        let (first, mut at) = (PAIRS[index][0], 1);
        while at < PAIRS[index].len() {
            seconds[first as usize] |= 1 << (PAIRS[index][at] & 31);
            at += 1;
        }
        index += 1;
    }
    let mut digit = b'1';
    while digit <= b'9' {
        seconds[digit as usize] = seconds[b'0' as usize];
        digit += 1;
    }
    // A service set may have any name, and a message tag any facility.
    seconds[b'{' as usize] = u32::MAX;
    seconds[b'%' as usize] = u32::MAX;
    seconds
};

/// Whether what stands behind `before` begins a word, be it the first of the message.
#[inline]
pub(super) fn begins_word(before: &[u8]) -> bool {
    matches!(before, [] | [.., b' ']) || before.ends_with(&BYTE_ORDER_MARK)
}

/// Whether what stands before `behind`, which ends the text, may be a header and a format's mark. Behind the mark of a
/// MikroTik line are the names of interfaces, which users may choose: one of them must not pose as another device.
pub(super) fn has_header(text: &[u8], behind: &[u8]) -> bool {
    let before = text
        .len()
        .checked_sub(behind.len())
        .and_then(|length| text.get(..length));
    before.is_some_and(|before| search::find(before, b": in:").is_none())
}

/// Whether the format's own marks are in `text`.
#[inline]
fn claims(profile: Profile, text: &[u8]) -> bool {
    match profile {
        Profile::Auto => false,
        Profile::Nfware => nfware::claims(text),
        Profile::JuniperSrx => juniper_srx::claims(text),
        Profile::F5BigIp => f5_bigip::claims(text),
        Profile::A10 => a10::claims(text),
        Profile::SixWind => sixwind::claims(text),
        Profile::Fortinet => fortinet::claims(text),
        Profile::PaloAlto => paloalto::claims(text),
        Profile::JuniperMs => juniper_ms::claims(text),
        Profile::CiscoIosXe => cisco_ios_xe::claims(text),
        Profile::CiscoIosXr => cisco_ios_xr::claims(text),
        Profile::Huawei => huawei::claims(text),
        Profile::H3c => h3c::claims(text),
        Profile::Mikrotik => mikrotik::claims(text),
        Profile::Ulogd => ulogd::claims(text),
        Profile::Conntrack => conntrack::claims(text),
        Profile::Vpp => vpp::claims(text),
        Profile::Jool => jool::claims(text),
        Profile::Danos => danos::claims(text),
        Profile::Vyos => vyos::claims(text),
    }
}

/// The format that claims a text in which no word begins as a mark usually does: keys in another order, or something
/// glued to the mark. Only those are asked that look for it in the header alone.
#[cold]
fn unusual(text: &[u8]) -> Option<(Profile, usize)> {
    const ASKED: [Profile; 4] = [
        Profile::F5BigIp,
        Profile::Fortinet,
        Profile::PaloAlto,
        Profile::JuniperMs,
    ];
    let profile = ASKED.into_iter().find(|&profile| claims(profile, text));
    let profile = profile.or_else(|| is_packet_filter(text).then_some(Profile::Ulogd))?;
    Some((profile, 0))
}

/// Whether a prefix, which its user chose, is glued to the mark of the Linux packet filter or of its connections.
fn is_packet_filter(text: &[u8]) -> bool {
    let has_mark = words(text).any(|rest| {
        let word = &rest[..first_of(rest, *b" =\"")];
        word.ends_with(b"ORIG:") || word.ends_with(b"IN") && rest.get(word.len()) == Some(&b'=')
    });
    has_mark && ulogd::claims(text)
}

/// What is left of `text` from each word of its header on, the last of which is the first that has `=` or a quote in it:
/// headers have neither, so that what is quoted cannot pose as a mark.
///
/// Words are parted by blanks; a byte order mark is no part of one. What stands in brackets, such as the structured data
/// of RFC 5424, is one word with them, quotes and all.
#[inline]
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    Words { rest: text }
}

struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let word = match self.rest {
            [b' ' | 0xef, ..] => trim(self.rest),
            rest => rest,
        };
        self.rest = match word {
            [] => return None,
            [b'[', ..] => behind_brackets(word),
            _ => behind_word(word),
        };
        Some(word)
    }
}

/// The text without the blanks and byte order marks at its begin.
fn trim(text: &[u8]) -> &[u8] {
    let mut cursor = Cursor::new(text);
    while cursor.take(b" ") || cursor.take(&BYTE_ORDER_MARK) {}
    cursor.rest()
}

#[cold]
fn behind_brackets(text: &[u8]) -> &[u8] {
    pairs::behind_element(text).unwrap_or_else(|| behind_word(text))
}

/// What stands behind the blank after the first word; nothing if a header ends with it.
#[inline]
fn behind_word(text: &[u8]) -> &[u8] {
    match text.split_at(first_of(text, *b" =\"")).1 {
        [b' ', behind @ ..] => behind,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::FORMATS;

    #[test]
    fn a_sample_is_claimed_by_its_own_format_alone() {
        let samples = FORMATS
            .iter()
            .flat_map(|format| format.forms.iter().map(move |form| (format, form.sample)));
        for (format, sample) in samples {
            let text = super::super::frame::read(sample.as_bytes(), None).text;
            assert_eq!(find(text).map(|(profile, _)| profile), Some(format.profile));
            for other in &FORMATS {
                let own = other.profile == format.profile;
                assert_eq!(claims(other.profile, text), own, "{sample} as {}", other.name);
            }
        }
    }

    #[test]
    fn words_end_where_values_begin() {
        let of = |text: &'static str| -> Vec<_> {
            words(text.as_bytes())
                .map(|rest| rest.split(|&octet| octet == b' ').next().unwrap_or(rest))
                .collect()
        };
        assert_eq!(of("  a b: \u{feff}c"), [&b"a"[..], b"b:", b"c"]);
        assert_eq!(of("a b=\"c d\" e"), [&b"a"[..], b"b=\"c"]);
        assert_eq!(of("a \"b c\" d"), [&b"a"[..], b"\"b"]);
        assert_eq!(
            of("- [x@1 y=\"] z\"][y@2 a=\"b\"] c"),
            [&b"-"[..], b"[x@1", b"[y@2", b"c"]
        );
        assert_eq!(of("[x y"), [&b"[x"[..], b"y"]);
        assert!(of(" ").is_empty());
    }
}
