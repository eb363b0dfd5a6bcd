//! Times as devices write them, in ns since 1970 (UTC).

use std::iter;

use crate::bytes::{Cursor, TOPS, decimal};

pub(crate) const NS_PER_S: i64 = 1_000_000_000;

/// Reads a whole RFC 5424 TIMESTAMP (section 6.2.3) with `Z` or an offset.
///
/// `None` for everything that is no absolute time: the nil value, no zone, an impossible date, a leap second (which
/// the RFC forbids), years outside of 1678 to 2261. Up to nine fraction digits are read, three more than the RFC has.
#[inline]
pub(crate) fn rfc5424(text: &[u8]) -> Option<i64> {
    let (date_time, mut rest) = text.split_first_chunk::<19>()?;
    let part = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| date_time[at + index]));
    let date = pairs(part(0), *b"0000-00-")?;
    let day_hour = pairs(part(8), *b"00T00:00")?;
    let clock = pairs(part(11), *b"00:00:00")?;
    let (year, month) = (pair(date, 0) * 100 + pair(date, 2), pair(date, 5));
    let (hour, minute, second) = (pair(clock, 0), pair(clock, 3), pair(clock, 6));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, pair(day_hour, 0))?;

    let mut ns: i64 = 0;
    if let Some((b'.', fraction)) = rest.split_first() {
        const SCALE: [i64; 10] = [
            1_000_000_000,
            100_000_000,
            10_000_000,
            1_000_000,
            100_000,
            10_000,
            1_000,
            100,
            10,
            1,
        ];
        let (value, digits) = match decimal(fraction) {
            (_, 8) => longer(fraction)?,
            (value, digits) => (value, digits),
        };
        if digits == 0 {
            return None;
        }
        ns = i64::from(value) * SCALE[digits];
        rest = &fraction[digits..];
    }
    let offset_s = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let (hours, minutes) = (digit(h1) * 10 + digit(h0), digit(m1) * 10 + digit(m0));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = i64::from(hours * 3600 + minutes * 60);
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let s = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - offset_s;
    seconds(s)?.checked_add(ns)
}

/// A date of the Gregorian calendar and a time of day, in UTC, in ns since 1970; `None` if there is no such date.
pub(crate) fn civil((year, month, day): (u32, u32, u32), of_day_ns: i64) -> Option<i64> {
    // Later years do not fit, and far greater ones would overflow on the way.
    if year > 9999 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    seconds(days * 86_400)?.checked_add(of_day_ns)
}

/// Reads all of `text` as `H:M:S`, padded or not, perhaps with 1 to 9 fraction digits: ns since midnight.
pub(crate) fn of_day(text: &[u8]) -> Option<i64> {
    let mut cursor = Cursor::new(text);
    let (hour, minute) = (part(&mut cursor)?, colon(&mut cursor)?);
    let second = colon(&mut cursor)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut ns = 0;
    if cursor.take(b".") {
        let fraction = cursor.rest();
        if fraction.is_empty() || fraction.len() > 9 || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = fraction.iter().map(|byte| i64::from(byte - b'0'));
        ns = digits
            .chain(iter::repeat(0))
            .take(9)
            .fold(0, |ns, digit| ns * 10 + digit);
    } else if !cursor.is_empty() {
        return None;
    }
    Some(i64::from(hour * 3600 + minute * 60 + second) * NS_PER_S + ns)
}

/// Takes the time of the "China Telecom" header, which is four tokens: `2020 Jan 17 11:05:55`. The day is not padded,
/// and no zone is named: the result is right if the device means UTC.
pub(crate) fn take_four_tokens(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut next = *cursor;
    let year = number(next.token(), 4)?;
    let month = month(next.next_token()?)?;
    let day = number(next.next_token()?, 2)?;
    let time_ns = civil((year, month, day), of_day(next.next_token()?)?)?;
    *cursor = next;
    Some(time_ns)
}

/// The month of an English abbreviation, 1 to 12.
pub(crate) fn month(text: &[u8]) -> Option<u32> {
    const NAMES: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
    ];
    NAMES
        .iter()
        .zip(1..)
        .find(|&(name, _)| *name == text)
        .map(|(_, month)| month)
}

/// Reads all of `text` as a number of at most so many digits.
pub(crate) fn number(text: &[u8], digits_max: usize) -> Option<u32> {
    let (value, digits) = decimal(text);
    (digits == text.len() && (1..=digits_max).contains(&digits)).then_some(value)
}

/// Takes a number of one or two digits.
fn part(cursor: &mut Cursor<'_>) -> Option<u32> {
    let (value, digits) = decimal(cursor.rest());
    cursor.skip(digits);
    (1..=2).contains(&digits).then_some(value)
}

fn colon(cursor: &mut Cursor<'_>) -> Option<u32> {
    if cursor.take(b":") { part(cursor) } else { None }
}

/// Seconds since 1970 in ns, if they fit.
pub(crate) fn seconds(s: i64) -> Option<i64> {
    s.checked_mul(NS_PER_S)
}

/// The two-digit numbers of `text` (little endian), each in the octet of its first digit. `shape` has `0` where a digit
/// must be, and itself elsewhere.
#[inline]
fn pairs(text: u64, shape: [u8; 8]) -> Option<u64> {
    // What must be added to an octet so that its top bit tells that it is more than a digit, or not what it must be.
    let limits = shape.map(|octet| if octet == b'0' { 0x76 } else { 0x7f });
    let digits = text ^ u64::from_le_bytes(shape);
    let wrong = (digits & !TOPS).wrapping_add(u64::from_le_bytes(limits)) | digits;
    (wrong & TOPS == 0).then(|| digits.wrapping_mul(10).wrapping_add(digits >> 8))
}

/// One of the numbers of [`pairs`].
#[inline]
const fn pair(pairs: u64, at: u32) -> u32 {
    (pairs >> (8 * at)) as u32 & 0xff
}

/// A fraction of 8 or 9 digits.
#[cold]
fn longer(fraction: &[u8]) -> Option<(u32, usize)> {
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = fraction.get(..digits.min(9))?.iter();
    let value = value.fold(0, |ns, byte| ns * 10 + u32::from(byte - b'0'));
    (digits <= 9).then_some((value, digits))
}

/// The value of a digit; of any other octet 1000, which no field can hold.
#[inline]
fn digit(byte: u8) -> u32 {
    let value = u32::from(byte.wrapping_sub(b'0'));
    if value > 9 { 1000 } else { value }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
#[inline]
fn days_since_1970(year: u32, month: u32, day: u32) -> Option<i64> {
    const BEFORE: [u16; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    if !(1..=12).contains(&month) || day == 0 || year == 0 {
        return None;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let before = u32::from(BEFORE[month as usize - 1]);
    let length = u32::from(BEFORE[month as usize]) - before + u32::from(leap && month == 2);
    if day > length {
        return None;
    }
    let past = year - 1;
    let days =
        past * 365 + past / 4 - past / 100 + past / 400 + before + day - 1 + u32::from(leap && month > 2);
    Some(i64::from(days) - 719_162)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_every_time(ns in -9_000_000_000_000_000_000_i64..9_000_000_000_000_000_000, digits in 0_usize..=9) {
            let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            let text = format!("{time:.digits$}");
            let expected: Timestamp = text.parse().unwrap();
            prop_assert_eq!(rfc5424(text.as_bytes()).map(i128::from), Some(expected.as_nanosecond()));
        }

        #[test]
        fn knows_which_days_exist(year in 1678_i16..2262, month in 0_i8..14, day in 0_i8..34) {
            let text = format!("{year:04}-{month:02}-{day:02}T12:00:00+05:30");
            let expected = text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond);
            prop_assert_eq!(rfc5424(text.as_bytes()).map(i128::from), expected);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = rfc5424(&bytes);
        }
    }

    #[test]
    fn four_tokens_are_a_time_without_zone() {
        let take = |text: &str| {
            let mut cursor = Cursor::new(text.as_bytes());
            take_four_tokens(&mut cursor).map(|ns| (ns / NS_PER_S, cursor.rest().len()))
        };
        assert_eq!(take("2020 Jan 17 11:05:55 host"), Some((1_579_259_155, 5)));
        assert_eq!(take("2013 Jan 7 00:00:09"), Some((1_357_516_809, 0)));
        assert_eq!(take("2013 Jan  7 00:00:09 x"), Some((1_357_516_809, 2)));
        for text in [
            "2013 Jan 7 00:00:60 x",
            "2013 Jan 7 24:00:00 x",
            "2013 Feb 29 00:00:00 x",
            "2013 JAN 7 00:00:09 x",
            "20130 Jan 7 00:00:09",
            "2013 Jan 7",
            "",
        ] {
            assert_eq!(take(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_need_no_padding() {
        assert_eq!(of_day(b"16:13:2"), Some(58_382 * NS_PER_S));
        assert_eq!(of_day(b"00:00:00.25"), Some(250_000_000));
        for text in [
            "",
            "1:2",
            "1:2:3.",
            "1:2:3.1234567890",
            "1:2:3 ",
            "1:2:60",
            "24:0:0",
            "1:2:003",
            "a:b:c",
        ] {
            assert_eq!(of_day(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_absolute_is_no_time() {
        for text in [
            "-",
            "",
            "2013-01-19T15:18:17.040",
            "2013-01-19T15:18:17",
            "2013-01-19T15:18:60Z",
            "2013-01-19T24:00:00Z",
            "2013-01-19t15:18:17z",
            "2013-01-19 15:18:17Z",
            "2013-01-19T15:18:17.Z",
            "2013-01-19T15:18:17.1234567890Z",
            "2013-01-19T15:18:17+0530",
            "2013-01-19T15:18:17+24:00",
            "2013-01-19T15:18:17ZZ",
            "2O13-01-19T15:18:17Z",
            "0000-01-19T15:18:17Z",
            "9999-01-19T15:18:17Z",
            "/:13-01-19T15:18:17Z",
        ] {
            assert_eq!(rfc5424(text.as_bytes()), None, "{text}");
        }
    }
}
