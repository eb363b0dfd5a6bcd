//! What end-to-end tests, benchmarks and the demo stand on. All of it real: kernel, Kafka, PostgreSQL, processes.
//!
//! - [`services`]: where Kafka and PostgreSQL are
//! - [`netns`]: network namespaces, and veth pairs between them
//! - [`live`]: datagrams at an exact rate, from the kernel
//! - [`relay`]: TCP from inside a namespace to outside, which can be cut
//! - [`process`]: programs that are signalled, waited for, and never left behind
//! - [`kafka`]: what the broker itself says about topics
//! - [`broker`]: a Kafka for one test, which may be frozen, killed and started again
//! - [`frame_log`]: what the frame log itself holds
//! - [`metrics`]: Prometheus metrics of a running program
//! - [`binaries`]: the three programs, built
//! - [`topics`]: a name for the topics of one test
//! - `database` (feature `database`): a database for one test

pub mod binaries;
pub mod broker;
#[cfg(feature = "database")]
pub mod database;
pub mod frame_log;
pub mod kafka;
pub mod live;
pub mod metrics;
pub mod netns;
pub mod process;
pub mod relay;
pub mod services;
pub mod topics;
mod wait;

pub use services::services;
pub use wait::wait_until;
