//! Kafka, with the settings that natrail has by default.

use std::path::Path;

use anyhow::{Context, Result};
use bus::kafka;
use config::{Bus, BusKind};

use super::log::{receive, send};
use super::{Cost, Load, PARTITIONS, Round, own_cpu};

/// Writes and reads the load once.
pub fn round(load: &Load) -> Result<Round> {
    let broker = harness::services()?.kafka;
    let bus = Bus {
        kind: Some(BusKind::Kafka),
        brokers: broker.clone(),
        topic_prefix: harness::topics::unique("bench-bus"),
        partitions: PARTITIONS,
        ..Bus::default()
    };
    kafka::ensure_topics(&bus, || false)?;
    let cpu = || Ok(own_cpu() + broker_cpu()?);
    let write = Cost::of(|| send(&kafka::connect_sender(&bus)?, load), cpu)?;
    let read = Cost::of(
        || receive(&mut kafka::connect_receiver(&bus, &bus.topic_prefix)?, load),
        cpu,
    )?;
    let topics: Vec<String> = ["syslog", "netflow", "radius", "ledger", "dead-letter"]
        .iter()
        .map(|name| format!("{}.{name}", bus.topic_prefix))
        .collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    harness::kafka::delete_topics(&broker, &topics)?;
    Ok(Round { write, read })
}

/// CPU time of the broker that `cargo xtask services` started, in seconds; 0 for one that is elsewhere.
fn broker_cpu() -> Result<f64> {
    let file = harness::services::cache()?.join("kafka/kafka.pid");
    let Ok(pid) = std::fs::read_to_string(&file) else {
        return Ok(0.0);
    };
    let stat = Path::new("/proc")
        .join(pid.split_whitespace().next().unwrap_or_default())
        .join("stat");
    let text = std::fs::read_to_string(&stat).with_context(|| format!("cannot read {}", stat.display()))?;
    // Behind the program's name in brackets: state is the first field, user and system time are the 12th and 13th.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}
