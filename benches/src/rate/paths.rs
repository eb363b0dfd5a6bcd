//! The ways in that are compared: natrail's, a plain loop, and three programs of others.

use std::net::Ipv4Addr;
use std::path::Path as FilePath;
use std::process::Command;

use anyhow::{Context, Result};

use super::lane::{INTERFACE, Lane, PORT, RECEIVER, RECEIVER_CPU, buffer_bytes};
use super::payload::{Payload, netflow, syslog};
use super::program::Program;
use super::recvmmsg::Loop;

const METRICS: &str = "127.0.0.1:9100";

/// One way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// natrail: UDP sockets and io_uring.
    IoUring,
    /// natrail: the same behind its XDP program.
    IoUringXdp,
    /// natrail: AF_XDP.
    AfXdp,
    /// The loop of [`super::recvmmsg`].
    Recvmmsg,
    SyslogNg,
    Rsyslog,
    /// Of pmacct; gets NetFlow.
    Nfacctd,
}

impl Path {
    pub const ALL: [Self; 7] = [
        Self::IoUring,
        Self::IoUringXdp,
        Self::AfXdp,
        Self::Recvmmsg,
        Self::SyslogNg,
        Self::Rsyslog,
        Self::Nfacctd,
    ];

    /// Name in measures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::IoUringXdp => "io_uring_xdp",
            Self::AfXdp => "af_xdp",
            Self::Recvmmsg => "recvmmsg",
            Self::SyslogNg => "syslog_ng",
            Self::Rsyslog => "rsyslog",
            Self::Nfacctd => "nfacctd",
        }
    }

    /// Whether it is a program of others, that natrail is compared with.
    pub const fn is_peer(self) -> bool {
        matches!(self, Self::SyslogNg | Self::Rsyslog | Self::Nfacctd)
    }

    /// What it is sent.
    pub fn payload(self, octets: usize) -> Payload {
        if self == Self::Nfacctd {
            netflow(octets)
        } else {
            syslog(octets)
        }
    }

    /// Why it cannot be measured here, if so.
    pub fn absent(self) -> Result<Option<String>> {
        if self != Self::AfXdp {
            return Ok(None);
        }
        let directory = tempfile::tempdir_in("/dev/shm")?;
        let file = write(
            directory.path(),
            "natrail.toml",
            &self.natrail_toml(directory.path())?,
        )?;
        let program = harness::binaries::binaries()?.collector;
        // Its interface is in a namespace that is not there yet: what counts is whether the setting is known.
        let output = Command::new(program)
            .args(["--check", "--config", &file])
            .output()?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok(said
            .contains("unknown field `receive`")
            .then(|| "this collector has no receive = \"af_xdp\"".into()))
    }

    /// Starts it in the receiver's namespace. `directory` is for its files.
    pub fn start(self, lane: &Lane, directory: &FilePath) -> Result<Running> {
        let log = directory.join("log");
        let name = self.name();
        let file = |name, text: &str| write(directory, name, &fill(text, directory)?);
        let start = |arguments: &[&str]| Program::start(lane, name, arguments, &log, || true);
        let at = |name: &str| directory.join(name).display().to_string();
        Ok(match self {
            Self::Recvmmsg => Running::Loop(Loop::start(lane)?),
            Self::IoUring | Self::IoUringXdp | Self::AfXdp => {
                let file = write(directory, "natrail.toml", &self.natrail_toml(directory)?)?;
                let program = harness::binaries::binaries()?.collector.display().to_string();
                let answers = || framed(lane).is_ok();
                Running::Natrail(Program::start(
                    lane,
                    name,
                    &[&program, "--config", &file],
                    &log,
                    answers,
                )?)
            }
            Self::SyslogNg => {
                let file = file("syslog-ng.conf", include_str!("syslog-ng.conf"))?;
                let (persist, control, pid) = (at("persist"), at("control"), at("pid"));
                Running::Peer(start(&[
                    "syslog-ng",
                    "-F",
                    "--no-caps",
                    "-f",
                    &file,
                    "-R",
                    &persist,
                    "-c",
                    &control,
                    "-p",
                    &pid,
                ])?)
            }
            Self::Rsyslog => {
                let file = file("rsyslog.conf", include_str!("rsyslog.conf"))?;
                let (program, modules) = rsyslogd()?;
                Running::Peer(start(&[
                    &program,
                    "-n",
                    "-f",
                    &file,
                    "-i",
                    &at("pid"),
                    "-M",
                    &modules,
                ])?)
            }
            Self::Nfacctd => {
                let file = file("nfacctd.conf", include_str!("nfacctd.conf"))?;
                Running::Peer(start(&["nfacctd", "-f", &file])?)
            }
        })
    }

    /// natrail's configuration: one thread, defaults, a frame log of at most 256 MiB in memory.
    fn natrail_toml(self, directory: &FilePath) -> Result<String> {
        let more = match self {
            Self::IoUringXdp | Self::AfXdp => format!("[collector.xdp]\ninterfaces = [\"{INTERFACE}\"]\n"),
            _ => String::new(),
        };
        let receive = if self == Self::AfXdp {
            "receive = \"af_xdp\"\n"
        } else {
            ""
        };
        Ok(format!(
            "bus.kind = \"log\"\nbus.partitions = 1\n[bus.log]\ndirectory = \"{}\"\nsize_max_mib = 256\nsegment_mib = 64\n\
             free_reserve_mib = 64\n[exporters]\nallow_all = true\n[collector]\ncores = [{RECEIVER_CPU}]\n\
             socket_buffer_bytes = {}\nmetrics = \"{METRICS}\"\n{receive}[[collector.listener]]\nkind = \"syslog\"\n\
             address = \"{}:{PORT}\"\n{more}",
            directory.join("frames").display(),
            buffer_bytes()?,
            Ipv4Addr::from(RECEIVER),
        ))
    }
}

/// rsyslogd and the directory of its modules. Its package cannot be installed beside syslog-ng's, so that
/// `cargo xtask bench rate` unpacks it into the cache.
fn rsyslogd() -> Result<(String, String)> {
    let root = harness::services::cache()?.join("rsyslog/usr");
    let library = root.join(format!("lib/{}-linux-gnu/rsyslog", std::env::consts::ARCH));
    Ok((
        root.join("sbin/rsyslogd").display().to_string(),
        library.display().to_string(),
    ))
}

fn fill(text: &str, directory: &FilePath) -> Result<String> {
    Ok(text
        .replace("@DIRECTORY@", &directory.display().to_string())
        .replace("@ADDRESS@", &Ipv4Addr::from(RECEIVER).to_string())
        .replace("@PORT@", &PORT.to_string())
        .replace("@BUFFER@", &buffer_bytes()?.to_string()))
}

fn write(directory: &FilePath, name: &str, text: &str) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}

/// What natrail's metrics say.
fn framed(lane: &Lane) -> Result<u64> {
    let metrics = harness::metrics::get(METRICS.parse()?, Some(&lane.receiver))?;
    Ok(metrics.count("natrail_collector_datagrams_framed_total", &[]))
}

/// A receiver at work.
pub enum Running {
    Natrail(Program),
    Peer(Program),
    Loop(Loop),
}

impl Running {
    /// Datagrams that it got: framed, for natrail, by its own metrics; of others, those that they took from their socket,
    /// by the kernel's counter, whatever they did with them.
    pub fn received(&self, lane: &Lane) -> Result<u64> {
        match self {
            Self::Natrail(_) => framed(lane),
            Self::Peer(_) => lane.taken(),
            Self::Loop(receiving) => Ok(receiving.received()),
        }
    }

    /// CPU time so far, in ns.
    pub fn cpu_ns(&self) -> Result<u64> {
        match self {
            Self::Natrail(program) | Self::Peer(program) => program.cpu_ns(),
            Self::Loop(receiving) => Ok(receiving.cpu_ns()),
        }
    }

    pub fn stop(self) -> Result<()> {
        match self {
            Self::Natrail(program) | Self::Peer(program) => program.stop(),
            Self::Loop(receiving) => receiving.stop(),
        }
    }
}
