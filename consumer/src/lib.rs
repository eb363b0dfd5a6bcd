//! `natrail-consumer`: frames from the bus become rows in the database, each event exactly once.
//!
//! A worker is pinned to a core, owns streams (partitions) and two database connections. Its thread takes frames and
//! decodes, sorts and encodes them; a second thread drives the connections, so that decoding overlaps COPY.
//!
//! - [`run`]: start-up, workers, shutdown;
//! - [`worker`]: the loop of one worker, ownership of streams, and the one recovery path;
//! - [`assemble`]: frames to batches: decoding, dead letters, limits;
//! - [`sources`]: which frames came before, and which are missing;
//! - [`ledger`]: where every datagram is, by exporter and minute;
//! - `flow`: flow records, and what is known of their exporters;
//! - [`profiles`]: what reads an exporter, and what is known of it;
//! - [`clocks`]: how far the clocks of exporters are off;
//! - [`pipeline`]: the two connections: COPY overlaps, commits keep their order;
//! - [`summarise`]: BRIN learns about new rows, and the database about clocks, off the pipeline;
//! - [`metrics`]: what is counted, and its names.

pub mod assemble;
pub mod clocks;
mod flow;
pub mod ledger;
pub mod metrics;
pub mod pipeline;
pub mod profiles;
pub mod run;
pub mod sources;
pub mod summarise;
pub mod worker;
