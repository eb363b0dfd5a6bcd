//! The ledger: every datagram is in exactly one cell at each station of its way.
//!
//! - [`cell`]: the list of all cells: a new reason for a loss is one more row of it;
//! - [`equation`]: which cells must add up to which;
//! - [`record`]: how a collector's counts travel in frames of [`PayloadKind::Ledger`](crate::frame::PayloadKind).
//!
//! What the cells mean to an operator is in docs/ledger.md.

pub mod cell;
pub mod equation;
pub mod record;

pub use cell::Cell;
pub use equation::{EQUATIONS, Equation, Fate, Part, Scope};

/// Nanoseconds of a minute. Minutes are those since 1970 (UTC).
pub const MINUTE_NS: u64 = 60_000_000_000;

/// The minute of a time in ns since 1970 (UTC).
pub const fn minute_of(ns: u64) -> u64 {
    ns / MINUTE_NS
}
