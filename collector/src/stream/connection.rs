//! One peer: its socket, its TLS, its octets that are no message yet.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daemon::repeat::Repeat;
use rustix::event::epoll::EventFlags;
use rustls::ServerConnection;

use super::counters::Ending;
use super::framing::{Inbox, Next};
use super::intake::{Intake, Origin};
use super::listener::StreamListener;
use crate::allow_list::Known;

/// Octets that are read from a connection before others have their turn.
const TURN_BYTES: usize = 64 * 1024;
/// Pieces of TLS that are read for one read of messages: most bring some, but a peer can send others without end.
const TLS_PIECES_MAX: usize = 16;
/// Failures of TLS are said at most so often.
static FAILURES: Repeat = Repeat::every(Duration::from_mins(1));

/// An open connection; closed when dropped.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    inbox: Inbox,
    listener: usize,
    /// Of the listener.
    port: u16,
    peer: SocketAddr,
    idle_max: Duration,
    handshake_max: Duration,
    accepted: Instant,
    /// When it was accepted, or brought its last whole message.
    progress: Instant,
    /// When octets were read last.
    received_ns: u64,
    /// What epoll was told to wait for.
    pub(super) interest: EventFlags,
    /// It waits for its turn.
    pub(super) queued: bool,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All that came was taken.
    Waiting,
    /// There may be more; it is the others' turn.
    More,
    /// There is a message, but no room for it.
    NoRoom,
    Ended(Ending),
}

/// What a read brought.
enum Received {
    /// So many octets.
    Octets(usize),
    /// Nothing now.
    Nothing,
    /// Nothing for messages yet, but perhaps at the next look.
    Later,
    Ended(Ending),
}

impl Connection {
    /// `listener` is the one that accepted it, at this place in their order.
    pub fn new(
        socket: TcpStream,
        peer: SocketAddr,
        number: usize,
        listener: &StreamListener,
        now: Instant,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let tls = listener
            .identity()
            .map(|identity| identity.accept().map(Box::new))
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self {
            socket,
            tls,
            inbox: Inbox::new(listener.limits.line_bytes_max),
            listener: number,
            port: listener.address().port(),
            peer,
            idle_max: listener.limits.idle,
            handshake_max: listener.limits.handshake,
            accepted: now,
            progress: now,
            received_ns: wall_clock_ns(),
            interest: EventFlags::IN,
            queued: false,
        })
    }

    /// Place of its listener in their order.
    pub fn listener(&self) -> usize {
        self.listener
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What it waits for: while something must be written (by TLS alone), nothing is read, so that a peer that reads
    /// nothing cannot make the answers to it grow.
    pub fn wants(&self) -> EventFlags {
        if self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
            EventFlags::OUT
        } else {
            EventFlags::IN
        }
    }

    /// Why it must end now, if it must. `resumed` is when this thread last began to read after a pause of its own: what
    /// nobody read is not the peer's fault.
    pub fn overdue(&self, now: Instant, resumed: Instant) -> Option<Ending> {
        let since = |moment: Instant| now.saturating_duration_since(moment.max(resumed));
        if self.is_handshaking() {
            (since(self.accepted) >= self.handshake_max).then_some(Ending::Handshake)
        } else {
            (since(self.progress) >= self.idle_max).then_some(Ending::Idle)
        }
    }

    /// Gives messages to `intake` until nothing is left, or it is the others' turn.
    pub fn serve(&mut self, intake: &mut Intake) -> Turn {
        let Some(known) = intake.find(self.peer.ip()) else {
            return Turn::Ended(Ending::NotAllowed);
        };
        let mut left = TURN_BYTES;
        loop {
            let origin = self.origin(known);
            loop {
                if !intake.ready() {
                    return Turn::NoRoom;
                }
                match self.inbox.take_next() {
                    Next::Message(message) => intake.take(&origin, message),
                    Next::More => break,
                    Next::BadCount => return Turn::Ended(Ending::BadCount),
                }
                self.progress = intake.now();
            }
            if left == 0 {
                return Turn::More;
            }
            match self.receive() {
                Received::Octets(octets) => {
                    self.inbox.filled(octets);
                    self.received_ns = wall_clock_ns();
                    left = left.saturating_sub(octets);
                }
                Received::Nothing => return Turn::Waiting,
                Received::Later => return Turn::More,
                Received::Ended(ending) => {
                    self.give_rest(intake);
                    return Turn::Ended(ending);
                }
            }
        }
    }

    /// At the end: gives what is there of a message whose end did not come. After a turn that left no message.
    pub fn give_rest(&mut self, intake: &mut Intake) {
        let Some(known) = intake.find(self.peer.ip()) else {
            return;
        };
        if let Some(rest) = self.inbox.rest()
            && intake.ready()
        {
            intake.take_rest(&self.origin(known), rest);
        }
    }

    /// Tells the peer that nobody reads here any more; what it has sent until then can still be read.
    pub fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = write_out(tls, &mut self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn origin(&self, known: Known) -> Origin {
        Origin {
            peer: self.peer,
            destination_port: self.port,
            listener: self.listener,
            tls: self.tls.is_some(),
            known,
            received_ns: self.received_ns,
        }
    }

    fn receive(&mut self) -> Received {
        let Self {
            socket,
            tls,
            inbox,
            peer,
            ..
        } = self;
        match tls {
            Some(tls) => receive_tls(tls, socket, inbox.space(), *peer),
            None => match socket.read(inbox.space()) {
                Ok(0) => Received::Ended(Ending::Closed),
                Ok(octets) => Received::Octets(octets),
                Err(error) => failed(&error, Ending::Reset),
            },
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What was decrypted already comes first: epoll knows nothing of it.
fn receive_tls(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    space: &mut [u8],
    peer: SocketAddr,
) -> Received {
    for _ in 0..TLS_PIECES_MAX {
        let lost = if tls.is_handshaking() {
            Ending::Handshake
        } else {
            Ending::Reset
        };
        match tls.reader().read(space) {
            Ok(0) => return Received::Ended(Ending::Closed),
            Ok(octets) => return Received::Octets(octets),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The end of TCP without one of TLS: it cuts no message that its count or LF does not show.
            Err(_) if lost == Ending::Reset => return Received::Ended(Ending::Closed),
            Err(_) => return Received::Ended(lost),
        }
        match write_out(tls, socket) {
            Ok(()) => {}
            Err(error) => return failed(&error, lost),
        }
        match tls.read_tls(socket) {
            // The end as well: the reader says it.
            Ok(_) => {}
            Err(error) => return failed(&error, lost),
        }
        if let Err(error) = tls.process_new_packets() {
            if FAILURES.due() {
                tracing::warn!("TLS with {peer} failed: {error} (said once a minute; metrics count all)");
            }
            // The alert says why.
            let _ = write_out(tls, socket);
            return Received::Ended(if lost == Ending::Reset { Ending::Tls } else { lost });
        }
    }
    Received::Later
}

/// Writes what TLS has to say. [`ErrorKind::WouldBlock`] if the peer does not take it now.
fn write_out(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

fn failed(error: &io::Error, lost: Ending) -> Received {
    match error.kind() {
        ErrorKind::WouldBlock => Received::Nothing,
        ErrorKind::Interrupted => Received::Later,
        _ => Received::Ended(lost),
    }
}

fn wall_clock_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
