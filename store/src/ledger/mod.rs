//! The ledger's tables: in which cell how many datagrams are, by minute, collector and exporter.
//!
//! - [`write`]: what a batch adds, in the transaction of its rows;
//! - [`mod@read`]: what is there for a time;
//! - [`retention`]: what is dropped.
//!
//! Cells are names here; which of them must add up to which is not known in this room.

pub mod read;
pub mod retention;
pub mod write;

pub use read::{Counted, Life, Page, Window};
pub use write::{Added, Changes, LifeState};
