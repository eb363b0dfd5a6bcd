//! Who reads which stream: file locks alone, so that the end of a process gives everything back.
//!
//! A reader holds the lock of a file of its own in `members/`; who is alive are the files that somebody holds. The streams, in
//! their order, go round to the members, in the order of their files. Whoever should have a stream takes its `owner.lock` as
//! soon as the one before has given it back: for a moment nobody may have it, but never two.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::directory::{Root, is_locked, make_directory, open_or_create, try_lock};
use crate::Stream;

/// Readers of one log at the same time.
pub const MEMBERS_MAX: usize = 256;

/// A reader's own file.
#[derive(Debug)]
pub struct Member {
    root: Root,
    number: usize,
    file: File,
}

impl Member {
    /// Takes the first file that nobody holds.
    pub fn join(root: &Root) -> io::Result<Self> {
        make_directory(&root.members())?;
        for number in 0..MEMBERS_MAX {
            let file = open_or_create(&path(root, number))?;
            if try_lock(&file)?.is_some() {
                return Ok(Self {
                    root: root.clone(),
                    number,
                    file,
                });
            }
        }
        Err(io::Error::other(format!(
            "{MEMBERS_MAX} consumers read it already"
        )))
    }

    /// Whether the file still has its name.
    pub fn is_there(&self) -> bool {
        same(&self.file, &path(&self.root, self.number))
    }

    /// The streams of `all` that this member should have now.
    pub fn share(&self, all: &[Stream]) -> io::Result<Vec<Stream>> {
        let (mut before, mut members) = (0, 0);
        for number in 0..MEMBERS_MAX {
            let path = path(&self.root, number);
            // Files are made in order and never removed.
            if !path.exists() {
                break;
            }
            if number == self.number || is_locked(&path)? {
                members += 1;
                before += usize::from(number < self.number);
            }
        }
        Ok(all
            .iter()
            .enumerate()
            .filter(|(place, _)| place % members == before)
            .map(|(_, &stream)| stream)
            .collect())
    }
}

fn path(root: &Root, number: usize) -> std::path::PathBuf {
    root.members().join(format!("{number:03}.lock"))
}

/// The lock of a stream.
#[derive(Debug)]
pub struct Owned {
    pub stream: Stream,
    file: File,
    path: std::path::PathBuf,
}

impl Owned {
    /// Takes the lock. `None`: somebody has it.
    pub fn take(root: &Root, stream: Stream) -> io::Result<Option<Self>> {
        let path = root.stream(stream).owner_lock();
        let file = match open_or_create(&path) {
            // Its directory is gone; it comes back with the next frame.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if try_lock(&file)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { stream, file, path }))
    }

    /// Whether the file still has its name: a lock on a file without one keeps nobody out.
    pub fn is_there(&self) -> bool {
        same(&self.file, &self.path)
    }
}

fn same(file: &File, path: &std::path::Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    #[test]
    fn streams_go_round_and_a_member_that_left_has_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        let all: Vec<Stream> = (0..5)
            .map(|partition| Stream {
                topic: Topic::Syslog,
                partition,
            })
            .collect();
        let first = Member::join(&root).expect("joins");
        assert_eq!(first.share(&all).expect("asked"), all);
        let second = Member::join(&root).expect("joins");
        let (mine, theirs) = (
            first.share(&all).expect("asked"),
            second.share(&all).expect("asked"),
        );
        assert_eq!((mine.len(), theirs.len()), (3, 2));
        assert!(mine.iter().all(|stream| !theirs.contains(stream)));
        drop(first);
        assert_eq!(second.share(&all).expect("asked"), all);
        assert_eq!(
            Member::join(&root).expect("joins").number,
            0,
            "the first free file"
        );
    }

    #[test]
    fn a_stream_has_one_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        let stream = Stream {
            topic: Topic::Syslog,
            partition: 0,
        };
        assert!(
            Owned::take(&root, stream).expect("asked").is_none(),
            "no directory yet"
        );
        root.stream(stream).create().expect("made");
        let owned = Owned::take(&root, stream).expect("asked").expect("free");
        assert!(Owned::take(&root, stream).expect("asked").is_none());
        std::fs::remove_file(root.stream(stream).owner_lock()).expect("removed");
        assert!(!owned.is_there());
        drop(owned);
        assert!(Owned::take(&root, stream).expect("asked").is_some());
    }
}
