//! What crosses a boundary: between kernel and user space, and between collector and consumer.
//!
//! - [`packet`]: a view of an Ethernet frame down to UDP, and the verdict on it; the XDP program and user space share it;
//! - [`filter`]: PRI masks and the content filter, [`limit`]: token buckets; shared in the same way;
//! - [`verdict`]: verdicts and the layouts of the maps that the XDP program and the collector share;
//! - [`spread`]: how datagrams are given to the receive threads' sockets;
//! - [`frame`]: the record on the bus: many datagrams with their exporters and receive times;
//! - [`ledger`]: the cells in which datagrams are counted, the equations between them, and a collector's counts in frames.
#![no_std]

pub mod filter;
#[cfg(feature = "frame")]
pub mod frame;
#[cfg(feature = "frame")]
pub mod ledger;
pub mod limit;
pub mod packet;
pub mod spread;
pub mod verdict;
