//! Any octets as a syslog message, under every profile and under `auto`.
#![no_main]

use decode::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| fuzz::decoding::check(octets, &Profile::ALL[1..]));
