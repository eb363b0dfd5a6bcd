//! The consumer's part of the ledger: what became of the datagrams of a batch, by exporter and minute, and what collectors
//! say in the ledger's own frames. Both go into the transaction of the batch.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use daemon::repeat::Repeat;
use event::{Batch, Kind};
use rustc_hash::FxHashMap;
use store::ledger::{Added, Changes, LifeState};
use wire::frame::Datagram;
use wire::ledger::record::{self, Life, NoPage, Page};
use wire::ledger::{Cell, MINUTE_NS, minute_of};

/// Exporters and minutes that a batch tells apart; beyond, the exporters of a minute are added up.
const TOLD_APART_MAX: usize = 16_384;
/// Cells, minutes and exporters of collectors that a batch tells apart, and lives; the batch is full then.
const REPORTED_MAX: usize = 65_536;
/// Exporters that are found without a search; a power of two.
const RECENT: usize = 64;
const NOT_TOLD_APART: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What consumers count, in the order of [`CELLS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub taken: u64,
    pub stored: u64,
    pub ignored: u64,
    pub dead_letters: u64,
    pub events: u64,
    pub rows: u64,
    pub repeated: u64,
    pub missing_frames: u64,
    pub parked: u64,
    pub unparked: u64,
    pub sequence_gap: u64,
    pub sequence_late: u64,
}

impl Counts {
    fn cells(&self) -> [(Cell, u64); 12] {
        [
            (Cell::Taken, self.taken),
            (Cell::Stored, self.stored),
            (Cell::Ignored, self.ignored),
            (Cell::DeadLetter, self.dead_letters),
            (Cell::Events, self.events),
            (Cell::Rows, self.rows),
            (Cell::Repeated, self.repeated),
            (Cell::MissingFrames, self.missing_frames),
            (Cell::Parked, self.parked),
            (Cell::Unparked, self.unparked),
            (Cell::SequenceGap, self.sequence_gap),
            (Cell::SequenceLate, self.sequence_late),
        ]
    }
}

/// An exporter in a minute.
type Key = (u64, IpAddr);
/// A collector's cell of an exporter in a minute: minute, life, exporter, number of the cell.
type ReportedKey = (u64, u64, IpAddr, u16);

/// What the open batch adds. Keeps its memory from batch to batch.
#[derive(Debug)]
pub struct Ledger {
    counts: Vec<(Key, Counts)>,
    places: FxHashMap<Key, usize>,
    recent: Box<[usize; RECENT]>,
    reported: FxHashMap<ReportedKey, u64>,
    lives: FxHashMap<u64, LifeState>,
    bad_said: Repeat,
}

impl Ledger {
    pub fn new(bad_said: Repeat) -> Self {
        let mut places = FxHashMap::default();
        places.reserve(TOLD_APART_MAX / 4);
        Self {
            counts: Vec::with_capacity(TOLD_APART_MAX / 4),
            places,
            recent: Box::new([0; RECENT]),
            reported: FxHashMap::default(),
            lives: FxHashMap::default(),
            bad_said,
        }
    }

    /// The counts of an exporter for a receive time in ns since 1970 (UTC).
    pub fn of(&mut self, exporter: IpAddr, received_ns: u64) -> &mut Counts {
        let key = (minute_of(received_ns), exporter);
        let recent = recent_place(exporter);
        let place = self.recent[recent];
        if self.counts.get(place).is_some_and(|(known, _)| *known == key) {
            return &mut self.counts[place].1;
        }
        let place = self.place(key);
        self.recent[recent] = place;
        &mut self.counts[place].1
    }

    /// The counts of a minute for what belongs to no exporter.
    pub fn of_nobody(&mut self, received_ns: u64) -> &mut Counts {
        self.of(NOT_TOLD_APART, received_ns)
    }

    fn place(&mut self, key: Key) -> usize {
        let mut key = key;
        if self.counts.len() >= TOLD_APART_MAX && !self.places.contains_key(&key) {
            key.1 = NOT_TOLD_APART;
        }
        if let Some(&place) = self.places.get(&key) {
            return place;
        }
        if self.counts.len() >= 2 * TOLD_APART_MAX {
            // So many minutes: no clock that runs gives them. Nothing is lost, but it is in another minute.
            return 0;
        }
        self.counts.push((key, Counts::default()));
        self.places.insert(key, self.counts.len() - 1);
        self.counts.len() - 1
    }

    /// Counts the rows of the batch, as they will be sent.
    pub fn rows(&mut self, batch: &Batch) {
        for rows in Kind::ALL.map(|kind| batch.of(kind)) {
            for (exporter, &received) in rows.exporter.iter().zip(&rows.received) {
                let exporter = exporter.ip().unwrap_or(NOT_TOLD_APART);
                self.of(exporter, received.unsigned_abs()).rows += 1;
            }
        }
    }

    /// Takes a page of a ledger frame.
    pub fn page(&mut self, datagram: &Datagram<'_>) {
        match record::read(datagram.payload) {
            Ok((life, Page::Cells(entries))) => {
                for entry in entries {
                    let key = (
                        minute_of(datagram.received_ns),
                        life,
                        datagram.exporter,
                        entry.number(),
                    );
                    let count = self.reported.entry(key).or_default();
                    *count = count.saturating_add(entry.count());
                }
            }
            Ok((life, Page::Life(says))) => {
                self.lives.insert(life, state(life, datagram.received_ns, says));
            }
            Err(NoPage) => {
                if self.bad_said.due() {
                    tracing::error!(
                        "a ledger frame has a page of {} octets that this release cannot read: a newer collector? Its counts \
                         are left out, and `natrail ledger` will not close",
                        datagram.payload.len()
                    );
                }
            }
        }
    }

    /// Whether no more should go into this batch.
    pub fn is_full(&self) -> bool {
        self.reported.len() + self.lives.len() >= REPORTED_MAX
    }

    /// What the batch adds, taken out.
    pub fn take_changes(&mut self) -> Changes {
        let own = self.counts.iter().flat_map(|&((minute, exporter), counts)| {
            let cells = counts.cells().into_iter().filter(|(_, count)| *count > 0);
            cells.map(move |(cell, count)| added(minute, 0, exporter, cell.name().into(), count))
        });
        let reported = self
            .reported
            .iter()
            .map(|(&(minute, life, exporter, number), &count)| {
                let name = Cell::from_number(number).map_or_else(
                    // Of a newer collector: kept, and shown as what it is.
                    || Cow::Owned(format!("unknown.{number}")),
                    |cell| Cow::Borrowed(cell.name()),
                );
                added(minute, life, exporter, name, count)
            });
        let changes = Changes::new(
            own.chain(reported).collect(),
            self.lives.values().cloned().collect(),
        );
        self.clear();
        changes
    }

    /// Forgets what was counted.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.places.clear();
        self.reported.clear();
        self.lives.clear();
    }
}

fn recent_place(exporter: IpAddr) -> usize {
    let low = match exporter {
        IpAddr::V4(v4) => v4.to_bits() as usize,
        IpAddr::V6(v6) => v6.to_bits() as usize,
    };
    low & (RECENT - 1)
}

fn added(minute: u64, life: u64, exporter: IpAddr, cell: Cow<'static, str>, count: u64) -> Added {
    Added {
        minute_ns: saturated(minute.saturating_mul(MINUTE_NS)),
        life,
        exporter,
        cell,
        count: saturated(count),
    }
}

fn state(life: u64, heard_ns: u64, says: &Life) -> LifeState {
    LifeState {
        life,
        host: String::from_utf8_lossy(says.host()).into_owned(),
        started_ns: saturated(says.started_ns.get()),
        heard_ns: saturated(heard_ns),
        has_ended: says.has_ended(),
        has_xdp: says.has_xdp(),
        hold_max: saturated(says.hold_max.get()),
        skew_interface: saturated(says.skew_interface.get()),
        skew_sockets: saturated(says.skew_sockets.get()),
        waiting_frames: saturated(says.waiting_frames.get()),
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ledger::record::PAGE_BYTES_MAX;

    fn ledger() -> Ledger {
        Ledger::new(Repeat::every(std::time::Duration::ZERO))
    }

    fn exporter(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn exporters_that_share_a_place_and_minutes_are_told_apart_and_none_is_lost() {
        let mut ledger = ledger();
        let exporters = TOLD_APART_MAX as u32 / 2 + 7;
        for round in 0..2 {
            for minute in 1..=2 {
                for number in 0..exporters {
                    ledger.of(exporter(number), minute * MINUTE_NS + round).taken += 1;
                }
            }
        }
        let changes = ledger.take_changes();
        assert_eq!(
            changes.cells().iter().map(|added| added.count).sum::<i64>(),
            4 * i64::from(exporters)
        );
        let together: Vec<_> = changes
            .cells()
            .iter()
            .filter(|added| added.exporter == NOT_TOLD_APART)
            .map(|added| (added.minute_ns, added.count))
            .collect();
        assert_eq!(together, [(2 * MINUTE_NS as i64, 2 * 14)]);
        assert!(ledger.take_changes().is_empty());
    }

    #[test]
    fn pages_are_added_up_and_what_is_no_page_adds_nothing() {
        let mut ledger = ledger();
        let mut buffer = [0; PAGE_BYTES_MAX];
        let page = record::write_cells(&mut buffer, 9, [(Cell::Framed, 5)].into_iter()).to_vec();
        let mut unknown = page.clone();
        unknown[16..18].copy_from_slice(&999_u16.to_le_bytes());
        for payload in [&page, &unknown, &page, &b"no page".to_vec()] {
            ledger.page(&Datagram {
                exporter: exporter(1),
                source_port: 0,
                destination_port: 0,
                received_ns: 3 * MINUTE_NS,
                truncated: false,
                payload,
            });
        }
        let changes = ledger.take_changes();
        let got: Vec<_> = changes
            .cells()
            .iter()
            .map(|added| (added.life, added.cell.as_ref(), added.count))
            .collect();
        assert_eq!(got, [(9, "framed", 10), (9, "unknown.999", 5)]);
    }
}
