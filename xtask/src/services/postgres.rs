//! PostgreSQL with TimescaleDB: Debian's packages in a root file system of their own, run with chroot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::KEYRING;
use super::daemon::{self, Daemon};
use super::mirror;
use crate::{install, paths, progress};

const SUITE: &str = "trixie";
const PACKAGES: &str = "postgresql-17,postgresql-17-timescaledb";
const BIN: &str = "/usr/lib/postgresql/17/bin";
const PORT: u16 = 15432;
/// Inside the root file system.
const DATA: &str = "/var/lib/natrail/data";
/// Role and database. The role is a superuser: tests make databases and extensions.
const NAME: &str = "natrail";
const START_TIMEOUT: Duration = Duration::from_mins(2);
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Where clients connect to.
pub fn url() -> String {
    format!("postgresql://{NAME}@127.0.0.1:{PORT}/{NAME}")
}

/// The server's files below the cache.
pub struct Postgres {
    root: PathBuf,
    pub daemon: Daemon,
}

impl Postgres {
    pub fn new(cache: &Path) -> Self {
        let home = cache.join("postgres");
        let root = home.join(format!("root-{SUITE}"));
        Self {
            daemon: Daemon {
                name: "PostgreSQL",
                pid_file: home.join("postgres.pid"),
                log_file: home.join("postgres.log"),
                argument: DATA.into(),
                root: Some(root.clone()),
            },
            root,
        }
    }

    /// Whether the server is alive and answers a query.
    pub fn is_up(&self) -> bool {
        self.daemon.running().is_some() && self.answers()
    }

    /// Builds, initialises and starts what is missing, and waits until the server answers.
    pub fn up(&self) -> Result<()> {
        if self.is_up() {
            progress::say(&format!("PostgreSQL runs on 127.0.0.1:{PORT}"));
            return Ok(());
        }
        if !install::is_root() {
            bail!(
                "PostgreSQL runs in a root file system of its own, which needs root: \
                 run `cargo xtask services up` as root, or name a server of your own in NATRAIL_DATABASE_URL"
            );
        }
        self.down()?;
        if !self.root.exists() {
            install::ensure(&[install::POSTGRES])?;
            progress::step(
                "making a Debian root file system with PostgreSQL 17 and TimescaleDB",
                || self.make_root(),
            )?;
        }
        if !self.inside(DATA).exists() {
            progress::step("initialising the database cluster", || self.initialise())?;
        }
        daemon::port_is_free(PORT, "NATRAIL_DATABASE_URL")?;
        paths::write(&self.inside(&format!("{DATA}/postgresql.conf")), &configuration())?;
        progress::step(&format!("starting PostgreSQL on 127.0.0.1:{PORT}"), || {
            let mut child = self.daemon.start(&mut self.command("postgres", &["-D", DATA]))?;
            self.daemon
                .wait_ready(&mut child, START_TIMEOUT, || self.answers())?;
            self.make_database()
        })
    }

    /// Stops the server (fast shutdown), if it runs, and whatever a crash left of it.
    pub fn down(&self) -> Result<bool> {
        let stopped = self.daemon.stop(libc::SIGINT, STOP_TIMEOUT)?;
        // Backends whose postmaster was killed hold its shared memory. They are ours: they live in our root.
        let begin = Instant::now();
        loop {
            let left = daemon::processes_in(&self.root);
            if left.is_empty() {
                break;
            }
            let signal = if begin.elapsed() < Duration::from_secs(10) {
                libc::SIGTERM
            } else {
                libc::SIGKILL
            };
            for pid in left {
                daemon::send(pid, signal)?;
            }
            sleep(Duration::from_millis(100));
        }
        // After a reboot the process id in it may be somebody else's, and the server would refuse to start.
        std::fs::remove_file(self.inside(&format!("{DATA}/postmaster.pid"))).ok();
        Ok(stopped)
    }

    /// Removes its data, not its root file system.
    pub fn wipe(&self) -> Result<()> {
        paths::remove_directory(&self.inside(DATA))
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A program of PostgreSQL, in the root file system, as its user.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg("--userspec=postgres:postgres")
            .arg(&self.root)
            .arg(format!("{BIN}/{program}"))
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/var/lib/postgresql");
        command
    }

    fn query(&self, database: &str, sql: &str) -> Result<String> {
        let (port, host) = (PORT.to_string(), "127.0.0.1");
        let arguments = [
            "-X", "-h", host, "-p", &port, "-U", NAME, "-d", database, "-Atqc", sql,
        ];
        daemon::run(&mut self.command("psql", &arguments))
    }

    fn answers(&self) -> bool {
        // The cheap question first: psql takes longer to start than the server to refuse.
        std::net::TcpStream::connect(("127.0.0.1", PORT)).is_ok()
            && self
                .query("postgres", "SELECT 1")
                .is_ok_and(|answer| answer.trim() == "1")
    }

    fn make_database(&self) -> Result<()> {
        let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{NAME}'");
        if self.query("postgres", &there)?.trim() == "0" {
            self.query("postgres", &format!("CREATE DATABASE {NAME}"))?;
        }
        Ok(())
    }

    /// Into a directory beside, renamed at the end: an interrupted run leaves nothing that looks whole.
    fn make_root(&self) -> Result<()> {
        let partial = self.root.with_extension("partial");
        paths::remove_directory(&partial)?;
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--mode=root", "--variant=essential", "--components=main"])
            .arg(format!("--include={PACKAGES}"))
            .arg(format!("--keyring={KEYRING}"))
            .arg("--aptopt=Acquire::Languages \"none\"")
            .args([
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/man/*",
            ]);
        if let Some(proxy) = mirror::proxy() {
            command.arg(format!("--aptopt=Acquire::http::Proxy \"{proxy}\""));
        }
        command.args([SUITE.as_ref(), partial.as_os_str(), mirror::of_debian().as_ref()]);
        daemon::run(&mut command)?;
        std::fs::rename(&partial, &self.root)
            .with_context(|| format!("cannot rename {} to {}", partial.display(), self.root.display()))
    }

    fn initialise(&self) -> Result<()> {
        let partial = format!("{DATA}.partial");
        paths::remove_directory(&self.inside(&partial))?;
        let parent = Path::new(DATA)
            .parent()
            .and_then(Path::to_str)
            .expect("DATA has a parent");
        let mut install = Command::new("chroot");
        install
            .arg(&self.root)
            .args(["install", "-d", "-o", "postgres", "-g", "postgres", parent]);
        daemon::run(&mut install)?;
        // `trust`: whoever can open a connection to this machine's loopback is let in without a password. That is
        // right for a test server whose data can be made again, and for nothing else.
        let mut initdb = self.command(
            "initdb",
            &[
                "-D",
                &partial,
                "-U",
                NAME,
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-instructions",
            ],
        );
        daemon::run(&mut initdb)?;
        std::fs::rename(self.inside(&partial), self.inside(DATA)).context("cannot rename the new cluster")
    }
}

/// Replaces what initdb wrote, at each start.
fn configuration() -> String {
    format!(
        "\
listen_addresses = '127.0.0.1'
port = {PORT}
unix_socket_directories = ''
max_connections = 100
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
# Each test has a database of its own, and each database a scheduler.
timescaledb.max_background_workers = 32
max_worker_processes = 64

shared_buffers = 1GB
# The root file system has no /dev/shm.
dynamic_shared_memory_type = sysv
max_wal_size = 8GB
checkpoint_timeout = 15min
synchronous_commit = on
jit = off

log_destination = stderr
logging_collector = off
log_line_prefix = '%m [%p] %d '
timezone = 'UTC'
log_timezone = 'UTC'
"
    )
}
