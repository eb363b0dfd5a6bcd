//! The XDP program, in the kernel, on one packet at a time (BPF_PROG_TEST_RUN).

use anyhow::Result;
use wire::packet::samples;

use crate::measure::Measure;

const RUNS: u32 = 1_000_000;

/// ns for each packet of `wire::packet::samples::measured`.
pub fn measure() -> Result<Vec<Measure>> {
    samples::measured()
        .into_iter()
        .map(|(name, packet)| {
            let ns = collector::xdp::nanoseconds_per_packet(&packet, RUNS, None)?;
            Ok(Measure::alone("pipeline", measure_name(name), ns, "ns"))
        })
        .collect()
}

/// An accepted IPv4 packet is what `xdp_ns_per_packet` is about; the others stand beside it.
fn measure_name(packet: &str) -> &'static str {
    match packet {
        "accepted_ipv4" => "xdp_ns_per_packet",
        "accepted_ipv4_vlan" => "xdp_vlan_ns_per_packet",
        "accepted_ipv6" => "xdp_ipv6_ns_per_packet",
        "not_allowed" => "xdp_not_allowed_ns_per_packet",
        _ => "xdp_not_ours_ns_per_packet",
    }
}
