//! Saying a thing once, and again only after a while.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lets a message through at most once per interval, so that a lasting fault does not fill the log.
#[derive(Debug)]
pub struct Repeat {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Repeat {
    pub const fn every(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::new(None),
        }
    }

    /// True if it is time to say it (again).
    pub fn due(&self) -> bool {
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= self.every);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// The fault is over: the next one is said at once. True if there was one.
    pub fn over(&self) -> bool {
        self.last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_next_after_the_fault_was_over() {
        let repeat = Repeat::every(Duration::from_hours(1));
        assert!(repeat.due() && !repeat.due());
        assert!(repeat.over() && !repeat.over());
        assert!(repeat.due());
    }
}
