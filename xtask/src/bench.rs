//! `cargo xtask bench`: comparisons, each in one run, as a table or as JSON lines.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::test::cargo_program;
use crate::{install, paths, progress, services};

/// One benchmark: a program of the package natrail-benches that prints a [`Measure`] a line.
struct Bench {
    name: &'static str,
    about: &'static str,
    program: &'static str,
    /// What the program is told beside `--json`.
    arguments: &'static [&'static str],
    /// Takes minutes: runs only when it is named.
    only_named: bool,
    /// Needs Kafka, PostgreSQL and network namespaces.
    services: bool,
    /// Needs network namespaces, and other programs to compare with.
    peers: bool,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "decode",
        about: "ns per line, or per flow record, of each decoder",
        program: "decode_bench",
        arguments: &[],
        only_named: false,
        services: false,
        peers: false,
    },
    Bench {
        name: "pipeline",
        about: "from the wire to the committed row, stage by stage",
        program: "pipeline_bench",
        arguments: &[],
        only_named: false,
        services: true,
        peers: false,
    },
    Bench {
        name: "bus",
        about: "the frame log beside raw files and beside Kafka",
        program: "bus_bench",
        arguments: &[],
        only_named: false,
        services: true,
        peers: false,
    },
    Bench {
        name: "copy",
        about: "one connection's COPY, on both storages",
        program: "copy_bench",
        arguments: &[],
        only_named: true,
        services: true,
        peers: false,
    },
    Bench {
        name: "memory",
        about: "the daemons' memory over ten million events",
        program: "pipeline_bench",
        arguments: &["memory"],
        only_named: true,
        services: true,
        peers: false,
    },
    Bench {
        name: "rate",
        about: "datagrams per second, beside syslog-ng, rsyslog and nfacctd",
        program: "rate_bench",
        arguments: &[],
        only_named: true,
        services: false,
        peers: true,
    },
];

/// What a benchmark found.
#[expect(clippy::struct_field_names, reason = "the keys of the JSON lines are agreed")]
#[derive(Debug, Deserialize, Serialize)]
pub struct Measure {
    pub bench: String,
    pub measure: String,
    pub value: f64,
    pub unit: String,
    /// What it was compared with in the same run.
    pub against: Option<String>,
    pub against_value: Option<f64>,
    /// `value / against_value`.
    pub ratio: Option<f64>,
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Which one; all if none is named.
    name: Option<String>,
    /// One JSON object for each measure.
    #[arg(long)]
    json: bool,
}

/// Runs one benchmark or all.
pub fn run(arguments: Arguments) -> Result<()> {
    let chosen: Vec<&Bench> = BENCHES
        .iter()
        .filter(|bench| {
            arguments
                .name
                .as_ref()
                .map_or(!bench.only_named, |name| name == bench.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<String> = BENCHES
            .iter()
            .map(|bench| format!("{} ({})", bench.name, bench.about))
            .collect();
        bail!("no such benchmark; there are: {}", names.join(", "));
    }
    install::ensure(&[install::BUILD])?;
    let mut all = Vec::new();
    for bench in chosen {
        if bench.services {
            let mut needs = services::needs(services::ALL);
            needs.push(install::NETWORK);
            install::ensure(&needs)?;
            progress::step("services", || services::up(services::ALL))?;
            progress::step("building the programs", harness::binaries::binaries)?;
        }
        if bench.peers {
            install::ensure(&[install::NETWORK])?;
            install::peers()?;
            progress::step("building the programs", harness::binaries::binaries)?;
        }
        let what = format!("bench {}: {}", bench.name, bench.about);
        all.extend(progress::step(&what, || measure(bench, arguments.json))?);
    }
    if !arguments.json {
        print(&all);
    }
    Ok(())
}

/// Runs the program; with `pass_through`, its measures are printed as they come.
fn measure(bench: &Bench, pass_through: bool) -> Result<Vec<Measure>> {
    let program = bench.program;
    let mut child = Command::new(cargo_program())
        .args([
            "run",
            "--quiet",
            "--release",
            "-p",
            "natrail-benches",
            "--bin",
            program,
            "--",
            "--json",
        ])
        .args(bench.arguments)
        .current_dir(paths::repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let mut measures = Vec::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        let measure: Measure = serde_json::from_str(&line)
            .with_context(|| format!("{program} printed what is no measure: {line}"))?;
        if pass_through {
            println!("{}", serde_json::to_string(&measure)?);
        }
        measures.push(measure);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{program} failed ({status})");
    }
    if measures.is_empty() {
        bail!("{program} measured nothing");
    }
    Ok(measures)
}

fn print(measures: &[Measure]) {
    let width = measures
        .iter()
        .map(|m| m.bench.len() + 1 + m.measure.len())
        .max()
        .unwrap_or(0);
    let units = measures.iter().map(|m| m.unit.len()).max().unwrap_or(0);
    for m in measures {
        let name = format!("{} {}", m.bench, m.measure);
        let compared = match (&m.against, m.against_value, m.ratio) {
            (Some(against), Some(value), Some(ratio)) => {
                format!("{ratio:.2} x {against} ({})", number(value))
            }
            (Some(against), ..) => format!("against {against}"),
            (None, ..) => String::new(),
        };
        println!(
            "{}",
            format!(
                "{name:<width$}  {:>14} {:<units$}  {compared}",
                number(m.value),
                m.unit
            )
            .trim_end()
        );
    }
}

/// Large numbers without fractions, small ones with.
fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
