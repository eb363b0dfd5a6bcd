//! The zone of a device's clock, for times that name none.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use crate::time::NS_PER_S;

/// A zone of the IANA time zone data base, or a fixed offset from UTC.
///
/// The data base is the one that natrail was built with: what a zone means does not depend on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone whose clocks show UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// What a clock of this zone means that shows the time of day and the date of `civil_ns` (ns since 1970 if it showed
    /// UTC), in ns since 1970 (UTC).
    ///
    /// An hour that comes twice, when daylight saving ends, has two readings, and so has one that is skipped (a clock
    /// that was put forward late): the one nearer to `near_ns`, the receive time, counts. `None` if it does not fit.
    pub(crate) fn resolve(&self, civil_ns: i64, near_ns: i64) -> Option<i64> {
        let civil = Timestamp::from_nanosecond(civil_ns.into()).ok()?;
        let at = |offset: Offset| civil_ns.checked_sub(i64::from(offset.seconds()) * NS_PER_S);
        match self
            .0
            .to_ambiguous_timestamp(Offset::UTC.to_datetime(civil))
            .offset()
        {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                let (one, other) = (at(before)?, at(after)?);
                Some(if other.abs_diff(near_ns) < one.abs_diff(near_ns) {
                    other
                } else {
                    one
                })
            }
        }
    }

    /// The zone with this offset from UTC; `None` beyond 25 hours.
    pub(crate) fn fixed(offset_s: i32) -> Option<Self> {
        Offset::from_seconds(offset_s).ok().map(TimeZone::fixed).map(Self)
    }
}

impl FromStr for Zone {
    type Err = String;

    /// Reads an IANA name (`Europe/Berlin`), `UTC`, or an offset (`+03:00`).
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(zone) = offset_s(text.as_bytes()).and_then(Self::fixed) {
            return Ok(zone);
        }
        TimeZoneDatabase::bundled().get(text).map(Self).map_err(|_| {
            format!(
                "{text:?} is no time zone: use a name of the IANA data base such as Europe/Berlin, UTC, or an offset such as \
                 +03:00"
            )
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.iana_name(), self.0.to_fixed_offset()) {
            (Some(name), _) => f.write_str(name),
            (None, Ok(offset)) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
            (None, Err(_)) => f.write_str("unnamed"),
        }
    }
}

/// Reads all of `text` as `+hh:mm` or `-hh:mm`: seconds east of UTC.
pub(crate) fn offset_s(text: &[u8]) -> Option<i32> {
    let &[sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] = text else {
        return None;
    };
    if ![h1, h0, m1, m0].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |tens: u8, ones: u8| i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
    let (hours, minutes) = (pair(h1, h0), pair(m1, m0));
    let offset_s = hours * 3600 + minutes * 60;
    (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -offset_s } else { offset_s })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> i64 {
        let time: Timestamp = text.parse().expect("a time");
        time.as_nanosecond().try_into().expect("of our days")
    }

    fn berlin() -> Zone {
        "Europe/Berlin".parse().expect("a zone")
    }

    #[test]
    fn names_and_offsets() {
        for (text, shown) in [
            ("UTC", "UTC"),
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("+03:00", "+03:00"),
            ("-09:30", "-09:30"),
        ] {
            assert_eq!(text.parse::<Zone>().expect(text).to_string(), shown);
        }
        for text in [
            "",
            "Europe/Berln",
            "+3",
            "+24:00",
            "+03:60",
            "+a3:00",
            "CET-1CEST",
        ] {
            let why = text.parse::<Zone>().expect_err(text);
            assert!(why.contains("IANA"), "{why}");
        }
    }

    #[test]
    fn summer_and_winter_have_their_offsets() {
        for (civil, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T02:04:05Z"),
            ("2026-07-02T03:04:05.5Z", "2026-07-02T01:04:05.5Z"),
        ] {
            assert_eq!(berlin().resolve(ns(civil), 0), Some(ns(expected)));
        }
        let west = "-09:30".parse::<Zone>().unwrap();
        assert_eq!(
            west.resolve(ns("2026-01-02T23:00:00Z"), 0),
            Some(ns("2026-01-03T08:30:00Z"))
        );
    }

    #[test]
    fn an_hour_that_comes_twice_or_never_has_the_reading_nearest_to_the_receive_time() {
        // Daylight saving ended 2025-10-26 at 01:00 UTC, and began 2026-03-29 at 01:00 UTC.
        for (civil, near, expected) in [
            (
                "2025-10-26T02:30:00Z",
                "2025-10-26T00:30:01Z",
                "2025-10-26T00:30:00Z",
            ),
            (
                "2025-10-26T02:30:00Z",
                "2025-10-26T01:30:01Z",
                "2025-10-26T01:30:00Z",
            ),
            (
                "2025-10-26T02:59:59Z",
                "2025-10-26T01:00:00Z",
                "2025-10-26T00:59:59Z",
            ),
            (
                "2026-03-29T02:30:00Z",
                "2026-03-29T01:30:01Z",
                "2026-03-29T01:30:00Z",
            ),
            (
                "2026-03-29T02:30:00Z",
                "2026-03-29T00:29:59Z",
                "2026-03-29T00:30:00Z",
            ),
        ] {
            assert_eq!(
                berlin().resolve(ns(civil), ns(near)),
                Some(ns(expected)),
                "{civil} near {near}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_found_again_from_what_its_clock_shows(
            s in -2_000_000_000_i64..4_000_000_000,
            name in prop::sample::select(vec!["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"]),
        ) {
            let zone: Zone = name.parse().unwrap();
            let moment = Timestamp::from_second(s).unwrap();
            let shown = moment.to_zoned(zone.0.clone()).datetime();
            let civil = Offset::UTC.to_timestamp(shown).unwrap();
            let civil_ns = i64::try_from(civil.as_nanosecond()).unwrap();
            prop_assert_eq!(zone.resolve(civil_ns, s * NS_PER_S), Some(s * NS_PER_S));
        }
    }
}
