//! A small log as natrail writes it, then damaged: every record that is read afterwards is one that was written.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use fuzz::{Log, Record, survives};
use libfuzzer_sys::fuzz_target;

/// Largest payload of a record here, in octets.
const PAYLOAD_BYTES_MAX: u16 = 2048;
const RECORDS_MAX: usize = 24;
const DAMAGES_MAX: usize = 8;

#[derive(Arbitrary, Debug)]
struct Case {
    records: Vec<Step>,
    damages: Vec<Damage>,
    /// Offset that a consumer says to have reached.
    consumed: Option<u8>,
}

/// A record to append, and what happens behind it.
#[derive(Arbitrary, Debug)]
struct Step {
    payload_bytes: u16,
    filler: u8,
    /// The segment is ended.
    seals: bool,
    /// The writer ends, and another one goes on.
    reopens: bool,
}

/// What happens to a file. Places are taken modulo what is there.
#[derive(Arbitrary, Debug)]
enum Damage {
    Flip {
        file: u8,
        bit: u32,
    },
    Cut {
        file: u8,
        length: u16,
    },
    Zero {
        file: u8,
        from: u16,
        length: u16,
    },
    Insert {
        file: u8,
        at: u16,
        octets: Vec<u8>,
    },
    Remove {
        file: u8,
        from: u16,
        length: u16,
    },
    /// Octets of one file over those of another one, or of its own.
    Copy {
        from_file: u8,
        from: u16,
        length: u16,
        file: u8,
        at: u16,
    },
    /// Octets that anybody could send: they know the layout, but not the segment's salt.
    Append {
        file: u8,
        octets: Vec<u8>,
    },
    Delete {
        file: u8,
    },
}

fuzz_target!(|case: Case| {
    let log = Log::default();
    let written = write(&log, &case);
    assert_eq!(
        log.read(-1),
        written.iter().cloned().collect::<Vec<_>>(),
        "whole before it is damaged"
    );
    for damage in case.damages.iter().take(DAMAGES_MAX) {
        apply(&log, damage);
    }
    survives(&log).is_right(&log, &written);
});

fn write(log: &Log, case: &Case) -> BTreeSet<Record> {
    let mut written = BTreeSet::new();
    let mut partition = log.open();
    for (number, step) in case.records.iter().take(RECORDS_MAX).enumerate() {
        let mut payload = vec![step.filler; usize::from(step.payload_bytes % PAYLOAD_BYTES_MAX)];
        payload.extend_from_slice(&(number as u32).to_le_bytes());
        let now = (1 << 40) + number as u64;
        let offset = partition.append(now, 1, &payload).expect("appends");
        written.insert((offset, payload));
        if step.seals {
            partition.seal();
        }
        if step.reopens {
            partition = log.open();
        }
    }
    if let Some(next) = case.consumed {
        let mut position = bus::log::position::PositionFile::open(&log.stream()).expect("opens");
        position.consumed(next.into()).expect("says");
    }
    written
}

fn apply(log: &Log, damage: &Damage) {
    let directory = log.stream();
    let mut paths: Vec<_> = directory
        .segments()
        .expect("lists")
        .into_iter()
        .flat_map(|base| [directory.segment(base), directory.index(base)])
        .filter(|path| path.exists())
        .collect();
    if directory.position().exists() {
        paths.push(directory.position());
    }
    if paths.is_empty() {
        return;
    }
    let path = |file: u8| &paths[usize::from(file) % paths.len()];
    let read = |file: u8| std::fs::read(path(file)).unwrap_or_default();
    let range = |octets: &[u8], from: u16, length: u16| {
        let from = usize::from(from) % (octets.len() + 1);
        from..(from + usize::from(length)).min(octets.len())
    };
    let (file, octets) = match damage {
        Damage::Flip { file, bit } => {
            let mut octets = read(*file);
            if !octets.is_empty() {
                let bit = *bit as usize % (octets.len() * 8);
                octets[bit / 8] ^= 1 << (bit % 8);
            }
            (*file, octets)
        }
        Damage::Cut { file, length } => {
            let mut octets = read(*file);
            octets.truncate(usize::from(*length));
            (*file, octets)
        }
        Damage::Zero { file, from, length } => {
            let mut octets = read(*file);
            let range = range(&octets, *from, *length);
            octets[range].fill(0);
            (*file, octets)
        }
        Damage::Insert {
            file,
            at,
            octets: more,
        } => {
            let mut octets = read(*file);
            let at = range(&octets, *at, 0).start;
            octets.splice(at..at, more.iter().copied());
            (*file, octets)
        }
        Damage::Remove { file, from, length } => {
            let mut octets = read(*file);
            let range = range(&octets, *from, *length);
            octets.drain(range);
            (*file, octets)
        }
        Damage::Copy {
            from_file,
            from,
            length,
            file,
            at,
        } => {
            let source = read(*from_file);
            let part = source[range(&source, *from, *length)].to_vec();
            let mut octets = read(*file);
            let at = range(&octets, *at, part.len() as u16);
            let part = part[..at.len()].to_vec();
            octets[at].copy_from_slice(&part);
            (*file, octets)
        }
        Damage::Append { file, octets: more } => {
            let mut octets = read(*file);
            octets.extend_from_slice(more);
            (*file, octets)
        }
        Damage::Delete { file } => {
            let _ = std::fs::remove_file(path(*file));
            return;
        }
    };
    log.write(path(file), &octets);
}
