//! Messages that could not be decoded, out to the topic `dead-letter` of the log.
//!
//! Every sender has a partition of its own there: the first that nobody writes. A record is one line of JSON (stream, offset,
//! index, exporter, received_ns, reason, bytes) and behind its LF the datagram as it came. They are kept until they are too
//! many or too old; nobody consumes them.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directory::{Root, StreamDirectory, boot_id, open_or_create, sync_directory, try_lock};
use super::format::{PAYLOAD_BYTES_MAX, RECORDS_BEGIN};
use super::now_ns;
use super::partition::Partition;
use crate::{BusError, DeadLetter, DeadLetterSender, Stream, Topic};

/// Size of a segment of dead letters.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Most that one sender's dead letters may have; the oldest go first.
const SIZE_BYTES_MAX: u64 = 512 << 20;
/// Longest message that is kept, in octets; only a record that was no frame can be longer.
const MESSAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 4096;
/// Senders at the same time.
const SENDERS_MAX: i32 = 256;

/// What a dead letter says about its message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Description {
    /// `topic/partition` of the frame that had the message.
    pub stream: String,
    pub offset: i64,
    /// Position of the datagram in its frame.
    pub index: u32,
    pub exporter: IpAddr,
    pub received_ns: u64,
    pub reason: String,
    /// Octets of the message, of which a very long one's begin is kept.
    pub bytes: usize,
}

/// Description and message of a dead letter's record; `None` if it is none.
pub fn read(payload: &[u8]) -> Option<(Description, &[u8])> {
    let end = payload.iter().position(|&octet| octet == b'\n')?;
    let description = serde_json::from_slice(&payload[..end]).ok()?;
    Some((description, &payload[end + 1..]))
}

/// A sender of dead letters.
#[derive(Debug)]
pub struct LogLetters {
    root: Root,
    sync: bool,
    age_max: Duration,
    partition: Partition,
    _lock: File,
    record: Vec<u8>,
    /// Files that were ended since the last flush.
    ended: Vec<std::sync::Arc<File>>,
}

/// A sender of dead letters for the log below `bus.log.directory`.
///
/// # Errors
/// [`BusError::Unreachable`] if the directory cannot be written.
pub fn connect_dead_letters(bus: &config::Bus) -> Result<LogLetters, BusError> {
    let root = Root::of_bus(&bus.log);
    let open = || -> io::Result<(Partition, File)> {
        root.create()?;
        let (stream, lock) = free(&root)?;
        let (partition, _) = Partition::open(root.stream(stream), stream, boot_id())?;
        Ok((partition, lock))
    };
    let (partition, lock) = open().map_err(|error| root.failure("write dead letters", &error))?;
    Ok(LogLetters {
        sync: bus.log.sync != config::Sync::None,
        age_max: Duration::from_hours(bus.log.age_max_hours.into()),
        root,
        partition,
        _lock: lock,
        record: Vec::new(),
        ended: Vec::new(),
    })
}

/// The first partition that nobody writes.
fn free(root: &Root) -> io::Result<(Stream, File)> {
    for partition in 0..SENDERS_MAX {
        let stream = Stream {
            topic: Topic::DeadLetter,
            partition,
        };
        let directory: StreamDirectory = root.stream(stream);
        directory.create()?;
        let lock = open_or_create(&directory.owner_lock())?;
        if try_lock(&lock)?.is_some() {
            return Ok((stream, lock));
        }
    }
    Err(io::Error::other(format!(
        "{SENDERS_MAX} senders write dead letters already"
    )))
}

impl DeadLetterSender for LogLetters {
    fn send(&mut self, letter: &DeadLetter<'_>, _timeout: Duration) -> Result<(), BusError> {
        self.append(letter)
            .map_err(|error| self.root.failure("write a dead letter", &error))
    }

    fn flush(&mut self, _timeout: Duration) -> Result<(), BusError> {
        self.put_on_disk()
            .map_err(|error| self.root.failure("sync dead letters", &error))
    }
}

impl LogLetters {
    fn append(&mut self, letter: &DeadLetter<'_>) -> io::Result<()> {
        let description = Description {
            stream: letter.stream.to_string(),
            offset: letter.offset,
            index: letter.index,
            exporter: letter.exporter,
            received_ns: letter.received_ns,
            reason: letter.reason.into(),
            bytes: letter.payload.len(),
        };
        let message = &letter.payload[..letter.payload.len().min(MESSAGE_BYTES_MAX)];
        self.record.clear();
        serde_json::to_writer(&mut self.record, &description)?;
        self.record.push(b'\n');
        self.record.extend_from_slice(message);
        let active = self.partition.active_bytes();
        if active + self.record.len() as u64 > SEGMENT_BYTES && active > RECORDS_BEGIN {
            self.ended.extend(self.partition.seal());
            self.drop_old()?;
        }
        self.partition.append(now_ns(), 1, &self.record)?;
        Ok(())
    }

    fn drop_old(&mut self) -> io::Result<()> {
        let now = now_ns();
        while let Some(oldest) = self.partition.oldest() {
            let age = Duration::from_nanos(now.saturating_sub(oldest.created_ns));
            if self.partition.bytes() <= SIZE_BYTES_MAX && age <= self.age_max {
                break;
            }
            self.partition.remove(oldest.base)?;
        }
        Ok(())
    }

    fn put_on_disk(&mut self) -> io::Result<()> {
        if self.partition.has_vanished() {
            self.root.create()?;
            self.partition.restore()?;
        }
        let ended = std::mem::take(&mut self.ended);
        if !self.sync {
            return Ok(());
        }
        for file in ended.iter().chain(self.partition.active_file()) {
            file.sync_data()?;
        }
        if self.partition.take_new_name() {
            sync_directory(self.partition.directory().path())?;
        }
        Ok(())
    }
}
