//! What `natrail log status` says about the frame log: a second opinion beside what the daemons count.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One partition of the log.
#[derive(Clone, Debug, Deserialize)]
pub struct Partition {
    /// `syslog`, `netflow`, `radius` or `dead-letter`.
    pub topic: String,
    pub partition: u32,
    /// Offset of the oldest record that is still there.
    pub first_offset: u64,
    /// Offset of the record that will be written next: as many were ever written.
    pub next_offset: u64,
    /// Offset of the record that the consumer will take next; none before it has committed.
    pub consumed: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    partitions: Vec<Partition>,
}

/// All partitions. `natrail` is the program with the options that name its configuration.
pub fn partitions(natrail: &mut Command) -> Result<Vec<Partition>> {
    let command = natrail.args(["log", "status", "--json"]);
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let status: Status = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} does not print what was agreed"))?;
    Ok(status.partitions)
}

/// Records ever written to a topic, over all partitions.
pub fn records(natrail: &mut Command, topic: &str) -> Result<u64> {
    Ok(partitions(natrail)?
        .iter()
        .filter(|partition| partition.topic == topic)
        .map(|partition| partition.next_offset)
        .sum())
}
