//! From the wire to the committed row: generator, collector, Kafka, consumer and database, all on this machine.
//!
//! Rates are raised until one is not kept up with: a datagram lost anywhere, or rows that come too late. What is
//! reported is what was committed over the time from the first datagram to the last commit, at the highest rate kept.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::setting::Setting;
use crate::measure::Measure;

const SECONDS: u64 = 4;
const RATES: [u64; 12] = [
    20_000, 40_000, 60_000, 80_000, 100_000, 130_000, 160_000, 200_000, 250_000, 300_000, 400_000, 500_000,
];
/// Commits may be this late behind the last datagram.
const LATE: Duration = Duration::from_secs(2);

/// Events a second.
pub fn measure() -> Result<Vec<Measure>> {
    // Free now; nobody else takes it in the short time until the collector does.
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let last_core = std::thread::available_parallelism()?.get() - 1;
    let setting = Setting::new(&format!(
        "[consumer]\ncores = [{last_core}]\n[collector]\ncores = [0]\nsocket_buffer_bytes = 67108864\n\
         [[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:{port}\"\n"
    ))?;
    let mut collector = setting.collector()?;
    let mut consumer = setting.consumer()?;
    let target = format!("127.0.0.1:{port}");
    // The first messages find everybody ready, or are sent again.
    let mut total = 0;
    let ready = Instant::now() + Duration::from_secs(60);
    while total == 0 {
        setting.natrail(&[
            "generate", "--format", "nfware", "--to", &target, "--rate", "100", "--count", "1",
        ])?;
        total = settled(&setting, 1, Duration::from_secs(2))?;
        if Instant::now() > ready {
            bail!(
                "nothing arrives; {}; {}",
                collector.end_of_log(),
                consumer.end_of_log()
            );
        }
    }
    let mut best = 0.0;
    for rate in RATES {
        let count = rate * SECONDS;
        let started = Instant::now();
        setting.natrail(&[
            "generate",
            "--format",
            "nfware",
            "--to",
            &target,
            "--exporters",
            "8",
            "--subscribers",
            "20000",
            "--rate",
            &rate.to_string(),
            "--count",
            &count.to_string(),
        ])?;
        let sent = started.elapsed();
        let now = settled(&setting, total + count, LATE)?;
        let elapsed = started.elapsed();
        let arrived = now - total;
        total = now;
        eprintln!(
            "  {rate}/s: {arrived} of {count} committed after {:.2} s (sent in {:.2} s)",
            elapsed.as_secs_f64(),
            sent.as_secs_f64()
        );
        if arrived < count || sent > Duration::from_secs(SECONDS + 1) {
            break;
        }
        best = count as f64 / elapsed.as_secs_f64();
    }
    consumer.stop(Duration::from_secs(60))?;
    collector.stop(Duration::from_secs(60))?;
    if best == 0.0 {
        bail!("even {}/s is not kept up with", RATES[0]);
    }
    Ok(vec![Measure::alone(
        "pipeline",
        "pipeline_events_per_s",
        best,
        "events/s",
    )])
}

/// Waits until `wanted` events are committed, at most `patience`; how many are.
fn settled(setting: &Setting, wanted: u64, patience: Duration) -> Result<u64> {
    let deadline = Instant::now() + patience;
    loop {
        let events = setting
            .database
            .integer("SELECT coalesce(sum(events), 0)::int8 FROM natrail.stream")?
            as u64;
        if events >= wanted || Instant::now() > deadline {
            return Ok(events);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
