//! `cargo xtask demo`: a NAT event on the wire becomes a row that a trace finds, on this machine, checked.
//!
//! - [`bus`]: what carries frames: the frame log, or Kafka
//! - [`stage`]: the two namespaces, the database, the configuration, the daemons
//! - [`traffic`]: who sends what
//! - [`account`]: what every part counted, and whether it adds up
//! - [`trace`]: one question to the trail

mod account;
mod bus;
mod stage;
mod trace;
mod traffic;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{install, paths, progress, services};
use account::Account;
pub use bus::Bus;
use stage::Stage;

/// The way from the wire to the row may pause this long before it counts as stuck.
const STUCK: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs it all; false when anything differs from what was sent.
pub fn run(bus: Bus) -> Result<bool> {
    if !install::is_root() {
        bail!(
            "the demo makes network namespaces and attaches an XDP program: run `cargo xtask demo` as root"
        );
    }
    let mut needs = services::needs(bus.services());
    needs.extend([install::NETWORK, install::BUILD]);
    install::ensure(&needs)?;
    progress::step("services", || services::up(bus.services()))?;
    let binaries = progress::step("building the programs", harness::binaries::binaries)?;

    let directory = Directory::new()?;
    let mut stage = Stage::set(&directory.path, binaries, bus)?;
    let sent = progress::step("sending", || traffic::send(&stage, &directory.path))?;
    progress::step("waiting until all of it is in the tables", || {
        settle(&mut stage, sent.accepted())
    })?;

    let account = Account::take(&stage, sent)?;
    let closes = progress::step("asking the ledger", || ledger(&stage))?;
    let stopped = progress::step("stopping collector and consumer", || {
        stage.collector.stop(STOP_TIMEOUT)?;
        stage.consumer.stop(STOP_TIMEOUT)
    });
    println!("\n{account}");
    let compared = progress::step("comparing the tables with what was sent", || {
        compare(&stage, &directory.path)
    })?;
    let traced = progress::step("asking who it was", || trace::ask(&stage, &directory.path))?;
    stopped?;

    let good = account.adds_up() && closes && compared && traced;
    if good {
        println!("Every event that was sent is in the tables exactly once.");
        directory.remove();
    } else {
        println!(
            "Something differs: see above, and the logs in {}",
            directory.path.display()
        );
    }
    Ok(good)
}

/// Waits until the database has taken `datagrams`, or until nothing moves any more: the account says what is missing.
fn settle(stage: &mut Stage, datagrams: u64) -> Result<()> {
    let begin = Instant::now();
    let (mut taken, mut moved, mut said) = (0, begin, begin);
    loop {
        let now = stage.taken()?.datagrams;
        if now >= datagrams {
            return Ok(());
        }
        if now > taken {
            (taken, moved) = (now, Instant::now());
        }
        if moved.elapsed() > STUCK {
            progress::say(&format!(
                "nothing has moved for {} s: {taken} of {datagrams}",
                STUCK.as_secs()
            ));
            return Ok(());
        }
        if said.elapsed() > Duration::from_secs(2) {
            progress::say(&format!("{taken} of {datagrams} datagrams"));
            said = Instant::now();
        }
        stage.both_run()?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether the ledger closes, but for what is under way; prints it.
fn ledger(stage: &Stage) -> Result<bool> {
    Ok(stage.natrail().arg("ledger").status()?.success())
}

/// Compares each format's expectations with the tables; the programs print the counts.
fn compare(stage: &Stage, directory: &std::path::Path) -> Result<bool> {
    let expected = directory.join("expected.jsonl");
    let mut all = std::fs::File::create(&expected)?;
    for format in traffic::FORMATS {
        let path = directory.join(format.expect_file());
        let mut file =
            std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        std::io::copy(&mut file, &mut all)?;
    }
    let status = stage
        .natrail()
        .args(["db", "compare", "--expect"])
        .arg(&expected)
        .status()?;
    Ok(status.success())
}

/// Where configuration, expectations and logs of this run are.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(harness::topics::unique("natrail-demo"));
        paths::make_directory(&path)?;
        Ok(Self { path })
    }

    /// Only after success: logs are wanted otherwise.
    fn remove(self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}

/// Runs a program and gives back what it printed; fails with its error output when it fails.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
