//! The pipeline's stages and the whole, measured with the real kernel, Kafka and PostgreSQL.
//!
//! `pipeline_bench [--json] [xdp] [receive] [consume] [whole] [memory]`: without names all but `memory`, which takes
//! minutes. Progress is on standard error.

use std::process::ExitCode;

use anyhow::Result;
use natrail_benches::measure::Measure;
use natrail_benches::pipeline::{consume, memory, receive, whole, xdp};

type Part = (&'static str, fn() -> Result<Vec<Measure>>);

const PARTS: [Part; 5] = [
    ("xdp", xdp::measure),
    ("receive", receive::measure),
    ("consume", consume::measure),
    ("whole", whole::measure),
    ("memory", memory::measure),
];

fn main() -> ExitCode {
    let mut asked: Vec<String> = std::env::args().skip(1).collect();
    let json = asked.iter().any(|argument| argument == "--json");
    asked.retain(|argument| argument != "--json");
    if let Some(unknown) = asked
        .iter()
        .find(|name| PARTS.iter().all(|(part, _)| part != name))
    {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "pipeline_bench: no part {unknown:?}; there are {}",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    for (name, measure) in PARTS {
        let named = asked.iter().any(|part| part == name);
        if !named && (!asked.is_empty() || name == "memory") {
            continue;
        }
        eprintln!("measuring {name}");
        match measure() {
            Ok(measures) => {
                for measure in measures {
                    println!("{}", if json { measure.json() } else { measure.to_string() });
                }
            }
            Err(error) => {
                eprintln!("pipeline_bench: {name}: {error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
