//! One stream on its way to Kafka: what is under way, what came back, what is on the disk.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crate::Stream;
use crate::log::cursor::Cursor;
use crate::log::directory::Root;
use crate::log::members::Owned;
use crate::log::position::{self, PositionFile};
use crate::log::writer::{LogWriter, WriteError};

/// Longest time that new frames are held so that the disk's are all acknowledged and the way is direct again …
const HOLD_MAX: Duration = Duration::from_millis(300);
/// … and how long they then go to the disk before that is tried again.
const HOLD_AGAIN: Duration = Duration::from_secs(1);

/// Where a frame comes from that goes to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From the collector, directly.
    Caller,
    /// It came back from Kafka unacknowledged, with this ticket.
    Retry(u64),
    /// From the disk.
    Disk { offset: i64 },
}

/// A frame that Kafka has not acknowledged.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    from: From,
    datagrams: u32,
}

/// A frame that came back: older than anything on the disk.
#[derive(Debug)]
struct CameBack {
    frame: Box<[u8]>,
    datagrams: u32,
}

/// The stream's frames on the disk.
#[derive(Debug)]
pub struct Backlog {
    /// Where the frames are read from; taken out while that is done.
    pub cursor: Option<Cursor>,
    /// Offset behind the last frame that was given to Kafka.
    pub handed: i64,
    /// Offset behind the last frame that Kafka has acknowledged.
    acknowledged: i64,
    /// Offset at which there is room for frames that come back, if any were under way when it began.
    room: Option<i64>,
    /// Frames that were under way came back: they are read again.
    pub rewind: bool,
    /// Since when new frames are held.
    held: Option<Instant>,
    not_before: Option<Instant>,
}

/// A stream.
#[derive(Debug)]
pub struct Lane {
    stream: Stream,
    next_ticket: u64,
    under_way: BTreeMap<u64, UnderWay>,
    came_back: BTreeMap<u64, CameBack>,
    backlog: Option<Backlog>,
    position: Option<PositionFile>,
    owned: Option<Owned>,
}

impl Lane {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            next_ticket: 0,
            under_way: BTreeMap::new(),
            came_back: BTreeMap::new(),
            backlog: None,
            position: None,
            owned: None,
        }
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Finds what an earlier process left on the disk.
    pub fn open(&mut self, root: &Root, writer: &LogWriter) -> io::Result<()> {
        let directory = root.stream(self.stream);
        self.owned = Owned::take(root, self.stream)?;
        let from = position::read(&directory)?.map_or(0, |position| position.next);
        self.position = Some(PositionFile::open(&directory)?);
        let end = writer.end_offset(self.stream).unwrap_or(0);
        if from < end && self.backlog.is_none() {
            self.backlog = Some(Backlog::new(root, self.stream, from, from, None)?);
        }
        Ok(())
    }

    /// Whether frames go to Kafka without a detour.
    pub fn is_direct(&self) -> bool {
        self.backlog.is_none() && self.came_back.is_empty()
    }

    /// Whether Kafka owes nothing.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.came_back.is_empty()
    }

    /// Frames that are neither acknowledged nor on the disk alone.
    pub fn under_way(&self) -> u64 {
        (self.under_way.len() + self.came_back.len()) as u64
    }

    /// Frames on the disk that Kafka has not acknowledged.
    pub fn waiting(&self, writer: &LogWriter) -> u64 {
        self.backlog.as_ref().map_or(0, |backlog| {
            writer.records_from(self.stream, backlog.acknowledged)
        })
    }

    pub fn backlog_mut(&mut self) -> Option<&mut Backlog> {
        self.backlog.as_mut()
    }

    /// The ticket of a frame that is about to be given to Kafka.
    pub fn next_ticket(&self, from: From) -> u64 {
        match from {
            From::Retry(ticket) => ticket,
            From::Caller | From::Disk { .. } => self.next_ticket,
        }
    }

    /// Kafka's client has the frame.
    pub fn sent(&mut self, ticket: u64, from: From, datagrams: u32) {
        self.next_ticket = self.next_ticket.max(ticket + 1);
        self.under_way.insert(ticket, UnderWay { from, datagrams });
        if let (From::Disk { offset }, Some(backlog)) = (from, &mut self.backlog) {
            backlog.handed = offset + 1;
        }
    }

    /// Kafka's client will never take the frame: it is behind us.
    pub fn passed_over(&mut self, from: From) {
        if let (From::Disk { offset }, Some(backlog)) = (from, &mut self.backlog) {
            backlog.handed = offset + 1;
            if self.under_way.is_empty() {
                backlog.acknowledged = offset + 1;
            }
        }
    }

    /// Kafka is done with the frame; gives its datagrams.
    pub fn acknowledged(&mut self, ticket: u64) -> u32 {
        let Some(UnderWay { from, datagrams }) = self.under_way.remove(&ticket) else {
            return 0;
        };
        if let (From::Disk { offset }, Some(backlog)) = (from, &mut self.backlog) {
            backlog.acknowledged = backlog.acknowledged.max(offset + 1);
        }
        datagrams
    }

    /// Kafka's client gives the frame back.
    pub fn came_back(&mut self, ticket: u64, frame: &[u8]) {
        let Some(UnderWay { from, datagrams }) = self.under_way.remove(&ticket) else {
            return;
        };
        if let (From::Disk { .. }, Some(backlog)) = (from, &mut self.backlog) {
            // It is still on the disk.
            backlog.rewind = true;
        } else {
            let frame = frame.into();
            self.came_back.insert(ticket, CameBack { frame, datagrams });
        }
    }

    /// The first frame that came back, taken out.
    pub fn take_came_back(&mut self) -> Option<(u64, Box<[u8]>, u32)> {
        let (ticket, CameBack { frame, datagrams }) = self.came_back.pop_first()?;
        Some((ticket, frame, datagrams))
    }

    /// Puts back what [`Self::take_came_back`] gave.
    pub fn put_came_back(&mut self, ticket: u64, frame: Box<[u8]>, datagrams: u32) {
        self.came_back.insert(ticket, CameBack { frame, datagrams });
    }

    pub fn has_came_back(&self) -> bool {
        !self.came_back.is_empty()
    }

    /// From now on frames go to the disk.
    pub fn begin_backlog(&mut self, root: &Root, writer: &mut LogWriter) -> io::Result<()> {
        if self.backlog.is_some() {
            return Ok(());
        }
        let room = if self.is_idle() {
            None
        } else {
            Some(writer.leave_room(self.stream)?)
        };
        let next = writer.next_offset(self.stream).unwrap_or(0);
        let backlog = Backlog::new(root, self.stream, next, room.unwrap_or(next), room)?;
        if let Some(position) = &mut self.position {
            position.consumed(backlog.acknowledged)?;
        }
        self.backlog = Some(backlog);
        Ok(())
    }

    /// Notes on the disk how far Kafka has acknowledged.
    pub fn publish(&mut self) -> io::Result<()> {
        match (&mut self.position, &self.backlog) {
            (Some(position), Some(backlog)) => position.consumed(backlog.acknowledged),
            _ => Ok(()),
        }
    }

    /// Whether new frames have to wait a moment.
    pub fn is_held(&self) -> bool {
        self.backlog
            .as_ref()
            .and_then(|backlog| backlog.held)
            .is_some_and(|since| since.elapsed() < HOLD_MAX)
    }

    /// All of the disk is given to Kafka: holds new frames for a moment, so that the acknowledgements can catch up.
    pub fn hold(&mut self) {
        let Some(backlog) = &mut self.backlog else { return };
        let now = Instant::now();
        match backlog.held {
            None if backlog.not_before.is_none_or(|at| now >= at) => backlog.held = Some(now),
            Some(since) if since.elapsed() >= HOLD_MAX => {
                backlog.held = None;
                backlog.not_before = Some(now + HOLD_AGAIN);
            }
            _ => {}
        }
    }

    /// Ends the detour if Kafka has acknowledged everything, and empties the disk. True if it did.
    pub fn end_backlog(&mut self, writer: &mut LogWriter) -> io::Result<bool> {
        let end = writer.end_offset(self.stream).unwrap_or(0);
        let done = self.is_idle()
            && self.backlog.as_ref().is_some_and(|backlog| {
                !backlog.rewind && backlog.handed >= end && backlog.acknowledged >= end
            });
        if !done {
            return Ok(false);
        }
        self.publish()?;
        self.backlog = None;
        writer.forget(self.stream)?;
        Ok(true)
    }

    /// Writes what came back to the disk, before everything that is there; gives their number.
    pub fn keep(&mut self, writer: &mut LogWriter) -> Result<u64, WriteError> {
        let frames = self.came_back.len() as u64;
        if frames == 0 {
            return Ok(0);
        }
        if let Some(backlog) = &mut self.backlog {
            // Frames that were under way when the disk's began have their room; there are none otherwise.
            let Some(first) = backlog.room.take() else {
                return Err(io::Error::other("frames came back that were not expected").into());
            };
            let records = self
                .came_back
                .values()
                .map(|frame| (frame.datagrams, frame.frame.as_ref()));
            writer.fill(self.stream, first, records)?;
            self.came_back.clear();
            return Ok(frames);
        }
        if let Some(position) = &mut self.position {
            position.consumed(writer.next_offset(self.stream).unwrap_or(0))?;
        }
        while let Some((ticket, frame, datagrams)) = self.take_came_back() {
            if let Err(error) = writer.append(self.stream, datagrams, &frame) {
                self.put_came_back(ticket, frame, datagrams);
                return Err(error);
            }
        }
        Ok(frames)
    }
}

impl Backlog {
    fn new(root: &Root, stream: Stream, from: i64, acknowledged: i64, room: Option<i64>) -> io::Result<Self> {
        let directory = root.stream(stream);
        let position = PositionFile::open(&directory)?;
        Ok(Self {
            cursor: Some(Cursor::consumer(directory, from, position)),
            handed: from,
            acknowledged,
            room,
            rewind: false,
            held: None,
            not_before: None,
        })
    }

    /// Reads again from what Kafka has acknowledged.
    pub fn go_back(&mut self, root: &Root, stream: Stream) -> io::Result<()> {
        let from = self.acknowledged;
        let directory = root.stream(stream);
        let position = PositionFile::open(&directory)?;
        self.cursor = Some(Cursor::consumer(directory, from, position));
        self.handed = from;
        self.rewind = false;
        Ok(())
    }

    /// Frames on the disk are gone: reading goes on behind them.
    pub fn skip_to(&mut self, next: i64, under_way: bool) {
        self.handed = self.handed.max(next);
        if !under_way {
            self.acknowledged = self.acknowledged.max(next);
        }
    }
}
