//! The pipeline's stages, each measured with the real parts around it.
//!
//! - [`xdp`]: the XDP program, in the kernel, on one packet;
//! - [`receive`]: the collector's receive thread, up to closed frames;
//! - [`consume`]: the consumer, from frames on the bus to committed rows, beside the server's own `COPY FROM file`;
//! - [`whole`]: from the wire to the committed row, everything on this machine;
//! - [`memory`]: the daemons' memory over ten million events;
//! - [`setting`]: configuration and daemons for the above.

pub mod consume;
pub mod memory;
pub mod receive;
pub mod setting;
pub mod whole;
pub mod xdp;
