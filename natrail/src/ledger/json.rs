//! The answer for programs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use store::ledger::Window;
use store::time::rfc3339;

use super::By;
use super::account::{Account, Balance, Cells, LifeAccount, LifeStanding, Standing};

/// The whole answer.
#[derive(Serialize)]
pub struct Answer {
    from: String,
    to: String,
    closes: bool,
    open: bool,
    lives: Vec<LifeAnswer>,
    equations: Vec<Equation>,
    /// All counts of the time, by cell.
    cells: BTreeMap<&'static str, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Vec<Line>>,
    unknown_cells: Vec<String>,
}

#[derive(Serialize)]
struct LifeAnswer {
    life: String,
    host: String,
    started: String,
    heard: String,
    ended: Option<String>,
    /// `running`, `ended` or `cut_off`.
    state: &'static str,
    xdp: bool,
    waiting_frames: i64,
    /// All that it counted without telling exporters apart, since its start.
    cells: BTreeMap<&'static str, i64>,
    equations: Vec<Equation>,
}

#[derive(Serialize)]
struct Equation {
    name: &'static str,
    /// `closes`, `open`, `unproven` or `fails`.
    state: &'static str,
    /// Left minus right.
    difference: i64,
    left: BTreeMap<&'static str, i64>,
    right: BTreeMap<&'static str, i64>,
    places: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    minute: String,
    /// `null`: all of the minute together.
    exporter: Option<IpAddr>,
    difference: i64,
    state: &'static str,
}

#[derive(Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    minute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exporter: Option<IpAddr>,
    cells: BTreeMap<&'static str, i64>,
}

impl Answer {
    pub fn new(account: &Account, window: &Window, by: Option<By>) -> Self {
        Self {
            from: rfc3339(window.from_ns),
            to: rfc3339(window.to_ns),
            closes: account.closes(),
            open: account.is_open(),
            lives: account.lives.iter().map(life).collect(),
            equations: account.balances.iter().map(equation).collect(),
            cells: named(&account.cells),
            by: by.map(|by| lines(account, by)),
            unknown_cells: account.unknown.iter().cloned().collect(),
        }
    }
}

fn lines(account: &Account, by: By) -> Vec<Line> {
    match by {
        By::Exporter => (account.by_exporter.iter())
            .map(|(exporter, line)| Line {
                minute: None,
                exporter: *exporter,
                cells: named(&line.cells),
            })
            .collect(),
        By::Minute => (account.by_minute.iter())
            .map(|(minute, line)| Line {
                minute: Some(rfc3339(*minute)),
                exporter: None,
                cells: named(&line.cells),
            })
            .collect(),
    }
}

fn named(cells: &Cells) -> BTreeMap<&'static str, i64> {
    cells.iter().map(|(cell, count)| (cell.name(), *count)).collect()
}

fn life(account: &LifeAccount) -> LifeAnswer {
    let life = &account.life;
    LifeAnswer {
        life: format!("{:016x}", life.life),
        host: life.host.clone(),
        started: rfc3339(life.started_ns),
        heard: rfc3339(life.heard_ns),
        ended: life.ended_ns.map(rfc3339),
        state: match account.standing {
            LifeStanding::Running => "running",
            LifeStanding::Ended => "ended",
            LifeStanding::CutOff => "cut_off",
        },
        xdp: life.has_xdp,
        waiting_frames: life.waiting_frames,
        cells: named(&account.cells),
        equations: account.balances.iter().map(equation).collect(),
    }
}

fn equation(balance: &Balance) -> Equation {
    Equation {
        name: balance.equation.name,
        state: state(balance.standing),
        difference: balance.difference(),
        left: balance
            .left
            .iter()
            .map(|(cell, count)| (cell.name(), *count))
            .collect(),
        right: (balance.right.iter())
            .map(|(part, count)| (part.cell.name(), *count))
            .collect(),
        places: (balance.places.iter())
            .map(|(place, difference, standing)| Place {
                minute: rfc3339(place.minute_ns),
                exporter: place.exporter,
                difference: *difference,
                state: state(*standing),
            })
            .collect(),
    }
}

fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Closes => "closes",
        Standing::Open => "open",
        Standing::Unproven => "unproven",
        Standing::Fails => "fails",
    }
}
