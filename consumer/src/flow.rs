//! Flow records: what is known of their exporters, and of datagrams with records that wait for a template.
//!
//! - [`sorting`]: what becomes of one datagram.
//!
//! Templates and waiting sets go into the transaction of the batch, and come back when streams are assigned: whoever reads
//! a stream knows what the one before it knew at that position.

mod sorting;

use std::collections::HashMap;
use std::net::IpAddr;

use bus::{BusError, Stream};
use decode::Ignored;
use decode::netflow::{self, Exporters, Header, PARKED_AGE_MAX_NS, Version};
use rustc_hash::{FxHashMap, FxHashSet};
use store::flow::{Changes, ParkedSet, Place, State, Template, TemplateKey};
use store::ingest::StreamState;
use wire::frame::Datagram;

use crate::assemble::Filling;
use sorting::Sorting;

/// Sets that wait too long are looked for no more often, in the time of the frames.
const LOOK_EVERY_NS: u64 = 60 * 1_000_000_000;

/// What a worker knows of the exporters of its streams.
#[derive(Debug, Default)]
pub struct Flows {
    exporters: Exporters,
    kept: Kept,
    /// When a stream was last looked through for sets that wait too long.
    looked: FxHashMap<i32, u64>,
}

/// What has to be in the database.
#[derive(Debug, Default)]
struct Kept {
    /// Of each datagram that has sets that wait, by its tag.
    waiting: FxHashMap<u64, Waiting>,
    /// Those that are not in the database as they are here.
    touched: FxHashSet<u64>,
    /// In the database, and no more here.
    settled: Vec<Place>,
    /// New and changed since the last batch.
    templates: HashMap<TemplateKey, Template>,
    next_tag: u64,
}

/// A datagram with sets that wait.
#[derive(Debug)]
struct Waiting {
    stream: Stream,
    place: Place,
    exporter: IpAddr,
    received_ns: u64,
    /// Index of its next event in the frame.
    next_index: i32,
    sets: u32,
    counted: Counted,
    /// Why it is ignored, should nothing else come of it.
    ignored: Ignored,
    /// Whether the database has it.
    is_stored: bool,
}

/// Where a datagram with waiting sets is counted so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// In another cell than `parked`.
    elsewhere: bool,
    dead_letter: bool,
    events: bool,
}

impl Counted {
    fn bits(self) -> i16 {
        i16::from(self.elsewhere) | i16::from(self.dead_letter) << 1 | i16::from(self.events) << 2
    }

    fn from_bits(bits: i16) -> Self {
        Self {
            elsewhere: bits & 1 != 0,
            dead_letter: bits & 2 != 0,
            events: bits & 4 != 0,
        }
    }
}

impl Flows {
    /// What the database has; `states` are the streams that are read.
    pub fn restore(state: &State, states: &[(Stream, StreamState)]) -> Self {
        let mut flows = Self::default();
        for template in &state.templates {
            let key = template.key;
            let Some(version) = version(key.version) else {
                continue;
            };
            let restored = flows.exporters.restore_template(
                key.exporter,
                version,
                key.domain,
                template.is_options,
                &template.wire,
            );
            if let Err(error) = restored {
                tracing::warn!(
                    "template {} of {}, domain {}, is not taken from the database ({error}); the exporter will send it again",
                    key.id,
                    key.exporter,
                    key.domain
                );
            }
        }
        let streams: FxHashMap<i32, Stream> =
            states.iter().map(|(stream, state)| (state.id, *stream)).collect();
        for sets in state.parked.chunk_by(|a, b| a.place == b.place) {
            if let Some(&stream) = streams.get(&sets[0].place.0) {
                flows.restore_parked(stream, sets);
            }
        }
        flows
    }

    /// The sets of one datagram.
    fn restore_parked(&mut self, stream: Stream, sets: &[ParkedSet]) {
        let tag = self.kept.next_tag;
        self.kept.next_tag += 1;
        let mut waiting = 0;
        for set in sets {
            let Some(version) = version(set.version) else {
                continue;
            };
            let restored = netflow::ParkedSet {
                id: set.id,
                header: Header {
                    version,
                    export_s: set.export_s,
                    uptime_ms: set.uptime_ms,
                    sequence: set.sequence,
                    domain: set.domain,
                },
                origin: netflow::Origin {
                    tag,
                    received_ns: set.received_ns,
                },
                octets: set.octets.as_slice().into(),
            };
            self.exporters.restore_parked(set.exporter, restored);
            waiting += 1;
        }
        if let (Some(set), 1..) = (sets.first(), waiting) {
            self.kept.waiting.insert(
                tag,
                Waiting {
                    stream,
                    place: set.place,
                    exporter: set.exporter,
                    received_ns: set.received_ns.unsigned_abs(),
                    next_index: set.next_index,
                    sets: waiting,
                    counted: Counted::from_bits(set.state),
                    ignored: Ignored::TemplatesAlone,
                    is_stored: true,
                },
            );
        }
    }

    /// Decodes a datagram into the open batch.
    ///
    /// # Errors
    /// If the bus takes no dead letters.
    pub fn datagram(
        &mut self,
        filling: &mut Filling<'_>,
        index: u32,
        datagram: &Datagram<'_>,
    ) -> Result<(), BusError> {
        let tag = self.kept.next_tag;
        self.kept.next_tag += 1;
        let profile = filling.profiles.of(datagram.exporter).0.settings().flow;
        let received = netflow::Datagram {
            exporter: datagram.exporter,
            received_ns: i64::try_from(datagram.received_ns).unwrap_or(i64::MAX),
            tag,
            payload: datagram.payload,
        };
        let mut sorting = Sorting::new(
            &mut self.kept,
            filling,
            tag,
            datagram.exporter,
            datagram.received_ns,
        );
        let summary = self.exporters.decode(profile, &received, &mut sorting);
        sorting.finish(index, datagram, summary)
    }

    /// Gives up what has waited too long in a stream, by the time of its frames: those of an exporter that has fallen silent, too.
    ///
    /// # Errors
    /// If the bus takes no dead letters.
    pub fn give_up_old(&mut self, filling: &mut Filling<'_>, now_ns: u64) -> Result<(), BusError> {
        let stream = filling.step.stream;
        let looked = self.looked.entry(stream).or_insert(0);
        if self.kept.waiting.is_empty() || now_ns < looked.saturating_add(LOOK_EVERY_NS) {
            return Ok(());
        }
        *looked = now_ns;
        let end_ns = i64::try_from(now_ns)
            .unwrap_or(i64::MAX)
            .saturating_sub(PARKED_AGE_MAX_NS);
        let old: FxHashSet<u64> = self
            .kept
            .waiting
            .iter()
            .filter(|(_, waiting)| {
                waiting.place.0 == stream && i64::try_from(waiting.received_ns).is_ok_and(|at| at < end_ns)
            })
            .map(|(&tag, _)| tag)
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        let tag = self.kept.next_tag;
        let nobody = IpAddr::from([0; 4]);
        let mut sorting = Sorting::new(&mut self.kept, filling, tag, nobody, now_ns);
        self.exporters
            .give_up(|set| old.contains(&set.origin.tag), &mut sorting);
        sorting.outcome()
    }

    /// What the batch changes, taken out.
    pub fn take_changes(&mut self) -> Changes {
        let kept = &mut self.kept;
        let mut changes = Changes {
            templates: kept.templates.drain().map(|(_, template)| template).collect(),
            settled: std::mem::take(&mut kept.settled),
            parked: Vec::new(),
        };
        if kept.touched.is_empty() {
            return changes;
        }
        let mut ordinals: FxHashMap<u64, i32> = FxHashMap::default();
        for (exporter, set) in self.exporters.parked() {
            let tag = set.origin.tag;
            let Some(waiting) = kept.waiting.get(&tag).filter(|_| kept.touched.contains(&tag)) else {
                continue;
            };
            let ordinal = ordinals.entry(tag).or_insert(0);
            changes.parked.push(row(waiting, exporter, set, *ordinal));
            *ordinal += 1;
        }
        for tag in kept.touched.drain() {
            if let Some(waiting) = kept.waiting.get_mut(&tag)
                && std::mem::replace(&mut waiting.is_stored, true)
            {
                changes.settled.push(waiting.place);
            }
        }
        changes
    }
}

fn row(waiting: &Waiting, exporter: IpAddr, set: &netflow::ParkedSet, ordinal: i32) -> ParkedSet {
    ParkedSet {
        place: waiting.place,
        ordinal,
        exporter,
        received_ns: set.origin.received_ns,
        next_index: waiting.next_index,
        state: waiting.counted.bits(),
        version: number(set.header.version),
        domain: set.header.domain,
        export_s: set.header.export_s,
        uptime_ms: set.header.uptime_ms,
        sequence: set.header.sequence,
        id: set.id,
        octets: set.octets.to_vec(),
    }
}

fn number(version: Version) -> i16 {
    match version {
        Version::V9 => 9,
        Version::Ipfix => 10,
    }
}

fn version(number: i16) -> Option<Version> {
    match number {
        9 => Some(Version::V9),
        10 => Some(Version::Ipfix),
        _ => None,
    }
}
