//! Whether anything is stored around a moment: "no record" and "no data for that time" are different answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use event::Kind;
use serde::Serialize;
use tokio_postgres::{GenericClient, Transaction};

use super::{Query, read};
use crate::time::PgTime;
use crate::{StoreError, layout};

/// An event this near to the moment means that there is data for it. Ten minutes.
pub const AROUND_NS: i64 = 600 * 1_000_000_000;

/// The events next to the moment, of any address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Last event at or before the moment.
    #[serde(rename = "last_before", serialize_with = "super::optional_time")]
    pub before_ns: Option<i64>,
    /// First event at or after it.
    #[serde(rename = "first_after", serialize_with = "super::optional_time")]
    pub after_ns: Option<i64>,
    /// Whether one of the two is within [`AROUND_NS`] of the moment.
    pub data_around: bool,
    /// The routers that ever announced something of this address (and port). Where there are some, `data_around` is about them.
    pub exporters: BTreeSet<IpAddr>,
}

/// Looks for the nearest events.
pub async fn coverage(
    database: &Transaction<'_>,
    query: &Query,
    exporters: &BTreeSet<IpAddr>,
) -> Result<Coverage, StoreError> {
    let around = |at: Option<i64>| at.is_some_and(|at| at.abs_diff(query.at_ns) <= AROUND_NS.unsigned_abs());
    let before_ns = nearest(database, query.at_ns, Side::Before, None).await?;
    let after_ns = nearest(database, query.at_ns, Side::After, None).await?;
    let mut data_around = around(before_ns) || around(after_ns);
    if data_around && !exporters.is_empty() {
        let numbers: Vec<i64> = exporters.iter().filter_map(|&ip| read::number(ip)).collect();
        let others: Vec<IpAddr> = exporters
            .iter()
            .copied()
            .filter(|&ip| read::number(ip).is_none())
            .collect();
        let theirs = Some((numbers, others));
        data_around = nearest(database, query.at_ns, Side::Before, theirs.as_ref())
            .await?
            .is_some()
            || nearest(database, query.at_ns, Side::After, theirs.as_ref())
                .await?
                .is_some();
    }
    Ok(Coverage {
        before_ns,
        after_ns,
        data_around,
        exporters: exporters.clone(),
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Side {
    Before,
    After,
}

pub(crate) type Exporters = (Vec<i64>, Vec<IpAddr>);

/// The nearest event on one side. There is no B-tree on the time, but BRIN and partitions make a search in a window cheap
/// if the window has few rows; so windows grow until one has any. Of some exporters only within [`AROUND_NS`].
pub(crate) async fn nearest(
    database: &impl GenericClient,
    at: i64,
    side: Side,
    exporters: Option<&Exporters>,
) -> Result<Option<i64>, StoreError> {
    const SECOND: i64 = 1_000_000_000;
    let windows: Vec<i64> = match exporters {
        None => (0..9)
            .map(|power| SECOND * 10i64.pow(power))
            .chain([i64::MAX])
            .collect(),
        Some(_) => vec![SECOND, 30 * SECOND, AROUND_NS],
    };
    for window in windows {
        let (aggregate, from, to) = match side {
            Side::Before => ("max", at.saturating_sub(window), at),
            Side::After => ("min", at, at.saturating_add(window)),
        };
        let restriction = if exporters.is_some() {
            "AND (exporter = ANY ($3) OR exporter6 = ANY ($4))"
        } else {
            ""
        };
        let tables: Vec<String> = Kind::ALL
            .iter()
            .map(|&kind| {
                format!(
                    "SELECT {aggregate}(ts) AS ts FROM natrail.{} WHERE ts >= $1 AND ts <= $2 {restriction}",
                    layout::table(kind)
                )
            })
            .collect();
        let sql = format!(
            "SELECT {aggregate}(ts) FROM ({}) AS nearest",
            tables.join(" UNION ALL ")
        );
        let failed = StoreError::query("looking for the nearest events");
        let row = match exporters {
            None => database.query_one(&sql, &[&PgTime(from), &PgTime(to)]).await,
            Some((numbers, others)) => {
                database
                    .query_one(&sql, &[&PgTime(from), &PgTime(to), numbers, others])
                    .await
            }
        };
        let found: Option<PgTime> = row.map_err(failed)?.get(0);
        if let Some(PgTime(ns)) = found {
            return Ok(Some(ns));
        }
    }
    Ok(None)
}
