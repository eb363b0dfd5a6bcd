//! Events by name: [`Load`](crate::load::Load) gives each event of an exporter a device time of its own, so exporter and
//! time name it, wherever it is found.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::Stage;

/// The name of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub exporter: Ipv4Addr,
    /// The device's time, µs since 1970.
    pub time_us: i64,
}

impl Name {
    fn new(exporter: &str, time: &str) -> Result<Self> {
        let time: Timestamp = time.parse().with_context(|| format!("{time:?} is no time"))?;
        Ok(Self {
            exporter: exporter
                .parse()
                .with_context(|| format!("{exporter:?} is no address"))?,
            time_us: time.as_microsecond(),
        })
    }
}

/// All that `natrail generate --expect` wrote to a file, in the order in which it was sent.
pub fn expected(file: &Path) -> Result<Vec<Name>> {
    let text = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut names = Vec::new();
    for line in BufReader::new(text).lines() {
        let event: serde_json::Value = serde_json::from_str(&line?)?;
        let (Some(exporter), Some(time)) = (event["exporter"].as_str(), event["timestamp"].as_str()) else {
            anyhow::bail!("an expected event without exporter or time: {event}");
        };
        names.push(Name::new(exporter, time)?);
    }
    Ok(names)
}

/// All rows, by exporter, and for each exporter in the order of its raw bytes on the bus.
pub fn stored(stage: &Stage) -> Result<Vec<Name>> {
    const SQL: &str = "
        WITH event AS (
            SELECT exporter, device_ts, stream, frame_offset, frame_index FROM natrail.session
            UNION ALL SELECT exporter, device_ts, stream, frame_offset, frame_index FROM natrail.port
            UNION ALL SELECT exporter, device_ts, stream, frame_offset, frame_index FROM natrail.block
            UNION ALL SELECT exporter, device_ts, stream, frame_offset, frame_index FROM natrail.address)
        SELECT exporter, (extract(epoch FROM device_ts) * 1000000)::int8 FROM event
        ORDER BY exporter, stream, frame_offset, frame_index";
    let rows = stage.database.connect()?.query(SQL, &[])?;
    rows.iter()
        .map(|row| {
            let exporter: i64 = row.try_get(0)?;
            Ok(Name {
                exporter: u32::try_from(exporter)?.into(),
                time_us: row.try_get(1)?,
            })
        })
        .collect()
}

/// All that is in the frame log, partition by partition. Not while it is written.
pub fn logged(stage: &Stage) -> Result<Vec<Name>> {
    let mut names = Vec::new();
    read_log(stage, |exporter, payload| {
        // `<134>1 TIME …`, RFC 5424.
        let time = str::from_utf8(payload)
            .ok()
            .and_then(|line| line.split(' ').nth(1));
        names.push(Name::new(
            &exporter.to_string(),
            time.context("a line without time")?,
        )?);
        Ok(())
    })?;
    Ok(names)
}

/// Number of datagrams in the frame log. Not while it is written.
pub fn logged_count(stage: &Stage) -> Result<u64> {
    let mut count = 0;
    read_log(stage, |_, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

fn read_log(stage: &Stage, mut each: impl FnMut(IpAddr, &[u8]) -> Result<()>) -> Result<()> {
    let topic = stage.log_directory().join("bus/syslog");
    let partitions = std::fs::read_dir(&topic).with_context(|| format!("cannot read {}", topic.display()))?;
    for partition in partitions {
        let mut result = Ok(());
        harness::frame_log::read(&partition?.path(), |datagram| {
            if result.is_ok() {
                result = each(datagram.exporter, datagram.payload);
            }
        })?;
        result?;
    }
    Ok(())
}
