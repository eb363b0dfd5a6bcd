//! What carries frames from the collector to the consumer of one stage.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use harness::netns::Namespace;
use harness::relay::Relay;

const PARTITIONS: u16 = 2;

/// Which bus a stage has.
#[derive(Clone, Copy, Debug)]
pub enum Bus {
    /// The frame log, in a directory of the stage.
    Log,
    /// Topics of the stage in the Kafka that all tests share.
    Kafka,
    /// Topics of the stage in a Kafka of the test.
    KafkaAt(SocketAddr),
}

/// The bus of one stage.
pub struct OwnBus {
    /// Names what outlives the test if it is killed: topics and consumer group.
    name: String,
    kafka: Option<Kafka>,
}

struct Kafka {
    address: SocketAddr,
    relay: Relay,
}

impl OwnBus {
    /// The collector will run in `network`.
    pub fn new(bus: Bus, network: &Namespace, name: String) -> Result<Self> {
        let kafka = match bus {
            Bus::Log => None,
            Bus::Kafka => Some(Kafka::new(shared_kafka()?, network)?),
            Bus::KafkaAt(address) => Some(Kafka::new(address, network)?),
        };
        Ok(Self { name, kafka })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lines of `[bus]`.
    pub fn configuration(&self) -> String {
        let kind = self.kafka.as_ref().map_or_else(
            || "kind = \"log\"\n".into(),
            |kafka| {
                format!(
                    "kind = \"kafka\"\nbrokers = \"{}\"\ntopic_prefix = \"{}\"\n",
                    kafka.address, self.name
                )
            },
        );
        format!("{kind}partitions = {PARTITIONS}\n")
    }

    /// Records ever written to a topic, over all partitions. `log` is `bus.log.directory`.
    pub fn records(&self, topic: &str, log: &Path) -> Result<u64> {
        let Some(kafka) = &self.kafka else {
            return harness::frame_log::records(&log.join("bus"), topic);
        };
        let topic = format!("{}.{topic}", self.name);
        let offsets = harness::kafka::end_offsets(&kafka.address.to_string(), &topic, PARTITIONS)?;
        Ok(offsets.iter().sum::<i64>() as u64)
    }

    /// Ends the collector's connections to Kafka, and says how many there were.
    pub fn cut(&self) -> usize {
        self.kafka.as_ref().map_or(0, |kafka| kafka.relay.cut())
    }
}

impl Drop for OwnBus {
    fn drop(&mut self) {
        let Some(kafka) = &self.kafka else {
            return;
        };
        let topics = ["syslog", "netflow", "radius", "ledger", "dead-letter"]
            .map(|topic| format!("{}.{topic}", self.name));
        let topics = topics.each_ref().map(String::as_str);
        if let Err(error) = harness::kafka::delete_topics(&kafka.address.to_string(), &topics) {
            eprintln!("{error:#}");
        }
    }
}

impl Kafka {
    /// Makes the address reachable from inside the network, through a relay.
    fn new(address: SocketAddr, network: &Namespace) -> Result<Self> {
        if !address.ip().is_loopback() {
            network.add_addresses("lo", &[&address.ip().to_string()])?;
        }
        Ok(Self {
            address,
            relay: Relay::new(network, address, address)?,
        })
    }
}

fn shared_kafka() -> Result<SocketAddr> {
    let kafka = harness::services::kafka()?;
    let address: Option<SocketAddr> = kafka.parse().ok();
    address.with_context(|| format!("the tests want one Kafka broker as address:port, not {kafka:?}"))
}
