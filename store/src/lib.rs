//! The database: schema, COPY encoder, offset protocol, trace queries.
//!
//! - [`connect`]: a connection, or an error that says what to do;
//! - [`migrate`]: schema versions, applied under a lock; which storage a database uses;
//! - [`layout`]: the columns of the event tables, and how a row of a batch becomes one of theirs;
//! - [`encode`]: batches as binary COPY data in recycled [`buffer`]s;
//! - [`ingest`]: streams, and the transaction of rows and offsets, and of the sources of frames (`sources`);
//! - [`ledger`]: where every datagram is, by minute and exporter;
//! - [`partition`]: days as partitions or chunks, made and summarised;
//! - [`trace`]: who had this public address and port at this moment;
//! - [`status`]: what is in a database;
//! - [`clock`]: how far the clocks of exporters are off;
//! - [`flow`]: templates of flow records, and what waits for them;
//! - [`compare`]: the tables against a list of expected events.
//!
//! No wire format is known here, and no bus: a stream is a name and a number.

pub mod buffer;
pub mod clock;
pub mod compare;
pub mod connect;
pub mod encode;
mod error;
pub mod flow;
pub mod ingest;
pub mod layout;
pub mod ledger;
pub mod migrate;
pub mod partition;
mod sources;
pub mod status;
pub mod time;
pub mod trace;

pub use error::{CommitError, StoreError};
pub use migrate::Storage;
