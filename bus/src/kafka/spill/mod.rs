//! Frames out to Kafka, with the frame log behind it: what Kafka does not take goes to the disk, and from there to Kafka
//! later, in order.
//!
//! A stream is *direct* while Kafka keeps up. Once it does not (its memory is full, nothing was acknowledged for a while, its
//! topics are not there yet), frames of the stream go to the disk, and none goes to Kafka but from there, until all of it is
//! acknowledged. So the order of a stream is that of its frames, whatever happens:
//! frames that went to Kafka directly are older than any on the disk.
//!
//! Frames whose acknowledgement is lost are sent again, by this process or the next one. Kafka may then have them twice; the
//! consumer knows them by source and sequence.
//!
//! - [`lane`]: one stream: what is under way, what failed, what is on the disk;
//! - [`replay`]: the thread that gives the disk's frames to Kafka.

mod lane;
mod replay;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemon::repeat::Repeat;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext, Message};

use super::client::{Link, Names, is_final, producer_settings, refused};
use super::gate::Gate;
use crate::counters::{Amount, Counters};
use crate::log::directory::Root;
use crate::log::sender::in_use;
use crate::log::writer::{Bounds, LogWriter, WriteError};
use crate::{BusError, FrameSender, GivenUp, GivenUpBy, LogCounts, QueueFull, SendCounts, Stream};
use lane::{From, Lane};

/// How often a lasting fault of the disk is said again.
const SAY_AGAIN: Duration = Duration::from_mins(1);
/// How long a producer may take to give back what it could not deliver.
const GIVE_BACK: Duration = Duration::from_secs(30);
/// Longest wait of one look while flushing.
const LOOK: Duration = Duration::from_millis(20);

/// A sender to Kafka with a spill.
pub struct SpillSender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A sender for the configured Kafka, with a spill below `bus.log.directory`, for these streams. Returns at once: frames that
/// are on the disk from before are given to Kafka when it answers.
///
/// # Errors
/// [`BusError::Refused`] if librdkafka does not take the configuration, or another process writes the same spill.
pub fn connect_spill_sender(bus: &config::Bus, streams: &[Stream]) -> Result<SpillSender, BusError> {
    let shared = Arc::new(Shared::new(bus, streams)?);
    let producer = shared
        .make_producer()
        .map_err(|error| refused(bus, "a sender", &error))?;
    {
        let mut state = shared.lock();
        state.producer = Some(producer);
        shared.open_disk(&mut state)?;
        let waiting = state.writer.as_ref().map_or(0, |writer| {
            state.lanes.iter().map(|lane| lane.waiting(writer)).sum::<u64>()
        });
        tracing::info!(
            "frames go to Kafka at {}; what it does not take goes to the spill {} ({waiting} frames wait there)",
            bus.brokers,
            shared.root.path().display()
        );
    }
    let for_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("spill".into())
        .spawn(move || replay::run(&for_thread))
        .map_err(|error| BusError::Refused(format!("cannot start the spill's thread: {error}")))?;
    Ok(SpillSender {
        shared,
        thread: Some(thread),
    })
}

struct Shared {
    link: Link,
    gate: Gate,
    names: Names,
    settings: ClientConfig,
    root: Root,
    bounds: Bounds,
    sync: config::Sync,
    sync_interval: Duration,
    spill_after: Duration,
    replay_bytes_per_s: u64,
    places: HashMap<Stream, usize>,
    state: Mutex<State>,
    /// There is something for the thread to do.
    wake: Condvar,
    stop: AtomicBool,
    counters: Counters,
    /// Datagrams of frames that Kafka refused for good.
    refused: Mutex<GivenUp>,
    spilled_frames: AtomicU64,
    write_errors: AtomicU64,
    said: Repeat,
}

struct State {
    /// `None` while it is being replaced, and at the end.
    producer: Option<ThreadedProducer<Context>>,
    /// librdkafka has declared the producer dead.
    is_dead: bool,
    /// A dead producer is giving back its frames.
    is_giving_back: bool,
    /// The end: frames that come now go to the disk.
    is_closed: bool,
    /// Nothing is given to Kafka from the disk.
    is_paused: bool,
    writer: Option<LogWriter>,
    lanes: Vec<Lane>,
    /// When Kafka last acknowledged something, or had nothing to acknowledge.
    progress: Instant,
    unsynced: bool,
}

/// What a frame is known by while it is with librdkafka.
#[derive(Clone, Copy, Debug)]
struct Tag {
    place: usize,
    /// Position in the order of its lane.
    ticket: u64,
}

impl Shared {
    fn new(bus: &config::Bus, streams: &[Stream]) -> Result<Self, BusError> {
        Ok(Self {
            link: Link::new(bus, "sending frames"),
            gate: Gate::start(bus)?,
            names: Names::of_frames(bus),
            settings: producer_settings(bus, "natrail-collector", u64::from(bus.queue_mib) * 1024),
            root: Root::of_spill(&bus.log),
            bounds: Bounds::new(&bus.log),
            sync: bus.log.sync,
            sync_interval: Duration::from_millis(bus.log.sync_interval_ms),
            spill_after: Duration::from_millis(bus.log.spill_after_ms),
            replay_bytes_per_s: u64::from(bus.log.replay_mib_per_s) << 20,
            places: streams.iter().copied().zip(0..).collect(),
            state: Mutex::new(State {
                producer: None,
                is_dead: false,
                is_giving_back: false,
                is_closed: false,
                is_paused: false,
                writer: None,
                lanes: streams.iter().map(|stream| Lane::new(*stream)).collect(),
                progress: Instant::now(),
                unsynced: false,
            }),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            counters: Counters::default(),
            refused: Mutex::default(),
            spilled_frames: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            said: Repeat::every(SAY_AGAIN),
        })
    }

    fn refused(&self) -> MutexGuard<'_, GivenUp> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_producer(self: &Arc<Self>) -> Result<ThreadedProducer<Context>, KafkaError> {
        self.settings.create_with_context(Context(Arc::clone(self)))
    }

    /// Opens the spill, and finds what is in it from before. A disk that cannot be used is said, and tried again.
    fn open_disk(&self, state: &mut State) -> Result<(), BusError> {
        match self.try_open_disk(state) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(in_use(&self.root)),
            Err(error) => {
                self.complain(&error.into());
                Ok(())
            }
        }
    }

    fn try_open_disk(&self, state: &mut State) -> io::Result<()> {
        if state.writer.is_some() {
            return Ok(());
        }
        let mut writer = LogWriter::open(self.root.clone(), self.bounds)?;
        for lane in &mut state.lanes {
            writer.add(lane.stream())?;
            lane.open(&self.root, &writer)?;
        }
        // Frames of streams that this configuration does not have would never be sent.
        for stream in self.root.streams()? {
            if !self.places.contains_key(&stream) {
                tracing::warn!(
                    "spill {}: has a stream {stream}, for which nothing is received now; its frames stay there until a collector \
                     with a listener of that kind and as many partitions starts",
                    self.root.path().display()
                );
            }
        }
        state.writer = Some(writer);
        Ok(())
    }

    fn complain(&self, error: &WriteError) {
        self.write_errors.fetch_add(1, Ordering::Relaxed);
        if !self.said.due() {
            return;
        }
        let path = self.root.path().display();
        match error {
            WriteError::Io(error) => tracing::error!(
                "spill {path} cannot be used: {error}; frames that Kafka does not take are kept in memory only (bus.queue_mib), and \
                 dropped beyond"
            ),
            WriteError::Full(reason) => tracing::error!(
                "spill {path} is full ({reason:?}) and Kafka takes nothing: what comes now is dropped (bus.log.when_full)"
            ),
        }
    }

    /// Gives a frame to librdkafka. False: it has no room, or there is no producer now.
    fn offer(&self, state: &mut State, place: usize, from: From, frame: &[u8], datagrams: u32) -> bool {
        let stream = state.lanes[place].stream();
        let Some(producer) = &state.producer else {
            return false;
        };
        if state.is_dead {
            return false;
        }
        let ticket = state.lanes[place].next_ticket(from);
        let record = BaseRecord::<(), [u8], Box<Tag>>::with_opaque_to(
            self.names.name(stream.topic),
            Box::new(Tag { place, ticket }),
        )
        .partition(stream.partition)
        .payload(frame);
        let idle = state.lanes.iter().all(Lane::is_idle);
        match producer.send(record) {
            Ok(()) => {
                if idle {
                    state.progress = Instant::now();
                }
                state.lanes[place].sent(ticket, from, datagrams);
                true
            }
            Err((error, _)) => {
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => {}
                    Some(RDKafkaErrorCode::Fatal) => {
                        state.is_dead = true;
                        self.wake.notify_one();
                    }
                    _ => self.give_up(&error, frame, datagrams),
                }
                // What Kafka refuses for good is counted, and not offered again.
                let gone = !matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::Fatal)
                );
                if gone {
                    state.lanes[place].passed_over(from);
                }
                gone
            }
        }
    }

    fn give_up(&self, error: &KafkaError, frame: &[u8], datagrams: u32) {
        self.refused().add_frame(frame, datagrams.into());
        self.counters.failed(1, datagrams.into());
        self.link.complain(format_args!(
            "refused a frame of {datagrams} datagrams, which is lost: {error}"
        ));
    }

    /// Writes a frame to the disk, behind all others of its stream. False: the disk does not take it either.
    fn spill(&self, state: &mut State, place: usize, frame: &[u8], datagrams: u32) -> bool {
        let written = self.try_spill(state, place, frame, datagrams);
        match written {
            Ok(()) => {
                self.spilled_frames.fetch_add(1, Ordering::Relaxed);
                state.unsynced = true;
                if self.said.over() {
                    tracing::info!("spill {} takes frames again", self.root.path().display());
                }
                self.wake.notify_one();
                true
            }
            Err(error) => {
                self.complain(&error);
                false
            }
        }
    }

    fn try_spill(
        &self,
        state: &mut State,
        place: usize,
        frame: &[u8],
        datagrams: u32,
    ) -> Result<(), WriteError> {
        self.try_open_disk(state)?;
        let State { writer, lanes, .. } = state;
        let Some(writer) = writer else { return Ok(()) };
        lanes[place].begin_backlog(&self.root, writer)?;
        writer.append(lanes[place].stream(), datagrams, frame)?;
        Ok(())
    }

    /// Whether Kafka has acknowledged nothing for too long.
    fn is_stalled(&self, state: &State) -> bool {
        !state.lanes.iter().all(Lane::is_idle) && state.progress.elapsed() > self.spill_after
    }

    /// Puts on the disk what Kafka has not acknowledged. False: the disk did not take all of it.
    fn keep_on_disk(&self) -> bool {
        let producer = {
            let mut state = self.lock();
            state.is_closed = true;
            while state.is_giving_back {
                drop(state);
                std::thread::sleep(LOOK);
                state = self.lock();
            }
            state.producer.take()
        };
        if let Some(producer) = producer {
            take_back(producer);
        }
        let mut state = self.lock();
        if let Err(error) = self.try_open_disk(&mut state) {
            self.complain(&error.into());
        }
        let State { writer, lanes, .. } = &mut *state;
        let Some(writer) = writer else {
            return lanes.iter().all(Lane::is_idle);
        };
        let mut kept = 0;
        for lane in lanes {
            if let Err(error) = lane.publish() {
                self.complain(&error.into());
            }
            match lane.keep(writer) {
                Ok(frames) => kept += frames,
                Err(error) => self.complain(&error),
            }
        }
        self.spilled_frames.fetch_add(kept, Ordering::Relaxed);
        state.unsynced = true;
        let all = state.lanes.iter().all(Lane::is_idle);
        drop(state);
        self.sync();
        all
    }

    fn sync(&self) {
        let (files, directories) = {
            let mut state = self.lock();
            if self.sync == config::Sync::None || !std::mem::take(&mut state.unsynced) {
                return;
            }
            match &mut state.writer {
                Some(writer) => writer.take_unsynced(),
                None => return,
            }
        };
        if let Err(error) = crate::log::sender::sync_all(&files, &directories) {
            self.complain(&error.into());
            if let Some(writer) = &mut self.lock().writer {
                writer.begin_anew();
            }
        }
    }
}

/// Takes everything back from librdkafka: what was not acknowledged is in its lane again, in order.
fn take_back(producer: ThreadedProducer<Context>) {
    producer.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = producer.flush(GIVE_BACK) {
        tracing::error!("librdkafka does not give back all frames: {error}; those are lost");
    }
    drop(producer);
}

impl FrameSender for SpillSender {
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let Some(&place) = shared.places.get(&stream) else {
            debug_assert!(false, "a stream that was not named: {stream}");
            return Err(QueueFull);
        };
        if state.lanes[place].is_held() && !state.is_closed {
            // For a moment, until all that is before it is acknowledged and the way is direct again.
            return Err(QueueFull);
        }
        let direct = !state.is_closed
            && shared.gate.is_open()
            && state.lanes[place].is_direct()
            && !shared.is_stalled(&state)
            && shared.offer(&mut state, place, From::Caller, frame, datagrams);
        if direct || shared.spill(&mut state, place, frame, datagrams) {
            return Ok(());
        }
        // The disk takes nothing: librdkafka's memory may still have room, if nothing on the disk is before it.
        let memory = !state.is_closed
            && shared.gate.is_open()
            && state.lanes[place].is_direct()
            && shared.offer(&mut state, place, From::Caller, frame, datagrams);
        if memory { Ok(()) } else { Err(QueueFull) }
    }

    /// What is on the disk stays there, and what a Kafka that does not answer holds up is put there: nothing of either
    /// is waited for.
    fn flush(&self, timeout: Duration) -> bool {
        let shared = &self.shared;
        let deadline = Instant::now() + timeout;
        loop {
            let mut state = shared.lock();
            // The disk's frames would keep it busy.
            state.is_paused = true;
            let idle = state.lanes.iter().all(Lane::is_idle);
            let hopeless = state.producer.is_none() || !shared.gate.is_open() || shared.is_stalled(&state);
            if idle || Instant::now() >= deadline {
                state.is_paused = false;
                return idle;
            }
            drop(state);
            if hopeless {
                return self.keep();
            }
            std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
        }
    }

    fn keep(&self) -> bool {
        self.shared.keep_on_disk()
    }

    fn counts(&self) -> SendCounts {
        let in_flight_frames = self.shared.lock().lanes.iter().map(Lane::under_way).sum();
        self.shared.counters.with_in_flight(in_flight_frames)
    }

    fn is_up(&self) -> bool {
        self.shared.gate.is_open() && self.shared.link.is_up()
    }

    fn refused(&self) -> Option<BusError> {
        self.shared.gate.refused()
    }

    fn log_counts(&self) -> Option<LogCounts> {
        let shared = &self.shared;
        let state = shared.lock();
        let mut counts = LogCounts {
            write_errors: shared.write_errors.load(Ordering::Relaxed),
            spilled_frames: shared.spilled_frames.load(Ordering::Relaxed),
            ..LogCounts::default()
        };
        if let Some(writer) = &state.writer {
            counts.of_writer(writer);
            counts.waiting_frames = state.lanes.iter().map(|lane| lane.waiting(writer)).sum();
        }
        Some(counts)
    }

    fn take_given_up(&self) -> GivenUpBy {
        let refused = std::mem::take(&mut *self.shared.refused());
        let log_full = match &mut self.shared.lock().writer {
            Some(writer) => writer.take_given_up(),
            None => GivenUp::default(),
        };
        GivenUpBy { refused, log_full }
    }
}

impl Drop for SpillSender {
    /// Without [`FrameSender::flush`], what librdkafka holds is lost, and counted nowhere: this is the end.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // The producer's context holds the shared state: without this neither would ever go.
        let producer = self.shared.lock().producer.take();
        drop(producer);
    }
}

#[derive(Clone)]
struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.link.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.link.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.link.statistics(&statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Tag>;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: Box<Tag>) {
        let shared = &self.0;
        let mut state = shared.lock();
        let lane = &mut state.lanes[tag.place];
        match result {
            Ok(message) => {
                shared.link.answered();
                let datagrams = lane.acknowledged(tag.ticket);
                shared
                    .counters
                    .acknowledged(Amount::frame(datagrams, message.payload_len()));
                state.progress = Instant::now();
                if !state.lanes[tag.place].is_direct() {
                    shared.wake.notify_one();
                }
            }
            Err((error, message)) if error.rdkafka_error_code().is_some_and(is_final) => {
                let datagrams = lane.acknowledged(tag.ticket);
                shared.give_up(error, message.payload().unwrap_or_default(), datagrams);
            }
            Err((_, message)) => {
                lane.came_back(tag.ticket, message.payload().unwrap_or_default());
                shared.wake.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
