//! `natrail log`: what the frame log on this machine's disk holds. Reads beside the daemons, and changes nothing.
//!
//! - [`status`]: how much, and how far it is consumed; [`dropped`]: what was lost with segments that were dropped;
//! - [`verify`]: whether all of it is whole;
//! - [`cat`]: the datagrams in it.

mod cat;
mod dropped;
mod status;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use bus::Stream;
use bus::log::directory::Root;
use config::{BusKind, Config};

/// Look into the frame log on this machine's disk.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Status(status::Args),
    Verify(verify::Args),
    Cat(cat::Args),
}

pub fn run(args: Args, config: Option<&Path>) -> Result<ExitCode> {
    match args.command {
        Command::Status(args) => status::run(&args, config),
        Command::Verify(args) => verify::run(&args, config),
        Command::Cat(args) => cat::run(&args, config),
    }
}

/// Which log.
#[derive(clap::Args, Debug)]
struct Which {
    /// The spill, which has what Kafka could not take, instead of the bus
    #[arg(long, conflicts_with = "directory")]
    spill: bool,
    /// Directory of any log, the one with the file LOG; no configuration is read then
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A log that is there.
struct Log {
    root: Root,
    id: String,
    /// What the configuration says of it; `None` if it was named by its directory.
    settings: Option<config::Log>,
}

impl Which {
    fn open(&self, config: Option<&Path>) -> Result<Log> {
        let (root, settings, kind) = if let Some(directory) = &self.directory {
            (Root::at(directory), None, None)
        } else {
            let config = Config::load_or_default(config)
                .context("which frame log? --directory DIR names one without a configuration")?;
            let settings = config.bus.log.clone();
            let root = if self.spill {
                Root::of_spill(&settings)
            } else {
                Root::of_bus(&settings)
            };
            (root, Some(settings), Some(config.bus.kind()))
        };
        let path = root.path().display();
        match root.id() {
            Ok(id) => Ok(Log { root, id, settings }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match kind {
                Some(BusKind::Kafka) if !self.spill => {
                    bail!("no frame log in {path}: the bus is Kafka; --spill shows what Kafka could not take")
                }
                Some(_) => bail!("no frame log in {path}: the collector makes it when it first needs it"),
                None => bail!(
                    "no frame log in {path}: it would have a file LOG (below bus.log.directory it is bus or spill)"
                ),
            },
            Err(error) => Err(error).with_context(|| format!("cannot read frame log {path}")),
        }
    }
}

impl Log {
    fn streams(&self) -> Result<Vec<Stream>> {
        self.root
            .streams()
            .with_context(|| format!("cannot read frame log {}", self.root.path().display()))
    }

    /// An error if the log has no such partition.
    fn must_have(&self, stream: Stream) -> Result<()> {
        let streams = self.streams()?;
        if streams.contains(&stream) {
            return Ok(());
        }
        let names: Vec<String> = streams.iter().map(Stream::to_string).collect();
        bail!(
            "frame log {} has no partition {stream}; it has {}",
            self.root.path().display(),
            if names.is_empty() {
                "none yet".into()
            } else {
                names.join(" ")
            }
        )
    }

    fn cannot_read(&self, stream: Stream) -> String {
        format!("cannot read {stream} of frame log {}", self.root.path().display())
    }
}

/// RFC 3339 with a digit for each nanosecond; the number itself where it is no time that can be written.
fn rfc3339(ns: u64) -> String {
    match jiff::Timestamp::from_nanosecond(ns.into()) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => ns.to_string(),
    }
}
