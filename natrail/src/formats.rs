//! `natrail formats`: which formats are read, and how well each is known.

use std::io::{self, Write};
use std::process::ExitCode;

use decode::profile::{FORMATS, Format};
use serde::Serialize;

/// List the formats that are read, with their names for `profile` in the configuration.
///
/// "EVIDENCE" says what a grammar rests on: "verbatim" real lines or printed examples, "emitter source" the program that
/// writes them, "vendor documentation" a manual, "parser-derived" what others read. "beta" is not yet confirmed by enough
/// lines from the field. With the profile "auto" each message is told by its own marks.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A format as JSON has it.
#[derive(Serialize)]
struct Row {
    profile: &'static str,
    vendor: &'static str,
    transport: &'static str,
    kinds: Vec<&'static str>,
    evidence: &'static str,
    beta: bool,
    sample: &'static str,
}

impl Row {
    fn of(format: &Format) -> Self {
        Self {
            profile: format.name,
            vendor: format.vendor,
            transport: format.transport.name(),
            kinds: format.kinds.iter().map(|kind| kind.name()).collect(),
            evidence: format.evidence.name(),
            beta: format.beta,
            sample: format.sample,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = if args.json {
        let rows: Vec<_> = FORMATS.iter().map(Row::of).collect();
        format!("{}\n", serde_json::to_string(&rows)?)
    } else {
        table()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A line for each format, and under it a message.
fn table() -> String {
    let mut rows = vec![["PROFILE", "VENDOR", "TRANSPORT", "KINDS", "EVIDENCE"].map(str::to_owned)];
    for row in FORMATS.iter().map(Row::of) {
        let kinds: Vec<_> = row
            .kinds
            .iter()
            .map(|kind| kind.trim_end_matches("-mapping"))
            .collect();
        let beta = if row.beta { ", beta" } else { "" };
        rows.push([
            row.profile.to_owned(),
            row.vendor.to_owned(),
            row.transport.to_owned(),
            kinds.join(" "),
            format!("{}{beta}", row.evidence),
        ]);
    }
    let widths: [usize; 5] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let samples = std::iter::once(None).chain(FORMATS.iter().map(|format| Some(format.sample)));
    let mut text = String::new();
    for (row, sample) in rows.iter().zip(samples) {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
        if let Some(sample) = sample {
            text += &format!("    {sample}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_row_and_beta_is_said() {
        let text = table();
        for format in &FORMATS {
            let row = text
                .lines()
                .find(|line| line.split(' ').next() == Some(format.name))
                .unwrap_or_else(|| panic!("{} in:\n{text}", format.name));
            assert!(
                row.contains(format.vendor) && row.contains(format.evidence.name()),
                "{row}"
            );
            assert_eq!(row.ends_with("beta"), format.beta, "{row}");
            assert!(text.contains(format.sample), "{}", format.name);
        }
    }
}
