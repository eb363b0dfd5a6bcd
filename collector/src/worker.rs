//! The loop of a receive thread: receive, allow, frame.
//!
//! One wait is for sockets and AF_XDP together; both give their datagrams to one [`Intake`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::frame::{Datagram, PayloadKind};
use wire::ledger::Cell;

use crate::allow_list::ExporterCache;
use crate::counters::ThreadCounters;
use crate::framer::Framer;
use crate::ledger::{Slot, ThreadLedger};
use crate::receive::message::{DropMeter, Malformed, Message};
use crate::receive::uring::Receiver;
use crate::receive::xsk::receiver::XskReceiver;

/// Longest wait: how late a stop, a reload or the last drops before a silence may be noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How often the sockets are asked for their drops, and the ledger is handed over.
const DROPS_EVERY: Duration = Duration::from_millis(500);
/// At the end: a wait of this length that brings nothing means that the sockets are empty …
const QUIET: Duration = Duration::from_millis(20);
/// … and draining them takes no longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Everything that a receive thread owns.
pub struct Worker {
    // Dropped before the AF_XDP sockets that it watches: a queue is free when nobody holds its sockets.
    receiver: Receiver,
    xsk: Option<XskReceiver>,
    /// AF_XDP may have more than one turn's worth: the next wait only looks.
    behind: bool,
    intake: Intake,
    stop: Arc<AtomicBool>,
}

/// The way of a datagram behind the socket.
struct Intake {
    framer: Framer,
    exporters: ExporterCache,
    ledger: ThreadLedger,
    meters: Vec<DropMeter>,
    counters: Arc<ThreadCounters>,
    /// The moment of the present batch, once it is needed.
    now: Option<Instant>,
}

impl Worker {
    /// `receiver` watches the descriptors of `xsk`.
    pub fn new(
        receiver: Receiver,
        xsk: Option<XskReceiver>,
        framer: Framer,
        exporters: ExporterCache,
        ledger: ThreadLedger,
        counters: Arc<ThreadCounters>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let meters = vec![DropMeter::default(); receiver.sockets().len()];
        let intake = Intake {
            framer,
            exporters,
            ledger,
            meters,
            counters,
            now: None,
        };
        Self {
            receiver,
            xsk,
            behind: false,
            intake,
            stop,
        }
    }

    /// Receives until told to stop, then takes what is in the sockets and closes all frames.
    ///
    /// # Errors
    /// When the kernel refuses to receive. What was received until then is framed and closed.
    pub fn run(mut self) -> io::Result<()> {
        let received = self.receive_until_stop().and_then(|()| self.drain());
        self.intake.framer.close_all();
        self.intake.ledger.hand_over();
        received
    }

    fn receive_until_stop(&mut self) -> io::Result<()> {
        let mut drops_due = Instant::now() + DROPS_EVERY;
        while !self.stop.load(Ordering::Acquire) {
            let before = Instant::now();
            let close_in = self
                .intake
                .framer
                .next_close()
                .map(|at| at.saturating_duration_since(before));
            self.receive(close_in.unwrap_or(WAIT_MAX).min(WAIT_MAX))?;
            let after = Instant::now();
            self.intake.framer.close_aged(after);
            if after >= drops_due {
                drops_due = after + DROPS_EVERY;
                self.read_drops();
                self.intake.ledger.hand_over();
            }
        }
        Ok(())
    }

    /// Takes what the sockets hold. What comes meanwhile is refused and counted by the kernel, so this ends. Nothing is sent
    /// to AF_XDP any more by now.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN_MAX;
        for socket in self.receiver.sockets() {
            socket.shut()?;
        }
        while self.receive(QUIET)? > 0 && Instant::now() < deadline {
            self.intake.framer.close_aged(Instant::now());
        }
        self.read_drops();
        Ok(())
    }

    /// Waits, and takes what came. Gives back how much that was: 0 is nothing.
    fn receive(&mut self, timeout: Duration) -> io::Result<usize> {
        let Self {
            receiver,
            xsk,
            behind,
            intake,
            ..
        } = self;
        intake.now = None;
        let timeout = if *behind { Duration::ZERO } else { timeout };
        let wait = receiver.wait(timeout, |socket, place, message| {
            let of = Origin {
                kind: socket.kind(),
                destination_port: socket.address().port(),
                socket: Some(place),
            };
            intake.take(of, message);
        })?;
        intake.counters.out_of_buffers.add(wait.out_of_buffers);
        intake.counters.rearms.add(wait.ended);
        let mut packets = 0;
        if let Some(xsk) = xsk {
            packets = xsk.take(|datagram| match datagram {
                Ok((target, message)) => {
                    let of = Origin {
                        kind: target.kind,
                        destination_port: target.address.port(),
                        socket: None,
                    };
                    intake.take(of, Ok(message));
                }
                Err(_) => intake.refuse(Cell::ReceivedRing),
            });
            *behind = packets >= xsk.turn_packets();
        }
        Ok(wait.completions + packets)
    }

    fn read_drops(&mut self) {
        for (socket, meter) in self.receiver.sockets().iter().zip(&mut self.intake.meters) {
            if let Ok(drops) = socket.drops() {
                self.intake.counters.kernel_drops.add(meter.advance(drops));
            }
        }
        if let Some(xsk) = &mut self.xsk {
            xsk.count_losses();
        }
    }
}

/// Where a datagram came in.
struct Origin {
    /// Of its listener.
    kind: PayloadKind,
    destination_port: u16,
    /// Place of its socket among those with a drop counter.
    socket: Option<usize>,
}

impl Origin {
    /// The ledger's cell for what was received there.
    fn received(&self) -> Cell {
        match self.socket {
            Some(_) => Cell::ReceivedUdp,
            None => Cell::ReceivedRing,
        }
    }
}

impl Intake {
    fn take(&mut self, of: Origin, message: Result<Message<'_>, Malformed>) {
        let Ok(message) = message else {
            self.refuse(of.received());
            return;
        };
        // Once for each wakeup, and after it: what came after a reload is judged by the new list.
        let now = self.now.unwrap_or_else(|| {
            self.exporters.refresh();
            *self.now.insert(Instant::now())
        });
        self.counters.received.add(1);
        self.counters.received_bytes.add(message.payload.len() as u64);
        let meter = of.socket.and_then(|socket| self.meters.get_mut(socket));
        if let (Some(drops), Some(meter)) = (message.socket_drops, meter) {
            self.counters.kernel_drops.add(meter.advance(drops));
        }
        let received_ns = message.received_ns.unwrap_or_else(wall_clock_ns);
        let known = self.exporters.find(message.exporter, self.ledger.slots());
        let slot = known.map_or(Slot::NOBODY, |known| known.slot);
        let counts = self.ledger.at(slot, received_ns);
        counts.add(of.received());
        let Some(known) = known else {
            self.counters.not_allowed.add(1);
            counts.add(Cell::NotAllowed);
            return;
        };
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
    fn refuse(&mut self, received: Cell) {
        self.counters.received.add(1);
        self.counters.malformed.add(1);
        let counts = self.ledger.at(Slot::NOBODY, wall_clock_ns());
        counts.add(received);
        counts.add(Cell::Malformed);
    }
}

/// The time when the kernel gives none with a datagram.
fn wall_clock_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
