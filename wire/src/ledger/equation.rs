//! Which cells must add up to which.

use super::Cell;

/// What became of a part of a right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on to the next station, or has arrived.
    On,
    /// It ends here, counted with its reason.
    Ends,
}

/// A cell on the right side.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub cell: Cell,
    pub fate: Fate,
}

/// For what an equation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For one life of a collector, from its start on. While it runs, up to what is between two stations.
    Life,
    /// For every exporter and minute.
    Minute,
}

/// One station: what came to it is what went on and what ended there.
#[derive(Clone, Copy, Debug)]
pub struct Equation {
    /// Stable word for reports.
    pub name: &'static str,
    /// What is counted, in words for the operator.
    pub title: &'static str,
    pub scope: Scope,
    pub left: &'static [Cell],
    pub right: &'static [Part],
}

const fn on(cell: Cell) -> Part {
    Part { cell, fate: Fate::On }
}

const fn ends(cell: Cell) -> Part {
    Part {
        cell,
        fate: Fate::Ends,
    }
}

/// Packets of the interfaces, and verdicts on them. Only with XDP.
pub const INTERFACE: Equation = Equation {
    name: "interface",
    title: "packets at the interfaces, and what XDP did with them",
    scope: Scope::Life,
    left: &[Cell::NicReceived, Cell::NicMissed],
    right: &[
        on(Cell::XdpAccepted),
        on(Cell::XdpRedirected),
        on(Cell::XdpFragment),
        on(Cell::XdpNotOurs),
        ends(Cell::XdpMalformed),
        ends(Cell::XdpNotAllowed),
        ends(Cell::XdpFiltered),
        ends(Cell::XdpPriMasked),
        ends(Cell::XdpRateLimited),
        ends(Cell::XdpShed),
        ends(Cell::NicMissed),
    ],
};

/// What XDP gave to the kernel, and the sockets. Only with XDP.
pub const SOCKETS: Equation = Equation {
    name: "sockets",
    title: "passed on to the kernel, and taken from the sockets",
    scope: Scope::Life,
    left: &[Cell::XdpAccepted],
    right: &[on(Cell::SocketReceived), ends(Cell::SocketDropped)],
};

/// What XDP gave to the AF_XDP rings.
pub const RINGS: Equation = Equation {
    name: "rings",
    title: "redirected by XDP, and taken from the rings",
    scope: Scope::Life,
    left: &[Cell::XdpRedirected],
    right: &[on(Cell::RingReceived), ends(Cell::RingDropped)],
};

/// What was taken from sockets and rings, and what the threads counted by exporter and minute. The two are counted apart.
pub const THREADS: Equation = Equation {
    name: "threads",
    title: "taken from sockets and rings, and counted by exporter and minute",
    scope: Scope::Life,
    left: &[Cell::SocketReceived, Cell::RingReceived],
    right: &[on(Cell::ReceivedUdp), on(Cell::ReceivedRing)],
};

/// What the threads received.
pub const COLLECTOR: Equation = Equation {
    name: "collector",
    title: "received, and put into frames",
    scope: Scope::Minute,
    left: &[Cell::ReceivedUdp, Cell::ReceivedRing, Cell::ReceivedStream],
    right: &[
        on(Cell::Framed),
        ends(Cell::NotAllowed),
        ends(Cell::Malformed),
        ends(Cell::NoBuffer),
        ends(Cell::Filtered),
        ends(Cell::PriMasked),
        ends(Cell::RateLimited),
    ],
};

/// From the frames of the collectors to the consumers.
pub const BUS: Equation = Equation {
    name: "bus",
    title: "framed, and taken from the bus by the consumers",
    scope: Scope::Minute,
    left: &[Cell::Framed],
    right: &[
        on(Cell::Taken),
        ends(Cell::LostRefused),
        ends(Cell::LostUndelivered),
        ends(Cell::LostLogFull),
    ],
};

/// What the consumers made of the datagrams.
pub const CONSUMER: Equation = Equation {
    name: "consumer",
    title: "taken, and stored",
    scope: Scope::Minute,
    // What waits for a template is taken, and comes out of waiting in the minute in which it was received.
    left: &[Cell::Taken, Cell::Unparked],
    right: &[
        on(Cell::Stored),
        on(Cell::Parked),
        ends(Cell::Ignored),
        ends(Cell::DeadLetter),
    ],
};

/// Events become rows.
pub const ROWS: Equation = Equation {
    name: "rows",
    title: "events decoded, and rows stored",
    scope: Scope::Minute,
    left: &[Cell::Events],
    right: &[on(Cell::Rows)],
};

/// All stations, in the order of a datagram's way.
pub const EQUATIONS: [Equation; 8] = [INTERFACE, SOCKETS, RINGS, THREADS, COLLECTOR, BUS, CONSUMER, ROWS];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// Cells that are told beside the equations.
    const BESIDE: [Cell; 5] = [
        Cell::NicDropped,
        Cell::Repeated,
        Cell::MissingFrames,
        Cell::SequenceGap,
        Cell::SequenceLate,
    ];

    #[test]
    fn every_cell_is_in_an_equation_or_beside_them_and_ends_once() {
        for cell in Cell::ALL {
            let right = |fate| {
                EQUATIONS
                    .iter()
                    .flat_map(|equation| equation.right)
                    .filter(|part| part.cell == cell && part.fate == fate)
                    .count()
            };
            let left = EQUATIONS
                .iter()
                .filter(|equation| equation.left.contains(&cell))
                .count();
            if BESIDE.contains(&cell) {
                assert_eq!((left, right(Fate::On), right(Fate::Ends)), (0, 0, 0), "{cell:?}");
            } else {
                assert!(
                    left + right(Fate::On) + right(Fate::Ends) > 0,
                    "{cell:?} is nowhere"
                );
                assert!(
                    left <= 1 && right(Fate::On) <= 1 && right(Fate::Ends) <= 1,
                    "{cell:?}"
                );
            }
        }
    }

    #[test]
    fn only_what_ends_has_a_remedy() {
        for equation in EQUATIONS {
            for part in equation.right.iter().filter(|part| part.fate == Fate::On) {
                assert!(part.cell.remedy().is_empty(), "{:?}", part.cell);
            }
        }
    }
}
