//! What is counted. Names and meanings: docs/metrics.md.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use daemon::metrics::{Text, Type};
use decode::{DecodeError, Ignored};
use event::Kind;
use store::clock::Reading;
use wire::frame::FrameError;

/// Exporters that have a metric of their own.
const CLOCKS_SHOWN_MAX: usize = 1000;

/// Reasons of [`bad_frame_name`], in the order of [`bad_frame_index`].
pub const BAD_FRAMES: [&str; 7] = [
    "frame_too_short",
    "frame_bad_magic",
    "frame_unknown_version",
    "frame_unknown_kind",
    "frame_bad_length",
    "frame_bad_checksum",
    "frame_bad_datagram",
];

/// Place of the error in [`BAD_FRAMES`].
pub const fn bad_frame_index(error: FrameError) -> usize {
    match error {
        FrameError::TooShort => 0,
        FrameError::BadMagic => 1,
        FrameError::UnknownVersion(_) => 2,
        FrameError::UnknownKind(_) => 3,
        FrameError::BadLength => 4,
        FrameError::BadChecksum => 5,
        FrameError::BadDatagram => 6,
    }
}

/// What a batch holds, counted while it is assembled and added to the totals when it is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub frames: u64,
    pub datagrams: u64,
    /// By [`Kind`].
    pub events: [u64; Kind::ALL.len()],
    /// By [`Ignored`].
    pub ignored: [u64; Ignored::ALL.len()],
    /// By [`DecodeError`].
    pub dead_letters: [u64; DecodeError::ALL.len()],
    /// Dead letters that gave events as well.
    pub partly: u64,
    /// By [`BAD_FRAMES`].
    pub bad_frames: [u64; BAD_FRAMES.len()],
    /// Frames that had been taken before; none of their datagrams is counted.
    pub duplicate_frames: u64,
    /// Frames that their source numbered and that never came.
    pub missing_frames: u64,
    /// Datagrams of flow records of which all that may be an event waits for a template.
    pub parked: u64,
    /// Those of them that became something else.
    pub unparked: u64,
    /// Sequence numbers that exporters of flow records passed over.
    pub sequence_gap: u64,
    /// Those of them that came late.
    pub sequence_late: u64,
}

impl Tally {
    /// Events of all kinds: the rows of the batch.
    pub fn rows(&self) -> u64 {
        self.events.iter().sum()
    }
}

/// Totals of all workers.
#[derive(Debug, Default)]
pub struct Metrics {
    frames: AtomicU64,
    datagrams: AtomicU64,
    events: [AtomicU64; Kind::ALL.len()],
    ignored: [AtomicU64; Ignored::ALL.len()],
    dead_letters: [AtomicU64; DecodeError::ALL.len()],
    partly: AtomicU64,
    bad_frames: [AtomicU64; BAD_FRAMES.len()],
    duplicate_frames: AtomicU64,
    missing_frames: AtomicU64,
    parked: AtomicU64,
    unparked: AtomicU64,
    sequence_gap: AtomicU64,
    sequence_late: AtomicU64,
    batches: AtomicU64,
    pub recoveries: AtomicU64,
    pub fenced: AtomicU64,
    /// By [`bus::Loss`].
    pub lost_frames: [AtomicU64; 2],
    /// How far the clock of an exporter is off, in microseconds: of the first so many exporters.
    clocks: Mutex<BTreeMap<IpAddr, i64>>,
    /// One for each worker.
    pub workers: Vec<WorkerGauges>,
}

/// What a worker has now.
#[derive(Debug, Default)]
pub struct WorkerGauges {
    pub streams: AtomicU64,
    pub behind_frames: AtomicU64,
}

impl Metrics {
    pub fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| WorkerGauges::default()).collect(),
            ..Self::default()
        }
    }

    /// Adds a committed batch.
    pub fn committed(&self, tally: &Tally) {
        let add = |total: &AtomicU64, more: u64| total.fetch_add(more, Ordering::Relaxed);
        add(&self.frames, tally.frames);
        add(&self.datagrams, tally.datagrams);
        add(&self.duplicate_frames, tally.duplicate_frames);
        add(&self.missing_frames, tally.missing_frames);
        add(&self.parked, tally.parked);
        add(&self.unparked, tally.unparked);
        add(&self.sequence_gap, tally.sequence_gap);
        add(&self.sequence_late, tally.sequence_late);
        add(&self.partly, tally.partly);
        add(&self.batches, 1);
        for (totals, more) in [
            (&self.events[..], &tally.events[..]),
            (&self.ignored[..], &tally.ignored[..]),
            (&self.dead_letters[..], &tally.dead_letters[..]),
            (&self.bad_frames[..], &tally.bad_frames[..]),
        ] {
            for (total, &more) in totals.iter().zip(more) {
                add(total, more);
            }
        }
    }

    /// Takes what was measured of the exporters' clocks.
    pub fn measured(&self, readings: &[Reading]) {
        if readings.is_empty() {
            return;
        }
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        for reading in readings {
            if clocks.len() < CLOCKS_SHOWN_MAX || clocks.contains_key(&reading.exporter) {
                clocks.insert(reading.exporter, reading.skew_us);
            }
        }
    }

    /// Rows in the database by this process.
    pub fn rows_committed(&self) -> u64 {
        self.events
            .iter()
            .map(|total| total.load(Ordering::Relaxed))
            .sum()
    }

    /// Writes all metrics.
    pub fn render(&self, text: &mut Text) {
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let counter = Type::Counter;
        text.single(
            "natrail_consumer_frames_total",
            counter,
            "Frames committed.",
            of(&self.frames),
        );
        text.single(
            "natrail_consumer_datagrams_total",
            counter,
            "Datagrams in committed frames, without those of repeated frames.",
            of(&self.datagrams),
        );
        let mut by =
            |name: &str, help: &str, label: &str, values: &mut dyn Iterator<Item = (&'static str, u64)>| {
                text.metric(name, counter, help);
                for (word, value) in values {
                    text.sample(name, &[(label, word)], value);
                }
            };
        by(
            "natrail_consumer_events_total",
            "Events committed, by kind.",
            "kind",
            &mut Kind::ALL
                .iter()
                .map(|kind| (kind.name(), of(&self.events[*kind as usize]))),
        );
        by(
            "natrail_consumer_ignored_total",
            "Known messages that are no mapping, by reason.",
            "reason",
            &mut Ignored::ALL
                .iter()
                .map(|reason| (reason.name(), of(&self.ignored[*reason as usize]))),
        );
        by(
            "natrail_consumer_dead_letters_total",
            "Datagrams that could not be decoded, or not all of them, by reason.",
            "reason",
            &mut DecodeError::ALL
                .iter()
                .map(|reason| (reason.name(), of(&self.dead_letters[*reason as usize]))),
        );
        by(
            "natrail_consumer_bad_frames_total",
            "Records that are no frame, by reason.",
            "reason",
            &mut BAD_FRAMES
                .iter()
                .enumerate()
                .map(|(index, name)| (*name, of(&self.bad_frames[index]))),
        );
        text.single(
            "natrail_consumer_partly_decoded_total",
            counter,
            "Dead letters that gave events as well: one of several records is cut off or wrong.",
            of(&self.partly),
        );
        let help = "Frames that had been taken before; none of their datagrams is stored again.";
        text.single(
            "natrail_consumer_duplicate_frames_total",
            counter,
            help,
            of(&self.duplicate_frames),
        );
        let help = "Frames that were lost between collector and consumer: their numbers are missing.";
        text.single(
            "natrail_consumer_missing_frames_total",
            counter,
            help,
            of(&self.missing_frames),
        );
        for (name, help, count) in [
            (
                "natrail_consumer_parked_total",
                "Datagrams of flow records that came before their template.",
                &self.parked,
            ),
            (
                "natrail_consumer_unparked_total",
                "Those of the parked datagrams that are stored, ignored or dead letters by now.",
                &self.unparked,
            ),
            (
                "natrail_consumer_sequence_gap_total",
                "Sequence numbers that exporters of flow records passed over.",
                &self.sequence_gap,
            ),
            (
                "natrail_consumer_sequence_late_total",
                "Sequence numbers that had been passed over, and came late.",
                &self.sequence_late,
            ),
        ] {
            text.single(name, counter, help, of(count));
        }
        text.single(
            "natrail_consumer_rows_committed_total",
            counter,
            "Rows committed.",
            self.rows_committed(),
        );
        text.single(
            "natrail_consumer_batches_total",
            counter,
            "Transactions committed.",
            of(&self.batches),
        );
        let help =
            "Times a worker threw away what was not committed and went back to the database's position.";
        text.single(
            "natrail_consumer_recoveries_total",
            counter,
            help,
            of(&self.recoveries),
        );
        let help = "Commits refused because the stream had moved: another consumer owns it.";
        text.single("natrail_consumer_fenced_total", counter, help, of(&self.fenced));
        let name = "natrail_consumer_lost_frames_total";
        text.metric(
            name,
            counter,
            "Frames that are not on the bus any more and were not read.",
        );
        for (reason, frames) in ["retention", "damaged"].iter().zip(&self.lost_frames) {
            text.sample(name, &[("reason", reason)], of(frames));
        }
        let sum =
            |gauge: fn(&WorkerGauges) -> &AtomicU64| self.workers.iter().map(|w| of(gauge(w))).sum::<u64>();
        let help = "Streams that this process owns.";
        text.single("natrail_consumer_streams", Type::Gauge, help, sum(|w| &w.streams));
        let help = "Frames on the bus, in owned streams, that were not taken yet.";
        text.single(
            "natrail_consumer_lag_frames",
            Type::Gauge,
            help,
            sum(|w| &w.behind_frames),
        );
        let name = "natrail_consumer_exporter_clock_skew_seconds";
        let help =
            "Device time minus receive time of each exporter's last messages, of up to 1000 exporters.";
        text.metric(name, Type::Gauge, help);
        for (exporter, skew_us) in &*self.clocks.lock().unwrap_or_else(PoisonError::into_inner) {
            let seconds = *skew_us as f64 / 1e6;
            text.sample(name, &[("exporter", &exporter.to_string())], seconds);
        }
        let resident = daemon::memory::resident_bytes().unwrap_or(0);
        text.single(
            "natrail_consumer_resident_bytes",
            Type::Gauge,
            "Resident memory of this process.",
            resident,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_has_exactly_the_metrics_that_there_are() {
        let page = include_str!("../../docs/metrics.md");
        let section = page
            .split("\n## ")
            .find(|part| part.starts_with("Consumer"))
            .expect("a section Consumer");
        let documented: BTreeSet<&str> = section
            .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
            .filter(|w| w.starts_with("natrail_"))
            .collect();
        let mut text = Text::default();
        Metrics::new(2).render(&mut text);
        let text = text.finish();
        let rendered: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert_eq!(documented, rendered);
    }

    #[test]
    fn a_committed_batch_is_added_once() {
        let metrics = Metrics::new(1);
        let mut tally = Tally {
            frames: 2,
            datagrams: 5,
            duplicate_frames: 4,
            missing_frames: 6,
            partly: 1,
            ..Tally::default()
        };
        tally.events[Kind::Block as usize] = 3;
        tally.dead_letters[DecodeError::BadPort as usize] = 2;
        metrics.committed(&tally);
        let reading = |last: u8, skew_us| Reading {
            exporter: IpAddr::from([192, 0, 2, last]),
            skew_us,
            samples: 3,
            measured_us: 0,
        };
        metrics.measured(&[reading(1, -1_500_000), reading(2, 7)]);
        metrics.measured(&[reading(2, 8)]);
        let mut text = Text::default();
        metrics.render(&mut text);
        let text = text.finish();
        for line in [
            "natrail_consumer_events_total{kind=\"port-block-mapping\"} 3",
            "natrail_consumer_dead_letters_total{reason=\"bad_port\"} 2",
            "natrail_consumer_rows_committed_total 3",
            "natrail_consumer_duplicate_frames_total 4",
            "natrail_consumer_missing_frames_total 6",
            "natrail_consumer_partly_decoded_total 1",
            "natrail_consumer_batches_total 1",
            "natrail_consumer_exporter_clock_skew_seconds{exporter=\"192.0.2.1\"} -1.5",
            "natrail_consumer_exporter_clock_skew_seconds{exporter=\"192.0.2.2\"} 0.000008",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
