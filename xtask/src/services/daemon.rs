//! A server process of ours: started detached, found again, stopped.

use std::fs::{File, read_link, read_to_string};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

const POLL: Duration = Duration::from_millis(50);
const LOG_LINES_SHOWN: usize = 25;

/// How one of our servers is known.
pub struct Daemon {
    pub name: &'static str,
    pub pid_file: PathBuf,
    pub log_file: PathBuf,
    /// One of its arguments, which no other program has.
    pub argument: String,
    /// Its root directory, when that is not the machine's.
    pub root: Option<PathBuf>,
}

impl Daemon {
    /// The process id, if the process that the file names is alive and is this server.
    pub fn running(&self) -> Option<i32> {
        let pid = read_to_string(&self.pid_file).ok()?.trim().parse().ok()?;
        self.is_process(pid).then_some(pid)
    }

    /// Whether the process is this server: a process id alone may have been given to somebody else.
    pub fn is_process(&self, pid: i32) -> bool {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|&byte| byte == 0)
            .any(|argument| argument == self.argument.as_bytes())
            && self.root.as_ref().is_none_or(|root| has_root(pid, root))
    }

    /// Starts the server in a session of its own, so that it outlives this process and its terminal.
    pub fn start(&self, command: &mut Command) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log_file)
            .with_context(|| format!("cannot open {}", self.log_file.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: setsid is async-signal-safe, and the closure touches no memory.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 {
                    Err(std::io::Error::last_os_error())
                } else {
                    Ok(())
                }
            });
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {} for {}", command.get_program().display(), self.name))?;
        paths::write(&self.pid_file, &format!("{}\n", child.id()))?;
        Ok(child)
    }

    /// Waits until `ready` says so. Fails when the server ends first, or after `timeout`, with the end of its log.
    pub fn wait_ready(
        &self,
        child: &mut Child,
        timeout: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while !ready() {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "{} ended at its start ({status}); {}",
                    self.name,
                    self.end_of_log()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not answer after {} s; {}",
                    self.name,
                    timeout.as_secs(),
                    self.end_of_log()
                );
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Asks with `signal`, waits, and kills at last. Returns whether there was a process to stop.
    pub fn stop(&self, signal: i32, timeout: Duration) -> Result<bool> {
        let Some(pid) = self.running() else {
            return Ok(false);
        };
        send(pid, signal)?;
        let deadline = Instant::now() + timeout;
        while self.is_process(pid) && Instant::now() < deadline {
            sleep(POLL);
        }
        if self.is_process(pid) {
            send(pid, libc::SIGKILL)?;
            while self.is_process(pid) {
                sleep(POLL);
            }
        }
        std::fs::remove_file(&self.pid_file).ok();
        Ok(true)
    }

    fn end_of_log(&self) -> String {
        let text = read_to_string(&self.log_file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
        format!("the end of {}:\n    {shown}", self.log_file.display())
    }
}

/// Processes whose root directory is `root`.
pub fn processes_in(root: &Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| has_root(pid, root))
        .collect()
}

fn has_root(pid: i32, root: &Path) -> bool {
    read_link(format!("/proc/{pid}/root")).is_ok_and(|link| link == root)
}

/// Sends a signal; a process that is already gone is no error.
pub fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill takes two integers. The caller knows that the process is ours.
    if unsafe { libc::kill(pid, signal) } < 0 {
        let error = std::io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error).with_context(|| format!("cannot send signal {signal} to process {pid}"));
        }
    }
    Ok(())
}

/// Fails when somebody else listens on the port.
pub fn port_is_free(port: u16, variable: &str) -> Result<()> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port 127.0.0.1:{port} is taken by another program (see `ss -ltnp`): stop it, or name a server of your own in {variable}"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
        Ok(_) => Ok(()),
    }
}

/// Runs a command to its end; its output is shown only when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{name} failed ({}):\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(stdout)
}
