//! What both daemons share, apart from their work.
//!
//! - [`log`]: messages for the operator, on standard error;
//! - [`signals`]: stop (SIGTERM, SIGINT) and reload (SIGHUP) as flags;
//! - [`cpu`]: pinning a thread to a core of the core plan;
//! - [`metrics`]: Prometheus text over HTTP;
//! - [`memory`]: how much memory this process holds;
//! - [`repeat`]: saying a thing once, and again only after a while.

pub mod cpu;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod repeat;
pub mod signals;
