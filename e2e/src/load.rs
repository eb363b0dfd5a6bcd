//! Events that keep coming while a test does something else.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::{PATIENCE, Stage};

/// NFWare's events from some exporters at a steady rate, each exporter's with a time of its own (the device's, in
/// microseconds): exporter and time name an event.
#[derive(Debug)]
pub struct Load {
    /// Events a second, of all exporters together.
    pub per_s: u64,
    /// Their addresses follow 127.0.1.1.
    pub exporters: u32,
    /// Number of the next generator run: its seed.
    run: AtomicU64,
    sent: AtomicU64,
}

impl Load {
    pub fn new(per_s: u64, exporters: u32) -> Self {
        Self {
            per_s,
            exporters,
            run: AtomicU64::new(1),
            sent: AtomicU64::new(0),
        }
    }

    /// Events sent so far, in runs that have ended.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// What a perfect system would store of all that was sent.
    pub fn expected(&self, stage: &Stage) -> PathBuf {
        stage.path("expect.jsonl")
    }

    /// Sends as long as `work` takes, then to the end of a generator run (a second or two).
    pub fn during<T>(&self, stage: &Stage, work: impl FnOnce() -> T) -> Result<T> {
        /// Also when `work` panics.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| -> Result<()> {
                while !stopped.load(Ordering::SeqCst) {
                    self.run(stage)?;
                }
                Ok(())
            });
            let stop = Stop(&stopped);
            let result = work();
            drop(stop);
            sending
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(result)
        })
    }

    /// One run of two seconds.
    fn run(&self, stage: &Stage) -> Result<()> {
        let run = self.run.fetch_add(1, Ordering::SeqCst);
        let part = stage.path(&format!("expect-{run}.jsonl"));
        let count = 2 * self.per_s;
        let mut generator = stage.generate(&[
            "--format",
            "nfware",
            "--rate",
            &self.per_s.to_string(),
            "--count",
            &count.to_string(),
            "--exporters",
            &self.exporters.to_string(),
            "--from",
            "127.0.1.1",
            "--seed",
            &run.to_string(),
            "--expect",
            part.to_str().context("a path that is text")?,
        ])?;
        generator.succeeded(PATIENCE)?;
        let mut whole = File::options()
            .create(true)
            .append(true)
            .open(self.expected(stage))
            .context("cannot write what is expected")?;
        let mut text = File::open(&part).with_context(|| format!("cannot read {}", part.display()))?;
        std::io::copy(&mut text, &mut whole).context("cannot write what is expected")?;
        std::fs::remove_file(&part).ok();
        self.sent.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }
}
