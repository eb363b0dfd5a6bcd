//! Sends what was counted, as frames of the ledger's own stream.
//!
//! The frames go the way of all others: memory, disk, bus. So they are as safe as what they tell of, and the consumer stores
//! each exactly once. What cannot be sent now stays in the book and is sent later.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bus::connect::LEDGER;
use bus::{FrameSender, GivenUp};
use wire::frame::{Datagram, FRAME_BYTES_MIN, FrameBuilder, PayloadKind};
use wire::ledger::record::{self, Life, PAGE_BYTES_MAX};
use wire::ledger::{Cell, MINUTE_NS, minute_of};

use super::book::Book;
use super::sample::Sampler;
use crate::error::StartError;

/// How often counts are sent.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// A collector that counts nothing says so often that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How soon a stop is seen.
const TICK: Duration = Duration::from_millis(50);
/// How long the last frames may take.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The running thread.
pub struct Reporter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    report: Mutex<Report>,
}

/// What is sent, and what for.
struct Report {
    sender: Arc<dyn FrameSender>,
    book: Arc<Book>,
    sampler: Sampler,
    number: u64,
    life: Life,
    /// Of the next frame.
    sequence: u64,
    /// Frames that the bus has not taken yet.
    unsent: VecDeque<Vec<u8>>,
    said: Instant,
}

impl Reporter {
    /// Starts the thread. `hold_max`: most datagrams that can wait in the sockets.
    pub fn start(
        sender: Arc<dyn FrameSender>,
        book: Arc<Book>,
        sampler: Sampler,
        hold_max: u64,
    ) -> Result<Self, StartError> {
        let mut life = Life::new(now_ns(), &host(), sampler.has_xdp());
        life.hold_max = hold_max.into();
        let mut report = Report {
            sender,
            book,
            sampler,
            number: RandomState::new().build_hasher().finish(),
            life,
            sequence: 0,
            unsent: VecDeque::new(),
            said: Instant::now(),
        };
        // That it began is known from the first moment on.
        report.send_counts(true);
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            report: Mutex::new(report),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || for_thread.run())
            .map_err(|source| StartError::Resource {
                what: "start the ledger's thread",
                source,
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Sends the last counts, once nothing is counted any more. `given_up`: what the bus never took.
    pub fn finish(mut self, given_up: &GivenUp) {
        self.end_thread();
        let mut report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.finish(given_up);
    }

    fn end_thread(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.end_thread();
    }
}

impl Shared {
    fn run(&self) {
        let mut due = Instant::now() + REPORT_EVERY;
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(TICK);
            if Instant::now() >= due {
                due = Instant::now() + REPORT_EVERY;
                self.report
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .send_counts(false);
            }
        }
    }
}

impl Report {
    /// Sends what was counted since the last time. While the bus takes nothing, counts stay in the book.
    fn send_counts(&mut self, always: bool) {
        if !self.send_unsent() {
            return;
        }
        let pages = self.pages();
        if !pages.0.is_empty() || always || self.said.elapsed() >= ALIVE_EVERY {
            self.said = Instant::now();
            self.send_pages(pages);
        }
    }

    fn finish(&mut self, given_up: &GivenUp) {
        let deadline = Instant::now() + LAST_WAIT;
        let mut pages = self.pages();
        pages.add(given_up, Cell::LostUndelivered);
        self.life.end();
        self.send_pages(pages);
        while !self.send_unsent() && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.unsent.is_empty() || !(self.sender.flush(left) || self.sender.keep()) {
            tracing::error!(
                "the ledger's last counts could not be delivered: `natrail ledger` will say that this collector was cut off"
            );
        }
    }

    fn pages(&mut self) -> Pages {
        let mut pages = Pages::default();
        let sample = self.sampler.take();
        let minute = minute_of(now_ns());
        pages.push(minute, None, sample.cells);
        for (minute, exporter, counts) in self.book.drain() {
            let cells = Cell::ALL.into_iter().map(|cell| (cell, counts.get(cell)));
            pages.push(minute, exporter, cells);
        }
        let given_up = self.sender.take_given_up();
        pages.add(&given_up.refused, Cell::LostRefused);
        pages.add(&given_up.log_full, Cell::LostLogFull);
        self.life.skew_interface = sample.skew_interface.into();
        self.life.skew_sockets = sample.skew_sockets.into();
        let waiting = self.sender.log_counts().map_or(0, |log| log.waiting_frames);
        self.life.waiting_frames = (self.sender.counts().in_flight_frames + waiting).into();
        pages
    }

    /// Makes frames of the pages and of what is to say of this life, and sends them.
    fn send_pages(&mut self, pages: Pages) {
        let mut buffer = [0; PAGE_BYTES_MAX];
        let mut builder = self.builder();
        let life = self.life;
        let number = self.number;
        let says = (
            now_ns(),
            None,
            record::write_life(&mut buffer, number, &life).to_vec(),
        );
        let cells = pages.0.into_iter().map(|page| {
            let mut buffer = [0; PAGE_BYTES_MAX];
            let payload = record::write_cells(&mut buffer, number, page.cells.into_iter()).to_vec();
            (page.minute * MINUTE_NS, page.exporter, payload)
        });
        // The life last: its end is not known before its last counts are.
        for (received_ns, exporter, payload) in cells.chain([says]) {
            let datagram = Datagram {
                exporter: exporter.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
                source_port: 0,
                destination_port: 0,
                received_ns,
                truncated: false,
                payload: &payload,
            };
            if builder.push(&datagram).is_err() {
                let full = std::mem::replace(&mut builder, self.builder());
                self.put(full);
                let pushed = builder.push(&datagram);
                debug_assert!(pushed.is_ok(), "an empty frame holds any page");
            }
        }
        self.put(builder);
        self.send_unsent();
    }

    fn builder(&mut self) -> FrameBuilder<Vec<u8>> {
        let sequence = self.sequence;
        self.sequence += 1;
        FrameBuilder::new(
            vec![0; FRAME_BYTES_MIN],
            PayloadKind::Ledger,
            self.number,
            sequence,
        )
    }

    fn put(&mut self, builder: FrameBuilder<Vec<u8>>) {
        let (mut frame, octets) = builder.finish();
        frame.truncate(octets);
        self.unsent.push_back(frame);
    }

    /// True if nothing is left.
    fn send_unsent(&mut self) -> bool {
        while let Some(frame) = self.unsent.front() {
            // No datagrams of exporters are in it: the bus's counts of datagrams stay what they are.
            if self.sender.send(LEDGER, frame, 0).is_err() {
                return false;
            }
            self.unsent.pop_front();
        }
        true
    }
}

/// What was added to the cells of an exporter in a minute; `None`: not told apart.
struct Page {
    minute: u64,
    exporter: Option<IpAddr>,
    cells: Vec<(Cell, u64)>,
}

/// Pages that have cells.
#[derive(Default)]
struct Pages(Vec<Page>);

impl Pages {
    fn push(&mut self, minute: u64, exporter: Option<IpAddr>, cells: impl IntoIterator<Item = (Cell, u64)>) {
        let cells: Vec<_> = cells.into_iter().filter(|(_, count)| *count > 0).collect();
        if !cells.is_empty() {
            self.0.push(Page {
                minute,
                exporter,
                cells,
            });
        }
    }

    fn add(&mut self, given_up: &GivenUp, cell: Cell) {
        for (minute, exporter, datagrams) in given_up.iter() {
            self.push(minute, exporter, [(cell, datagrams)]);
        }
    }
}

/// The machine's name.
fn host() -> Vec<u8> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().as_bytes().to_vec()
}

fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
