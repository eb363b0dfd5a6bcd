//! Two network namespaces joined by a virtual cable; a database and topics of our own; collector and consumer.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::binaries::Binaries;
use harness::database::Database;
use harness::metrics::{self, Metrics};
use harness::netns::{Namespace, veth};
use harness::process::Process;
use harness::relay::Relay;

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

const PARTITIONS: u16 = 2;
/// The collector has its namespace for itself.
const COLLECTOR_METRICS: &str = "127.0.0.1:9101";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that runs during the demo; what is dropped first comes first.
pub struct Stage {
    pub collector: Process,
    pub consumer: Process,
    _relay: Relay,
    pub sender: Namespace,
    collector_namespace: Namespace,
    pub database: Database,
    topics: Topics,
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
    pub fn set(directory: &Path, binaries: Binaries) -> Result<Self> {
        let servers = harness::services()?;
        let kafka = loopback(&servers.kafka)?;
        let topics = Topics {
            kafka: servers.kafka.clone(),
            prefix: harness::topics::unique("demo"),
        };

        let (sender, collector_namespace, relay) =
            progress::step("two network namespaces and a virtual cable", || {
                let (sender, collector) = (Namespace::new("sender")?, Namespace::new("collector")?);
                let (v4, v6) = (format!("{COLLECTOR_V4}/24"), format!("{COLLECTOR_V6}/64"));
                veth(
                    (&sender, INTERFACE, SENDER_ADDRESSES),
                    (&collector, INTERFACE, &[v4.as_str(), v6.as_str()]),
                )?;
                let relay = Relay::new(&collector, kafka, kafka)?;
                Ok((sender, collector, relay))
            })?;

        let database = Database::new("demo")?;
        let consumer_metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = directory.join("natrail.toml");
        paths::write(&config, &configuration(&topics, &database, consumer_metrics))?;
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
            _relay: relay,
            sender,
            collector_namespace,
            database,
            topics,
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

    /// Records in the syslog topic and in the dead-letter topic, as the broker counts them.
    pub fn records(&self) -> Result<(u64, u64)> {
        let count = |name: &str| -> Result<u64> {
            let offsets =
                harness::kafka::end_offsets(&self.topics.kafka, &self.topics.name(name), PARTITIONS)?;
            Ok(offsets.iter().sum::<i64>() as u64)
        };
        Ok((count("syslog")?, count("dead-letter")?))
    }

    pub fn taken(&self) -> Result<Taken> {
        let number = |sql: &str| self.database.integer(sql).map(|number| number as u64);
        let total = |column: &str| {
            number(&format!(
                "SELECT COALESCE(sum({column}), 0)::int8 FROM natrail.stream"
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

/// Topics of one run, deleted when dropped.
struct Topics {
    kafka: String,
    prefix: String,
}

impl Topics {
    fn name(&self, kind: &str) -> String {
        format!("{}.{kind}", self.prefix)
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names = ["syslog", "netflow", "radius", "dead-letter"].map(|kind| self.name(kind));
        if let Err(error) = harness::kafka::delete_topics(&self.kafka, &names.each_ref().map(String::as_str))
        {
            eprintln!("{error:#}");
        }
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

/// The first broker's address. The collector reaches it through a relay at the same address inside its namespace, which
/// works for loopback only.
fn loopback(brokers: &str) -> Result<SocketAddr> {
    let first = brokers.split(',').next().unwrap_or_default();
    let address = first
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve {first}"))?
        .find(|address| address.ip().is_loopback() && address.is_ipv4());
    address.with_context(|| {
        format!("the demo's collector, in a namespace of its own, reaches Kafka on 127.0.0.1 only, not {first}: unset NATRAIL_KAFKA")
    })
}

/// `ip` shows `prog/xdp` for a program in the driver, and `xdpgeneric` for one that is not.
fn has_native_xdp(namespace: &Namespace) -> Result<bool> {
    let link =
        output_of(Command::new("ip").args(["-n", namespace.name(), "-details", "link", "show", INTERFACE]))?;
    Ok(link.contains("prog/xdp") && !link.contains("xdpgeneric"))
}

fn configuration(topics: &Topics, database: &Database, consumer_metrics: SocketAddr) -> String {
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
[bus]
brokers = \"{kafka}\"
topic_prefix = \"{prefix}\"
partitions = {PARTITIONS}

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
group = \"{prefix}\"
metrics = \"{consumer_metrics}\"

[database]
url = \"{url}\"
",
        kafka = topics.kafka,
        prefix = topics.prefix,
        url = database.url(),
    )
}
