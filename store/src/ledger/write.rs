//! What a batch adds to the ledger.

use std::borrow::Cow;
use std::net::IpAddr;

use tokio_postgres::{Client, Statement};

use crate::StoreError;
use crate::time::PgTime;

/// What is added to a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Begin of the minute, ns since 1970 (UTC).
    pub minute_ns: i64,
    /// The collector's life, 0 for what consumers count.
    pub life: u64,
    /// `::`: not told apart.
    pub exporter: IpAddr,
    pub cell: Cow<'static, str>,
    pub count: i64,
}

/// What a collector said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeState {
    pub life: u64,
    pub host: String,
    /// ns since 1970 (UTC).
    pub started_ns: i64,
    pub heard_ns: i64,
    pub has_ended: bool,
    pub has_xdp: bool,
    pub hold_max: i64,
    pub skew_interface: i64,
    pub skew_sockets: i64,
    pub waiting_frames: i64,
}

/// All that a batch adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    cells: Vec<Added>,
    lives: Vec<LifeState>,
}

impl Changes {
    /// No cell of an exporter, minute and life twice, and no life twice.
    pub fn new(mut cells: Vec<Added>, mut lives: Vec<LifeState>) -> Self {
        // All writers lock rows in this order: two of them cannot wait for each other.
        cells.sort_unstable_by(|a, b| {
            (a.minute_ns, a.life, a.exporter, &a.cell).cmp(&(b.minute_ns, b.life, b.exporter, &b.cell))
        });
        lives.sort_unstable_by_key(|life| life.life);
        Self { cells, lives }
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.lives.is_empty()
    }

    pub fn cells(&self) -> &[Added] {
        &self.cells
    }

    pub fn lives(&self) -> &[LifeState] {
        &self.lives
    }
}

/// The statements of one connection.
pub(crate) struct Statements {
    cells: Statement,
    lives: Statement,
}

impl Statements {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let prepare = |sql| async move {
            client
                .prepare(sql)
                .await
                .map_err(StoreError::query("preparing the ledger"))
        };
        Ok(Self {
            // A forged count stops at the end of its range instead of failing.
            cells: prepare(
                "INSERT INTO natrail.ledger AS l (minute, life, exporter, cell, count)
                 SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::inet[], $4::text[], $5::int8[])
                 ON CONFLICT (minute, life, exporter, cell)
                 DO UPDATE SET count = l.count + least(excluded.count, 9223372036854775807 - l.count)",
            )
            .await?,
            lives: prepare(
                "INSERT INTO natrail.ledger_life AS l
                     (life, host, started, heard, ended, has_xdp, hold_max, skew_interface, skew_sockets, waiting_frames)
                 SELECT a.life, a.host, a.started, a.heard, CASE WHEN a.has_ended THEN a.heard END, a.has_xdp, a.hold_max,
                        a.skew_interface, a.skew_sockets, a.waiting_frames
                 FROM unnest($1::int8[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bool[], $6::bool[], $7::int8[],
                             $8::int8[], $9::int8[], $10::int8[])
                      AS a (life, host, started, heard, has_ended, has_xdp, hold_max, skew_interface, skew_sockets,
                            waiting_frames)
                 ON CONFLICT (life)
                 DO UPDATE SET heard = excluded.heard, ended = coalesce(l.ended, excluded.ended),
                     hold_max = excluded.hold_max, skew_interface = excluded.skew_interface,
                     skew_sockets = excluded.skew_sockets, waiting_frames = excluded.waiting_frames
                 WHERE excluded.heard >= l.heard",
            )
            .await?,
        })
    }

    /// Adds to the tables, in the open transaction.
    pub(crate) async fn write(&self, client: &Client, changes: &Changes) -> Result<(), StoreError> {
        self.write_cells(client, &changes.cells).await?;
        self.write_lives(client, &changes.lives).await
    }

    async fn write_cells(&self, client: &Client, cells: &[Added]) -> Result<(), StoreError> {
        if cells.is_empty() {
            return Ok(());
        }
        let minutes: Vec<PgTime> = cells.iter().map(|added| PgTime(added.minute_ns)).collect();
        let lives: Vec<i64> = cells.iter().map(|added| added.life.cast_signed()).collect();
        let exporters: Vec<IpAddr> = cells.iter().map(|added| added.exporter).collect();
        let names: Vec<&str> = cells.iter().map(|added| added.cell.as_ref()).collect();
        let counts: Vec<i64> = cells.iter().map(|added| added.count).collect();
        client
            .execute(&self.cells, &[&minutes, &lives, &exporters, &names, &counts])
            .await
            .map_err(StoreError::query("adding to the ledger"))?;
        Ok(())
    }

    async fn write_lives(&self, client: &Client, lives: &[LifeState]) -> Result<(), StoreError> {
        if lives.is_empty() {
            return Ok(());
        }
        let numbers = |value: fn(&LifeState) -> i64| lives.iter().map(value).collect::<Vec<i64>>();
        let times = |value: fn(&LifeState) -> i64| {
            let times = lives.iter().map(|life| PgTime(value(life)));
            times.collect::<Vec<PgTime>>()
        };
        let flags = |value: fn(&LifeState) -> bool| lives.iter().map(value).collect::<Vec<bool>>();
        let hosts: Vec<&str> = lives.iter().map(|life| life.host.as_str()).collect();
        client
            .execute(
                &self.lives,
                &[
                    &numbers(|life| life.life.cast_signed()),
                    &hosts,
                    &times(|life| life.started_ns),
                    &times(|life| life.heard_ns),
                    &flags(|life| life.has_ended),
                    &flags(|life| life.has_xdp),
                    &numbers(|life| life.hold_max),
                    &numbers(|life| life.skew_interface),
                    &numbers(|life| life.skew_sockets),
                    &numbers(|life| life.waiting_frames),
                ],
            )
            .await
            .map_err(StoreError::query("noting collectors in the ledger"))?;
        Ok(())
    }
}
