//! `cargo xtask test`: everything that must hold, on a machine that may have nothing but Rust.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{ebpf, install, paths, progress, services};

/// Installs, starts, checks and tests; false when a test failed.
pub fn run() -> Result<bool> {
    let mut needs = services::needs(services::ALL);
    needs.extend([install::KAFKA, install::NETWORK, install::SENDERS, install::BUILD]);
    install::ensure(&needs)?;
    ensure_component("fmt", "rustfmt")?;
    ensure_component("clippy", "clippy")?;

    progress::step("cargo fmt --check", || cargo(&["fmt", "--all", "--check"]))?;
    progress::step("cargo clippy", || {
        cargo(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    progress::step("the committed objects are what their sources give", || {
        ebpf::run(true)
    })?;
    progress::step("services", || services::up(services::ALL))?;
    services::ensure_kafka_jars()?;
    progress::step("building the programs", harness::binaries::binaries)?;
    progress::step("cargo test", tests)
}

/// A minimal Rust installation lacks them.
fn ensure_component(subcommand: &str, component: &str) -> Result<()> {
    let works = |command: &mut Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if works(Command::new(cargo_program()).args([subcommand, "--version"])) {
        return Ok(());
    }
    progress::step(&format!("rustup component add {component}"), || {
        let status = Command::new("rustup")
            .args(["component", "add", component])
            .current_dir(paths::repository())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        bail!("cargo {subcommand} does not work here: install Rust's {component}")
    })
}

/// Runs all tests to their end, and adds up what their binaries say.
fn tests() -> Result<bool> {
    let mut child = Command::new(cargo_program())
        .args(["test", "--workspace", "--no-fail-fast"])
        .current_dir(paths::repository())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let (mut passed, mut failed) = (0, 0);
    let mut terminal = std::io::stdout();
    for line in BufReader::new(child.stdout.take().context("no output of cargo test")?).split(b'\n') {
        let mut line = line?;
        if let Some((p, f)) = closing_line(&String::from_utf8_lossy(&line)) {
            passed += p;
            failed += f;
        }
        line.push(b'\n');
        terminal.write_all(&line)?;
    }
    let status = child.wait()?;
    println!("{passed} passed, {failed} failed");
    Ok(status.success() && failed == 0 && passed > 0)
}

/// `test result: ok. 3 passed; 0 failed; …`: passed and failed.
fn closing_line(line: &str) -> Option<(u32, u32)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let mut next = |word: &str| counts.next()?.strip_suffix(word)?.trim().parse().ok();
    Some((next("passed")?, next("failed")?))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let status = Command::new(cargo_program())
        .args(arguments)
        .current_dir(paths::repository())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo {} failed ({status})", arguments.join(" "));
    }
    Ok(())
}

/// The cargo that runs us.
pub fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::closing_line;

    #[test]
    fn closing_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s";
        assert_eq!(closing_line(line), Some((12, 3)));
        assert_eq!(closing_line("test a::b ... ok"), None);
    }
}
