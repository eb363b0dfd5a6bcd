//! Errors of the store, in words for the operator.

use std::fmt::Write as _;

/// Why the database could not do what was asked. The text has the server's words in it; there is no further source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// the connection string cannot be used
    #[error(
        "database connection string: {reason}; expected postgresql://user@host:port/name in [database] url or NATRAIL_DATABASE_URL"
    )]
    Url { reason: String },
    /// nobody answers, or the server refuses the login
    #[error("cannot connect to database {target}: {}; {advice}", describe(error))]
    Connect {
        target: String,
        advice: &'static str,
        error: tokio_postgres::Error,
    },
    /// the server refused a statement, or the connection broke
    #[error("{what}: {}", describe(error))]
    Query {
        what: &'static str,
        error: tokio_postgres::Error,
    },
    /// the schema is not what this program needs
    #[error("{0}")]
    Schema(String),
    /// an address has more stored mappings than a trace may hold in memory
    #[error("{0}")]
    TooMany(String),
    /// input that is not what it should be
    #[error("{0}")]
    Input(String),
}

impl StoreError {
    /// For `map_err`: says what was tried.
    pub fn query(what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |error| Self::Query { what, error }
    }

    /// Whether the connection is gone, so that a new one may help.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Query { error, .. } => {
                error.is_closed() || error.code().is_none_or(|code| code.code().starts_with("57P"))
            }
            _ => false,
        }
    }

    /// The SQLSTATE, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Connect { error, .. } | Self::Query { error, .. } => {
                error.code().map(tokio_postgres::error::SqlState::code)
            }
            _ => None,
        }
    }
}

/// Why rows and offsets were not committed. In each case nothing of the batch is stored, unless the connection broke
/// while the server committed: the position of the stream tells.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// somebody else has moved the stream: this worker no longer owns it
    #[error(
        "stream {stream} is at offset {found} and not at {expected}: another consumer has taken it over; nothing was written"
    )]
    Fenced { stream: i32, expected: i64, found: i64 },
    /// the database failed
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The server's words with detail and hint; `tokio_postgres` alone prints "db error".
fn describe(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                let _ = write!(text, ": {inner_text}");
            }
            cause = inner.source();
        }
        return text;
    };
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    for (name, more) in [
        ("detail", db.detail()),
        ("hint", db.hint()),
        ("where", db.where_()),
    ] {
        if let Some(more) = more {
            let _ = write!(text, "; {name}: {more}");
        }
    }
    text
}
