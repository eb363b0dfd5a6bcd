//! Who had this public address and port at this moment.
//!
//! The question is about intervals, not rows. All events of the outside address (and port) are read in the order of
//! their time and [`replay`]ed; a mapping is an answer if it was in force at any time within the tolerance of the
//! moment asked for, however long before it was made. Lost creations and lost deletes are made up for where other
//! events tell, and what is not known is said to be unknown.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "the form of serde's serialize_with"
)]

pub(crate) mod coverage;
mod read;
pub mod replay;

use std::net::IpAddr;

use event::{Action, Kind, TimeSource};
use serde::{Serialize, Serializer};
use tokio_postgres::{Client, IsolationLevel};

pub use coverage::{AROUND_NS, Coverage};

use crate::StoreError;
use crate::time::rfc3339;

/// Answers that are kept; more are counted in [`Answer::more`].
pub const MAPPINGS_MAX: usize = 10_000;

/// The question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Query {
    pub public: IpAddr,
    /// Outside port, or query identifier for ICMP. `None`: all candidates are given.
    pub port: Option<u16>,
    /// IANA number. `None`: all.
    pub protocol: Option<u8>,
    /// The moment, ns since 1970 (UTC).
    #[serde(rename = "at", serialize_with = "time")]
    pub at_ns: i64,
    /// How far clocks may be off, to both sides.
    #[serde(rename = "tolerance_s", serialize_with = "seconds")]
    pub tolerance_ns: i64,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub query: Query,
    pub coverage: Coverage,
    /// Those in force at the very moment first, then those of known begin first, then by begin, latest first.
    pub mappings: Vec<Mapping>,
    /// How many more there are than [`MAPPINGS_MAX`].
    pub more: usize,
}

/// A mapping that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    #[serde(serialize_with = "kind")]
    pub kind: Kind,
    /// The router that announced it.
    pub exporter: IpAddr,
    /// `None`: valid for all protocols, or not stated.
    pub protocol: Option<u8>,
    pub src_ip: IpAddr,
    pub src_port: Option<u16>,
    pub x_ip: IpAddr,
    pub x_port: Option<u16>,
    pub dst_ip: Option<IpAddr>,
    pub dst_port: Option<u16>,
    pub start_port: Option<u16>,
    pub end_port: Option<u16>,
    pub port_step: Option<u16>,
    pub vrf: Option<String>,
    pub subscriber: Option<String>,
    pub begin: Begin,
    pub end: End,
    /// Whether it was in force at the very moment, not only within the tolerance.
    pub at_the_moment: bool,
    /// The events that say so: the first and the last few of them, in order.
    pub evidence: Vec<Evidence>,
    /// How many events there are.
    pub evidence_total: usize,
}

/// When a mapping began, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Begin {
    /// Its creation was announced.
    Created {
        #[serde(rename = "time", serialize_with = "time")]
        at_ns: i64,
    },
    /// Its creation was not received, but a later message states the begin.
    Stated {
        #[serde(rename = "time", serialize_with = "time")]
        at_ns: i64,
    },
    /// Neither: it began between these two moments.
    Unknown {
        /// Last moment at which another mapping is known to have held the same outside end.
        #[serde(rename = "not_before", serialize_with = "optional_time")]
        after_ns: Option<i64>,
        /// The first event of it that was received.
        #[serde(rename = "not_after", serialize_with = "time")]
        until_ns: i64,
    },
}

impl Begin {
    /// The earliest begin that is possible.
    pub const fn earliest(self) -> i64 {
        match self {
            Self::Created { at_ns } | Self::Stated { at_ns } => at_ns,
            Self::Unknown {
                after_ns: Some(after_ns),
                ..
            } => after_ns,
            Self::Unknown { after_ns: None, .. } => i64::MIN,
        }
    }

    /// Whether neither a creation nor a statement gives the begin.
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// When a mapping ended, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum End {
    /// No end was received: still open as far as is known.
    Open,
    /// Its delete was announced. In force up to and including this moment.
    Deleted {
        #[serde(rename = "time", serialize_with = "time")]
        at_ns: i64,
    },
    /// Its delete was not received, but from this moment on another inside end holds the same outside end.
    Superseded {
        #[serde(rename = "time", serialize_with = "time")]
        at_ns: i64,
    },
}

impl End {
    /// Whether a mapping that ends so is still in force at `moment`.
    pub const fn reaches(self, moment: i64) -> bool {
        match self {
            Self::Open => true,
            Self::Deleted { at_ns } => at_ns >= moment,
            Self::Superseded { at_ns } => at_ns > moment,
        }
    }
}

/// One event, and where its raw bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    #[serde(serialize_with = "action")]
    pub event: Action,
    #[serde(rename = "time", serialize_with = "time")]
    pub time_ns: i64,
    #[serde(serialize_with = "source")]
    pub time_source: TimeSource,
    #[serde(rename = "received", serialize_with = "time")]
    pub received_ns: i64,
    #[serde(skip)]
    pub stream: i32,
    /// Bus, topic and partition of the stream.
    pub bus: String,
    pub topic: String,
    pub partition: i32,
    /// Offset of the frame in the partition, and position of the event in the frame.
    pub offset: i64,
    pub index: i32,
}

/// Finds the mappings that were in force, in one snapshot of the database.
pub async fn trace(client: &mut Client, query: &Query) -> Result<Answer, StoreError> {
    crate::migrate::require_current(client).await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(StoreError::query("opening a snapshot"))?;
    transaction
        // A key is always found faster by BRIN than by reading the table, also where no statistics are there yet.
        .batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
        .await
        .map_err(StoreError::query("preparing the trace"))?;
    let found = read::mappings(&transaction, query).await?;
    let coverage = coverage::coverage(&transaction, query, &found.exporters).await?;
    let mut mappings = found.mappings;
    mappings.sort_by_key(|mapping| {
        (
            !mapping.at_the_moment,
            mapping.begin.is_unknown(),
            std::cmp::Reverse(mapping.begin.earliest()),
        )
    });
    read::name_streams(&transaction, &mut mappings).await?;
    transaction
        .rollback()
        .await
        .map_err(StoreError::query("closing the snapshot"))?;
    Ok(Answer {
        query: *query,
        coverage,
        mappings,
        more: found.more,
    })
}

fn time<S: Serializer>(ns: &i64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&rfc3339(*ns))
}

fn optional_time<S: Serializer>(ns: &Option<i64>, out: S) -> Result<S::Ok, S::Error> {
    match ns {
        Some(ns) => time(ns, out),
        None => out.serialize_none(),
    }
}

fn seconds<S: Serializer>(ns: &i64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(*ns as f64 / 1e9)
}

fn kind<S: Serializer>(kind: &Kind, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(kind.name())
}

fn action<S: Serializer>(action: &Action, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(action.name())
}

fn source<S: Serializer>(source: &TimeSource, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(source.name())
}
