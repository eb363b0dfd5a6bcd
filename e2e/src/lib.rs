//! What all end-to-end tests stand on: a [`Stage`] with a network of its own, a database of its own and a bus of its
//! own, on which the shipped programs run. Needs root (network namespaces) and `cargo xtask services up`.

mod bus;
pub mod events;
pub mod load;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::binaries::{Binaries, binaries};
use harness::database::Database;
use harness::metrics::{self, Metrics};
use harness::netns::Namespace;
use harness::process::Process;
use harness::topics;

pub use bus::Bus;
use bus::OwnBus;

/// For everything that happens sooner or later. Generous: a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Where the collector listens, inside the stage's network.
pub const LISTENER: &str = "127.0.0.1:5514";
const COLLECTOR_METRICS: &str = "127.0.0.1:9101";

/// A network, a database and a bus for one test. The collector runs inside the network and reaches Kafka through
/// [`Stage::cut_kafka`]'s relay only; the consumer runs outside.
pub struct Stage {
    // Dropped in this order: connections before the network and the folder they are in.
    bus: OwnBus,
    pub network: Namespace,
    pub database: Database,
    pub folder: tempfile::TempDir,
    pub settings: Settings,
    binaries: Binaries,
    consumer_metrics: SocketAddr,
}

/// What tests vary in the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// More lines of `[bus]`.
    pub bus: String,
    /// More lines of `[bus.log]`.
    pub log: String,
    /// Lines of `[exporters]` and what belongs to it.
    pub exporters: String,
    /// More listeners beside [`LISTENER`]: inline tables, each behind a comma.
    pub listeners: String,
    /// More lines of `[collector]`, and of tables behind it.
    pub collector: String,
    /// More lines of `[consumer]`.
    pub consumer: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bus: "queue_mib = 1024".into(),
            log: String::new(),
            exporters: "[[exporters.exporter]]\naddress = \"127.0.0.0/8\"".into(),
            listeners: String::new(),
            collector: String::new(),
            consumer: String::new(),
        }
    }
}

impl Stage {
    pub fn new(tag: &str, bus: Bus, settings: Settings) -> Result<Self> {
        let network = Namespace::new(tag)?;
        let stage = Self {
            bus: OwnBus::new(bus, &network, topics::unique(tag))?,
            network,
            database: Database::new(tag)?,
            folder: tempfile::Builder::new()
                .prefix(&format!("natrail-{tag}-"))
                .tempdir()?,
            settings,
            binaries: binaries()?,
            consumer_metrics: free_address()?,
        };
        stage.write_config()?;
        Ok(stage)
    }

    /// A file or folder of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file that all programs of this stage read.
    pub fn config(&self) -> PathBuf {
        self.path("natrail.toml")
    }

    /// Writes [`Stage::settings`] to the configuration file.
    pub fn write_config(&self) -> Result<()> {
        let Settings {
            bus,
            log,
            exporters,
            listeners,
            collector,
            consumer,
        } = &self.settings;
        let text = format!(
            "[bus]\n{own_bus}{bus}\n\
             [bus.log]\ndirectory = \"{directory}\"\n{log}\n\n\
             [consumer]\ncores = [0]\ngroup = \"{group}\"\nmetrics = \"{consumer_metrics}\"\n{consumer}\n\n\
             [database]\nurl = \"{url}\"\n\n\
             {exporters}\n\n\
             [collector]\ncores = [0]\nmetrics = \"{COLLECTOR_METRICS}\"\n\
             listener = [{{ kind = \"syslog\", address = \"{LISTENER}\" }}{listeners}]\n{collector}\n",
            own_bus = self.bus.configuration(),
            directory = self.log_directory().display(),
            group = self.bus.name(),
            consumer_metrics = self.consumer_metrics,
            url = self.database.url(),
        );
        std::fs::write(self.config(), text).context("cannot write the configuration")
    }

    /// The frame log's directory: below it are `bus`, or with Kafka `spill`.
    pub fn log_directory(&self) -> PathBuf {
        self.path("log")
    }

    /// Environment that does not point at other servers than the configuration.
    fn prepare(&self, mut command: Command) -> Command {
        command
            .env_remove("NATRAIL_KAFKA")
            .env("NATRAIL_DATABASE_URL", self.database.url());
        command
    }

    /// With Kafka: ends the collector's connections to it, and says how many there were.
    pub fn cut_kafka(&self) -> usize {
        self.bus.cut()
    }

    /// Starts the collector inside the network, without waiting for anything.
    pub fn spawn_collector(&self) -> Result<Process> {
        let mut command = self.prepare(self.network.command(&self.binaries.collector));
        command.arg("--config").arg(self.config());
        Process::spawn("natrail-collector", &mut command, &self.path("collector.log"))
    }

    /// Starts the collector and waits until it receives.
    pub fn collector(&self) -> Result<Process> {
        let mut collector = self.spawn_collector()?;
        collector.wait_until(PATIENCE, "its metrics", || self.collector_metrics().is_ok())?;
        Ok(collector)
    }

    /// Starts the consumer, without waiting for anything.
    pub fn consumer(&self) -> Result<Process> {
        let mut command = self.prepare(Command::new(&self.binaries.consumer));
        command.arg("--config").arg(self.config());
        Process::spawn("natrail-consumer", &mut command, &self.path("consumer.log"))
    }

    /// Starts one more consumer beside the others, with metrics of its own.
    pub fn another_consumer(&self) -> Result<Process> {
        let metrics = free_address()?;
        let own = std::fs::read_to_string(self.config())?
            .replace(&self.consumer_metrics.to_string(), &metrics.to_string());
        let config = self.path(&format!("consumer-{}.toml", metrics.port()));
        std::fs::write(&config, own).context("cannot write the configuration")?;
        let mut command = self.prepare(Command::new(&self.binaries.consumer));
        command.arg("--config").arg(&config);
        let mut consumer = Process::spawn("natrail-consumer", &mut command, &self.path("consumer.log"))?;
        consumer.wait_until(PATIENCE, "its metrics", || metrics::get(metrics, None).is_ok())?;
        Ok(consumer)
    }

    /// Runs `natrail` to its end.
    pub fn natrail(&self, arguments: &[&str]) -> Result<Output> {
        self.natrail_at(&self.database.url(), arguments)
    }

    /// The same, with another database.
    pub fn natrail_at(&self, database_url: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.prepare(Command::new(&self.binaries.natrail));
        command.env("NATRAIL_DATABASE_URL", database_url);
        command.arg("--config").arg(self.config()).args(arguments);
        command.output().context("cannot run natrail")
    }

    /// Starts `natrail generate` inside the network, to the collector.
    pub fn generate(&self, arguments: &[&str]) -> Result<Process> {
        self.generate_to(LISTENER, arguments)
    }

    /// The same to another listener.
    pub fn generate_to(&self, listener: &str, arguments: &[&str]) -> Result<Process> {
        let mut command = self.prepare(self.network.command(&self.binaries.natrail));
        command.args(["generate", "--to", listener]).args(arguments);
        Process::spawn("natrail generate", &mut command, &self.path("generate.log"))
    }

    /// Sends datagrams from an address inside the network to the collector, in this order.
    pub fn send(&self, from: impl Into<IpAddr> + Send, datagrams: &[&[u8]]) -> Result<()> {
        let send = || -> std::io::Result<()> {
            let socket = UdpSocket::bind((from.into(), 0))?;
            datagrams
                .iter()
                .try_for_each(|datagram| socket.send_to(datagram, LISTENER).map(drop))
        };
        self.network.run(send)?.context("cannot send to the collector")
    }

    pub fn collector_metrics(&self) -> Result<Metrics> {
        metrics::get(COLLECTOR_METRICS.parse()?, Some(&self.network))
    }

    pub fn consumer_metrics(&self) -> Result<Metrics> {
        metrics::get(self.consumer_metrics, None)
    }

    /// Sum of a column of `natrail.stream`: what the database says that it took. 0 while there is no such table.
    pub fn taken(&self, column: &str) -> i64 {
        let sql = format!("SELECT coalesce(sum({column}), 0)::int8 FROM natrail.stream");
        self.database.integer(&sql).unwrap_or(0)
    }

    /// Records ever written to a topic, over all partitions: what the broker says, or what is found in the log.
    pub fn records(&self, topic: &str) -> Result<u64> {
        self.bus.records(topic, &self.log_directory())
    }

    /// Waits until the database has taken this many datagrams, as events or otherwise.
    pub fn wait_until_taken(&self, consumer: &mut Process, datagrams: i64) -> Result<()> {
        let what = format!("{datagrams} datagrams to be taken");
        consumer
            .wait_until(PATIENCE, &what, || self.taken("datagrams") >= datagrams)
            .with_context(|| format!("the database has taken {}", self.taken("datagrams")))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["collector.log", "consumer.log", "generate.log"] {
                let text = std::fs::read_to_string(self.path(log)).unwrap_or_default();
                eprintln!("---- {log}, the last lines ----");
                let lines: Vec<_> = text.lines().collect();
                lines[lines.len().saturating_sub(40)..]
                    .iter()
                    .for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// A TCP address on loopback that nobody listens on now.
pub fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("cannot get a free TCP port")?;
    Ok(listener.local_addr()?)
}

/// An output's two streams, for messages of assertions.
pub fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
