//! The loop of a receive thread.
//!
//! One wait is for sockets and AF_XDP together; both give their datagrams to one [`Intake`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::intake::{Intake, Origin, Way};
use crate::receive::uring::Receiver;
use crate::receive::xsk::receiver::XskReceiver;
use crate::rooms::ThreadRooms;

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
    rooms: Option<ThreadRooms>,
}

impl Worker {
    /// `receiver` watches the descriptors of `xsk`.
    pub fn new(
        receiver: Receiver,
        xsk: Option<XskReceiver>,
        intake: Intake,
        rooms: Option<ThreadRooms>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            receiver,
            xsk,
            behind: false,
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
        self.intake.close_all();
        received
    }

    fn receive_until_stop(&mut self) -> io::Result<()> {
        let mut drops_due = Instant::now() + DROPS_EVERY;
        while !self.stop.load(Ordering::Acquire) {
            let before = Instant::now();
            let close_in = self.intake.close_in(before);
            self.receive(close_in.unwrap_or(WAIT_MAX).min(WAIT_MAX))?;
            if let Some(rooms) = &self.rooms {
                rooms.publish(self.receiver.sockets());
            }
            let after = Instant::now();
            self.intake.close_aged(after);
            if after >= drops_due {
                drops_due = after + DROPS_EVERY;
                self.read_drops();
                self.intake.hand_over();
            }
        }
        Ok(())
    }

    /// Takes what the sockets hold. What comes meanwhile is refused and counted by the kernel, so this ends. Nothing is sent
    /// to AF_XDP any more by now.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN_MAX;
        // From here on the kernel drops what comes, and counts it.
        self.rooms = None;
        for socket in self.receiver.sockets() {
            socket.shut()?;
        }
        while self.receive(QUIET)? > 0 && Instant::now() < deadline {
            self.intake.close_aged(Instant::now());
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
        intake.wake();
        let timeout = if *behind { Duration::ZERO } else { timeout };
        let wait = receiver.wait(timeout, |socket, place, message| {
            let of = Origin {
                kind: socket.kind(),
                destination_port: socket.address().port(),
                listener: place,
                way: Way::Socket,
            };
            intake.take(&of, message);
        })?;
        intake.count_rearms(wait.out_of_buffers, wait.ended);
        let mut packets = 0;
        if let Some(xsk) = xsk {
            packets = xsk.take(|datagram| match datagram {
                Ok((target, message)) => {
                    let of = Origin {
                        kind: target.kind,
                        destination_port: target.address.port(),
                        listener: target.listener,
                        way: Way::Ring,
                    };
                    intake.take(&of, Ok(message));
                }
                Err(_) => intake.refuse(Way::Ring),
            });
            *behind = packets >= xsk.turn_packets();
        }
        Ok(wait.completions + packets)
    }

    fn read_drops(&mut self) {
        for (place, socket) in self.receiver.sockets().iter().enumerate() {
            if let Ok(drops) = socket.drops() {
                self.intake.count_drops(place, drops);
            }
        }
        if let Some(xsk) = &mut self.xsk {
            xsk.count_losses();
        }
    }
}
