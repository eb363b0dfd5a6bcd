//! The thread that gives closed frames to the bus and their buffers back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bus::{FrameSender, GivenUp};

use crate::counters::Cell;
use crate::error::StartError;
use crate::exchange::{ClosedFrame, Exchange};

/// How long the producer sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_millis(100);
/// How soon a frame that the bus refused is offered again.
const RETRY: Duration = Duration::from_millis(1);
/// How often waiting for the bus is said at the end.
const PROGRESS: Duration = Duration::from_secs(2);

/// What could not be delivered by the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Never taken by the bus.
    pub unsent_frames: u64,
    pub unsent_datagrams: u64,
    /// Taken, but not acknowledged in time.
    pub unacknowledged_frames: u64,
    /// Given up by the bus in the collector's life.
    pub failed_frames: u64,
}

impl Undelivered {
    /// Frames of all three kinds.
    pub fn frames(&self) -> u64 {
        self.unsent_frames + self.unacknowledged_frames + self.failed_frames
    }
}

/// Frames that the bus had not taken when it was time to give up.
#[derive(Debug, Default)]
struct Abandoned {
    frames: u64,
    datagrams: u64,
    by_minute: GivenUp,
}

impl Abandoned {
    fn add(&mut self, frame: &ClosedFrame) {
        self.frames += 1;
        self.datagrams += u64::from(frame.datagrams);
        self.by_minute.add_frame(frame.bytes(), frame.datagrams.into());
    }
}

/// The running producer thread.
pub struct Producer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    sender: Arc<dyn FrameSender>,
    exchanges: Vec<Arc<Exchange>>,
    /// Send what is there and end.
    finish: AtomicBool,
    /// End at once.
    give_up: AtomicBool,
    /// Frames that the bus did not take at the first attempt.
    stalls: Arc<Cell>,
    abandoned: Mutex<Abandoned>,
}

impl Producer {
    pub fn start(sender: Arc<dyn FrameSender>, exchanges: Vec<Arc<Exchange>>) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            sender,
            exchanges,
            finish: AtomicBool::new(false),
            give_up: AtomicBool::new(false),
            stalls: Arc::default(),
            abandoned: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("producer".into())
            .spawn(move || for_thread.run())
            .map_err(|source| StartError::Resource {
                what: "start the producer thread",
                source,
            })?;
        for exchange in &shared.exchanges {
            exchange.wake(thread.thread().clone());
        }
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Frames that the bus did not take at the first attempt: its memory was full.
    pub fn stalls(&self) -> Arc<Cell> {
        Arc::clone(&self.shared.stalls)
    }

    /// The datagrams that [`Self::finish`] gave up, for the ledger.
    pub fn take_given_up(&self) -> GivenUp {
        std::mem::take(&mut self.shared.abandoned().by_minute)
    }

    /// Sends what is closed and waits until the bus has acknowledged all, at most `limit`. Says how it goes meanwhile.
    ///
    /// Call it when no thread closes frames any more.
    pub fn finish(&mut self, limit: Duration) -> Undelivered {
        let deadline = Instant::now() + limit;
        let mut said = Instant::now();
        let mut report = |frames: u64| {
            if said.elapsed() >= PROGRESS {
                said = Instant::now();
                let left = deadline.saturating_duration_since(said).as_secs();
                tracing::warn!("waiting for the bus: {frames} frames to deliver, giving up in {left} s");
            }
        };
        self.shared.finish.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    self.shared.give_up.store(true, Ordering::Release);
                }
                std::thread::sleep(RETRY);
                report(self.shared.waiting());
            }
            if thread.join().is_err() {
                tracing::error!("the producer thread panicked; frames that it held are lost");
            }
        }
        let sender = &self.shared.sender;
        while !sender.flush(PROGRESS.min(deadline.saturating_duration_since(Instant::now()))) {
            if Instant::now() >= deadline {
                // Whatever the bus can still do for the next process.
                sender.keep();
                break;
            }
            report(sender.counts().in_flight_frames);
        }
        self.shared.undelivered()
    }
}

impl Shared {
    fn run(&self) {
        loop {
            // Read before the look into the rings: frames closed before `finish` are then seen for sure.
            let finishing = self.finish.load(Ordering::Acquire);
            let mut sent = 0;
            for exchange in &self.exchanges {
                while let Some(frame) = exchange.next_closed() {
                    if !self.send(&frame) {
                        self.abandoned().add(&frame);
                        return;
                    }
                    exchange.give_back(frame);
                    sent += 1;
                }
            }
            if sent == 0 {
                if finishing || self.give_up.load(Ordering::Acquire) {
                    return;
                }
                std::thread::park_timeout(IDLE);
            }
        }
    }

    /// Offers the frame until the bus takes it; false if it is time to give up.
    fn send(&self, frame: &ClosedFrame) -> bool {
        let mut stalled = false;
        while self
            .sender
            .send(frame.stream, frame.bytes(), frame.datagrams)
            .is_err()
        {
            if !stalled {
                stalled = true;
                self.stalls.add(1);
            }
            if self.give_up.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        true
    }

    /// Frames that are not acknowledged yet.
    fn waiting(&self) -> u64 {
        let unsent: usize = self.exchanges.iter().map(|exchange| exchange.waiting()).sum();
        unsent as u64 + self.sender.counts().in_flight_frames
    }

    fn undelivered(&self) -> Undelivered {
        let counts = self.sender.counts();
        let mut abandoned = self.abandoned();
        for exchange in &self.exchanges {
            while let Some(frame) = exchange.next_closed() {
                abandoned.add(&frame);
            }
        }
        Undelivered {
            unsent_frames: abandoned.frames,
            unsent_datagrams: abandoned.datagrams,
            unacknowledged_frames: counts.in_flight_frames,
            failed_frames: counts.failed_frames,
        }
    }

    fn abandoned(&self) -> MutexGuard<'_, Abandoned> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Producer {
    /// Without [`Producer::finish`], the thread ends without waiting for the bus.
    fn drop(&mut self) {
        self.shared.give_up.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
