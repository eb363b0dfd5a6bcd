//! `natrail ledger`: where is every datagram?
//!
//! - [`account`]: whether the equations close;
//! - [`advice`]: what to do where one does not;
//! - [`around`]: what was lost around a moment, for a trace;
//! - [`page`]: the answer for people; [`json`]: for programs.

pub mod account;
mod advice;
pub mod around;
mod json;
mod page;

use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use config::Config;
use store::connect;
use store::ledger::{Page, Window, read};

use crate::trace::{duration, moment};
use account::Account;

const MINUTE_NS: i64 = wire::ledger::MINUTE_NS as i64;

/// Say where every datagram is, station by station, and whether all of it adds up.
///
/// What came to the interfaces is what XDP dropped and passed on; what was received is what was framed and dropped; what was
/// framed is what was taken and lost; what was taken is what was stored, ignored and dead letters. Each for every exporter and
/// minute, interfaces and sockets for every collector since its start. docs/ledger.md explains the cells.
///
/// Exit codes: 0 it closes, 1 it does not, 2 it cannot be said: no data for that time, or the database is at fault.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// From when on: 1h, 30m, 2d ago, or a time with its zone, 2026-03-01T12:00:00Z. Whole minutes are taken
    #[arg(long, value_name = "DURATION|RFC3339", default_value = "1h", value_parser = since)]
    since: Since,
    /// Up to when: as --since [default: now]
    #[arg(long, value_name = "DURATION|RFC3339", value_parser = since)]
    until: Option<Since>,
    /// Only this exporter: an address, a prefix, or a name of the configuration
    #[arg(long, value_name = "ADDRESS|NAME")]
    exporter: Option<String>,
    /// Also a table: a line for each exporter, or each minute
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What the lines of the table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    Exporter,
    Minute,
}

/// A moment, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(i64),
    At(i64),
}

fn since(text: &str) -> Result<Since, String> {
    duration(text)
        .map(Since::Ago)
        .or_else(|_| moment(text).map(Since::At))
        .map_err(|_| {
            "expected a duration as 1h, 30m, 2d, or a time with its zone as 2026-03-01T12:00:00Z".into()
        })
}

pub fn run(args: Args, config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load_or_default(config)?;
    let wanted = args
        .exporter
        .as_deref()
        .map(|exporter| prefixes(exporter, &config))
        .transpose()?;
    let is_wanted = |exporter: IpAddr| {
        let prefixes = wanted.iter().flatten();
        prefixes.into_iter().any(|prefix| prefix.contains(&exporter))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O runtime")?;
    let (page, window) = runtime.block_on(look(&args, &config.database.url))?;
    if page.cells.is_empty() && page.lives.is_empty() {
        bail!(
            "the ledger has nothing from {} to {}: did a collector and a consumer run then? It keeps {} days",
            store::time::rfc3339(window.from_ns),
            store::time::rfc3339(window.to_ns),
            store::ledger::retention::KEPT_DAYS
        );
    }
    let is_wanted: Option<&dyn Fn(IpAddr) -> bool> = args.exporter.as_ref().map(|_| &is_wanted as _);
    let account = Account::new(&page, &window, is_wanted);
    let text = if args.json {
        serde_json::to_string(&json::Answer::new(&account, &window, args.by))? + "\n"
    } else {
        page::page(&account, &window, page.now_ns, args.by)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::from(u8::from(!account.closes())))
}

async fn look(args: &Args, url: &str) -> Result<(Page, Window)> {
    let mut client = connect::connect(url).await?;
    let now_ns = read::now(&client).await?;
    let at = |since: Since| match since {
        Since::Ago(ns) => now_ns.saturating_sub(ns),
        Since::At(ns) => ns,
    };
    // Clocks of other machines may be ahead a little.
    let to_ns = args.until.map_or(now_ns.saturating_add(MINUTE_NS), at);
    let window = Window {
        from_ns: at(args.since).div_euclid(MINUTE_NS) * MINUTE_NS,
        to_ns,
    };
    Ok((read::read(&mut client, &window).await?, window))
}

/// The prefixes that a name or address stands for.
fn prefixes(exporter: &str, config: &Config) -> Result<Vec<ipnet::IpNet>> {
    if let Ok(prefix) = exporter.parse() {
        return Ok(vec![prefix]);
    }
    if let Ok(address) = exporter.parse::<IpAddr>() {
        return Ok(vec![address.into()]);
    }
    let named = (config.exporters.list.iter()).filter(|entry| entry.name.as_deref() == Some(exporter));
    let prefixes: Vec<_> = named.map(|entry| entry.address).collect();
    if prefixes.is_empty() {
        bail!("--exporter {exporter}: neither an address nor the name of an [[exporters.exporter]]");
    }
    Ok(prefixes)
}
