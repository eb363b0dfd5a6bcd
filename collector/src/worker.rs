//! The loop of a receive thread: receive, allow, frame.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::frame::Datagram;

use crate::allow_list::ExporterCache;
use crate::counters::ThreadCounters;
use crate::framer::Framer;
use crate::receive::message::{DropMeter, Malformed, Message};
use crate::receive::socket::ListenSocket;
use crate::receive::uring::{Receiver, Wait};
use crate::xdp::Rooms;

/// Longest wait: how late a stop, a reload or the last drops before a silence may be noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How often the sockets are asked for their drops.
const DROPS_EVERY: Duration = Duration::from_millis(500);
/// At the end: a wait of this length that brings nothing means that the sockets are empty …
const QUIET: Duration = Duration::from_millis(20);
/// … and draining them takes no longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Everything that a receive thread owns.
pub struct Worker {
    receiver: Receiver,
    intake: Intake,
    stop: Arc<AtomicBool>,
    rooms: Option<ThreadRooms>,
}

/// One thread's part of the gates before its sockets.
pub struct ThreadRooms {
    rooms: Arc<Rooms>,
    thread: usize,
    /// Of each socket, the place of its gate.
    places: Vec<Option<usize>>,
}

impl ThreadRooms {
    /// For thread number `thread` with these sockets.
    pub fn new(rooms: Arc<Rooms>, thread: usize, sockets: &[ListenSocket]) -> Self {
        let places = (sockets.iter()).map(|socket| rooms.place(socket.address().port()));
        Self {
            places: places.collect(),
            rooms,
            thread,
        }
    }

    /// Says anew what room the sockets have. Sockets on one port share a gate; the fullest of them counts.
    fn publish(&self, sockets: &[ListenSocket]) {
        for (number, place) in self.places.iter().enumerate() {
            let Some(place) = *place else {
                continue;
            };
            let same_gate = |other: &usize| self.places[*other] == Some(place);
            if (0..number).any(|other| same_gate(&other)) {
                continue;
            }
            let of_port = (number..self.places.len()).filter(same_gate);
            // A socket that says nothing has room, as far as is known.
            let rooms = of_port.map(|other| sockets[other].room().unwrap_or(u64::from(u32::MAX)));
            self.rooms.publish(place, self.thread, rooms.min().unwrap_or(0));
        }
    }
}

impl Drop for ThreadRooms {
    /// A thread that has ended empties no socket: nothing must wait for it.
    fn drop(&mut self) {
        self.rooms.open();
    }
}

/// The way of a datagram behind the socket.
struct Intake {
    framer: Framer,
    exporters: ExporterCache,
    meters: Vec<DropMeter>,
    counters: Arc<ThreadCounters>,
    /// The moment of the present batch, once it is needed.
    now: Option<Instant>,
}

impl Worker {
    pub fn new(
        receiver: Receiver,
        framer: Framer,
        exporters: ExporterCache,
        counters: Arc<ThreadCounters>,
        stop: Arc<AtomicBool>,
        rooms: Option<ThreadRooms>,
    ) -> Self {
        let meters = vec![DropMeter::default(); receiver.sockets().len()];
        let intake = Intake {
            framer,
            exporters,
            meters,
            counters,
            now: None,
        };
        Self {
            receiver,
            intake,
            stop,
            rooms,
        }
    }

    /// Receives until told to stop, then takes what is in the sockets and closes all frames.
    ///
    /// # Errors
    /// When the kernel refuses to receive. What was received until then is framed and closed.
    pub fn run(mut self) -> io::Result<()> {
        let received = self.receive_until_stop().and_then(|()| self.drain());
        self.intake.framer.close_all();
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
            if let Some(rooms) = &self.rooms {
                rooms.publish(self.receiver.sockets());
            }
            let after = Instant::now();
            self.intake.framer.close_aged(after);
            if after >= drops_due {
                drops_due = after + DROPS_EVERY;
                self.read_drops();
            }
        }
        Ok(())
    }

    /// Takes what the sockets hold. What comes meanwhile is refused and counted by the kernel, so this ends.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN_MAX;
        // From here on the kernel drops what comes, and counts it.
        self.rooms = None;
        for socket in self.receiver.sockets() {
            socket.shut()?;
        }
        while self.receive(QUIET)?.completions > 0 && Instant::now() < deadline {
            self.intake.framer.close_aged(Instant::now());
        }
        self.read_drops();
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> io::Result<Wait> {
        let Self { receiver, intake, .. } = self;
        intake.now = None;
        let wait = receiver.wait(timeout, |socket, place, message| {
            intake.take(socket.kind(), socket.address().port(), place, message);
        })?;
        intake.counters.out_of_buffers.add(wait.out_of_buffers);
        intake.counters.rearms.add(wait.ended);
        Ok(wait)
    }

    fn read_drops(&mut self) {
        for (socket, meter) in self.receiver.sockets().iter().zip(&mut self.intake.meters) {
            if let Ok(drops) = socket.drops() {
                self.intake.counters.kernel_drops.add(meter.advance(drops));
            }
        }
    }
}

impl Intake {
    fn take(
        &mut self,
        kind: wire::frame::PayloadKind,
        destination_port: u16,
        socket: usize,
        message: Result<Message<'_>, Malformed>,
    ) {
        // Once for each wakeup, and after it: what came after a reload is judged by the new list.
        let now = self.now.unwrap_or_else(|| {
            self.exporters.refresh();
            *self.now.insert(Instant::now())
        });
        self.counters.received.add(1);
        let Ok(message) = message else {
            self.counters.malformed.add(1);
            return;
        };
        self.counters.received_bytes.add(message.payload.len() as u64);
        if let (Some(drops), Some(meter)) = (message.socket_drops, self.meters.get_mut(socket)) {
            self.counters.kernel_drops.add(meter.advance(drops));
        }
        let Some(partition) = self.exporters.partition(message.exporter) else {
            self.counters.not_allowed.add(1);
            return;
        };
        let datagram = Datagram {
            exporter: message.exporter,
            source_port: message.source_port,
            destination_port,
            received_ns: message.received_ns.unwrap_or_else(wall_clock_ns),
            truncated: message.truncated,
            payload: message.payload,
        };
        self.framer.push(kind, partition, &datagram, now);
    }
}

/// The time when the kernel gives none with a datagram.
fn wall_clock_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
