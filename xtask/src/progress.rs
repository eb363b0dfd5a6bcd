//! One line for each step, on standard error: standard output belongs to results.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Steps shorter than this are reported without their time.
const WORTH_A_TIME: Duration = Duration::from_secs(2);

/// Says something that has no duration.
pub fn say(text: &str) {
    eprintln!("  {text}");
}

/// Says what begins, does it, and says how long it took when that was long.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("> {what}");
    let begin = Instant::now();
    let result = work();
    let elapsed = begin.elapsed();
    if elapsed >= WORTH_A_TIME {
        let outcome = if result.is_ok() { "done" } else { "failed" };
        eprintln!("  {outcome} after {:.1} s", elapsed.as_secs_f64());
    }
    result
}
