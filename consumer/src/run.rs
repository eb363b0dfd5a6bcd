//! Start-up, workers, shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use config::Config;
use daemon::repeat::Repeat;
use daemon::signals::Signals;
use daemon::{cpu, metrics as exposition};
use event::columns::PlausibleTime;
use store::StoreError;

use crate::assemble::{Assembler, Limits};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::profiles::Profiles;
use crate::worker::Worker;

const TRY_AGAIN: Duration = Duration::from_secs(1);
const SAY_AGAIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Runs the consumer until `signals` say stop.
///
/// # Errors
/// What no waiting mends: a core that cannot be used, a database of another version, a refused login, topics that do not fit.
/// That database or bus are not reachable is said in the log, and tried again.
pub fn run(config: &Config, signals: &Signals) -> anyhow::Result<()> {
    let started = Instant::now();
    let settings = &config.consumer;
    for &core in &settings.cores {
        cpu::check(core).context("consumer.cores")?;
    }
    let metrics = Arc::new(Metrics::new(settings.cores.len()));
    if let Some(address) = settings.metrics {
        let shown = Arc::clone(&metrics);
        let bound = exposition::serve(address, signals, move |text| shown.render(text))?;
        tracing::info!("metrics on http://{bound}/metrics");
    }
    if !prepare_database(config, signals)? {
        return Ok(());
    }
    let Some(bus_name) = bus::connect::prepare(&config.bus, || signals.stopping())? else {
        return Ok(());
    };
    let mut workers = Vec::new();
    for (number, &core) in settings.cores.iter().enumerate() {
        workers.push(start_worker(config, &bus_name, number, core, &metrics, signals)?);
    }
    tracing::info!("{} workers started after {:?}", workers.len(), started.elapsed());
    wait(workers, signals)
}

/// Brings the schema up to date. `Ok(false)`: told to stop meanwhile.
fn prepare_database(config: &Config, signals: &Signals) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a tokio runtime")?;
    let said = Repeat::every(SAY_AGAIN);
    while !signals.stopping() {
        let migrated = runtime.block_on(async {
            let mut client = store::connect::connect(&config.database.url).await?;
            store::migrate::migrate(&mut client, None).await
        });
        match migrated {
            Ok(report) => {
                if report.applied.is_empty() {
                    tracing::info!(
                        "database schema is at version {} ({} storage)",
                        report.to,
                        report.storage
                    );
                } else {
                    tracing::info!(
                        "database schema brought from version {} to {} ({} storage)",
                        report.from,
                        report.to,
                        report.storage
                    );
                }
                if let Some(note) = report.note {
                    tracing::warn!("{note}");
                }
                return Ok(true);
            }
            Err(error) if may_pass(&error) => {
                if said.due() {
                    tracing::warn!("{error}; keeps trying");
                }
                sleep_unless_stopping(TRY_AGAIN, signals);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Whether waiting may help: not where the server answers that it has no such database (SQLSTATE 3D000) or user (class 28).
fn may_pass(error: &StoreError) -> bool {
    let refused = error
        .sqlstate()
        .is_some_and(|code| code == "3D000" || code.starts_with("28"));
    error.is_disconnect() && !refused
}

fn sleep_unless_stopping(time: Duration, signals: &Signals) {
    let until = Instant::now() + time;
    while Instant::now() < until && !signals.stopping() {
        std::thread::sleep(LOOK_AGAIN);
    }
}

type Running = std::thread::JoinHandle<anyhow::Result<()>>;

fn start_worker(
    config: &Config,
    bus_name: &str,
    number: usize,
    core: usize,
    metrics: &Arc<Metrics>,
    signals: &Signals,
) -> anyhow::Result<Running> {
    let settings = &config.consumer;
    let limits = Limits {
        rows: settings.batch_rows,
        age: Duration::from_millis(settings.batch_age_ms),
    };
    let plausible = PlausibleTime {
        past_ns: i64::from(settings.device_time_past_max_days).saturating_mul(DAY_NS),
        future_ns: i64::from(settings.device_time_future_max_s).saturating_mul(1_000_000_000),
    };
    let letters = bus::connect::dead_letters(&config.bus)?;
    let assembler = Assembler::new(
        Profiles::new(config.exporters.clone()),
        limits,
        plausible,
        letters,
    );
    let pipeline = Pipeline::start(number, config.database.url.clone(), bus_name.to_owned())?;
    let receiver = bus::connect::receiver(&config.bus, &settings.group)?;
    let worker = Worker::new(
        number,
        receiver,
        assembler,
        pipeline,
        Arc::clone(metrics),
        signals.clone(),
    );
    std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            cpu::pin(core)?;
            worker.run().map_err(anyhow::Error::from)
        })
        .context("cannot start a worker thread")
}

/// Waits for all workers; the end of one ends the others.
fn wait(workers: Vec<Running>, signals: &Signals) -> anyhow::Result<()> {
    while !signals.stopping() && !workers.iter().any(Running::is_finished) {
        std::thread::sleep(LOOK_AGAIN);
    }
    if signals.stopping() {
        tracing::info!("stopping: finishing the open batches");
    }
    signals.stop();
    let mut outcome = Ok(());
    for (number, worker) in workers.into_iter().enumerate() {
        let ended = worker
            .join()
            .unwrap_or_else(|_| Err(anyhow!("worker {number} panicked")));
        outcome = outcome.and(ended);
    }
    outcome
}
