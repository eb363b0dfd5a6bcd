//! The loop of one worker, ownership of streams, and the one recovery path.
//!
//! Whatever goes wrong with the database, the fence or the dead letters ends in the same way: everything that is not
//! committed is thrown away, the positions are read from the database again, and the bus is read from there. A crash of
//! the process, or another owner of the streams, is the same case seen from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bus::{BusError, FrameReceiver, Handler, Loss, Ownership, Stream};
use crossbeam::channel::RecvTimeoutError;
use daemon::repeat::Repeat;
use daemon::signals::Signals;
use store::ingest::StreamState;

use crate::assemble::Assembler;
use crate::metrics::{Metrics, WorkerGauges};
use crate::pipeline::{Pipeline, Report};

/// Batches that are handed over and not committed; with so many, no more frames are taken. Two are being copied, the
/// third waits, so that a connection finds work as soon as it is free.
const IN_FLIGHT_MAX: usize = 3;
/// Longest wait for frames, so that reports and signals are seen.
const POLL_MAX: Duration = Duration::from_millis(50);
/// Waits for the database longer than this keep polling the bus, paused.
const POLL_PAUSE: Duration = Duration::from_secs(2);
/// A batch that is not committed by then is given up and repeated from the database's position.
const COMMIT_PATIENCE: Duration = Duration::from_mins(2);
/// Time to finish what is begun before streams go to another worker …
const REVOKE_WAIT: Duration = Duration::from_secs(5);
/// … and before the process ends.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Waits before a recovery, when the one before it led to no commit.
const RECOVERY_WAIT_MIN: Duration = Duration::from_millis(100);
const RECOVERY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Monitors need positions no more often.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
const BUS_ERROR_WAIT: Duration = Duration::from_millis(500);
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// A worker; [`Self::run`] is its thread's work.
pub struct Worker<R> {
    number: usize,
    receiver: R,
    core: Core,
    signals: Signals,
    paused: bool,
    unpublished: Vec<(Stream, i64)>,
    published: Instant,
    bus_said: Repeat,
}

/// What the receiver's events change.
struct Core {
    number: usize,
    assembler: Assembler,
    pipeline: Pipeline,
    metrics: Arc<Metrics>,
    owned: Vec<Stream>,
    phase: Phase,
    epoch: u64,
    /// Batches of this epoch without a report.
    in_flight: usize,
    /// Since when nothing was committed although something is in flight.
    waiting_since: Instant,
    /// Why this epoch cannot go on.
    trouble: Option<String>,
    recovery_wait: Duration,
    committed: Vec<(Stream, i64)>,
    said: Repeat,
}

#[derive(Debug)]
enum Phase {
    /// Owns nothing, or has given up and not begun again.
    Idle,
    /// Waits a while after a recovery that did not help.
    Resting {
        until: Instant,
    },
    /// The database is being asked for the positions.
    Opening,
    /// The positions are known, the bus is not told yet.
    Opened(Vec<(Stream, i64)>),
    Running,
}

impl<R: FrameReceiver> Worker<R> {
    pub fn new(
        number: usize,
        receiver: R,
        assembler: Assembler,
        pipeline: Pipeline,
        metrics: Arc<Metrics>,
        signals: Signals,
    ) -> Self {
        let core = Core {
            number,
            assembler,
            pipeline,
            metrics,
            owned: Vec::new(),
            phase: Phase::Idle,
            epoch: 0,
            in_flight: 0,
            waiting_since: Instant::now(),
            trouble: None,
            recovery_wait: Duration::ZERO,
            committed: Vec::new(),
            said: Repeat::every(SAY_AGAIN),
        };
        Self {
            number,
            receiver,
            core,
            signals,
            paused: false,
            unpublished: Vec::new(),
            published: Instant::now(),
            bus_said: Repeat::every(SAY_AGAIN),
        }
    }

    /// Works until the signals say stop; then finishes the open batch and leaves the group.
    ///
    /// # Errors
    /// If the bus refuses this consumer for good.
    pub fn run(mut self) -> Result<(), BusError> {
        let outcome = loop {
            if self.signals.stopping() {
                break Ok(());
            }
            if let Err(error) = self.step() {
                if matches!(error, BusError::Refused(_)) {
                    break Err(error);
                }
                if self.bus_said.due() {
                    tracing::warn!("worker {}: {error}; keeps trying", self.number);
                }
                std::thread::sleep(BUS_ERROR_WAIT);
            }
        };
        self.core.finish(STOP_WAIT);
        self.publish(true);
        self.receiver.close();
        outcome
    }

    fn step(&mut self) -> Result<(), BusError> {
        self.core.take_reports();
        self.core.go_on();
        if let Phase::Opened(positions) = &self.core.phase {
            self.receiver.start(positions)?;
            self.core.phase = Phase::Running;
            self.paused = false;
        }
        let running = matches!(self.core.phase, Phase::Running);
        // Short waits for the database happen here, without frames: they are the usual state under load.
        if running && self.core.in_flight >= IN_FLIGHT_MAX && !self.paused {
            self.core.wait_for_room(POLL_PAUSE);
        }
        self.set_paused(!running || self.core.in_flight >= IN_FLIGHT_MAX || self.core.trouble.is_some())?;
        let wait = self
            .core
            .assembler
            .due_in()
            .map_or(POLL_MAX, |due| due.min(POLL_MAX));
        self.receiver.poll(wait, &mut self.core)?;
        if self.core.assembler.due_in().is_some_and(|due| due.is_zero())
            && self.core.in_flight < IN_FLIGHT_MAX
        {
            self.core.seal();
        }
        self.publish(false);
        Ok(())
    }

    fn set_paused(&mut self, paused: bool) -> Result<(), BusError> {
        if self.paused != paused {
            self.receiver.pause(paused)?;
            self.paused = paused;
        }
        Ok(())
    }

    fn publish(&mut self, now: bool) {
        self.unpublished.append(&mut self.core.committed);
        let due = now || self.published.elapsed() >= PUBLISH_EVERY;
        if due || self.receiver.publishes_every_commit() {
            self.publish_positions();
        }
        if !due {
            return;
        }
        self.published = Instant::now();
        let gauges = self.core.gauges();
        gauges
            .behind_frames
            .store(self.receiver.behind(), Ordering::Relaxed);
        gauges
            .streams
            .store(self.core.owned.len() as u64, Ordering::Relaxed);
    }

    fn publish_positions(&mut self) {
        // The last position of each stream counts.
        let mut latest: Vec<(Stream, i64)> = Vec::new();
        for (stream, next) in self.unpublished.drain(..).rev() {
            if !latest.iter().any(|(known, _)| *known == stream) {
                latest.push((stream, next));
            }
        }
        if !latest.is_empty() {
            self.receiver.publish_positions(&latest);
        }
    }
}

impl Core {
    fn gauges(&self) -> &WorkerGauges {
        &self.metrics.workers[self.number]
    }

    fn take_reports(&mut self) {
        while let Ok(report) = self.pipeline.reports().try_recv() {
            self.take_report(report);
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Committed { epoch, tally, next } => {
                // Also of an epoch that was given up: it is in the database.
                self.metrics.committed(&tally);
                self.committed.extend(next);
                if epoch == self.epoch {
                    self.in_flight -= 1;
                    self.waiting_since = Instant::now();
                    self.recovery_wait = Duration::ZERO;
                    self.said.over();
                }
            }
            Report::Opened { epoch, states, flow } if epoch == self.epoch => self.opened(&states, &flow),
            Report::Failed { epoch, fenced, error } if epoch == self.epoch => {
                self.metrics
                    .fenced
                    .fetch_add(u64::from(fenced), Ordering::Relaxed);
                self.trouble.get_or_insert(error);
            }
            Report::Opened { .. } | Report::Failed { .. } => {}
        }
    }

    fn opened(&mut self, states: &[(Stream, StreamState)], flow: &store::flow::State) {
        self.assembler.start(states, flow);
        let positions = states
            .iter()
            .map(|(stream, state)| (*stream, state.next_offset))
            .collect();
        self.phase = Phase::Opened(positions);
    }

    /// Begins a new epoch: what was not committed is thrown away, the positions come from the database.
    fn open(&mut self) {
        self.assembler.stop();
        self.in_flight = 0;
        self.trouble = None;
        self.epoch = self.pipeline.open(self.owned.clone());
        self.phase = if self.owned.is_empty() {
            Phase::Idle
        } else {
            Phase::Opening
        };
    }

    /// The recovery path, and what it waits for.
    fn go_on(&mut self) {
        if self.in_flight > 0 && self.waiting_since.elapsed() > COMMIT_PATIENCE {
            self.trouble
                .get_or_insert_with(|| format!("nothing committed for {COMMIT_PATIENCE:?}"));
        }
        if let Some(trouble) = self.trouble.take() {
            self.metrics.recoveries.fetch_add(1, Ordering::Relaxed);
            if self.said.due() {
                tracing::warn!(
                    "worker {}: {trouble}; goes back to the position in the database and repeats from there",
                    self.number
                );
            }
            let until = Instant::now() + self.recovery_wait;
            self.recovery_wait = (self.recovery_wait * 2).clamp(RECOVERY_WAIT_MIN, RECOVERY_WAIT_MAX);
            self.assembler.stop();
            self.in_flight = 0;
            // Cuts off what is under way.
            self.epoch = self.pipeline.open(Vec::new());
            self.phase = Phase::Resting { until };
        }
        if matches!(self.phase, Phase::Resting { until } if Instant::now() >= until) {
            self.open();
        }
    }

    fn seal(&mut self) {
        match self.assembler.seal() {
            Ok(Some(sealed)) => {
                if self.in_flight == 0 {
                    self.waiting_since = Instant::now();
                }
                self.in_flight += 1;
                self.metrics.measured(&sealed.clocks);
                self.pipeline.write(self.epoch, sealed);
            }
            Ok(None) => {}
            Err(error) => {
                self.trouble.get_or_insert(error.to_string());
            }
        }
    }

    /// Waits until another batch may be handed over, or something failed.
    fn wait_for_room(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        while self.in_flight >= IN_FLIGHT_MAX && self.trouble.is_none() && self.wait_for_report(deadline) {}
    }

    /// False: the time is up.
    fn wait_for_report(&mut self, deadline: Instant) -> bool {
        match self.pipeline.reports().recv_deadline(deadline) {
            Ok(report) => {
                self.take_report(report);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Commits what is begun, as far as `wait` allows. What is not committed then is cut off; its next owner repeats it.
    fn finish(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        if matches!(self.phase, Phase::Running) && self.trouble.is_none() {
            self.seal();
            while self.in_flight > 0 && self.trouble.is_none() && self.wait_for_report(deadline) {}
            if self.in_flight > 0 || self.trouble.is_some() {
                tracing::warn!(
                    "worker {}: {} batches were not committed in time ({}); the next owner of the streams repeats them",
                    self.number,
                    self.in_flight,
                    self.trouble.as_deref().unwrap_or("the database is slow")
                );
            }
        }
        self.owned.clear();
        self.open();
    }
}

impl Handler for Core {
    fn frame(&mut self, stream: Stream, offset: i64, record: &[u8]) {
        if self.trouble.is_some() || !matches!(self.phase, Phase::Running) {
            return;
        }
        if let Err(error) = self.assembler.frame(stream, offset, record) {
            self.trouble.get_or_insert(error.to_string());
        } else if self.assembler.is_full() {
            self.seal();
        }
    }

    fn ownership(&mut self, change: Ownership) {
        match change {
            Ownership::Assigned(streams) => {
                tracing::info!("worker {}: owns {} streams", self.number, streams.len());
                self.owned = streams;
                self.open();
            }
            Ownership::Revoked(_) => self.finish(REVOKE_WAIT),
        }
    }

    fn lost(&mut self, stream: Stream, missing: std::ops::Range<i64>, why: Loss) {
        let frames = (missing.end - missing.start) as u64;
        self.metrics.lost_frames[why as usize].fetch_add(frames, Ordering::Relaxed);
        let (first, last) = (missing.start, missing.end - 1);
        match why {
            Loss::Retention => tracing::error!(
                "{frames} frames are LOST: offsets {first} to {last} of {stream} were dropped by the bus before they were read; \
                 give the bus a longer retention or the consumer more cores"
            ),
            Loss::Damaged => tracing::error!(
                "{frames} frames are LOST: offsets {first} to {last} of {stream} are damaged on the disk; \
                 `natrail log verify` says what else is"
            ),
        }
    }
}
