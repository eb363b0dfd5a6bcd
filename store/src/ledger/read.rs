//! What the ledger has for a time.

use std::net::IpAddr;

use tokio_postgres::{Client, GenericClient, IsolationLevel};

use crate::StoreError;
use crate::time::PgTime;

/// Which minutes of the ledger are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Minutes that begin at or after this moment, ns since 1970 (UTC) …
    pub from_ns: i64,
    /// … and before this one.
    pub to_ns: i64,
}

/// A cell of an exporter in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Begin of the minute, ns since 1970 (UTC).
    pub minute_ns: i64,
    /// 0: counted by consumers.
    pub life: u64,
    /// `::`: not told apart.
    pub exporter: IpAddr,
    pub cell: String,
    pub count: i64,
}

/// A collector's life, with all that it ever counted without telling exporters apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub life: u64,
    pub host: String,
    pub started_ns: i64,
    pub heard_ns: i64,
    pub ended_ns: Option<i64>,
    pub has_xdp: bool,
    pub hold_max: i64,
    pub skew_interface: i64,
    pub skew_sockets: i64,
    pub waiting_frames: i64,
    /// By name.
    pub totals: Vec<(String, i64)>,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The database's clock, ns since 1970 (UTC).
    pub now_ns: i64,
    pub cells: Vec<Counted>,
    /// Collectors that were heard in the window.
    pub lives: Vec<Life>,
}

/// The database's clock, ns since 1970 (UTC).
pub async fn now(database: &impl GenericClient) -> Result<i64, StoreError> {
    let row = database.query_one("SELECT clock_timestamp()", &[]).await;
    let PgTime(now_ns) = row.map_err(StoreError::query("asking for the time"))?.get(0);
    Ok(now_ns)
}

/// Reads the window, in one snapshot.
pub async fn read(client: &mut Client, window: &Window) -> Result<Page, StoreError> {
    crate::migrate::require_current(client).await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(StoreError::query("opening a snapshot"))?;
    let page = Page {
        now_ns: now(&transaction).await?,
        cells: cells(&transaction, window).await?,
        lives: lives(&transaction, window).await?,
    };
    transaction
        .rollback()
        .await
        .map_err(StoreError::query("closing the snapshot"))?;
    Ok(page)
}

async fn cells(database: &impl GenericClient, window: &Window) -> Result<Vec<Counted>, StoreError> {
    let rows = database
        .query(
            "SELECT minute, life, exporter, cell, count FROM natrail.ledger
             WHERE minute >= $1 AND minute < $2
             ORDER BY minute, exporter, cell, life",
            &[&PgTime(window.from_ns), &PgTime(window.to_ns)],
        )
        .await
        .map_err(StoreError::query("reading the ledger"))?;
    let counted = rows.iter().map(|row| {
        let PgTime(minute_ns) = row.get(0);
        Counted {
            minute_ns,
            life: row.get::<_, i64>(1).cast_unsigned(),
            exporter: row.get(2),
            cell: row.get(3),
            count: row.get(4),
        }
    });
    Ok(counted.collect())
}

async fn lives(database: &impl GenericClient, window: &Window) -> Result<Vec<Life>, StoreError> {
    let rows = database
        .query(
            "SELECT life, host, started, heard, ended, has_xdp, hold_max, skew_interface, skew_sockets, waiting_frames,
                    ARRAY (SELECT c.cell FROM natrail.ledger c WHERE c.life = l.life AND c.life <> 0 AND c.exporter = '::'
                           GROUP BY c.cell ORDER BY c.cell),
                    ARRAY (SELECT sum(c.count)::int8 FROM natrail.ledger c
                           WHERE c.life = l.life AND c.life <> 0 AND c.exporter = '::' GROUP BY c.cell ORDER BY c.cell)
             FROM natrail.ledger_life l WHERE heard >= $1 AND started < $2 ORDER BY started, life",
            &[&PgTime(window.from_ns), &PgTime(window.to_ns)],
        )
        .await
        .map_err(StoreError::query("reading the collectors of the ledger"))?;
    let time = |value: PgTime| value.0;
    let lives = rows.iter().map(|row| Life {
        life: row.get::<_, i64>(0).cast_unsigned(),
        host: row.get(1),
        started_ns: time(row.get(2)),
        heard_ns: time(row.get(3)),
        ended_ns: row.get::<_, Option<PgTime>>(4).map(time),
        has_xdp: row.get(5),
        hold_max: row.get(6),
        skew_interface: row.get(7),
        skew_sockets: row.get(8),
        waiting_frames: row.get(9),
        totals: (row.get::<_, Vec<String>>(10).into_iter())
            .zip(row.get::<_, Vec<i64>>(11))
            .collect(),
    });
    Ok(lives.collect())
}
