//! AF_XDP: packets from the driver into memory of this process, around the kernel's network stack.
//!
//! Every queue of an interface has one pool of frames ([`umem`]) and one fill ring; every thread has a socket on each queue
//! with an rx ring of its own ([`socket`]), and the XDP program chooses the thread. A packet is read in its frame and copied
//! into the collector's frame of datagrams; then its frame goes back into the fill ring, under a lock that is taken once
//! for a batch.
//!
//! - [`open`]: all sockets of a collector, as the configuration asks for;
//! - [`receiver`]: those of one thread;
//! - [`socket`], [`umem`], [`ring`]: a socket, its frames, its rings;
//! - [`datagram`]: from a packet to a datagram; [`checksum`]: what the kernel's stack would have verified;
//! - [`counters`]: what was taken and lost;
//! - [`syscall`]: what is asked of the kernel; [`error`]: why it says no.

pub mod checksum;
pub mod counters;
pub mod datagram;
pub mod error;
pub mod open;
pub mod receiver;
pub mod ring;
pub mod socket;
pub mod syscall;
pub mod umem;
