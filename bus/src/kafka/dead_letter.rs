//! Messages that could not be decoded, out to the topic `<prefix>.dead-letter`.
//!
//! Key: `topic/partition/offset/index` of the datagram, as text. Headers, as text: `reason`, `exporter`, `received` (ns since
//! 1970), and `bytes` where the payload was cut. Payload: the datagram as it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext};
use rdkafka::statistics::Statistics;

use super::client::{Link, producer_settings, refused, topic_name};
use super::producer::Renewable;
use crate::{BusError, DeadLetter, DeadLetterSender, Topic};

/// Memory for dead letters that are not acknowledged, in KiB, per sender.
const QUEUE_KIB: u64 = 32 * 1024;
/// Longest payload that is kept, in octets; only a record that was no frame can be longer.
pub const PAYLOAD_BYTES_MAX: usize = 1_000_000;
/// Wait between two tries while the queue is full.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// An idempotent producer of dead letters.
pub struct KafkaDeadLetters {
    producer: Renewable<Context>,
    shared: Arc<Shared>,
    topic: String,
    brokers: String,
    /// Refusals that were already reported to the caller.
    failed_told: u64,
}

/// A sender of dead letters for the configured Kafka. Returns at once.
///
/// # Errors
/// [`BusError::Refused`] if librdkafka does not take the configuration.
pub fn connect_dead_letters(bus: &config::Bus) -> Result<KafkaDeadLetters, BusError> {
    let shared = Arc::new(Shared {
        link: Link::new(bus, "sending dead letters"),
        failed: AtomicU64::new(0),
    });
    let settings = producer_settings(bus, "natrail-dead-letters", QUEUE_KIB);
    let producer = Renewable::new(settings, Context(Arc::clone(&shared)))
        .map_err(|error| refused(bus, "a sender of dead letters", &error))?;
    let (topic, brokers) = (topic_name(bus, Topic::DeadLetter), bus.brokers.clone());
    Ok(KafkaDeadLetters {
        producer,
        shared,
        topic,
        brokers,
        failed_told: 0,
    })
}

impl DeadLetterSender for KafkaDeadLetters {
    fn send(&mut self, letter: &DeadLetter<'_>, timeout: Duration) -> Result<(), BusError> {
        let key = format!(
            "{}/{}/{}/{}",
            letter.stream.topic.name(),
            letter.stream.partition,
            letter.offset,
            letter.index
        );
        let payload = &letter.payload[..letter.payload.len().min(PAYLOAD_BYTES_MAX)];
        let (exporter, received) = (letter.exporter.to_string(), letter.received_ns.to_string());
        let mut headers = OwnedHeaders::new()
            .insert(Header {
                key: "reason",
                value: Some(letter.reason),
            })
            .insert(Header {
                key: "exporter",
                value: Some(&exporter),
            })
            .insert(Header {
                key: "received",
                value: Some(&received),
            });
        if payload.len() < letter.payload.len() {
            let bytes = letter.payload.len().to_string();
            headers = headers.insert(Header {
                key: "bytes",
                value: Some(&bytes),
            });
        }
        let mut record = BaseRecord::<str, [u8], ()>::to(&self.topic)
            .key(&key)
            .payload(payload)
            .headers(headers);
        let deadline = Instant::now() + timeout;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    if Instant::now() >= deadline {
                        return Err(BusError::Unreachable(format!(
                            "Kafka at {} has not taken the dead letters before {key} within {timeout:?}",
                            self.brokers
                        )));
                    }
                    record = back;
                    std::thread::sleep(FULL_WAIT);
                }
                Err((error, _)) => {
                    return Err(BusError::Refused(format!(
                        "Kafka at {} refuses dead letter {key} in topic {}: {error}",
                        self.brokers, self.topic
                    )));
                }
            }
        }
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), BusError> {
        self.producer.flush(timeout).map_err(|error| {
            BusError::Unreachable(format!(
                "Kafka at {} has not acknowledged all dead letters within {timeout:?}: {error}",
                self.brokers
            ))
        })?;
        let failed = self.shared.failed.load(Ordering::Acquire);
        let newly = failed - std::mem::replace(&mut self.failed_told, failed);
        if newly > 0 {
            return Err(BusError::Refused(format!(
                "Kafka at {} refused {newly} dead letters in topic {}",
                self.brokers, self.topic
            )));
        }
        Ok(())
    }
}

struct Shared {
    link: Link,
    failed: AtomicU64,
}

#[derive(Clone)]
struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.link.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.link.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.link.statistics(&statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.link.answered(),
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::Release);
                self.0
                    .link
                    .complain(format_args!("refused a dead letter: {error}"));
            }
        }
    }
}
