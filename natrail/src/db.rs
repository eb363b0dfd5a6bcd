//! `natrail db`: the database's schema and state.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use config::Config;
use store::compare::Comparison;
use store::migrate::Report;
use store::status::Status;
use store::{Storage, compare, connect, migrate, status};

use crate::trace::table;

/// Make, look at and check the database.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Bring the schema to the version of this program. Safe to repeat, and beside running consumers.
    Migrate {
        /// timescale or native; only for a new database [default: timescale where the server has it]
        #[arg(long)]
        storage: Option<Storage>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say which schema, storage, tables and streams the database has.
    Status {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Compare the stored events with a list of those that should be there.
    ///
    /// The file has one JSON object a line, as `natrail generate --expect` writes it. Exit codes: 0 equal, 1 different,
    /// 2 the file or the database is at fault.
    Compare {
        /// The expected events
        #[arg(long, value_name = "FILE")]
        expect: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args, config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load_or_default(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O runtime")?;
    let (text, code) = runtime.block_on(answer(args.command, &config.database.url))?;
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(code)
}

async fn answer(command: Command, url: &str) -> Result<(String, ExitCode)> {
    let mut client = connect::connect(url).await?;
    match command {
        Command::Migrate { storage, json } => {
            let report = migrate::migrate(&mut client, storage).await?;
            Ok((
                if json { line(&report)? } else { migrated(&report) },
                ExitCode::SUCCESS,
            ))
        }
        Command::Status { json } => {
            let status = status::status(&client).await?;
            Ok((
                if json { line(&status)? } else { page(&status) },
                ExitCode::SUCCESS,
            ))
        }
        Command::Compare { expect, json } => {
            let file =
                std::fs::File::open(&expect).with_context(|| format!("cannot read {}", expect.display()))?;
            let begun = Instant::now();
            let mut said = begun;
            let progress = |events| {
                if said.elapsed() > Duration::from_secs(2) {
                    said = Instant::now();
                    eprintln!(
                        "natrail: {events} expected events loaded in {} s",
                        begun.elapsed().as_secs()
                    );
                }
            };
            let comparison = compare::compare(&mut client, BufReader::new(file), progress).await?;
            let code = ExitCode::from(u8::from(!comparison.is_equal()));
            Ok((
                if json {
                    line(&comparison)?
                } else {
                    differences(&comparison)
                },
                code,
            ))
        }
    }
}

fn line(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

fn migrated(report: &Report) -> String {
    let mut out = String::new();
    for step in &report.applied {
        let _ = writeln!(out, "applied {step}");
    }
    if let Some(note) = &report.note {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(
        out,
        "schema version {} (was {}), storage {}",
        report.to, report.from, report.storage
    );
    out
}

fn page(status: &Status) -> String {
    let mut out = format!("server   {}", status.server);
    match &status.timescale {
        Some(timescale) => {
            let _ = writeln!(
                out,
                ", TimescaleDB {} ({} licence)",
                timescale.version, timescale.license
            );
        }
        None => out.push_str(", without TimescaleDB\n"),
    }
    let _ = writeln!(
        out,
        "schema   version {} of {}",
        status.schema_version, status.newest_version
    );
    if status.schema_version < status.newest_version {
        out.push_str("         run `natrail db migrate`\n");
        return out;
    }
    if status.schema_version > status.newest_version {
        out.push_str("         made by a newer natrail: install that release\n");
        return out;
    }
    let _ = writeln!(
        out,
        "storage  {}",
        status.storage.map_or("unknown", Storage::name)
    );
    let shown = |time: &Option<String>| time.clone().unwrap_or_else(|| "none".into());
    let _ = writeln!(
        out,
        "events   from {} to {}\n",
        shown(&status.oldest),
        shown(&status.newest)
    );
    let mut rows = vec![["TABLE", "DAYS", "ROWS (ABOUT)", "MIB"].map(String::from)];
    rows.extend(status.tables.iter().map(|table| {
        let mib = table.bytes as f64 / f64::from(1 << 20);
        [
            table.name.clone(),
            table.days.to_string(),
            table.rows_estimate.to_string(),
            format!("{mib:.1}"),
        ]
    }));
    table(&mut out, &rows);
    out.push('\n');
    let head = [
        "STREAM",
        "NEXT",
        "FRAMES",
        "DATAGRAMS",
        "EVENTS",
        "IGNORED",
        "DEAD",
        "PARTLY",
        "BAD FRAMES",
        "DUPLICATE",
        "MISSING",
        "MOVED",
    ];
    let mut rows = vec![head.map(String::from)];
    rows.extend(status.streams.iter().map(|stream| {
        [
            format!("{} {}/{}", stream.bus, stream.topic, stream.partition),
            stream.next_offset.to_string(),
            stream.frames.to_string(),
            stream.datagrams.to_string(),
            stream.events.to_string(),
            stream.ignored.to_string(),
            stream.dead_letters.to_string(),
            stream.partly.to_string(),
            stream.bad_frames.to_string(),
            stream.duplicate_frames.to_string(),
            stream.missing_frames.to_string(),
            stream.updated_at.clone(),
        ]
    }));
    table(&mut out, &rows);
    out
}

fn differences(comparison: &Comparison) -> String {
    let Comparison {
        expected,
        stored,
        missing,
        extra,
        ..
    } = comparison;
    let mut out = format!("expected {expected}, stored {stored}, missing {missing}, extra {extra}\n");
    for (what, first) in [
        ("missing", &comparison.first_missing),
        ("extra", &comparison.first_extra),
    ] {
        for difference in first {
            let _ = writeln!(out, "{what}: {difference}");
        }
    }
    out
}
