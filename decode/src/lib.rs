//! Bytes to NAT events, without I/O and without allocation per record.
//!
//! - [`profile`]: the table of formats, and how one is chosen;
//! - [`outcome`]: what becomes of a message: events, nothing worth keeping, or an error with its reason;
//! - [`syslog`]: framing (RFC 3164, RFC 5424) and one module per vendor;
//! - [`exporter`]: one exporter's messages as its configuration says: its patterns, its VRFs, its dialects;
//! - [`zone`], `written`, `said`: times without zone or year, for exporters whose zone is said;
//! - [`netflow`]: NetFlow v5, v9 and IPFIX;
//! - `bytes`, `search`, `address`, `endpoint`, `protocol`, `time`, `value`: the readers that the grammars share.

#![forbid(unsafe_code)]

mod address;
mod bytes;
mod endpoint;
pub mod exporter;
pub mod netflow;
pub mod outcome;
pub mod profile;
mod protocol;
mod said;
mod search;
pub mod syslog;
mod time;
mod value;
mod written;
pub mod zone;

pub use exporter::Exporter;
pub use outcome::{DecodeError, Ignored, Outcome};
pub use profile::Profile;
