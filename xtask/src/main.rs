//! `cargo xtask`: everything around the workspace that is not the workspace.
//!
//! - `services`: Apache Kafka and PostgreSQL with TimescaleDB on loopback, for tests, benchmarks and the demo; each alone
//!   where that is enough
//! - `demo`: the whole way from the wire to an answer, checked
//! - `test`: everything that must hold
//! - `bench`: comparisons
//! - `install`: what the other commands need from Debian
//! - `ebpf`: the committed objects for the kernel

mod bench;
mod demo;
mod ebpf;
mod install;
mod paths;
mod progress;
mod services;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, services, demo, tests and benchmarks of natrail.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the programs for the kernel and updates the committed objects.
    Ebpf {
        /// Only builds, and fails when a committed object is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Kafka and PostgreSQL with TimescaleDB on loopback.
    Services {
        #[command(subcommand)]
        command: services::Command,
    },
    /// From a router's datagram to the answer of a trace, on this machine, checked.
    Demo {
        /// What carries frames from the collector to the consumer.
        #[arg(long, default_value = "log")]
        bus: demo::Bus,
    },
    /// Formatting, lints, the committed XDP object, and all tests.
    Test,
    /// Comparisons, each in one run.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Ebpf { check } => ebpf::run(check).map(|()| true),
        Command::Services { command } => services::run(command),
        Command::Demo { bus } => demo::run(bus),
        Command::Test => test::run(),
        Command::Bench(arguments) => bench::run(arguments).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
