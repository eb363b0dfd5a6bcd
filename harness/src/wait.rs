//! Waiting for a condition, with an end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL: Duration = Duration::from_millis(20);

/// Asks `done` until it says yes. Fails after `timeout`, naming `what` was waited for.
pub fn wait_until(timeout: Duration, what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        if begin.elapsed() > timeout {
            bail!("waited {} s in vain for {what}", timeout.as_secs());
        }
        sleep(POLL);
    }
    Ok(())
}
