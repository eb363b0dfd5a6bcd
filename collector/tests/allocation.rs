//! Once it runs, a collector allocates nothing: not for a datagram, not for a frame.
//!
//! Alone in its program, since the allocator counts for all threads of it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bus::{FrameSender, QueueFull, SendCounts, Stream};
use collector::Collector;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: all work is done by the system's allocator; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts frames and forgets them.
#[derive(Default)]
struct Discard(AtomicU64);

impl FrameSender for Discard {
    fn send(&self, _: Stream, _: &[u8], _: u32) -> Result<(), QueueFull> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }

    fn counts(&self) -> SendCounts {
        SendCounts::default()
    }

    fn is_up(&self) -> bool {
        true
    }
}

#[test]
fn nothing_is_allocated_while_datagrams_become_frames() {
    let discard = Arc::new(Discard::default());
    let config = common::config("frame_bytes = 66000", &[]);
    let collector = Collector::start(&config, Arc::clone(&discard) as _).expect("starts");
    let socket = common::exporter("127.0.0.1:0", collector.addresses()[0]);
    let view = collector.view();
    let send = |datagrams: u64| {
        for i in 0..datagrams {
            socket.send(&[0; 500]).expect("sends");
            if i % 100 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let wait = |datagrams: u64| {
        let deadline = Instant::now() + common::PATIENCE;
        while view.threads[0].framed.get() < datagrams {
            assert!(Instant::now() < deadline, "{:?}", view.counts());
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    send(10_000);
    wait(10_000);
    let (before, frames) = (
        ALLOCATIONS.load(Ordering::Relaxed),
        discard.0.load(Ordering::Relaxed),
    );
    send(50_000);
    wait(60_000);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    let frames = discard.0.load(Ordering::Relaxed) - frames;
    assert!(frames > 100, "{frames} frames of many datagrams each");
    collector.stop(common::PATIENCE);
}
