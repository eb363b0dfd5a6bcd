//! Holds frames back until the bus's topics are there.
//!
//! Kafka makes a topic that somebody sends to, but with its own number of partitions, and exporters would be sent to
//! partitions that are not there. So nothing is sent before natrail has made, or seen, its topics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{FrameSender, QueueFull, SendCounts, Stream};

/// A sender that takes nothing until [`GatedSender::open`].
pub struct GatedSender<S> {
    inner: S,
    is_open: AtomicBool,
}

impl<S: FrameSender> GatedSender<S> {
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            is_open: AtomicBool::new(false),
        }
    }

    /// From now on, frames go through.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}

impl<S: FrameSender> FrameSender for GatedSender<S> {
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        if self.is_open() {
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
        self.is_open() && self.inner.is_up()
    }
}
