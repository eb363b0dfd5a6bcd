//! Reading one segment: record after record, past what is damaged, up to what is not written yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::format::{
    JUMP, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RECORD_MAGIC, RECORDS_BEGIN, RecordHeader, SegmentHeader,
};

/// Octets that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Octets of a search step for the next whole record.
const SEARCH_BYTES: usize = 256 * 1024;

/// Why a segment cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Neither copy of its header is whole: nothing in it can be checked.
    Header,
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A whole record, and where its payload is in the reader's memory.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub header: RecordHeader,
    /// Where the record begins in the file.
    pub at: u64,
    payload: usize,
}

/// A segment that is read from front to back. What is appended meanwhile is seen.
#[derive(Debug)]
pub struct SegmentReader {
    file: File,
    inode: u64,
    header: SegmentHeader,
    seed: u32,
    /// Its first `loaded_bytes` octets are those of the file from `loaded_at` on.
    loaded: Vec<u8>,
    loaded_bytes: usize,
    loaded_at: u64,
    /// Where the next record begins.
    at: u64,
    /// Least offset that the next record may have.
    least: i64,
    /// Size of the file when nothing whole was found behind `at`.
    searched: Option<u64>,
    /// Octets passed over since they are no whole record.
    damaged_bytes: u64,
}

impl SegmentReader {
    /// Opens the file and reads its header. One that belongs to a file of another name counts as damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path)?;
        let mut octets = [0; RECORDS_BEGIN as usize];
        let length = read_at(&file, &mut octets, 0)?;
        let name = path.file_stem().and_then(|name| name.to_str());
        let base: Option<i64> = name.and_then(|name| name.parse().ok());
        let header = SegmentHeader::decode(&octets[..length])
            .filter(|header| base == Some(header.base))
            .ok_or(OpenError::Header)?;
        Ok(Self {
            inode: file.metadata()?.ino(),
            file,
            header,
            seed: header.seed(),
            loaded: Vec::new(),
            loaded_bytes: 0,
            loaded_at: RECORDS_BEGIN,
            at: RECORDS_BEGIN,
            least: header.base,
            searched: None,
            damaged_bytes: 0,
        })
    }

    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Where the next record begins: the end of what is whole, when [`Self::next_record`] found nothing more.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Octets that were passed over since they are no whole record.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    /// Goes to a record that is said to begin at `at` with `offset`, if that is so.
    pub fn seek(&mut self, at: u64, offset: i64) -> io::Result<bool> {
        let hit = at >= RECORDS_BEGIN && self.whole_at(at)?.is_some_and(|header| header.offset == offset);
        if hit {
            self.at = at;
            self.least = offset;
        }
        Ok(hit)
    }

    /// Passes over records without looking at their payloads, and gives the offset behind the last one that is there.
    pub fn skip_to_end(&mut self) -> io::Result<i64> {
        self.forget();
        let size = self.file.metadata()?.len();
        let mut head = [0; RECORD_HEADER_BYTES];
        while read_at(&self.file, &mut head, self.at)? == head.len()
            && let Some(header) = self.acceptable(&head)
            && self.at + header.record_bytes() <= size
        {
            self.at += header.record_bytes();
            self.least = header.offset + 1;
        }
        self.forget();
        Ok(self.least)
    }

    /// Goes back to a record that [`Self::next_record`] gave.
    pub fn unread(&mut self, found: &Found) {
        self.at = found.at;
        self.least = found.header.offset;
    }

    /// The next whole record; `None` if there is none (yet).
    ///
    /// Octets that are no whole record are passed over only if a whole one follows: the end of a segment may just be
    /// being written.
    pub fn next_record(&mut self) -> io::Result<Option<Found>> {
        if let Some(found) = self.load_record()? {
            return Ok(Some(self.take(found)));
        }
        // What was read may be older than what is on disk now: look again before anything is called damaged.
        self.forget();
        if let Some(found) = self.load_record()? {
            return Ok(Some(self.take(found)));
        }
        let size = self.file.metadata()?.len();
        if size < self.at + RECORD_HEADER_BYTES as u64
            || self.searched.is_some_and(|searched| searched >= size)
        {
            self.forget();
            return Ok(None);
        }
        let Some(behind) = self.search(size)? else {
            self.searched = Some(size);
            self.forget();
            return Ok(None);
        };
        self.damaged_bytes += behind - self.at;
        self.at = behind;
        self.forget();
        Ok(self.load_record()?.map(|found| self.take(found)))
    }

    /// Payload of the record that [`Self::next_record`] gave last.
    pub fn payload(&self, found: &Found) -> &[u8] {
        &self.loaded[found.payload..found.payload + found.header.payload_bytes]
    }

    fn take(&mut self, found: Found) -> Found {
        self.at = found.at + found.header.record_bytes();
        self.least = found.header.offset + 1;
        self.searched = None;
        found
    }

    /// The record at `self.at`, in memory, if it is whole.
    fn load_record(&mut self) -> io::Result<Option<Found>> {
        if !self.load(RECORD_HEADER_BYTES)? {
            return Ok(None);
        }
        let begin = (self.at - self.loaded_at) as usize;
        let Some(header) = self.acceptable(&self.loaded[begin..self.loaded_bytes]) else {
            return Ok(None);
        };
        if !self.load(RECORD_HEADER_BYTES + header.payload_bytes)? {
            return Ok(None);
        }
        let payload = (self.at - self.loaded_at) as usize + RECORD_HEADER_BYTES;
        let whole = header.fits(self.seed, &self.loaded[payload..payload + header.payload_bytes]);
        Ok(whole.then_some(Found {
            header,
            at: self.at,
            payload,
        }))
    }

    /// A header whose offset can be the next one's.
    fn acceptable(&self, octets: &[u8]) -> Option<RecordHeader> {
        RecordHeader::decode(self.seed, octets)
            .filter(|header| (self.least..self.header.base.saturating_add(JUMP)).contains(&header.offset))
    }

    /// Sees to it that `need` octets from `self.at` on are in memory; false if the file has fewer.
    fn load(&mut self, need: usize) -> io::Result<bool> {
        let begin = self.at.checked_sub(self.loaded_at).map(|begin| begin as usize);
        match begin {
            Some(begin) if begin + need <= self.loaded_bytes => return Ok(true),
            Some(begin) if begin <= self.loaded_bytes => {
                self.loaded.copy_within(begin..self.loaded_bytes, 0);
                self.loaded_bytes -= begin;
            }
            _ => self.loaded_bytes = 0,
        }
        self.loaded_at = self.at;
        let have = self.loaded_bytes;
        let left = self.file.metadata()?.len().saturating_sub(self.at + have as u64);
        let wanted = left.min(need.max(READ_BYTES).saturating_sub(have) as u64) as usize;
        if self.loaded.len() < have + wanted {
            self.loaded.resize(have + wanted, 0);
        }
        let place = &mut self.loaded[have..have + wanted];
        self.loaded_bytes += read_at(&self.file, place, self.at + have as u64)?;
        Ok(self.loaded_bytes >= need)
    }

    fn forget(&mut self) {
        self.loaded_bytes = 0;
        self.loaded_at = self.at;
    }

    /// Where the next whole record behind a damaged one begins.
    fn search(&self, size: u64) -> io::Result<Option<u64>> {
        let mut begin = self.at + 1;
        let mut head = [0; RECORD_HEADER_BYTES];
        if read_at(&self.file, &mut head, self.at)? == head.len()
            && let Some(header) = self.acceptable(&head)
        {
            // Only its payload is damaged: what follows is known, and its payload is not searched.
            begin = self.at + header.record_bytes();
            if self.whole_at(begin)?.is_some() {
                return Ok(Some(begin));
            }
        }
        let mut octets = vec![0; SEARCH_BYTES];
        while begin < size {
            let length = read_at(&self.file, &mut octets, begin)?;
            if length < RECORD_MAGIC.len() {
                return Ok(None);
            }
            let windows = octets[..length].windows(RECORD_MAGIC.len());
            for (place, _) in windows.enumerate().filter(|(_, window)| *window == RECORD_MAGIC) {
                let at = begin + place as u64;
                if self.whole_at(at)?.is_some() {
                    return Ok(Some(at));
                }
            }
            begin += (length - RECORD_MAGIC.len() + 1) as u64;
        }
        Ok(None)
    }

    /// The record at `at`, if it is whole.
    fn whole_at(&self, at: u64) -> io::Result<Option<RecordHeader>> {
        let mut head = [0; RECORD_HEADER_BYTES];
        if read_at(&self.file, &mut head, at)? < head.len() {
            return Ok(None);
        }
        let Some(header) = self.acceptable(&head) else {
            return Ok(None);
        };
        debug_assert!(header.payload_bytes <= PAYLOAD_BYTES_MAX);
        let mut payload = vec![0; header.payload_bytes];
        let length = read_at(&self.file, &mut payload, at + RECORD_HEADER_BYTES as u64)?;
        Ok((length == payload.len() && header.fits(self.seed, &payload)).then_some(header))
    }
}

/// Fills `octets` from `at` on, as far as the file goes.
fn read_at(file: &File, octets: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < octets.len() {
        match file.read_at(&mut octets[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
