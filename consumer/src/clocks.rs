//! How far the clocks of exporters are off: device time minus receive time.

use std::net::IpAddr;

use store::clock::Reading;

/// Samples that a clock is judged by: the newest.
const SAMPLES: usize = 15;
/// Receive time between two samples of a clock, at least: they come from different moments, and the samples reach
/// back further than one late burst.
const SAMPLE_EVERY_NS: u64 = 1_000_000_000;

/// The newest samples of one clock.
///
/// A sample is the time of a message, which for those that say that a mapping is still in force is not its begin. Seconds
/// are often all that a device writes, and messages need some time to arrive: the clock of a device that is right is a little slow.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    samples: [i64; SAMPLES],
    count: usize,
    sampled_ns: i64,
    /// Sampled since its reading was last taken.
    is_new: bool,
}

impl Clock {
    /// A clock of which nothing is known.
    pub const UNKNOWN: Self = Self {
        samples: [0; SAMPLES],
        count: 0,
        sampled_ns: i64::MIN,
        is_new: false,
    };

    /// Takes the time that a message states, unless there is a sample of the same second.
    #[inline]
    pub fn sample(&mut self, device_ns: i64, received_ns: i64) {
        // The receive times of two collectors do not have to grow.
        if received_ns.abs_diff(self.sampled_ns) < SAMPLE_EVERY_NS {
            return;
        }
        self.sampled_ns = received_ns;
        self.samples[self.count % SAMPLES] = device_ns.saturating_sub(received_ns);
        self.count += 1;
        self.is_new = true;
    }

    /// The median of the newest samples, in ns: what up to half of them say does not matter. `None` without samples.
    pub fn skew_ns(&self) -> Option<i64> {
        let mut samples = self.samples;
        let samples = &mut samples[..self.count.min(SAMPLES)];
        if samples.is_empty() {
            return None;
        }
        let middle = (samples.len() - 1) / 2;
        Some(*samples.select_nth_unstable(middle).1)
    }

    /// What is known of the clock of `exporter`, if there is anything new.
    pub fn take_reading(&mut self, exporter: IpAddr) -> Option<Reading> {
        let skew_ns = self.skew_ns().filter(|_| self.is_new)?;
        self.is_new = false;
        Some(Reading {
            exporter,
            skew_us: skew_ns / 1_000,
            samples: self.count.min(SAMPLES) as i32,
            measured_us: self.sampled_ns / 1_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_few_wrong_times_do_not_matter_and_a_clock_that_was_set_is_seen() {
        let mut clock = Clock::UNKNOWN;
        assert_eq!((clock.skew_ns(), clock.take_reading(EXPORTER)), (None, None));
        for second in 0..100 {
            // Every fourth message states when its mapping began.
            let skew = if second % 4 == 3 { -5000 * S } else { 2 * S };
            clock.sample(second * S + skew, second * S);
            // Another one of the same second.
            clock.sample(0, second * S + S / 2);
        }
        assert_eq!(clock.skew_ns(), Some(2 * S));
        let reading = clock.take_reading(EXPORTER).expect("new");
        assert_eq!((reading.skew_us, reading.samples), (2_000_000, SAMPLES as i32));
        assert_eq!(reading.measured_us, 99_000_000);
        assert_eq!(clock.take_reading(EXPORTER), None);
        for second in 100..=100 + SAMPLES as i64 / 2 {
            clock.sample(second * S - 3600 * S, second * S);
        }
        assert!(clock.skew_ns() < Some(0));
    }

    #[test]
    fn times_that_cannot_be_do_not_overflow() {
        let mut clock = Clock::UNKNOWN;
        clock.sample(i64::MIN, i64::MAX);
        clock.sample(i64::MAX, i64::MIN);
        clock.sample(i64::MAX, 0);
        assert_eq!(clock.skew_ns(), Some(i64::MAX));
    }
}
