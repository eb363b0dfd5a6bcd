//! A10 Thunder CGN.
//!
//! - [`ascii`]: `NAT-TCP-C: …`, `FIXED-NAT-PORTS …`, `PortBatchV2Allocated: […]`;
//! - [`cef`]: `CEF:0|A10|CFW|6.0.0-P1|CGN 106|…`.
//!
//! The device batches: a message may hold several records, each in a line of its own (`#012` where a relay wrote the
//! line feed), ASCII ones also one behind the other. One that is cut off or wrong costs no other: the rest of its line is
//! not read.
//!
//! The header is `[time] [address] host[/partition]`; the partition is the VRF. Its time is absolute where it has a zone,
//! without PRI and VERSION as well.

mod ascii;
mod cef;

use event::{Event, Text};

use super::frame::Header;
use super::tally::Tally;
use super::{mark, session};
use crate::bytes::{Cursor, first_of};
use crate::value::Value;
use crate::{DecodeError, Ignored, Outcome, time};

pub(super) fn claims(text: &[u8]) -> bool {
    find(text).is_some()
}

/// Decodes the records of the text.
pub(super) fn decode(
    text: &[u8],
    header: &Header,
    sink: &mut impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let mut records = Records {
        rest: text,
        context: Context {
            header: *header,
            partition: None,
        },
    };
    let mut tally = Tally::default();
    while let Some(record) = records.next() {
        tally.add(record.map(|record| record.give(sink)));
    }
    tally.outcome(Err(DecodeError::UnknownFormat))
}

/// What one record says.
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for the length of one call"
)]
enum Record<'a> {
    Event(Event<'a>),
    Ignored(Ignored),
}

impl Record<'_> {
    fn give(self, sink: &mut impl FnMut(&Event<'_>)) -> Outcome {
        match self {
            Self::Event(event) => {
                sink(&event);
                Outcome::Events(1)
            }
            Self::Ignored(why) => Outcome::Ignored(why),
        }
    }
}

/// An event, unless inside and outside are the same.
fn translated(event: Event<'_>) -> Record<'_> {
    if session::is_translated(&event) {
        Record::Event(event)
    } else {
        Record::Ignored(Ignored::NotTranslated)
    }
}

/// What a header says about the records behind it.
#[derive(Clone, Copy)]
struct Context<'a> {
    header: Header<'a>,
    partition: Option<Text<'a>>,
}

impl<'a> Context<'a> {
    fn read(&mut self, header: &'a [u8]) -> Result<(), DecodeError> {
        if self.header.time_ns.is_none() {
            self.header.time_ns = Cursor::new(header).next_token().and_then(time::rfc5424);
        }
        let mut at = 0;
        loop {
            at += first_of(&header[at..], *b"/");
            if at == header.len() {
                return Ok(());
            }
            let begin = header[..at]
                .iter()
                .rposition(|&octet| octet == b' ')
                .map_or(0, |blank| blank + 1);
            at += first_of(&header[at..], *b" ");
            let word = &header[begin..at];
            // Some headers write the date with slashes.
            if !word.iter().all(|octet| octet.is_ascii_digit() || *octet == b'/') {
                let slash = word.iter().rposition(|&octet| octet == b'/').unwrap_or(0);
                let partition = &word[slash + 1..];
                self.partition = Value::new(partition, partition.len()).name()?;
            }
        }
    }

    fn finish(&self, mut event: Event<'a>) -> Record<'a> {
        event.vrf = self.partition;
        self.header.stamp(&mut event);
        translated(event)
    }
}

/// The records of a message, each read as it comes.
#[derive(Clone, Copy)]
struct Records<'a> {
    rest: &'a [u8],
    context: Context<'a>,
}

impl<'a> Records<'a> {
    /// The next record, or why it is none; what stands behind it is left.
    fn next(&mut self) -> Option<Result<Record<'a>, DecodeError>> {
        let line = &self.rest[..line(self.rest)];
        if line.is_empty() {
            return None;
        }
        let behind_line = behind_separator(&self.rest[line.len()..]);
        let Some((mark, at)) = find(line) else {
            self.rest = behind_line;
            // The first line of a message was claimed; a later one may be of another kind.
            return Some(Err(DecodeError::UnknownFormat));
        };
        if let Err(why) = self.context.read(&line[..at]) {
            self.rest = behind_line;
            return Some(Err(why));
        }
        let mut text = Cursor::new(&line[at..]);
        let record = match mark {
            Mark::Ascii => ascii::decode(&mut text, &self.context),
            Mark::Cef => {
                let record = cef::decode(text.rest(), &self.context);
                text = Cursor::new(b"");
                record
            }
            Mark::Daemon => {
                text = Cursor::new(b"");
                Ok(Record::Ignored(Ignored::NotAMapping))
            }
        };
        // Several ASCII records may stand in one line.
        self.rest = if record.is_err() || text.is_empty() {
            behind_line
        } else {
            &self.rest[line.len() - text.rest().len()..]
        };
        Some(record)
    }
}

/// Where the first line of `text` ends.
fn line(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += first_of(&text[at..], *b"\n\r#");
        match &text[at..] {
            [b'#', b'0', b'1', b'2' | b'5', ..] | [b'\n' | b'\r', ..] | [] => return at,
            _ => at += 1,
        }
    }
}

fn behind_separator(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'\n' | b'\r' | b' ', rest @ ..] | [b'#', b'0', b'1', b'2' | b'5', rest @ ..] => rest,
            _ => return text,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ascii,
    Cef,
    /// The program that writes the system's messages.
    Daemon,
}

/// The first mark of a text, and where it begins. The daemon's name counts only if no other follows.
#[inline]
fn find(text: &[u8]) -> Option<(Mark, usize)> {
    let mut daemon = None;
    for rest in mark::words(text) {
        let at = text.len() - rest.len();
        match rest {
            [b'C', b'E', b'F', b':', ..] if cef::is_a10(rest) => return Some((Mark::Cef, at)),
            [b'N', b'A', b'T', b'-', ..]
            | [b'F', b'I', b'X', b'E', b'D', ..]
            | [b'P', b'o', b'r', b't', b'B', ..]
                if ascii::is_mark(rest) =>
            {
                return Some((Mark::Ascii, at));
            }
            // One operator's header has no blank behind the time.
            [b'0'..=b'9', b'0'..=b'9', b':', _, _, b':', _, _, behind @ ..] if ascii::is_batch(behind) => {
                return Some((Mark::Ascii, at + 8));
            }
            [b'a', b'1', b'0', b'l', b'o', b'g', b'd', ..] => {
                daemon = daemon.or(Some((Mark::Daemon, at)));
            }
            _ => {}
        }
    }
    daemon
}
