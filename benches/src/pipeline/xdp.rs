//! The XDP program, in the kernel, on one packet at a time (BPF_PROG_TEST_RUN).

use anyhow::Result;
use filter::{Compiled, PriMask, Rules};
use wire::packet::samples;

use crate::measure::Measure;

const RUNS: u32 = 1_000_000;

/// Patterns to measure with: words of session logs, of which the payload has none, so that the whole text is walked.
const KEEP: [&str; 2] = ["RT_FLOW_SESSION_(CREATE|CLOSE)", "NAT(44|64)"];
const DROP: [&str; 1] = ["(?i)alarm"];
/// Octets of payload.
const FILTERED: [(&str, usize); 3] = [
    ("xdp_filter_64_ns", 64),
    ("xdp_filter_150_ns", 150),
    ("xdp_filter_256_ns", 256),
];

/// ns for each packet of `wire::packet::samples::measured`, and with a filter.
pub fn measure() -> Result<Vec<Measure>> {
    let mut measures = verdicts()?;
    measures.extend(filtered()?);
    Ok(measures)
}

/// With a filter that looks at the whole payload, beside the same packet without one.
fn filtered() -> Result<Vec<Measure>> {
    let owned = |patterns: &[&str]| {
        patterns
            .iter()
            .map(|&pattern| pattern.to_owned())
            .collect::<Vec<_>>()
    };
    let rules = Rules::new(&owned(&KEEP), &owned(&DROP), 256, PriMask::default())?;
    let compiled = Compiled::new(&rules);
    let mut measures = Vec::new();
    for (name, octets) in FILTERED {
        let packet = samples::accepted(&vec![b'x'; octets]);
        let without = collector::xdp::nanoseconds_per_packet(&packet, RUNS, None)?;
        let with = collector::xdp::nanoseconds_per_packet(&packet, RUNS, compiled.kernel())?;
        measures.push(Measure {
            against: Some(("the same packet without a filter", without)),
            ..Measure::alone("pipeline", name, with, "ns")
        });
    }
    Ok(measures)
}

fn verdicts() -> Result<Vec<Measure>> {
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
