//! PRI masks, content filters and token buckets of the program, against the same code in user space and the `regex` crate's engine.

use std::net::Ipv4Addr;

use collector::xdp::XdpFilter;
use filter::random::Random;
use filter::{Compiled, Judgement, Plan, PriMask, Rules};
use wire::packet::decide;
use wire::packet::samples::{Plain, PlainFrame, accepted};
use wire::verdict::Verdict;

use crate::setup::{packets, sample_filter};

fn rules(keep: &[&str], drop: &[&str], text_octets: usize) -> Rules {
    let owned = |patterns: &[&str]| {
        patterns
            .iter()
            .map(|&pattern| pattern.to_owned())
            .collect::<Vec<_>>()
    };
    Rules::new(&owned(keep), &owned(drop), text_octets, PriMask::default()).expect("valid")
}

#[test]
fn measure_filter() {
    for octets in [64, 150, 256] {
        let payload = vec![b'x'; octets];
        let frame = accepted(&payload);
        let plain = collector::xdp::nanoseconds_per_packet(&frame, 1_000_000, None).expect("run");
        let compiled = Compiled::new(&rules(
            &["RT_FLOW_SESSION_(CREATE|CLOSE)", "NAT(44|64)", "x$"],
            &["(?i)alarm"],
            256,
        ));
        let with = collector::xdp::nanoseconds_per_packet(&frame, 1_000_000, compiled.kernel()).expect("run");
        println!(
            "{octets}: {plain} {with} {:?} {:.2} ns/octet",
            compiled.plan(),
            (with - plain - 60.0) / octets as f64
        );
    }
}
