//! From the wire to the committed row: generator, collector, Kafka, consumer and database, all on this machine.
//!
//! Rates are raised until one is not kept up with: a datagram lost anywhere, or rows that come too late. What is
//! reported is what was committed over the time from the first datagram to the last commit, at the highest rate kept.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::database::Client;
use harness::process::Process;

use super::setting::Setting;
use crate::measure::Measure;

const SECONDS: u64 = 4;
const RATES: [u64; 12] = [
    20_000, 40_000, 60_000, 80_000, 100_000, 130_000, 160_000, 200_000, 250_000, 300_000, 400_000, 500_000,
];
/// Commits may be this late behind the last datagram.
const LATE: Duration = Duration::from_secs(2);
const READY: Duration = Duration::from_mins(1);

/// Both daemons, and where to send.
pub struct Running {
    pub collector: Process,
    pub consumer: Process,
    target: String,
    client: Client,
    setting: Setting,
}

impl Running {
    /// Starts the daemons on the first and the last core, and waits until a message gets through.
    pub fn start() -> Result<Self> {
        // Free now; nobody else takes it in the short time until the collector does.
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let last_core = std::thread::available_parallelism()?.get() - 1;
        let setting = Setting::new(&format!(
            "[consumer]\ncores = [{last_core}]\n[collector]\ncores = [0]\nsocket_buffer_bytes = 67108864\n\
             [[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:{port}\"\n"
        ))?;
        let mut running = Self {
            collector: setting.collector()?,
            consumer: setting.consumer()?,
            target: format!("127.0.0.1:{port}"),
            client: setting.database.connect()?,
            setting,
        };
        let ready = Instant::now() + READY;
        while running.committed()? == 0 {
            running.generate(100, 1)?.succeeded(READY)?;
            running.settled(1, LATE)?;
            if Instant::now() > ready {
                bail!(
                    "nothing arrives; {}; {}",
                    running.collector.end_of_log(),
                    running.consumer.end_of_log()
                );
            }
        }
        Ok(running)
    }

    /// Starts to send.
    pub fn generate(&self, rate: u64, count: u64) -> Result<Process> {
        self.setting.start_natrail(&[
            "generate",
            "--format",
            "nfware",
            "--to",
            &self.target,
            "--exporters",
            "8",
            "--subscribers",
            "20000",
            "--rate",
            &rate.to_string(),
            "--count",
            &count.to_string(),
        ])
    }

    /// Events that are in the database.
    pub fn committed(&mut self) -> Result<u64> {
        let row = self
            .client
            .query_one("SELECT coalesce(sum(events), 0)::int8 FROM natrail.stream", &[])?;
        Ok(row.get::<_, i64>(0) as u64)
    }

    /// Waits until `wanted` events are committed, at most `patience`; how many are.
    pub fn settled(&mut self, wanted: u64, patience: Duration) -> Result<u64> {
        let deadline = Instant::now() + patience;
        loop {
            let events = self.committed()?;
            if events >= wanted || Instant::now() > deadline {
                return Ok(events);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends both daemons in an orderly way.
    pub fn stop(mut self) -> Result<()> {
        self.consumer.stop(READY)?;
        self.collector.stop(READY)
    }
}

/// Events a second.
pub fn measure() -> Result<Vec<Measure>> {
    let mut running = Running::start()?;
    let mut total = running.committed()?;
    let mut best = 0.0;
    for rate in RATES {
        let count = rate * SECONDS;
        let started = Instant::now();
        running.generate(rate, count)?.succeeded(READY)?;
        let sent = started.elapsed();
        let now = running.settled(total + count, LATE)?;
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
    running.stop()?;
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
