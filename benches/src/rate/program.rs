//! Programs that receive: started in the receiver's namespace, on its CPU, counted from outside.

use std::fs::read_to_string;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::process::Process;

use super::lane::{Lane, RECEIVER_CPU};

const START_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(20);

/// A program that listens.
pub struct Program {
    process: Process,
}

impl Program {
    /// Starts it, and waits until it listens and is `ready`.
    pub fn start(
        lane: &Lane,
        name: &str,
        arguments: &[&str],
        log: &Path,
        mut ready: impl FnMut() -> bool,
    ) -> Result<Self> {
        // A benchmark that is killed leaves nothing behind either.
        let mut command = lane.receiver.command("setpriv");
        command.args(["--pdeathsig", "KILL", "taskset"]);
        command.args(["-c", &RECEIVER_CPU.to_string()]).args(arguments);
        // What it starts itself is counted with it.
        command.process_group(0);
        let mut process = Process::spawn(name, &mut command, log)?;
        process.wait_until(START_MAX, "it listens", || lane.listens() && ready())?;
        // Some listen before they take.
        std::thread::sleep(Duration::from_millis(300));
        Ok(Self { process })
    }

    /// User and system time of all its threads so far, in ns, to 10 ms.
    pub fn cpu_ns(&self) -> Result<u64> {
        cpu_ns(self.process.pid())
    }

    /// SIGTERM; SIGKILL if it does not heed it.
    pub fn stop(mut self) -> Result<()> {
        self.process.terminate()?;
        if self.process.wait(STOP_MAX).is_err() {
            self.process.kill()?;
        }
        Ok(())
    }
}

/// Of a process and those that it started, which are in its group.
fn cpu_ns(group: u32) -> Result<u64> {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // Processes end meanwhile, and most entries are none.
        let Ok(text) = read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name may hold spaces; it ends with the last parenthesis. Group, user and system time are the 3rd, 12th and
        // 13th field after it.
        let fields: Vec<&str> = text
            .rsplit_once(") ")
            .map(|(_, fields)| fields.split(' ').collect())
            .unwrap_or_default();
        if let [_, _, of, _, _, _, _, _, _, _, _, user, system, ..] = fields[..]
            && of.parse() == Ok(group)
        {
            ticks += user.parse::<u64>()? + system.parse::<u64>()?;
        }
    }
    ensure!(ticks > 0, "process {group} has used no time, or is gone");
    Ok(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}
