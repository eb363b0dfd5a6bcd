//! What was lost around a moment, for whoever relies on an answer about it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::Result;
use serde::Serialize;
use store::ledger::Window;
use store::ledger::read::read;
use store::time::rfc3339;
use tokio_postgres::Client;
use wire::ledger::equation::{BUS, COLLECTOR};
use wire::ledger::{Cell, Fate};

use super::account::{Account, Standing};

const MINUTE_NS: i64 = wire::ledger::MINUTE_NS as i64;
/// Losses at stations that do not tell exporters apart: they may be anybody's.
const ANYBODYS: [Cell; 6] = [
    Cell::NicMissed,
    Cell::XdpShed,
    Cell::XdpRateLimited,
    Cell::SocketDropped,
    Cell::RingDropped,
    Cell::NicDropped,
];

/// What the ledger says of the minutes around a moment.
#[derive(Debug, Serialize)]
pub struct Around {
    from: String,
    to: String,
    /// Whether the ledger has these minutes at all.
    has_data: bool,
    /// What was lost, and of whom.
    lost: Vec<Lost>,
    /// Datagrams that are in no cell, of these exporters.
    unaccounted: i64,
}

#[derive(Debug, Serialize)]
struct Lost {
    /// `null`: of anybody; the station does not tell exporters apart.
    exporter: Option<IpAddr>,
    cell: &'static str,
    count: i64,
    #[serde(skip)]
    meaning: &'static str,
}

/// Looks at the minutes from `tolerance_ns` before `at_ns` to as much after it, and one more on each side.
pub async fn around(
    client: &mut Client,
    at_ns: i64,
    tolerance_ns: i64,
    exporters: &BTreeSet<IpAddr>,
) -> Result<Around> {
    let minute = |ns: i64| ns.div_euclid(MINUTE_NS);
    let from_ns = minute(at_ns.saturating_sub(tolerance_ns))
        .saturating_sub(1)
        .saturating_mul(MINUTE_NS);
    let to_ns = minute(at_ns.saturating_add(tolerance_ns))
        .saturating_add(2)
        .saturating_mul(MINUTE_NS);
    let window = Window { from_ns, to_ns };
    let page = read(client, &window).await?;
    let account = Account::new(&page, &window, Some(&|exporter| exporters.contains(&exporter)));
    let mut lost = Vec::new();
    let mut add = |exporter, cell: Cell, count: i64| {
        lost.push(Lost {
            exporter,
            cell: cell.name(),
            count,
            meaning: cell.meaning(),
        });
    };
    for (exporter, line) in &account.by_exporter {
        let ends = [COLLECTOR, BUS].map(|equation| equation.right);
        let ends = ends.into_iter().flatten().filter(|part| part.fate == Fate::Ends);
        for cell in ends.map(|part| part.cell).chain([Cell::DeadLetter]) {
            if let Some(&count) = line.cells.get(&cell).filter(|count| **count > 0) {
                add(*exporter, cell, count);
            }
        }
    }
    for cell in ANYBODYS {
        let counted = page.cells.iter().filter(|counted| counted.cell == cell.name());
        let count: i64 = counted.map(|counted| counted.count).sum();
        if count > 0 {
            add(None, cell, count);
        }
    }
    let failing = account.failures().flat_map(|balance| &balance.places);
    Ok(Around {
        from: rfc3339(from_ns),
        to: rfc3339(to_ns),
        has_data: !page.cells.is_empty(),
        lost,
        unaccounted: failing
            .filter(|(_, _, standing)| *standing == Standing::Fails)
            .map(|(_, difference, _)| difference.max(&0))
            .sum(),
    })
}

impl Around {
    /// For people.
    pub fn page(&self, out: &mut String) {
        let _ = write!(out, "\nLedger from {} to {}: ", self.from, self.to);
        if !self.has_data {
            out.push_str("it has nothing of that time; whether something was lost is unknown.\n");
            return;
        }
        if self.lost.is_empty() && self.unaccounted == 0 {
            out.push_str("nothing of these routers was lost.\n");
            return;
        }
        out.push_str("NOT everything is stored; this answer may lack it.\n");
        for lost in &self.lost {
            let whose = lost
                .exporter
                .map_or_else(|| "anybody".into(), |exporter| exporter.to_string());
            let _ = writeln!(
                out,
                "  {:>12} of {whose}: {}, {}",
                lost.count, lost.cell, lost.meaning
            );
        }
        if self.unaccounted > 0 {
            let _ = writeln!(
                out,
                "  {:>12} in no cell: `natrail ledger` says where",
                self.unaccounted
            );
        }
    }
}
