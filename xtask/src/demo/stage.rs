//! Two network namespaces joined by a virtual cable; a database and a bus of our own; collector and consumer.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use harness::binaries::Binaries;
use harness::database::Database;
use harness::metrics::{self, Metrics};
use harness::netns::{Namespace, veth};
use harness::process::Process;

use super::bus::{Bus, OwnBus};
use super::output_of;
use crate::{paths, progress};

const INTERFACE: &str = "veth0";
/// The collector listens on these; the cable's prefixes are 10.77.0.0/24 and fd77::/64.
pub const COLLECTOR_V4: &str = "10.77.0.1";
pub const COLLECTOR_V6: &str = "fd77::1";
pub const PORT: u16 = 514;
/// Exporters of NFWare's format, in a row; of Juniper's, over IPv6; one that is allowed but sends garbage; one that is not allowed.
pub const NFWARE_FIRST: &str = "10.77.0.11";
pub const JUNIPER_FIRST: &str = "fd77::21";
pub const GARBAGE: &str = "10.77.0.31";
pub const STRANGER: &str = "10.77.0.99";
const SENDER_ADDRESSES: &[&str] = &[
    "10.77.0.11/24",
    "10.77.0.12/24",
    "10.77.0.31/24",
    "10.77.0.99/24",
    "fd77::21/64",
    "fd77::22/64",
];

/// The collector has its namespace for itself.
const COLLECTOR_METRICS: &str = "127.0.0.1:9101";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that runs during the demo; what is dropped first comes first.
pub struct Stage {
    pub collector: Process,
    pub consumer: Process,
    pub bus: OwnBus,
    pub sender: Namespace,
    collector_namespace: Namespace,
    pub database: Database,
    config: PathBuf,
    binaries: Binaries,
    consumer_metrics: SocketAddr,
}

/// What the database says it has taken, over all streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    pub frames: u64,
    pub datagrams: u64,
    pub events: u64,
    pub ignored: u64,
    pub dead_letters: u64,
    pub bad_frames: u64,
    pub rows: u64,
}

impl Stage {
    pub fn set(directory: &Path, binaries: Binaries, bus: Bus) -> Result<Self> {
        let (sender, collector_namespace, bus) =
            progress::step("two network namespaces and a virtual cable", || {
                let (sender, collector) = (Namespace::new("sender")?, Namespace::new("collector")?);
                let (v4, v6) = (format!("{COLLECTOR_V4}/24"), format!("{COLLECTOR_V6}/64"));
                veth(
                    (&sender, INTERFACE, SENDER_ADDRESSES),
                    (&collector, INTERFACE, &[v4.as_str(), v6.as_str()]),
                )?;
                let bus = OwnBus::new(bus, &collector, directory)?;
                Ok((sender, collector, bus))
            })?;

        let database = Database::new("demo")?;
        let consumer_metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = directory.join("natrail.toml");
        paths::write(&config, &configuration(&bus, &database, consumer_metrics))?;
        progress::step(
            &format!("tables in a database of their own, {}", database.name()),
            || output_of(natrail(&binaries, &config, &database).args(["db", "migrate"])),
        )?;

        let consumer = progress::step("starting the consumer", || {
            let mut command = Command::new(&binaries.consumer);
            command
                .arg("--config")
                .arg(&config)
                .env("NATRAIL_DATABASE_URL", database.url());
            let mut consumer =
                Process::spawn("natrail-consumer", &mut command, &directory.join("consumer.log"))?;
            consumer.wait_until(START_TIMEOUT, "its metrics answer", || {
                metrics::get(consumer_metrics, None).is_ok()
            })?;
            Ok(consumer)
        })?;
        let collector = progress::step("starting the collector, with XDP in native mode", || {
            let mut command = collector_namespace.command(&binaries.collector);
            command.arg("--config").arg(&config);
            let mut collector = Process::spawn(
                "natrail-collector",
                &mut command,
                &directory.join("collector.log"),
            )?;
            let address = COLLECTOR_METRICS.parse()?;
            collector.wait_until(START_TIMEOUT, "its metrics answer and XDP is attached", || {
                metrics::get(address, Some(&collector_namespace)).is_ok()
                    && has_native_xdp(&collector_namespace).unwrap_or(false)
            })?;
            Ok(collector)
        })?;
        Ok(Self {
            collector,
            consumer,
            bus,
            sender,
            collector_namespace,
            database,
            config,
            binaries,
            consumer_metrics,
        })
    }

    /// The operator's tool, with the demo's configuration.
    pub fn natrail(&self) -> Command {
        natrail(&self.binaries, &self.config, &self.database)
    }

    /// The operator's tool in the sender's namespace.
    pub fn natrail_at_sender(&self) -> Command {
        self.sender.command(&self.binaries.natrail)
    }

    pub fn collector_metrics(&self) -> Result<Metrics> {
        metrics::get(COLLECTOR_METRICS.parse()?, Some(&self.collector_namespace))
    }

    pub fn consumer_metrics(&self) -> Result<Metrics> {
        metrics::get(self.consumer_metrics, None)
    }

    /// Records in the syslog topic and in the dead-letter topic, as the bus itself has them.
    pub fn records(&self) -> Result<(u64, u64)> {
        Ok((self.bus.records("syslog")?, self.bus.records("dead-letter")?))
    }

    pub fn taken(&self) -> Result<Taken> {
        let number = |sql: &str| self.database.integer(sql).map(|number| number as u64);
        let total = |column: &str| {
            number(&format!(
                "SELECT COALESCE(sum({column}), 0)::int8 FROM natrail.stream WHERE topic <> 'ledger'"
            ))
        };
        Ok(Taken {
            frames: total("frames")?,
            datagrams: total("datagrams")?,
            events: total("events")?,
            ignored: total("ignored")?,
            dead_letters: total("dead_letters")?,
            bad_frames: total("bad_frames")?,
            rows: number(
                "SELECT (SELECT count(*) FROM public.session_mapping) + (SELECT count(*) FROM public.port_mapping)
                      + (SELECT count(*) FROM public.port_block_mapping) + (SELECT count(*) FROM public.address_mapping)",
            )?,
        })
    }

    /// Fails when one of the daemons has ended.
    pub fn both_run(&mut self) -> Result<()> {
        for (name, daemon) in [
            ("collector", &mut self.collector),
            ("consumer", &mut self.consumer),
        ] {
            if !daemon.is_running() {
                bail!("the {name} has ended; {}", daemon.end_of_log());
            }
        }
        Ok(())
    }
}

fn natrail(binaries: &Binaries, config: &Path, database: &Database) -> Command {
    let mut command = Command::new(&binaries.natrail);
    // The environment wins over the configuration: it may name the server, but the database is ours.
    command
        .arg("--config")
        .arg(config)
        .env("NATRAIL_DATABASE_URL", database.url());
    command
}

/// `ip` shows `prog/xdp` for a program in the driver, and `xdpgeneric` for one that is not.
fn has_native_xdp(namespace: &Namespace) -> Result<bool> {
    let link =
        output_of(Command::new("ip").args(["-n", namespace.name(), "-details", "link", "show", INTERFACE]))?;
    Ok(link.contains("prog/xdp") && !link.contains("xdpgeneric"))
}

fn configuration(bus: &OwnBus, database: &Database, consumer_metrics: SocketAddr) -> String {
    let last_core = std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1);
    let mut exporters = String::new();
    for (address, name, profile) in [
        (NFWARE_FIRST, "nfware-1", "nfware"),
        ("10.77.0.12", "nfware-2", "auto"),
        (JUNIPER_FIRST, "juniper-1", "juniper-srx"),
        ("fd77::22", "juniper-2", "auto"),
        (GARBAGE, "garbage", "auto"),
    ] {
        exporters += &format!(
            "[[exporters.exporter]]\naddress = \"{address}\"\nname = \"{name}\"\nprofile = \"{profile}\"\n"
        );
    }
    format!(
        "\
{bus}
[collector]
cores = [0]
metrics = \"{COLLECTOR_METRICS}\"
[[collector.listener]]
kind = \"syslog\"
address = \"0.0.0.0:{PORT}\"
[[collector.listener]]
kind = \"syslog\"
address = \"[::]:{PORT}\"
[collector.xdp]
interfaces = [\"{INTERFACE}\"]
mode = \"native\"

{exporters}
[consumer]
cores = [{last_core}]
group = \"{group}\"
metrics = \"{consumer_metrics}\"

[database]
url = \"{url}\"
",
        bus = bus.configuration(),
        group = database.name(),
        url = database.url(),
    )
}
