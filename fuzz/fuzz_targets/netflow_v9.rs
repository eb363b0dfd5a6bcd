//! Datagrams of NetFlow v9, one after the other with the state that they leave behind.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| fuzz::flow::run(9, octets));
