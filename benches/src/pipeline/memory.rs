//! Whether the daemons' memory stays where it is, over ten million events.

use std::time::Duration;

use anyhow::{Result, bail};

use super::whole::Running;
use crate::measure::Measure;

const EVENTS: u64 = 10_000_000;
const RATE: u64 = 80_000;
/// The first samples are of a process that still touches its buffers for the first time.
const WARM: u64 = 2_000_000;
const SAMPLE_EVERY: Duration = Duration::from_secs(2);

/// Resident octets of both daemons at the end, beside their largest size up to the first two million events.
pub fn measure() -> Result<Vec<Measure>> {
    let mut running = Running::start()?;
    let before = running.committed()?;
    let mut generator = running.generate(RATE, EVENTS)?;
    let (mut early, mut late) = ([0; 2], [0; 2]);
    loop {
        std::thread::sleep(SAMPLE_EVERY);
        let events = running.committed()? - before;
        let sizes = [
            running.collector.resident_bytes()?,
            running.consumer.resident_bytes()?,
        ];
        eprintln!(
            "  {events} events: collector {} KiB, consumer {} KiB",
            sizes[0] >> 10,
            sizes[1] >> 10
        );
        let peak = if events < WARM { &mut early } else { &mut late };
        for (peak, size) in peak.iter_mut().zip(sizes) {
            *peak = size.max(*peak);
        }
        if !generator.is_running() {
            break;
        }
    }
    generator.succeeded(Duration::from_secs(1))?;
    let events = running.settled(before + EVENTS, Duration::from_mins(1))? - before;
    if events != EVENTS {
        bail!("{events} of {EVENTS} events committed");
    }
    running.stop()?;
    Ok(vec![
        peak("collector_resident_bytes", late[0], early[0]),
        peak("consumer_resident_bytes", late[1], early[1]),
    ])
}

fn peak(measure: &'static str, late: u64, early: u64) -> Measure {
    Measure {
        bench: "pipeline",
        measure: measure.into(),
        value: late as f64,
        unit: "octets",
        against: Some(("first_two_million_events", early as f64)),
    }
}
