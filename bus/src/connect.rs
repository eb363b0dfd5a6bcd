//! The bus that the configuration asks for.

use std::sync::Arc;
use std::time::Duration;

use config::BusKind;
use daemon::repeat::Repeat;
use wire::frame::PayloadKind;

use crate::{BusError, DeadLetterSender, FrameReceiver, FrameSender, Stream, Topic, kafka, log};

const TRY_AGAIN: Duration = Duration::from_millis(500);
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// A sender of frames of these kinds, and of the ledger's.
///
/// # Errors
/// [`BusError::Refused`] if the configuration cannot be used, or another process writes the same frame log.
pub fn sender(bus: &config::Bus, kinds: &[PayloadKind]) -> Result<Arc<dyn FrameSender>, BusError> {
    match bus.kind() {
        BusKind::Log => Ok(Arc::new(log::connect_sender(bus, &streams(bus, kinds))?)),
        BusKind::Kafka if bus.log.spill => {
            Ok(Arc::new(kafka::connect_spill_sender(bus, &streams(bus, kinds))?))
        }
        BusKind::Kafka => Ok(Arc::new(kafka::connect_gated_sender(bus)?)),
    }
}

/// Makes what a reader needs of the bus, and gives the name under which the database keeps positions on it. Waits until that
/// is possible, or until `stopping` says true: `None` then.
///
/// # Errors
/// [`BusError::Refused`] for what no waiting mends.
pub fn prepare(bus: &config::Bus, stopping: impl Fn() -> bool) -> Result<Option<String>, BusError> {
    match bus.kind() {
        BusKind::Kafka => {
            let made = kafka::ensure_topics(bus, stopping)?;
            Ok(made.then(|| format!("kafka:{}", bus.topic_prefix)))
        }
        BusKind::Log => {
            let said = Repeat::every(SAY_AGAIN);
            while !stopping() {
                match log::ensure(bus) {
                    Ok(id) => return Ok(Some(log::LogReceiver::bus_name(&id))),
                    Err(BusError::Refused(text)) => return Err(BusError::Refused(text)),
                    Err(BusError::Unreachable(text)) if said.due() => tracing::warn!("{text}; keeps trying"),
                    Err(BusError::Unreachable(_)) => {}
                }
                std::thread::sleep(TRY_AGAIN);
            }
            Ok(None)
        }
    }
}

/// All streams of these kinds, and the ledger's.
fn streams(bus: &config::Bus, kinds: &[PayloadKind]) -> Vec<Stream> {
    let partitions = |&kind: &PayloadKind| {
        (0..i32::from(bus.partitions)).map(move |partition| Stream {
            topic: kind.into(),
            partition,
        })
    };
    let mut streams: Vec<Stream> = kinds.iter().flat_map(partitions).collect();
    streams.push(LEDGER);
    streams
}

/// Where collectors say what they count. There is so little of it that one partition does.
pub const LEDGER: Stream = Stream {
    topic: Topic::Ledger,
    partition: 0,
};

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
