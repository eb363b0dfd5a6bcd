//! Sessions as devices see them: both ends, before and after translation.

use event::{Action, Event, Kind};

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
        let (inside, outside, remote) = if self.nat_source != self.source {
            (self.source, self.nat_source, self.nat_destination)
        } else if self.nat_destination != self.destination {
            (self.nat_destination, self.destination, self.source)
        } else {
            return None;
        };
        Some(session(self.action, self.protocol, inside, outside, remote))
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
