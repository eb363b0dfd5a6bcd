//! BRIN learns about new rows, the database about the exporters' clocks, and old minutes of the ledger are dropped, on a
//! connection of its own: none of it is worth holding back a batch.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use event::Kind;
use store::clock::{self, Reading};
use store::partition::Partitions;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::Client;

/// How often this is done.
const EVERY: Duration = Duration::from_secs(5);

/// How often the ledger's old minutes are dropped.
const DROP_EVERY: Duration = Duration::from_hours(1);

/// What a committed batch leaves to do.
#[derive(Debug, Default)]
pub struct Touched {
    /// Days that it wrote to: (kind, days since 1970).
    pub days: Vec<(Kind, i64)>,
    /// What is new of the exporters' clocks.
    pub clocks: Vec<Reading>,
}

/// What is left to do of several batches.
#[derive(Debug, Default)]
struct Due {
    days: BTreeSet<(u8, i64)>,
    /// The newest of each exporter. The assembler remembers so many exporters, and no more.
    clocks: HashMap<IpAddr, Reading>,
}

impl Due {
    fn add(&mut self, touched: Touched) {
        self.days
            .extend(touched.days.into_iter().map(|(kind, day)| (kind as u8, day)));
        self.clocks.extend(
            touched
                .clocks
                .into_iter()
                .map(|reading| (reading.exporter, reading)),
        );
    }
}

/// Summarises every few seconds what came in through `touched`, and once more when its senders are gone.
///
/// A failure costs look-ups some time until the next round or autovacuum, never a row: it is only noted.
pub async fn serve(url: String, mut touched: UnboundedReceiver<Touched>) {
    let mut due = Due::default();
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
                    let Some(more) = more else {
                        ended = true;
                        break;
                    };
                    due.add(more);
                }
            }
        }
        if due.days.is_empty() && due.clocks.is_empty() {
            continue;
        }
        if let Err(error) = settle(&url, &mut connection, &mut due).await {
            tracing::debug!("new rows are not summarised yet: {error}");
            connection = None;
            continue;
        }
        if let Some((client, _)) = &connection
            && dropped.is_none_or(|at| at.elapsed() >= DROP_EVERY)
            && !ended
        {
            dropped = Some(Instant::now());
            if let Err(error) = store::ledger::retention::drop_old(client).await {
                tracing::warn!("{error}; the ledger keeps them for another hour");
                connection = None;
            } else if let Err(error) = store::flow::drop_surplus(client).await {
                tracing::warn!("{error}; they are kept for another hour");
                connection = None;
            }
        }
    }
}

async fn settle(
    url: &str,
    connection: &mut Option<(Client, Partitions)>,
    due: &mut Due,
) -> Result<(), store::StoreError> {
    let (client, partitions) = match connection {
        Some(open) => open,
        None => connection.insert((store::connect::connect(url).await?, Partitions::default())),
    };
    for kind in Kind::ALL {
        let days: Vec<i64> = due
            .days
            .iter()
            .filter(|(of, _)| *of == kind as u8)
            .map(|&(_, day)| day)
            .collect();
        if !days.is_empty() {
            partitions.summarise(client, kind, &days).await?;
        }
    }
    due.days.clear();
    if !due.clocks.is_empty() {
        let readings: Vec<Reading> = due.clocks.values().copied().collect();
        clock::write(client, &readings).await?;
        due.clocks.clear();
    }
    Ok(())
}
