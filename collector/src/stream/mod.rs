//! Syslog over TCP (RFC 6587) and TLS (RFC 5425) into the same frames as datagrams.
//!
//! - [`framing`]: messages out of the octets of a connection;
//! - [`listener`]: the listening sockets, and who may connect;
//! - [`tls`]: certificates and keys, read at the start and on reload;
//! - [`connection`]: one peer: its socket, its TLS, its octets that are no message yet;
//! - [`table`]: all connections and how many each source has;
//! - [`intake`]: the way of a message behind its connection;
//! - [`worker`]: the loop of the one thread that serves them all;
//! - [`counters`]: what that thread counts.
//!
//! One thread with epoll has all of them, and a framer of its own, so that nothing of this is in the way of datagrams: their
//! threads wait in io_uring for sockets that never close and never say "not now", and own buffers for whole datagrams. A
//! connection is the opposite: it comes and goes, owns what is unfinished, and may be made to wait.
//!
//! It is made to wait when no frame buffer is free: nothing is read then, TCP's window closes, and the peer keeps what it
//! has. So what was received here is never dropped for want of a buffer.

pub mod connection;
pub mod counters;
pub mod framing;
pub mod intake;
pub mod listener;
pub mod table;
pub mod tls;
pub mod worker;
