//! Sessions as devices see them: both ends, before and after translation.

use event::{Action, Event, Kind};

use crate::Outcome;
use crate::endpoint::End;

/// The four ends and what happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub action: Action,
    pub protocol: u8,
    pub source: End,
    pub destination: End,
    pub nat_source: End,
    pub nat_destination: End,
}

impl Session {
    /// The session's event, without a time; `None` if it is not translated.
    ///
    /// Where only the destination is translated (port forwarding), the translated destination is the inside, the
    /// original one the outside, and the source the remote end.
    #[inline]
    pub(super) fn event<'a>(&self) -> Option<Event<'a>> {
        let [inside, outside, remote] = roles(
            (self.source, self.destination),
            (self.nat_source, self.nat_destination),
        )?;
        Some(session(self.action, self.protocol, inside, outside, remote))
    }
}

/// The inside, outside and remote end of a session whose source and destination are given before and after translation;
/// `None` if nothing was translated. Source translation decides where there are both.
#[inline]
pub(super) fn roles<End: Copy + PartialEq>(before: (End, End), after: (End, End)) -> Option<[End; 3]> {
    if after.0 != before.0 {
        Some([before.0, after.0, after.1])
    } else if after.1 != before.1 {
        Some([after.1, before.1, before.0])
    } else {
        None
    }
}

/// The event of a session whose ends have their roles already.
#[inline]
pub(super) fn session<'a>(action: Action, protocol: u8, inside: End, outside: End, remote: End) -> Event<'a> {
    let mut event = port(action, Some(protocol), inside, outside);
    event.kind = Kind::Session;
    (event.dst_ip, event.dst_port) = (Some(remote.0), Some(remote.1));
    event
}

/// The event of a port mapping.
#[inline]
pub(super) fn port<'a>(action: Action, protocol: Option<u8>, inside: End, outside: End) -> Event<'a> {
    let mut event = Event::new(Kind::Port, action, inside.0, Some(outside.0));
    event.protocol = protocol;
    (event.src_port, event.x_port) = (Some(inside.1), Some(outside.1));
    event
}

/// Gives a message's only event to the sink.
#[inline]
pub(crate) fn one(event: &Event<'_>, sink: &mut impl FnMut(&Event<'_>)) -> Outcome {
    sink(event);
    Outcome::Events(1)
}

/// Whether the event's outside end differs from its inside end.
#[inline]
pub(crate) fn is_translated(event: &Event<'_>) -> bool {
    (Some(event.src_ip), event.src_port) != (event.x_ip, event.x_port)
}
