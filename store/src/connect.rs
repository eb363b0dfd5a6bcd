//! Connections.

use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::StoreError;

/// How long one connection attempt may take unless the connection string says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a connection and spawns the task that drives it on the current tokio runtime.
///
/// The session speaks UTC, and the server ends a transaction that its client has left idle for two minutes, so that a
/// frozen consumer does not hold a stream's row for ever.
///
/// # Errors
/// [`StoreError::Url`] and [`StoreError::Connect`]; neither text contains the password.
pub async fn connect(url: &str) -> Result<Client, StoreError> {
    let mut config: Config = url
        .parse()
        .map_err(|error: tokio_postgres::Error| StoreError::Url {
            reason: reason(&error),
        })?;
    if config.get_hosts().is_empty() {
        return Err(StoreError::Url {
            reason: "it names no host".into(),
        });
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(StoreError::Url {
            reason: "sslmode=require is asked for, and natrail does not speak TLS to the database yet".into(),
        });
    }
    if config.get_application_name().is_none() {
        config.application_name("natrail");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.keepalives_idle(Duration::from_secs(30));
    let failed = |error: tokio_postgres::Error| StoreError::Connect {
        target: target(&config),
        advice: advice(&error),
        error,
    };
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(async move {
        // The client's next call reports the same; this line names it when no call is made any more.
        if let Err(error) = connection.await {
            tracing::warn!(%error, "database connection ended");
        }
    });
    client
        .batch_execute(
            "SET timezone = 'UTC'; SET idle_in_transaction_session_timeout = '2min'; SET client_min_messages = warning",
        )
        .await
        .map_err(failed)?;
    Ok(client)
}

/// The parser's words without the chance of repeating a password.
fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// `name at host:port as user`.
fn target(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = config
                .get_ports()
                .get(index)
                .or(config.get_ports().first())
                .copied()
                .unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}/.s.PGSQL.{port}", path.display()),
            }
        })
        .collect();
    let user = config.get_user().unwrap_or("(none)");
    format!(
        "{} at {} as {user}",
        config.get_dbname().unwrap_or(user),
        hosts.join(", ")
    )
}

fn advice(error: &tokio_postgres::Error) -> &'static str {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("3D000") => "create the database, or name another one in [database] url or NATRAIL_DATABASE_URL",
        Some(code) if code.starts_with("28") => {
            "check user and password in [database] url or NATRAIL_DATABASE_URL, and the server's pg_hba.conf"
        }
        Some(code) if code.starts_with("57P") => "the server is starting or stopping; try again",
        Some("53300") => "raise max_connections, or end other sessions",
        _ => "is PostgreSQL running there? check [database] url and NATRAIL_DATABASE_URL",
    }
}
