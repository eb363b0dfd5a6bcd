//! `natrail-collector`: receives datagrams and gives them to the bus.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use collector::run::{Options, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Receives datagrams of routers, frames them and gives them to the bus.
///
/// SIGTERM and SIGINT end it when everything received is delivered (at most 30 s), a second one at once. SIGHUP reads
/// the allow-list, rates, the listeners' rules and TLS certificates again. Exit code: 0 everything was delivered, 2 it could not start, 3 something was lost.
#[derive(Parser)]
#[command(version, name = "natrail-collector")]
struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Only check the file, and the CPUs, certificates and interfaces it names
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    daemon::log::init();
    run(&Options {
        config: arguments.config,
        check: arguments.check,
    })
}
