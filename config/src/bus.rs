//! `[bus]`: where frames go to and come from.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::{Deserialize, Deserializer};

/// `[bus]`: where frames go to and come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bus {
    /// `log`: the frame log on this machine's disk; collector and consumer run on the same machine. `kafka`: Apache Kafka,
    /// for more than one machine. Absent: `kafka` if `brokers` (or the environment's `NATRAIL_KAFKA`) names some, else `log`.
    pub kind: Option<BusKind>,
    /// Kafka bootstrap servers, `host:port[,host:port]`. The environment's `NATRAIL_KAFKA` wins over it.
    pub brokers: String,
    /// Topics are `<prefix>.syslog`, `<prefix>.netflow`, `<prefix>.radius`, `<prefix>.ledger`, `<prefix>.dead-letter`. Kafka only.
    pub topic_prefix: String,
    /// Partitions of a topic that natrail creates. Exporters are spread over them.
    pub partitions: u16,
    /// Copies of each partition that a topic gets when natrail creates it. Kafka only.
    pub replication: u16,
    /// `zstd`, `lz4` or `none`. Kafka only.
    pub compression: Compression,
    /// Memory for frames that the bus has not taken yet, in MiB: those that Kafka has not acknowledged, those that a
    /// disk refuses. When it is full, datagrams are dropped and counted.
    pub queue_mib: u32,
    /// The frame log on this machine's disk.
    pub log: Log,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            kind: None,
            brokers: String::new(),
            topic_prefix: "natrail".into(),
            partitions: 4,
            replication: 1,
            compression: Compression::Lz4,
            queue_mib: 256,
            log: Log::default(),
        }
    }
}

impl Bus {
    /// Which bus it is.
    pub fn kind(&self) -> BusKind {
        self.kind.unwrap_or(if self.brokers.is_empty() {
            BusKind::Log
        } else {
            BusKind::Kafka
        })
    }

    /// What is wrong with the values, in words for the operator.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.log.problems();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(
            self.kind != Some(BusKind::Kafka) || !self.brokers.is_empty() || kafka_in_environment(),
            "bus.kind is \"kafka\", but bus.brokers names no broker: brokers = \"host:9092\"",
        );
        check(self.partitions > 0, "bus.partitions must be at least 1");
        check(self.partitions <= 1024, "bus.partitions must be at most 1024");
        check(self.replication > 0, "bus.replication must be at least 1");
        check(self.queue_mib >= 8, "bus.queue_mib must be at least 8");
        check(
            !self.topic_prefix.is_empty()
                && self
                    .topic_prefix
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
            "bus.topic_prefix may hold letters, digits, '.', '_' and '-', and must not be empty",
        );
        problems
    }
}

fn kafka_in_environment() -> bool {
    std::env::var_os("NATRAIL_KAFKA").is_some_and(|value| !value.is_empty())
}

/// Which bus.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BusKind {
    Log,
    Kafka,
}

impl BusKind {
    /// Name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Kafka => "kafka",
        }
    }
}

/// How frames are compressed on Kafka.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    Zstd,
    Lz4,
    None,
}

/// `[bus.log]`: the frame log on this machine's disk. With `bus.kind = "log"` it is the bus; with `"kafka"` it is the spill:
/// it takes what Kafka cannot take, and gives it to Kafka later, in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Where it is. The bus is in `bus` below it, the spill in `spill`.
    pub directory: PathBuf,
    /// `none`: the kernel writes when it likes; `interval`: at the latest after `sync_interval_ms`; `always`: a frame is
    /// acknowledged only when it is on the disk. The end of a process loses nothing of what was written with any of them; a
    /// power failure loses what the kernel had not written yet, at most the last interval, or nothing.
    pub sync: Sync,
    /// See `sync`.
    pub sync_interval_ms: u64,
    /// Size at which a segment (one file) is closed and the next one begun. What is dropped is dropped by segments.
    pub segment_mib: u32,
    /// Most that all segments together may have, in MiB. Consumed frames are kept until then, to be read again if needed.
    pub size_max_mib: u64,
    /// Age at which a frame is dropped, consumed or not, in hours.
    pub age_max_hours: u32,
    /// Space that is left free on the file system for others, in MiB.
    pub free_reserve_mib: u64,
    /// What is given up when the size or the reserve is reached and not everything was consumed: `drop_oldest` or `drop_newest`.
    pub when_full: WhenFull,
    /// With Kafka: whether there is a spill. Without, datagrams are dropped when Kafka's memory (`queue_mib`) is full.
    pub spill: bool,
    /// With Kafka: frames go to the spill when Kafka has acknowledged nothing for so long, though it had something to.
    pub spill_after_ms: u64,
    /// With Kafka: how fast the spill is given to Kafka, in MiB/s, new frames included.
    pub replay_mib_per_s: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            directory: "/var/lib/natrail/log".into(),
            sync: Sync::Interval,
            sync_interval_ms: 1000,
            segment_mib: 64,
            size_max_mib: 16 * 1024,
            age_max_hours: 7 * 24,
            free_reserve_mib: 1024,
            when_full: WhenFull::DropOldest,
            spill: true,
            spill_after_ms: 2000,
            replay_mib_per_s: 200,
        }
    }
}

impl Log {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(
            self.directory.is_absolute(),
            "bus.log.directory must be an absolute path",
        );
        check(
            (10..=60_000).contains(&self.sync_interval_ms),
            "bus.log.sync_interval_ms must be from 10 to 60000",
        );
        check(
            (1..=1024).contains(&self.segment_mib),
            "bus.log.segment_mib must be from 1 to 1024",
        );
        check(
            self.size_max_mib >= 4 * u64::from(self.segment_mib) && self.size_max_mib <= 1 << 30,
            "bus.log.size_max_mib must be at least four times bus.log.segment_mib",
        );
        check(
            (1..=87_600).contains(&self.age_max_hours),
            "bus.log.age_max_hours must be from 1 to 87600",
        );
        check(
            self.free_reserve_mib <= 1 << 30,
            "bus.log.free_reserve_mib must be at most 1073741824",
        );
        check(
            (100..=600_000).contains(&self.spill_after_ms),
            "bus.log.spill_after_ms must be from 100 to 600000",
        );
        check(
            self.replay_mib_per_s > 0,
            "bus.log.replay_mib_per_s must be at least 1",
        );
        problems
    }
}

/// When written frames are put on the disk.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    None,
    Interval,
    Always,
}

impl Sync {
    /// Name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::Always => "always",
        }
    }
}

/// What is given up when there is no room.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    DropOldest,
    DropNewest,
}

impl WhenFull {
    /// Name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
        }
    }
}

/// `bus = "log"` is short for `[bus]` with `kind = "log"`.
pub(crate) fn word_or_table<'de, D: Deserializer<'de>>(from: D) -> Result<Bus, D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Bus;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"log\", \"kafka\", or a table")
        }

        fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Bus, E> {
            let kind = BusKind::deserialize(StrDeserializer::new(word))?;
            Ok(Bus {
                kind: Some(kind),
                ..Bus::default()
            })
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Bus, A::Error> {
            Bus::deserialize(MapAccessDeserializer::new(map))
        }
    }
    from.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use std::path::Path;

    fn bus(text: &str) -> Result<Bus, String> {
        let text = format!("{text}\n[exporters]\nallow_all = true\n");
        Config::parse(&text, Path::new("test.toml"))
            .map(|config| config.bus)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_brokers_the_bus_is_the_log() {
        for (text, kind) in [
            ("", BusKind::Log),
            ("bus = \"log\"", BusKind::Log),
            ("[bus]\npartitions = 2", BusKind::Log),
            ("[bus]\nbrokers = \"127.0.0.1:9092\"", BusKind::Kafka),
            (
                "[bus]\nkind = \"log\"\nbrokers = \"127.0.0.1:9092\"",
                BusKind::Log,
            ),
        ] {
            assert_eq!(bus(text).map(|bus| bus.kind()), Ok(kind), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("bus = \"rabbit\"", "rabbit"),
            ("[bus]\nkinds = \"log\"", "kinds"),
            ("[bus.log]\nsync = \"often\"", "often"),
            ("[bus.log]\ndirectory = \"here\"", "bus.log.directory"),
            ("[bus.log]\nsize_max_mib = 100", "bus.log.size_max_mib"),
            ("[bus.log]\nwhen_full = \"drop\"", "drop_oldest"),
        ] {
            let error = bus(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
    }

    /// Keys of a table, as the message about an unknown one lists them.
    fn keys(table: &str) -> Vec<String> {
        let error = bus(&format!("[{table}]\nno_such_key = 1")).expect_err("unknown");
        let (_, list) = error.split_once("expected one of").expect("a list");
        list.split('`').skip(1).step_by(2).map(String::from).collect()
    }

    #[test]
    fn the_example_file_has_every_key_and_shows_the_defaults() {
        let example = include_str!("../../docs/natrail.example.toml");
        let (begin, end) = (example.find("[bus]"), example.find("[collector]"));
        let section = &example[begin.expect("[bus]")..end.expect("[collector]")];
        let is_key = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let settings: Vec<&str> = section
            .lines()
            .map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line))
            .filter(|line| !line.starts_with('#'))
            .collect();
        let (of_bus, of_log) = {
            let log = settings
                .iter()
                .position(|line| *line == "[bus.log]")
                .expect("[bus.log]");
            settings.split_at(log)
        };
        for (table, lines) in [("bus", of_bus), ("bus.log", of_log)] {
            let keys = keys(table);
            assert!(keys.len() > 5, "{keys:?}");
            for key in keys.iter().filter(|key| *key != "log") {
                let shown = lines.iter().any(|line| line.starts_with(&format!("{key} = ")));
                assert!(shown, "{table}.{key} is not in the example file");
            }
        }
        // What is commented out is the default.
        let shown = bus(&settings.join("\n")).expect("valid");
        let default = Bus {
            kind: Some(BusKind::Log),
            ..Bus::default()
        };
        assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    }
}
