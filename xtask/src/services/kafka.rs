//! Apache Kafka: one KRaft node on loopback, from the jars on Maven Central.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::daemon::{self, Daemon};
use crate::{install, paths, progress};

/// The version that is fetched and run.
pub const VERSION: &str = "4.1.0";
const LOG4J_VERSION: &str = "2.24.3";
const BROKER_PORT: u16 = 19092;
const CONTROLLER_PORT: u16 = 19093;
/// Any 16 octets in base64url; a fixed one saves a JVM start.
const CLUSTER_ID: &str = "bmF0cmFpbC1kZXYtMDAwMQ";
const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Host and port for clients.
pub fn address() -> String {
    format!("127.0.0.1:{BROKER_PORT}")
}

/// The broker's files below the cache.
pub struct Kafka {
    jars: PathBuf,
    data: PathBuf,
    properties: PathBuf,
    log4j: PathBuf,
    pub daemon: Daemon,
}

impl Kafka {
    pub fn new(cache: &Path) -> Self {
        let home = cache.join("kafka");
        let properties = home.join("server.properties");
        Self {
            jars: home.join(format!("jars-{VERSION}")),
            data: home.join("data"),
            log4j: home.join("log4j2.properties"),
            daemon: Daemon {
                name: "Kafka",
                pid_file: home.join("kafka.pid"),
                log_file: home.join("kafka.log"),
                argument: properties.to_string_lossy().into_owned(),
                root: None,
            },
            properties,
        }
    }

    /// Whether the broker is alive and answers.
    pub fn is_up(&self) -> bool {
        self.daemon.running().is_some() && answers()
    }

    /// Fetches, formats and starts what is missing, and waits until the broker answers.
    pub fn up(&self) -> Result<()> {
        if self.daemon.running().is_some() && answers() {
            progress::say(&format!("Kafka {VERSION} runs on {}", address()));
            return Ok(());
        }
        self.down()?;
        install::ensure(&[install::KAFKA])?;
        if !self.jars.exists() {
            progress::step(&format!("fetching Kafka {VERSION} from Maven Central"), || {
                self.fetch()
            })?;
        }
        for port in [BROKER_PORT, CONTROLLER_PORT] {
            daemon::port_is_free(port, "NATRAIL_KAFKA")?;
        }
        self.configure()?;
        let formatted = self.data.join("formatted");
        if !formatted.exists() {
            progress::step("formatting Kafka's data directory", || {
                paths::remove_directory(&self.data)?;
                paths::make_directory(&self.data)?;
                let mut command = self.java("256m", "kafka.tools.StorageTool");
                command
                    .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
                    .arg(&self.properties);
                daemon::run(&mut command)?;
                paths::write(&formatted, VERSION)
            })?;
        }
        progress::step(&format!("starting Kafka on {}", address()), || {
            let mut command = self.java("768m", "kafka.Kafka");
            command.arg(&self.properties).current_dir("/");
            let mut child = self.daemon.start(&mut command)?;
            self.daemon.wait_ready(&mut child, START_TIMEOUT, answers)
        })
    }

    /// Stops the broker, if it runs.
    pub fn down(&self) -> Result<bool> {
        self.daemon.stop(libc::SIGTERM, STOP_TIMEOUT)
    }

    /// Removes its data, not its jars.
    pub fn wipe(&self) -> Result<()> {
        paths::remove_directory(&self.data)
    }

    /// Into a directory beside, renamed at the end: an interrupted download leaves nothing that looks whole.
    fn fetch(&self) -> Result<()> {
        let partial = self.jars.with_extension("partial");
        paths::remove_directory(&partial)?;
        paths::make_directory(&partial.join("lib"))?;
        paths::write(&partial.join("pom.xml"), &pom())?;
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "dependency:copy-dependencies"])
            .arg(format!("-DoutputDirectory={}", partial.join("lib").display()))
            .current_dir(&partial);
        daemon::run(&mut maven).context("cannot fetch Kafka's jars")?;
        std::fs::rename(&partial, &self.jars)
            .with_context(|| format!("cannot rename {} to {}", partial.display(), self.jars.display()))
    }

    fn java(&self, heap: &str, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{heap}"))
            .arg("-XX:+ExitOnOutOfMemoryError")
            .arg(format!("-Dlog4j2.configurationFile={}", self.log4j.display()))
            .arg("-cp")
            .arg(format!("{}/lib/*", self.jars.display()))
            .arg(class);
        command
    }

    fn configure(&self) -> Result<()> {
        paths::write(&self.log4j, LOG4J)?;
        paths::write(
            &self.properties,
            &format!(
                "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{CONTROLLER_PORT}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{BROKER_PORT},CONTROLLER://127.0.0.1:{CONTROLLER_PORT}
advertised.listeners=PLAINTEXT://127.0.0.1:{BROKER_PORT}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# A mistyped topic must fail, not appear.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Tests join and leave groups all the time.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Disk: a partition keeps 2 GiB, or a day.
log.segment.bytes=268435456
log.retention.bytes=2147483648
log.retention.hours=24
log.retention.check.interval.ms=30000
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=16777216
",
                data = self.data.display()
            ),
        )
    }
}

fn pom() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>natrail</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>\n\
         <dependencies>\n{}{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.kafka", "kafka-tools", VERSION),
        dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    )
}

const LOG4J: &str = "\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
";

/// Whether the broker answers an ApiVersions request (key 18, version 0) without error.
fn answers() -> bool {
    ask_api_versions().is_ok_and(|error| error == 0)
}

fn ask_api_versions() -> std::io::Result<i16> {
    const CORRELATION: [u8; 4] = *b"natr";
    let timeout = Duration::from_secs(2);
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, BROKER_PORT)), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    // length, api_key, api_version, correlation_id, client_id = null
    let mut request = vec![0, 0, 0, 10, 0, 18, 0, 0];
    request.extend(CORRELATION);
    request.extend([0xff, 0xff]);
    stream.write_all(&request)?;
    // length, correlation_id, error_code
    let mut response = [0; 10];
    stream.read_exact(&mut response)?;
    if response[4..8] != CORRELATION {
        return Err(std::io::Error::other("not a Kafka broker"));
    }
    Ok(i16::from_be_bytes([response[8], response[9]]))
}
