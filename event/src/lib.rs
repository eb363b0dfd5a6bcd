//! The NAT event model: what every decoder yields and every output reads.
//!
//! - [`model`]: one event, its kinds, actions and times, borrowed from the bytes it was decoded from;
//! - [`columns`]: batches of events as columns, one set per kind;
//! - [`sort`]: the order in which a batch is written: (x_ip, x_port, time).

pub mod columns;
pub mod model;
pub mod sort;

pub use columns::{Batch, Columns, Origin};
pub use model::{Action, Event, Kind, Text, TimeSource};
