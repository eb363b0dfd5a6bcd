//! BRIN learns about new rows, and old minutes of the ledger are dropped, on a connection of its own: neither is worth holding
//! back a batch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use event::Kind;
use store::partition::Partitions;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::Client;

/// How often the touched days are summarised.
const EVERY: Duration = Duration::from_secs(5);

/// How often the ledger's old minutes are dropped.
const DROP_EVERY: Duration = Duration::from_hours(1);

/// Days that a committed batch wrote to: (kind, days since 1970).
pub type Touched = Vec<(Kind, i64)>;

/// Summarises every few seconds what came in through `touched`, and once more when its senders are gone.
///
/// A failure costs look-ups some time until the next round or autovacuum, never a row: it is only noted.
pub async fn serve(url: String, mut touched: UnboundedReceiver<Touched>) {
    let mut due = BTreeSet::new();
    let mut connection = None;
    let mut dropped: Option<Instant> = None;
    let mut ended = false;
    while !ended {
        let round = tokio::time::sleep(EVERY);
        tokio::pin!(round);
        loop {
            tokio::select! {
                () = &mut round => break,
                more = touched.recv() => {
                    let Some(days) = more else {
                        ended = true;
                        break;
                    };
                    due.extend(days.into_iter().map(|(kind, day)| (kind as u8, day)));
                }
            }
        }
        if due.is_empty() {
            continue;
        }
        if let Err(error) = summarise(&url, &mut connection, &due).await {
            tracing::debug!("new rows are not summarised yet: {error}");
            connection = None;
            continue;
        }
        due.clear();
        if let Some((client, _)) = &connection
            && dropped.is_none_or(|at| at.elapsed() >= DROP_EVERY)
            && !ended
        {
            dropped = Some(Instant::now());
            if let Err(error) = store::ledger::retention::drop_old(client).await {
                tracing::warn!("{error}; the ledger keeps them for another hour");
                connection = None;
            }
        }
    }
}

async fn summarise(
    url: &str,
    connection: &mut Option<(Client, Partitions)>,
    due: &BTreeSet<(u8, i64)>,
) -> Result<(), store::StoreError> {
    let (client, partitions) = match connection {
        Some(open) => open,
        None => connection.insert((store::connect::connect(url).await?, Partitions::default())),
    };
    for kind in Kind::ALL {
        let days: Vec<i64> = due
            .iter()
            .filter(|(of, _)| *of == kind as u8)
            .map(|&(_, day)| day)
            .collect();
        if !days.is_empty() {
            partitions.summarise(client, kind, &days).await?;
        }
    }
    Ok(())
}
