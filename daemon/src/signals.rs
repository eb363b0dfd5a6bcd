//! Stop and reload, as flags that loops look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The process's signals. A clone looks at the same flags.
#[derive(Clone, Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over SIGTERM and SIGINT (stop) and SIGHUP (reload). A second SIGTERM or SIGINT ends the process at once.
    pub fn install() -> anyhow::Result<Self> {
        let signals = Self::detached();
        for signal in [SIGTERM, SIGINT] {
            // Order matters: the shutdown looks at the flag as the first signal left it.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&signals.stop)))
                .with_context(|| format!("cannot handle signal {signal}"))?;
        }
        signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload)).context("cannot handle SIGHUP")?;
        Ok(signals)
    }

    /// Flags that no signal sets; for parts that run without a process of their own.
    pub fn detached() -> Self {
        Self {
            stop: Arc::default(),
            reload: Arc::default(),
        }
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks every loop that looks at these flags to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// True once for every SIGHUP (several before the look count as one).
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}
