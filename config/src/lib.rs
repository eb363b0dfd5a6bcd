//! The one configuration file of all natrail programs (TOML).
//!
//! Unknown keys are refused. The doc comment of a field is its manual.

mod bus;
mod exporter;
mod filter;
mod listener;
mod receive;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use bus::{Bus, BusKind, Compression, Log, Sync, WhenFull};
pub use exporter::Exporter;
pub use filter::{Facility, Severity};
pub use listener::{Listener, ListenerKind, Spread, StreamLimits, TlsFiles, Transport};
pub use receive::{AfXdp, Choice, ReceivePath};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/natrail/natrail.toml";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// cannot read the configuration file
    #[error("cannot read configuration {path}: {reason}")]
    Read { path: PathBuf, reason: std::io::Error },
    /// not TOML, an unknown key, or a value of the wrong type
    #[error("configuration {path}: {reason}")]
    Parse {
        path: PathBuf,
        reason: Box<toml::de::Error>,
    },
    /// readable, but its values do not make sense together
    #[error("configuration {path}:\n  - {}", problems.join("\n  - "))]
    Invalid { path: PathBuf, problems: Vec<String> },
    /// neither a file nor the environment says anything
    #[error(
        "no configuration: {DEFAULT_PATH} does not exist. Name a file with --config, or the database with NATRAIL_DATABASE_URL"
    )]
    Nowhere,
}

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where frames go to and come from: a table, or just `bus = "log"` or `bus = "kafka"`.
    #[serde(default, deserialize_with = "bus::word_or_table")]
    pub bus: Bus,
    /// The collector. Only `natrail-collector` needs it.
    pub collector: Option<Collector>,
    /// Who may send. Everybody else is dropped and counted.
    #[serde(default)]
    pub exporters: Exporters,
    /// The consumer.
    #[serde(default)]
    pub consumer: Consumer,
    /// The database.
    #[serde(default)]
    pub database: Database,
}

/// `[collector]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collector {
    /// CPU numbers; each gets one pinned thread with sockets of its own.
    pub cores: Vec<usize>,
    /// Addresses to receive on.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
    /// How datagrams are received: `socket`, or `af_xdp` around the kernel's network stack (docs/af-xdp.md).
    #[serde(default)]
    pub receive: ReceivePath,
    /// For `receive = "af_xdp"`; defaults if absent.
    pub af_xdp: Option<AfXdp>,
    /// The filter in the kernel. Without it, the allow-list is applied in user space.
    pub xdp: Option<Xdp>,
    /// A frame is closed when it has this many octets …
    #[serde(default = "default_frame_bytes")]
    pub frame_bytes: usize,
    /// … or when its first datagram is this old.
    #[serde(default = "default_frame_age_ms")]
    pub frame_age_ms: u64,
    /// Receive buffer of each socket, in octets (SO_RCVBUFFORCE, so net.core.rmem_max does not limit it).
    #[serde(default = "default_socket_buffer_bytes")]
    pub socket_buffer_bytes: usize,
    /// Provided buffers of each thread's io_uring, a power of two.
    #[serde(default = "default_ring_buffers")]
    pub ring_buffers: u16,
    /// Largest datagram that is taken whole; longer ones are cut, marked and counted.
    #[serde(default = "default_datagram_bytes_max")]
    pub datagram_bytes_max: usize,
    /// Prometheus metrics over HTTP on this address; none if absent.
    pub metrics: Option<SocketAddr>,
}

fn default_frame_bytes() -> usize {
    512 * 1024
}
fn default_frame_age_ms() -> u64 {
    100
}
fn default_socket_buffer_bytes() -> usize {
    16 * 1024 * 1024
}
fn default_ring_buffers() -> u16 {
    512
}
fn default_datagram_bytes_max() -> usize {
    65_535
}

impl Collector {
    /// The settings of AF_XDP, those of an absent section included.
    pub fn af_xdp(&self) -> AfXdp {
        self.af_xdp.clone().unwrap_or_default()
    }
}

/// `[collector.xdp]`: the filter in the kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xdp {
    /// Network interfaces that datagrams come in on.
    pub interfaces: Vec<String>,
    /// `native` (in the driver) or `generic` (after the kernel has made a socket buffer: slower, for tests and poor drivers).
    /// Never falls back from one to the other by itself.
    #[serde(default)]
    pub mode: XdpMode,
}

/// Where the XDP program runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    #[default]
    Native,
    Generic,
}

/// `[exporters]`: who may send, and how what they send is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exporters {
    /// Takes datagrams from everybody. Must be said; the default is to take only from those listed.
    #[serde(default)]
    pub allow_all: bool,
    /// The exporters. The longest prefix that holds an address counts.
    #[serde(default, rename = "exporter")]
    pub list: Vec<Exporter>,
}

impl Exporters {
    /// The entry whose prefix holds `address`, the longest first.
    pub fn find(&self, address: IpAddr) -> Option<&Exporter> {
        self.place(address).map(|place| &self.list[place])
    }

    /// The place of that entry in the list.
    pub fn place(&self, address: IpAddr) -> Option<usize> {
        self.list
            .iter()
            .enumerate()
            .filter(|(_, exporter)| exporter.address.contains(&address))
            .max_by_key(|(_, exporter)| exporter.address.prefix_len())
            .map(|(place, _)| place)
    }

    /// Whether datagrams from `address` are taken.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow_all || self.find(address).is_some()
    }
}

/// `[consumer]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    /// CPU numbers; each gets one pinned worker with partitions and two database connections of its own.
    pub cores: Vec<usize>,
    /// Kafka consumer group.
    pub group: String,
    /// A batch is written when it has this many rows …
    pub batch_rows: usize,
    /// … or when its first row is this old.
    pub batch_age_ms: u64,
    /// A device time further back than this is kept, but the receive time is used as the event's time. In days.
    pub device_time_past_max_days: u32,
    /// The same for a device time in the future. In seconds.
    pub device_time_future_max_s: u32,
    /// Prometheus metrics over HTTP on this address; none if absent.
    pub metrics: Option<SocketAddr>,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            cores: vec![0],
            group: "natrail".into(),
            batch_rows: 100_000,
            batch_age_ms: 500,
            device_time_past_max_days: 3660,
            device_time_future_max_s: 86_400,
            metrics: None,
        }
    }
}

/// `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Connection string, `postgresql://user@host:port/name`. The environment's `NATRAIL_DATABASE_URL` wins over it.
    pub url: String,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "postgresql://natrail@127.0.0.1:5432/natrail".into(),
        }
    }
}

impl Config {
    /// Reads and validates the file. Environment variables that are set take the place of the file's values.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|reason| ConfigError::Read {
            path: path.into(),
            reason,
        })?;
        let mut config = Self::parse(&text, path)?;
        config.take_environment();
        Ok(config)
    }

    /// For commands that need little more than the database: reads `path`, or [`DEFAULT_PATH`] if there is one; without
    /// a file, `NATRAIL_DATABASE_URL` is enough, and everything else has its default.
    pub fn load_or_default(path: Option<&Path>) -> Result<Self, ConfigError> {
        let default_path = Path::new(DEFAULT_PATH);
        match path {
            Some(path) => Self::load(path),
            None if default_path.exists() => Self::load(default_path),
            None if std::env::var_os("NATRAIL_DATABASE_URL").is_none_or(|url| url.is_empty()) => {
                Err(ConfigError::Nowhere)
            }
            None => {
                let mut config = Self::default();
                config.take_environment();
                Ok(config)
            }
        }
    }

    /// Reads and validates TOML text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|reason| ConfigError::Parse {
            path: path.into(),
            reason: Box::new(reason),
        })?;
        let problems = config.problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid {
                path: path.into(),
                problems,
            })
        }
    }

    /// `NATRAIL_KAFKA` and `NATRAIL_DATABASE_URL` name other servers than the file. A file that says `bus.kind = "log"`
    /// stays with the log.
    pub fn take_environment(&mut self) {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(brokers) = set("NATRAIL_KAFKA") {
            self.bus.brokers = brokers;
        }
        if let Some(url) = set("NATRAIL_DATABASE_URL") {
            self.database.url = url;
        }
    }

    /// What is wrong with the values, in words for the operator. Touches nothing outside.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.bus.problems();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(problem.to_owned());
            }
        };
        check(
            !self.consumer.cores.is_empty(),
            "consumer.cores must name at least one CPU",
        );
        check(
            (1..=1_000_000).contains(&self.consumer.batch_rows),
            "consumer.batch_rows must be from 1 to 1000000",
        );
        check(
            (10..=60_000).contains(&self.consumer.batch_age_ms),
            "consumer.batch_age_ms must be from 10 to 60000",
        );
        check(
            self.exporters.allow_all || !self.exporters.list.is_empty(),
            "no exporter may send: list some under [[exporters.exporter]], or set exporters.allow_all = true",
        );
        if let Some(collector) = &self.collector {
            let mut check = |ok: bool, problem: &str| {
                if !ok {
                    problems.push(problem.to_owned());
                }
            };
            check(
                !collector.cores.is_empty(),
                "collector.cores must name at least one CPU",
            );
            check(
                !collector.listeners.is_empty(),
                "collector needs at least one [[collector.listener]]",
            );
            check(
                (66_000..=1_000_000).contains(&collector.frame_bytes),
                "collector.frame_bytes must be from 66000 to 1000000",
            );
            check(
                (1..=10_000).contains(&collector.frame_age_ms),
                "collector.frame_age_ms must be from 1 to 10000",
            );
            check(
                collector.ring_buffers.is_power_of_two() && (8..=32768).contains(&collector.ring_buffers),
                "collector.ring_buffers must be a power of two from 8 to 32768",
            );
            check(
                (512..=65_535).contains(&collector.datagram_bytes_max),
                "collector.datagram_bytes_max must be from 512 to 65535",
            );
            check(
                collector
                    .xdp
                    .as_ref()
                    .is_none_or(|xdp| !xdp.interfaces.is_empty()),
                "collector.xdp.interfaces must name at least one interface",
            );
            problems.extend(listener::problems(&collector.listeners));
            problems.extend(receive::problems(collector));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("test.toml"))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let config = parse(
            r#"
            [[exporters.exporter]]
            address = "192.0.2.0/24"
            [[exporters.exporter]]
            address = "192.0.2.7"
            name = "cgn7"
            profile = "nfware"
            "#,
        )
        .expect("valid");
        let find = |text: &str| config.exporters.find(text.parse().expect("address"));
        assert_eq!(find("192.0.2.7").and_then(|e| e.name.as_deref()), Some("cgn7"));
        assert_eq!(
            find("192.0.2.8").and_then(|e| e.settings.profile),
            Some(decode::Profile::Auto)
        );
        assert!(find("192.0.3.1").is_none() && !config.exporters.allows(IpAddr::from([192, 0, 3, 1])));
    }

    #[test]
    fn the_example_file_is_valid() {
        let config = parse(include_str!("../../docs/natrail.example.toml")).expect("valid");
        let collector = config.collector.expect("it shows a collector");
        assert_eq!(collector.listeners.len(), 1);
        assert!(!config.exporters.allow_all && config.exporters.list.len() == 2);
        assert_eq!(config.bus.kind(), BusKind::Log);
    }

    /// A configuration with a listener that has these lines too.
    fn listener(more: &str) -> String {
        format!(
            "[exporters]\nallow_all = true\n[collector]\ncores = [0]\n\
             [[collector.listener]]\nkind = \"syslog\"\naddress = \"[::1]:514\"\n{more}\n"
        )
    }

    #[test]
    fn listeners_for_streams_have_limits_and_files() {
        let tls = "transport = \"tls\"\ncertificate = \"/c\"\nkey = \"/k\"\nidle_s = 5\nline_bytes_max = 1024\n\
                   [[collector.listener]]\nkind = \"syslog\"\naddress = \"[::1]:514\"";
        let config = parse(&listener(tls)).expect("valid: TCP and UDP ports are not the same");
        let listeners = config.collector.expect("a collector").listeners;
        let limits = listeners[0].stream_limits();
        assert_eq!((limits.idle.as_secs(), limits.line_bytes_max), (5, 1024));
        assert_eq!((limits.connections_max, limits.handshake.as_secs()), (1024, 10));
        let files = listeners[0].tls_files().expect("files");
        assert_eq!((files.key, files.client_ca), (&PathBuf::from("/k"), None));
        assert_eq!(listeners[1].transport, Transport::Udp);
        assert!(listeners[1].tls_files().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        const SECOND: &str = "[[collector.listener]]\nkind = \"syslog\"\naddress = \"[::1]:514\"";
        for (text, word) in [
            ("[bus]\nbrokerz = \"x\"", "brokerz"),
            (
                "[exporters]\nallow_all = true\n[bus]\npartitions = 0",
                "bus.partitions",
            ),
            ("", "allow_all"),
            ("[[exporters.exporter]]\naddress = \"300.1.1.1\"", "300.1.1.1"),
            (
                "[[exporters.exporter]]\naddress = \"10.0.0.1\"\nprofile = \"acme\"",
                "acme",
            ),
            (&listener("transport = \"sctp\""), "sctp"),
            (&listener("transport = \"tls\""), "needs certificate and key"),
            (&listener("transport = \"tcp\"\nkey = \"/k\""), "key is for"),
            (&listener("idle_s = 5"), "idle_s is for"),
            (&listener("transport = \"tcp\"\nidle_s = 0"), "idle_s must be"),
            (&listener("transport = \"tcp\"\nidle = 5"), "unknown field `idle`"),
            (
                &listener("transport = \"tcp\"\nline_bytes_max = 66000"),
                "line_bytes_max must be",
            ),
            (
                &listener("transport = \"tcp\"").replace("syslog", "radius"),
                "only kind",
            ),
            (&listener(SECOND), "same address"),
            (&listener("keep = [\"a(\"]"), "unclosed group"),
            (&listener("keep = [\"a\"]\nfilter_bytes = 1025"), "from 1 to 1024"),
            (&listener("filter_bytes = 100"), "filter_bytes is for"),
            (&listener("facilities = []"), "at least one"),
            (&listener("facilities = [\"local8\"]"), "local8"),
            (
                &listener("severity_max = \"info\"").replace("syslog", "netflow"),
                "are for kind",
            ),
            (
                "[[exporters.exporter]]\naddress = \"10.0.0.1\"\nrate_max = 10000001",
                "exporter 10.0.0.1/32: rate_max",
            ),
            (
                "[[exporters.exporter]]\naddress = \"10.0.0.1\"\nburst = 5",
                "burst is for rate_max",
            ),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
