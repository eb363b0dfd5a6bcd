//! Frames to batches: decoding, dead letters, limits.
//!
//! A frame is the unit: it goes into one batch whole, and positions move by whole frames.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bus::{BusError, DeadLetter, DeadLetterSender, Stream};
use daemon::repeat::Repeat;
use decode::{DecodeError, Outcome};
use event::columns::{Origin, PlausibleTime};
use event::{Batch, Event};
use store::clock::Reading;
use store::ingest::{Advance, EncodedBatch, Encoder, StreamState};
use wire::frame::{Datagram, Frame, FrameError, PayloadKind};

use crate::flow::Flows;
use crate::ledger::Ledger;
use crate::metrics::{BAD_FRAMES, Tally, bad_frame_index};
use crate::profiles::Profiles;
use crate::sources::{Arrival, Sources};

/// Frames of one batch; a batch of dead letters or ignored messages has no rows that would limit it.
const BATCH_FRAMES_MAX: u64 = 4096;
/// Octets of the frames of one batch.
const BATCH_BYTES_MAX: usize = 128 << 20;
/// How long dead letters may wait for room in the bus's queue, and for their acknowledgement.
const DEAD_LETTER_WAIT: Duration = Duration::from_secs(10);
const SAY_AGAIN: Duration = Duration::from_secs(10);
const READ_CLOCKS_EVERY: Duration = Duration::from_secs(2);

/// When a batch is written.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub rows: usize,
    /// Counted from the batch's first frame.
    pub age: Duration,
}

/// A batch that is ready to be written.
#[derive(Debug)]
pub struct Sealed {
    pub encoded: EncodedBatch,
    pub tally: Tally,
    /// Where its streams are once it is committed.
    pub next: Vec<(Stream, i64)>,
    /// What is new of the exporters' clocks, every few seconds. No part of what is exactly once.
    pub clocks: Vec<Reading>,
}

/// Fills batches.
pub struct Assembler {
    profiles: Profiles,
    limits: Limits,
    batch: Batch,
    encoder: Encoder,
    letters: Box<dyn DeadLetterSender>,
    /// Streams that are being read.
    places: HashMap<Stream, Place>,
    open: Open,
    ledger: Ledger,
    flows: Flows,
    missing_said: Repeat,
    repeats_said: Repeat,
    clocks_read: Option<Instant>,
}

/// Where a stream is.
#[derive(Debug)]
struct Place {
    id: i32,
    /// After the batches that were sealed so far; -1 before the first frame ever.
    sealed: i64,
    /// What the open batch adds.
    step: Option<Advance>,
    /// With the open batch's frames.
    sources: Sources,
}

/// What the open batch holds beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Open {
    since: Option<Instant>,
    bytes: usize,
    letters: bool,
    pub tally: Tally,
}

impl Assembler {
    pub fn new(
        profiles: Profiles,
        limits: Limits,
        plausible: PlausibleTime,
        letters: Box<dyn DeadLetterSender>,
    ) -> Self {
        Self {
            profiles,
            limits,
            batch: Batch::new(plausible),
            encoder: Encoder::new(),
            letters,
            places: HashMap::new(),
            open: Open::default(),
            ledger: Ledger::new(Repeat::every(SAY_AGAIN)),
            flows: Flows::default(),
            missing_said: Repeat::every(SAY_AGAIN),
            repeats_said: Repeat::every(SAY_AGAIN),
            clocks_read: None,
        }
    }

    /// Forgets everything that was not sealed, and goes on at the database's positions, with what it has of sources and
    /// exporters.
    pub fn start(&mut self, states: &[(Stream, StreamState)], flow: &store::flow::State) {
        self.stop();
        self.flows = Flows::restore(flow, states);
        self.places = states
            .iter()
            .map(|(stream, state)| {
                (
                    *stream,
                    Place {
                        id: state.id,
                        sealed: state.next_offset,
                        step: None,
                        sources: Sources::restore(&state.sources),
                    },
                )
            })
            .collect();
    }

    /// Forgets everything that was not sealed; frames are passed over until [`Self::start`].
    pub fn stop(&mut self) {
        self.places.clear();
        self.batch.clear();
        self.ledger.clear();
        self.flows = Flows::default();
        self.open = Open::default();
    }

    /// Whether nothing more should go into this batch.
    pub fn is_full(&self) -> bool {
        self.batch.rows() >= self.limits.rows
            || self.open.tally.frames >= BATCH_FRAMES_MAX
            || self.open.bytes >= BATCH_BYTES_MAX
            || self.ledger.is_full()
    }

    /// Time until the open batch is due; `None` without one.
    pub fn due_in(&self) -> Option<Duration> {
        self.open
            .since
            .map(|since| self.limits.age.saturating_sub(since.elapsed()))
    }

    /// Takes a frame whole, or not at all if it came before. Records that are no frame, and datagrams that cannot be decoded,
    /// become dead letters.
    ///
    /// # Errors
    /// If the bus takes no dead letters: the batch must be thrown away.
    pub fn frame(&mut self, stream: Stream, offset: i64, record: &[u8]) -> Result<(), BusError> {
        let Some(place) = self.places.get_mut(&stream) else {
            return Ok(());
        };
        self.open.since.get_or_insert_with(Instant::now);
        self.open.bytes += record.len();
        self.open.tally.frames += 1;
        let step = place.step.get_or_insert(Advance {
            stream: place.id,
            expected: place.sealed,
            next: place.sealed,
            ..Advance::default()
        });
        debug_assert!(offset >= step.next, "a stream's offsets grow");
        step.next = offset + 1;
        step.frames += 1;
        let mut filling = Filling {
            stream,
            offset,
            next_event: 0,
            step,
            profiles: &mut self.profiles,
            batch: &mut self.batch,
            letters: &mut *self.letters,
            open: &mut self.open,
            ledger: &mut self.ledger,
            missing_said: &self.missing_said,
            repeats_said: &self.repeats_said,
        };
        match Frame::open(record) {
            Ok(frame) => {
                let arrival = place.sources.arrive(frame.source(), frame.sequence());
                if !filling.is_new(arrival, &frame) {
                    return Ok(());
                }
                if frame.kind() == PayloadKind::Ledger {
                    frame.datagrams().for_each(|page| filling.ledger.page(&page));
                    return Ok(());
                }
                let is_flow = frame.kind() == PayloadKind::Netflow;
                if is_flow {
                    self.flows.give_up_old(&mut filling, frame.opened_ns())?;
                }
                for (index, datagram) in frame.datagrams().enumerate() {
                    if is_flow && !datagram.truncated {
                        self.flows.datagram(&mut filling, index as u32, &datagram)?;
                    } else {
                        filling.datagram(frame.kind(), index as u32, &datagram)?;
                    }
                }
                Ok(())
            }
            Err(error) => filling.bad_frame(error, record),
        }
    }

    /// Encodes the open batch, after its dead letters were acknowledged. `None` if there is none.
    ///
    /// # Errors
    /// If dead letters are not acknowledged: the batch must be thrown away, or they might be lost.
    pub fn seal(&mut self) -> Result<Option<Sealed>, BusError> {
        if self.open.since.is_none() {
            return Ok(None);
        }
        if self.open.letters {
            self.letters.flush(DEAD_LETTER_WAIT)?;
        }
        let mut advances = Vec::new();
        let mut next = Vec::new();
        for (&stream, place) in &mut self.places {
            if let Some(mut step) = place.step.take() {
                (step.sources, step.forgotten) = place.sources.take_changes();
                place.sealed = step.next;
                next.push((stream, step.next));
                advances.push(step);
            }
        }
        self.ledger.rows(&self.batch);
        let encoded = self
            .encoder
            .encode(&self.batch, advances)
            .with_ledger(self.ledger.take_changes())
            .with_flow(self.flows.take_changes());
        let tally = std::mem::take(&mut self.open).tally;
        debug_assert_eq!(tally.rows(), self.batch.rows() as u64);
        self.batch.clear();
        Ok(Some(Sealed {
            encoded,
            tally,
            next,
            clocks: self.new_clocks(),
        }))
    }

    fn new_clocks(&mut self) -> Vec<Reading> {
        if self
            .clocks_read
            .is_some_and(|read| read.elapsed() < READ_CLOCKS_EVERY)
        {
            return Vec::new();
        }
        self.clocks_read = Some(Instant::now());
        self.profiles.take_readings()
    }
}

/// One frame on its way into the open batch.
pub(crate) struct Filling<'a> {
    pub stream: Stream,
    pub offset: i64,
    pub next_event: i32,
    pub step: &'a mut Advance,
    pub profiles: &'a mut Profiles,
    pub batch: &'a mut Batch,
    letters: &'a mut dyn DeadLetterSender,
    pub open: &'a mut Open,
    pub ledger: &'a mut Ledger,
    missing_said: &'a Repeat,
    repeats_said: &'a Repeat,
}

impl Filling<'_> {
    /// Counts what its number tells of a frame, and says it. False: nothing of it may be stored.
    fn is_new(&mut self, arrival: Arrival, frame: &Frame<'_>) -> bool {
        let Stream { topic, partition } = self.stream;
        let (topic, offset) = (topic.name(), self.offset);
        let (source, sequence) = (frame.source(), frame.sequence());
        match arrival {
            Arrival::New { missing: 0 } => true,
            Arrival::New { missing } => {
                self.step.missing_frames = self
                    .step
                    .missing_frames
                    .saturating_add(i64::try_from(missing).unwrap_or(i64::MAX));
                self.open.tally.missing_frames = self.open.tally.missing_frames.saturating_add(missing);
                let counts = self.ledger.of_nobody(frame.opened_ns());
                counts.missing_frames = counts.missing_frames.saturating_add(missing);
                if self.missing_said.due() {
                    tracing::error!(
                        "{missing} frames are MISSING before offset {offset} of {topic} partition {partition}: source \
                         {source:016x} numbered them {} to {}, and they never came; the total is in \
                         natrail_consumer_missing_frames_total",
                        sequence - missing,
                        sequence - 1
                    );
                }
                true
            }
            Arrival::Repeat => {
                self.step.duplicate_frames += 1;
                if frame.kind() != PayloadKind::Ledger {
                    self.ledger.of_nobody(frame.opened_ns()).repeated += u64::from(frame.count());
                }
                self.open.tally.duplicate_frames += 1;
                if self.repeats_said.due() {
                    tracing::info!(
                        "the frame at offset {offset} of {topic} partition {partition} came before (number {sequence} of source \
                         {source:016x}), it is not stored again; the total is in natrail_consumer_duplicate_frames_total"
                    );
                }
                false
            }
        }
    }

    fn datagram(&mut self, kind: PayloadKind, index: u32, datagram: &Datagram<'_>) -> Result<(), BusError> {
        self.step.datagrams += 1;
        self.open.tally.datagrams += 1;
        let outcome = self.decode(kind, datagram);
        let counts = self.ledger.of(datagram.exporter, datagram.received_ns);
        counts.taken += 1;
        match outcome {
            Ok(Outcome::Events(events)) => {
                counts.stored += 1;
                counts.events += u64::from(events);
                Ok(())
            }
            Ok(Outcome::Ignored(reason)) => {
                counts.ignored += 1;
                self.step.ignored += 1;
                self.open.tally.ignored[reason as usize] += 1;
                Ok(())
            }
            Ok(Outcome::Partly { events, error }) => {
                // Its events are stored: the dead letter is beside them.
                counts.stored += 1;
                counts.events += u64::from(events);
                self.step.partly += 1;
                self.open.tally.partly += 1;
                self.undecoded(index, datagram, error, error.name())
            }
            Err(reason) => {
                counts.dead_letters += 1;
                self.undecoded(index, datagram, reason, reason.name())
            }
        }
    }

    /// A datagram that cannot be decoded, or not all of it. `reason` begins with the error's name.
    pub(crate) fn undecoded(
        &mut self,
        index: u32,
        datagram: &Datagram<'_>,
        error: DecodeError,
        reason: &str,
    ) -> Result<(), BusError> {
        self.step.dead_letters += 1;
        self.open.tally.dead_letters[error as usize] += 1;
        self.letter(&DeadLetter {
            stream: self.stream,
            offset: self.offset,
            index,
            exporter: datagram.exporter,
            received_ns: datagram.received_ns,
            reason,
            payload: datagram.payload,
        })
    }

    fn decode(&mut self, kind: PayloadKind, datagram: &Datagram<'_>) -> Result<Outcome, DecodeError> {
        if datagram.truncated {
            return Err(DecodeError::TruncatedOnReceive);
        }
        if kind != PayloadKind::Syslog {
            return Err(DecodeError::NoDecoder);
        }
        let received_ns = i64::try_from(datagram.received_ns).unwrap_or(i64::MAX);
        let (exporter, clock) = self.profiles.of(datagram.exporter);
        let mut device_ns = None;
        let sink = |event: &Event<'_>| {
            device_ns = device_ns.or(event.time_ns);
            let origin = Origin {
                stream: self.step.stream,
                offset: self.offset,
                index: self.next_event,
            };
            self.batch.push(event, datagram.exporter, received_ns, origin);
            self.next_event += 1;
            self.step.events += 1;
            self.open.tally.events[event.kind as usize] += 1;
        };
        let outcome = exporter.decode(datagram.payload, received_ns, sink);
        if let Some(device_ns) = device_ns {
            clock.sample(device_ns, received_ns);
        }
        outcome
    }

    fn bad_frame(&mut self, error: FrameError, record: &[u8]) -> Result<(), BusError> {
        let Stream { topic, partition } = self.stream;
        tracing::error!(
            "record at offset {} of {} partition {partition} is no frame ({error}); it goes to the dead letters",
            self.offset,
            topic.name()
        );
        self.step.bad_frames += 1;
        self.open.tally.bad_frames[bad_frame_index(error)] += 1;
        self.letter(&DeadLetter {
            stream: self.stream,
            offset: self.offset,
            index: 0,
            // Who sent it stands in what cannot be read.
            exporter: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            received_ns: 0,
            reason: BAD_FRAMES[bad_frame_index(error)],
            payload: record,
        })
    }

    pub(crate) fn letter(&mut self, letter: &DeadLetter<'_>) -> Result<(), BusError> {
        self.open.letters = true;
        self.letters.send(letter, DEAD_LETTER_WAIT)
    }
}
