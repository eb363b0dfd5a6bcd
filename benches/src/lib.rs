//! What the benchmarks are made of.
//!
//! - [`bus`]: the frame log beside raw files and beside Kafka;
//! - [`measure`]: a result, with what it was compared with in the same run;
//! - [`decode_lines`]: lines for the decoders, and the same grammars as regular expressions;
//! - [`flow`]: datagrams of flow records, read by natrail and by the netflow_parser crate;
//! - [`pipeline`]: the stages from the wire to the committed row, with the real parts around them;
//! - [`rate`]: datagrams per second, beside other collectors.

pub mod bus;
pub mod decode_lines;
pub mod flow;
pub mod measure;
pub mod pipeline;
pub mod rate;
