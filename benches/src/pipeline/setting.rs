//! Configuration, database, topics and daemons of one measurement.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use config::Config;
use harness::database::Database;
use harness::process::Process;

/// A database and topics of their own, and the file that names them.
#[derive(Debug)]
pub struct Setting {
    pub database: Database,
    pub config: Config,
    pub file: PathBuf,
    directory: tempfile::TempDir,
    topic_prefix: String,
    kafka: String,
}

impl Setting {
    /// Makes the database (with its tables) and the configuration. `more` is TOML that goes into it.
    pub fn new(more: &str) -> Result<Self> {
        let services = harness::services()?;
        let database = Database::new("bench")?;
        let topic_prefix = harness::topics::unique("bench");
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let text = format!(
            "[bus]\nkind = \"kafka\"\nbrokers = \"{}\"\ntopic_prefix = \"{topic_prefix}\"\n\
             [bus.log]\ndirectory = \"{}\"\n\
             [database]\nurl = \"{}\"\n\
             [exporters]\nallow_all = true\n{more}",
            services.kafka,
            directory.path().join("log").display(),
            database.url(),
        );
        let file = directory.path().join("natrail.toml");
        std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        let config = Config::parse(&text, &file)?;
        let setting = Self {
            database,
            config,
            file,
            directory,
            topic_prefix,
            kafka: services.kafka,
        };
        setting.natrail(&["db", "migrate"])?;
        Ok(setting)
    }

    /// Runs `natrail` to its end.
    pub fn natrail(&self, arguments: &[&str]) -> Result<()> {
        self.start_natrail(arguments)?.succeeded(Duration::from_mins(10))
    }

    /// Starts `natrail`.
    pub fn start_natrail(&self, arguments: &[&str]) -> Result<Process> {
        let mut command = self.command(&harness::binaries::binaries()?.natrail);
        Process::spawn("natrail", command.args(arguments), &self.log("natrail"))
    }

    /// Starts the consumer.
    pub fn consumer(&self) -> Result<Process> {
        let mut command = self.command(&harness::binaries::binaries()?.consumer);
        Process::spawn("natrail-consumer", &mut command, &self.log("consumer"))
    }

    /// Starts the collector.
    pub fn collector(&self) -> Result<Process> {
        let mut command = self.command(&harness::binaries::binaries()?.collector);
        Process::spawn("natrail-collector", &mut command, &self.log("collector"))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The file names the servers; what the environment names are the same ones, but another database.
        command
            .arg("--config")
            .arg(&self.file)
            .env_remove("NATRAIL_KAFKA")
            .env_remove("NATRAIL_DATABASE_URL");
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.log"))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let topics: Vec<String> = [
            bus::Topic::Syslog,
            bus::Topic::Netflow,
            bus::Topic::Radius,
            bus::Topic::DeadLetter,
        ]
        .iter()
        .map(|topic| format!("{}.{}", self.topic_prefix, topic.name()))
        .collect();
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        // Only tidiness: the names are never used again.
        let _ = harness::kafka::delete_topics(&self.kafka, &names);
    }
}
