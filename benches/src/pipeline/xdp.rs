//! The XDP program, in the kernel, on one packet at a time (BPF_PROG_TEST_RUN).

use anyhow::Result;
use wire::packet::samples;

use crate::measure::Measure;

const RUNS: u32 = 1_000_000;

/// ns for each packet that `wire::packet::samples::measured` gives.
pub fn measure() -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for (name, packet) in samples::measured() {
        let ns = collector::xdp::nanoseconds_per_packet(&packet, RUNS)?;
        measures.push(Measure::alone("pipeline", name, ns, "ns"));
    }
    Ok(measures)
}
