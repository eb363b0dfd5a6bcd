//! Frames in, from the log: the streams that this reader owns, in turn; woken by the kernel when something is appended.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::cursor::{Cursor, Read};
use super::directory::{Root, make_directory};
use super::members::{Member, Owned};
use super::position::PositionFile;
use super::segment::{OpenError, SegmentReader};
use crate::{BusError, FrameReceiver, Handler, Ownership, Stream, Topic};

/// Most frames that one [`FrameReceiver::poll`] gives.
const FRAMES_PER_POLL: usize = 4;
/// How often members and streams are looked at when nothing says that they changed.
const LOOK: Duration = Duration::from_millis(500);
/// Buffer for what the kernel says of files; what does not fit comes with the next look.
const EVENT_BYTES: usize = 4096;

/// A member of the log's readers.
pub struct LogReceiver {
    root: Root,
    /// Which log it is: a position counts in this one alone.
    id: String,
    /// Partitions that each topic has at least.
    partitions: u16,
    member: Option<Member>,
    owned: Vec<Owned>,
    /// Places of the streams that were started.
    cursors: HashMap<Stream, Cursor>,
    /// Whose turn it is.
    turn: usize,
    paused: bool,
    looked: Option<Instant>,
    events: Events,
    ends: HashMap<Stream, End>,
}

/// Joins the readers of the log below `bus.log.directory`. The log and its streams are made if they are missing.
///
/// # Errors
/// [`BusError::Unreachable`] if the directory cannot be used; trying again may help.
pub fn connect_receiver(bus: &config::Bus) -> Result<LogReceiver, BusError> {
    let root = Root::of_bus(&bus.log);
    let id = ensure(bus)?;
    let events = Events::new().map_err(|error| {
        BusError::Refused(format!(
            "cannot watch the frame log {}: {error} (sysctl fs.inotify.max_user_instances limits it)",
            root.path().display()
        ))
    })?;
    Ok(LogReceiver {
        root,
        id,
        partitions: bus.partitions,
        member: None,
        owned: Vec::new(),
        cursors: HashMap::new(),
        turn: 0,
        paused: false,
        looked: None,
        events,
        ends: HashMap::new(),
    })
}

/// Makes the log and the directories of its streams where they are missing, and gives the log's identity.
///
/// # Errors
/// [`BusError::Unreachable`] if that is not possible now.
pub fn ensure(bus: &config::Bus) -> Result<String, BusError> {
    let root = Root::of_bus(&bus.log);
    make(&root, bus.partitions).map_err(|error| root.failure("make it", &error))
}

fn make(root: &Root, partitions: u16) -> io::Result<String> {
    let id = root.create()?;
    for topic in Topic::FRAMES {
        for partition in 0..i32::from(partitions) {
            root.stream(Stream { topic, partition }).create()?;
        }
    }
    make_directory(&root.members())?;
    Ok(id)
}

impl FrameReceiver for LogReceiver {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn Handler) -> Result<(), BusError> {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) || self.events.members_changed();
        if due && self.look(handler)? {
            // Whoever was told has to start them first.
            return Ok(());
        }
        if self.deliver(handler)? {
            return Ok(());
        }
        // What was appended since the last look has left an event, so nothing is slept through.
        let wait = self.looked.map_or(timeout, |looked| {
            timeout.min(LOOK.saturating_sub(looked.elapsed()))
        });
        let woken = self
            .events
            .wait(wait)
            .map_err(|error| self.root.failure("wait for frames", &error))?;
        if woken && !self.paused {
            self.deliver(handler)?;
        }
        Ok(())
    }

    fn start(&mut self, from: &[(Stream, i64)]) -> Result<(), BusError> {
        self.paused = false;
        for &(stream, next) in from {
            if self.owned.iter().all(|owned| owned.stream != stream) {
                continue;
            }
            let directory = self.root.stream(stream);
            let cursor = PositionFile::open(&directory).and_then(|position| {
                let mut cursor = Cursor::consumer(directory, next, position);
                cursor.consumed(next)?;
                Ok(cursor)
            });
            let cursor = cursor.map_err(|error| self.root.failure("note the position", &error))?;
            self.cursors.insert(stream, cursor);
        }
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), BusError> {
        self.paused = paused;
        Ok(())
    }

    fn publish_positions(&mut self, next: &[(Stream, i64)]) {
        for (stream, next) in next {
            if let Some(cursor) = self.cursors.get_mut(stream)
                && let Err(error) = cursor.consumed(*next)
            {
                tracing::debug!("position of {stream} not noted: {error}");
            }
        }
    }

    fn publishes_every_commit(&self) -> bool {
        true
    }

    fn behind(&mut self) -> u64 {
        let mut behind = 0;
        for (stream, cursor) in &self.cursors {
            let end = self.ends.entry(*stream).or_default();
            match end.find(&self.root, *stream) {
                Ok(next) => behind += u64::try_from(next - cursor.next_offset().max(0)).unwrap_or(0),
                Err(error) => tracing::debug!("end of {stream} not found: {error}"),
            }
        }
        behind
    }

    fn close(&mut self) {
        self.cursors.clear();
        self.owned.clear();
        self.member = None;
    }
}

impl LogReceiver {
    /// Name under which the database keeps positions in this log.
    pub fn bus_name(id: &str) -> String {
        format!("log:{id}")
    }

    /// Takes and gives back streams, so that all members have their share. True if any changed hands.
    fn look(&mut self, handler: &mut dyn Handler) -> Result<bool, BusError> {
        self.looked = Some(Instant::now());
        for cursor in self.cursors.values_mut() {
            cursor.look_around();
        }
        match self.root.id() {
            Ok(id) if id == self.id => {}
            Ok(id) => {
                return Err(BusError::Refused(format!(
                    "the frame log {} is another one than before ({id}, was {}): start the consumer again to read it",
                    self.root.path().display(),
                    self.id
                )));
            }
            // Its writer makes it anew; what was read stays read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.root.failure("read LOG", &error)),
        }
        let wanted = self
            .wanted()
            .map_err(|error| self.root.failure("see who reads it", &error))?;
        let keeps = |owned: &Owned| wanted.contains(&owned.stream) && owned.is_there();
        let mut taken = Vec::new();
        for &stream in &wanted {
            if !self
                .owned
                .iter()
                .any(|owned| owned.stream == stream && keeps(owned))
            {
                let lock = Owned::take(&self.root, stream)
                    .map_err(|error| self.root.failure("lock a stream", &error))?;
                taken.extend(lock);
            }
        }
        if taken.is_empty() && self.owned.iter().all(keeps) {
            return Ok(false);
        }
        if !self.owned.is_empty() {
            let old = self.owned.iter().map(|owned| owned.stream).collect();
            handler.ownership(Ownership::Revoked(old));
        }
        self.cursors.clear();
        self.owned.retain(keeps);
        self.owned.extend(taken);
        self.owned.sort_by_key(|owned| owned.stream);
        self.watch()
            .map_err(|error| self.root.failure("watch it", &error))?;
        handler.ownership(Ownership::Assigned(
            self.owned.iter().map(|owned| owned.stream).collect(),
        ));
        Ok(true)
    }

    /// The streams that this member should have.
    fn wanted(&mut self) -> io::Result<Vec<Stream>> {
        if !self.member.as_ref().is_some_and(Member::is_there) {
            self.member = None;
            make(&self.root, self.partitions)?;
            self.member = Some(Member::join(&self.root)?);
            self.events.watch_members(&self.root)?;
        }
        let mut all = self.root.streams()?;
        all.retain(|stream| stream.topic != Topic::DeadLetter);
        match &self.member {
            Some(member) => member.share(&all),
            None => Ok(Vec::new()),
        }
    }

    fn watch(&mut self) -> io::Result<()> {
        for owned in &self.owned {
            self.events.watch_stream(&self.root, owned.stream)?;
        }
        Ok(())
    }

    /// Gives the next frames to the handler. False if there are none.
    fn deliver(&mut self, handler: &mut dyn Handler) -> Result<bool, BusError> {
        let mut delivered = 0;
        let streams = self.owned.len();
        for place in 0..streams {
            if self.paused || delivered >= FRAMES_PER_POLL {
                break;
            }
            let stream = self.owned[(self.turn + place) % streams].stream;
            let Some(cursor) = self.cursors.get_mut(&stream) else {
                continue;
            };
            while delivered < FRAMES_PER_POLL {
                let read = cursor
                    .read()
                    .map_err(|error| self.root.failure(&format!("read {stream}"), &error))?;
                match read {
                    Read::Record(found) => {
                        handler.frame(stream, found.header.offset, cursor.payload(&found));
                        delivered += 1;
                    }
                    Read::Lost(missing, why) => handler.lost(stream, missing, why),
                    Read::End => break,
                }
            }
            if delivered >= FRAMES_PER_POLL {
                // The next one begins with the next stream: none starves.
                self.turn = (self.turn + place + 1) % streams;
            }
        }
        Ok(delivered > 0)
    }
}

/// What the kernel says of the files.
struct Events {
    descriptor: OwnedFd,
    members: i32,
    members_changed: bool,
}

impl Events {
    fn new() -> io::Result<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        Ok(Self {
            descriptor: inotify::init(flags)?,
            members: -1,
            members_changed: false,
        })
    }

    fn watch_stream(&self, root: &Root, stream: Stream) -> io::Result<()> {
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&self.descriptor, root.stream(stream).path(), flags)?;
        Ok(())
    }

    /// A member that ends closes its file.
    fn watch_members(&mut self, root: &Root) -> io::Result<()> {
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::CLOSE_WRITE;
        self.members = inotify::add_watch(&self.descriptor, root.members(), flags)?;
        Ok(())
    }

    fn members_changed(&mut self) -> bool {
        std::mem::take(&mut self.members_changed)
    }

    /// True if something changed. Takes all that was said so far.
    fn wait(&mut self, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).ok();
        let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = inotify::Reader::new(&self.descriptor, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => self.members_changed |= event.wd() == self.members,
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How far a stream is written: only headers are looked at.
#[derive(Default)]
struct End {
    reader: Option<SegmentReader>,
}

impl End {
    fn find(&mut self, root: &Root, stream: Stream) -> io::Result<i64> {
        let directory = root.stream(stream);
        let Some(last) = directory.segments()?.last().copied() else {
            return Ok(0);
        };
        let current = self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.header().base == last);
        if !current {
            self.reader = match SegmentReader::open(&directory.segment(last)) {
                Ok(reader) => Some(reader),
                Err(OpenError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Just being made, or just dropped.
                Err(_) => None,
            };
        }
        self.reader.as_mut().map_or(Ok(last), SegmentReader::skip_to_end)
    }
}
