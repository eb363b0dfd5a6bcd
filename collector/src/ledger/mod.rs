//! The collector's part of the ledger: in which cell every datagram is, by exporter and minute.
//!
//! - [`slots`]: numbers for exporters, so that counting is an addition;
//! - [`thread`]: what a receive thread counts, without locks;
//! - [`book`]: what all threads have handed over, until it is sent;
//! - [`interface`]: what the interfaces say of themselves;
//! - [`sample`]: cells of the whole collector: interfaces, XDP, sockets;
//! - [`reporter`]: the thread that sends all of it in frames.
//!
//! The cells and the equations between them are in [`wire::ledger`].

pub mod book;
pub mod interface;
pub mod reporter;
pub mod sample;
pub mod slots;
pub mod thread;

pub use book::Book;
pub use reporter::Reporter;
pub use slots::{Slot, Slots};
pub use thread::{Counts, ThreadLedger};
