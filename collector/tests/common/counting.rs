//! An allocator that counts, and a bus that forgets: for programs of tests that want nothing to be allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bus::{FrameSender, QueueFull, SendCounts, Stream};
use collector::collector::View;

use crate::common::PATIENCE;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

pub struct Counting;

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

/// Counts frames and forgets them.
#[derive(Default)]
pub struct Discard(AtomicU64);

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

/// Sends many datagrams, and wants nothing to be allocated for the later ones while they become many frames.
pub fn wants_no_allocation(view: &View, discard: &Discard, mut send: impl FnMut()) {
    let mut send = |datagrams: u64| {
        for i in 0..datagrams {
            send();
            if i % 100 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let wait = |datagrams: u64| {
        let deadline = Instant::now() + PATIENCE;
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
}
