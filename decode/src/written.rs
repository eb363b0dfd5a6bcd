//! Times as devices write them for people: perhaps without a year, perhaps without a zone.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::bytes::{Cursor, decimal};
use crate::time::{self, NS_PER_S};
use crate::zone::{self, Zone};

/// Less than half of a year: no other year puts a date nearer.
const HALF_A_YEAR_NS: u64 = 182 * 86_400 * 1_000_000_000;

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    year: Option<u32>,
    month: u32,
    day: u32,
    of_day_ns: i64,
    /// Seconds east of UTC, where the zone is written.
    offset_s: Option<i32>,
}

impl Written {
    /// Takes a time, with its zone if there is one. The day and the hour may be padded or not, seconds may have a
    /// fraction; what follows is left.
    ///
    /// ```text
    /// [*|.]Mon D [YYYY ]H:M:S        RFC 3164, Cisco; behind the time, with :MMM between, a year (Comware)
    /// Www Mon D H:M:S YYYY           ctime
    /// YYYY Mon D H:M:S               four tokens
    /// YYYY-M-D H:M:S                 also with / in the date, and T before the time
    /// ```
    ///
    /// The zone is `Z` or `±hh:mm` at the time, or `UTC` or `GMT` behind it. Other names of zones are left: they do not
    /// say which is meant.
    pub(crate) fn take(text: &mut Cursor<'_>) -> Option<Self> {
        let mut next = *text;
        let _ = next.take(b"*") || next.take(b".");
        let written = match next.peek()? {
            b'0'..=b'9' => Self::year_first(&mut next)?,
            _ => Self::month_first(&mut next)?,
        };
        // A number goes on: this is no time.
        if next.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            return None;
        }
        *text = next;
        Some(written)
    }

    fn month_first(text: &mut Cursor<'_>) -> Option<Self> {
        let is_weekday = matches!(
            text.rest(),
            [b'S', b'u', b'n', b' ', ..]
                | [b'M', b'o', b'n', b' ', ..]
                | [b'T', b'u', b'e', b' ', ..]
                | [b'W', b'e', b'd', b' ', ..]
                | [b'T', b'h', b'u', b' ', ..]
                | [b'F', b'r', b'i', b' ', ..]
                | [b'S', b'a', b't', b' ', ..]
        );
        if is_weekday {
            text.skip(4);
        }
        let month = time::month(text.token())?;
        let day = time::number(text.next_token()?, 2)?;
        while text.take(b" ") {}
        let mut year = None;
        if let [a, b, c, d, b' ', rest @ ..] = text.rest()
            && [a, b, c, d].iter().all(|octet| octet.is_ascii_digit())
        {
            year = Some(decimal(text.rest()).0);
            *text = Cursor::new(rest);
        }
        let (of_day_ns, has_ms) = of_day(text)?;
        if year.is_none() && (is_weekday || has_ms) {
            year = Some(time::number(text.next_token()?, 4)?);
        }
        Some(Self {
            year,
            month,
            day,
            of_day_ns,
            offset_s: zone(text),
        })
    }

    fn year_first(text: &mut Cursor<'_>) -> Option<Self> {
        let (year, digits) = decimal(text.rest());
        if digits != 4 {
            return None;
        }
        text.skip(4);
        let separator = text.peek()?;
        text.skip(1);
        let (month, day) = match separator {
            b' ' => (time::month(text.token())?, time::number(text.next_token()?, 2)?),
            b'-' | b'/' => {
                let month = part(text)?;
                if text.peek()? != separator {
                    return None;
                }
                text.skip(1);
                (month, part(text)?)
            }
            _ => return None,
        };
        if !text.take(b"T") {
            while text.take(b" ") {}
        }
        let (of_day_ns, _) = of_day(text)?;
        Some(Self {
            year: Some(year),
            month,
            day,
            of_day_ns,
            offset_s: zone(text),
        })
    }

    /// The moment, in ns since 1970 (UTC), where one year and one zone are meant: those that are written, else `zone`
    /// and the year that puts the date nearest to `near_ns`, of the one then, the one before and the one after. `None`
    /// if there is no such date, as 29 February where none of the three has it.
    pub(crate) fn moment(&self, zone: Option<&Zone>, near_ns: i64) -> Option<i64> {
        let written = match self.offset_s {
            Some(offset_s) => Some(Zone::fixed(offset_s)?),
            None => None,
        };
        // Where nothing is said of the device's clock, a time without a year says too little.
        zone.map(|_| ()).or(self.year.map(|_| ()))?;
        let zone = written.as_ref().or(zone)?;
        let of_year = |year: u32| {
            let civil_ns = time::civil((year, self.month, self.day), self.of_day_ns)?;
            zone.resolve(civil_ns, near_ns)
        };
        if let Some(year) = self.year {
            return of_year(year);
        }
        let near = Timestamp::from_nanosecond(near_ns.into()).ok()?;
        let year = u32::try_from(Offset::UTC.to_datetime(near).year()).ok()?;
        let this = of_year(year);
        if this.is_some_and(|moment| moment.abs_diff(near_ns) < HALF_A_YEAR_NS) {
            return this;
        }
        [of_year(year - 1), this, of_year(year + 1)]
            .into_iter()
            .flatten()
            .min_by_key(|moment| moment.abs_diff(near_ns))
    }
}

/// Takes `H:M:S`, perhaps with a fraction, or with `:MMM` as Comware has it; the latter, whose digits are not padded,
/// is not counted, and said.
fn of_day(text: &mut Cursor<'_>) -> Option<(i64, bool)> {
    let rest = text.rest();
    let clock = rest
        .iter()
        .take_while(|octet| octet.is_ascii_digit() || **octet == b':')
        .count();
    // A colon behind the time ends it.
    let whole = rest[..clock].strip_suffix(b":").unwrap_or(&rest[..clock]);
    let has_ms = whole.split(|octet| *octet == b':').count() == 4;
    let clock = match whole.iter().rposition(|octet| *octet == b':') {
        Some(last) if has_ms => &whole[..last],
        _ => whole,
    };
    let fraction = match &rest[clock.len()..] {
        [b'.', digits @ ..] if !has_ms => {
            let length = digits.iter().take_while(|octet| octet.is_ascii_digit()).count();
            if length == 0 { 0 } else { length + 1 }
        }
        _ => 0,
    };
    let of_day_ns = time::of_day(&rest[..clock.len() + fraction])?;
    text.skip(if has_ms {
        whole.len()
    } else {
        clock.len() + fraction
    });
    Some((of_day_ns, has_ms))
}

/// Takes a zone that can be told: seconds east of UTC.
fn zone(text: &mut Cursor<'_>) -> Option<i32> {
    if let Some(offset_s) = text.rest().get(..6).and_then(zone::offset_s) {
        text.skip(6);
        return Some(offset_s);
    }
    let (word, length) = match text.rest() {
        [b'Z', behind @ ..] => (behind, 1),
        [b' ', word @ ..] if word.get(..3).is_some_and(is_utc) => (&word[3..], 4),
        _ => return None,
    };
    if word.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    text.skip(length);
    Some(0)
}

fn is_utc(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"UTC") || word.eq_ignore_ascii_case(b"GMT")
}

/// Takes a number of one or two digits.
fn part(text: &mut Cursor<'_>) -> Option<u32> {
    let (value, digits) = decimal(text.rest());
    text.skip(digits);
    (1..=2).contains(&digits).then_some(value)
}

/// Reads a count of units since 1970, which its digits tell: up to 11 are seconds, 12 to 14 milliseconds, 15 to 17
/// microseconds, 18 and 19 nanoseconds. In ns.
pub(crate) fn epoch(digits: usize, count: i64) -> Option<i64> {
    let scale = match digits {
        ..=11 => NS_PER_S,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    count.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> i64 {
        let time: Timestamp = text.parse().expect("a time");
        time.as_nanosecond().try_into().expect("of our days")
    }

    /// What `text` means where `zone` is said, and what is left of it.
    fn moment<'a>(text: &'a str, zone: &str, near: &str) -> (Option<i64>, &'a str) {
        let mut cursor = Cursor::new(text.as_bytes());
        let zone: Zone = zone.parse().expect("a zone");
        let written = Written::take(&mut cursor);
        let moment = written.and_then(|written| written.moment(Some(&zone), ns(near)));
        (moment, std::str::from_utf8(cursor.rest()).expect("ASCII"))
    }

    #[test]
    fn every_shape() {
        for (text, expected, rest) in [
            ("Nov 18 09:56:58 HOST", "2025-11-18T08:56:58Z", " HOST"),
            ("*Nov  8 09:56:58.123: x", "2025-11-08T08:56:58.123Z", ": x"),
            (".Nov 8 2024 9:56:58: x", "2024-11-08T08:56:58Z", ": x"),
            ("Nov 18 09:56:58.5 gmt: x", "2025-11-18T09:56:58.5Z", ": x"),
            ("Nov 18 09:56:58 CET: x", "2025-11-18T08:56:58Z", " CET: x"),
            ("Nov 18 09:56:58 UTCx", "2025-11-18T08:56:58Z", " UTCx"),
            (
                "Jul 7 04:20:04:72 2005 DeviceA",
                "2005-07-07T02:20:04Z",
                " DeviceA",
            ),
            ("Tue Jun 11 08:03:09 2020", "2020-06-11T06:03:09Z", ""),
            ("2020 Jan 17 11:05:55 host", "2020-01-17T10:05:55Z", " host"),
            ("2026-07-19 16:13:02: CGN-1", "2026-07-19T14:13:02Z", ": CGN-1"),
            ("2013-01-19T15:18:17.040 h", "2013-01-19T14:18:17.040Z", " h"),
            ("2026/03/04 05:06:07", "2026-03-04T04:06:07Z", ""),
            ("2026-03-04T05:06:07Z x", "2026-03-04T05:06:07Z", " x"),
            ("2026-03-04 05:06:07+05:30,", "2026-03-03T23:36:07Z", ","),
            ("Oct 12 09:04:54PortBatch", "2025-10-12T07:04:54Z", "PortBatch"),
        ] {
            let got = moment(text, "Europe/Berlin", "2025-11-18T00:00:00Z");
            assert_eq!(got, (Some(ns(expected)), rest), "{text}");
        }
        for text in [
            "",
            "x",
            "Nov",
            "Nov 18",
            "Nov 18 09:56",
            "Nov 31 09:56:58",
            "Nov 18 24:00:00",
            "Nov 18 09:56:581",
            "Nov 18 9:56:58:72",
            "Nov 18 9:56:58:72 DeviceA",
            "Foo 18 09:56:58",
            "2026-13-04 05:06:07",
            "2026-03/04 05:06:07",
            "20260304 05:06:07",
            "Tue Jun 11 08:03:09",
        ] {
            assert_eq!(moment(text, "UTC", "2025-11-18T00:00:00Z").0, None, "{text}");
        }
    }

    #[test]
    fn the_year_is_the_one_nearest_to_the_receive_time() {
        for (text, near, expected) in [
            ("Dec 31 23:59:59", "2026-01-01T00:00:02Z", "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:02", "2025-12-31T23:59:58Z", "2026-01-01T00:00:02Z"),
            ("Jan  1 00:00:02", "2026-01-01T00:00:03Z", "2026-01-01T00:00:02Z"),
            ("Feb 29 12:00:00", "2024-03-01T00:00:00Z", "2024-02-29T12:00:00Z"),
            ("Feb 29 12:00:00", "2025-01-10T00:00:00Z", "2024-02-29T12:00:00Z"),
            ("Feb 29 12:00:00", "2027-12-31T00:00:00Z", "2028-02-29T12:00:00Z"),
        ] {
            assert_eq!(
                moment(text, "UTC", near).0,
                Some(ns(expected)),
                "{text} near {near}"
            );
        }
        // Neither 2025 nor 2026 nor 2027 has the day.
        assert_eq!(moment("Feb 29 12:00:00", "UTC", "2026-03-01T00:00:00Z").0, None);
        // Midnight in Kiritimati (+14:00) is ten in the morning of the day before: the year is that of the zone.
        let kiritimati = moment("Jan  1 00:00:00", "Pacific/Kiritimati", "2025-12-31T10:00:01Z");
        assert_eq!(kiritimati.0, Some(ns("2025-12-31T10:00:00Z")));
    }

    #[test]
    fn what_is_not_written_must_be_said() {
        let near = ns("2025-11-18T00:00:00Z");
        let of = |text: &str| {
            let written = Written::take(&mut Cursor::new(text.as_bytes())).expect(text);
            written.moment(None, near)
        };
        assert_eq!(of("2025-11-18 01:00:00"), None);
        assert_eq!(of("Nov 18 01:00:00 UTC"), None);
        assert_eq!(of("2025-11-18 01:00:00 UTC"), Some(near + 3600 * NS_PER_S));
    }

    proptest! {
        #[test]
        fn no_octets_panic(text: Vec<u8>, near_ns: i64) {
            let mut cursor = Cursor::new(&text);
            if let Some(written) = Written::take(&mut cursor) {
                written.moment(Some(&Zone::UTC), near_ns);
            }
        }

        #[test]
        fn a_time_without_year_and_zone_is_found_again(s in 100_000_000_i64..4_000_000_000, off in -100 * 86_400_i64..100 * 86_400) {
            let zone: Zone = "Europe/Berlin".parse().unwrap();
            let time = Timestamp::from_second(s).unwrap();
            let civil_ns = s * NS_PER_S;
            let text = time.strftime("%b %e %H:%M:%S h").to_string();
            let written = Written::take(&mut Cursor::new(text.as_bytes())).unwrap();
            let near_ns = (s + off) * NS_PER_S;
            prop_assert_eq!(written.moment(Some(&zone), near_ns), zone.resolve(civil_ns, near_ns));
        }
    }
}
