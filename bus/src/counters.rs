//! What a sender counts, for any bus.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::SendCounts;

/// Frames, datagrams and octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub frames: u64,
    pub datagrams: u64,
    pub bytes: u64,
}

impl Amount {
    /// One frame.
    pub fn frame(datagrams: u32, bytes: usize) -> Self {
        Self {
            frames: 1,
            datagrams: datagrams.into(),
            bytes: bytes as u64,
        }
    }

    pub fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
    }
}

/// Counters of a sender, written by any thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    acknowledged_frames: AtomicU64,
    acknowledged_datagrams: AtomicU64,
    acknowledged_bytes: AtomicU64,
    failed_frames: AtomicU64,
    failed_datagrams: AtomicU64,
}

impl Counters {
    /// The bus has them.
    pub fn acknowledged(&self, amount: Amount) {
        self.acknowledged_frames
            .fetch_add(amount.frames, Ordering::Relaxed);
        self.acknowledged_datagrams
            .fetch_add(amount.datagrams, Ordering::Relaxed);
        self.acknowledged_bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    /// They are given up for good.
    pub fn failed(&self, frames: u64, datagrams: u64) {
        self.failed_frames.fetch_add(frames, Ordering::Relaxed);
        self.failed_datagrams.fetch_add(datagrams, Ordering::Relaxed);
    }

    /// All of it, with what is on its way.
    pub fn with_in_flight(&self, in_flight_frames: u64) -> SendCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SendCounts {
            acknowledged_frames: of(&self.acknowledged_frames),
            acknowledged_datagrams: of(&self.acknowledged_datagrams),
            acknowledged_bytes: of(&self.acknowledged_bytes),
            failed_frames: of(&self.failed_frames),
            failed_datagrams: of(&self.failed_datagrams),
            in_flight_frames,
        }
    }
}
