//! Any octets of a connection, in any pieces: the messages are those of the same octets in one piece, none is empty or longer
//! than it may be, and there is always room for what comes next.
#![no_main]

use arbitrary::Arbitrary;
use collector::stream::framing::{Inbox, Message, Next};
use libfuzzer_sys::fuzz_target;

/// What a connection brings.
#[derive(Arbitrary, Debug)]
struct Case<'a> {
    /// Octets that a message may have, from 1 on.
    line_bytes_max: u8,
    /// Lengths of the pieces, over and over.
    pieces: [u8; 4],
    octets: &'a [u8],
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Brought {
    messages: Vec<(Vec<u8>, bool)>,
    bad_count: bool,
}

fuzz_target!(|case: Case<'_>| {
    let pieces = case.pieces.map(|piece| usize::from(piece) + 1);
    let in_pieces = bring(&case, pieces.into_iter().cycle());
    assert_eq!(in_pieces, bring(&case, std::iter::repeat(usize::MAX)));
});

fn bring(case: &Case<'_>, pieces: impl Iterator<Item = usize>) -> Brought {
    let line_bytes_max = usize::from(case.line_bytes_max) + 1;
    let mut inbox = Inbox::new(line_bytes_max);
    let mut brought = Brought::default();
    let mut octets = case.octets;
    let mut keep = |message: Message<'_>| {
        assert!((1..=line_bytes_max).contains(&message.payload.len()));
        brought
            .messages
            .push((message.payload.to_vec(), message.truncated));
    };
    for piece in pieces {
        if octets.is_empty() {
            break;
        }
        let space = inbox.space();
        assert!(!space.is_empty());
        let (now, later) = octets.split_at(piece.min(space.len()).min(octets.len()));
        space[..now.len()].copy_from_slice(now);
        inbox.filled(now.len());
        octets = later;
        loop {
            match inbox.take_next() {
                Next::Message(message) => keep(message),
                Next::More => break,
                Next::BadCount => {
                    brought.bad_count = true;
                    return brought;
                }
            }
        }
    }
    if let Some(rest) = inbox.rest() {
        assert!(rest.truncated);
        keep(rest);
    }
    brought
}
