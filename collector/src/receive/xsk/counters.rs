//! What AF_XDP took and lost, for each thread.

use std::sync::Arc;

use super::open::OpenQueue;
use crate::counters::Cell;

/// Cells of one thread, over all its AF_XDP sockets.
#[derive(Debug, Default)]
pub struct XskCounters {
    /// Those of the datagrams received that came by AF_XDP.
    pub packets: Cell,
    /// Those of the malformed that had a wrong checksum.
    pub bad_checksums: Cell,
    /// Lost: the thread had left no room in its rx ring.
    pub ring_full: Cell,
    /// Lost: no frame was free, or the packet did not fit into one.
    pub no_frame: Cell,
    /// The kernel found a descriptor in the fill ring that leads nowhere.
    pub invalid_descriptors: Cell,
    /// Times that the kernel found the fill ring empty. All sockets of a queue say the same, so one of them is asked.
    pub fill_ring_empty: Cell,
}

/// What metrics show of AF_XDP.
#[derive(Debug)]
pub struct XskView {
    pub queues: Vec<OpenQueue>,
    pub threads: Vec<Arc<XskCounters>>,
}

impl XskView {
    /// One of the cells, over all threads.
    pub fn sum(&self, cell: fn(&XskCounters) -> &Cell) -> u64 {
        self.threads.iter().map(|thread| cell(thread).get()).sum()
    }
}
