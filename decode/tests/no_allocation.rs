//! Decoding allocates nothing, whatever the message.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use decode::exporter::Settings;
use decode::exporter::pattern::{Options, Pattern};
use decode::exporter::vrf::VrfNames;
use decode::{Exporter, Profile};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

// SAFETY: everything is handed to `System` as it came; the counter is a constant-initialised thread-local without a
// destructor, so counting neither allocates nor outlives the thread's storage.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_line_allocates() {
    let mut lines: Vec<_> = common::logs().iter().flat_map(|log| common::lines(log)).collect();
    lines.push(b"A VRF 0 6 INT [2001:db8::1]:80 EXT 100.64.0.1:81".to_vec());
    lines.push(vec![b'"'; 8000]);
    lines.push(vec![0xff; 8000]);
    lines.push(vec![b' '; 9000]);
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0_u8; 64]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");

    let (mut events, before) = (0, ALLOCATIONS.get());
    for line in &lines {
        for profile in Profile::ALL {
            let _ = decode::syslog::decode(profile, line, |event| {
                std::hint::black_box(event);
                events += 1;
            });
        }
    }
    assert_eq!(
        ALLOCATIONS.get() - before,
        0,
        "allocations for {} lines",
        lines.len()
    );
    assert!(events > 330, "{events} events");
}

/// Once a pattern has made its states, all that may be said of an exporter costs no allocation.
#[test]
fn no_line_of_an_exporter_with_settings_allocates() {
    let text = r" (?<event>\w+) (?<src_ip>\S+) (?<x_ip>\S+) (?<time>[0-9: -]+)$";
    let mut exporter = Exporter::new(Settings {
        zone: Some("Europe/Berlin".parse().expect("a zone")),
        vrf: VrfNames {
            default: Some("global".into()),
            names: [("1".into(), "blue".into())].into(),
        },
        patterns: vec![Pattern::new(text, Options::default()).expect("good")],
        ..Settings::from(Profile::Auto)
    });
    let mut lines: Vec<_> = common::logs().iter().flat_map(|log| common::lines(log)).collect();
    lines.push(b"<1>Nov 18 09:56:58 h add 10.0.0.1 203.0.113.1 2026-01-01 00:00:00".to_vec());
    let (mut events, mut counts) = (0, [0; 3]);
    for count in &mut counts {
        let before = ALLOCATIONS.get();
        for line in &lines {
            let _ = exporter.decode(line, 1_782_918_011_000_000_000, |event| {
                std::hint::black_box(event);
                events += 1;
            });
        }
        *count = ALLOCATIONS.get() - before;
    }
    assert_eq!(counts[1..], [0, 0], "allocations for {} lines", lines.len());
    assert!(events > 300, "{events} events");
}
