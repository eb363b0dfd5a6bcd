//! The way of a datagram behind socket or ring: allow, filter, frame, and count it at each step.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::frame::{Datagram, PayloadKind};
use wire::ledger::Cell;

use crate::allow_list::ExporterCache;
use crate::counters::ThreadCounters;
use crate::framer::Framer;
use crate::in_force::Reader;
use crate::ledger::{Slot, ThreadLedger};
use crate::receive::message::{DropMeter, Malformed, Message};
use crate::rules::RuleSet;

/// What a receive thread has behind its sockets and rings.
pub struct Intake {
    framer: Framer,
    exporters: ExporterCache,
    ledger: ThreadLedger,
    rules: Reader<RuleSet>,
    /// What the time of the token buckets counts from.
    epoch: Instant,
    /// By socket.
    meters: Vec<DropMeter>,
    counters: Arc<ThreadCounters>,
    /// The moment of the present batch, once it is needed.
    now: Option<Instant>,
}

/// Where a datagram came in.
pub struct Origin {
    /// Of its listener.
    pub kind: PayloadKind,
    pub destination_port: u16,
    /// Place of the listener among those for datagrams, and so of its socket among the thread's.
    pub listener: usize,
    pub way: Way,
}

/// What gave a datagram to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Socket,
    Ring,
}

impl Way {
    /// The ledger's cell for what was received by it.
    fn received(self) -> Cell {
        match self {
            Self::Socket => Cell::ReceivedUdp,
            Self::Ring => Cell::ReceivedRing,
        }
    }
}

impl Intake {
    /// `sockets`: how many the thread has; each has a drop counter.
    pub fn new(
        framer: Framer,
        exporters: ExporterCache,
        ledger: ThreadLedger,
        rules: Reader<RuleSet>,
        epoch: Instant,
        sockets: usize,
        counters: Arc<ThreadCounters>,
    ) -> Self {
        Self {
            framer,
            exporters,
            ledger,
            rules,
            epoch,
            meters: vec![DropMeter::default(); sockets],
            counters,
            now: None,
        }
    }

    /// To be called before each batch of datagrams.
    pub fn wake(&mut self) {
        self.now = None;
    }

    /// Takes what a socket or ring gave.
    pub fn take(&mut self, of: &Origin, message: Result<Message<'_>, Malformed>) {
        let Ok(message) = message else {
            self.refuse(of.way);
            return;
        };
        // Once for each wakeup, and after it: what came after a reload is judged by the new list and rules.
        let now = self.now.unwrap_or_else(|| {
            self.exporters.refresh();
            self.rules.refresh();
            *self.now.insert(Instant::now())
        });
        self.counters.received.add(1);
        self.counters.received_bytes.add(message.payload.len() as u64);
        if let Some(drops) = message.socket_drops {
            self.count_drops(of.listener, drops);
        }
        let received_ns = message.received_ns.unwrap_or_else(wall_clock_ns);
        let known = self.exporters.find(message.exporter, self.ledger.slots());
        let slot = known.map_or(Slot::NOBODY, |known| known.slot);
        let counts = self.ledger.at(slot, received_ns);
        counts.add(of.way.received());
        let Some(known) = known else {
            self.counters.not_allowed.add(1);
            counts.add(Cell::NotAllowed);
            return;
        };
        let since_epoch = || now.saturating_duration_since(self.epoch).as_nanos() as u64;
        if !self.exporters.admits(known, since_epoch) {
            self.counters.rate_limited.add(1);
            counts.add(Cell::RateLimited);
            return;
        }
        if let Some(rules) = self.rules.datagrams.get(of.listener)
            && let Some(cell) = self.counters.refused_by(rules.judge(message.payload))
        {
            counts.add(cell);
            return;
        }
        let datagram = Datagram {
            exporter: message.exporter,
            source_port: message.source_port,
            destination_port: of.destination_port,
            received_ns,
            truncated: message.truncated,
            payload: message.payload,
        };
        counts.add(self.framer.push(of.kind, known.partition, &datagram, now));
    }

    /// Counts what is no datagram.
    pub fn refuse(&mut self, way: Way) {
        self.counters.received.add(1);
        self.counters.malformed.add(1);
        let counts = self.ledger.at(Slot::NOBODY, wall_clock_ns());
        counts.add(way.received());
        counts.add(Cell::Malformed);
    }

    /// Counts what a socket has dropped, from what it says of all its life.
    pub fn count_drops(&mut self, socket: usize, drops: u32) {
        if let Some(meter) = self.meters.get_mut(socket) {
            self.counters.kernel_drops.add(meter.advance(drops));
        }
    }

    /// Counts requests that were armed again: for want of a buffer, and for other reasons.
    pub fn count_rearms(&self, out_of_buffers: u64, ended: u64) {
        self.counters.out_of_buffers.add(out_of_buffers);
        self.counters.rearms.add(ended);
    }

    /// How long until a frame is old enough to be closed; `None` while all are empty.
    pub fn close_in(&self, now: Instant) -> Option<Duration> {
        let at = self.framer.next_close()?;
        Some(at.saturating_duration_since(now))
    }

    /// Closes the frames that are old enough.
    pub fn close_aged(&mut self, now: Instant) {
        self.framer.close_aged(now);
    }

    /// Hands over what the ledger has counted.
    pub fn hand_over(&mut self) {
        self.ledger.hand_over();
    }

    /// Closes all frames, at the end.
    pub fn close_all(&mut self) {
        self.framer.close_all();
        self.hand_over();
    }
}

/// The time when the kernel gives none with a datagram.
fn wall_clock_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
