//! What the threads have handed over, until the reporter has sent it.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use super::thread::Counts;

/// Exporters and minutes that are told apart while nothing can be sent; beyond, the exporters of a minute are added up.
const TOLD_APART_MAX: usize = 65_536;
/// Room that is there from the start: what waits while all is well.
const ROOM: usize = 4096;

/// Counts by minute and exporter; `None` for those that are not told apart. Locked a few times in a second, for each thread.
#[derive(Debug)]
pub struct Book(Mutex<FxHashMap<(u64, Option<IpAddr>), Counts>>);

impl Default for Book {
    fn default() -> Self {
        let mut counts = FxHashMap::default();
        counts.reserve(ROOM);
        Self(Mutex::new(counts))
    }
}

impl Book {
    /// Adds minutes, exporters and their counts.
    pub fn take(&self, more: impl Iterator<Item = (u64, Option<IpAddr>, Counts)>) {
        let mut book = self.lock();
        for (minute, exporter, counts) in more {
            let known = book.len() < TOLD_APART_MAX || book.contains_key(&(minute, exporter));
            book.entry((minute, exporter.filter(|_| known)))
                .or_default()
                .append(&counts);
        }
    }

    /// All of it, taken out.
    pub fn drain(&self) -> Vec<(u64, Option<IpAddr>, Counts)> {
        self.lock()
            .drain()
            .map(|((minute, exporter), counts)| (minute, exporter, counts))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<(u64, Option<IpAddr>), Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
