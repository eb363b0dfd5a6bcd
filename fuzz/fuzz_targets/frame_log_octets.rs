//! Any octets as the files of a stream: segments, their indexes, the position of its consumer.
//!
//! Checksums may be right, by the fuzzer's skill or because it asked for that: nothing can be said about what records hold.
//! But nothing panics, offsets grow, reading ends, and a writer recovers and goes on.
#![no_main]

use fuzz::{Log, survives};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let log = Log::default();
    fuzz::files::write(&log, octets);
    survives(&log);
});
