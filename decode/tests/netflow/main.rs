//! NetFlow v5, v9 and IPFIX.

mod build;
mod fixtures;
mod seen;
mod state;
mod vendors;
