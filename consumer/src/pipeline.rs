//! The two database connections of a worker, driven by a thread of their own.
//!
//! Two batches are copied at the same time, one on each connection; commits keep their order. Neither waits for a lock of
//! the other: the days that they need are made before, in transactions of their own ([`Writer::copy`]). Should one wait
//! even so (a partition dropped and made again in between), the server gives it up after a while, and it is repeated.
//!
//! An *epoch* is a life between two recoveries. A new epoch cuts off all work of older ones at once, whatever it waits
//! for: its connections are dropped. Should a commit of it come through even so, the fence refuses what follows from the
//! stale positions, and that is recovered from in the same way.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context as _;
use bus::Stream;
use crossbeam::channel::{Receiver, Sender};
use daemon::repeat::Repeat;
use store::ingest::{StreamState, Writer, open_streams};
use store::{CommitError, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::assemble::Sealed;
use crate::metrics::Tally;
use crate::summarise::{self, Touched};

/// Waits between two tries to connect.
const TRY_AGAIN_MIN: Duration = Duration::from_millis(200);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(5);
/// Two connections of one worker that wait for each other's locks would wait for ever: the server cannot see that one
/// commits after the other.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '20s'";
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// Summaries may take this long at the end.
const LAST_SUMMARY: Duration = Duration::from_secs(3);

/// What the worker hears.
#[derive(Debug)]
pub enum Report {
    /// Connected; these are the positions of the streams that were asked for.
    Opened {
        epoch: u64,
        states: Vec<(Stream, StreamState)>,
        flow: store::flow::State,
    },
    Committed {
        epoch: u64,
        tally: Box<Tally>,
        next: Vec<(Stream, i64)>,
    },
    /// Nothing more of this epoch will be committed.
    Failed { epoch: u64, fenced: bool, error: String },
}

enum Request {
    Open { epoch: u64, streams: Vec<Stream> },
    Write { epoch: u64, sealed: Box<Sealed> },
}

/// The worker's end.
pub struct Pipeline {
    requests: Option<mpsc::UnboundedSender<Request>>,
    reports: Receiver<Report>,
    epoch: watch::Sender<u64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the thread. `bus` is the name under which the database keeps the positions.
    pub fn start(number: usize, url: String, bus: String) -> anyhow::Result<Self> {
        let (requests, taken) = mpsc::unbounded_channel();
        let (report, reports) = crossbeam::channel::unbounded();
        let (epoch, watched) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot make a tokio runtime")?;
        let thread = std::thread::Builder::new()
            .name(format!("database-{number}"))
            .spawn(move || runtime.block_on(serve(url, bus, taken, report, watched)))
            .context("cannot start a database thread")?;
        Ok(Self {
            requests: Some(requests),
            reports,
            epoch,
            thread: Some(thread),
        })
    }

    /// Begins a new epoch: what is under way is cut off. Connects and asks for the positions of `streams`; the answer is
    /// a report, and tries go on until there is one. Without streams nothing is opened.
    pub fn open(&self, streams: Vec<Stream>) -> u64 {
        let epoch = *self.epoch.borrow() + 1;
        self.epoch.send_replace(epoch);
        if !streams.is_empty() {
            self.request(Request::Open { epoch, streams });
        }
        epoch
    }

    /// Hands a batch over. Its report follows, unless the epoch ends before.
    pub fn write(&self, epoch: u64, sealed: Sealed) {
        self.request(Request::Write {
            epoch,
            sealed: Box::new(sealed),
        });
    }

    pub fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    fn request(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // The thread ends only after this end has closed.
            let _ = requests.send(request);
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.requests = None;
        // Cuts off what the worker no longer waits for.
        self.epoch.send_modify(|epoch| *epoch += 1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    url: String,
    bus: String,
    mut requests: mpsc::UnboundedReceiver<Request>,
    reports: Sender<Report>,
    epoch: watch::Receiver<u64>,
) {
    let (touched, days) = mpsc::unbounded_channel();
    let summariser = tokio::spawn(summarise::serve(url.clone(), days));
    let said = Repeat::every(SAY_AGAIN);
    let mut lanes: Option<Lanes> = None;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Open { epoch: mine, streams } => {
                // The connections of the epoch before are dropped first: the server may not have many.
                drop(lanes.take());
                let opening = open(&url, &bus, &streams, &said);
                let opened = tokio::select! {
                    biased;
                    () = ended(&epoch, mine) => continue,
                    opened = opening => opened,
                };
                let states = streams.into_iter().zip(opened.states).collect();
                lanes = Some(Lanes {
                    epoch: mine,
                    idle: opened.writers,
                    under_way: VecDeque::new(),
                    youngest: None,
                    current: epoch.clone(),
                    reports: reports.clone(),
                    touched: touched.clone(),
                });
                let _ = reports.send(Report::Opened {
                    epoch: mine,
                    states,
                    flow: opened.flow,
                });
            }
            Request::Write { epoch: mine, sealed } => {
                if let Some(open) = &mut lanes
                    && open.epoch == mine
                    && !open.write(sealed).await
                {
                    lanes = None;
                }
            }
        }
    }
    drop((lanes, touched));
    // Only speeds up look-ups; not worth a slow end.
    let _ = tokio::time::timeout(LAST_SUMMARY, summariser).await;
}

/// Resolves when `mine` is not the current epoch any more.
async fn ended(epoch: &watch::Receiver<u64>, mine: u64) {
    let mut epoch = epoch.clone();
    // An error means that the worker is gone, which ends the epoch as well.
    let _ = epoch.wait_for(|&current| current != mine).await;
}

struct Opened {
    writers: Vec<Writer>,
    states: Vec<StreamState>,
    flow: store::flow::State,
}

/// Tries until it succeeds.
async fn open(url: &str, bus: &str, streams: &[Stream], said: &Repeat) -> Opened {
    let named: Vec<(String, i32)> = streams
        .iter()
        .map(|stream| (stream.topic.name().to_owned(), stream.partition))
        .collect();
    let mut wait = TRY_AGAIN_MIN;
    loop {
        match try_open(url, bus, &named).await {
            Ok(opened) => {
                if said.over() {
                    tracing::info!("database answers again");
                }
                return opened;
            }
            Err(error) if said.due() => tracing::warn!("{error}; keeps trying"),
            Err(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(TRY_AGAIN_MAX);
    }
}

async fn try_open(url: &str, bus: &str, streams: &[(String, i32)]) -> Result<Opened, StoreError> {
    let first = store::connect::connect(url).await?;
    let states = open_streams(&first, bus, streams).await?;
    let ids: Vec<i32> = states.iter().map(|state| state.id).collect();
    let flow = store::flow::load(&first, &ids).await?;
    let second = store::connect::connect(url).await?;
    let mut writers = Vec::new();
    for client in [first, second] {
        client
            .batch_execute(LOCK_TIMEOUT)
            .await
            .map_err(StoreError::query("setting lock_timeout"))?;
        writers.push(Writer::new(client));
    }
    Ok(Opened {
        writers,
        states,
        flow,
    })
}

/// The connections of one epoch.
struct Lanes {
    epoch: u64,
    idle: Vec<Writer>,
    /// Batches that are being copied or committed, the oldest first; each gives its writer back unless it failed.
    under_way: VecDeque<JoinHandle<Option<Writer>>>,
    /// Resolves when the youngest batch is committed; fails if it never will be.
    youngest: Option<oneshot::Receiver<()>>,
    current: watch::Receiver<u64>,
    reports: Sender<Report>,
    touched: mpsc::UnboundedSender<Touched>,
}

impl Lanes {
    /// Begins to copy the batch as soon as a connection is free. False: the epoch is over.
    async fn write(&mut self, sealed: Box<Sealed>) -> bool {
        while self.idle.is_empty() {
            match self.under_way.pop_front() {
                Some(oldest) => match oldest.await {
                    Ok(Some(writer)) => self.idle.push(writer),
                    Ok(None) | Err(_) => return false,
                },
                None => return false,
            }
        }
        let Some(writer) = self.idle.pop() else {
            return false;
        };
        let (committed, next) = oneshot::channel();
        let turn = Turn {
            before: self.youngest.replace(next),
            committed,
            epoch: self.epoch,
            current: self.current.clone(),
            reports: self.reports.clone(),
            touched: self.touched.clone(),
        };
        self.under_way.push_back(tokio::spawn(turn.take(writer, sealed)));
        true
    }
}

/// One batch's way into the database.
struct Turn {
    /// The batch before this one.
    before: Option<oneshot::Receiver<()>>,
    /// Tells the batch behind this one; dropped without a word if this one fails.
    committed: oneshot::Sender<()>,
    epoch: u64,
    current: watch::Receiver<u64>,
    reports: Sender<Report>,
    touched: mpsc::UnboundedSender<Touched>,
}

impl Turn {
    /// Copies, waits for the commit of the batch before, commits. `None`: nothing more of this epoch is committed, and the
    /// connection with its open transaction is dropped.
    async fn take(mut self, mut writer: Writer, mut sealed: Box<Sealed>) -> Option<Writer> {
        let current = self.current.clone();
        tokio::select! {
            biased;
            () = ended(&current, self.epoch) => return None,
            written = self.write(&mut writer, &sealed) => written?,
        }
        let clocks = std::mem::take(&mut sealed.clocks);
        let days = sealed
            .encoded
            .parts()
            .iter()
            .flat_map(|part| part.days.iter().map(|&day| (part.kind, day)));
        let days = days.collect();
        let _ = self.touched.send(Touched { days, clocks });
        let _ = self.reports.send(Report::Committed {
            epoch: self.epoch,
            tally: Box::new(sealed.tally),
            next: sealed.next,
        });
        let _ = self.committed.send(());
        Some(writer)
    }

    async fn write(&mut self, writer: &mut Writer, sealed: &Sealed) -> Option<()> {
        let copied = writer.copy(&sealed.encoded).await;
        // Also after a failed COPY: reports come in the order of the batches.
        if let Some(before) = self.before.take() {
            before.await.ok()?;
        }
        if let Err(error) = copied {
            self.report_failure(&CommitError::from(error));
            return None;
        }
        writer
            .commit(&sealed.encoded)
            .await
            .map_err(|error| self.report_failure(&error))
            .ok()
    }

    fn report_failure(&self, error: &CommitError) {
        let _ = self.reports.send(failed(self.epoch, error));
    }
}

fn failed(epoch: u64, error: &CommitError) -> Report {
    Report::Failed {
        epoch,
        fenced: matches!(error, CommitError::Fenced { .. }),
        error: error.to_string(),
    }
}
