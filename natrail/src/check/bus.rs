//! What `[bus]` means, and what about it is perhaps not meant.

use std::io::Write;

use bus::Topic;
use bus::log::directory::{Root, TOPICS};
use bus::log::inspect;
use config::{Bus, BusKind, Compression, Config, Log, Sync, WhenFull};
use serde::Serialize;

const MIB: u64 = 1 << 20;

#[derive(Debug, Serialize)]
pub struct Meaning {
    /// `log` or `kafka`.
    kind: &'static str,
    partitions: u16,
    queue_mib: u32,
    /// Set if the bus is the frame log.
    log: Option<LogMeaning>,
    /// Set if the bus is Kafka.
    kafka: Option<KafkaMeaning>,
    /// Set if the bus is Kafka, and what it cannot take goes to the disk.
    spill: Option<SpillMeaning>,
}

#[derive(Debug, Serialize)]
struct LogMeaning {
    /// Where it is: below `bus.log.directory`.
    directory: String,
    sync: &'static str,
    sync_interval_ms: u64,
    may_lose: String,
    segment_mib: u32,
    size_max_mib: u64,
    age_max_hours: u32,
    free_reserve_mib: u64,
    when_full: &'static str,
}

#[derive(Debug, Serialize)]
struct KafkaMeaning {
    brokers: String,
    topics: Vec<String>,
    replication: u16,
    compression: &'static str,
}

#[derive(Debug, Serialize)]
struct SpillMeaning {
    #[serde(flatten)]
    log: LogMeaning,
    spill_after_ms: u64,
    replay_mib_per_s: u32,
}

impl Meaning {
    pub fn new(bus: &Bus) -> Self {
        let kind = bus.kind();
        let is_kafka = kind == BusKind::Kafka;
        Self {
            kind: kind.name(),
            partitions: bus.partitions,
            queue_mib: bus.queue_mib,
            log: (!is_kafka).then(|| LogMeaning::new(&bus.log, &Root::of_bus(&bus.log))),
            kafka: is_kafka.then(|| KafkaMeaning::new(bus)),
            spill: (is_kafka && bus.log.spill).then(|| SpillMeaning {
                log: LogMeaning::new(&bus.log, &Root::of_spill(&bus.log)),
                spill_after_ms: bus.log.spill_after_ms,
                replay_mib_per_s: bus.log.replay_mib_per_s,
            }),
        }
    }

    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (partitions, queue) = (self.partitions, self.queue_mib);
        if let Some(log) = &self.log {
            writeln!(
                out,
                "bus        frame log in {}, {partitions} partitions",
                log.directory
            )?;
            log.print(out)?;
            writeln!(
                out,
                "           at most {queue} MiB wait in memory while the disk refuses"
            )?;
        }
        if let Some(kafka) = &self.kafka {
            writeln!(
                out,
                "bus        Kafka at {}, {partitions} partitions, {} copies",
                kafka.brokers, kafka.replication
            )?;
            writeln!(out, "           topics {}", kafka.topics.join(" "))?;
            writeln!(
                out,
                "           frames {}, at most {queue} MiB unacknowledged",
                kafka.compression
            )?;
            match &self.spill {
                None => writeln!(
                    out,
                    "spill      none: datagrams are dropped when that memory is full"
                )?,
                Some(spill) => {
                    writeln!(
                        out,
                        "spill      frame log in {}, after {} ms without Kafka; replayed at {} MiB/s",
                        spill.log.directory, spill.spill_after_ms, spill.replay_mib_per_s
                    )?;
                    spill.log.print(out)?;
                }
            }
        }
        Ok(())
    }
}

impl LogMeaning {
    fn new(log: &Log, root: &Root) -> Self {
        Self {
            directory: root.path().display().to_string(),
            sync: log.sync.name(),
            sync_interval_ms: log.sync_interval_ms,
            may_lose: may_lose(log),
            segment_mib: log.segment_mib,
            size_max_mib: log.size_max_mib,
            age_max_hours: log.age_max_hours,
            free_reserve_mib: log.free_reserve_mib,
            when_full: log.when_full.name(),
        }
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "           sync {}: {}", self.sync, self.may_lose)?;
        writeln!(
            out,
            "           at most {} MiB in segments of {} MiB, and {} h; {} MiB of the disk are left to others",
            self.size_max_mib, self.segment_mib, self.age_max_hours, self.free_reserve_mib
        )?;
        let given_up = if self.when_full == WhenFull::DropOldest.name() {
            "the oldest frames are dropped, consumed or not"
        } else {
            "new frames wait in memory, then datagrams are dropped"
        };
        writeln!(out, "           when full ({}): {given_up}", self.when_full)
    }
}

impl KafkaMeaning {
    fn new(bus: &Bus) -> Self {
        Self {
            brokers: bus.brokers.clone(),
            topics: TOPICS
                .iter()
                .map(|topic| format!("{}.{}", bus.topic_prefix, topic.name()))
                .collect(),
            replication: bus.replication,
            compression: match bus.compression {
                Compression::Zstd => "zstd",
                Compression::Lz4 => "lz4",
                Compression::None => "none",
            },
        }
    }
}

/// What `sync` costs when the power fails. The end of a process costs nothing of what was written.
fn may_lose(log: &Log) -> String {
    match log.sync {
        Sync::None => {
            "a power failure loses what the kernel has not written yet, often the last half minute".into()
        }
        Sync::Interval => format!(
            "a power failure loses at most the last {} ms",
            log.sync_interval_ms
        ),
        Sync::Always => "a power failure loses nothing that was acknowledged".into(),
    }
}

/// What is right but perhaps not meant.
pub fn warnings(config: &Config) -> Vec<String> {
    let bus = &config.bus;
    let mut warnings = Vec::new();
    let kafka = std::env::var_os("NATRAIL_KAFKA").is_some_and(|value| !value.is_empty());
    if kafka && bus.kind == Some(BusKind::Log) {
        warnings.push(
            "bus.kind is \"log\": the environment's NATRAIL_KAFKA is set, and names a Kafka that is not used"
                .into(),
        );
    } else if kafka {
        warnings.push("bus.brokers comes from the environment (NATRAIL_KAFKA), not from the file".into());
    }
    warnings.extend(left_behind(bus));
    if bus.kind() == BusKind::Log || bus.log.spill {
        if bus.log.sync == Sync::None {
            warnings.push(format!("bus.log.sync = \"none\": {}", may_lose(&bus.log)));
        }
        warnings.extend(too_small(config));
        warnings.extend(of_disk(&bus.log, bus.kind()));
    }
    warnings
}

/// The log that the configuration uses.
fn used(log: &Log, kind: BusKind) -> Root {
    match kind {
        BusKind::Log => Root::of_bus(log),
        BusKind::Kafka => Root::of_spill(log),
    }
}

/// Frames in the log that the configuration does not use: nobody will ever consume them.
fn left_behind(bus: &Bus) -> Option<String> {
    let (root, kind) = match bus.kind() {
        BusKind::Log => (Root::of_spill(&bus.log), "kafka"),
        BusKind::Kafka => (Root::of_bus(&bus.log), "log"),
    };
    if !root.exists() {
        return None;
    }
    let path = root.path().display();
    match unconsumed(&root) {
        Ok(0) => None,
        Ok(frames) => Some(format!(
            "{path} has {frames} frames that were not consumed, and this configuration leaves them there: go back to bus.kind = \
             \"{kind}\" until they are (docs/frame-log.md, \"From one bus to the other\")"
        )),
        Err(error) => Some(format!("cannot see whether {path} has frames left: {error}")),
    }
}

fn unconsumed(root: &Root) -> std::io::Result<u64> {
    let mut frames = 0;
    for stream in root.streams()? {
        if stream.topic != Topic::DeadLetter {
            frames += inspect::status(root, stream)?.lag(root)?;
        }
    }
    Ok(frames)
}

/// Every partition writes a segment of its own.
fn too_small(config: &Config) -> Option<String> {
    let (bus, log) = (&config.bus, &config.bus.log);
    let mut kinds: Vec<_> = config
        .collector
        .iter()
        .flat_map(|collector| &collector.listeners)
        .map(|listener| super::listener::kind_name(listener.kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let partitions = u64::from(bus.partitions) * kinds.len().max(1) as u64;
    let least = partitions * u64::from(log.segment_mib);
    (log.size_max_mib < least).then(|| {
        format!(
            "bus.log.size_max_mib = {}: {partitions} partitions write segments of {} MiB, {least} MiB at the same time; segments are \
             dropped before they are full",
            log.size_max_mib, log.segment_mib
        )
    })
}

/// The place where the log is, or will be.
fn of_disk(log: &Log, kind: BusKind) -> Vec<String> {
    let root = used(log, kind);
    let directory = log.directory.display();
    let mut warnings = Vec::new();
    let Some(there) = log.directory.ancestors().find(|path| path.exists()) else {
        return vec![format!("bus.log.directory: {directory} is nowhere")];
    };
    if there != log.directory {
        warnings.push(format!(
            "bus.log.directory: {directory} does not exist yet; it is made in {}",
            there.display()
        ));
    }
    if !there.is_dir() {
        warnings.push(format!("bus.log.directory: {} is no directory", there.display()));
    } else if !inspect::may_write(there) {
        warnings.push(format!(
            "bus.log.directory: {} cannot be written by who runs this check",
            there.display()
        ));
    }
    match inspect::space(there) {
        Err(error) => warnings.push(format!(
            "bus.log.directory: cannot ask the file system of {}: {error}",
            there.display()
        )),
        Ok(space) => {
            if space.is_memory {
                warnings.push(format!(
                    "bus.log.directory: {directory} is in memory (tmpfs): nothing of it outlives the machine's next start"
                ));
            }
            let (free, has) = (space.free_bytes / MIB, bytes(&root) / MIB);
            let wanted = log.size_max_mib + log.free_reserve_mib;
            if free + has < wanted {
                warnings.push(format!(
                    "bus.log.directory: the file system of {directory} has {free} MiB free, and the log {has} MiB, less than \
                     size_max_mib + free_reserve_mib = {wanted}: it will drop earlier than size_max_mib says"
                ));
            }
        }
    }
    warnings
}

/// Octets of what the log has already.
fn bytes(root: &Root) -> u64 {
    let streams = root.streams().unwrap_or_default();
    streams
        .into_iter()
        .filter_map(|stream| inspect::status(root, stream).ok())
        .map(|status| status.bytes)
        .sum()
}
