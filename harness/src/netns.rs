//! Network namespaces of this process, and veth pairs between them. Needs root, `ip` and `ethtool`.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

const DIRECTORY: &str = "/run/netns";
const PREFIX: &str = "natrail";

/// A named network namespace with `lo` up; deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `natrail-<process>-<number>-<tag>`.
    pub fn new(tag: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{tag}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs in the namespace. Its process id is the program's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` in a new thread that is in the namespace: sockets it opens belong there, for good.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("{DIRECTORY}/{}", self.name);
        let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: the descriptor is open, and setns changes this thread only.
                if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
                    return Err(std::io::Error::last_os_error())
                        .with_context(|| format!("cannot enter {path}"));
                }
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// `ip` in the namespace.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// Gives an interface more addresses, `ADDRESS/LENGTH` of either family.
    pub fn add_addresses(&self, interface: &str, addresses: &[&str]) -> Result<()> {
        for address in addresses {
            let mut arguments = vec!["addr", "add", address, "dev", interface];
            if address.contains(':') {
                // Without it the address is not usable for a second.
                arguments.push("nodad");
            }
            self.ip(&arguments)?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}

/// Joins two namespaces: an interface of this name with these addresses in each, up, and fit for native XDP.
pub fn veth(a: (&Namespace, &str, &[&str]), b: (&Namespace, &str, &[&str])) -> Result<()> {
    ip(&[
        "link",
        "add",
        a.1,
        "netns",
        a.0.name(),
        "type",
        "veth",
        "peer",
        "name",
        b.1,
        "netns",
        b.0.name(),
    ])?;
    for (namespace, interface, addresses) in [a, b] {
        namespace.add_addresses(interface, addresses)?;
        namespace.ip(&["link", "set", interface, "up"])?;
        // A veth passes frames through NAPI, where XDP sits, only when its receiver has XDP or GRO.
        run(namespace.command("ethtool").args(["-K", interface, "gro", "on"]))?;
    }
    Ok(())
}

/// Removes namespaces of processes that were killed before they could.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(DIRECTORY) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        let process: Option<u32> = (parts.next() == Some(PREFIX))
            .then(|| parts.next()?.parse().ok())
            .flatten();
        if process.is_some_and(|process| !std::path::Path::new(&format!("/proc/{process}")).exists()) {
            ip(&["netns", "del", &name]).ok();
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| {
        format!(
            "cannot run {} (packages iproute2, ethtool)",
            command.get_program().display()
        )
    })?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
