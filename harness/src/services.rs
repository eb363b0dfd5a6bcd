//! Where Kafka and PostgreSQL are.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Addresses of the servers that tests use.
#[derive(Clone, Debug)]
pub struct Services {
    /// `host:port`.
    pub kafka: String,
    /// `postgresql://…`; the role may create databases and extensions.
    pub database_url: String,
}

/// What `cargo xtask services up` leaves behind: its own servers only.
#[derive(Default, Deserialize)]
struct Written {
    kafka: Option<String>,
    database_url: Option<String>,
}

/// Both servers, see [`kafka`] and [`database_url`].
pub fn services() -> Result<Services> {
    Ok(Services {
        kafka: kafka()?,
        database_url: database_url()?,
    })
}

/// `NATRAIL_KAFKA`, else the Kafka that `cargo xtask services up` started, as `host:port`.
pub fn kafka() -> Result<String> {
    let own = || written().kafka;
    variable("NATRAIL_KAFKA")
        .or_else(own)
        .context("no Kafka to test with: run `cargo xtask services up`, or set NATRAIL_KAFKA")
}

/// `NATRAIL_DATABASE_URL`, else the PostgreSQL that `cargo xtask services up` started, as `postgresql://…`. It may be
/// there without Kafka: the frame log needs none.
pub fn database_url() -> Result<String> {
    let own = || written().database_url;
    variable("NATRAIL_DATABASE_URL").or_else(own).context(
        "no PostgreSQL to test with: run `cargo xtask services up --only postgres`, or set NATRAIL_DATABASE_URL",
    )
}

/// `$NATRAIL_CACHE`, else `$XDG_CACHE_HOME/natrail`, else `~/.cache/natrail`: downloads and data that `cargo clean`
/// does not touch.
pub fn cache() -> Result<PathBuf> {
    variable("NATRAIL_CACHE")
        .map(PathBuf::from)
        .or_else(|| variable("XDG_CACHE_HOME").map(|path| PathBuf::from(path).join("natrail")))
        .or_else(|| variable("HOME").map(|path| PathBuf::from(path).join(".cache/natrail")))
        .context("no place for downloads and data: set HOME or NATRAIL_CACHE")
}

fn written() -> Written {
    let text = cache().and_then(|cache| Ok(std::fs::read_to_string(cache.join("services.json"))?));
    text.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
