//! What the machine must have beyond Rust: named, and installed with apt when we may.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, progress};

/// A file or program that is looked for, the Debian package that brings it, and what it is for.
pub struct Need {
    /// A program's name, or an absolute path.
    pub thing: &'static str,
    pub package: &'static str,
    pub why: &'static str,
}

const fn need(thing: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { thing, package, why }
}

/// For Kafka's jars and for running them.
pub const KAFKA: &[Need] = &[
    need("mvn", "maven", "fetches Kafka's jars"),
    need("java", "default-jre-headless", "runs Kafka"),
];

/// For the root file system that PostgreSQL runs in.
pub const POSTGRES: &[Need] = &[
    need(
        "mmdebstrap",
        "mmdebstrap",
        "makes the file system that PostgreSQL runs in",
    ),
    need(
        super::services::KEYRING,
        "debian-archive-keyring",
        "verifies Debian's packages",
    ),
];

/// For the network namespaces of tests and demo.
pub const NETWORK: &[Need] = &[
    need("ip", "iproute2", "makes network namespaces"),
    need("ethtool", "ethtool", "sets up veth for XDP"),
];

/// For tests of syslog over TCP and TLS: senders that others wrote.
pub const SENDERS: &[Need] = &[
    need("logger", "bsdutils", "sends syslog over TCP"),
    need("loggen", "syslog-ng-core", "sends syslog over TCP and TLS"),
    need("openssl", "openssl", "sends anything over TLS"),
];

/// For building the daemons: rdkafka, zstd and mimalloc are C.
pub const BUILD: &[Need] = &[
    need("cc", "build-essential", "compiles librdkafka"),
    need("make", "build-essential", "compiles librdkafka"),
];

/// For comparisons with other collectors.
const PEERS: &[Need] = &[
    need("taskset", "util-linux", "keeps each program on its core"),
    need("syslog-ng", "syslog-ng-core", "is compared with"),
    need("nfacctd", "pmacct", "is compared with"),
];

/// Services that come with those programs.
const SERVICES: &[(&str, &str)] = &[
    ("syslog-ng", "syslog-ng"),
    ("nfacctd", "nfacctd"),
    ("nfacctd", "sfacctd"),
    ("nfacctd", "pmacctd"),
    ("nfacctd", "uacctd"),
];

/// Debian's way to say which services of new packages may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Brings the other collectors onto the machine, without any of their services started now or at the next boot: they are for
/// `cargo xtask bench rate`, which starts them in a network namespace. rsyslog is only unpacked into the cache, since its
/// package would remove syslog-ng's.
pub fn peers() -> Result<()> {
    if PEERS.iter().any(|need| !present(need.thing)) {
        progress::say("syslog-ng and pmacct are installed with their services not started and disabled");
        let _no_services = NoServices::begin()?;
        ensure(&[PEERS])?;
    }
    let root = paths::cache()?.join("rsyslog");
    if root.join("usr/sbin/rsyslogd").exists() {
        return Ok(());
    }
    paths::make_directory(&root)?;
    packages_with_apt(&["libestr0", "libfastjson4"])?;
    progress::step("unpacking rsyslog into the cache, not installed", || {
        let script = "apt-get download -q rsyslog && dpkg-deb -x rsyslog_*.deb . && rm rsyslog_*.deb";
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(&root)
            .output()?;
        if !output.status.success() {
            bail!("{script}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    })
}

/// While it lives, no package starts a service; then those that the packages brought are disabled.
struct NoServices {
    /// Of the packages that are missing when it begins.
    services: Vec<&'static str>,
    /// Whether the policy is ours, and goes with this.
    ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let ours = is_root() && !Path::new(POLICY).exists();
        if ours {
            std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")
                .with_context(|| format!("cannot write {POLICY}"))?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        }
        let brought = SERVICES.iter().filter(|(thing, _)| !present(thing));
        Ok(Self {
            services: brought.map(|(_, service)| *service).collect(),
            ours,
        })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        if let Err(error) = std::fs::remove_file(POLICY) {
            eprintln!("cannot remove {POLICY}: {error}; remove it, or no package will start its services");
        }
        for service in &self.services {
            // A machine without systemd, or a package without the service, has nothing to disable.
            let _ = Command::new("systemctl")
                .args(["--quiet", "disable", service])
                .output();
        }
    }
}

/// Sees to it that everything is there: as root installs what is missing, else says the command and fails.
pub fn ensure(needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&Need> = needs
        .iter()
        .copied()
        .flatten()
        .filter(|need| !present(need.thing))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    for need in &missing {
        progress::say(&format!(
            "missing: {} ({}; package {})",
            need.thing, need.why, need.package
        ));
    }
    packages_with_apt(&packages)?;
    match missing.iter().find(|need| !present(need.thing)) {
        Some(need) => bail!(
            "package {} is installed, but {} is still not there",
            need.package,
            need.thing
        ),
        None => Ok(()),
    }
}

/// Installs Debian packages as root; without root, or without apt, fails with what to do.
pub fn packages_with_apt(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !present("apt-get") {
        bail!("this machine has no apt-get; install what Debian has in: {list}");
    }
    if !is_root() {
        bail!("run this, then try again:\n\n    sudo apt-get install -y --no-install-recommends {list}\n");
    }
    progress::step("apt-get update", || apt(&["update", "-q"]))?;
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    progress::step(&format!("apt-get install {list}"), || apt(&arguments))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get {} failed ({}):\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Whether a program is on the path (or in the system directories that a user's path may lack), or a file is there.
pub fn present(thing: &str) -> bool {
    if thing.starts_with('/') {
        return Path::new(thing).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(thing).is_file())
}
