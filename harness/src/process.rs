//! Programs under test: logged, signalled by process id, never left behind.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const POLL: Duration = Duration::from_millis(10);
const LOG_LINES_SHOWN: usize = 30;

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program with both outputs appended to `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self {
            name: name.into(),
            child,
            log: log.into(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM: finish and end.
    pub fn terminate(&self) -> Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// SIGHUP: read the configuration again.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(libc::SIGHUP)
    }

    /// SIGSTOP: it stands still, alive and silent, until [`Process::thaw`].
    pub fn freeze(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends any signal. The child is not reaped before `wait`, so its process id cannot be another's.
    pub fn signal(&self, signal: i32) -> Result<()> {
        // SAFETY: kill takes two integers, and the process id is that of our own child.
        if unsafe { libc::kill(self.child.id() as i32, signal) } < 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("cannot signal {}", self.name));
        }
        Ok(())
    }

    /// Waits for its end. Fails after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} has not ended after {} s; {}",
                    self.name,
                    timeout.as_secs(),
                    self.end_of_log()
                );
            }
            sleep(POLL);
        }
    }

    /// SIGTERM, waits, and wants exit code 0.
    pub fn stop(&mut self, timeout: Duration) -> Result<()> {
        self.terminate()?;
        self.succeeded(timeout)
    }

    /// Waits for its end, and wants exit code 0.
    pub fn succeeded(&mut self, timeout: Duration) -> Result<()> {
        let status = self.wait(timeout)?;
        if !status.success() {
            bail!("{} failed ({status}); {}", self.name, self.end_of_log());
        }
        Ok(())
    }

    /// The log so far.
    pub fn log(&self) -> String {
        read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in octets, of the running program.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
            .with_context(|| format!("{} has no memory: it has ended", self.name))?;
        Ok(kib * 1024)
    }

    /// Waits until `ready`. Fails after `timeout` or when the program ends first, with the end of its log.
    pub fn wait_until(
        &mut self,
        timeout: Duration,
        what: &str,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) before {what}; {}",
                    self.name,
                    self.end_of_log()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{}: waited {} s in vain for {what}; {}",
                    self.name,
                    timeout.as_secs(),
                    self.end_of_log()
                );
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// The last lines of the log, for messages.
    pub fn end_of_log(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n    ");
        format!("the end of {}:\n    {shown}", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
