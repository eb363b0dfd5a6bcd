//! The tables against a list of expected events, as multisets in both directions.
//!
//! The list has one JSON object a line with the keys of [`Expected`]. It is loaded by COPY into a temporary table, and the
//! server counts what is on one side more often than on the other. Times are those of the device: a null `timestamp` is
//! an event without one, and then no time is compared.

use std::io::BufRead;
use std::net::IpAddr;

use bytes::Bytes;
use event::{Action, Kind, TimeSource};
use futures_util::SinkExt as _;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Transaction};

use crate::time::rfc3339;
use crate::{StoreError, layout};

/// How many differences of each sort are shown.
const SHOWN: i64 = 5;
/// COPY data is sent in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// One expected event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: String,
    event: String,
    exporter: IpAddr,
    protocol: Option<u8>,
    src_ip: IpAddr,
    src_port: Option<u16>,
    x_ip: Option<IpAddr>,
    x_port: Option<u16>,
    dst_ip: Option<IpAddr>,
    dst_port: Option<u16>,
    start_port: Option<u16>,
    end_port: Option<u16>,
    port_step: Option<u16>,
    vrf: Option<String>,
    subscriber: Option<String>,
    timestamp: Option<String>,
    time_source: String,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub expected: i64,
    pub stored: i64,
    /// Expected and not stored, or not often enough.
    pub missing: i64,
    /// Stored and not expected, or too often.
    pub extra: i64,
    /// The first few, as objects with `count`.
    pub first_missing: Vec<serde_json::Value>,
    pub first_extra: Vec<serde_json::Value>,
}

impl Comparison {
    pub const fn is_equal(&self) -> bool {
        self.missing == 0 && self.extra == 0
    }
}

/// The columns compared, and how each kind's table gives them (NULL where it has none).
const COLUMNS: [(&str, &str); 17] = [
    ("kind", "int2"),
    ("event", "int2"),
    ("exporter", "inet"),
    ("protocol", "int2"),
    ("src_ip", "inet"),
    ("src_port", "int4"),
    ("x_ip", "inet"),
    ("x_port", "int4"),
    ("dst_ip", "inet"),
    ("dst_port", "int4"),
    ("start_port", "int4"),
    ("end_port", "int4"),
    ("port_step", "int4"),
    ("vrf", "text"),
    ("subscriber", "text"),
    ("device_ts", "timestamptz"),
    ("time_source", "int2"),
];

/// Compares. `progress` is called now and then with the number of expected events loaded so far.
///
/// # Errors
/// [`StoreError::Input`] names the line that is no expected event.
pub async fn compare(
    client: &mut Client,
    expected: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<Comparison, StoreError> {
    let failed = || StoreError::query("comparing the tables with the expected events");
    crate::migrate::require_current(client).await?;
    let transaction = client.transaction().await.map_err(failed())?;
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, sql_type)| format!("{name} {sql_type}"))
        .collect();
    transaction
        .batch_execute(&format!(
            "SET LOCAL work_mem = '256MB';
             CREATE TEMP TABLE natrail_expected ({}) ON COMMIT DROP",
            columns.join(", ")
        ))
        .await
        .map_err(failed())?;
    load(&transaction, expected, &mut progress).await?;
    let names: Vec<&str> = COLUMNS.iter().map(|&(name, _)| name).collect();
    let names = names.join(", ");
    let stored: Vec<String> = Kind::ALL.into_iter().map(stored).collect();
    transaction
        .batch_execute(&format!(
            "CREATE TEMP TABLE natrail_counts ON COMMIT DROP AS
             SELECT {names}, sum(is_expected) AS expected, count(*) - sum(is_expected) AS stored
             FROM (SELECT {names}, 1 AS is_expected FROM natrail_expected UNION ALL {}) AS both_sides
             GROUP BY {names}",
            stored.join(" UNION ALL ")
        ))
        .await
        .map_err(failed())?;
    let row = transaction
        .query_one(
            "SELECT coalesce(sum(expected), 0)::int8, coalesce(sum(stored), 0)::int8,
                    coalesce(sum(greatest(expected - stored, 0)), 0)::int8,
                    coalesce(sum(greatest(stored - expected, 0)), 0)::int8
             FROM natrail_counts",
            &[],
        )
        .await
        .map_err(failed())?;
    let comparison = Comparison {
        expected: row.get(0),
        stored: row.get(1),
        missing: row.get(2),
        extra: row.get(3),
        first_missing: first(&transaction, "expected - stored").await?,
        first_extra: first(&transaction, "stored - expected").await?,
    };
    transaction.rollback().await.map_err(failed())?;
    Ok(comparison)
}

/// The rows of a kind's table in the columns of the comparison.
fn stored(kind: Kind) -> String {
    let have = layout::columns(kind);
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|&(name, sql_type)| match name {
            "kind" => format!("{}::int2", kind as u8),
            "time_source" => "CASE WHEN device_ts IS NULL THEN 0::int2 ELSE time_source END".into(),
            _ if !have.contains(&name) => format!("NULL::{sql_type}"),
            _ if sql_type == "inet" => format!("coalesce({name}6, '0.0.0.0'::inet + {name})"),
            _ => name.into(),
        })
        .collect();
    format!(
        "SELECT {}, 0 FROM natrail.{}",
        columns.join(", "),
        layout::table(kind)
    )
}

async fn load(
    transaction: &Transaction<'_>,
    expected: impl BufRead,
    progress: &mut impl FnMut(u64),
) -> Result<(), StoreError> {
    let failed = || StoreError::query("loading the expected events");
    let sink = transaction
        .copy_in::<_, Bytes>("COPY natrail_expected FROM STDIN")
        .await
        .map_err(failed())?;
    let mut sink = std::pin::pin!(sink);
    let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
    for (index, line) in expected.lines().enumerate() {
        let wrong = |reason: String| {
            StoreError::Input(format!("line {} of the expected events: {reason}", index + 1))
        };
        let line = line.map_err(|error| wrong(error.to_string()))?;
        if line.is_empty() {
            continue;
        }
        let event: Expected = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        push(&mut piece, &event).map_err(wrong)?;
        if piece.len() >= PIECE_BYTES {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES + 4096));
            sink.send(full.into()).await.map_err(failed())?;
            progress(index as u64 + 1);
        }
    }
    sink.send(piece.into()).await.map_err(failed())?;
    sink.finish().await.map_err(failed())?;
    Ok(())
}

/// Appends a line of COPY's text format.
fn push(out: &mut Vec<u8>, event: &Expected) -> Result<(), String> {
    let number =
        |what: &str, name: &str, found: Option<u8>| found.ok_or_else(|| format!("{name:?} is no {what}"));
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == event.kind)
        .map(|kind| kind as u8);
    let action = [Action::Created, Action::Deleted, Action::Updated];
    let action = action
        .into_iter()
        .find(|action| action.name() == event.event)
        .map(|action| action as u8);
    let source = [
        TimeSource::Receive,
        TimeSource::DeviceHeader,
        TimeSource::DeviceEvent,
    ];
    let source = source
        .into_iter()
        .find(|source| source.name() == event.time_source)
        .map(|source| source as u8);
    let instant = |text: &String| {
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|error| format!("timestamp {text:?}: {error}"))?;
        let ns =
            i64::try_from(time.as_nanosecond()).map_err(|_| format!("timestamp {text:?} is out of range"))?;
        // Stored times are rounded down to microseconds.
        Ok::<_, String>(rfc3339(ns.div_euclid(1000) * 1000))
    };
    let time = event.timestamp.as_ref().map(instant).transpose()?;
    let (port, ip) = (
        |port: Option<u16>| port.map(|port| port.to_string()),
        |ip: IpAddr| Some(ip.to_string()),
    );
    let fields = [
        Some(number("kind", &event.kind, kind)?.to_string()),
        Some(number("event", &event.event, action)?.to_string()),
        ip(event.exporter),
        event.protocol.map(|protocol| protocol.to_string()),
        ip(event.src_ip),
        port(event.src_port),
        event.x_ip.and_then(ip),
        port(event.x_port),
        event.dst_ip.and_then(ip),
        port(event.dst_port),
        port(event.start_port),
        port(event.end_port),
        port(event.port_step),
        event.vrf.clone(),
        event.subscriber.clone(),
        time,
        Some(number("time source", &event.time_source, source)?.to_string()),
    ];
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        let Some(field) = field else {
            out.extend_from_slice(b"\\N");
            continue;
        };
        for byte in field.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                _ => out.push(byte),
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

/// The first few groups of which there are more on one side.
async fn first(transaction: &Transaction<'_>, excess: &str) -> Result<Vec<serde_json::Value>, StoreError> {
    let rows = transaction
        .query(
            &format!(
                "SELECT (jsonb_strip_nulls(to_jsonb(c)) || jsonb_build_object('count', {excess}))::text
                 FROM natrail_counts c WHERE {excess} > 0 ORDER BY device_ts, x_ip, x_port LIMIT $1"
            ),
            &[&SHOWN],
        )
        .await
        .map_err(StoreError::query("reading the differences"))?;
    rows.iter()
        .map(|row| {
            serde_json::from_str(row.get::<_, &str>(0))
                .map(name_numbers)
                .map_err(|error| StoreError::Schema(format!("the server's JSON: {error}")))
        })
        .collect()
}

/// Words for the numbers of kind and event.
fn name_numbers(mut difference: serde_json::Value) -> serde_json::Value {
    let kind = difference["kind"]
        .as_u64()
        .and_then(|number| Kind::ALL.get(number as usize))
        .map(|kind| kind.name());
    let actions = [Action::Created, Action::Deleted, Action::Updated];
    let action = actions
        .into_iter()
        .find(|&action| difference["event"] == action as u8)
        .map(Action::name);
    difference["kind"] = kind.into();
    difference["event"] = action.into();
    difference
}
