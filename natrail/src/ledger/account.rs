//! Whether the ledger closes: every equation, for every life, or for every exporter and minute.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use store::ledger::retention::KEPT_DAYS;
use store::ledger::{Life, Page, Window};
use wire::ledger::equation::{INTERFACE, RINGS, SOCKETS, THREADS};
use wire::ledger::{Cell, EQUATIONS, Equation, Fate, Part, Scope};

/// A collector that has said nothing for so long, and not that it ends, was cut off. It says something every ten seconds.
pub const SILENT_NS: i64 = 30 * 1_000_000_000;
/// Minutes that ended less than this ago are open while a collector runs: their datagrams may be between two stations.
pub const SETTLE_NS: i64 = 30 * 1_000_000_000;
const MINUTE_NS: i64 = wire::ledger::MINUTE_NS as i64;
const DAY_NS: i64 = 86_400 * 1_000_000_000;
const NOT_TOLD_APART: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Counts by cell.
pub type Cells = BTreeMap<Cell, i64>;

/// Where an equation was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Begin of the minute, ns since 1970 (UTC).
    pub minute_ns: i64,
    /// `None`: all exporters of the minute together, as some were not told apart.
    pub exporter: Option<IpAddr>,
}

/// How an equation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Closes,
    /// It may close yet: the difference is under way, or was counted at another moment.
    Open,
    /// More came out than went in, by ways that are not counted. Nothing is missing, but nothing is proven either.
    Unproven,
    Fails,
}

/// One equation at one place, or over all.
#[derive(Clone, Debug)]
pub struct Balance {
    pub equation: &'static Equation,
    pub standing: Standing,
    pub left: Vec<(Cell, i64)>,
    pub right: Vec<(Part, i64)>,
    /// Where it does not close, or is open, with the difference there.
    pub places: Vec<(Place, i64, Standing)>,
}

impl Balance {
    fn new(equation: &'static Equation, cells: &Cells) -> Self {
        let of = |cell: Cell| cells.get(&cell).copied().unwrap_or(0);
        Self {
            equation,
            standing: Standing::Closes,
            left: equation.left.iter().map(|&cell| (cell, of(cell))).collect(),
            right: equation.right.iter().map(|&part| (part, of(part.cell))).collect(),
            places: Vec::new(),
        }
    }

    /// What came and is nowhere; negative: what is there and never came.
    pub fn difference(&self) -> i64 {
        let left: i64 = self.left.iter().map(|(_, count)| count).sum();
        let right: i64 = self.right.iter().map(|(_, count)| count).sum();
        left.saturating_sub(right)
    }

    fn is_empty(&self) -> bool {
        self.left.iter().all(|(_, count)| *count == 0) && self.right.iter().all(|(_, count)| *count == 0)
    }
}

/// Whether a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeStanding {
    Running,
    Ended,
    /// It fell silent without a last word: what it held is unknown.
    CutOff,
}

/// What is known of one collector.
#[derive(Clone, Debug)]
pub struct LifeAccount {
    pub life: Life,
    pub standing: LifeStanding,
    pub cells: Cells,
    pub balances: Vec<Balance>,
}

/// One exporter or one minute of the table.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub cells: Cells,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct Account {
    pub lives: Vec<LifeAccount>,
    /// Of all collectors and consumers together.
    pub balances: Vec<Balance>,
    /// Everything of the window.
    pub cells: Cells,
    pub by_exporter: BTreeMap<Option<IpAddr>, Line>,
    pub by_minute: BTreeMap<i64, Line>,
    /// Names of cells that this release does not know.
    pub unknown: BTreeSet<String>,
}

impl Account {
    /// Weighs what was read in `window`. `wanted`: which exporters are looked at; then nothing is said of interfaces and sockets, which
    /// do not tell exporters apart.
    pub fn new(page: &Page, window: &Window, wanted: Option<&dyn Fn(IpAddr) -> bool>) -> Self {
        let mut account = Self {
            lives: Vec::new(),
            balances: Vec::new(),
            cells: Cells::new(),
            by_exporter: BTreeMap::new(),
            by_minute: BTreeMap::new(),
            unknown: BTreeSet::new(),
        };
        let (places, by_life) = account.sort(page);
        for life in &page.lives {
            let counted = by_life.get(&life.life);
            let counted =
                counted.filter(|_| life.started_ns >= window.from_ns && life.heard_ns < window.to_ns);
            account
                .lives
                .push(life_account(life, page.now_ns, counted, wanted.is_none()));
        }
        let is_running = (account.lives.iter()).any(|life| life.standing == LifeStanding::Running);
        let places = told_apart(places, wanted);
        for (place, cells) in &places {
            account.add_line(*place, cells);
        }
        let open_from_ns = if is_running {
            page.now_ns - SETTLE_NS - MINUTE_NS
        } else {
            i64::MAX
        };
        account.balances = (EQUATIONS.iter())
            .filter(|equation| equation.scope == Scope::Minute)
            .map(|equation| over_places(equation, &account.cells, &places, open_from_ns))
            .collect();
        account
    }

    /// Whether nothing fails.
    pub fn closes(&self) -> bool {
        self.unknown.is_empty() && self.failures().next().is_none() && !self.has_cut_off()
    }

    /// Whether something may close yet.
    pub fn is_open(&self) -> bool {
        self.all_balances()
            .any(|balance| balance.standing == Standing::Open)
    }

    pub fn has_cut_off(&self) -> bool {
        (self.lives.iter()).any(|life| life.standing == LifeStanding::CutOff)
    }

    pub fn failures(&self) -> impl Iterator<Item = &Balance> {
        self.all_balances()
            .filter(|balance| balance.standing == Standing::Fails)
    }

    /// What ended somewhere, counted with its reason, the most first.
    pub fn ended(&self) -> Vec<(Cell, i64)> {
        let mut ended: BTreeMap<Cell, i64> = BTreeMap::new();
        for balance in self.all_balances() {
            for (part, count) in &balance.right {
                if part.fate == Fate::Ends && *count > 0 {
                    *ended.entry(part.cell).or_default() += count;
                }
            }
        }
        let mut ended: Vec<_> = ended.into_iter().collect();
        ended.sort_by_key(|(cell, count)| (std::cmp::Reverse(*count), *cell));
        ended
    }

    fn all_balances(&self) -> impl Iterator<Item = &Balance> {
        (self.lives.iter())
            .flat_map(|life| &life.balances)
            .chain(&self.balances)
    }

    /// Counts by exporter and minute, and by life.
    fn sort(&mut self, page: &Page) -> (BTreeMap<Place, Cells>, BTreeMap<u64, Cells>) {
        let mut places: BTreeMap<Place, Cells> = BTreeMap::new();
        let mut by_life: BTreeMap<u64, Cells> = BTreeMap::new();
        for counted in &page.cells {
            let Some(cell) = Cell::from_name(&counted.cell) else {
                self.unknown.insert(counted.cell.clone());
                continue;
            };
            let place = Place {
                minute_ns: counted.minute_ns,
                exporter: Some(counted.exporter).filter(|exporter| *exporter != NOT_TOLD_APART),
            };
            add(places.entry(place).or_default(), cell, counted.count);
            add(by_life.entry(counted.life).or_default(), cell, counted.count);
        }
        (places, by_life)
    }

    fn add_line(&mut self, place: Place, cells: &Cells) {
        for (&cell, &count) in cells {
            add(&mut self.cells, cell, count);
            let by_exporter = self.by_exporter.entry(place.exporter).or_default();
            add(&mut by_exporter.cells, cell, count);
            let by_minute = self.by_minute.entry(place.minute_ns).or_default();
            add(&mut by_minute.cells, cell, count);
        }
    }
}

fn add(cells: &mut Cells, cell: Cell, count: i64) {
    let sum = cells.entry(cell).or_default();
    *sum = sum.saturating_add(count);
}

/// Cells that are told apart by exporter at more than one station: those of the bus.
fn crosses_the_bus(cell: Cell) -> bool {
    let bus = wire::ledger::equation::BUS;
    bus.left.contains(&cell) || bus.right.iter().any(|part| part.cell == cell)
}

/// Puts all exporters of a minute together where some of them were not told apart, since another station may have told
/// them apart. Leaves out who is not wanted.
fn told_apart(
    places: BTreeMap<Place, Cells>,
    wanted: Option<&dyn Fn(IpAddr) -> bool>,
) -> BTreeMap<Place, Cells> {
    let together: BTreeSet<i64> = places
        .iter()
        .filter(|(place, cells)| place.exporter.is_none() && cells.keys().any(|cell| crosses_the_bus(*cell)))
        .map(|(place, _)| place.minute_ns)
        .collect();
    let mut apart: BTreeMap<Place, Cells> = BTreeMap::new();
    for (mut place, cells) in places {
        if together.contains(&place.minute_ns) {
            place.exporter = None;
        } else if let Some(wanted) = wanted
            && !place.exporter.is_some_and(wanted)
        {
            continue;
        }
        let to = apart.entry(place).or_default();
        for (cell, count) in cells {
            add(to, cell, count);
        }
    }
    apart
}

/// An equation over all places: it closes if it does at each.
fn over_places(
    equation: &'static Equation,
    all: &Cells,
    places: &BTreeMap<Place, Cells>,
    open_from_ns: i64,
) -> Balance {
    let mut balance = Balance::new(equation, all);
    for (place, cells) in places {
        let difference = Balance::new(equation, cells).difference();
        if difference == 0 {
            continue;
        }
        let standing = if place.minute_ns >= open_from_ns {
            Standing::Open
        } else {
            Standing::Fails
        };
        balance.places.push((*place, difference, standing));
    }
    let standings = balance.places.iter().map(|(_, _, standing)| *standing);
    balance.standing = worst(standings);
    balance
}

fn worst(standings: impl Iterator<Item = Standing>) -> Standing {
    let mut worst = Standing::Closes;
    for standing in standings {
        match standing {
            Standing::Fails => return Standing::Fails,
            Standing::Open => worst = Standing::Open,
            Standing::Unproven if worst == Standing::Closes => worst = Standing::Unproven,
            Standing::Unproven | Standing::Closes => {}
        }
    }
    worst
}

/// `counted`: what the threads counted by exporter and minute, if all minutes of the life are there.
fn life_account(life: &Life, now_ns: i64, counted: Option<&Cells>, with_balances: bool) -> LifeAccount {
    let standing = match life.ended_ns {
        Some(_) => LifeStanding::Ended,
        None if now_ns.saturating_sub(life.heard_ns) <= SILENT_NS => LifeStanding::Running,
        None => LifeStanding::CutOff,
    };
    let cells: Cells = (life.totals.iter())
        .filter_map(|(name, count)| Some((Cell::from_name(name)?, *count)))
        .collect();
    let mut balances = Vec::new();
    if with_balances {
        if life.has_xdp {
            // Of a life whose first minutes are dropped already, the rest may begin with what was under way then.
            let is_cut = now_ns.saturating_sub(life.started_ns) >= i64::from(KEPT_DAYS) * DAY_NS;
            let cut = if is_cut { life.hold_max } else { 0 };
            let held = if standing == LifeStanding::Running {
                life.hold_max
            } else {
                0
            };
            balances.push(interface(life, cut, &cells));
            balances.push(sockets(life, cut.saturating_add(held), &cells));
            balances.push(within(Balance::new(&RINGS, &cells), cut.saturating_add(held)));
        }
        if let Some(counted) = counted {
            balances.push(threads(standing, &cells, counted));
        }
    }
    balances.retain(|balance| !balance.is_empty() || balance.equation.name == INTERFACE.name);
    LifeAccount {
        life: life.clone(),
        standing,
        cells,
        balances,
    }
}

/// `under_way`: what may be between the two sides beside what moved while they were read.
fn interface(life: &Life, under_way: i64, cells: &Cells) -> Balance {
    let mut balance = Balance::new(&INTERFACE, cells);
    // Drops of the driver before XDP are among the interface's own; which of those came before, it does not tell.
    let dropped = cells.get(&Cell::NicDropped).copied().unwrap_or(0);
    let by_driver = balance.difference().clamp(0, dropped.max(0));
    if by_driver > 0 {
        let part = Part {
            cell: Cell::NicDropped,
            fate: Fate::Ends,
        };
        balance.right.push((part, by_driver));
    }
    within(balance, life.skew_interface.saturating_add(under_way))
}

fn sockets(life: &Life, under_way: i64, cells: &Cells) -> Balance {
    let balance = Balance::new(&SOCKETS, cells);
    let difference = balance.difference();
    if difference < 0 && difference.saturating_neg() > life.skew_sockets {
        return Balance {
            standing: Standing::Unproven,
            ..balance
        };
    }
    within(balance, life.skew_sockets.saturating_add(under_way))
}

fn threads(standing: LifeStanding, cells: &Cells, counted: &Cells) -> Balance {
    let mut both = cells.clone();
    for part in THREADS.right {
        both.insert(part.cell, counted.get(&part.cell).copied().unwrap_or(0));
    }
    // While it runs, the threads hand over what they counted a moment before or after the sockets are asked.
    let most = if standing == LifeStanding::Running {
        i64::MAX
    } else {
        0
    };
    within(Balance::new(&THREADS, &both), most)
}

/// `most`: what may be under way, or counted at another moment.
fn within(balance: Balance, most: i64) -> Balance {
    let difference = balance.difference();
    let standing = if difference == 0 {
        Standing::Closes
    } else if difference.saturating_abs() <= most {
        Standing::Open
    } else {
        Standing::Fails
    };
    Balance { standing, ..balance }
}

#[cfg(test)]
mod tests;
