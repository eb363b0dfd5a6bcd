//! Datagrams of IPFIX, one after the other with the state that they leave behind.
#![no_main]

use fuzz::flow::Case;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: Case<'_>| case.run(10));
