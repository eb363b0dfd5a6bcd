//! The AF_XDP receive path, on veth in native mode. Needs root.
//!
//! - [`datagrams`]: what comes by AF_XDP is what comes by sockets;
//! - [`spread`]: which thread gets what;
//! - [`losses`]: what does not come that way, and what does not come at all;
//! - [`program`]: the program around it: overflow, ends, what cannot start.

#[path = "../common/mod.rs"]
mod common;
mod datagrams;
mod losses;
mod program;
mod setup;
mod spread;
