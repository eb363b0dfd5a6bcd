//! Once it knows the sources of its streams, an assembler allocates nothing for a frame.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use bus::{BusError, DeadLetter, DeadLetterSender, Stream, Topic};
use common::sessions;
use consumer::assemble::{Assembler, Limits};
use consumer::profiles::Profiles;
use event::columns::PlausibleTime;
use store::ingest::StreamState;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all work is done by the system's allocator; counting touches no memory of it, and the counter needs none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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

struct NoLetters;

impl DeadLetterSender for NoLetters {
    fn send(&mut self, letter: &DeadLetter<'_>, _: Duration) -> Result<(), BusError> {
        panic!("a dead letter: {}", letter.reason)
    }

    fn flush(&mut self, _: Duration) -> Result<(), BusError> {
        Ok(())
    }
}

const SOURCES: u64 = 50;
/// Frames of each source in one round; every third is a repeat, every fourth comes after a gap.
const FRAMES: u64 = 12;

/// The frames of a round, those of the sources taking turns.
fn round(number: u64) -> Vec<Vec<u8>> {
    let mut sequence = number * FRAMES * 2;
    let mut records = Vec::new();
    for frame in 0..FRAMES {
        sequence += match frame {
            _ if frame % 3 == 2 => 0,
            _ if frame % 4 == 3 => 2,
            _ => 1,
        };
        records.extend((0..SOURCES).map(|source| sessions(source, sequence, 0..5)));
    }
    records
}

#[test]
fn nothing_is_allocated_for_a_frame() {
    let limits = Limits {
        rows: usize::MAX,
        age: Duration::MAX,
    };
    let exporters = config::Exporters {
        allow_all: true,
        ..config::Exporters::default()
    };
    let profiles = Profiles::new(exporters);
    let mut assembler = Assembler::new(profiles, limits, PlausibleTime::default(), Box::new(NoLetters));
    let stream = Stream {
        topic: Topic::Syslog,
        partition: 0,
    };
    let state = StreamState {
        id: 1,
        next_offset: 0,
        sources: Vec::new(),
    };
    assembler.start(&[(stream, state)], &store::flow::State::default());
    let mut offset = 0;
    for number in 0..4 {
        let records = round(number);
        let before = ALLOCATIONS.get();
        for record in &records {
            assembler.frame(stream, offset, record).expect("taken");
            offset += 1;
        }
        let allocations = ALLOCATIONS.get() - before;
        assert!(number == 0 || allocations == 0, "{allocations} in round {number}");
        let sealed = assembler.seal().expect("no letters").expect("a batch");
        let tally = sealed.tally;
        assert_eq!(tally.frames, SOURCES * FRAMES);
        assert_eq!(tally.duplicate_frames, SOURCES * FRAMES / 3);
        assert_eq!(tally.datagrams, SOURCES * FRAMES * 2 / 3 * 5);
        assert!(tally.missing_frames >= SOURCES, "{}", tally.missing_frames);
        assert_eq!(sealed.encoded.advances()[0].sources.len() as u64, SOURCES);
    }
}
