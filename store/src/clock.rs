//! How far the clocks of exporters are off, as the consumers saw it last.

use std::net::IpAddr;

use serde::Serialize;
use tokio_postgres::Client;

use crate::StoreError;
use crate::time::{PgTime, rfc3339};

/// Exporters that are kept: those that were measured last.
pub const CLOCKS_MAX: i64 = 10_000;

/// What a consumer has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub exporter: IpAddr,
    /// Device time minus receive time, in microseconds: positive if the device's clock is ahead.
    pub skew_us: i64,
    /// Samples that it is the median of.
    pub samples: i32,
    /// Receive time of the newest sample, in microseconds since 1970.
    pub measured_us: i64,
}

/// What the database has of a clock.
#[derive(Clone, Debug, Serialize)]
pub struct Clock {
    pub exporter: IpAddr,
    /// As in [`Reading`].
    pub skew_us: i64,
    pub samples: i32,
    pub measured_at: String,
}

/// Keeps the readings, unless there are newer ones, and forgets the oldest of too many exporters.
pub async fn write(client: &Client, readings: &[Reading]) -> Result<(), StoreError> {
    let exporters: Vec<IpAddr> = readings.iter().map(|reading| reading.exporter).collect();
    let skews: Vec<i64> = readings.iter().map(|reading| reading.skew_us).collect();
    let samples: Vec<i32> = readings.iter().map(|reading| reading.samples).collect();
    let times: Vec<i64> = readings.iter().map(|reading| reading.measured_us).collect();
    client
        .execute(
            // In the order of the exporters: two consumers that write the same ones wait for each other, and no more.
            "INSERT INTO natrail.exporter_clock AS c (exporter, skew_us, samples, measured_at)
             SELECT r.exporter, r.skew_us, r.samples, 'epoch'::timestamptz + r.measured_us * interval '1 microsecond'
             FROM unnest($1::inet[], $2::int8[], $3::int4[], $4::int8[]) AS r (exporter, skew_us, samples, measured_us)
             ORDER BY r.exporter
             ON CONFLICT (exporter)
             DO UPDATE SET skew_us = excluded.skew_us, samples = excluded.samples, measured_at = excluded.measured_at
             WHERE c.measured_at <= excluded.measured_at",
            &[&exporters, &skews, &samples, &times],
        )
        .await
        .map_err(StoreError::query("writing the clocks of exporters"))?;
    client
        .execute(
            "DELETE FROM natrail.exporter_clock WHERE exporter IN
                 (SELECT exporter FROM natrail.exporter_clock ORDER BY measured_at DESC, exporter OFFSET $1)",
            &[&CLOCKS_MAX],
        )
        .await
        .map_err(StoreError::query("forgetting clocks of exporters"))?;
    Ok(())
}

/// All clocks, in the order of the exporters.
pub async fn read(client: &Client) -> Result<Vec<Clock>, StoreError> {
    let rows = client
        .query(
            "SELECT exporter, skew_us, samples, measured_at FROM natrail.exporter_clock ORDER BY exporter",
            &[],
        )
        .await
        .map_err(StoreError::query("reading the clocks of exporters"))?;
    Ok(rows
        .iter()
        .map(|row| Clock {
            exporter: row.get(0),
            skew_us: row.get(1),
            samples: row.get(2),
            measured_at: rfc3339(row.get::<_, PgTime>(3).0),
        })
        .collect())
}
