//! Schema versions, applied under a lock; which storage a database uses.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tokio_postgres::Client;

use crate::StoreError;

/// How the event tables are kept by day. Fixed when the schema is made, recorded in `natrail.setting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// TimescaleDB hypertables; both its Apache-2.0 build and the community edition.
    Timescale,
    /// PostgreSQL's own range partitions, made by the writer.
    Native,
}

impl Storage {
    /// `timescale` or `native`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timescale => "timescale",
            Self::Native => "native",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Storage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "timescale" => Ok(Self::Timescale),
            "native" => Ok(Self::Native),
            _ => Err(format!("{name:?} is no storage: timescale or native")),
        }
    }
}

/// One step of the schema. A file that was released is never changed: the next step changes what it made.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    /// Runs after `sql` where the storage is TimescaleDB.
    timescale: Option<&'static str>,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "base",
        sql: include_str!("../migrations/0001_base.sql"),
        timescale: None,
    },
    Migration {
        version: 2,
        name: "events",
        sql: include_str!("../migrations/0002_events.sql"),
        timescale: Some(include_str!("../migrations/0002_events.timescale.sql")),
    },
    Migration {
        version: 3,
        name: "cgn_ec_views",
        sql: include_str!("../migrations/0003_cgn_ec_views.sql"),
        timescale: None,
    },
    Migration {
        version: 4,
        name: "stream_sources",
        sql: include_str!("../migrations/0004_stream_sources.sql"),
        timescale: None,
    },
    Migration {
        version: 5,
        name: "ledger",
        sql: include_str!("../migrations/0005_ledger.sql"),
        timescale: None,
    },
    Migration {
        version: 6,
        name: "exporter_clocks",
        sql: include_str!("../migrations/0006_exporter_clocks.sql"),
        timescale: None,
    },
    Migration {
        version: 7,
        name: "flow_records",
        sql: include_str!("../migrations/0007_flow_records.sql"),
        timescale: None,
    },
];

/// The views of `cgn_ec_views`, under the names of cgn-ec's tables.
const VIEWS: [&str; 4] = [
    "session_mapping",
    "address_mapping",
    "port_mapping",
    "port_block_mapping",
];
/// In the migration files: a comment for TimescaleDB, code for native partitions.
const PARTITION_COMMENT: &str = "/* PARTITION BY RANGE (ts) */";
const PARTITION_CLAUSE: &str = " PARTITION BY RANGE (ts)";
/// Key of the advisory lock under which the schema is changed: "natrail\0" in ASCII.
const LOCK: i64 = 0x006e_6174_7261_696c;

/// What [`migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub storage: Storage,
    /// Version before, 0 for a new database.
    pub from: i32,
    /// Version now.
    pub to: i32,
    /// Names of the steps that were applied.
    pub applied: Vec<String>,
    /// Why TimescaleDB is not used, where it was looked for and not found.
    pub note: Option<String>,
}

/// A step that a database has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub version: i32,
    pub name: String,
    pub applied_at: String,
    #[serde(skip)]
    checksum: String,
}

/// The newest version this program knows.
pub fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |last| last.version)
}

/// Brings the schema to the newest version. Safe to call from many programs at once.
///
/// `storage`: `None` takes what the database already uses; a new database gets TimescaleDB where it is there or can be
/// created, else native partitions.
///
/// # Errors
/// [`StoreError::Schema`] if the database is newer than the program, if an applied step differs from the program's,
/// if `storage` contradicts the database, or if cgn-ec's own tables are in the way.
pub async fn migrate(client: &mut Client, storage: Option<Storage>) -> Result<Report, StoreError> {
    client
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(StoreError::query("waiting for the schema lock"))?;
    let done = migrate_locked(client, storage).await;
    let unlocked = client
        .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
        .await
        .map_err(StoreError::query("releasing the schema lock"));
    let report = done?;
    unlocked?;
    Ok(report)
}

async fn migrate_locked(client: &mut Client, asked: Option<Storage>) -> Result<Report, StoreError> {
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS natrail;
             CREATE TABLE IF NOT EXISTS natrail.migration (
                 version    int4 PRIMARY KEY,
                 name       text NOT NULL,
                 checksum   text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now()
             )",
        )
        .await
        .map_err(StoreError::query(
            "creating schema natrail (the database user needs CREATE on the database)",
        ))?;
    let present = applied(client).await?;
    let from = present.last().map_or(0, |last| last.version);
    if from > newest() {
        return Err(newer(from));
    }
    for have in &present {
        verify(client, have).await?;
    }
    let (storage, note) = choose_storage(client, asked).await?;
    let mut report = Report {
        storage,
        from,
        to: newest(),
        applied: Vec::new(),
        note,
    };
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > from) {
        apply(client, migration, storage).await?;
        report
            .applied
            .push(format!("{:04}_{}", migration.version, migration.name));
    }
    Ok(report)
}

fn newer(version: i32) -> StoreError {
    StoreError::Schema(format!(
        "the database has schema version {version}, this program knows up to {}: install the natrail release that made it, or newer",
        newest()
    ))
}

/// The steps that the database has, in order; none if it has no schema of ours.
pub async fn applied(client: &Client) -> Result<Vec<Applied>, StoreError> {
    let there = client
        .query_one("SELECT to_regclass('natrail.migration') IS NOT NULL", &[])
        .await
        .map_err(StoreError::query("looking for the schema"))?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT version, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
             FROM natrail.migration ORDER BY version",
            &[],
        )
        .await
        .map_err(StoreError::query("reading natrail.migration"))?;
    Ok(rows
        .iter()
        .map(|row| Applied {
            version: row.get(0),
            name: row.get(1),
            checksum: row.get(2),
            applied_at: row.get(3),
        })
        .collect())
}

/// Refuses a database that is not at the version of this program.
pub async fn require_current(client: &Client) -> Result<(), StoreError> {
    let version = applied(client).await?.last().map_or(0, |last| last.version);
    match version.cmp(&newest()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(newer(version)),
        std::cmp::Ordering::Less => Err(StoreError::Schema(format!(
            "the database has schema version {version}, this program needs {}: run `natrail db migrate`",
            newest()
        ))),
    }
}

async fn verify(client: &Client, have: &Applied) -> Result<(), StoreError> {
    let ours = MIGRATIONS
        .iter()
        .find(|migration| migration.version == have.version);
    let Some(ours) = ours else {
        return Err(StoreError::Schema(format!(
            "the database has a schema step {} ({}) that this program does not know",
            have.version, have.name
        )));
    };
    if checksum(client, ours).await? != have.checksum {
        return Err(StoreError::Schema(format!(
            "schema step {:04}_{} of the database was applied from another text than this program has: \
             it comes from an unreleased or altered natrail; use the program that made it, or restore from a backup",
            have.version, have.name
        )));
    }
    Ok(())
}

/// SHA-256 over both texts of a step, by the server.
async fn checksum(client: &Client, migration: &Migration) -> Result<String, StoreError> {
    let text = format!("{}\n{}", migration.sql, migration.timescale.unwrap_or_default());
    let row = client
        .query_one("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", &[&text])
        .await
        .map_err(StoreError::query("computing a checksum"))?;
    Ok(row.get(0))
}

async fn apply(client: &mut Client, migration: &Migration, storage: Storage) -> Result<(), StoreError> {
    let sum = checksum(client, migration).await?;
    let transaction = client
        .transaction()
        .await
        .map_err(StoreError::query("opening a transaction for the schema"))?;
    if migration.name == "cgn_ec_views" {
        refuse_foreign_tables(transaction.client()).await?;
    }
    let sql = match storage {
        Storage::Timescale => migration.sql.to_owned(),
        Storage::Native => migration.sql.replace(PARTITION_COMMENT, PARTITION_CLAUSE),
    };
    let failed = || StoreError::query("applying a schema step");
    transaction.batch_execute(&sql).await.map_err(failed())?;
    if let (Storage::Timescale, Some(sql)) = (storage, migration.timescale) {
        transaction.batch_execute(sql).await.map_err(failed())?;
    }
    if migration.version == 1 {
        transaction
            .execute(
                "INSERT INTO natrail.setting (name, value) VALUES ('storage', $1)",
                &[&storage.name()],
            )
            .await
            .map_err(failed())?;
    }
    transaction
        .execute(
            "INSERT INTO natrail.migration (version, name, checksum) VALUES ($1, $2, $3)",
            &[&migration.version, &migration.name, &sum],
        )
        .await
        .map_err(failed())?;
    transaction.commit().await.map_err(failed())
}

/// cgn-ec's tables have the names of our views.
async fn refuse_foreign_tables(client: &Client) -> Result<(), StoreError> {
    let rows = client
        .query(
            "SELECT relname::text FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1) ORDER BY relname",
            &[&VIEWS.as_slice()],
        )
        .await
        .map_err(StoreError::query("looking for tables of cgn-ec"))?;
    let names: Vec<String> = rows
        .iter()
        .map(|row| format!("public.{}", row.get::<_, String>(0)))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(StoreError::Schema(format!(
        "{} already exist{}: natrail puts views there that show its own tables with cgn-ec's columns. \
         Move them away first, for example `CREATE SCHEMA cgn_ec; ALTER TABLE {} SET SCHEMA cgn_ec;`, \
         or give natrail a database of its own",
        names.join(", "),
        if names.len() == 1 { "s" } else { "" },
        names[0],
    )))
}

/// What the database is recorded to use.
pub async fn storage(client: &Client) -> Result<Option<Storage>, StoreError> {
    let there = client
        .query_one("SELECT to_regclass('natrail.setting') IS NOT NULL", &[])
        .await
        .map_err(StoreError::query("looking for settings"))?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client
        .query_opt("SELECT value FROM natrail.setting WHERE name = 'storage'", &[])
        .await
        .map_err(StoreError::query("reading natrail.setting"))?;
    row.map(|row| row.get::<_, String>(0).parse().map_err(StoreError::Schema))
        .transpose()
}

async fn choose_storage(
    client: &Client,
    asked: Option<Storage>,
) -> Result<(Storage, Option<String>), StoreError> {
    if let Some(recorded) = storage(client).await? {
        return match asked {
            Some(asked) if asked != recorded => Err(StoreError::Schema(format!(
                "the database uses {recorded} storage, {asked} was asked for: the storage of a database cannot be changed; \
                 use a new database"
            ))),
            _ => Ok((recorded, None)),
        };
    }
    if asked == Some(Storage::Native) {
        return Ok((Storage::Native, None));
    }
    match provide_timescale(client).await? {
        None => Ok((Storage::Timescale, None)),
        Some(problem) if asked.is_some() => Err(StoreError::Schema(format!(
            "TimescaleDB cannot be used: {problem}"
        ))),
        Some(problem) => Ok((
            Storage::Native,
            Some(format!("native partitions are used: {problem}")),
        )),
    }
}

/// Creates the extension if it is not there. `Some`: why it cannot be used.
async fn provide_timescale(client: &Client) -> Result<Option<String>, StoreError> {
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'),
                    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb'),
                    EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb.%')",
            &[],
        )
        .await
        .map_err(StoreError::query("looking for TimescaleDB"))?;
    let (created, available, loaded): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    if created {
        return Ok(None);
    }
    if !available {
        return Ok(Some("the server does not have the extension timescaledb".into()));
    }
    // Without preloading, CREATE EXTENSION ends the connection; the loader's settings show that it is there.
    if !loaded {
        return Ok(Some(
            "timescaledb is not in the server's shared_preload_libraries".into(),
        ));
    }
    match client.batch_execute("CREATE EXTENSION timescaledb").await {
        Ok(()) => Ok(None),
        Err(error) if !error.is_closed() => Ok(Some(
            StoreError::Query {
                what: "CREATE EXTENSION timescaledb",
                error,
            }
            .to_string(),
        )),
        Err(error) => Err(StoreError::Query {
            what: "CREATE EXTENSION timescaledb",
            error,
        }),
    }
}
