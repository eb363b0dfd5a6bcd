//! What the machine must have beyond Rust: named, and installed with apt when we may.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress;

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
