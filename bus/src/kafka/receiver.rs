//! Frames in: a member of a consumer group that takes its positions from its worker, never from Kafka.
//!
//! The group only says who owns which partitions (eagerly: all are taken back before any is given anew). The offset policy is
//! `error`, so that frames which the topic's retention took are noticed here and reported, instead of being skipped in silence.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daemon::repeat::Repeat;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::client::{Link, Names, is_final, refused, settings};
use crate::{BusError, FrameReceiver, Handler, Loss, Ownership, Stream};

/// Most frames that one [`FrameReceiver::poll`] gives.
const FRAMES_PER_POLL: usize = 4;
/// A dead member is noticed after this; the least that Kafka's `group.min.session.timeout.ms` allows by default.
const SESSION_TIMEOUT_MS: &str = "6000";
const HEARTBEAT_MS: &str = "1500";
/// A member that does not poll for this long is taken for stuck.
const POLL_INTERVAL_MS: &str = "60000";
/// Frames fetched ahead, uncompressed, in KiB; one fetch may come on top.
const AHEAD_KIB: &str = "32768";
const FETCH_BYTES: &str = "8388608";
const PARTITION_FETCH_BYTES: &str = "2097152";
/// Wait for the broker's word on what a partition still holds.
const WATERMARK_WAIT: Duration = Duration::from_secs(5);
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// A member of the consumer group.
pub struct KafkaReceiver {
    /// `None` once closed.
    consumer: Option<BaseConsumer<Context>>,
    names: Names,
    owned: Vec<Stream>,
    /// Offset of the next frame of each started stream; -1: the earliest there is.
    positions: HashMap<Stream, i64>,
    /// Started streams that end before their position: they cannot be read.
    beyond: Vec<Stream>,
    beyond_said: Repeat,
    paused: bool,
    /// A position is out of range, and it is not known yet which.
    astray: bool,
}

/// Joins `group`. Returns at once; the streams come with the first polls.
///
/// # Errors
/// [`BusError::Refused`] if librdkafka does not take the configuration.
pub fn connect_receiver(bus: &config::Bus, group: &str) -> Result<KafkaReceiver, BusError> {
    let names = Names::of_frames(bus);
    let context = Context {
        link: Link::new(bus, "reading frames"),
        names: Names::of_frames(bus),
        changes: Mutex::default(),
        ends: Mutex::default(),
        closing: AtomicBool::new(false),
    };
    let consumer: BaseConsumer<Context> = settings(bus, "natrail-consumer")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "roundrobin")
        .set("session.timeout.ms", SESSION_TIMEOUT_MS)
        .set("heartbeat.interval.ms", HEARTBEAT_MS)
        .set("max.poll.interval.ms", POLL_INTERVAL_MS)
        .set("check.crcs", "true")
        .set("fetch.max.bytes", FETCH_BYTES)
        .set("max.partition.fetch.bytes", PARTITION_FETCH_BYTES)
        .set("fetch.wait.max.ms", "100")
        // How long fetching rests when enough is fetched ahead; the default of a second would starve the worker.
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", AHEAD_KIB)
        .create_with_context(context)
        .map_err(|error| refused(bus, "a receiver", &error))?;
    consumer
        .subscribe(&names.all())
        .map_err(|error| refused(bus, "a subscription", &error))?;
    Ok(KafkaReceiver {
        consumer: Some(consumer),
        names,
        owned: Vec::new(),
        positions: HashMap::new(),
        beyond: Vec::new(),
        beyond_said: Repeat::every(SAY_AGAIN),
        paused: false,
        astray: false,
    })
}

impl FrameReceiver for KafkaReceiver {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn Handler) -> Result<(), BusError> {
        if self.astray {
            self.find_range(handler)?;
        }
        let mut wait = timeout;
        for _ in 0..FRAMES_PER_POLL {
            let Some(consumer) = &self.consumer else {
                return Ok(());
            };
            let result = match consumer.poll(wait) {
                Some(Ok(message)) => {
                    let stream = self.names.stream(message.topic(), message.partition());
                    let position = stream.and_then(|stream| Some((stream, self.positions.get_mut(&stream)?)));
                    if let Some((stream, position)) = position {
                        deliver(stream, position, &message, handler);
                    }
                    Ok(true)
                }
                Some(Err(error)) => self.failed(&error).map(|()| false),
                None => Ok(false),
            };
            let changed = self.take_changes(handler)?;
            if changed || !result? {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn start(&mut self, from: &[(Stream, i64)]) -> Result<(), BusError> {
        for &(stream, offset) in from {
            if self.owned.contains(&stream) {
                self.positions.insert(stream, offset);
            }
        }
        self.beyond.clear();
        self.paused = false;
        self.assign()
    }

    fn pause(&mut self, paused: bool) -> Result<(), BusError> {
        if self.paused == paused {
            return Ok(());
        }
        self.paused = paused;
        // librdkafka's own pause outlives a change of ownership; reading nothing, and then anew, is always defined.
        if self.positions.is_empty() {
            Ok(())
        } else {
            self.assign()
        }
    }

    fn publish_positions(&mut self, next: &[(Stream, i64)]) {
        let Some(consumer) = &self.consumer else { return };
        let mut list = TopicPartitionList::new();
        for &(stream, offset) in next.iter().filter(|(stream, _)| self.owned.contains(stream)) {
            let name = self.names.name(stream.topic);
            if list
                .add_partition_offset(name, stream.partition, Offset::Offset(offset))
                .is_err()
            {
                return;
            }
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!("positions for monitors not published: {error}");
        }
    }

    fn behind(&mut self) -> u64 {
        let Some(consumer) = &self.consumer else { return 0 };
        let ends = consumer
            .context()
            .ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.positions
            .iter()
            .filter_map(|(stream, &position)| {
                let &(low, high) = ends.get(stream)?;
                u64::try_from(high - position.max(low)).ok()
            })
            .sum()
    }

    fn close(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            // From now on the context answers changes of ownership itself; dropping leaves the group.
            consumer.context().closing.store(true, Ordering::Release);
            drop(consumer);
        }
        self.owned.clear();
        self.positions.clear();
    }
}

impl Drop for KafkaReceiver {
    fn drop(&mut self) {
        self.close();
    }
}

fn deliver(stream: Stream, position: &mut i64, message: &impl Message, handler: &mut dyn Handler) {
    let offset = message.offset();
    if offset < *position {
        // Fetched before the position was set.
        return;
    }
    if *position >= 0 && offset > *position {
        handler.lost(stream, *position..offset, Loss::Retention);
    }
    *position = offset + 1;
    handler.frame(stream, offset, message.payload().unwrap_or_default());
}

fn failure(what: &str, error: &KafkaError) -> BusError {
    BusError::Unreachable(format!("Kafka receiver cannot {what}: {error}"))
}

impl KafkaReceiver {
    /// Hands changes of ownership that the last poll brought to `handler`. True if there were any.
    fn take_changes(&mut self, handler: &mut dyn Handler) -> Result<bool, BusError> {
        let Some(consumer) = &self.consumer else {
            return Ok(false);
        };
        let changes = std::mem::take(
            &mut *consumer
                .context()
                .changes
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let any = !changes.is_empty();
        for change in changes {
            self.positions.clear();
            self.beyond.clear();
            self.astray = false;
            let Some(consumer) = &self.consumer else {
                return Ok(any);
            };
            match &change {
                Ownership::Assigned(streams) => {
                    self.owned.clone_from(streams);
                    // Answered at once with nothing to read, so that the group does not wait while the database is asked.
                    let answer = consumer.assign(&TopicPartitionList::new());
                    answer.map_err(|error| failure("take its streams", &error))?;
                    handler.ownership(change);
                }
                Ownership::Revoked(_) => {
                    handler.ownership(change);
                    self.owned.clear();
                    consumer
                        .unassign()
                        .map_err(|error| failure("give its streams back", &error))?;
                }
            }
        }
        Ok(any)
    }

    fn failed(&mut self, error: &KafkaError) -> Result<(), BusError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.astray = true;
                Ok(())
            }
            Some(code) if is_final(code) || matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(BusError::Refused(format!("Kafka refuses to be read: {error}")))
            }
            // Said in the log by `Link`; librdkafka keeps trying.
            _ => Ok(()),
        }
    }

    /// Asks what the streams hold, and puts positions that are out of range where reading can go on.
    fn find_range(&mut self, handler: &mut dyn Handler) -> Result<(), BusError> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        self.beyond.clear();
        for (&stream, position) in &mut self.positions {
            let name = self.names.name(stream.topic);
            let (low, high) = consumer
                .fetch_watermarks(name, stream.partition, WATERMARK_WAIT)
                .map_err(|error| failure("ask what the streams hold", &error))?;
            if (0..low).contains(position) {
                handler.lost(stream, *position..low, Loss::Retention);
                *position = low;
            } else if *position > high {
                self.beyond.push(stream);
                if self.beyond_said.due() {
                    tracing::error!(
                        "{name} partition {} ends at offset {high}, but frames up to {position} are already taken: was the topic \
                         deleted or restored from a copy? It is not read; give natrail a new bus.topic_prefix",
                        stream.partition
                    );
                }
            }
        }
        self.astray = false;
        self.assign()
    }

    /// Reads the started streams that can be read from their positions on; nothing while paused.
    fn assign(&self) -> Result<(), BusError> {
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let mut list = TopicPartitionList::new();
        for (stream, &position) in &self.positions {
            if !self.paused && !self.beyond.contains(stream) {
                let offset = if position < 0 {
                    Offset::Beginning
                } else {
                    Offset::Offset(position)
                };
                list.add_partition_offset(self.names.name(stream.topic), stream.partition, offset)
                    .map_err(|error| failure("name an offset", &error))?;
            }
        }
        consumer
            .assign(&list)
            .map_err(|error| failure("start reading", &error))
    }
}

struct Context {
    link: Link,
    names: Names,
    /// What the group decided and [`KafkaReceiver::poll`] has not told yet.
    changes: Mutex<Vec<Ownership>>,
    /// First and next offset of the streams, as the brokers last said.
    ends: Mutex<HashMap<Stream, (i64, i64)>>,
    closing: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.link.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.statistics(&statistics);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, topic) in &statistics.topics {
            for partition in topic.partitions.values() {
                if let Some(stream) = self.names.stream(name, partition.partition)
                    && partition.hi_offset >= 0
                {
                    ends.insert(stream, (partition.lo_offset.max(0), partition.hi_offset));
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    /// Only notes the change: it is answered from [`KafkaReceiver::poll`], where the worker's handler is.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        change: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            if let Err(error) = consumer.unassign() {
                tracing::debug!("streams not given back: {error}");
            }
            return;
        }
        let streams = list
            .elements()
            .into_iter()
            .filter_map(|element| self.names.stream(element.topic(), element.partition()));
        let streams = streams.collect();
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(match change {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Ownership::Assigned(streams),
                _ => Ownership::Revoked(streams),
            });
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!("positions for monitors not published: {error}");
        }
    }
}
