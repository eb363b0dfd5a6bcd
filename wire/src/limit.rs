//! Token buckets: how many datagrams of an exporter are taken in a time.
//!
//! The generic cell rate algorithm (ITU-T I.371): a bucket is one moment, the time at which it would be full again if nothing more
//! came. One number needs one compare-exchange, so all CPUs, in the kernel or in user space, can share a bucket.
#![allow(
    clippy::inline_always,
    reason = "the kernel's verifier follows a function better when it is inlined"
)]

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::{AtomicU64, Ordering};

/// Highest rate, in datagrams a second: the interval between two is whole nanoseconds, which is exact to 1 % there.
pub const RATE_MAX: u32 = 10_000_000;
/// Most datagrams that a bucket holds.
pub const BURST_MAX: u32 = 1_000_000;
/// Attempts to change a bucket that other CPUs change at the same time. Each that fails means that another datagram has
/// passed meanwhile; after so many the bucket counts as empty, so that the rate holds whatever happens.
const ATTEMPTS_MAX: usize = 32;

/// How fast a bucket fills and what it holds; value of the kernel's map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// Between two datagrams at the full rate, in nanoseconds; 0: no limit.
    pub interval_ns: u32,
    /// Datagrams that a full bucket holds.
    pub burst: u32,
}

impl Limit {
    /// No limit.
    pub const NONE: Self = Self {
        interval_ns: 0,
        burst: 0,
    };

    /// `rate` datagrams a second (0: no limit; at most [`RATE_MAX`]), and `burst` at once (at least 1).
    pub fn new(rate: u32, burst: u32) -> Self {
        if rate == 0 {
            return Self::NONE;
        }
        Self {
            interval_ns: 1_000_000_000 / rate.min(RATE_MAX),
            burst: burst.clamp(1, BURST_MAX),
        }
    }

    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.interval_ns == 0
    }
}

/// A number that several CPUs change.
pub trait Bucket {
    fn load(&self) -> u64;
    /// Puts `after` in the place of `before`, if it is still there.
    fn replace(&self, before: u64, after: u64) -> bool;
}

#[cfg(target_has_atomic = "64")]
impl Bucket for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    // One bucket is all that its users share: no other memory has to be in order.
    fn replace(&self, before: u64, after: u64) -> bool {
        self.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// Takes one out of `bucket` if there is one, at the time `now_ns` of a clock that does not go back. A bucket of 0 is full.
///
/// A bucket that the clock contradicts (it would be full only after a longer time than it takes to fill) counts as empty now.
#[inline(always)]
pub fn take<B: Bucket>(bucket: &B, limit: Limit, now_ns: u64) -> bool {
    for _ in 0..ATTEMPTS_MAX {
        let before = bucket.load();
        let (after, passes) = step(before, limit, now_ns);
        if after == before || bucket.replace(before, after) {
            return passes;
        }
    }
    false
}

/// The bucket after a datagram, and whether that passes.
#[inline(always)]
fn step(full_at: u64, limit: Limit, now_ns: u64) -> (u64, bool) {
    let interval = limit.interval_ns as u64;
    // Below 2^62, and the clock is held below 2^63 (292 years): no sum overflows.
    let depth = interval * limit.burst as u64;
    let now_ns = now_ns.min(u64::MAX >> 1);
    let missing = full_at.saturating_sub(now_ns);
    if missing > depth {
        return (now_ns + depth, false);
    }
    if missing + interval > depth {
        return (full_at, false);
    }
    (now_ns + missing + interval, true)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::thread;

    /// How many of `count` datagrams at `now_ns` pass.
    fn passing(bucket: &AtomicU64, limit: Limit, now_ns: u64, count: u32) -> u32 {
        (0..count).map(|_| u32::from(take(bucket, limit, now_ns))).sum()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let bucket = AtomicU64::new(0);
        let limit = Limit::new(1000, 50);
        let start = 77_000_000_000;
        assert_eq!(passing(&bucket, limit, start, 500), 50);
        // A millisecond each.
        for ms in 1..=20 {
            let now = start + ms * 1_000_000;
            assert_eq!(passing(&bucket, limit, now - 1, 3), 0, "ms {ms}");
            assert_eq!(passing(&bucket, limit, now, 3), 1, "ms {ms}");
        }
        // Never more than the burst, however long the silence.
        assert_eq!(passing(&bucket, limit, start + 3_600_000_000_000, 500), 50);
    }

    #[test]
    fn a_second_of_any_rate_passes_as_many() {
        for rate in [1, 3, 999, 1000, 65_536, 300_000] {
            let bucket = AtomicU64::new(0);
            let limit = Limit::new(rate, 1);
            // Four datagrams are offered for each that should pass, evenly over ten seconds or less.
            let seconds = (1_000_000 / u64::from(rate)).clamp(1, 10);
            let offered = 4 * u64::from(rate) * seconds;
            let passed: u64 = (0..offered)
                .map(|i| u64::from(take(&bucket, limit, 1 + i * 1_000_000_000 * seconds / offered)))
                .sum();
            let expected = u64::from(rate) * seconds;
            assert!(
                passed.abs_diff(expected) * 100 <= expected.max(100),
                "{rate}: {passed} of {expected}"
            );
        }
    }

    #[test]
    fn clocks_that_jump_cost_a_bucket_and_no_more() {
        let limit = Limit::new(1000, 10);
        let bucket = AtomicU64::new(u64::MAX);
        assert_eq!(
            passing(&bucket, limit, 5_000_000_000, 100),
            0,
            "a bucket of the far future is empty"
        );
        assert_eq!(
            passing(&bucket, limit, 5_001_000_000, 100),
            1,
            "and fills as any other"
        );
        assert_eq!(
            passing(&bucket, limit, u64::MAX, 100),
            10,
            "no overflow at the end of time"
        );
        assert_eq!(passing(&bucket, limit, 0, 100), 0, "back to the begin: empty");
        assert_eq!(
            passing(&bucket, limit, 10_000_000, 100),
            10,
            "full again after its time"
        );
    }

    /// As many as the burst, whoever takes them.
    #[test]
    fn all_cpus_share_one_bucket() {
        let bucket = AtomicU64::new(0);
        let limit = Limit::new(1, 10_000);
        let passed: u32 = thread::scope(|scope| {
            let threads: [_; 4] =
                std::array::from_fn(|_| scope.spawn(|| passing(&bucket, limit, 1_000_000_000, 20_000)));
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert!(passed <= 10_000, "{passed}");
        // What lost every attempt was refused although there was one; then the bucket is not empty yet.
        assert_eq!(passed + passing(&bucket, limit, 1_000_000_000, 20_000), 10_000);
    }

    proptest! {
        /// Whatever the clock says, no panic, and never more than the burst at one moment.
        #[test]
        fn no_clock_and_no_bucket_panic(
            full_at: u64, rate: u32, burst: u32, now: u64, later: u64,
        ) {
            let bucket = AtomicU64::new(full_at);
            let limit = Limit::new(rate.max(1), burst % 100);
            prop_assert!(passing(&bucket, limit, now, 200) <= limit.burst);
            prop_assert!(passing(&bucket, limit, later, 200) <= limit.burst);
        }
    }
}
