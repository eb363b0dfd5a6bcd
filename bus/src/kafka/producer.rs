//! A producer that is replaced when librdkafka declares it dead.
//!
//! An idempotent producer stops for good when it can no longer promise the order of its records (a broker came back with
//! less than it had acknowledged). Its unacknowledged records then fail, and are counted; what comes after them must pass.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::ToBytes;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

/// A producer with a thread of its own for acknowledgements.
pub(super) struct Renewable<C: ProducerContext + Clone + 'static> {
    current: RwLock<ThreadedProducer<C>>,
    settings: ClientConfig,
    context: C,
}

/// A record that was not taken comes back with the reason.
type Sent<'a, K, P, O> = Result<(), (KafkaError, BaseRecord<'a, K, P, O>)>;

impl<C: ProducerContext + Clone + 'static> Renewable<C> {
    pub(super) fn new(settings: ClientConfig, context: C) -> KafkaResult<Self> {
        let current = RwLock::new(settings.create_with_context(context.clone())?);
        Ok(Self {
            current,
            settings,
            context,
        })
    }

    /// Hands a record over. After a fatal error the next try finds a new producer: until then it is as if the queue were full.
    #[expect(clippy::result_large_err, reason = "the record comes back, as rdkafka has it")]
    pub(super) fn send<'a, K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
        &self,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> Sent<'a, K, P, C::DeliveryOpaque> {
        let sent = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .send(record);
        match sent {
            Err((error, record)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                self.renew();
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record))
            }
            other => other,
        }
    }

    pub(super) fn flush(&self, timeout: Duration) -> KafkaResult<()> {
        // A clone, so that nobody waits for the lock meanwhile.
        let current = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        current.flush(timeout)
    }

    fn renew(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        let Some((code, reason)) = current.client().fatal_error() else {
            return;
        };
        tracing::error!(
            "Kafka producer stopped ({code}: {reason}); its unacknowledged records are lost, a new one goes on"
        );
        match self.settings.create_with_context(self.context.clone()) {
            // Dropping the old one fails, and so counts, what it still holds.
            Ok(new) => *current = new,
            Err(error) => tracing::error!("cannot make a new Kafka producer: {error}; tries again"),
        }
    }

    #[cfg(test)]
    pub(super) fn native(&self) -> *mut rdkafka::types::RDKafka {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .client()
            .native_ptr()
    }
}
