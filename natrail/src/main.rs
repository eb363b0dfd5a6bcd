//! `natrail`: the operator's tool.
//!
//! - [`check`]: is the configuration right, and what does it mean?
//! - [`db`]: the database's schema and state, and its comparison with what was expected;
//! - [`mod@log`]: what the frame log on this machine's disk holds;
//! - [`mod@decode`]: what the decoders make of messages;
//! - [`exporters`]: who sends, how it is read, and how far its clock is off;
//! - [`mod@filter`]: what a listener's rules make of messages;
//! - [`formats`]: which formats are read;
//! - [`ledger`]: where every datagram is, and whether all of it adds up;
//! - [`templates`]: which templates of flow records are known;
//! - [`trace`]: who had this public address and port at this moment;
//! - [`generate`]: the traffic of CGNs, for tests and measurements.

mod check;
mod db;
mod decode;
mod exporters;
mod filter;
mod formats;
mod generate;
mod ledger;
mod log;
mod templates;
mod trace;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The audit trail of carrier-grade NAT.
///
/// Exit codes: 0 done, 1 the answer is no, 2 it could not be done.
#[derive(Parser, Debug)]
#[command(name = "natrail", version)]
struct Cli {
    /// Configuration file [default: /etc/natrail/natrail.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Check(check::Args),
    Db(db::Args),
    Log(log::Args),
    Decode(decode::Args),
    Filter(filter::Args),
    Exporters(exporters::Args),
    Formats(formats::Args),
    Ledger(ledger::Args),
    Templates(templates::Args),
    Trace(trace::Args),
    Generate(generate::Args),
}

/// Exit code of a command that could not be done.
const ERROR: u8 = 2;
/// Exit code of a command whose reader went away: what a shell shows for SIGPIPE.
const READER_GONE: u8 = 128 + libc::SIGPIPE as u8;

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli).unwrap_or_else(|error| {
        if reader_is_gone() {
            return READER_GONE.into();
        }
        eprintln!("natrail: {error:#}");
        ERROR.into()
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Check(args) => check::run(args, config),
        Command::Db(args) => db::run(args, config),
        Command::Log(args) => log::run(args, config),
        Command::Decode(args) => decode::run(args, config),
        Command::Filter(args) => filter::run(args, config),
        Command::Exporters(args) => exporters::run(&args, config),
        Command::Formats(args) => formats::run(&args),
        Command::Ledger(args) => ledger::run(args, config),
        Command::Templates(args) => templates::run(&args, config),
        Command::Trace(args) => trace::run(args, config),
        Command::Generate(args) => generate::run(args),
    }
}

/// Whether nobody reads standard output any more, as with `natrail … | head -1`.
pub(crate) fn reader_is_gone() -> bool {
    let mut stdout = libc::pollfd {
        fd: std::io::stdout().as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one pollfd, borrowed mutably for the call, which does not wait.
    let answered = unsafe { libc::poll(&raw mut stdout, 1, 0) };
    answered == 1 && stdout.revents & libc::POLLERR != 0
}
