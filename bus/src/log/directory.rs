//! Where the files of a log are: docs/frame-log.md.
//!
//! `<root>/LOG` says which log it is, `<root>/writer.lock` is locked by the one writer, `<root>/members/` has a lock for each
//! reader. `<root>/<topic>/<partition>/` holds a stream: its segments, their indexes, `owner.lock`, `position`.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{BusError, Stream, Topic};

/// First word of `LOG`, and the version of the layout.
const MARK: &str = "natrail-frame-log";
const VERSION: &str = "1";
const ID_OCTETS: usize = 16;
const SEGMENT_SUFFIX: &str = ".log";
const INDEX_SUFFIX: &str = ".index";
/// Digits of an offset in a file's name: those of the largest i64, with one to spare.
const OFFSET_DIGITS: usize = 20;
/// Exporters' data: for the owner and its group.
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// All topics of a log, in the order in which they are shown.
pub const TOPICS: [Topic; 5] = [
    Topic::Syslog,
    Topic::Netflow,
    Topic::Radius,
    Topic::Ledger,
    Topic::DeadLetter,
];

/// The directory of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The log that is the bus.
    pub fn of_bus(log: &config::Log) -> Self {
        Self(log.directory.join("bus"))
    }

    /// The log that catches what Kafka cannot take.
    pub fn of_spill(log: &config::Log) -> Self {
        Self(log.directory.join("spill"))
    }

    /// A log at any place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn exists(&self) -> bool {
        self.0.join("LOG").exists()
    }

    pub fn writer_lock(&self) -> PathBuf {
        self.0.join("writer.lock")
    }

    pub fn members(&self) -> PathBuf {
        self.0.join("members")
    }

    /// Where what was dropped before it was consumed is written down.
    pub fn dropped(&self) -> PathBuf {
        self.0.join("dropped.jsonl")
    }

    pub fn stream(&self, stream: Stream) -> StreamDirectory {
        StreamDirectory(
            self.0
                .join(stream.topic.name())
                .join(stream.partition.to_string()),
        )
    }

    /// Streams that have a directory, sorted.
    pub fn streams(&self) -> io::Result<Vec<Stream>> {
        let mut streams = Vec::new();
        for topic in TOPICS {
            let entries = match std::fs::read_dir(self.0.join(topic.name())) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut partitions = Vec::new();
            for entry in entries {
                let name = entry?.file_name();
                // `07` or `+7` would be another directory than the one of partition 7.
                let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
                partitions
                    .extend(number.filter(|number| *number >= 0 && OsStr::new(&number.to_string()) == name));
            }
            partitions.sort_unstable();
            streams.extend(
                partitions
                    .into_iter()
                    .map(|partition| Stream { topic, partition }),
            );
        }
        Ok(streams)
    }

    /// Makes the log's directory and its `LOG`, if they are missing, and gives its identity: a log that is made anew is
    /// another log, whose offsets begin again.
    pub fn create(&self) -> io::Result<String> {
        make_directory(&self.0)?;
        loop {
            match self.id() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                known => return known,
            }
            let mut id = [0; ID_OCTETS];
            random(&mut id)?;
            let id = format!("{:032x}", u128::from_le_bytes(id));
            // Linked into place whole: two processes may do this at once.
            let partial = self.0.join(format!("LOG.{}", std::process::id()));
            let mut file = create(&partial)?;
            writeln!(file, "{MARK} {VERSION} {id}")?;
            file.sync_all()?;
            let linked = std::fs::hard_link(&partial, self.0.join("LOG"));
            std::fs::remove_file(&partial)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => sync_directory(&self.0)?,
            }
        }
    }

    /// Identity of the log that is there. `NotFound` if there is none, `InvalidData` if it is no log of this version.
    pub fn id(&self) -> io::Result<String> {
        let text = std::fs::read(self.0.join("LOG"))?;
        let text = String::from_utf8_lossy(&text);
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(MARK), Some(VERSION), Some(id)) if id.len() == 2 * ID_OCTETS => Ok(id.to_owned()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} does not say \"{MARK} {VERSION} …\": made by another release, or no frame log",
                    self.0.join("LOG").display()
                ),
            )),
        }
    }

    /// What went wrong with this log, in words for the operator.
    pub fn failure(&self, what: &str, error: &io::Error) -> BusError {
        BusError::Unreachable(format!("frame log {}: cannot {what}: {error}", self.0.display()))
    }
}

/// The directory of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDirectory(PathBuf);

impl StreamDirectory {
    /// The directory at `path`, whatever it is called.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn create(&self) -> io::Result<()> {
        make_directory(&self.0)
    }

    pub fn segment(&self, base: i64) -> PathBuf {
        self.0.join(format!("{base:0OFFSET_DIGITS$}{SEGMENT_SUFFIX}"))
    }

    pub fn index(&self, base: i64) -> PathBuf {
        self.0.join(format!("{base:0OFFSET_DIGITS$}{INDEX_SUFFIX}"))
    }

    pub fn owner_lock(&self) -> PathBuf {
        self.0.join("owner.lock")
    }

    pub fn position(&self) -> PathBuf {
        self.0.join("position")
    }

    /// Offsets of the first records of all segments, ascending. Empty where there is no directory.
    pub fn segments(&self) -> io::Result<Vec<i64>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut bases = Vec::new();
        for entry in entries {
            bases.extend(entry?.file_name().to_str().and_then(base_of));
        }
        bases.sort_unstable();
        Ok(bases)
    }
}

fn base_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let plain = digits.len() == OFFSET_DIGITS && digits.bytes().all(|octet| octet.is_ascii_digit());
    plain
        .then(|| digits.parse().ok().and_then(super::format::offset))
        .flatten()
}

/// Makes a directory with all that are above it.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
}

/// Opens a file for reading and writing; makes an empty one where there is none.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

/// Makes an empty file, or empties the one that is there.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Makes a file that was not there.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Puts names of files on the disk.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Takes the lock of a file, which its process's end gives back. `None`: somebody has it.
pub fn try_lock(file: &File) -> io::Result<Option<()>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Whether somebody holds the lock of the file. A file that is not there is held by nobody.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Shared: two that look at the same time do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Octets from the kernel's generator.
pub fn random(octets: &mut [u8]) -> io::Result<()> {
    let filled = rustix::rand::getrandom(&mut *octets, rustix::rand::GetRandomFlags::empty())?;
    if filled == octets.len() {
        Ok(())
    } else {
        Err(io::Error::other("the kernel gave too few random octets"))
    }
}

/// What tells this boot of the machine from others; zeros where the kernel does not say.
pub fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let mut id = [0; 16];
    for (octet, pair) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = str::from_utf8(pair).unwrap_or_default();
        *octet = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_identity_and_a_new_one_has_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path().join("a/b"));
        assert_eq!(root.id().expect_err("none").kind(), io::ErrorKind::NotFound);
        let id = root.create().expect("made");
        assert_eq!(root.create().expect("there"), id);
        std::fs::remove_file(root.path().join("LOG")).expect("removed");
        assert_ne!(root.create().expect("made anew"), id);
        std::fs::write(root.path().join("LOG"), "natrail-frame-log 2 x").expect("written");
        assert_eq!(
            root.create().expect_err("newer").kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn only_names_that_natrail_gives_are_streams_and_segments() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        for name in [
            "syslog/0",
            "syslog/10",
            "syslog/2",
            "syslog/07",
            "syslog/x",
            "other/1",
            "radius/-1",
        ] {
            make_directory(&root.path().join(name)).expect("made");
        }
        let streams: Vec<_> = root
            .streams()
            .expect("listed")
            .iter()
            .map(|stream| (stream.topic.name(), stream.partition))
            .collect();
        assert_eq!(streams, [("syslog", 0), ("syslog", 2), ("syslog", 10)]);
        let stream = root.stream(Stream {
            topic: Topic::Syslog,
            partition: 0,
        });
        for name in [
            "00000000000000000012.log",
            "12.log",
            "0000000000000000001x.log",
            "00000000000000000003.index",
        ] {
            std::fs::write(stream.path().join(name), "").expect("written");
        }
        std::fs::write(stream.segment(3), "").expect("written");
        assert_eq!(stream.segments().expect("listed"), [3, 12]);
    }
}
