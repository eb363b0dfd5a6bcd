//! Sequence numbers: what was lost between exporter and here.
//!
//! NetFlow v9 counts messages, IPFIX data records, VPP messages in IPFIX too, NetFlow v5 flows. What comes late is no loss:
//! it fills the gap that it left. A number far below the expected one, or a boot time that moved, is an exporter that began
//! again.

use super::message::{Header, Version};
use super::profile::Profile;

/// A jump back by more is a restart.
const LATE_MAX: u32 = 1000;
/// Gaps that late messages can still fill. Older ones are lost for good.
const OPEN_GAPS_MAX: usize = 16;
/// So many messages in a row that were all here already: the numbers began anew near where they were.
const REPEATS_MAX: u32 = 8;
/// So many messages in a row whose numbers grow by one, whatever is in them, tell that messages are counted.
const PROOFS: u32 = 4;
/// Clocks are in whole s, and slewed.
const BOOT_TOLERANCE_MS: i64 = 10_000;
/// sysUptime is 32 bit: the boot time seems to move by this when it wraps.
const UPTIME_WRAP_MS: i64 = 1 << 32;

/// What is known of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    expected: Option<u32>,
    open: Vec<Gap>,
    boot_ms: Option<i64>,
    repeats_in_a_row: u32,
    proofs: u32,
    last: Option<u32>,
    pub counters: SequenceCounters,
}

/// In the unit of the sequence: messages or records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceCounters {
    /// What never came, so far.
    pub missing: u64,
    /// Messages that came after a later one.
    pub late: u64,
    /// Messages whose number had been here before.
    pub repeated: u64,
    /// How often the exporter began again.
    pub restarts: u64,
}

/// Numbers from `start` on, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    start: u32,
    length: u32,
}

/// What a message's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Messages,
    Records,
    /// Records, unless it shows that it is messages (VPP).
    Unsure,
}

impl Unit {
    pub(super) fn of(profile: Profile, version: Version) -> Self {
        match (version, profile) {
            (Version::V9, _) | (_, Profile::Vpp) => Self::Messages,
            (Version::Ipfix, Profile::Auto | Profile::Rfc8158) => Self::Unsure,
            (Version::Ipfix, _) => Self::Records,
        }
    }
}

impl Sequence {
    /// Takes note of a message with `records` data records; `None` if they could not be counted.
    pub(super) fn message(&mut self, header: &Header, unit: Unit, records: Option<u32>) {
        let number = header.sequence;
        let counts_messages = match unit {
            Unit::Messages => true,
            Unit::Records => false,
            Unit::Unsure => self.seems_to_count_messages(number),
        };
        let units = if counts_messages { Some(1) } else { records };
        let boot_ms = header
            .uptime_ms
            .map(|uptime_ms| i64::from(header.export_s) * 1000 - i64::from(uptime_ms));
        self.take(number, units, boot_ms);
    }

    /// Takes note of `units` numbers from `number` on. `boot_ms`: when the exporter began, ms since 1970, if it says so.
    pub(super) fn take(&mut self, number: u32, units: Option<u32>, boot_ms: Option<i64>) {
        let has_moved = boot_ms.is_some_and(|boot_ms| self.boot_moved(boot_ms));
        let Some(expected) = self.expected else {
            self.expected = units.map(|units| number.wrapping_add(units));
            return;
        };
        let ahead = number.wrapping_sub(expected);
        if ahead == 0 {
            self.repeats_in_a_row = 0;
        } else if has_moved {
            return self.restart(number, units);
        } else if ahead < 1 << 31 {
            self.repeats_in_a_row = 0;
            self.counters.missing += u64::from(ahead);
            self.open(Gap {
                start: expected,
                length: ahead,
            });
        } else if ahead.wrapping_neg() > LATE_MAX {
            return self.restart(number, units);
        } else {
            return self.behind(number, units);
        }
        self.expected = units.map(|units| number.wrapping_add(units));
    }

    /// A number that is lower than the expected one.
    fn behind(&mut self, number: u32, units: Option<u32>) {
        if self.fill(number, units.unwrap_or(1)) {
            self.counters.late += 1;
            self.repeats_in_a_row = 0;
            return;
        }
        self.counters.repeated += 1;
        self.repeats_in_a_row += 1;
        if self.repeats_in_a_row > REPEATS_MAX {
            self.restart(number, units);
        }
    }

    fn restart(&mut self, number: u32, units: Option<u32>) {
        self.counters.restarts += 1;
        self.repeats_in_a_row = 0;
        self.open.clear();
        self.expected = units.map(|units| number.wrapping_add(units));
    }

    fn open(&mut self, gap: Gap) {
        if self.open.len() == OPEN_GAPS_MAX {
            self.open.remove(0);
        }
        self.open.push(gap);
    }

    /// Takes numbers out of the gap that they are in; `false` if they are in none.
    fn fill(&mut self, number: u32, units: u32) -> bool {
        let Some(index) = self
            .open
            .iter()
            .position(|gap| number.wrapping_sub(gap.start) < gap.length)
        else {
            return false;
        };
        let gap = self.open[index];
        let before = number.wrapping_sub(gap.start);
        let filled = units.min(gap.length - before);
        let after = gap.length - before - filled;
        self.counters.missing -= u64::from(filled);
        self.open.remove(index);
        for (start, length) in [(gap.start, before), (number.wrapping_add(filled), after)] {
            if length > 0 && self.open.len() < OPEN_GAPS_MAX {
                self.open.push(Gap { start, length });
            }
        }
        true
    }

    fn boot_moved(&mut self, boot_ms: i64) -> bool {
        let before = self.boot_ms.replace(boot_ms);
        before.is_some_and(|before| {
            let moved = boot_ms - before;
            moved.abs() > BOOT_TOLERANCE_MS && (moved - UPTIME_WRAP_MS).abs() > BOOT_TOLERANCE_MS
        })
    }

    fn seems_to_count_messages(&mut self, number: u32) -> bool {
        if let Some(last) = self.last.replace(number)
            && self.proofs < PROOFS
        {
            match number.wrapping_sub(last) {
                // The same number would follow a message with one record: no proof.
                1 if self.expected == Some(number) => {}
                1 => self.proofs += 1,
                _ => self.proofs = 0,
            }
            if self.proofs == PROOFS {
                // What was taken for repeats was none.
                self.counters = SequenceCounters::default();
                self.open.clear();
                self.expected = Some(number);
            }
        }
        self.proofs >= PROOFS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: Version, sequence: u32, export_s: u32, uptime_ms: Option<u32>) -> Header {
        Header {
            version,
            export_s,
            uptime_ms,
            sequence,
            domain: 0,
        }
    }

    fn after(units: &[(u32, u32)]) -> SequenceCounters {
        let mut sequence = Sequence::default();
        for &(number, units) in units {
            sequence.take(number, Some(units), None);
        }
        sequence.counters
    }

    fn counters(missing: u64, late: u64, repeated: u64, restarts: u64) -> SequenceCounters {
        SequenceCounters {
            missing,
            late,
            repeated,
            restarts,
        }
    }

    #[test]
    fn gaps_are_counted_in_the_unit_and_wrap() {
        assert_eq!(after(&[(5, 1), (6, 1), (9, 1)]), counters(2, 0, 0, 0));
        assert_eq!(after(&[(100, 30), (130, 30), (190, 30)]), counters(30, 0, 0, 0));
        assert_eq!(
            after(&[(u32::MAX, 2), (1, 1), (3, 1)]),
            counters(1, 0, 0, 0),
            "over the end of 32 bits"
        );
    }

    #[test]
    fn what_comes_late_is_no_loss_and_what_comes_again_is_none_either() {
        assert_eq!(after(&[(1, 1), (3, 1), (2, 1), (4, 1)]), counters(0, 1, 0, 0));
        assert_eq!(
            after(&[(0, 10), (30, 10), (20, 10), (10, 10), (40, 1)]),
            counters(0, 2, 0, 0)
        );
        assert_eq!(after(&[(1, 1), (2, 1), (2, 1), (3, 1)]), counters(0, 0, 1, 0));
        assert_eq!(
            after(&[(1, 1), (5, 1), (3, 1), (3, 1), (6, 1)]),
            counters(2, 1, 1, 0)
        );
    }

    #[test]
    fn a_jump_far_back_is_a_restart_and_so_is_one_that_is_all_repeats() {
        assert_eq!(after(&[(5000, 1), (3999, 1), (4000, 1)]), counters(0, 0, 0, 1));
        let mut near: Vec<_> = (100..200).map(|number| (number, 1)).collect();
        near.extend((0..120).map(|number| (number, 1)));
        assert_eq!(after(&near), counters(0, 0, 9, 1));
    }

    #[test]
    fn a_boot_time_that_moved_is_a_restart_but_a_wrap_is_none() {
        let run = |headers: &[(u32, u32, u32)]| {
            let mut sequence = Sequence::default();
            for &(number, export_s, uptime_ms) in headers {
                let header = header(Version::V9, number, export_s, Some(uptime_ms));
                sequence.message(&header, Unit::Messages, Some(1));
            }
            sequence.counters
        };
        assert_eq!(
            run(&[(500, 10_000, 5_000_000), (0, 10_100, 3_000), (1, 10_101, 4_000)]),
            counters(0, 0, 0, 1)
        );
        assert_eq!(
            run(&[
                (500, 10_000_000, u32::MAX - 500),
                (501, 10_000_001, 499),
                (503, 10_000_002, 1_499)
            ]),
            counters(1, 0, 0, 0)
        );
    }

    #[test]
    fn ipfix_that_counts_messages_is_found_out() {
        let mut sequence = Sequence::default();
        for number in 0..100 {
            sequence.message(&header(Version::Ipfix, number, 0, None), Unit::Unsure, Some(20));
        }
        assert_eq!(sequence.counters, counters(0, 0, 0, 0));
        sequence.message(&header(Version::Ipfix, 102, 0, None), Unit::Unsure, Some(20));
        assert_eq!(sequence.counters, counters(2, 0, 0, 0));
        // Messages of templates alone do not move the number.
        let mut sequence = Sequence::default();
        for (number, records) in [(0, 0), (0, 20), (20, 0), (20, 20), (40, 0), (45, 1)] {
            let header = header(Version::Ipfix, number, 0, None);
            sequence.message(&header, Unit::Unsure, Some(records));
        }
        assert_eq!(sequence.counters, counters(5, 0, 0, 0));
    }
}
