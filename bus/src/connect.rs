//! The bus that the configuration asks for.

use std::sync::Arc;

use config::BusKind;
use wire::frame::PayloadKind;

use crate::{BusError, DeadLetterSender, FrameReceiver, FrameSender, Stream, kafka, log};

/// A sender of frames of these kinds.
///
/// # Errors
/// [`BusError::Refused`] if the configuration cannot be used, or another process writes the same frame log.
pub fn sender(bus: &config::Bus, kinds: &[PayloadKind]) -> Result<Arc<dyn FrameSender>, BusError> {
    match bus.kind() {
        BusKind::Log => Ok(Arc::new(log::connect_sender(bus, &streams(bus, kinds))?)),
        BusKind::Kafka => Ok(Arc::new(kafka::connect_sender(bus)?)),
    }
}

/// All streams of these kinds.
fn streams(bus: &config::Bus, kinds: &[PayloadKind]) -> Vec<Stream> {
    let partitions = |&kind: &PayloadKind| {
        (0..i32::from(bus.partitions)).map(move |partition| Stream {
            topic: kind.into(),
            partition,
        })
    };
    kinds.iter().flat_map(partitions).collect()
}

/// A receiver of frames, one for each worker. `group` is Kafka's.
///
/// # Errors
/// As the bus has it; [`BusError::Unreachable`] may be tried again.
pub fn receiver(bus: &config::Bus, group: &str) -> Result<Box<dyn FrameReceiver>, BusError> {
    Ok(match bus.kind() {
        BusKind::Log => Box::new(log::connect_receiver(bus)?),
        BusKind::Kafka => Box::new(kafka::connect_receiver(bus, group)?),
    })
}

/// A sender of dead letters, one for each worker.
///
/// # Errors
/// As the bus has it; [`BusError::Unreachable`] may be tried again.
pub fn dead_letters(bus: &config::Bus) -> Result<Box<dyn DeadLetterSender>, BusError> {
    Ok(match bus.kind() {
        BusKind::Log => Box::new(log::connect_dead_letters(bus)?),
        BusKind::Kafka => Box::new(kafka::connect_dead_letters(bus)?),
    })
}
