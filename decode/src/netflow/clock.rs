//! When it happened.

use event::{Action, Event, TimeSource};

use super::message::Header;
use super::plan::{Plan, Row};
use super::slot::{Slot, Unit};
use crate::DecodeError;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
/// s from 1900 to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// What the message's header says of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// ns since 1970; `None` if the exporter has no clock.
    pub export_ns: Option<i64>,
    pub uptime_ms: Option<u32>,
}

impl From<&Header> for Clock {
    fn from(header: &Header) -> Self {
        let export_ns = i64::from(header.export_s) * NS_PER_S;
        Self {
            export_ns: (export_ns != 0).then_some(export_ns),
            uptime_ms: header.uptime_ms,
        }
    }
}

impl Clock {
    /// ns since 1970; `None` if the number is 0, which is no time, or counts from a moment that is not known.
    ///
    /// # Errors
    /// [`DecodeError::BadTime`] beyond the year 2262.
    #[inline]
    pub(super) fn ns(self, unit: Unit, number: u64) -> Result<Option<i64>, DecodeError> {
        if number == 0 {
            return Ok(None);
        }
        Ok(match unit {
            Unit::Milliseconds => Some(scaled(number, NS_PER_MS)?),
            Unit::Seconds => Some(scaled(number, NS_PER_S)?),
            Unit::Ntp => Some(ntp(number)),
            Unit::Uptime => self.uptime(number),
        })
    }

    /// The moment at which the exporter had been up for so many ms. It may have wrapped since (49.7 days).
    fn uptime(self, ms: u64) -> Option<i64> {
        let ago_ms = self.uptime_ms?.wrapping_sub(u32::try_from(ms).ok()?) as i32;
        Some(self.export_ns? - i64::from(ago_ms) * NS_PER_MS)
    }
}

/// So many times `ns_each`, a constant: what is too great is known without multiplying.
#[inline]
fn scaled(number: u64, ns_each: i64) -> Result<i64, DecodeError> {
    if number > (i64::MAX / ns_each) as u64 {
        return Err(DecodeError::BadTime);
    }
    Ok(number as i64 * ns_each)
}

/// Era 1 of NTP begins in 2036, when the seconds wrap.
fn ntp(time: u64) -> i64 {
    let seconds = (time >> 32) as i64;
    let era = if seconds >= 1 << 31 { 0 } else { 1 << 32 };
    let fraction_ns = ((time & 0xffff_ffff) * 1_000_000_000) >> 32;
    (seconds + era - NTP_TO_UNIX_S) * NS_PER_S + fraction_ns as i64
}

/// Gives the event its time: that of the event, else the end of the flow of what was deleted, or the begin of what was
/// created, else the header's. A begin that is not the event's time is kept beside it.
#[inline]
pub(super) fn stamp(
    event: &mut Event<'_>,
    plan: &Plan,
    row: &impl Row,
    clock: Clock,
) -> Result<(), DecodeError> {
    // What nearly every device sends.
    let mut time = match plan.time_unit {
        Unit::Milliseconds => clock.ns(Unit::Milliseconds, row.number(Slot::Time))?,
        unit => clock.ns(unit, row.number(Slot::Time))?,
    };
    if plan.present.any([Slot::Start, Slot::End]) {
        let start = clock.ns(plan.start_unit, row.number(Slot::Start))?;
        let end = clock.ns(plan.end_unit, row.number(Slot::End))?;
        if event.action == Action::Created {
            time = time.or(start);
        } else {
            time = time.or(end);
            event.mapping_start_ns = start.filter(|&start| Some(start) != time);
        }
    }
    (event.time_ns, event.time_source) = match (time, clock.export_ns) {
        (Some(time), _) => (Some(time), TimeSource::DeviceEvent),
        (None, Some(export)) => (Some(export), TimeSource::DeviceHeader),
        (None, None) => (None, TimeSource::Receive),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock {
        export_ns: Some(1_700_000_000 * NS_PER_S),
        uptime_ms: Some(1000),
    };

    #[test]
    fn times_of_every_unit() {
        for (unit, number, expected) in [
            (Unit::Seconds, 1_700_000_000, Some(1_700_000_000 * NS_PER_S)),
            (
                Unit::Milliseconds,
                1_748_520_000_123,
                Some(1_748_520_000_123 * NS_PER_MS),
            ),
            (
                Unit::Ntp,
                (2_208_988_800 + 1_700_000_000) << 32 | 1 << 31,
                Some(1_700_000_000 * NS_PER_S + NS_PER_S / 2),
            ),
            // 2036-02-07T06:28:16Z, when NTP's seconds wrap.
            (Unit::Ntp, 1 << 31, Some(2_085_978_496 * NS_PER_S + NS_PER_S / 2)),
            (
                Unit::Uptime,
                400,
                Some(1_700_000_000 * NS_PER_S - 600 * NS_PER_MS),
            ),
            // Before the wrap: 1,000 ms ago and one.
            (
                Unit::Uptime,
                0xffff_ffff,
                Some(1_700_000_000 * NS_PER_S - 1001 * NS_PER_MS),
            ),
            (Unit::Uptime, 1 << 32, None),
            (Unit::Milliseconds, 0, None),
        ] {
            assert_eq!(CLOCK.ns(unit, number), Ok(expected), "{unit:?} {number}");
        }
        assert_eq!(CLOCK.ns(Unit::Milliseconds, u64::MAX), Err(DecodeError::BadTime));
        let no_uptime = Clock {
            uptime_ms: None,
            ..CLOCK
        };
        assert_eq!(no_uptime.ns(Unit::Uptime, 400), Ok(None));
    }
}
