//! Holds frames back until the topics are there.
//!
//! Kafka makes a topic that somebody sends to, but with its own number of partitions, and exporters would be sent to
//! partitions that are not there. So nothing is sent before natrail has made, or seen, its topics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{KafkaSender, connect_sender, ensure_topics};
use crate::{BusError, FrameSender, GivenUpBy, QueueFull, SendCounts, Stream};

/// A thread that makes the topics, and what it has reached.
#[derive(Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_open: AtomicBool,
    ended: AtomicBool,
    refused: Mutex<Option<BusError>>,
}

impl Gate {
    /// Starts the thread. It tries until Kafka answers, or the gate is dropped.
    pub fn start(bus: &config::Bus) -> Result<Self, BusError> {
        let state = Arc::new(State::default());
        let (bus, for_thread) = (bus.clone(), Arc::clone(&state));
        std::thread::Builder::new()
            .name("topics".into())
            .spawn(move || {
                let stopping = || for_thread.ended.load(Ordering::Relaxed);
                match ensure_topics(&bus, stopping) {
                    Ok(made) => for_thread.is_open.store(made, Ordering::Release),
                    Err(error) => {
                        *for_thread.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            })
            .map_err(|error| BusError::Refused(format!("cannot start the topics thread: {error}")))?;
        Ok(Self(state))
    }

    /// Whether frames may be sent.
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Acquire)
    }

    /// Why it will never be open; told once.
    pub fn refused(&self) -> Option<BusError> {
        self.0
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Not waited for: it may be asking Kafka, and what it finds matters no more.
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// A sender that takes nothing until the topics are there.
pub struct GatedSender {
    inner: KafkaSender,
    gate: Gate,
}

/// A sender for the configured Kafka that makes the topics first. Returns at once.
///
/// # Errors
/// [`BusError::Refused`] if librdkafka does not take the configuration.
pub fn connect_gated_sender(bus: &config::Bus) -> Result<GatedSender, BusError> {
    Ok(GatedSender {
        inner: connect_sender(bus)?,
        gate: Gate::start(bus)?,
    })
}

impl FrameSender for GatedSender {
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        if self.gate.is_open() {
            self.inner.send(stream, frame, datagrams)
        } else {
            Err(QueueFull)
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        // Nothing came through a closed gate, so there is nothing of it to wait for.
        self.inner.flush(timeout)
    }

    fn counts(&self) -> SendCounts {
        self.inner.counts()
    }

    fn is_up(&self) -> bool {
        self.gate.is_open() && self.inner.is_up()
    }

    fn refused(&self) -> Option<BusError> {
        self.gate.refused()
    }

    fn take_given_up(&self) -> GivenUpBy {
        self.inner.take_given_up()
    }
}
