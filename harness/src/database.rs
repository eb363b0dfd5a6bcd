//! A database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
pub use postgres::Client;
use postgres::NoTls;

use crate::services::database_url;

/// An empty database, dropped with the value.
///
/// Each question is asked from a thread of its own, so that tests with an async runtime may use it as well.
#[derive(Debug)]
pub struct Database {
    server_url: String,
    name: String,
    keep: bool,
}

impl Database {
    /// Makes `natrail_<tag>_<process>_<number>` on the server of [`database_url`].
    pub fn new(tag: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server_url = database_url()?;
        let name = format!(
            "natrail_{tag}_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        // A process before us may have had the same id, and been killed.
        execute(
            &server_url,
            &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"),
        )?;
        execute(&server_url, &format!("CREATE DATABASE \"{name}\""))?;
        Ok(Self {
            server_url,
            name,
            keep: false,
        })
    }

    /// Leaves the database there when the value is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connection string of this database.
    pub fn url(&self) -> String {
        with_database(&self.server_url, &self.name)
    }

    /// A blocking connection. Not for use inside an async runtime.
    pub fn connect(&self) -> Result<Client> {
        connect(&self.url())
    }

    /// Runs statements that give nothing back.
    pub fn execute(&self, sql: &str) -> Result<()> {
        execute(&self.url(), sql)
    }

    /// The one integer that a query gives.
    pub fn integer(&self, sql: &str) -> Result<i64> {
        let url = self.url();
        apart(|| {
            let row = connect(&url)?
                .query_one(sql, &[])
                .with_context(|| format!("query failed: {sql}"))?;
            row.try_get(0).with_context(|| format!("not one bigint: {sql}"))
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = execute(
            &self.server_url,
            &format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name),
        ) {
            eprintln!("{error:#}");
        }
    }
}

fn execute(url: &str, sql: &str) -> Result<()> {
    apart(|| {
        connect(url)?
            .batch_execute(sql)
            .with_context(|| format!("failed: {sql}"))
    })
}

fn connect(url: &str) -> Result<Client> {
    Client::connect(url, NoTls).context("cannot connect to PostgreSQL: try `cargo xtask services up`")
}

/// The blocking client panics when its thread is one of an async runtime.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The same server, another database: `scheme://authority/DATABASE?parameters`.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url
        .split_once('?')
        .map_or((url, None), |(left, right)| (left, Some(right)));
    let authority_begin = address.find("://").map_or(0, |at| at + 3);
    let authority_end = address[authority_begin..]
        .find('/')
        .map_or(address.len(), |at| authority_begin + at);
    let mut text = format!("{}/{name}", &address[..authority_end]);
    if let Some(parameters) = parameters {
        text.push('?');
        text.push_str(parameters);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, wanted) in [
            ("postgresql://a@h:1/x", "postgresql://a@h:1/y"),
            ("postgresql://a@h:1", "postgresql://a@h:1/y"),
            (
                "postgresql://a@h/x?connect_timeout=3",
                "postgresql://a@h/y?connect_timeout=3",
            ),
        ] {
            assert_eq!(with_database(url, "y"), wanted);
        }
    }
}
