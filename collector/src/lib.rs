//! Receives datagrams, frames them, gives them to the bus.
//!
//! - [`receive`]: UDP sockets with io_uring, and AF_XDP; the only room with `unsafe` code;
//! - [`allow_list`]: who may send, and how much; [`rules`]: what listeners ask of payloads; [`in_force`]: both, while they are reloaded;
//! - [`framer`]: datagrams into frames, one open frame for each stream;
//! - [`exchange`]: closed frames one way, empty buffers back;
//! - [`worker`]: the loop of a receive thread; [`intake`]: the way of a datagram behind it: allow, filter, frame;
//! - [`stream`]: syslog over TCP and TLS, on a thread of its own;
//! - [`producer`]: the thread that gives frames to the bus;
//! - [`ledger`]: in which cell every datagram is, by exporter and minute, and its way to the database;
//! - [`rooms`]: what room the sockets have, told to the filter in the kernel;
//! - [`xdp`]: the filter in the kernel; [`filter`]: the same, shared by metrics and reload;
//! - [`privileges`]: giving them up after set-up;
//! - [`collector`]: all threads, started, reloaded and stopped together;
//! - [`counters`]: what each thread counts; [`metrics`]: the same for Prometheus;
//! - [`run`]: the program around it: configuration, signals, exit codes;
//! - [`bench`]: how fast one core receives;
//! - [`error`]: why a collector does not start.

pub mod allow_list;
pub mod bench;
pub mod collector;
pub mod counters;
pub mod error;
pub mod exchange;
pub mod filter;
pub mod framer;
pub mod in_force;
pub mod intake;
pub mod ledger;
pub mod metrics;
pub mod privileges;
pub mod producer;
pub mod receive;
pub mod rooms;
pub mod rules;
pub mod run;
pub mod stream;
pub mod worker;
pub mod xdp;

pub use collector::{Collector, Outcome};
pub use error::StartError;
