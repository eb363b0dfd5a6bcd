//! Messages out of the octets of a connection: octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3) and lines
//! ended by LF (RFC 6587 section 3.4.2), told apart by the connection's first octet.
//!
//! - Octet counting, if that octet is a digit: `MSG-LEN SP MSG`, MSG-LEN decimal, from 1 to [`COUNT_MAX`] octets, without
//!   leading zeros. Anything else where a count must stand cannot be mended: nobody knows where the next message begins.
//! - LF otherwise. A CR before the LF belongs to it; an empty line is no message.
//!
//! A message longer than the bound is cut there and its rest is skipped. How the octets were split on their way never
//! changes the messages.

/// Most octets that a count may announce. More is no syslog message but a lost place in the stream.
pub const COUNT_MAX: usize = 1 << 20;
/// Octets that one read may bring beyond a whole message.
const READ_BYTES: usize = 16 * 1024;
/// What may follow a line's text: CR and LF.
const LINE_END_BYTES: usize = 2;

/// The octets of one connection that are not messages yet. Its memory is bounded and taken once.
#[derive(Debug)]
pub struct Inbox {
    splitter: Splitter,
    octets: Box<[u8]>,
    /// Not taken yet are `octets[start..end]`.
    start: usize,
    end: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    Message(Message<'a>),
    /// More octets are needed.
    More,
    /// There is no count where one must stand.
    BadCount,
}

/// One message, without count or line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Never empty.
    pub payload: &'a [u8],
    /// The end of the payload is missing.
    pub truncated: bool,
}

impl Inbox {
    /// For messages of at most `line_bytes_max` octets.
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            splitter: Splitter {
                line_bytes_max,
                state: State::First,
            },
            octets: vec![0; line_bytes_max + LINE_END_BYTES + READ_BYTES].into(),
            start: 0,
            end: 0,
        }
    }

    /// Where to put octets that arrived: never empty after [`Next::More`]. Say how many with [`Self::filled`].
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.octets[self.end..]
    }

    /// The first `octets` of the space now hold what arrived.
    pub fn filled(&mut self, octets: usize) {
        self.end = (self.end + octets).min(self.octets.len());
    }

    /// Takes the next message.
    pub fn take_next(&mut self) -> Next<'_> {
        let (taken, next) = self.splitter.next(&self.octets[self.start..self.end]);
        self.start += taken;
        next
    }

    /// After [`Next::More`], at the end of the connection: what is there of a message whose end did not come. It is cut
    /// for all that is known: a line without its LF as well.
    pub fn rest(&self) -> Option<Message<'_>> {
        let octets = &self.octets[self.start..self.end];
        let payload = match self.splitter.state {
            State::Body(_) | State::Line { .. } => &octets[..octets.len().min(self.splitter.line_bytes_max)],
            State::First | State::Count | State::Skip(_) | State::SkipLine => return None,
        };
        (!payload.is_empty()).then_some(Message {
            payload,
            truncated: true,
        })
    }
}

#[derive(Debug)]
struct Splitter {
    line_bytes_max: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first octet of the connection.
    First,
    /// Octet counting: a count comes next.
    Count,
    /// Octet counting: a message of so many octets comes next.
    Body(usize),
    /// Octet counting: so many octets of a message that was cut come next.
    Skip(usize),
    /// LF: a line comes next; in its first `searched` octets there is none.
    Line { searched: usize },
    /// LF: the rest of a line that was cut comes next.
    SkipLine,
}

impl Splitter {
    /// Takes octets from the front of `input`, and says how many: up to the end of a message, or all that are no part of
    /// one that may still become whole.
    fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Next<'a>) {
        let max = self.line_bytes_max;
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            match self.state {
                State::First => match rest.first() {
                    None => return (taken, Next::More),
                    Some(octet) if octet.is_ascii_digit() => self.state = State::Count,
                    Some(_) => self.state = State::Line { searched: 0 },
                },
                State::Count => match count(rest) {
                    Count::Of { octets, digits } => {
                        taken += digits + 1;
                        self.state = State::Body(octets);
                    }
                    Count::More => return (taken, Next::More),
                    Count::Bad => return (taken, Next::BadCount),
                },
                State::Body(octets) => {
                    let kept = octets.min(max);
                    let Some(payload) = rest.get(..kept) else {
                        return (taken, Next::More);
                    };
                    let truncated = octets > max;
                    self.state = if truncated {
                        State::Skip(octets - max)
                    } else {
                        State::Count
                    };
                    return (taken + kept, Next::Message(Message { payload, truncated }));
                }
                State::Skip(octets) => {
                    let skipped = octets.min(rest.len());
                    taken += skipped;
                    if skipped < octets {
                        self.state = State::Skip(octets - skipped);
                        return (taken, Next::More);
                    }
                    self.state = State::Count;
                }
                State::Line { searched } => {
                    // With this many octets and no LF, the line is too long wherever its end is.
                    let window = &rest[..rest.len().min(max + LINE_END_BYTES)];
                    let found = memchr::memchr(b'\n', &window[searched..]).map(|at| searched + at);
                    let text = match found {
                        Some(at) => window[..at].strip_suffix(b"\r").unwrap_or(&window[..at]),
                        None if window.len() == max + LINE_END_BYTES => window,
                        None => {
                            let searched = window.len();
                            self.state = State::Line { searched };
                            return (taken, Next::More);
                        }
                    };
                    taken += found.map_or(window.len(), |at| at + 1);
                    self.state = match found {
                        Some(_) => State::Line { searched: 0 },
                        None => State::SkipLine,
                    };
                    if !text.is_empty() {
                        let message = Message {
                            payload: &text[..text.len().min(max)],
                            truncated: text.len() > max,
                        };
                        return (taken, Next::Message(message));
                    }
                }
                State::SkipLine => match memchr::memchr(b'\n', rest) {
                    Some(at) => {
                        taken += at + 1;
                        self.state = State::Line { searched: 0 };
                    }
                    None => return (input.len(), Next::More),
                },
            }
        }
    }
}

enum Count {
    Of { octets: usize, digits: usize },
    More,
    Bad,
}

/// Reads `MSG-LEN SP` from the front of `input`.
fn count(input: &[u8]) -> Count {
    let mut octets = 0;
    for (digits, octet) in input.iter().enumerate() {
        match octet {
            b' ' if digits > 0 => return Count::Of { octets, digits },
            b'1'..=b'9' => octets = octets * 10 + usize::from(octet - b'0'),
            b'0' if digits > 0 => octets *= 10,
            _ => return Count::Bad,
        }
        if octets > COUNT_MAX {
            return Count::Bad;
        }
    }
    Count::More
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 12;

    /// What a connection brings: whole messages, then how it ends.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Brought {
        messages: Vec<(Vec<u8>, bool)>,
        bad_count: bool,
    }

    /// Gives the octets in pieces that end at `cuts`, and the end of the connection.
    fn bring(octets: &[u8], cuts: &[usize]) -> Brought {
        let mut brought = Brought::default();
        let mut inbox = Inbox::new(MAX);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (octets.len() + 1)).collect();
        ends.push(octets.len());
        ends.sort_unstable();
        let mut at = 0;
        for end in ends {
            while at < end {
                let space = inbox.space();
                assert!(!space.is_empty(), "no room after More");
                let piece = space.len().min(end - at);
                space[..piece].copy_from_slice(&octets[at..at + piece]);
                inbox.filled(piece);
                at += piece;
                loop {
                    match inbox.take_next() {
                        Next::Message(message) => {
                            let Message { payload, truncated } = message;
                            assert!(!payload.is_empty() && payload.len() <= MAX);
                            brought.messages.push((payload.to_vec(), truncated));
                        }
                        Next::More => break,
                        Next::BadCount => {
                            brought.bad_count = true;
                            return brought;
                        }
                    }
                }
            }
        }
        if let Some(Message { payload, truncated }) = inbox.rest() {
            assert!(truncated);
            brought.messages.push((payload.to_vec(), truncated));
        }
        brought
    }

    fn messages(octets: &[u8]) -> Vec<(String, bool)> {
        let brought = bring(octets, &[]);
        assert!(!brought.bad_count, "{}", octets.escape_ascii());
        let text = |octets| String::from_utf8(octets).expect("text");
        (brought.messages.into_iter())
            .map(|(octets, truncated)| (text(octets), truncated))
            .collect()
    }

    fn expect(octets: &[u8], wanted: &[(&str, bool)]) {
        let found = messages(octets);
        let found: Vec<_> = found.iter().map(|(text, cut)| (text.as_str(), *cut)).collect();
        assert_eq!(found, wanted, "{}", octets.escape_ascii());
    }

    #[test]
    fn counted_messages() {
        expect(b"3 <1>5 a\nb c", &[("<1>", false), ("a\nb c", false)]);
        // As long as may be, one longer, and what follows.
        expect(
            b"12 abcdefghijkl13 abcdefghijklm1 x",
            &[("abcdefghijkl", false), ("abcdefghijkl", true), ("x", false)],
        );
        // The end of the connection: in a message, in what is skipped, in a count, at a message's begin.
        expect(b"5 abc", &[("abc", true)]);
        expect(b"20 abcdefghijklmn", &[("abcdefghijkl", true)]);
        expect(b"1 a1", &[("a", false)]);
        expect(b"1 a7 ", &[("a", false)]);
        expect(b"", &[]);
    }

    #[test]
    fn lines() {
        expect(
            b"<1>a\n\r\n\n<2>b\r\nc\rd\n",
            &[("<1>a", false), ("<2>b", false), ("c\rd", false)],
        );
        expect(
            b"abcdefghijkl\nabcdefghijkl\r\nx\n",
            &[("abcdefghijkl", false), ("abcdefghijkl", false), ("x", false)],
        );
        expect(
            b"abcdefghijklm\nabcdefghijklm\r\nabcdefghijklmnopq\nx\n",
            &[
                ("abcdefghijkl", true),
                ("abcdefghijkl", true),
                ("abcdefghijkl", true),
                ("x", false),
            ],
        );
        // A line without its end may be a part of one.
        expect(b"<1>a\n<2>b", &[("<1>a", false), ("<2>b", true)]);
        // The first octet decides: counts in lines are text.
        expect(b"\n3 abc\n", &[("3 abc", false)]);
    }

    #[test]
    fn what_is_no_count_ends_the_reading() {
        for octets in [
            b"0 a".as_slice(),
            b"01 a",
            b"1a",
            b"12\n",
            b"1048577 a",
            b"99999999999999999999999999 a",
            b"2 ab ",
            b"2 ab<1>",
            b"2026-11-25 a line that begins with a digit\n",
        ] {
            assert!(bring(octets, &[]).bad_count, "{}", octets.escape_ascii());
        }
        let longest = [b"1048576 ".as_slice(), &vec![b'x'; COUNT_MAX], b"1 y"].concat();
        expect(&longest, &[("xxxxxxxxxxxx", true), ("y", false)]);
    }

    /// Octets in which counts, ends of lines and messages of about the bound's length are frequent.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..30),
            (0usize..40, 0usize..40).prop_map(|(count, really)| {
                [format!("{count} ").as_bytes(), &vec![b'm'; really]].concat()
            }),
            (1usize..40).prop_map(|count| [format!("{count} ").as_bytes(), &vec![b'm'; count]].concat()),
            (0usize..40).prop_map(|length| [&vec![b'l'; length], b"\n".as_slice()].concat()),
            (0usize..40).prop_map(|length| [&vec![b'l'; length], b"\r\n".as_slice()].concat()),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(octets in octets(), cuts in proptest::collection::vec(any::<usize>(), 0..20)) {
            prop_assert_eq!(bring(&octets, &cuts), bring(&octets, &[]));
            let one_by_one: Vec<usize> = (0..octets.len()).collect();
            prop_assert_eq!(bring(&octets, &one_by_one), bring(&octets, &[]));
        }

        #[test]
        fn what_is_sent_comes_out(texts in proptest::collection::vec("[a-z<> 0-9]{1,20}", 0..20), counted: bool) {
            let sent: Vec<u8> = if counted {
                texts.iter().flat_map(|text| format!("{} {text}", text.len()).into_bytes()).collect()
            } else {
                std::iter::once("\n".to_owned())
                    .chain(texts.iter().map(|text| format!("{text}\n")))
                    .flat_map(String::into_bytes)
                    .collect()
            };
            let wanted: Vec<_> = texts
                .iter()
                .map(|text| (text.as_bytes()[..text.len().min(MAX)].to_vec(), text.len() > MAX))
                .collect();
            prop_assert_eq!(bring(&sent, &[]).messages, wanted);
        }
    }
}
