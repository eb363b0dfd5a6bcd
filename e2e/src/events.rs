//! Events by name: [`Load`](crate::load::Load) gives each event of an exporter a device time of its own, so exporter and
//! time name it, wherever it is found.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
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
    harness::frame_log::datagrams(&stage.log_directory().join("bus"), "syslog", |datagram| {
        // `<134>1 TIME …`, RFC 5424.
        let line = str::from_utf8(datagram.payload).unwrap_or_default();
        let time = line.split(' ').nth(1).unwrap_or_default();
        names.push(Name::new(&datagram.exporter.to_string(), time));
    })?;
    names.into_iter().collect()
}

/// Number of datagrams in the frame log. Not while it is written.
pub fn logged_count(stage: &Stage) -> Result<u64> {
    let mut count = 0;
    harness::frame_log::datagrams(&stage.log_directory().join("bus"), "syslog", |_| count += 1)?;
    Ok(count)
}
