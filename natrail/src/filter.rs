//! `natrail filter`: what a listener's rules make of a file of messages.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use config::{Config, Listener, ListenerKind};
use filter::{Compiled, Explainer, Explanation, Judgement, Rules};
use serde::Serialize;

use crate::decode::{Line, open, reader_left};

/// Show what a listener's keep, drop, facilities and severity_max would do with messages, one line of output for each.
///
/// `keep` or `drop`, and why. A message is what a datagram would carry: nothing is taken off but the line feed.
///
/// Exit codes: 0 all lines were read, whatever becomes of them; 2 the input or the configuration cannot be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Address of the listener in the configuration [default: the one for syslog, if there is only one]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listener: Option<SocketAddr>,
    /// Its transport, where listeners share an address
    #[arg(long, value_name = "udp|tcp|tls")]
    transport: Option<String>,
    /// Print a JSON object for each line
    #[arg(long)]
    json: bool,
    /// File with one message per line; - is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command on the configuration file that was named, or the default one.
pub fn run(args: Args, path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let path = path.unwrap_or(Path::new(config::DEFAULT_PATH));
    let config = Config::load(path)?;
    let listeners = config.collector.map(|collector| collector.listeners);
    let listener = choose(listeners.as_deref().unwrap_or_default(), &args)?;
    let rules = listener.rules()?;
    let explainer = Explainer::new(Compiled::new(&rules));
    eprintln!("listener {}: {}", listener.address, explainer.compiled());

    let name = args.file.display();
    let mut input = open(&args.file)?;
    let at_once = io::stdout().is_terminal();
    let mut output = io::BufWriter::new(io::stdout().lock());
    let (mut line, mut number, mut kept) = (Line::default(), 0_u64, 0_u64);
    while line
        .read(&mut input)
        .with_context(|| format!("cannot read {name} behind line {number}"))?
    {
        number += 1;
        let explanation = explainer.explain(&line.bytes);
        kept += u64::from(explanation.judgement == Judgement::Passes);
        let report = Report::new(number, &explanation, &rules);
        let written = report
            .write(&mut output, args.json)
            .and_then(|()| if at_once { output.flush() } else { Ok(()) });
        if reader_left(written)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    reader_left(output.flush())?;
    eprintln!("{number} messages, {kept} kept, {} dropped", number - kept);
    Ok(ExitCode::SUCCESS)
}

/// The listener that is meant.
fn choose<'a>(listeners: &'a [Listener], args: &Args) -> anyhow::Result<&'a Listener> {
    let meant: Vec<&Listener> = listeners
        .iter()
        .filter(|listener| listener.kind == ListenerKind::Syslog)
        .filter(|listener| args.listener.is_none_or(|address| listener.address == address))
        .filter(|listener| {
            args.transport
                .as_ref()
                .is_none_or(|name| listener.transport.name() == name)
        })
        .collect();
    match meant[..] {
        [listener] => Ok(listener),
        [] => bail!("the configuration has no such listener for syslog: see `natrail check`"),
        _ => {
            let names: Vec<String> = meant
                .iter()
                .map(|listener| {
                    format!(
                        "--listener {} --transport {}",
                        listener.address,
                        listener.transport.name()
                    )
                })
                .collect();
            bail!("more than one listener is meant: say {}", names.join(", or "))
        }
    }
}

/// What is printed for a line.
#[derive(Debug, Serialize)]
struct Report<'a> {
    line: u64,
    keep: bool,
    /// As metrics have it: `pri_masked` or `filtered`.
    reason: Option<&'static str>,
    pri: Option<u8>,
    /// Patterns that match.
    keep_patterns: Vec<&'a str>,
    drop_patterns: Vec<&'a str>,
    /// Whether there are any to match.
    #[serde(skip)]
    has_keep: bool,
}

impl<'a> Report<'a> {
    fn new(line: u64, explanation: &Explanation, rules: &'a Rules) -> Self {
        let named = |places: &[usize], patterns: &'a [String]| {
            places.iter().map(|&place| patterns[place].as_str()).collect()
        };
        Self {
            line,
            keep: explanation.judgement == Judgement::Passes,
            reason: match explanation.judgement {
                Judgement::Passes => None,
                Judgement::PriMasked => Some("pri_masked"),
                Judgement::Filtered => Some("filtered"),
            },
            pri: explanation.pri,
            keep_patterns: named(&explanation.keep, rules.keep()),
            drop_patterns: named(&explanation.drop, rules.drop()),
            has_keep: !rules.keep().is_empty(),
        }
    }

    fn write(&self, output: &mut impl Write, json: bool) -> io::Result<()> {
        if json {
            serde_json::to_writer(&mut *output, self)?;
            return output.write_all(b"\n");
        }
        let word = if self.keep { "keep" } else { "drop" };
        writeln!(output, "{:>6} {word}  {}", self.line, self.why())
    }

    fn why(&self) -> String {
        let pri = self.pri.map_or("none".into(), |pri| pri.to_string());
        match (self.reason, &self.drop_patterns[..]) {
            (Some("pri_masked"), _) => format!("PRI {pri} is masked out by facilities or severity_max"),
            (Some(_), []) => "no pattern of keep matches".into(),
            (Some(_), patterns) => format!("matches drop {patterns:?}"),
            (None, _) if self.has_keep => format!("matches keep {:?}", self.keep_patterns),
            (None, _) => "nothing drops it".into(),
        }
    }
}
