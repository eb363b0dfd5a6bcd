//! Formats that the operator defines: regular expressions whose named groups are the fields of an event.
//!
//! A pattern that matches claims the message, wherever in it it matches: what is wrong with a field is then an error, as
//! it is with the known formats. Matching takes time linear in the message (the `regex` crate has no backtracking).

mod group;
mod words;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use event::{Action, Event, Kind, Text, TimeSource};
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use crate::bytes::{Cursor, all, hexadecimal};
use crate::said::Said;
use crate::syslog::{frame, session};
use crate::value::{Value, plain};
use crate::written::{self, Written};
use crate::{DecodeError, Ignored, Outcome, address, protocol};
use group::{Group, Groups};
pub use words::{EventWord, WORD_BYTES_MAX, Words};

/// Longest pattern, in octets.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Most memory of a compiled pattern, in octets.
pub const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Most memory that a pattern may have for states that it makes while it is used, in octets.
const STATES_BYTES_MAX: usize = 1 << 20;

/// What a pattern's text does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What all lines of the pattern say, for one without the group `event`.
    pub event: Option<Action>,
    /// Ports are written as hexadecimal numbers, `0x` before them or not.
    pub hex_ports: bool,
    pub words: Arc<Words>,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Where the groups of the last match are.
    locations: CaptureLocations,
    groups: Groups,
    kind: Kind,
    options: Options,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Says what is wrong: its syntax, its size, a group that is not known, one that is missing.
    pub fn new(text: &str, options: Options) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "it has {} octets; at most {PATTERN_BYTES_MAX} are allowed",
                text.len()
            ));
        }
        // Devices write ASCII digits and letters: `\d` is no other, and the pattern stays small.
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(STATES_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("it is too big: compiled it needs more than {limit} octets; repeat less")
                }
                other => other.to_string(),
            })?;
        let groups = Groups::new(regex.capture_names())?;
        let kind = groups.kind()?;
        match (groups.index(Group::Event), options.event) {
            (None, None) => {
                return Err("it has no group event: add one, or say event = \"created\" beside it".into());
            }
            (Some(_), Some(_)) => {
                return Err("it has the group event, and event = … beside it: leave one out".into());
            }
            _ => {}
        }
        Ok(Self {
            locations: regex.capture_locations(),
            regex,
            groups,
            kind,
            options,
        })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// The kind of mapping that it describes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it says where a line ends. If not, a line that is cut in its last field may look whole.
    pub fn has_end(&self) -> bool {
        let text = self.as_str();
        text.ends_with("\\z") || text.ends_with('$') && !text.ends_with("\\$")
    }

    /// Decodes a stripped message, if the pattern claims it.
    pub(crate) fn decode(
        &mut self,
        message: &[u8],
        said: &Said<'_>,
        sink: &mut impl FnMut(&Event<'_>),
    ) -> Option<Result<Outcome, DecodeError>> {
        self.regex.captures_read(&mut self.locations, message)?;
        let fields = Fields {
            pattern: self,
            message,
        };
        Some(fields.event(said).map(|event| match event {
            Ok(event) => session::one(&event, sink),
            Err(why) => Outcome::Ignored(why),
        }))
    }
}

/// A message that a pattern matches.
struct Fields<'a> {
    pattern: &'a Pattern,
    message: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The event, or why the message is none.
    fn event(&self, said: &Said<'_>) -> Result<Result<Event<'a>, Ignored>, DecodeError> {
        str::from_utf8(self.message).map_err(|_| DecodeError::NotUtf8)?;
        let action = match self.action()? {
            EventWord::Mapping(action) => action,
            EventWord::Ignored => return Ok(Err(Ignored::NotAMapping)),
        };
        let kind = self.pattern.kind;
        let inside = self.address(Group::SrcIp)?.ok_or(DecodeError::MissingField)?;
        let outside = self.address(Group::XIp)?.ok_or(DecodeError::MissingField)?;
        let mut event = Event::new(kind, action, inside, Some(outside));
        event.protocol = self.protocol()?;
        if kind == Kind::Block {
            let (first, last) = self.range()?;
            (event.start_port, event.end_port) = (Some(first), Some(last));
        } else {
            (event.src_port, event.x_port) = (self.port(Group::SrcPort)?, self.port(Group::XPort)?);
            event.dst_ip = self.address(Group::DstIp)?;
            event.dst_port = self.port(Group::DstPort)?;
            check_ports(&event)?;
        }
        event.vrf = self.name(Group::Vrf)?;
        event.subscriber = self.name(Group::Subscriber)?;
        self.stamp(&mut event, said)?;
        Ok(if session::is_translated(&event) {
            Ok(event)
        } else {
            Err(Ignored::NotTranslated)
        })
    }

    fn action(&self) -> Result<EventWord, DecodeError> {
        if let Some(action) = self.pattern.options.event {
            return Ok(EventWord::Mapping(action));
        }
        let word = self.value(Group::Event).ok_or(DecodeError::MissingField)?;
        // An unknown word is never "created".
        self.pattern
            .options
            .words
            .event(word)
            .ok_or(DecodeError::Malformed)
    }

    /// The octets of a group; `None` where the pattern has it not, where it took no part in the match, and where it is
    /// empty or the nil value `-`.
    fn value(&self, group: Group) -> Option<&'a [u8]> {
        self.place(group).map(|place| &self.message[place])
    }

    fn place(&self, group: Group) -> Option<Range<usize>> {
        let index = self.pattern.groups.index(group)?;
        let (start, end) = self.pattern.locations.get(index)?;
        let is_there = !matches!(&self.message[start..end], [] | [b'-']);
        is_there.then_some(start..end)
    }

    /// [`Self::value`] of a number or an address, which must not be part of a longer one.
    fn whole(&self, group: Group, error: DecodeError) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some(place) = self.place(group) else {
            return Ok(None);
        };
        let is_digit = |at: usize| self.message.get(at).is_some_and(u8::is_ascii_digit);
        let cuts_number = |at: usize| at > 0 && is_digit(at - 1) && is_digit(at);
        if cuts_number(place.start) || cuts_number(place.end) {
            return Err(error);
        }
        Ok(Some(&self.message[place]))
    }

    fn address(&self, group: Group) -> Result<Option<IpAddr>, DecodeError> {
        let value = self.whole(group, DecodeError::BadAddress)?;
        value.map(address::whole).transpose()
    }

    fn port(&self, group: Group) -> Result<Option<u16>, DecodeError> {
        let Some(value) = self.whole(group, DecodeError::BadPort)? else {
            return Ok(None);
        };
        let port = if self.pattern.options.hex_ports {
            let digits = value.strip_prefix(b"0x").unwrap_or(value);
            hexadecimal(digits)
                .filter(|_| digits.len() <= 4)
                .and_then(|port| u16::try_from(port).ok())
        } else {
            all(value, Cursor::port).ok()
        };
        port.map(Some).ok_or(DecodeError::BadPort)
    }

    fn protocol(&self) -> Result<Option<u8>, DecodeError> {
        let Some(word) = self.value(Group::Protocol) else {
            return Ok(None);
        };
        let number = self.pattern.options.words.protocol(word);
        number.map(Some).ok_or(DecodeError::BadProtocol)
    }

    fn range(&self) -> Result<(u16, u16), DecodeError> {
        let first = self.port(Group::StartPort)?.ok_or(DecodeError::MissingField)?;
        let last = match self.port(Group::PortCount)? {
            Some(count) => count.checked_sub(1).and_then(|more| first.checked_add(more)),
            None => Some(self.port(Group::EndPort)?.ok_or(DecodeError::MissingField)?),
        };
        let last = last.filter(|last| *last >= first).ok_or(DecodeError::BadRange)?;
        Ok((first, last))
    }

    fn name(&self, group: Group) -> Result<Option<Text<'a>>, DecodeError> {
        self.value(group).map(plain).transpose()
    }

    fn stamp(&self, event: &mut Event<'_>, said: &Said<'_>) -> Result<(), DecodeError> {
        frame::read(self.message, Some(said)).header.stamp(event);
        if let Some(time_ns) = self.time(Group::Time, said)? {
            event.time_ns = Some(time_ns);
            event.time_source = TimeSource::DeviceEvent;
        }
        let start_ns = self.time(Group::MappingStart, said)?;
        event.mapping_start_ns = start_ns.filter(|_| start_ns != event.time_ns);
        Ok(())
    }

    /// A time; `None` where it is not absolute. Digits alone are a count of seconds, or of smaller units, since 1970.
    fn time(&self, group: Group, said: &Said<'_>) -> Result<Option<i64>, DecodeError> {
        let Some(text) = self.value(group) else {
            return Ok(None);
        };
        if text.iter().all(u8::is_ascii_digit) {
            let count = Value::new(text, text.len()).count()?;
            return written::epoch(text.len(), count)
                .map(Some)
                .ok_or(DecodeError::BadTime);
        }
        let mut cursor = Cursor::new(text);
        match Written::take(&mut cursor) {
            Some(written) if cursor.is_empty() => Ok(written.moment(said.zone, said.received_ns)),
            _ => Err(DecodeError::BadTime),
        }
    }
}

/// A mapping has the ports that its pattern names, unless its protocol has none.
fn check_ports(event: &Event<'_>) -> Result<(), DecodeError> {
    let may_lack = event
        .protocol
        .is_some_and(|number| !protocol::has_ports(number) && !protocol::is_icmp(number));
    let ends = event.src_port.is_some() && event.x_port.is_some();
    let whole = match event.kind {
        Kind::Session => {
            let no_ports = event.src_port.is_none() && event.x_port.is_none() && event.dst_port.is_none();
            let remote_port = event.dst_port.is_some() || event.protocol.is_some_and(protocol::is_icmp);
            event.dst_ip.is_some() && (ends && (remote_port || may_lack) || no_ports && may_lack)
        }
        Kind::Port => ends,
        Kind::Block | Kind::Address => true,
    };
    if whole {
        Ok(())
    } else {
        Err(DecodeError::MissingField)
    }
}
