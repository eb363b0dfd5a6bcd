//! What one receive thread counts. Nothing is shared while it counts, and nothing allocated.

use std::sync::Arc;

use wire::ledger::{Cell, minute_of};

use super::book::Book;
use super::slots::{EXPORTERS_MAX, Slot, Slots};

/// Counts of one exporter in one minute, by the number of the [`Cell`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Cell::OF_THREADS]);

impl Counts {
    /// Counts a datagram. `cell` is one of the first [`Cell::OF_THREADS`].
    #[inline]
    pub fn add(&mut self, cell: Cell) {
        self.0[cell as usize] += 1;
    }

    pub fn get(&self, cell: Cell) -> u64 {
        self.0.get(cell as usize).copied().unwrap_or(0)
    }

    /// Adds all cells of another.
    pub fn append(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}

/// Counts of all exporters of a thread, for two minutes: what was queued before the turn of a minute may be received behind
/// what came after it, from another socket.
#[derive(Debug)]
pub struct ThreadLedger {
    slots: Slots,
    /// The minutes of the two columns; even ones are in the first.
    minutes: [u64; 2],
    /// By slot and column.
    counts: Box<[[Counts; 2]]>,
    book: Arc<Book>,
}

impl ThreadLedger {
    pub fn new(book: Arc<Book>) -> Self {
        Self {
            slots: Slots::new(),
            minutes: [0; 2],
            counts: vec![[Counts::default(); 2]; EXPORTERS_MAX + 1].into(),
            book,
        }
    }

    /// The slots of this thread's exporters.
    pub fn slots(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// The counts for a datagram of `slot` that came at `received_ns`.
    #[inline]
    pub fn at(&mut self, slot: Slot, received_ns: u64) -> &mut Counts {
        let minute = minute_of(received_ns);
        let column = (minute & 1) as usize;
        if self.minutes[column] != minute {
            self.turn(column, minute);
        }
        &mut self.counts[slot.index()][column]
    }

    /// Hands over what was counted since the last call.
    pub fn hand_over(&mut self) {
        self.hand_over_column(0);
        self.hand_over_column(1);
    }

    /// A column begins another minute. Should a clock jump, what is counted stays with its minute.
    #[cold]
    fn turn(&mut self, column: usize, minute: u64) {
        self.hand_over_column(column);
        self.minutes[column] = minute;
    }

    fn hand_over_column(&mut self, column: usize) {
        let minute = self.minutes[column];
        let filled = self.counts[..self.slots.used()]
            .iter_mut()
            .map(|columns| &mut columns[column])
            .enumerate()
            .filter(|(_, counts)| !counts.is_empty());
        let slots = &self.slots;
        self.book.take(filled.map(|(index, counts)| {
            let counts = std::mem::take(counts);
            (minute, slots.exporter(index), counts)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use wire::ledger::MINUTE_NS;

    #[test]
    fn each_datagram_is_counted_in_the_minute_in_which_it_came() {
        let book = Arc::new(Book::default());
        let mut ledger = ThreadLedger::new(Arc::clone(&book));
        let exporters = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let slots = exporters.map(|exporter| ledger.slots().of(exporter));
        // Around the turn of minute 10 to 11, out of order, then a jump far ahead.
        for (slot, ns) in [
            (0, 10 * MINUTE_NS),
            (1, 11 * MINUTE_NS - 1),
            (0, 11 * MINUTE_NS),
            (0, 11 * MINUTE_NS - 1),
            (0, 90 * MINUTE_NS),
            (0, 11 * MINUTE_NS),
        ] {
            let counts = ledger.at(slots[slot], ns);
            counts.add(Cell::ReceivedUdp);
            counts.add(Cell::Framed);
        }
        ledger.hand_over();
        ledger.hand_over();
        let mut got = book.drain();
        got.sort_by_key(|(minute, exporter, _)| (*minute, *exporter));
        let got: Vec<_> = got
            .into_iter()
            .map(|(minute, exporter, counts)| (minute, exporter, counts.get(Cell::Framed)))
            .collect();
        let [first, second] = exporters.map(Some);
        assert_eq!(
            got,
            [(10, first, 2), (10, second, 1), (11, first, 2), (90, first, 1)]
        );
    }
}
