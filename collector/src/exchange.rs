//! Closed frames one way, empty buffers back: what a receive thread and the producer thread share.

use std::sync::OnceLock;
use std::thread::Thread;

use bus::Stream;
use crossbeam::queue::ArrayQueue;

/// Memory of one frame.
pub type Buffer = Box<[u8]>;

/// A finished frame on its way to the bus.
#[derive(Debug)]
pub struct ClosedFrame {
    pub stream: Stream,
    /// The frame is the first `bytes` octets of it.
    pub(crate) buffer: Buffer,
    pub(crate) bytes: usize,
    pub datagrams: u32,
}

impl ClosedFrame {
    /// The frame itself.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }
}

/// The two rings between one receive thread and the producer. Each has room for all buffers there are, so neither is
/// ever too full: what runs out are buffers.
#[derive(Debug)]
pub struct Exchange {
    closed: ArrayQueue<ClosedFrame>,
    free: ArrayQueue<Buffer>,
    producer: OnceLock<Thread>,
}

impl Exchange {
    /// With `buffers` free buffers of `buffer_bytes` octets.
    pub fn new(buffers: usize, buffer_bytes: usize) -> Self {
        let free = ArrayQueue::new(buffers);
        for _ in 0..buffers {
            let pushed = free.push(vec![0; buffer_bytes].into_boxed_slice());
            debug_assert!(pushed.is_ok(), "the ring has room for all buffers");
        }
        Self {
            closed: ArrayQueue::new(buffers),
            free,
            producer: OnceLock::new(),
        }
    }

    /// Number of buffers, wherever they are.
    pub fn buffers(&self) -> usize {
        self.free.capacity()
    }

    /// Says whom to wake when there is a closed frame.
    pub fn wake(&self, producer: Thread) {
        let _ = self.producer.set(producer);
    }

    /// Receive thread: gives a frame to the producer.
    pub(crate) fn hand_over(&self, frame: ClosedFrame) {
        let pushed = self.closed.push(frame);
        debug_assert!(pushed.is_ok(), "the ring has room for all buffers");
        if let Some(producer) = self.producer.get() {
            producer.unpark();
        }
    }

    /// Receive thread: takes all buffers that came back.
    pub(crate) fn take_back(&self, spare: &mut Vec<Buffer>) {
        while let Some(buffer) = self.free.pop() {
            spare.push(buffer);
        }
    }

    /// Producer thread: the next closed frame.
    pub(crate) fn next_closed(&self) -> Option<ClosedFrame> {
        self.closed.pop()
    }

    /// Producer thread: the frame is on the bus; its buffer is free.
    pub(crate) fn give_back(&self, frame: ClosedFrame) {
        let pushed = self.free.push(frame.buffer);
        debug_assert!(pushed.is_ok(), "the ring has room for all buffers");
    }

    /// Closed frames that the producer has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.closed.len()
    }
}
