//! `natrail exporters`: who sends, how it is read, and how far its clock is off.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use config::{Config, Exporters};
use decode::Profile;
use serde::Serialize;
use store::clock::{self, Clock};
use store::{connect, migrate};

use crate::trace::table;

/// Say how each exporter is read, and how far its clock is off.
///
/// "CLOCK" is the device's time minus the receive time, of its last messages with a time, as the consumers saw it: +3600 s is a
/// clock that is an hour ahead, or a wrong time_zone. Exporters that write whole seconds and are right show about -0.5 s.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// An exporter that was heard, or an entry of the configuration of which none was.
#[derive(Debug, Serialize)]
struct Row {
    exporter: String,
    name: Option<String>,
    /// Its format; none where patterns alone are read.
    profile: Option<&'static str>,
    patterns: usize,
    time_zone: Option<String>,
    clock: Option<Skew>,
}

#[derive(Debug, Serialize)]
struct Skew {
    ahead_s: f64,
    /// Messages that this is the median of.
    samples: i32,
    measured_at: String,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load_or_default(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O runtime")?;
    let clocks = runtime.block_on(async {
        let client = connect::connect(&config.database.url).await?;
        migrate::require_current(&client).await?;
        clock::read(&client).await
    })?;
    let rows = rows(&config.exporters, clocks);
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&rows)?)
    } else {
        page(&rows)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::SUCCESS)
}

fn rows(exporters: &Exporters, clocks: Vec<Clock>) -> Vec<Row> {
    let mut heard = vec![false; exporters.list.len()];
    let mut rows = Vec::new();
    for clock in clocks {
        let place = exporters.place(clock.exporter);
        if let Some(place) = place {
            heard[place] = true;
        }
        let measured = Skew {
            ahead_s: clock.skew_us as f64 / 1e6,
            samples: clock.samples,
            measured_at: clock.measured_at,
        };
        rows.push(Row {
            clock: Some(measured),
            ..row(exporters, clock.exporter.to_string(), place)
        });
    }
    let silent = (0..heard.len()).filter(|place| !heard[*place]);
    rows.extend(silent.map(|place| row(exporters, exporters.list[place].address.to_string(), Some(place))));
    rows
}

/// What the configuration says of an exporter; one without an entry is read as `auto`, if at all.
fn row(exporters: &Exporters, exporter: String, place: Option<usize>) -> Row {
    let entry = place.map(|place| &exporters.list[place]);
    let settings = entry.map(|entry| &entry.settings);
    Row {
        exporter,
        name: entry.and_then(|entry| entry.name.clone()),
        profile: settings
            .map_or(Some(Profile::Auto), |settings| settings.profile)
            .map(Profile::name),
        patterns: settings.map_or(0, |settings| settings.patterns.len()),
        time_zone: settings.and_then(|settings| settings.zone.as_ref().map(ToString::to_string)),
        clock: None,
    }
}

fn page(rows: &[Row]) -> String {
    let head = [
        "EXPORTER", "NAME", "PROFILE", "PATTERNS", "ZONE", "CLOCK", "SAMPLES", "MEASURED",
    ];
    let mut cells = vec![head.map(String::from)];
    cells.extend(rows.iter().map(|row| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let clock = row.clock.as_ref();
        [
            row.exporter.clone(),
            or_dash(row.name.clone()),
            or_dash(row.profile.map(Into::into)),
            row.patterns.to_string(),
            or_dash(row.time_zone.clone()),
            clock.map_or_else(
                || "not measured".into(),
                |clock| format!("{:+.3} s", clock.ahead_s),
            ),
            or_dash(clock.map(|clock| clock.samples.to_string())),
            or_dash(clock.map(|clock| clock.measured_at.clone())),
        ]
    }));
    let mut out = String::new();
    table(&mut out, &cells);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heard_and_silent_exporters_have_a_row() {
        let text = "[exporters]\nallow_all = true\n\
                    [[exporters.exporter]]\naddress = \"192.0.2.0/24\"\nname = \"east\"\nprofile = \"a10\"\ntime_zone = \"+03:00\"\n\
                    [[exporters.exporter]]\naddress = \"198.51.100.1\"\n";
        let config = Config::parse(text, Path::new("test.toml")).expect("valid");
        let clock = |exporter: &str, skew_us| Clock {
            exporter: exporter.parse().expect("an address"),
            skew_us,
            samples: 15,
            measured_at: "2026-01-01T00:00:00Z".into(),
        };
        let clocks = vec![clock("192.0.2.7", -3_600_500_000), clock("2001:db8::1", 1500)];
        let page = page(&rows(&config.exporters, clocks));
        let lines: Vec<Vec<&str>> = page
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1][..7],
            ["192.0.2.7", "east", "a10", "0", "+03:00", "-3600.500", "s"]
        );
        assert_eq!(lines[2][..6], ["2001:db8::1", "-", "auto", "0", "-", "+0.002"]);
        assert_eq!(
            lines[3][..7],
            ["198.51.100.1/32", "-", "auto", "0", "-", "not", "measured"]
        );
        assert_eq!(lines.len(), 4);
    }
}
