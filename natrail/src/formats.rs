//! `natrail formats`: which formats are read, and how well each is known.

use std::io::{self, Write};
use std::process::ExitCode;

use decode::profile::{FORMATS, Form, Format};
use serde::Serialize;

/// List the formats that are read, with their names for `profile` in the configuration.
///
/// A row is a form of a format's messages. "EVIDENCE" says what its grammar rests on: "verbatim" real lines or printed
/// examples, "emitter source" the program that writes them, "vendor documentation" a manual, "parser-derived" what
/// others read, "unverified" a description alone: compare the first lines with the device. "beta" is not yet confirmed by enough
/// lines from the field, and what needs a key of the configuration is not read without it. With the profile "auto" each
/// message is told by its own marks.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A form of a format, as JSON has it.
#[derive(Serialize)]
struct Row {
    profile: &'static str,
    vendor: &'static str,
    form: &'static str,
    transport: &'static str,
    kinds: Vec<&'static str>,
    evidence: &'static str,
    beta: bool,
    /// The key of the configuration without which it is not read.
    switch: Option<&'static str>,
    sample: &'static str,
}

impl Row {
    fn of(format: &Format, form: &Form) -> Self {
        Self {
            profile: format.name,
            vendor: format.vendor,
            form: form.name,
            transport: format.transport.name(),
            kinds: form.kinds.iter().map(|kind| kind.name()).collect(),
            evidence: form.evidence.name(),
            beta: form.beta,
            switch: form.switch,
            sample: form.sample,
        }
    }
}

fn rows() -> Vec<Row> {
    let forms = |format: &'static Format| format.forms.iter().map(|form| Row::of(format, form));
    FORMATS.iter().flat_map(forms).collect()
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&rows())?)
    } else {
        table()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A line for each form, and under it a message.
fn table() -> String {
    let mut lines = vec![["PROFILE", "VENDOR", "FORM", "TRANSPORT", "KINDS", "EVIDENCE"].map(str::to_owned)];
    let rows = rows();
    for row in &rows {
        let kinds: Vec<_> = row
            .kinds
            .iter()
            .map(|kind| kind.trim_end_matches("-mapping"))
            .collect();
        let switch = row.switch.map(|key| format!(", needs {key} = true"));
        let beta = if row.beta { ", beta" } else { "" };
        lines.push([
            row.profile.to_owned(),
            row.vendor.to_owned(),
            row.form.to_owned(),
            row.transport.to_owned(),
            kinds.join(" "),
            format!("{}{}{beta}", row.evidence, switch.unwrap_or_default()),
        ]);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    let samples = std::iter::once(None).chain(rows.iter().map(|row| Some(row.sample)));
    let mut text = String::new();
    for (line, sample) in lines.iter().zip(samples) {
        let cells = line
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
    fn every_form_has_its_row_and_what_is_doubtful_is_said() {
        let text = table();
        let lines: Vec<_> = text.lines().collect();
        for row in rows() {
            let at = lines
                .iter()
                .position(|line| *line == format!("    {}", row.sample))
                .unwrap_or_else(|| panic!("{} in:\n{text}", row.sample));
            let line = lines[at - 1];
            for word in [row.profile, row.vendor, row.form, row.evidence] {
                assert!(line.contains(word), "{word} in {line}");
            }
            assert_eq!(line.ends_with("beta"), row.beta, "{line}");
            assert_eq!(line.contains("needs "), row.switch.is_some(), "{line}");
        }
        let doubtful = |profile: &str, form: &str| {
            rows()
                .iter()
                .any(|row| row.profile == profile && row.form.starts_with(form) && row.beta)
        };
        assert!(doubtful("a10", "ASCII") && !doubtful("a10", "CEF"));
        assert!(doubtful("fortinet", "FortiOS port block") && !doubtful("fortinet", "NP7"));
        assert!(doubtful("f5-bigip", "port blocks") && !doubtful("f5-bigip", "plain"));
        assert!(doubtful("huawei", "user based") && !doubtful("huawei", "session based"));
    }
}
