//! What all clients share: settings, names of topics, and what is said when Kafka does not answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daemon::repeat::Repeat;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use crate::{BusError, Stream, Topic};

/// Largest record that a client sends or takes, in octets. A frame and its record's overhead fit Kafka's default of 1,048,588.
pub(super) const RECORD_BYTES_MAX: usize = 1_048_576;
/// How often a lasting fault is said again.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// How often librdkafka reports the state of its connections.
const STATISTICS_MS: &str = "1000";

/// Settings of every client.
pub(super) fn settings(bus: &config::Bus, client_id: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &bus.brokers)
        .set("client.id", client_id)
        // A missing topic is created by `admin` with the configured partitions, never by accident with one.
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false")
        .set("statistics.interval.ms", STATISTICS_MS);
    settings
}

/// Settings of every producer: nothing is given up, doubled or reordered.
pub(super) fn producer_settings(bus: &config::Bus, client_id: &str, queue_kib: u64) -> ClientConfig {
    let mut settings = settings(bus, client_id);
    settings
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // No record expires in the queue: when the queue is full, the caller is told.
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("batch.size", RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.kbytes", queue_kib.to_string())
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.ms", "5")
        .set(
            "compression.codec",
            match bus.compression {
                config::Compression::Zstd => "zstd",
                config::Compression::Lz4 => "lz4",
                config::Compression::None => "none",
            },
        );
    settings
}

/// `<prefix>.<topic>`.
pub(super) fn topic_name(bus: &config::Bus, topic: Topic) -> String {
    format!("{}.{}", bus.topic_prefix, topic.name())
}

/// Names of the topics that carry frames, and back.
#[derive(Debug)]
pub(super) struct Names(Vec<(Topic, String)>);

impl Names {
    pub(super) fn of_frames(bus: &config::Bus) -> Self {
        Self(
            Topic::FRAMES
                .iter()
                .map(|&topic| (topic, topic_name(bus, topic)))
                .collect(),
        )
    }

    pub(super) fn all(&self) -> Vec<&str> {
        self.0.iter().map(|(_, name)| name.as_str()).collect()
    }

    pub(super) fn name(&self, topic: Topic) -> &str {
        self.0
            .iter()
            .find(|(known, _)| *known == topic)
            .map_or("", |(_, name)| name)
    }

    pub(super) fn stream(&self, name: &str, partition: i32) -> Option<Stream> {
        let topic = self.0.iter().find(|(_, known)| known == name)?.0;
        Some(Stream { topic, partition })
    }
}

/// Whether trying again with the same request can never help.
pub(super) fn is_final(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::PolicyViolation
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidConfig
            | Code::MessageSizeTooLarge
            | Code::UnsupportedCompressionType
    )
}

/// Error of making a client: its settings are refused.
pub(super) fn refused(bus: &config::Bus, what: &str, error: &KafkaError) -> BusError {
    BusError::Refused(format!(
        "cannot set up {what} for Kafka at {}: {error}",
        bus.brokers
    ))
}

/// Says what the connection does, and knows whether it is up.
#[derive(Debug)]
pub(super) struct Link {
    brokers: String,
    what: &'static str,
    up: AtomicBool,
    down_said: Repeat,
    other_said: Repeat,
}

impl Link {
    pub(super) fn new(bus: &config::Bus, what: &'static str) -> Self {
        Self {
            brokers: bus.brokers.clone(),
            what,
            up: AtomicBool::new(false),
            down_said: Repeat::every(SAY_AGAIN),
            other_said: Repeat::every(SAY_AGAIN),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Kafka answered.
    pub(super) fn answered(&self) {
        if !self.up.swap(true, Ordering::Relaxed) && self.down_said.over() {
            tracing::info!("{}: Kafka at {} answers again", self.what, self.brokers);
        }
    }

    /// Something failed that needs the operator's eyes, and is not the connection.
    pub(super) fn complain(&self, text: impl std::fmt::Display) {
        if self.other_said.due() {
            tracing::error!("{}: Kafka at {}: {text}", self.what, self.brokers);
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => self.unreachable(reason),
            // Told by `admin`, or waited out: a topic that was just created is not known to all brokers at once.
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {}
            _ => self.complain(format_args!("{error}: {reason}")),
        }
    }

    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                // Failures of a connection come as errors as well, and are said there.
                if !matches!(facility, "FAIL" | "ERROR") {
                    self.complain(format_args!("{facility}: {text}"));
                }
            }
            _ => tracing::debug!("librdkafka: {facility}: {text}"),
        }
    }

    pub(super) fn statistics(&self, statistics: &Statistics) {
        // The opposite says nothing: connections that are not needed are closed.
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.answered();
        }
    }

    fn unreachable(&self, reason: &str) {
        self.up.store(false, Ordering::Relaxed);
        if self.down_said.due() {
            tracing::warn!(
                "{}: Kafka at {} unreachable: {reason}; keeps trying",
                self.what,
                self.brokers
            );
        }
    }
}
