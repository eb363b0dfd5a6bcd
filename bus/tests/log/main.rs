//! The frame log, on a real file system.

mod bounds;
mod bus;
mod common;
mod damage;
mod stream;
