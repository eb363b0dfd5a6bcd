//! The frame log: frames on this machine's disk. The bus of one machine, and the spill when Kafka is away.
//! Its layout and what it promises: docs/frame-log.md.
//!
//! - [`mod@format`]: the octets of segments and records;
//! - [`directory`]: where the files are, and their locks;
//! - [`segment`]: reading one segment; [`index`]: finding a place in it;
//! - [`cursor`]: reading a stream, from segment to segment;
//! - [`partition`]: writing a stream, and recovering it;
//! - [`retention`]: what is dropped; [`writer`]: all streams of a log, within its bounds;
//! - [`sender`], [`receiver`], [`letters`]: the log as a bus;
//! - [`members`]: who reads what; [`position`]: how far;
//! - [`inspect`]: what a log holds, for the operator.

pub mod cursor;
pub mod directory;
pub mod format;
mod index;
pub mod inspect;
pub mod letters;
pub(crate) mod members;
pub mod partition;
pub mod position;
mod receiver;
pub mod retention;
pub mod segment;
pub(crate) mod sender;
pub mod writer;

use std::time::{SystemTime, UNIX_EPOCH};

pub use letters::{LogLetters, connect_dead_letters};
pub use receiver::{LogReceiver, connect_receiver, ensure};
pub use sender::{LogSender, connect_sender};

/// ns since 1970 (UTC).
pub(crate) fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64)
}
