//! The XDP program in the kernel. Needs root.
//!
//! - [`program`]: against the same code in user space, packet by packet (BPF_PROG_TEST_RUN);
//! - [`interface`]: on real interfaces, in native mode.

mod interface;
mod program;
mod rules;
mod setup;
