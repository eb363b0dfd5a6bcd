//! The XDP program in the kernel. Needs root.
//!
//! - [`program`]: against the same code in user space, packet by packet (BPF_PROG_TEST_RUN);
//! - [`interface`]: on real interfaces, in native mode;
//! - [`shed`]: more than the collector can take.

mod interface;
mod program;
mod rules;
mod setup;
mod shed;
