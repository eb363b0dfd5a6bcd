//! The answer for people.

use std::fmt::Write as _;
use std::net::IpAddr;

use store::ledger::Window;
use store::time::rfc3339;
use wire::ledger::equation::{BUS, COLLECTOR};
use wire::ledger::{Cell, Fate};

use super::By;
use super::account::{Account, Balance, LifeAccount, LifeStanding, Line, Place, Standing};
use super::advice::advice;
use crate::trace::{printable, table};

/// Places that are shown for one equation.
const PLACES_SHOWN: usize = 10;

/// The whole page.
pub fn page(account: &Account, window: &Window, now_ns: i64, by: Option<By>) -> String {
    let mut out = format!(
        "Ledger from {} to {}\n",
        rfc3339(window.from_ns),
        rfc3339(window.to_ns.min(now_ns))
    );
    for life in &account.lives {
        life_part(&mut out, life, account, now_ns);
    }
    out.push_str("\nAll collectors and consumers, by exporter and minute\n");
    for balance in &account.balances {
        equation(&mut out, balance, account);
    }
    beside(&mut out, account);
    match by {
        Some(By::Exporter) => {
            let lines = account.by_exporter.iter();
            lines_part(
                &mut out,
                "EXPORTER",
                lines.map(|(exporter, line)| (exporter_name(*exporter), line)),
            );
        }
        Some(By::Minute) => {
            let lines = account.by_minute.iter();
            lines_part(
                &mut out,
                "MINUTE",
                lines.map(|(minute, line)| (rfc3339(*minute), line)),
            );
        }
        None => {}
    }
    ended(&mut out, account);
    verdict(&mut out, account);
    out
}

fn life_part(out: &mut String, account: &LifeAccount, all: &Account, now_ns: i64) {
    let life = &account.life;
    let state = match (account.standing, life.ended_ns) {
        (LifeStanding::Running, _) => format!(
            "runs, heard {} s ago",
            now_ns.saturating_sub(life.heard_ns).max(0) / 1_000_000_000
        ),
        (LifeStanding::Ended, Some(at)) => format!("ended in order at {}", rfc3339(at)),
        _ => format!(
            "CUT OFF: heard last at {}, and it did not say that it ends",
            rfc3339(life.heard_ns)
        ),
    };
    let _ = writeln!(
        out,
        "\nCollector {:016x} on {}, since {}: {state}",
        life.life,
        printable(&life.host),
        rfc3339(life.started_ns)
    );
    if account.standing == LifeStanding::CutOff {
        out.push_str(
            "  It was killed, its machine stopped, or its counts do not get through. What it had received and not reported is\n  \
             UNKNOWN: that it is nothing cannot be said.\n",
        );
    }
    if !life.has_xdp {
        let dropped = account.cells.get(&Cell::SocketDropped).copied().unwrap_or(0);
        let _ = writeln!(
            out,
            "  interface  not looked at: no XDP program ([collector.xdp]); the sockets dropped {dropped}"
        );
    }
    for balance in &account.balances {
        equation(out, balance, all);
    }
}

fn equation(out: &mut String, balance: &Balance, account: &Account) {
    let difference = balance.difference();
    let state = match balance.standing {
        Standing::Closes => "closes".into(),
        Standing::Open => format!("open: {}", amount(difference)),
        Standing::Unproven => format!(
            "not provable: {} came otherwise than through XDP (loopback, another interface, fragments)",
            difference.saturating_neg()
        ),
        Standing::Fails => format!("DOES NOT CLOSE: {}", amount(difference)),
    };
    let _ = writeln!(
        out,
        "  {:<10} {}: {state}",
        balance.equation.name, balance.equation.title
    );
    let mut sign = ' ';
    for (cell, count) in balance.left.iter().filter(|(_, count)| *count != 0) {
        line(out, sign, *count, *cell);
        sign = '+';
    }
    sign = '=';
    for (part, count) in balance.right.iter().filter(|(_, count)| *count != 0) {
        line(out, sign, *count, part.cell);
        sign = '+';
    }
    for (place, difference, standing) in balance.places.iter().take(PLACES_SHOWN) {
        let word = if *standing == Standing::Open {
            "open"
        } else {
            "where"
        };
        let _ = writeln!(
            out,
            "       {word}: {}: {}",
            place_name(*place),
            amount(*difference)
        );
    }
    if balance.places.len() > PLACES_SHOWN {
        let _ = writeln!(out, "       and {} more", balance.places.len() - PLACES_SHOWN);
    }
    if balance.standing == Standing::Fails {
        let failing = balance
            .places
            .iter()
            .filter(|(_, _, standing)| *standing == Standing::Fails);
        let largest = failing
            .map(|(_, difference, _)| *difference)
            .max_by_key(|difference| difference.abs());
        let _ = writeln!(
            out,
            "       what to do: {}",
            advice(balance, largest.unwrap_or(difference), account)
        );
    }
}

fn line(out: &mut String, sign: char, count: i64, cell: Cell) {
    let _ = writeln!(
        out,
        "     {sign} {count:>12} {:<20} {}",
        cell.name(),
        cell.meaning()
    );
}

fn amount(difference: i64) -> String {
    match difference {
        0 => "equal in sum, but not place by place".into(),
        1.. => format!("{difference} came and did not come out"),
        _ => format!("{} more came out than came", difference.saturating_neg()),
    }
}

fn exporter_name(exporter: Option<IpAddr>) -> String {
    exporter.map_or_else(|| "not told apart".into(), |exporter| exporter.to_string())
}

fn place_name(place: Place) -> String {
    let exporter = place.exporter.map_or_else(
        || "exporters together".into(),
        |exporter| format!("exporter {exporter}"),
    );
    format!("minute {}, {exporter}", rfc3339(place.minute_ns))
}

/// What is no part of an equation.
fn beside(out: &mut String, account: &Account) {
    for cell in [
        Cell::Repeated,
        Cell::MissingFrames,
        Cell::SequenceGap,
        Cell::SequenceLate,
    ] {
        if let Some(count) = account.cells.get(&cell).filter(|count| **count > 0) {
            let _ = writeln!(out, "  beside     {count} {}: {}", cell.name(), cell.meaning());
        }
    }
}

fn lines_part<'a>(out: &mut String, head: &str, lines: impl Iterator<Item = (String, &'a Line)>) {
    let heads = [
        head, "RECEIVED", "DROPPED", "FRAMED", "LOST", "TAKEN", "STORED", "IGNORED", "DEAD", "ROWS",
    ];
    let mut rows = vec![heads.map(String::from)];
    let way = [Cell::Framed, Cell::Taken].iter().chain(COLLECTOR.left);
    let has_way = |line: &Line| way.clone().any(|cell| line.cells.contains_key(cell));
    for (name, line) in lines.filter(|(_, line)| has_way(line)) {
        let of = |cells: &[Cell]| -> i64 {
            let counts = cells.iter().filter_map(|cell| line.cells.get(cell));
            counts.sum()
        };
        let ends = |equation: &wire::ledger::Equation| -> Vec<Cell> {
            let ends = equation.right.iter().filter(|part| part.fate == Fate::Ends);
            ends.map(|part| part.cell).collect()
        };
        rows.push([
            name,
            of(COLLECTOR.left).to_string(),
            of(&ends(&COLLECTOR)).to_string(),
            of(&[Cell::Framed]).to_string(),
            of(&ends(&BUS)).to_string(),
            of(&[Cell::Taken]).to_string(),
            of(&[Cell::Stored]).to_string(),
            of(&[Cell::Ignored]).to_string(),
            of(&[Cell::DeadLetter]).to_string(),
            of(&[Cell::Rows]).to_string(),
        ]);
    }
    out.push('\n');
    table(out, &rows);
}

fn ended(out: &mut String, account: &Account) {
    let mut ended = account.ended();
    for life in account.lives.iter().filter(|life| !life.life.has_xdp) {
        let dropped = life.cells.get(&Cell::SocketDropped).copied().unwrap_or(0);
        if dropped > 0 {
            ended.push((Cell::SocketDropped, dropped));
        }
    }
    if ended.is_empty() {
        out.push_str("\nNothing was dropped or lost.\n");
        return;
    }
    out.push_str("\nNot stored, each counted:\n");
    for (cell, count) in ended {
        let _ = write!(out, "  {count:>12} {:<20} {}", cell.name(), cell.meaning());
        if !cell.remedy().is_empty() {
            let _ = write!(out, "; {}", cell.remedy());
        }
        out.push('\n');
    }
}

fn verdict(out: &mut String, account: &Account) {
    if !account.unknown.is_empty() {
        let names: Vec<String> = account.unknown.iter().map(|name| printable(name)).collect();
        let _ = writeln!(
            out,
            "\nCells that this release does not know: {}. Use the natrail of the collectors' release.",
            names.join(", ")
        );
    }
    out.push_str(if !account.closes() {
        "\nThe ledger DOES NOT CLOSE.\n"
    } else if account.is_open() {
        "\nThe ledger closes, but for what is under way or could not be read at one moment.\n"
    } else {
        "\nThe ledger closes.\n"
    });
}
