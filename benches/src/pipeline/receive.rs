//! The collector's receive thread, from the socket to closed frames, on one core.

use std::time::Duration;

use anyhow::Result;
use collector::bench::{Load, Path, lossless_rate};

use crate::measure::Measure;

const PAYLOAD_BYTES: usize = 150;

/// Highest rate without loss, and the receive thread's CPU time for each datagram at that rate.
///
/// Sender and receiver are on a core each. On loopback the kernel's part of receiving is done on the sender's core.
pub fn measure() -> Result<Vec<Measure>> {
    let payload = [b'x'; PAYLOAD_BYTES];
    let last_core = std::thread::available_parallelism()?.get() - 1;
    let load = Load {
        core: last_core,
        sender_core: 0,
        payload: &payload,
        rate: 50_000,
        duration: Duration::from_secs(2),
        path: Path::Loopback,
    };
    let best = lossless_rate(&load)?;
    Ok(vec![
        Measure::alone(
            "pipeline",
            "collector_datagrams_per_s",
            best.sent_per_s,
            "datagrams/s",
        ),
        Measure::alone(
            "pipeline",
            "collector_cpu_ns_per_datagram",
            best.cpu_ns_per_datagram,
            "ns",
        ),
    ])
}
