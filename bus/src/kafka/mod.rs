//! The bus on Kafka (librdkafka): one record is one frame.
//!
//! - [`sender`] — frames out, idempotent, acknowledged by all in-sync replicas;
//! - [`spill`] — the same, with the frame log behind it;
//! - [`receiver`] — frames in, as a member of a consumer group whose positions are kept elsewhere;
//! - [`dead_letter`] — messages that could not be decoded;
//! - [`admin`] — topics; [`gate`] — holds frames back until they are there.

pub mod admin;
mod client;
pub mod dead_letter;
pub mod gate;
mod producer;
pub mod receiver;
pub mod sender;
pub mod spill;

pub use admin::{create_topics, ensure_topics};
pub use dead_letter::{KafkaDeadLetters, connect_dead_letters};
pub use gate::{GatedSender, connect_gated_sender};
pub use receiver::{KafkaReceiver, connect_receiver};
pub use sender::{KafkaSender, connect_sender};
pub use spill::{SpillSender, connect_spill_sender};
