//! NetFlow v5, v9 and IPFIX.

mod build;
mod differential;
mod fixtures;
mod seen;
mod state;
mod vendors;
