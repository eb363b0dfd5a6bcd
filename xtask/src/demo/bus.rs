//! What carries frames from the collector to the consumer: the frame log in the demo's directory, or topics of our own in Kafka.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use harness::netns::Namespace;
use harness::relay::Relay;

use crate::services::{self, Service};

/// Partitions of each topic.
pub const PARTITIONS: u16 = 2;

/// Which bus the demo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bus {
    /// The frame log on this machine's disk: no server at all
    Log,
    /// Apache Kafka
    Kafka,
}

impl Bus {
    /// The servers that the demo needs with it.
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::Log => &[Service::Postgres],
            Self::Kafka => services::ALL,
        }
    }

    /// At the begin of a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "Frame log",
            Self::Kafka => "Kafka",
        }
    }

    pub fn acknowledged(self) -> &'static str {
        match self {
            Self::Log => "acknowledged by the frame log",
            Self::Kafka => "acknowledged by Kafka",
        }
    }

    pub fn records(self) -> &'static str {
        match self {
            Self::Log => "frame log records",
            Self::Kafka => "Kafka records",
        }
    }
}

/// The bus of one run.
pub struct OwnBus {
    pub kind: Bus,
    /// The frame log, or with Kafka the spill.
    directory: PathBuf,
    /// With Kafka.
    topics: Option<Topics>,
}

impl OwnBus {
    /// Within `directory`. `collector` is where the collector runs, which must reach the bus from there.
    pub fn new(kind: Bus, collector: &Namespace, directory: &Path) -> Result<Self> {
        Ok(Self {
            kind,
            directory: directory.join("log"),
            topics: match kind {
                Bus::Log => None,
                Bus::Kafka => Some(Topics::new(collector)?),
            },
        })
    }

    /// The tables of the configuration that are about the bus.
    pub fn configuration(&self) -> String {
        let kafka = self.topics.as_ref().map_or_else(
            || "kind = \"log\"\n".into(),
            |Topics { kafka, prefix, .. }| {
                format!("kind = \"kafka\"\nbrokers = \"{kafka}\"\ntopic_prefix = \"{prefix}\"\n")
            },
        );
        format!(
            "[bus]\n{kafka}partitions = {PARTITIONS}\n[bus.log]\ndirectory = \"{}\"\n",
            self.directory.display()
        )
    }

    /// Records ever written to a topic: what the broker says, or what is found in the log.
    pub fn records(&self, topic: &str) -> Result<u64> {
        match &self.topics {
            None => harness::frame_log::records(&self.directory.join("bus"), topic),
            Some(topics) => topics.records(topic),
        }
    }
}

/// Topics of one run, deleted when dropped.
struct Topics {
    kafka: String,
    prefix: String,
    _relay: Relay,
}

impl Topics {
    fn new(collector: &Namespace) -> Result<Self> {
        let kafka = harness::services::kafka()?;
        let address = loopback(&kafka)?;
        Ok(Self {
            _relay: Relay::new(collector, address, address)?,
            kafka,
            prefix: harness::topics::unique("demo"),
        })
    }

    fn name(&self, topic: &str) -> String {
        format!("{}.{topic}", self.prefix)
    }

    fn records(&self, topic: &str) -> Result<u64> {
        let offsets = harness::kafka::end_offsets(&self.kafka, &self.name(topic), PARTITIONS)?;
        Ok(offsets.iter().sum::<i64>() as u64)
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names = ["syslog", "netflow", "radius", "ledger", "dead-letter"].map(|topic| self.name(topic));
        if let Err(error) = harness::kafka::delete_topics(&self.kafka, &names.each_ref().map(String::as_str))
        {
            eprintln!("{error:#}");
        }
    }
}

/// The first broker's address. The collector reaches it through a relay at the same address inside its namespace, which
/// works for loopback only.
fn loopback(brokers: &str) -> Result<SocketAddr> {
    let first = brokers.split(',').next().unwrap_or_default();
    let address = first
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve {first}"))?
        .find(|address| address.ip().is_loopback() && address.is_ipv4());
    address.with_context(|| {
        format!("the demo's collector, in a namespace of its own, reaches Kafka on 127.0.0.1 only, not {first}: unset NATRAIL_KAFKA")
    })
}
