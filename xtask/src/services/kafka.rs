//! Apache Kafka: one KRaft node on loopback, from the jars on Maven Central.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::broker::{self, Node, VERSION};
use harness::kafka::answers;

use super::daemon::{self, Daemon};
use crate::{install, paths, progress};

const LOG4J_VERSION: &str = "2.24.3";
const BROKER_PORT: u16 = 19092;
const CONTROLLER_PORT: u16 = 19093;
const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The broker's files below the cache.
pub struct Kafka {
    jars: PathBuf,
    node: Node,
    pub daemon: Daemon,
}

impl Kafka {
    pub fn new(cache: &Path) -> Self {
        let home = cache.join("kafka");
        let jars = broker::jars(cache);
        let node = Node::new(&jars, &home, BROKER_PORT, CONTROLLER_PORT);
        Self {
            jars,
            daemon: Daemon {
                name: "Kafka",
                pid_file: home.join("kafka.pid"),
                log_file: home.join("kafka.log"),
                argument: node.properties().to_string_lossy().into_owned(),
                root: None,
            },
            node,
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Whether the broker is alive and answers.
    pub fn is_up(&self) -> bool {
        self.daemon.running().is_some() && answers(self.address())
    }

    /// Fetches, formats and starts what is missing, and waits until the broker answers.
    pub fn up(&self) -> Result<()> {
        if self.is_up() {
            progress::say(&format!("Kafka {VERSION} runs on {}", self.address()));
            return Ok(());
        }
        self.down()?;
        self.ensure_jars()?;
        for port in [BROKER_PORT, CONTROLLER_PORT] {
            daemon::port_is_free(port, "NATRAIL_KAFKA")?;
        }
        self.node.configure()?;
        let data = self.node.data();
        let formatted = data.join("formatted");
        if !formatted.exists() {
            progress::step("formatting Kafka's data directory", || {
                paths::remove_directory(&data)?;
                paths::make_directory(&data)?;
                daemon::run(&mut self.node.format())?;
                paths::write(&formatted, VERSION)
            })?;
        }
        progress::step(&format!("starting Kafka on {}", self.address()), || {
            let mut child = self.daemon.start(&mut self.node.server())?;
            self.daemon
                .wait_ready(&mut child, START_TIMEOUT, || answers(self.address()))
        })
    }

    /// Fetches what is needed to run a broker: this one, or one that a test starts.
    pub fn ensure_jars(&self) -> Result<()> {
        install::ensure(&[install::KAFKA])?;
        if self.jars.exists() {
            return Ok(());
        }
        progress::step(&format!("fetching Kafka {VERSION} from Maven Central"), || {
            self.fetch()
        })
    }

    /// Stops the broker, if it runs.
    pub fn down(&self) -> Result<bool> {
        self.daemon.stop(libc::SIGTERM, STOP_TIMEOUT)
    }

    /// Removes its data, not its jars.
    pub fn wipe(&self) -> Result<()> {
        paths::remove_directory(&self.node.data())
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
