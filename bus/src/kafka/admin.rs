//! Topics: made where they are missing, looked at where they exist.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use daemon::repeat::Repeat;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::client::{is_final, refused, settings, topic_name};
use crate::{BusError, Topic};

const ANSWER_WAIT: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(500);
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// How often, and how far apart, the brokers are asked whether new topics are there.
const LOOKS: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const TOPICS: [Topic; 5] = [
    Topic::Syslog,
    Topic::Netflow,
    Topic::Radius,
    Topic::Ledger,
    Topic::DeadLetter,
];

/// Makes the topics that are missing, and waits for Kafka until `stopping` says true: `Ok(false)` then.
///
/// # Errors
/// [`BusError::Refused`] as [`create_topics`] has it. What is unreachable is said in the log and tried again.
pub fn ensure_topics(bus: &config::Bus, stopping: impl Fn() -> bool) -> Result<bool, BusError> {
    let said = Repeat::every(SAY_AGAIN);
    while !stopping() {
        match create_topics(bus) {
            Ok(()) => {
                if said.over() {
                    tracing::info!("Kafka at {} answers; its topics are there", bus.brokers);
                }
                return Ok(true);
            }
            Err(BusError::Refused(text)) => return Err(BusError::Refused(text)),
            Err(BusError::Unreachable(text)) => {
                if said.due() {
                    tracing::warn!("{text}; keeps trying");
                }
                std::thread::sleep(TRY_AGAIN);
            }
        }
    }
    Ok(false)
}

/// Makes the topics that are missing, with the configured partitions and copies. One try.
///
/// # Errors
/// [`BusError::Refused`] if Kafka will not make a topic (too few brokers for the copies, no permission), or if one that exists
/// has fewer partitions than `bus.partitions`: exporters would be sent to partitions that are not there.
/// [`BusError::Unreachable`] if there is no answer.
pub fn create_topics(bus: &config::Bus) -> Result<(), BusError> {
    let admin: AdminClient<Quiet> = settings(bus, "natrail-admin")
        .create_with_context(Quiet)
        .map_err(|error| refused(bus, "a client", &error))?;
    let missing = missing(bus, &admin)?;
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<_> = missing
        .iter()
        .map(|name| {
            let copies = TopicReplication::Fixed(i32::from(bus.replication));
            NewTopic::new(name, i32::from(bus.partitions), copies)
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(ANSWER_WAIT))
        .operation_timeout(Some(ANSWER_WAIT));
    for result in
        wait_for(admin.create_topics(&wanted, &options)).map_err(|error| unreachable(bus, &error))?
    {
        match result {
            Ok(name) => tracing::info!("made topic {name} with {} partitions", bus.partitions),
            // Somebody else was faster; the next look decides whether theirs will do.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) if is_final(code) => {
                return Err(BusError::Refused(format!(
                    "Kafka at {} will not make topic {name} with {} partitions and {} copies: {code}; \
                     make it by hand, or change bus.partitions or bus.replication",
                    bus.brokers, bus.partitions, bus.replication
                )));
            }
            Err((name, code)) => {
                return Err(BusError::Unreachable(format!(
                    "Kafka at {} did not make topic {name}: {code}",
                    bus.brokers
                )));
            }
        }
    }
    // Not done until the brokers say that the topics are there: a sender would be refused.
    for _ in 0..LOOKS {
        if self::missing(bus, &admin)?.is_empty() {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Err(BusError::Unreachable(format!(
        "Kafka at {} is still making topics",
        bus.brokers
    )))
}

/// Topics that do not exist, or have no leader yet.
fn missing(bus: &config::Bus, admin: &AdminClient<Quiet>) -> Result<Vec<String>, BusError> {
    let metadata = admin
        .inner()
        .fetch_metadata(None, ANSWER_WAIT)
        .map_err(|error| unreachable(bus, &error))?;
    let mut missing = Vec::new();
    for topic in TOPICS {
        let name = topic_name(bus, topic);
        match metadata.topics().iter().find(|known| known.name() == name) {
            Some(known) if known.partitions().iter().all(|partition| partition.leader() >= 0) => {
                if topic != Topic::DeadLetter {
                    enough(bus, &name, known.partitions().len())?;
                }
            }
            _ => missing.push(name),
        }
    }
    Ok(missing)
}

fn unreachable(bus: &config::Bus, error: &KafkaError) -> BusError {
    BusError::Unreachable(format!("Kafka at {} unreachable: {error}", bus.brokers))
}

fn enough(bus: &config::Bus, name: &str, actual: usize) -> Result<(), BusError> {
    if actual >= usize::from(bus.partitions) {
        return Ok(());
    }
    Err(BusError::Refused(format!(
        "topic {name} on Kafka at {} has {actual} partitions, but bus.partitions is {}: \
         set bus.partitions = {actual} on all collectors, or give the topic more partitions",
        bus.brokers, bus.partitions
    )))
}

/// Says nothing by itself: the caller reports.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!("librdkafka: {facility}: {text}");
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
    }
    fn stats(&self, _: Statistics) {}
}

/// Waits for one answer on this thread; the client's own thread wakes it.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
