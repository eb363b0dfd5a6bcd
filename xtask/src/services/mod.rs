//! Kafka and PostgreSQL on loopback, for tests, benchmarks and the demo; each of them alone where that is enough.
//!
//! `NATRAIL_KAFKA` and `NATRAIL_DATABASE_URL` name servers of the user's own; those are never started or stopped.

mod daemon;
mod kafka;
mod mirror;
mod postgres;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::install::{self, Need};
use crate::{paths, progress};
use kafka::Kafka;
use postgres::Postgres;

/// Signs Debian's releases, the next one's too.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    Kafka,
    Postgres,
}

/// All there are.
pub const ALL: &[Service] = &[Service::Kafka, Service::Postgres];

#[derive(Subcommand)]
pub enum Command {
    /// Starts what does not run yet, and waits until it answers.
    Up {
        /// Only this one: the frame log needs no Kafka.
        #[arg(long)]
        only: Option<Service>,
    },
    /// Stops what `up` started.
    Down {
        /// Also removes the data; downloads stay.
        #[arg(long)]
        wipe: bool,
    },
    /// Says what runs where; exit code 0 only if all of it answers.
    Status {
        #[arg(long)]
        json: bool,
    },
}

/// What `services.json` says: the addresses of our own servers. `harness::services` reads it.
#[derive(Serialize)]
struct Own {
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_url: Option<String>,
}

#[derive(Serialize)]
struct Status {
    service: &'static str,
    address: String,
    /// `running`, `stopped`, or `external` for a server of the user's own.
    state: &'static str,
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<PathBuf>,
}

/// Runs the subcommand; false means that something is not up.
pub fn run(command: Command) -> Result<bool> {
    match command {
        Command::Up { only } => up(only.as_ref().map_or(ALL, std::slice::from_ref)).map(|()| true),
        Command::Down { wipe } => down(wipe).map(|()| true),
        Command::Status { json } => status(json),
    }
}

/// Starts those of the servers that do not run yet, and writes down where they are. What is not wanted is left as it is.
pub fn up(wanted: &[Service]) -> Result<()> {
    let cache = paths::cache()?;
    let _lock = lock()?;
    let (kafka, postgres) = (Kafka::new(&cache), Postgres::new(&cache));
    if wanted.contains(&Service::Kafka) {
        if let Some(address) = external("NATRAIL_KAFKA") {
            progress::say(&format!("Kafka is yours: {address}"));
        } else {
            paths::make_directory(&cache.join("kafka"))?;
            kafka.up()?;
        }
    }
    if wanted.contains(&Service::Postgres) {
        if let Some(url) = external("NATRAIL_DATABASE_URL") {
            progress::say(&format!("PostgreSQL is yours: {}", without_password(&url)));
        } else {
            paths::make_directory(&cache.join("postgres"))?;
            postgres.up()?;
        }
    }
    // All of ours that run, whatever is wanted now: others may be using them.
    let own = Own {
        kafka: kafka.is_up().then(|| kafka.address().to_string()),
        database_url: postgres.is_up().then(postgres::url),
    };
    // Renamed into place: readers poll for this file.
    let partial = cache.join("services.json.partial");
    paths::write(&partial, &format!("{}\n", serde_json::to_string(&own)?))?;
    std::fs::rename(&partial, cache.join("services.json")).context("cannot write services.json")
}

/// What a test needs to start a Kafka of its own, also where the shared one is the user's.
pub fn ensure_kafka_jars() -> Result<()> {
    let cache = paths::cache()?;
    let _lock = lock()?;
    paths::make_directory(&cache.join("kafka"))?;
    Kafka::new(&cache).ensure_jars()
}

/// What has to be installed for those of the servers that are ours.
pub fn needs(wanted: &[Service]) -> Vec<&'static [Need]> {
    wanted
        .iter()
        .filter_map(|service| match service {
            Service::Kafka => external("NATRAIL_KAFKA").is_none().then_some(install::KAFKA),
            Service::Postgres => external("NATRAIL_DATABASE_URL")
                .is_none()
                .then_some(install::POSTGRES),
        })
        .collect()
}

fn down(wipe: bool) -> Result<()> {
    let cache = paths::cache()?;
    let _lock = lock()?;
    std::fs::remove_file(cache.join("services.json")).ok();
    let (kafka, postgres) = (Kafka::new(&cache), Postgres::new(&cache));
    let stop = |name: &str, stop: &dyn Fn() -> Result<bool>| {
        progress::step(&format!("stopping {name}"), || {
            if !stop()? {
                progress::say("it does not run");
            }
            Ok(())
        })
    };
    stop("Kafka", &|| kafka.down())?;
    stop("PostgreSQL", &|| postgres.down())?;
    if wipe {
        progress::step("removing the data", || {
            kafka.wipe().and_then(|()| postgres.wipe())
        })?;
    }
    Ok(())
}

fn status(json: bool) -> Result<bool> {
    let cache = paths::cache()?;
    let (kafka, postgres) = (Kafka::new(&cache), Postgres::new(&cache));
    let of = |service, variable, own: String, daemon: &daemon::Daemon, up: bool| match external(variable) {
        Some(url) => Status {
            service,
            address: without_password(&url),
            state: "external",
            pid: None,
            log: None,
        },
        None => Status {
            service,
            address: own,
            state: if up { "running" } else { "stopped" },
            pid: daemon.running(),
            log: Some(daemon.log_file.clone()),
        },
    };
    let all = [
        of(
            "kafka",
            "NATRAIL_KAFKA",
            kafka.address().to_string(),
            &kafka.daemon,
            kafka.is_up(),
        ),
        of(
            "postgresql",
            "NATRAIL_DATABASE_URL",
            postgres::url(),
            &postgres.daemon,
            postgres.is_up(),
        ),
    ];
    if json {
        println!("{}", serde_json::to_string(&all)?);
    } else {
        for Status {
            service,
            address,
            state,
            pid,
            log,
        } in &all
        {
            let pid = pid.map(|pid| format!("pid {pid}")).unwrap_or_default();
            let log = log
                .as_ref()
                .map(|log| format!("log {}", log.display()))
                .unwrap_or_default();
            println!("{service:<11} {state:<9} {address:<48} {pid:<12} {log}");
        }
    }
    Ok(all.iter().all(|service| service.state != "stopped"))
}

fn external(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// `scheme://user:password@rest` as `scheme://user@rest`: addresses are printed, passwords are not.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    match rest.split_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => url.into(),
    }
}

/// Two `up` at once would start everything twice.
fn lock() -> Result<File> {
    let path = paths::cache()?.join("services.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_are_not_printed() {
        assert_eq!(
            without_password("postgresql://a:secret@db:5432/x"),
            "postgresql://a@db:5432/x"
        );
        assert_eq!(without_password("postgresql://a@db/x"), "postgresql://a@db/x");
        assert_eq!(
            without_password("kafka1:9092,kafka2:9092"),
            "kafka1:9092,kafka2:9092"
        );
    }
}
