//! Frames out, to the log: written by the caller's thread, synced by one of its own, kept in memory while the disk refuses.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemon::repeat::Repeat;

use super::directory::{Root, sync_directory};
use super::retention::Reason;
use super::writer::{Bounds, LogWriter, WriteError};
use crate::counters::{Amount, Counters};
use crate::{BusError, FrameSender, GivenUpBy, LogCounts, QueueFull, SendCounts, Stream};

/// How soon a disk that refused is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How often bounds, free space and files are looked at.
const MAINTAIN: Duration = Duration::from_secs(1);
/// How often a lasting fault is said again.
const SAY_AGAIN: Duration = Duration::from_mins(1);
/// Longest sleep of the thread: how late its end may be.
const NAP: Duration = Duration::from_millis(100);

/// The log's writer as a bus.
pub struct LogSender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: Root,
    bounds: Bounds,
    sync: config::Sync,
    sync_interval: Duration,
    queue_bytes_max: usize,
    state: Mutex<State>,
    /// Held while files are synced: whoever waits for what was appended waits for those that another has taken.
    syncing: Mutex<()>,
    /// Something was appended that has to be synced, or the end has come.
    wake: Condvar,
    stop: AtomicBool,
    up: AtomicBool,
    counters: Counters,
    in_flight_frames: AtomicU64,
    write_errors: AtomicU64,
    said: Repeat,
}

struct State {
    /// `None` while the log could not be opened.
    writer: Option<LogWriter>,
    /// Frames that the disk has not taken.
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    tried: Option<Instant>,
    /// Appended, and not synced yet.
    unsynced: Amount,
}

struct Queued {
    stream: Stream,
    frame: Box<[u8]>,
    datagrams: u32,
}

/// Opens the log below `bus.log.directory` for writing, with all streams that frames may come for.
///
/// A disk that cannot be written is no error: frames are kept in memory, it is said once a minute, and tried again.
///
/// # Errors
/// [`BusError::Refused`] if another process writes the same log.
pub fn connect_sender(bus: &config::Bus, streams: &[Stream]) -> Result<LogSender, BusError> {
    open_sender(Root::of_bus(&bus.log), bus, streams)
}

fn open_sender(root: Root, bus: &config::Bus, streams: &[Stream]) -> Result<LogSender, BusError> {
    let shared = Arc::new(Shared {
        bounds: Bounds::new(&bus.log),
        sync: bus.log.sync,
        sync_interval: Duration::from_millis(bus.log.sync_interval_ms),
        queue_bytes_max: bus.queue_mib as usize * 1024 * 1024,
        state: Mutex::new(State {
            writer: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            tried: None,
            unsynced: Amount::default(),
        }),
        syncing: Mutex::new(()),
        wake: Condvar::new(),
        stop: AtomicBool::new(false),
        up: AtomicBool::new(true),
        counters: Counters::default(),
        in_flight_frames: AtomicU64::new(0),
        write_errors: AtomicU64::new(0),
        said: Repeat::every(SAY_AGAIN),
        root,
    });
    match shared.open() {
        Ok(mut writer) => {
            for &stream in streams {
                if let Err(error) = writer.add(stream) {
                    shared.complain(&error.into());
                }
            }
            tracing::info!(
                "frames go to the frame log {} ({} MiB are there, sync = {})",
                shared.root.path().display(),
                writer.bytes() >> 20,
                shared.sync.name()
            );
            shared.lock().writer = Some(writer);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(in_use(&shared.root)),
        Err(error) => shared.complain(&error.into()),
    }
    let for_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("frame-log".into())
        .spawn(move || for_thread.keep())
        .map_err(|error| BusError::Refused(format!("cannot start the frame log's thread: {error}")))?;
    Ok(LogSender {
        shared,
        thread: Some(thread),
    })
}

/// Two writers would write over each other.
pub(crate) fn in_use(root: &Root) -> BusError {
    BusError::Refused(format!(
        "frame log {} is written by another process (`fuser {}` names it): stop it, or give this one another bus.log.directory",
        root.path().display(),
        root.writer_lock().display()
    ))
}

impl FrameSender for LogSender {
    fn send(&self, stream: Stream, frame: &[u8], datagrams: u32) -> Result<(), QueueFull> {
        let shared = &self.shared;
        let mut state = shared.lock();
        if state.queue.is_empty() && state.may_try() {
            match shared.append(&mut state, stream, frame, datagrams) {
                Ok(()) => {
                    shared.in_flight_frames.fetch_add(1, Ordering::Relaxed);
                    shared.appended(&mut state, frame.len(), datagrams);
                    return Ok(());
                }
                Err(error) => shared.refused(&mut state, &error),
            }
        }
        if state.queue_bytes + frame.len() > shared.queue_bytes_max {
            return Err(QueueFull);
        }
        state.queue_bytes += frame.len();
        state.queue.push_back(Queued {
            stream,
            frame: frame.into(),
            datagrams,
        });
        shared.in_flight_frames.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self, timeout: Duration) -> bool {
        let shared = &self.shared;
        let deadline = Instant::now() + timeout;
        loop {
            {
                let mut state = shared.lock();
                state.tried = None;
                shared.drain(&mut state);
            }
            if shared.sync != config::Sync::None {
                shared.sync_now();
            }
            if shared.in_flight_frames.load(Ordering::Relaxed) == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(TRY_AGAIN.min(deadline.saturating_duration_since(Instant::now())));
        }
    }

    fn counts(&self) -> SendCounts {
        let shared = &self.shared;
        shared
            .counters
            .with_in_flight(shared.in_flight_frames.load(Ordering::Relaxed))
    }

    fn is_up(&self) -> bool {
        self.shared.up.load(Ordering::Relaxed)
    }

    fn log_counts(&self) -> Option<LogCounts> {
        let state = self.shared.lock();
        let mut counts = LogCounts {
            memory_bytes: state.queue_bytes as u64,
            write_errors: self.shared.write_errors.load(Ordering::Relaxed),
            ..LogCounts::default()
        };
        if let Some(writer) = &state.writer {
            counts.of_writer(writer);
        }
        Some(counts)
    }

    fn take_given_up(&self) -> GivenUpBy {
        let mut by = GivenUpBy::default();
        if let Some(writer) = &mut self.shared.lock().writer {
            by.log_full = writer.take_given_up();
        }
        by
    }
}

impl Drop for LogSender {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    /// Whether the disk may be asked: it did not refuse just now.
    fn may_try(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= TRY_AGAIN)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<LogWriter> {
        LogWriter::open(self.root.clone(), self.bounds)
    }

    fn append(
        &self,
        state: &mut State,
        stream: Stream,
        frame: &[u8],
        datagrams: u32,
    ) -> Result<(), WriteError> {
        if state.writer.is_none() {
            state.writer = Some(self.open()?);
        }
        match &mut state.writer {
            Some(writer) => writer.append(stream, datagrams, frame).map(drop),
            None => Ok(()),
        }
    }

    /// The disk has taken a frame.
    fn appended(&self, state: &mut State, bytes: usize, datagrams: u32) {
        let amount = Amount::frame(datagrams, bytes);
        if self.sync == config::Sync::Always {
            state.unsynced.add(amount);
            self.wake.notify_one();
        } else {
            self.acknowledge(amount);
            if state.writer.as_ref().is_some_and(LogWriter::has_ended) {
                self.wake.notify_one();
            }
        }
        state.tried = None;
        self.up.store(true, Ordering::Relaxed);
        if state.queue.is_empty() && self.said.over() {
            tracing::info!("frame log {} takes frames again", self.root.path().display());
        }
    }

    fn acknowledge(&self, amount: Amount) {
        self.counters.acknowledged(amount);
        self.in_flight_frames.fetch_sub(amount.frames, Ordering::Relaxed);
    }

    fn refused(&self, state: &mut State, error: &WriteError) {
        state.tried = Some(Instant::now());
        self.write_errors.fetch_add(1, Ordering::Relaxed);
        self.complain(error);
    }

    fn complain(&self, error: &WriteError) {
        self.up.store(false, Ordering::Relaxed);
        if !self.said.due() {
            return;
        }
        let path = self.root.path().display();
        let memory = self.queue_bytes_max / (1024 * 1024);
        match error {
            WriteError::Io(error) => tracing::error!(
                "frame log {path} cannot be written: {error}; keeps up to {memory} MiB of frames in memory and tries again"
            ),
            WriteError::Full(reason) => tracing::error!(
                "frame log {path} is full ({}), and what it holds is not consumed: does the consumer run? Keeps up to {memory} \
                 MiB of frames in memory; what comes then is dropped",
                match reason {
                    Reason::Reserve => "the disk has only bus.log.free_reserve_mib left",
                    _ => "bus.log.size_max_mib",
                }
            ),
        }
    }

    /// Offers the frames in memory to the disk, in order.
    fn drain(&self, state: &mut State) {
        while state.may_try()
            && let Some(queued) = state.queue.pop_front()
        {
            match self.append(state, queued.stream, &queued.frame, queued.datagrams) {
                Ok(()) => {
                    state.queue_bytes -= queued.frame.len();
                    self.appended(state, queued.frame.len(), queued.datagrams);
                }
                Err(error) => {
                    state.queue.push_front(queued);
                    self.refused(state, &error);
                }
            }
        }
    }

    /// The thread: syncs, drains what waits in memory, keeps the bounds.
    fn keep(&self) {
        let (mut synced, mut maintained) = (Instant::now(), Instant::now());
        while !self.stop.load(Ordering::Acquire) {
            let state = self.lock();
            let must_sync = self.sync == config::Sync::Always && state.unsynced.frames > 0;
            let mut state = if must_sync {
                state
            } else {
                let nap = NAP.min(self.sync_interval);
                self.wake
                    .wait_timeout(state, nap)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
            if !state.queue.is_empty() {
                self.drain(&mut state);
            }
            if maintained.elapsed() >= MAINTAIN {
                maintained = Instant::now();
                self.maintain(&mut state);
            }
            drop(state);
            if self.sync != config::Sync::Always {
                self.sync_ended();
            }
            let due = match self.sync {
                config::Sync::Always => true,
                config::Sync::Interval => synced.elapsed() >= self.sync_interval,
                config::Sync::None => false,
            };
            if due {
                self.sync_now();
                synced = Instant::now();
            }
        }
    }

    fn maintain(&self, state: &mut State) {
        let result = match &mut state.writer {
            Some(writer) => writer.maintain(),
            None if state.queue.is_empty() => match self.open() {
                Ok(writer) => {
                    state.writer = Some(writer);
                    Ok(())
                }
                Err(error) => Err(error.into()),
            },
            None => Ok(()),
        };
        match result {
            Err(error) => self.complain(&error),
            Ok(()) if state.queue.is_empty() && state.tried.is_none() => {
                self.up.store(true, Ordering::Relaxed);
            }
            Ok(()) => {}
        }
    }

    /// Puts segments that were ended on the disk while the next ones are written: the disk has work early.
    fn sync_ended(&self) {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match &mut self.lock().writer {
            Some(writer) => writer.take_ended(),
            None => return,
        };
        if self.sync != config::Sync::None
            && let Err(error) = sync_all(&ended, &[])
        {
            self.complain(&error.into());
        }
    }

    /// Puts on the disk what was appended so far, and acknowledges it. Others append meanwhile.
    fn sync_now(&self) {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, directories, amount) = {
            let mut state = self.lock();
            let amount = std::mem::take(&mut state.unsynced);
            let Some(writer) = &mut state.writer else { return };
            let (files, directories) = writer.take_unsynced();
            (files, directories, amount)
        };
        match sync_all(&files, &directories) {
            Ok(()) => self.acknowledge(amount),
            Err(error) => {
                self.complain(&error.into());
                // The kernel tells a failure once, and then forgets the octets it was about.
                if let Some(writer) = &mut self.lock().writer {
                    writer.begin_anew();
                }
                self.counters.failed(amount.frames, amount.datagrams);
                self.in_flight_frames.fetch_sub(amount.frames, Ordering::Relaxed);
            }
        }
    }
}

pub(crate) fn sync_all(files: &[Arc<File>], directories: &[PathBuf]) -> io::Result<()> {
    for file in files {
        file.sync_data()?;
    }
    for directory in directories {
        match sync_directory(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
