//! Messages for the operator, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging: level `info`, or what `NATRAIL_LOG` says (`debug`, `warn,bus=debug`, …). Colours only on a terminal.
pub fn init() {
    let filter = EnvFilter::try_from_env("NATRAIL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call (tests) keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
