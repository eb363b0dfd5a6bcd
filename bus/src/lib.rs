//! Frames out, frames in.
//!
//! Collector and consumer know only the traits of this page, and [`connect`], which chooses by the configuration.
//! [`kafka`] is the only module that knows Kafka; [`log`] is the log on this machine's disk.
//!
//! A *stream* is one partition of one topic: frames in it have consecutive-or-growing offsets and keep their order.

pub mod connect;
mod counters;
mod given_up;
pub mod kafka;
pub mod log;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use given_up::GivenUp;

/// Errors of the bus, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus refuses its configuration or a request for good.
    #[error("{0}")]
    Refused(String),
    /// The bus cannot be reached now; trying again may help.
    #[error("{0}")]
    Unreachable(String),
}

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Syslog,
    Netflow,
    Radius,
    /// What collectors count.
    Ledger,
    /// Messages that could not be decoded, with the reason.
    DeadLetter,
}

impl Topic {
    /// The topics that carry frames.
    pub const FRAMES: [Self; 4] = [Self::Syslog, Self::Netflow, Self::Radius, Self::Ledger];

    /// `syslog`, `netflow`, `radius`, `ledger` or `dead-letter`; the topic's name on the bus is `<prefix>.<this>`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Netflow => "netflow",
            Self::Radius => "radius",
            Self::Ledger => "ledger",
            Self::DeadLetter => "dead-letter",
        }
    }
}

impl From<wire::frame::PayloadKind> for Topic {
    fn from(kind: wire::frame::PayloadKind) -> Self {
        match kind {
            wire::frame::PayloadKind::Syslog => Self::Syslog,
            wire::frame::PayloadKind::Netflow => Self::Netflow,
            wire::frame::PayloadKind::Radius => Self::Radius,
            wire::frame::PayloadKind::Ledger => Self::Ledger,
        }
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    pub topic: Topic,
    pub partition: i32,
}

/// `syslog/0`
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic.name(), self.partition)
    }
}

impl std::str::FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(topic, partition)| {
            Some(Self {
                topic: log::directory::TOPICS
                    .into_iter()
                    .find(|known| known.name() == topic)?,
                partition: partition.parse().ok().filter(|partition| *partition >= 0)?,
            })
        });
        parsed.ok_or_else(|| {
            format!(
                "{text:?} is no partition: name it as topic/number, such as syslog/0 (topics: syslog, netflow, radius, ledger, dead-letter)"
            )
        })
    }
}

/// Counters of a sender; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounts {
    pub acknowledged_frames: u64,
    pub acknowledged_datagrams: u64,
    pub acknowledged_bytes: u64,
    /// Given up for good (refused by the bus).
    pub failed_frames: u64,
    pub failed_datagrams: u64,
    /// Handed over and neither acknowledged nor given up.
    pub in_flight_frames: u64,
}

/// What a sender's frame log did since the start, and has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Octets of all segments now.
    pub bytes: u64,
    /// Number of segments now.
    pub segments: u64,
    /// Octets of frames that wait in memory since the disk refuses them.
    pub memory_bytes: u64,
    /// Times the disk refused a frame.
    pub write_errors: u64,
    /// Frames that were dropped before they were consumed.
    pub dropped_frames: u64,
    /// Datagrams in them, by exporter; `None` for those that are not told apart.
    pub dropped_datagrams: Vec<(Option<IpAddr>, u64)>,
    /// With Kafka: frames that went to the disk since Kafka did not take them.
    pub spilled_frames: u64,
    /// With Kafka: frames on the disk that Kafka has not acknowledged.
    pub waiting_frames: u64,
}

impl LogCounts {
    fn of_writer(&mut self, writer: &log::writer::LogWriter) {
        self.bytes = writer.bytes();
        self.segments = writer.segments() as u64;
        let lost = writer.lost();
        self.dropped_frames = lost.frames;
        self.dropped_datagrams = lost
            .by_exporter
            .iter()
            .map(|(exporter, datagrams)| (*exporter, *datagrams))
            .collect();
    }
}

/// Datagrams that a sender gave up since it was asked last, for the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenUpBy {
    /// The bus refused their frames for good.
    pub refused: GivenUp,
    /// The frame log's bounds dropped their frames before they were consumed.
    pub log_full: GivenUp,
}

/// The sender's memory is full: the caller keeps the record and tries again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// Frames out. Shared between threads.
pub trait FrameSender: Send + Sync {
    /// Takes a copy of a frame of `datagrams` datagrams. Does not block.
    ///
    /// # Errors
    /// [`QueueFull`] while the bus does not keep up: nothing was taken.
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull>;

    /// Waits until everything handed over is acknowledged or given up, at most `timeout`. True if nothing is left.
    fn flush(&self, timeout: Duration) -> bool;

    fn counts(&self) -> SendCounts;

    /// Whether the bus answered last time; for logs and metrics.
    fn is_up(&self) -> bool;

    /// Puts what is not acknowledged where the next process finds it, for the end of this one. True if nothing is left
    /// in memory.
    fn keep(&self) -> bool {
        self.counts().in_flight_frames == 0
    }

    /// Why the bus will never take anything; told once.
    fn refused(&self) -> Option<BusError> {
        None
    }

    /// What its frame log did; `None` without one.
    fn log_counts(&self) -> Option<LogCounts> {
        None
    }

    /// What it gave up since the last call.
    fn take_given_up(&self) -> GivenUpBy {
        GivenUpBy::default()
    }
}

/// A message that could not be decoded.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// Where the frame of the message is.
    pub stream: Stream,
    pub offset: i64,
    /// Position of the datagram in its frame.
    pub index: u32,
    pub exporter: std::net::IpAddr,
    pub received_ns: u64,
    /// Begins with a stable word, as `decode::DecodeError::name` gives it; of flow records, a colon and details follow.
    pub reason: &'a str,
    pub payload: &'a [u8],
}

/// Dead letters out. Delivered at least once; (stream, offset, index) tells repeats apart.
pub trait DeadLetterSender: Send {
    /// Takes a copy. May block while the bus's memory is full, at most `timeout`.
    fn send(&mut self, letter: &DeadLetter<'_>, timeout: Duration) -> Result<(), BusError>;

    /// Waits until all are acknowledged.
    fn flush(&mut self, timeout: Duration) -> Result<(), BusError>;
}

/// A change in the streams that a receiver owns. Eager: `Assigned` names all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// These are yours now; say where to start with [`FrameReceiver::start`].
    Assigned(Vec<Stream>),
    /// These are yours no longer. Frames of them that are not yet committed will be read by somebody else.
    Revoked(Vec<Stream>),
}

/// Why frames are not on the bus any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The bus dropped them before they were read: its retention was shorter than the reader's delay.
    Retention,
    /// They are damaged on the disk.
    Damaged,
}

/// What a receiver has for its worker.
pub trait Handler {
    /// A frame, in place: valid during the call.
    fn frame(&mut self, stream: Stream, offset: i64, record: &[u8]);
    /// Called before [`FrameReceiver::poll`] returns; see there.
    fn ownership(&mut self, change: Ownership);
    /// The frames `missing` of an owned stream are not on the bus any more: they are lost. Reading goes on behind them.
    fn lost(&mut self, stream: Stream, missing: std::ops::Range<i64>, why: Loss);
}

/// Frames in. Owned by one worker thread.
///
/// [`Self::poll`] must be called every few seconds (up to some minutes) even while nothing can be taken: a receiver that does not
/// poll is taken for dead, and delays a change of ownership for all others.
pub trait FrameReceiver: Send {
    /// Waits for frames or a change of ownership, at most `timeout`, and gives what there is to `handler`
    /// (some frames, not an endless run of them).
    ///
    /// After `Ownership::Assigned` no frame comes before [`Self::start`]. `Ownership::Revoked` is called before the
    /// streams are given to somebody else: the handler may still commit what it has.
    fn poll(&mut self, timeout: Duration, handler: &mut dyn Handler) -> Result<(), BusError>;

    /// Reads the given streams from the given offsets on (-1: the earliest there is), and ends a pause. Also used to go
    /// back after a failed commit.
    fn start(&mut self, from: &[(Stream, i64)]) -> Result<(), BusError>;

    /// Stops and starts delivery of all owned streams, while the worker cannot take more. Frames that were fetched
    /// ahead may be thrown away and fetched again, so this is for waits of seconds, not for every batch.
    fn pause(&mut self, paused: bool) -> Result<(), BusError>;

    /// Tells the bus, for monitors and for its retention, that everything below these offsets is done.
    fn publish_positions(&mut self, next: &[(Stream, i64)]);

    /// Whether [`Self::publish_positions`] costs so little that every commit may be told.
    fn publishes_every_commit(&self) -> bool {
        false
    }

    /// Frames on the bus, in the owned streams, that were not delivered yet; as far as is known without asking others.
    fn behind(&mut self) -> u64;

    /// Leaves the group in an orderly way.
    fn close(&mut self);
}

impl<R: FrameReceiver + ?Sized> FrameReceiver for Box<R> {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn Handler) -> Result<(), BusError> {
        (**self).poll(timeout, handler)
    }
    fn start(&mut self, from: &[(Stream, i64)]) -> Result<(), BusError> {
        (**self).start(from)
    }
    fn pause(&mut self, paused: bool) -> Result<(), BusError> {
        (**self).pause(paused)
    }
    fn publish_positions(&mut self, next: &[(Stream, i64)]) {
        (**self).publish_positions(next);
    }
    fn publishes_every_commit(&self) -> bool {
        (**self).publishes_every_commit()
    }
    fn behind(&mut self) -> u64 {
        (**self).behind()
    }
    fn close(&mut self) {
        (**self).close();
    }
}

/// Spreads exporters over partitions: FNV-1a of the 16 octets of the address, so that every collector agrees.
pub fn partition_of(exporter: std::net::IpAddr, partitions: u16) -> i32 {
    let octets = match exporter {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    };
    let hash = octets.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % u64::from(partitions.max(1))) as i32
}
