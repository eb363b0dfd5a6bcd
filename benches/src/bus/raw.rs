//! The same octets in one file, with the same sync policy and nothing else: what the disk and the kernel allow.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use config::Sync;

use super::{Cost, Load, Round, own_cpu};

/// As the log's default has it.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Octets that are read at once, as the log does.
const READ_BYTES: usize = 1 << 20;

/// Writes and reads the load once.
pub fn round(directory: &Path, load: &Load, sync: Sync) -> Result<Round> {
    let path = directory.join("raw");
    let write = Cost::of(|| write(&path, load, sync), || Ok(own_cpu()))?;
    let read = Cost::of(|| read(&path, load), || Ok(own_cpu()))?;
    std::fs::remove_file(&path).context("cannot remove the file")?;
    Ok(Round { write, read })
}

fn write(path: &Path, load: &Load, sync: Sync) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let (done, dirty) = (AtomicBool::new(false), AtomicBool::new(false));
    let syncer = file.try_clone()?;
    std::thread::scope(|scope| -> Result<()> {
        // Written by one thread and synced by another, as the log does.
        let thread = (sync != Sync::None).then(|| scope.spawn(|| keep_synced(&syncer, sync, &done, &dirty)));
        let written = load.iter().try_for_each(|frame| {
            dirty.store(true, Ordering::Release);
            file.write_all(frame)
        });
        done.store(true, Ordering::Release);
        if let Some(thread) = thread {
            match thread.join() {
                Ok(synced) => synced?,
                Err(_) => bail!("the syncing thread panicked"),
            }
            file.sync_data()?;
        }
        written.context("cannot write")
    })
}

fn keep_synced(file: &File, sync: Sync, done: &AtomicBool, dirty: &AtomicBool) -> std::io::Result<()> {
    let mut synced = Instant::now();
    while !done.load(Ordering::Acquire) {
        let due = match sync {
            Sync::Always => dirty.swap(false, Ordering::AcqRel),
            _ => synced.elapsed() >= SYNC_INTERVAL,
        };
        if due {
            file.sync_data()?;
            synced = Instant::now();
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

fn read(path: &Path, load: &Load) -> Result<()> {
    let mut file = File::open(path)?;
    let mut octets = vec![0; READ_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut octets)? {
            0 => break,
            length => bytes += length as u64,
        }
    }
    if bytes != load.bytes {
        bail!("{bytes} octets were read, {} were written", load.bytes);
    }
    Ok(())
}
