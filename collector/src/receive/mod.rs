//! Datagrams from the kernel: the only room with `unsafe` code.
//!
//! - [`socket`]: the UDP sockets of all threads, and their options;
//! - [`spread`]: one exporter over the sockets of all threads;
//! - [`buffer_ring`]: the buffers that the kernel fills, shared with it through a ring;
//! - [`uring`]: multishot recvmsg and the batched wait;
//! - [`message`]: what one completed receive says: payload, sender, time, drops;
//! - [`xsk`]: AF_XDP, the way around the kernel's network stack;
//! - [`mapping`]: memory that is shared with the kernel.
//!
//! # Minimum kernel version
//! Linux 6.1 (deferred task work; multishot recvmsg and buffer rings are older). From 6.12 on waits are batched,
//! which halves the wake-ups.

mod buffer_ring;
pub mod mapping;
pub mod message;
pub mod socket;
pub mod spread;
pub mod uring;
pub mod xsk;
