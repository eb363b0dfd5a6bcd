//! What is dropped from the ledger.

use tokio_postgres::Client;

use crate::StoreError;

/// Days that the ledger is kept. At 100 exporters a day is a million rows and less than 100 MB.
pub const KEPT_DAYS: i32 = 35;
/// Rows that are deleted at once, so that no delete holds up those who count.
const AT_ONCE: i64 = 50_000;

/// Deletes what is older than [`KEPT_DAYS`]; gives the number of rows.
pub async fn drop_old(client: &Client) -> Result<u64, StoreError> {
    let mut dropped = 0;
    loop {
        let deleted = client
            .execute(
                "DELETE FROM natrail.ledger WHERE ctid = ANY (ARRAY (
                     SELECT ctid FROM natrail.ledger WHERE minute < now() - make_interval(days => $1) LIMIT $2))",
                &[&KEPT_DAYS, &AT_ONCE],
            )
            .await
            .map_err(StoreError::query("dropping old minutes of the ledger"))?;
        dropped += deleted;
        if deleted < AT_ONCE.unsigned_abs() {
            break;
        }
    }
    client
        .execute(
            "DELETE FROM natrail.ledger_life WHERE heard < now() - make_interval(days => $1)",
            &[&KEPT_DAYS],
        )
        .await
        .map_err(StoreError::query("dropping old collectors of the ledger"))?;
    Ok(dropped)
}
