//! `natrail-consumer --config FILE`. Exit code 0 after SIGTERM or SIGINT, 2 when something is refused for good.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Reads frames from the bus, decodes them, and writes the events to the database, each exactly once.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file
    #[arg(long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    daemon::log::init();
    let outcome = config::Config::load(&arguments.config)
        .map_err(anyhow::Error::from)
        .and_then(|config| consumer::run::run(&config, &daemon::signals::Signals::install()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(2)
        }
    }
}
