//! Instants between ns since 1970 (events) and µs since 2000 (PostgreSQL's `timestamptz`).

use std::error::Error;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// 2000-01-01T00:00:00Z in µs since 1970.
const PG_EPOCH_US: i64 = 946_684_800_000_000;
/// Nanoseconds of a UTC day.
pub const DAY_NS: i64 = 86_400_000_000_000;

/// ns since 1970 as PostgreSQL's µs since 2000, rounded down.
///
/// Every `i64` has a place (1677 to 2262; `timestamptz` reaches from 4713 BC to 294276 AD). All instants are rounded in
/// the same direction, so that comparisons between them keep their outcome.
pub const fn pg_micros(ns: i64) -> i64 {
    ns.div_euclid(1000) - PG_EPOCH_US
}

/// PostgreSQL's µs since 2000 as ns since 1970, as far as `i64` reaches.
pub const fn ns_from_pg(micros: i64) -> i64 {
    micros.saturating_add(PG_EPOCH_US).saturating_mul(1000)
}

/// The UTC day of an instant, counted from 1970-01-01.
pub const fn day_of(ns: i64) -> i64 {
    ns.div_euclid(DAY_NS)
}

/// A `timestamptz` as ns since 1970, for parameters and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgTime(pub i64);

impl<'a> FromSql<'a> for PgTime {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let bytes = raw.try_into().map_err(|_| "a timestamp has 8 bytes")?;
        Ok(Self(ns_from_pg(i64::from_be_bytes(bytes))))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&pg_micros(self.0).to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

/// RFC 3339 in UTC with six digits, as stored.
pub fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns))
        .map_or_else(|_| format!("{ns} ns"), |time| format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_round_down_on_both_sides_of_1970() {
        for (ns, micros) in [(0, 0), (999, 0), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2)] {
            assert_eq!(pg_micros(ns) + PG_EPOCH_US, micros, "{ns}");
        }
        assert_eq!(pg_micros(i64::MIN) + PG_EPOCH_US, -9_223_372_036_854_776);
        assert_eq!(day_of(-1), -1);
        assert_eq!(day_of(DAY_NS), 1);
        assert_eq!(rfc3339(1_500_000), "1970-01-01T00:00:00.001500Z");
    }
}
