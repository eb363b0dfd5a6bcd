//! What each thread counts. A cell is written by its thread alone and read by the metrics at any time.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use filter::Judgement;
use rustc_hash::FxHashMap;
use wire::ledger;

/// Exporters whose drops are told apart, for each thread; those of all others are added up.
pub const DROPPED_EXPORTERS_MAX: usize = 1024;

/// A number that only grows, with one writer.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds. Not an atomic addition: only the owning thread may call it.
    pub fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Cells of one receive thread, on cache lines of their own (two: the prefetcher takes pairs).
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct ThreadCounters {
            $($(#[$doc])* pub $name: Cell,)*
            pub dropped_exporters: DroppedExporters,
        }

        /// The sum over all threads at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            pub fn sum<'a>(threads: impl IntoIterator<Item = &'a ThreadCounters>) -> Self {
                let mut counts = Self::default();
                for thread in threads {
                    $(counts.$name += thread.$name.get();)*
                }
                counts
            }
        }
    };
}

cells! {
    /// Datagrams taken from the sockets: framed, or dropped for one of the reasons below.
    received,
    /// Octets of payload of `received`.
    received_bytes,
    /// Put into a frame.
    framed,
    /// Framed without their end, since longer than `datagram_bytes_max`.
    truncated,
    /// Dropped: the exporter is not on the allow-list.
    not_allowed,
    /// Dropped: the kernel gave no usable sender.
    malformed,
    /// Dropped: the exporter sends more than its rate.
    rate_limited,
    /// Dropped: facility and severity are masked out at the listener.
    pri_masked,
    /// Dropped: by the listener's patterns.
    filtered,
    /// Dropped: all frame buffers wait for the bus.
    no_buffer,
    /// Dropped by the kernel: the socket's buffer was full.
    kernel_drops,
    /// Requests armed again because the kernel had no receive buffer.
    out_of_buffers,
    /// Requests armed again for another reason.
    rearms,
    /// Frames closed because they were full.
    frames_by_size,
    /// Frames closed because of their age.
    frames_by_age,
    /// Frames closed because the collector ends.
    frames_by_stop,
}

impl ThreadCounters {
    /// Counts what is dropped by a listener's rules, and gives the ledger's cell for it; `None` for what passes.
    pub fn refused_by(&self, judgement: Judgement) -> Option<ledger::Cell> {
        match judgement {
            Judgement::Passes => None,
            Judgement::PriMasked => {
                self.pri_masked.add(1);
                Some(ledger::Cell::PriMasked)
            }
            Judgement::Filtered => {
                self.filtered.add(1);
                Some(ledger::Cell::Filtered)
            }
        }
    }
}

impl Counts {
    /// Datagrams received and not framed, whatever the reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_by_reason().iter().map(|(_, count)| count).sum()
    }

    /// The same by reason, as metrics name it.
    pub fn dropped_by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("not_allowed", self.not_allowed),
            ("rate_limited", self.rate_limited),
            ("pri_masked", self.pri_masked),
            ("filtered", self.filtered),
            ("no_buffer", self.no_buffer),
            ("malformed", self.malformed),
        ]
    }

    /// Frames handed to the producer.
    pub fn frames(&self) -> u64 {
        self.frames_by_size + self.frames_by_age + self.frames_by_stop
    }
}

/// Drops for want of a buffer, by exporter. Locked only when something is dropped or read.
#[derive(Debug)]
pub struct DroppedExporters(Mutex<Dropped>);

#[derive(Debug)]
struct Dropped {
    by_exporter: FxHashMap<IpAddr, u64>,
    others: u64,
}

impl Default for DroppedExporters {
    fn default() -> Self {
        let mut by_exporter = FxHashMap::default();
        by_exporter.reserve(DROPPED_EXPORTERS_MAX);
        Self(Mutex::new(Dropped {
            by_exporter,
            others: 0,
        }))
    }
}

impl DroppedExporters {
    pub fn add(&self, exporter: IpAddr) {
        let mut dropped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = dropped.by_exporter.len() < DROPPED_EXPORTERS_MAX;
        match dropped.by_exporter.get_mut(&exporter) {
            Some(count) => *count += 1,
            None if room => {
                dropped.by_exporter.insert(exporter, 1);
            }
            None => dropped.others += 1,
        }
    }

    /// Adds what this thread dropped to `sums`, and gives back the drops of exporters beyond the table.
    pub fn add_to(&self, sums: &mut FxHashMap<IpAddr, u64>) -> u64 {
        let dropped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (exporter, count) in &dropped.by_exporter {
            *sums.entry(*exporter).or_default() += count;
        }
        dropped.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_exporters_is_bounded_and_loses_no_count() {
        let table = DroppedExporters::default();
        let exporters = DROPPED_EXPORTERS_MAX as u32 + 100;
        for i in 0..exporters {
            table.add(IpAddr::from(i.to_be_bytes()));
            table.add(IpAddr::from([0, 0, 0, 0]));
        }
        let mut sums = FxHashMap::default();
        let others = table.add_to(&mut sums);
        assert_eq!((sums.len(), others), (DROPPED_EXPORTERS_MAX, 100));
        assert_eq!(sums.values().sum::<u64>() + others, 2 * u64::from(exporters));
    }
}
