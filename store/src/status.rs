//! What is in a database.

use serde::Serialize;
use tokio_postgres::Client;

use crate::migrate::{self, Applied, Storage};
use crate::time::{PgTime, rfc3339};
use crate::trace::coverage::{Side, nearest};
use crate::{StoreError, partition};

/// Everything `natrail db status` says.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `PostgreSQL 17.6 …`, as the server says.
    pub server: String,
    pub timescale: Option<Timescale>,
    pub schema_version: i32,
    /// The version that this program makes.
    pub newest_version: i32,
    pub steps: Vec<Applied>,
    pub storage: Option<Storage>,
    pub tables: Vec<Table>,
    /// Time of the oldest and of the newest event of all tables.
    pub oldest: Option<String>,
    pub newest: Option<String>,
    pub streams: Vec<Stream>,
}

/// The extension, if the database has it.
#[derive(Clone, Debug, Serialize)]
pub struct Timescale {
    pub version: String,
    /// `apache`: hypertables only; `timescale`: the community edition, whose columnstore natrail does not use yet.
    pub license: String,
}

/// An event table with all its days.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub name: String,
    /// Days that have a partition or chunk.
    pub days: i64,
    /// From the server's statistics, or from the size where there are none yet.
    pub rows_estimate: i64,
    /// With indexes.
    pub bytes: i64,
}

/// A stream and its totals.
#[derive(Clone, Debug, Serialize)]
pub struct Stream {
    pub id: i32,
    pub bus: String,
    pub topic: String,
    pub partition: i32,
    /// Offset of the next frame to take; -1: none was taken yet.
    pub next_offset: i64,
    pub frames: i64,
    pub datagrams: i64,
    pub events: i64,
    pub ignored: i64,
    pub dead_letters: i64,
    /// Dead letters that gave events as well.
    pub partly: i64,
    pub bad_frames: i64,
    /// Frames that had been taken before.
    pub duplicate_frames: i64,
    /// Frames that their source numbered and that never came.
    pub missing_frames: i64,
    pub updated_at: String,
}

/// Size of a stored row, about; for estimates without statistics.
const ROW_BYTES: i64 = 140;

/// Looks at the database. Works on one that has no schema yet, too.
pub async fn status(client: &Client) -> Result<Status, StoreError> {
    let failed = || StoreError::query("reading the status");
    let row = client
        .query_one(
            "SELECT current_setting('server_version'),
                    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
                    current_setting('timescaledb.license', true)",
            &[],
        )
        .await
        .map_err(failed())?;
    let timescale = row.get::<_, Option<String>>(1).map(|version| Timescale {
        version,
        license: row
            .get::<_, Option<String>>(2)
            .unwrap_or_else(|| "unknown".into()),
    });
    let steps = migrate::applied(client).await?;
    let mut status = Status {
        server: format!("PostgreSQL {}", row.get::<_, String>(0)),
        timescale,
        schema_version: steps.last().map_or(0, |last| last.version),
        newest_version: migrate::newest(),
        steps,
        storage: migrate::storage(client).await?,
        tables: Vec::new(),
        oldest: None,
        newest: None,
        streams: Vec::new(),
    };
    if status.schema_version == migrate::newest() {
        status.tables = tables(client).await?;
        status.streams = streams(client).await?;
        let (oldest, newest) = bounds(client).await?;
        status.oldest = oldest.map(rfc3339);
        status.newest = newest.map(rfc3339);
    }
    Ok(status)
}

async fn tables(client: &Client) -> Result<Vec<Table>, StoreError> {
    let rows = client
        .query(
            "SELECT p.relname::text, count(c.oid),
                    coalesce(sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples
                                      ELSE pg_relation_size(c.oid) / $1::int8 END), 0)::int8,
                    coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8
             FROM unnest(ARRAY['session', 'port', 'block', 'address']) WITH ORDINALITY AS t (name, place)
                  JOIN pg_class p ON p.relname = t.name AND p.relnamespace = 'natrail'::regnamespace
                  LEFT JOIN pg_inherits i ON i.inhparent = p.oid
                  LEFT JOIN pg_class c ON c.oid = i.inhrelid
             GROUP BY p.relname, t.place ORDER BY t.place",
            &[&ROW_BYTES],
        )
        .await
        .map_err(StoreError::query("reading the sizes of tables"))?;
    Ok(rows
        .iter()
        .map(|row| Table {
            name: row.get(0),
            days: row.get(1),
            rows_estimate: row.get(2),
            bytes: row.get(3),
        })
        .collect())
}

async fn streams(client: &Client) -> Result<Vec<Stream>, StoreError> {
    let rows = client
        .query(
            "SELECT id, bus, topic, partition, next_offset, frames, datagrams, events, ignored, dead_letters, bad_frames,
                    duplicate_frames, missing_frames, updated_at, partly
             FROM natrail.stream ORDER BY bus, topic, partition",
            &[],
        )
        .await
        .map_err(StoreError::query("reading streams"))?;
    Ok(rows
        .iter()
        .map(|row| Stream {
            id: row.get(0),
            bus: row.get(1),
            topic: row.get(2),
            partition: row.get(3),
            next_offset: row.get(4),
            frames: row.get(5),
            datagrams: row.get(6),
            events: row.get(7),
            ignored: row.get(8),
            dead_letters: row.get(9),
            bad_frames: row.get(10),
            duplicate_frames: row.get(11),
            missing_frames: row.get(12),
            updated_at: rfc3339(row.get::<_, PgTime>(13).0),
            partly: row.get(14),
        })
        .collect())
}

/// Oldest and newest event. The search begins at the outer ends of the days that have a partition or chunk.
async fn bounds(client: &Client) -> Result<(Option<i64>, Option<i64>), StoreError> {
    let Some((first, last)) = partition::bounds(client).await? else {
        return Ok((None, None));
    };
    let oldest = nearest(client, first, Side::After, None).await?;
    let newest = nearest(client, last, Side::Before, None).await?;
    Ok((oldest, newest))
}
