//! Frames out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message};

use super::client::{Link, Names, producer_settings, refused};
use super::producer::Renewable;
use crate::counters::{Amount, Counters};
use crate::{BusError, FrameSender, GivenUp, GivenUpBy, QueueFull, SendCounts, Stream};

/// An idempotent producer with a thread of its own for acknowledgements.
pub struct KafkaSender {
    producer: Renewable<Context>,
    shared: Arc<Shared>,
    names: Names,
}

/// A sender for the configured Kafka. Returns at once: frames are queued while Kafka does not answer.
///
/// # Errors
/// [`BusError::Refused`] if librdkafka does not take the configuration.
pub fn connect_sender(bus: &config::Bus) -> Result<KafkaSender, BusError> {
    let shared = Arc::new(Shared {
        link: Link::new(bus, "sending frames"),
        counters: Counters::default(),
        in_flight_frames: AtomicU64::new(0),
        refused: Mutex::default(),
    });
    let settings = producer_settings(bus, "natrail-collector", u64::from(bus.queue_mib) * 1024);
    let producer = Renewable::new(settings, Context(Arc::clone(&shared)))
        .map_err(|error| refused(bus, "a sender", &error))?;
    Ok(KafkaSender {
        producer,
        shared,
        names: Names::of_frames(bus),
    })
}

impl FrameSender for KafkaSender {
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        let record =
            BaseRecord::<(), [u8], usize>::with_opaque_to(self.names.name(stream.topic), datagrams as usize)
                .partition(stream.partition)
                .payload(frame);
        // Counted before the acknowledgement can come, so that the number in flight is never below 0.
        self.shared.in_flight_frames.fetch_add(1, Ordering::Relaxed);
        match self.producer.send(record) {
            Ok(()) => Ok(()),
            Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                self.shared.in_flight_frames.fetch_sub(1, Ordering::Relaxed);
                Err(QueueFull)
            }
            Err((error, _)) => {
                self.shared.failed(&error, datagrams as usize, frame);
                Ok(())
            }
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        // The thread of the producer takes the acknowledgements; an error here means the time is up.
        self.producer.flush(timeout).is_ok() && self.shared.in_flight_frames.load(Ordering::Relaxed) == 0
    }

    fn counts(&self) -> SendCounts {
        let in_flight_frames = self.shared.in_flight_frames.load(Ordering::Relaxed);
        self.shared.counters.with_in_flight(in_flight_frames)
    }

    fn is_up(&self) -> bool {
        self.shared.link.is_up()
    }

    fn take_given_up(&self) -> GivenUpBy {
        GivenUpBy {
            refused: std::mem::take(&mut *self.shared.refused()),
            ..GivenUpBy::default()
        }
    }
}

struct Shared {
    link: Link,
    counters: Counters,
    in_flight_frames: AtomicU64,
    refused: Mutex<GivenUp>,
}

impl Shared {
    fn refused(&self) -> MutexGuard<'_, GivenUp> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self, bytes: usize, datagrams: usize) {
        self.link.answered();
        self.counters.acknowledged(Amount::frame(datagrams as u32, bytes));
        self.in_flight_frames.fetch_sub(1, Ordering::Relaxed);
    }

    fn failed(&self, error: &KafkaError, datagrams: usize, frame: &[u8]) {
        self.refused().add_frame(frame, datagrams as u64);
        self.counters.failed(1, datagrams as u64);
        self.in_flight_frames.fetch_sub(1, Ordering::Relaxed);
        self.link.complain(format_args!(
            "refused a frame of {datagrams} datagrams, which is lost: {error}"
        ));
    }
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
    /// Datagrams in the frame.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, datagrams: usize) {
        match result {
            Ok(message) => self.0.acknowledged(message.payload_len(), datagrams),
            Err((error, message)) => {
                self.0
                    .failed(error, datagrams, message.payload().unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    #[test]
    fn a_producer_that_died_is_replaced_and_what_it_held_is_counted() {
        // Nobody listens on the discard port: nothing is acknowledged.
        let bus = config::Bus {
            brokers: "127.0.0.1:9".into(),
            ..config::Bus::default()
        };
        let sender = connect_sender(&bus).expect("sender");
        let stream = Stream {
            topic: Topic::Syslog,
            partition: 0,
        };
        assert_eq!(sender.send(stream, b"held", 3), Ok(()));
        let code = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the handle belongs to the producer, which lives until the end of the test; the text is NUL-terminated.
        unsafe {
            rdkafka::bindings::rd_kafka_test_fatal_error(sender.producer.native(), code, c"test".as_ptr())
        };
        assert_eq!(sender.send(stream, b"first try", 1), Err(QueueFull));
        assert_eq!(sender.send(stream, b"second try", 1), Ok(()));
        let counts = sender.counts();
        assert_eq!(
            (
                counts.failed_frames,
                counts.failed_datagrams,
                counts.in_flight_frames
            ),
            (1, 3, 1)
        );
    }
}
