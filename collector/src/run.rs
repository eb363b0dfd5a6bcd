//! The program around the collector: configuration, signals, exit codes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use config::{Config, Transport};
use daemon::signals::Signals;

use crate::collector::{Collector, Outcome, Sockets};
use crate::error::StartError;
use crate::filter::Filter;
use crate::ledger::Reporter;
use crate::ledger::sample::Sampler;
use crate::stream::tls::Identity;
use crate::{metrics, privileges};

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long the end may take to deliver what was received.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// Not everything could be delivered, or a receive thread had ended by itself.
const EXIT_LOSS: u8 = 3;
/// The collector could not start.
const EXIT_START: u8 = 2;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Only check configuration, CPUs, certificates and interfaces.
    pub check: bool,
}

/// Runs until SIGTERM or SIGINT. Exit codes: 0 everything delivered, 2 could not start, 3 something was lost.
pub fn run(options: &Options) -> ExitCode {
    match start_and_serve(options) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(EXIT_START)
        }
    }
}

fn start_and_serve(options: &Options) -> anyhow::Result<ExitCode> {
    let config = Config::load(&options.config)?;
    let settings = config.collector.as_ref().ok_or(StartError::NotConfigured)?;
    if options.check {
        check(settings)?;
        tracing::info!("{} is usable", options.config.display());
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::install()?;

    // All that needs privileges, before any thread is started: a thread keeps the privileges it was started with.
    let mut sockets = Sockets::open(settings)?;
    let xdp = sockets.attach_filter(&config.exporters)?;
    privileges::drop_all().context("cannot give up privileges")?;

    let sender = bus::connect::sender(&config.bus, &sockets.kinds())?;
    let hold_max = sockets.hold_max();
    let collector = sockets.start(&config.exporters, config.bus.partitions, Arc::clone(&sender))?;
    let sampler = Sampler::new(collector.view(), xdp.clone());
    let reporter = Reporter::start(Arc::clone(&sender), collector.book(), sampler, hold_max)?;
    serve_metrics(settings, &signals, &collector, xdp.clone())?;
    for (listener, address) in settings.listeners.iter().zip(collector.addresses()) {
        match listener.transport {
            Transport::Udp => tracing::info!(
                "receiving {:?} on {address} on {} CPUs",
                listener.kind,
                settings.cores.len()
            ),
            Transport::Tcp | Transport::Tls => tracing::info!(
                "receiving {:?} on {address} over {}",
                listener.kind,
                listener.transport.name()
            ),
        }
    }

    let refused = serve(
        &options.config,
        &signals,
        &collector,
        xdp.as_ref(),
        sender.as_ref(),
    );
    signals.stop();
    let limit = if refused.is_some() {
        Duration::ZERO
    } else {
        FLUSH_MAX
    };
    if let Some(xdp) = &xdp {
        xdp.end_redirect();
    }
    let outcome = collector.stop(limit);
    reporter.finish(&outcome.given_up);
    let waiting = sender.log_counts().map_or(0, |log| log.waiting_frames);
    let code = report(&outcome, waiting);
    match refused {
        Some(refused) => Err(refused.into()),
        None => Ok(code),
    }
}

/// What `--check` looks at beyond the file itself. Touches nothing.
fn check(settings: &config::Collector) -> anyhow::Result<()> {
    for &core in &settings.cores {
        daemon::cpu::check(core).map_err(StartError::Core)?;
    }
    for listener in &settings.listeners {
        if let Some(files) = listener.tls_files() {
            Identity::load(files).with_context(|| format!("listener {}", listener.address))?;
        }
    }
    for interface in settings.xdp.iter().flat_map(|xdp| &xdp.interfaces) {
        let path = Path::new("/sys/class/net").join(interface);
        anyhow::ensure!(
            path.exists(),
            "collector.xdp.interfaces: there is no network interface {interface}"
        );
    }
    Ok(())
}

fn serve_metrics(
    settings: &config::Collector,
    signals: &Signals,
    collector: &Collector,
    xdp: Option<Filter>,
) -> anyhow::Result<()> {
    let Some(address) = settings.metrics else {
        return Ok(());
    };
    let view = collector.view();
    let bound = daemon::metrics::serve(address, signals, move |text| {
        metrics::render(&view, text);
        if let Some(xdp) = &xdp {
            xdp.render(text);
        }
    })?;
    tracing::info!("metrics are at http://{bound}/metrics");
    Ok(())
}

/// Until stop is asked for, a receive thread fails, or the bus refuses for good (what it said is given back).
fn serve(
    path: &Path,
    signals: &Signals,
    collector: &Collector,
    xdp: Option<&Filter>,
    sender: &dyn bus::FrameSender,
) -> Option<bus::BusError> {
    while !signals.stopping() && !collector.has_failed() {
        if signals.take_reload() {
            reload(path, collector, xdp);
        }
        if let Some(refused) = sender.refused() {
            return Some(refused);
        }
        thread::sleep(TICK);
    }
    tracing::info!("stopping: taking what the sockets hold, then delivering all frames");
    None
}

/// Puts the file's allow-list, rates and the listeners' rules in force, and certificates for new connections; what cannot be
/// used changes nothing.
fn reload(path: &Path, collector: &Collector, xdp: Option<&Filter>) {
    let Config {
        exporters,
        collector: settings,
        ..
    } = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("reload: the allow-list stays as it was, and so do all rules: {error}");
            return;
        }
    };
    collector.reload(&exporters);
    let listeners = settings.map(|settings| settings.listeners).unwrap_or_default();
    reload_rules(&listeners, collector, xdp);
    for (address, reloaded) in collector.reload_certificates(&listeners) {
        match reloaded {
            Ok(()) => tracing::info!("reload: listener {address} has read its certificate again"),
            Err(error) => tracing::error!("reload: listener {address} keeps its certificate: {error}"),
        }
    }
    if let Some(Err(error)) = xdp.map(|xdp| xdp.reload(&exporters)) {
        tracing::error!("reload: the XDP program keeps its old allow-list: {error:#}");
        return;
    }
    let allowed = if exporters.allow_all {
        "everybody".into()
    } else {
        format!("{} entries", exporters.list.len())
    };
    tracing::info!(
        "reload: allow-list is in force ({allowed}); exporters, listeners' rules and certificates apart, settings need a restart"
    );
}

fn reload_rules(listeners: &[config::Listener], collector: &Collector, xdp: Option<&Filter>) {
    let rules = match collector.reload_rules(listeners) {
        Ok(rules) => rules,
        Err(error) => {
            tracing::error!("reload: the listeners' rules stay as they were: {error}");
            return;
        }
    };
    if let Some(Err(error)) = xdp.map(|xdp| xdp.reload_rules(&rules.datagrams)) {
        tracing::error!(
            "reload: the XDP program keeps old rules, besides the new ones in user space: {error:#}"
        );
    }
}

fn report(outcome: &Outcome, waiting: u64) -> ExitCode {
    let Outcome {
        counts,
        undelivered,
        thread_failed,
        given_up: _,
    } = outcome;
    let reasons = counts.dropped_by_reason();
    let reasons = reasons.map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")));
    tracing::info!(
        "{} datagrams received, {} framed, {} dropped ({}); {} dropped by the kernel",
        counts.received,
        counts.framed,
        counts.dropped(),
        reasons.join(", "),
        counts.kernel_drops,
    );
    if undelivered.frames() == 0 && !thread_failed {
        if waiting > 0 {
            tracing::warn!(
                "{waiting} frames wait on the disk for Kafka: the next collector here delivers them"
            );
        } else {
            tracing::info!("all {} frames were delivered", counts.frames());
        }
        return ExitCode::SUCCESS;
    }
    tracing::error!(
        "{} of {} frames were not delivered: {} never taken by the bus ({} datagrams), {} not acknowledged in time, {} refused",
        undelivered.frames(),
        counts.frames(),
        undelivered.unsent_frames,
        undelivered.unsent_datagrams,
        undelivered.unacknowledged_frames,
        undelivered.failed_frames,
    );
    ExitCode::from(EXIT_LOSS)
}
