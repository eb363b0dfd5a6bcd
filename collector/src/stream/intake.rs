//! The way of a message behind its connection: counted, and into a frame.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::frame::{Datagram, PayloadKind};
use wire::ledger::Cell;

use super::counters::StreamCounters;
use super::framing::Message;
use crate::allow_list::{ExporterCache, Known};
use crate::counters::ThreadCounters;
use crate::framer::Framer;
use crate::in_force::Reader;
use crate::ledger::ThreadLedger;
use crate::rules::RuleSet;

/// How often the ledger is handed over.
const HAND_OVER_EVERY: Duration = Duration::from_millis(500);

/// What the thread of the connections has behind them.
#[derive(Debug)]
pub struct Intake {
    framer: Framer,
    exporters: ExporterCache,
    ledger: ThreadLedger,
    handed_over: Instant,
    rules: Reader<RuleSet>,
    counters: Arc<ThreadCounters>,
    streams: Arc<StreamCounters>,
    /// The moment of the present turn.
    now: Instant,
}

/// Where messages of a connection come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub peer: SocketAddr,
    pub destination_port: u16,
    /// Place of the listener among those for connections.
    pub listener: usize,
    pub tls: bool,
    pub known: Known,
    /// When the octets were read, ns since 1970 (UTC).
    pub received_ns: u64,
}

impl Intake {
    pub fn new(
        framer: Framer,
        exporters: ExporterCache,
        ledger: ThreadLedger,
        rules: Reader<RuleSet>,
        counters: Arc<ThreadCounters>,
        streams: Arc<StreamCounters>,
    ) -> Self {
        Self {
            framer,
            exporters,
            ledger,
            handed_over: Instant::now(),
            rules,
            counters,
            streams,
            now: Instant::now(),
        }
    }

    /// A turn begins: the newest allow-list and rules are in force.
    pub fn begin(&mut self) {
        self.exporters.refresh();
        self.rules.refresh();
        self.now = Instant::now();
    }

    /// The moment of the present turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn streams(&self) -> &StreamCounters {
        &self.streams
    }

    /// Octets of all messages so far.
    pub fn received_bytes(&self) -> u64 {
        self.counters.received_bytes.get()
    }

    /// What is known of the peer; `None` if it may not send.
    pub fn find(&mut self, peer: IpAddr) -> Option<Known> {
        self.exporters.find(peer, self.ledger.slots())
    }

    /// Whether there is room for another message. Ask before each: what is taken without room is dropped.
    pub fn ready(&mut self) -> bool {
        self.framer.has_spare()
    }

    /// Puts a message into its frame.
    pub fn take(&mut self, origin: &Origin, message: Message<'_>) {
        if message.truncated {
            self.streams.cut_long.add(1);
        }
        self.frame(origin, message);
    }

    /// The same with what is there of a message in which the connection ended.
    pub fn take_rest(&mut self, origin: &Origin, message: Message<'_>) {
        self.streams.cut_by_end.add(1);
        self.frame(origin, message);
    }

    fn frame(&mut self, origin: &Origin, message: Message<'_>) {
        self.counters.received.add(1);
        self.counters.received_bytes.add(message.payload.len() as u64);
        if origin.tls {
            self.streams.tls_messages.add(1);
        } else {
            self.streams.tcp_messages.add(1);
        }
        let counts = self.ledger.at(origin.known.slot, origin.received_ns);
        counts.add(Cell::ReceivedStream);
        if let Some(rules) = self.rules.streams.get(origin.listener)
            && let Some(cell) = self.counters.refused_by(rules.judge(message.payload))
        {
            counts.add(cell);
            return;
        }
        let datagram = Datagram {
            exporter: origin.peer.ip(),
            source_port: origin.peer.port(),
            destination_port: origin.destination_port,
            received_ns: origin.received_ns,
            truncated: message.truncated,
            payload: message.payload,
        };
        let partition = origin.known.partition;
        counts.add(
            self.framer
                .push(PayloadKind::Syslog, partition, &datagram, self.now),
        );
    }

    /// How long until a frame is old enough to be closed; `None` while all are empty.
    pub fn close_in(&self, now: Instant) -> Option<Duration> {
        self.framer
            .next_close()
            .map(|at| at.saturating_duration_since(now))
    }

    /// Closes the frames that are old enough, and hands the ledger over now and then.
    pub fn close_aged(&mut self) {
        let now = Instant::now();
        self.framer.close_aged(now);
        if now.saturating_duration_since(self.handed_over) >= HAND_OVER_EVERY {
            self.handed_over = now;
            self.ledger.hand_over();
        }
    }

    pub fn close_all(&mut self) {
        self.framer.close_all();
        self.ledger.hand_over();
    }
}
