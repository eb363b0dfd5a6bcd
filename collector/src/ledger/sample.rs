//! Cells of the whole collector: what interfaces, XDP and sockets have counted since they are there.
//!
//! They cannot be read at one moment. What moves between the first and the last look is told beside them, as the most by
//! which the two sides of an equation may differ for that reason alone; on a quiet network it is 0.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::ledger::Cell;

use super::interface::{self, InterfaceCounts};
use crate::collector::View;
use crate::filter::{Attached, Filter};
use crate::xdp::{Count, XdpError};

/// How often it is looked again if packets came meanwhile …
const LOOKS: u32 = 3;
/// … and after which pause.
const PAUSE: Duration = Duration::from_millis(2);
/// A driver adds up its packets after each round of at most so many (the kernel's NAPI weight).
const ROUND: u64 = 64;

/// What was added since the sample before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub cells: Vec<(Cell, u64)>,
    /// By how much interfaces and XDP may differ.
    pub skew_interface: u64,
    /// By how much XDP and sockets may differ.
    pub skew_sockets: u64,
}

/// Takes samples of one collector.
pub struct Sampler {
    view: View,
    filter: Option<Filter>,
    before: BTreeMap<Cell, u64>,
}

/// One look at everything.
struct Look {
    totals: BTreeMap<Cell, u64>,
    skew_interface: u64,
    skew_sockets: u64,
}

impl Sampler {
    pub fn new(view: View, filter: Option<Filter>) -> Self {
        Self {
            view,
            filter,
            before: BTreeMap::new(),
        }
    }

    /// Whether there is an XDP program.
    pub fn has_xdp(&self) -> bool {
        self.filter.is_some()
    }

    /// Looks until nothing comes between, a few times at most.
    pub fn take(&mut self) -> Sample {
        let mut look = self.look();
        for _ in 1..LOOKS {
            if look.skew_interface == 0 && look.skew_sockets == 0 {
                break;
            }
            std::thread::sleep(PAUSE);
            look = self.look();
        }
        let cells = (look.totals.iter())
            .map(|(&cell, &total)| {
                let before = self.before.get(&cell).copied().unwrap_or(0);
                (cell, total.saturating_sub(before))
            })
            .filter(|(_, more)| *more > 0)
            .collect();
        for (cell, total) in look.totals {
            let before = self.before.entry(cell).or_default();
            *before = total.max(*before);
        }
        Sample {
            cells,
            skew_interface: look.skew_interface,
            skew_sockets: look.skew_sockets,
        }
    }

    fn look(&self) -> Look {
        let Some(filter) = &self.filter else {
            return Look {
                totals: taken(&self.view),
                skew_interface: 0,
                skew_sockets: 0,
            };
        };
        let attached = filter.attached();
        let first = interface::read(&attached.interfaces);
        let verdicts = verdicts(filter.counts());
        let taken = taken(&self.view);
        let passed_later = passed(&self::verdicts(filter.counts()));
        let last = interface::read(&attached.interfaces);
        let passed = passed(&verdicts);
        let mut totals = verdicts;
        totals.extend(taken);
        totals.extend(of_interfaces(attached, &first));
        let moved = last.received.saturating_sub(first.received);
        let round = if moved > 0 {
            ROUND * attached.interfaces.len() as u64
        } else {
            0
        };
        Look {
            totals,
            skew_interface: attached.skew + moved + round,
            skew_sockets: passed_later.saturating_sub(passed),
        }
    }
}

/// What sockets and rings gave and lost.
fn taken(view: &View) -> BTreeMap<Cell, u64> {
    // In this order: what comes from a ring between the two looks is never counted for the sockets.
    let counts = view.datagram_counts();
    let ring = view.af_xdp.as_ref().map(|rings| {
        let dropped = rings.sum(|thread| &thread.ring_full) + rings.sum(|thread| &thread.no_frame);
        (rings.sum(|thread| &thread.packets), dropped)
    });
    let (packets, ring_dropped) = ring.unwrap_or_default();
    let mut cells = BTreeMap::from([
        (Cell::SocketReceived, counts.received.saturating_sub(packets)),
        (Cell::SocketDropped, counts.kernel_drops),
    ]);
    if ring.is_some() {
        cells.extend([(Cell::RingReceived, packets), (Cell::RingDropped, ring_dropped)]);
    }
    cells
}

/// What XDP gave to sockets and rings.
fn passed(verdicts: &BTreeMap<Cell, u64>) -> u64 {
    let packets = |cell| verdicts.get(&cell).copied().unwrap_or(0);
    packets(Cell::XdpAccepted) + packets(Cell::XdpRedirected)
}

/// Since XDP is there.
fn of_interfaces(attached: &Attached, now: &InterfaceCounts) -> [(Cell, u64); 3] {
    let start = &attached.start;
    [
        (Cell::NicReceived, now.received.saturating_sub(start.received)),
        (Cell::NicMissed, now.missed.saturating_sub(start.missed)),
        (Cell::NicDropped, now.dropped.saturating_sub(start.dropped)),
    ]
}

/// Packets by verdict, of all exporters. What cannot be read stays as it was.
fn verdicts(counts: Result<Vec<Count>, XdpError>) -> BTreeMap<Cell, u64> {
    let mut cells = BTreeMap::new();
    for count in counts.unwrap_or_default() {
        if let Some(cell) = Cell::of_verdict(count.verdict) {
            *cells.entry(cell).or_default() += count.packets;
        }
    }
    cells
}
