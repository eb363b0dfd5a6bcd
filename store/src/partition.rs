//! Days as partitions or chunks, made and summarised.
//!
//! The writer makes exactly the days of a batch before its COPY, in transactions of their own. Made inside the COPY's
//! transaction, a day would make all other writers of that day wait for its commit, also one that has to commit first.
//!
//! - Native: a partition is created as a table of its own and then attached: ATTACH lets other connections go on writing,
//!   CREATE … PARTITION OF would wait for them and they for it.
//! - TimescaleDB makes a chunk when a row comes, and all editions have no other way: a row is inserted and deleted in
//!   one transaction. Nobody sees it, and the chunk stays.

use std::collections::{HashMap, HashSet};

use event::Kind;
use tokio_postgres::{Client, GenericClient};

use crate::migrate::{self, Storage};
use crate::time::{DAY_NS, PgTime};
use crate::{StoreError, layout};

/// Held while partitions are made: "natrailp" in ASCII.
const LOCK: i64 = 0x6e61_7472_6169_6c70;

/// What one writer knows of the days.
#[derive(Debug, Default)]
pub struct Partitions {
    storage: Option<Storage>,
    there: HashSet<(u8, i64)>,
    indexes: HashMap<(u8, i64), Vec<u32>>,
}

/// `session_y2026m11d23`.
pub fn partition_name(kind: Kind, day: i64) -> String {
    let date = jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().days(day))
        // Days come from 64-bit nanoseconds: 1677 to 2262.
        .unwrap_or(jiff::civil::Date::MAX);
    format!(
        "{}_y{:04}m{:02}d{:02}",
        layout::table(kind),
        date.year(),
        date.month(),
        date.day()
    )
}

/// Begin of a day, as far as `i64` nanoseconds reach.
fn begin(day: i64) -> PgTime {
    PgTime(day.saturating_mul(DAY_NS))
}

impl Partitions {
    /// Sees to it that rows of these days can be written. Must not be called inside a transaction.
    pub async fn ensure(&mut self, client: &mut Client, kind: Kind, days: &[i64]) -> Result<(), StoreError> {
        let storage = self.storage(client).await?;
        let missing: Vec<i64> = days
            .iter()
            .copied()
            .filter(|&day| !self.there.contains(&(kind as u8, day)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        make(client, storage, kind, &missing).await?;
        self.there.extend(missing.iter().map(|&day| (kind as u8, day)));
        Ok(())
    }

    /// Drops what is remembered: asked again at the next batch.
    pub fn forget(&mut self) {
        self.there.clear();
        self.indexes.clear();
    }

    async fn storage(&mut self, client: &Client) -> Result<Storage, StoreError> {
        if let Some(storage) = self.storage {
            return Ok(storage);
        }
        migrate::require_current(client).await?;
        let storage = migrate::storage(client).await?.ok_or_else(|| {
            StoreError::Schema(
                "natrail.setting does not say which storage is used; run `natrail db migrate`".into(),
            )
        })?;
        self.storage = Some(storage);
        Ok(storage)
    }

    /// Summarises the new block ranges of the given days. Outside of transactions: the function takes a lock on the table
    /// that would otherwise be held to the transaction's end.
    pub async fn summarise(&mut self, client: &Client, kind: Kind, days: &[i64]) -> Result<(), StoreError> {
        let storage = self.storage(client).await?;
        for &day in days {
            let key = (kind as u8, day);
            let indexes = match self.indexes.get(&key) {
                Some(indexes) => indexes.clone(),
                None => brin_indexes(client, storage, kind, day).await?,
            };
            let mut all_there = !indexes.is_empty();
            for index in &indexes {
                // An index that retention has dropped meanwhile has no row in pg_class, and nothing is called.
                let called = client
                    .execute(
                        "SELECT brin_summarize_new_values(oid) FROM pg_class WHERE oid = $1",
                        &[index],
                    )
                    .await
                    .map_err(StoreError::query("summarising new rows for BRIN"))?;
                all_there &= called == 1;
            }
            if all_there {
                self.indexes.insert(key, indexes);
            } else {
                self.indexes.remove(&key);
            }
        }
        Ok(())
    }
}

/// Makes the days that are missing, one transaction each.
async fn make(client: &mut Client, storage: Storage, kind: Kind, days: &[i64]) -> Result<(), StoreError> {
    let failed = || StoreError::query("making the partition of a day");
    for &day in days {
        let transaction = client.transaction().await.map_err(failed())?;
        transaction
            .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await
            .map_err(failed())?;
        if tables(&transaction, storage, kind, day).await?.is_empty() {
            transaction
                .batch_execute(&statement(storage, kind, day))
                .await
                .map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())?;
    }
    Ok(())
}

fn statement(storage: Storage, kind: Kind, day: i64) -> String {
    let table = layout::table(kind);
    let bound = |day: i64| crate::time::rfc3339(begin(day).0);
    let (from, to) = (bound(day), bound(day + 1));
    match storage {
        Storage::Native => {
            let name = partition_name(kind, day);
            format!(
                "CREATE TABLE natrail.{name} (LIKE natrail.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
                 ALTER TABLE natrail.{table} ATTACH PARTITION natrail.{name} FOR VALUES FROM ('{from}') TO ('{to}')"
            )
        }
        Storage::Timescale => format!(
            "INSERT INTO natrail.{table} (ts, received, frame_offset, stream, frame_index, event, time_source)
             VALUES ('{from}', '{from}', -1, 0, 0, 0, 0);
             DELETE FROM natrail.{table} WHERE ts = '{from}' AND stream = 0 AND event = 0"
        ),
    }
}

/// The partition or chunk that holds a day; none if there is none yet.
async fn tables(
    client: &impl GenericClient,
    storage: Storage,
    kind: Kind,
    day: i64,
) -> Result<Vec<u32>, StoreError> {
    let rows = match storage {
        Storage::Native => {
            client
                .query(
                    "SELECT inhrelid FROM pg_inherits WHERE inhrelid = to_regclass($1) AND inhparent = to_regclass($2)",
                    &[&format!("natrail.{}", partition_name(kind, day)), &format!("natrail.{}", layout::table(kind))],
                )
                .await
        }
        Storage::Timescale => {
            client
                .query(
                    "SELECT format('%I.%I', chunk_schema, chunk_name)::regclass::oid
                     FROM timescaledb_information.chunks
                     WHERE hypertable_schema = 'natrail' AND hypertable_name = $1
                           AND range_start < $3 AND range_end > $2",
                    &[&layout::table(kind), &begin(day), &begin(day + 1)],
                )
                .await
        }
    };
    let rows = rows.map_err(StoreError::query("looking for the partition of a day"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The BRIN indexes of the partition or chunk that holds a day.
async fn brin_indexes(
    client: &Client,
    storage: Storage,
    kind: Kind,
    day: i64,
) -> Result<Vec<u32>, StoreError> {
    let failed = || StoreError::query("looking for BRIN indexes");
    let tables = tables(client, storage, kind, day).await?;
    let rows = client
        .query(
            "SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                    JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
             WHERE i.indrelid = ANY ($1)",
            &[&tables],
        )
        .await
        .map_err(failed())?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Begin of the first and end of the last day that any event table has; `None` if there are no days.
pub(crate) async fn bounds(client: &Client) -> Result<Option<(i64, i64)>, StoreError> {
    let sql = match migrate::storage(client).await? {
        Some(Storage::Timescale) => {
            "SELECT min(range_start), max(range_end) FROM timescaledb_information.chunks WHERE hypertable_schema = 'natrail'"
        }
        _ => {
            "SELECT min(day), max(day) + INTERVAL '1 day'
             FROM pg_inherits JOIN pg_class ON oid = inhrelid,
                  to_timestamp(substring(relname FROM 'y\\d+m\\d\\dd\\d\\d$'), '\"y\"YYYY\"m\"MM\"d\"DD') AS day
             WHERE relnamespace = 'natrail'::regnamespace AND relkind = 'r'"
        }
    };
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(StoreError::query("looking for the days that are stored"))?;
    let (first, last): (Option<PgTime>, Option<PgTime>) = (row.get(0), row.get(1));
    Ok(first.zip(last).map(|(PgTime(first), PgTime(last))| (first, last)))
}
