//! Apache Kafka: one KRaft node on loopback, from the jars that `cargo xtask services up` fetched.
//!
//! A [`Node`] is how such a node is set up and run; `cargo xtask services` runs one that lasts. A [`Broker`] is one that
//! belongs to a test, which may freeze it, kill it and start it again on the same data.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::kafka;
use crate::process::Process;
use crate::services::cache;

/// The version that is fetched and run.
pub const VERSION: &str = "4.1.0";
/// Any 16 octets in base64url; a fixed one saves a JVM start.
const CLUSTER_ID: &str = "bmF0cmFpbC1kZXYtMDAwMQ";
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// Where the jars are, below the directory of [`cache`].
pub fn jars(cache: &Path) -> PathBuf {
    cache.join("kafka").join(format!("jars-{VERSION}"))
}

/// Files and ports of one node.
#[derive(Clone, Debug)]
pub struct Node {
    jars: PathBuf,
    home: PathBuf,
    broker_port: u16,
    controller_port: u16,
}

impl Node {
    /// A node that keeps everything it writes below `home`.
    pub fn new(jars: &Path, home: &Path, broker_port: u16, controller_port: u16) -> Self {
        Self {
            jars: jars.into(),
            home: home.into(),
            broker_port,
            controller_port,
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.broker_port).into()
    }

    /// The file that is the one argument of [`Node::server`].
    pub fn properties(&self) -> PathBuf {
        self.home.join("server.properties")
    }

    /// Topics and their records.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Writes the two files of its configuration. The directory must be there.
    pub fn configure(&self) -> Result<()> {
        for (path, text) in [
            (self.log4j(), LOG4J),
            (self.properties(), &self.properties_text()),
        ] {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// The command that makes an empty data directory one that the server accepts.
    pub fn format(&self) -> Command {
        let mut command = self.java("256m", "kafka.tools.StorageTool");
        command
            .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(self.properties());
        command
    }

    /// The command that is the server.
    pub fn server(&self) -> Command {
        let mut command = self.java("768m", "kafka.Kafka");
        command.arg(self.properties()).current_dir("/");
        command
    }

    fn log4j(&self) -> PathBuf {
        self.home.join("log4j2.properties")
    }

    fn java(&self, heap: &str, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{heap}"))
            .arg("-XX:+ExitOnOutOfMemoryError")
            .arg(format!("-Dlog4j2.configurationFile={}", self.log4j().display()))
            .arg("-cp")
            .arg(format!("{}/lib/*", self.jars.display()))
            .arg(class);
        command
    }

    fn properties_text(&self) -> String {
        format!(
            "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
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
            broker = self.broker_port,
            controller = self.controller_port,
            data = self.data().display()
        )
    }
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

/// A running Kafka of one test. Killed when dropped; its files stay in the directory that it was given.
#[derive(Debug)]
pub struct Broker {
    node: Node,
    process: Process,
}

impl Broker {
    /// Starts a node with an empty data directory below `home`, and waits until it answers.
    pub fn start(home: &Path) -> Result<Self> {
        let jars = jars(&cache()?);
        if !jars.is_dir() {
            bail!(
                "Kafka's jars are not in {}: run `cargo xtask services up` without NATRAIL_KAFKA",
                jars.display()
            );
        }
        let node = Node::new(&jars, home, quiet_port()?, quiet_port()?);
        std::fs::create_dir_all(node.data())
            .with_context(|| format!("cannot make directory {}", node.data().display()))?;
        node.configure()?;
        Process::spawn(
            "Kafka's StorageTool",
            &mut node.format(),
            &home.join("format.log"),
        )?
        .succeeded(START_TIMEOUT)?;
        let process = serve(&node)?;
        Ok(Self { node, process })
    }

    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// SIGSTOP: connections stay, and nobody answers.
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// SIGCONT, and waits until it answers.
    pub fn thaw(&mut self) -> Result<()> {
        self.process.thaw()?;
        wait_for_answer(&mut self.process, self.node.address())
    }

    /// SIGKILL: connections break, and nobody listens.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the data that it had when it was killed, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.process = serve(&self.node)?;
        Ok(())
    }
}

fn serve(node: &Node) -> Result<Process> {
    let mut process = Process::spawn("Kafka", &mut node.server(), &node.home.join("kafka.log"))?;
    wait_for_answer(&mut process, node.address())?;
    Ok(process)
}

fn wait_for_answer(process: &mut Process, address: SocketAddr) -> Result<()> {
    process.wait_until(START_TIMEOUT, "an answer", || kafka::answers(address))
}

/// A TCP port of loopback that nobody listens on, below those that the kernel gives to outgoing connections (from 32768
/// on): while the broker is down, a client that keeps trying could otherwise be given the broker's own port.
fn quiet_port() -> Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (begin + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free TCP port from {FIRST} on")
}
