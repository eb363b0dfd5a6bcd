//! The loop of the one thread that serves all connections: wait, accept, and give each connection with something to read its
//! turn.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use daemon::repeat::Repeat;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::connection::{Connection, Turn};
use super::counters::{Ending, Refusal};
use super::intake::Intake;
use super::listener::StreamListener;
use super::table::Table;

/// Longest wait: how late a stop or a reload may be noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How soon reading is tried again when no frame buffer was free.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(2);
/// How often limits of time and the allow-list are held against all connections.
const REVIEW_EVERY: Duration = Duration::from_millis(250);
/// Connections that a listener takes before others have their turn.
const ACCEPTS_MAX: usize = 64;
/// Events that one wait brings.
const EVENTS_MAX: usize = 256;
/// At the end: nothing came for so long, so nothing more is on its way …
const QUIET: Duration = Duration::from_millis(100);
/// … and waiting for that takes no longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// In an event's data: it is of the listener with this number.
const OF_LISTENER: u64 = 1 << 63;
/// Refused and broken peers come again and again: said at most so often.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// Everything that the thread of the connections owns.
pub struct StreamWorker {
    epoll: OwnedFd,
    listeners: Vec<StreamListener>,
    /// Listeners are not asked until the next review: there was no descriptor for what they had.
    accepting: bool,
    connections: Table,
    /// Places of connections that want a turn, in its order.
    queue: VecDeque<usize>,
    intake: Intake,
    /// Reading has stopped, since no frame buffer was free.
    no_room: bool,
    /// When it last went on.
    resumed: Instant,
    /// When a turn last brought anything.
    progress: Instant,
    stop: Arc<AtomicBool>,
    refusals: Repeat,
    failures: Repeat,
}

impl StreamWorker {
    pub fn new(listeners: Vec<StreamListener>, intake: Intake, stop: Arc<AtomicBool>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, listener) in listeners.iter().enumerate() {
            let data = EventData::new_u64(OF_LISTENER | number as u64);
            epoll::add(&epoll, &listener.socket, data, EventFlags::IN)?;
        }
        let now = Instant::now();
        Ok(Self {
            epoll,
            connections: Table::new(listeners.len()),
            listeners,
            accepting: true,
            queue: VecDeque::new(),
            intake,
            no_room: false,
            resumed: now,
            progress: now,
            stop,
            refusals: Repeat::every(SAY_EVERY),
            failures: Repeat::every(SAY_EVERY),
        })
    }

    /// Serves until told to stop, then takes what peers have sent until then, and closes all frames.
    ///
    /// # Errors
    /// When the kernel refuses to wait. What was received until then is framed and closed.
    pub fn run(mut self) -> io::Result<()> {
        let served = self.serve_until_stop().and_then(|()| self.drain());
        for place in self.connections.places() {
            self.end(place, Ending::Stop, true);
        }
        self.intake.close_all();
        served
    }

    fn serve_until_stop(&mut self) -> io::Result<()> {
        let mut review_due = Instant::now() + REVIEW_EVERY;
        while !self.stop.load(Ordering::Acquire) {
            self.round(WAIT_MAX)?;
            let now = Instant::now();
            if now >= review_due {
                review_due = now + REVIEW_EVERY;
                self.review(now)?;
            }
        }
        Ok(())
    }

    /// Lets nobody in any more, says goodbye to all, and takes what they had sent before they heard it.
    fn drain(&mut self) -> io::Result<()> {
        for number in 0..self.listeners.len() {
            // Whoever was connected by the kernel already may have sent something.
            self.accept(number)?;
        }
        for listener in &self.listeners {
            epoll::delete(&self.epoll, &listener.socket)?;
        }
        self.listeners.clear();
        for place in self.connections.places() {
            if let Some(connection) = self.connections.get(place) {
                connection.say_goodbye();
                self.enqueue(place);
            }
        }
        let deadline = Instant::now() + DRAIN_MAX;
        self.progress = Instant::now();
        while !self.connections.is_empty()
            && Instant::now() < deadline
            && (self.no_room || self.progress.elapsed() < QUIET)
        {
            self.round(QUIET / 4)?;
        }
        Ok(())
    }

    /// Waits at most `wait_max`, then gives everybody in the queue a turn.
    fn round(&mut self, wait_max: Duration) -> io::Result<()> {
        if self.no_room {
            thread::sleep(NO_ROOM_PAUSE);
        } else {
            self.wait(wait_max)?;
        }
        self.intake.begin();
        self.turns()?;
        self.intake.close_aged();
        Ok(())
    }

    fn wait(&mut self, wait_max: Duration) -> io::Result<()> {
        let wait = if self.queue.is_empty() {
            let close_in = self.intake.close_in(Instant::now());
            close_in.unwrap_or(wait_max).min(wait_max)
        } else {
            Duration::ZERO
        };
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_MAX];
        let ready = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in ready {
            let data = event.data.u64();
            if data & OF_LISTENER == 0 {
                self.enqueue(data as usize);
            } else {
                self.accept((data & !OF_LISTENER) as usize)?;
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, place: usize) {
        if let Some(connection) = self.connections.get(place)
            && !connection.queued
        {
            connection.queued = true;
            self.queue.push_back(place);
        }
    }

    /// One turn for each in the queue; those that have more go to its end. The first that finds no room ends the round.
    fn turns(&mut self) -> io::Result<()> {
        for _ in 0..self.queue.len() {
            let Some(place) = self.queue.pop_front() else {
                break;
            };
            let Some(connection) = self.connections.get(place) else {
                continue;
            };
            connection.queued = false;
            let before = self.intake.received_bytes();
            let turn = connection.serve(&mut self.intake);
            if self.no_room && turn != Turn::NoRoom {
                self.no_room = false;
                self.resumed = Instant::now();
            }
            if turn == Turn::More || self.intake.received_bytes() != before {
                self.progress = Instant::now();
            }
            match turn {
                Turn::Waiting => self.watch(place)?,
                Turn::More => self.enqueue(place),
                Turn::NoRoom => {
                    connection.queued = true;
                    self.queue.push_front(place);
                    if !self.no_room {
                        self.no_room = true;
                        self.intake.streams().pauses.add(1);
                    }
                    break;
                }
                Turn::Ended(ending) => self.end(place, ending, false),
            }
        }
        Ok(())
    }

    /// Tells epoll what the connection waits for, if that has changed.
    fn watch(&mut self, place: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get(place) else {
            return Ok(());
        };
        let wants = connection.wants();
        if wants != connection.interest {
            connection.interest = wants;
            epoll::modify(&self.epoll, &*connection, EventData::new_u64(place as u64), wants)?;
        }
        Ok(())
    }

    /// Ends a connection; `rest` says whether what it has of a message is still to be given.
    fn end(&mut self, place: usize, ending: Ending, rest: bool) {
        let Some(mut connection) = self.connections.remove(place) else {
            return;
        };
        if rest {
            connection.give_rest(&mut self.intake);
        }
        // RFC 5425 section 4.4: with a close_notify, whoever ends it.
        connection.say_goodbye();
        self.intake.streams().ended(ending).add(1);
        let peer = connection.peer();
        match ending {
            Ending::Handshake | Ending::Tls | Ending::BadCount if self.failures.due() => tracing::warn!(
                "connection of {peer} ended: {} (said once a minute; metrics count all)",
                ending.name()
            ),
            _ => tracing::debug!("connection of {peer} ended: {}", ending.name()),
        }
    }

    /// Ends what has taken too long, and what a reload does not allow any more. Listens again after a pause.
    fn review(&mut self, now: Instant) -> io::Result<()> {
        if !self.accepting {
            self.accepting = true;
            self.listen(EventFlags::IN)?;
        }
        if self.no_room {
            return Ok(());
        }
        for place in self.connections.places() {
            let Some(connection) = self.connections.get(place) else {
                continue;
            };
            let peer = connection.peer().ip();
            let overdue = connection.overdue(now, self.resumed);
            if self.intake.find(peer).is_none() {
                self.end(place, Ending::NotAllowed, false);
            } else if let Some(ending) = overdue {
                self.end(place, ending, true);
            }
        }
        Ok(())
    }

    fn listen(&self, flags: EventFlags) -> io::Result<()> {
        for (number, listener) in self.listeners.iter().enumerate() {
            let data = EventData::new_u64(OF_LISTENER | number as u64);
            epoll::modify(&self.epoll, &listener.socket, data, flags)?;
        }
        Ok(())
    }

    /// Takes the connections that wait at a listener, at most [`ACCEPTS_MAX`].
    fn accept(&mut self, number: usize) -> io::Result<()> {
        self.intake.begin();
        for _ in 0..ACCEPTS_MAX {
            match self.listeners[number].socket.accept() {
                Ok((socket, peer)) => {
                    if let Err(refusal) = self.admit(number, socket, peer)? {
                        self.refuse(peer, refusal);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => break,
                    // The peer has gone already, or its network has: only the next one matters.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        // It stays readable: without a pause, this thread would do nothing else.
                        self.accepting = false;
                        self.listen(EventFlags::empty())?;
                        self.intake.streams().refused(Refusal::NoResources).add(1);
                        if self.refusals.due() {
                            tracing::warn!("cannot accept a connection now: {error}");
                        }
                        break;
                    }
                },
            }
        }
        Ok(())
    }

    /// Keeps a connection if its source may send and there is room for it; else it is closed before an octet is read.
    fn admit(
        &mut self,
        number: usize,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<Result<(), Refusal>> {
        let listener = &self.listeners[number];
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if self.intake.find(peer.ip()).is_none() {
            return Ok(Err(Refusal::NotAllowed));
        }
        if let Err(refusal) = self.connections.room(number, listener, peer.ip()) {
            return Ok(Err(refusal));
        }
        let Ok(connection) = Connection::new(socket, peer, number, listener, self.intake.now()) else {
            return Ok(Err(Refusal::NoResources));
        };
        let place = self.connections.next_place();
        let data = EventData::new_u64(place as u64);
        match epoll::add(&self.epoll, &connection, data, connection.interest) {
            Ok(()) => {}
            Err(Errno::NOMEM | Errno::NOSPC) => return Ok(Err(Refusal::NoResources)),
            Err(error) => return Err(error.into()),
        }
        self.connections.insert(connection);
        self.intake.streams().accepted.add(1);
        tracing::debug!("connection of {peer} accepted");
        Ok(Ok(()))
    }

    fn refuse(&self, peer: SocketAddr, refusal: Refusal) {
        self.intake.streams().refused(refusal).add(1);
        if self.refusals.due() {
            tracing::warn!(
                "connection of {peer} refused: {} (said once a minute; metrics count all)",
                refusal.name()
            );
        }
    }
}
