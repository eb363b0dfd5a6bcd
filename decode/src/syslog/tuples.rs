//! Which ends the two tuples of a tracked connection name.
//!
//! Connection tracking knows a connection by the tuple of its first packet and by the one that replies are expected
//! to have. Where the reply is no mirror of the original, one end was translated.

use std::net::IpAddr;

use event::{Action, Event, Kind};

use super::session::roles;

/// One end: its address, and its port or what stands in a port's place.
pub(crate) type End = (IpAddr, Option<u16>);

/// The source and the destination of one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuple {
    pub source: End,
    pub destination: End,
}

/// The session of a connection; `None` if nothing was translated.
///
/// Source translation decides where there are both: the remote end is then the one that the outside knows. If only
/// the destination was translated, the inside end is the translated destination.
pub(crate) fn session(action: Action, protocol: u8, original: Tuple, reply: Tuple) -> Option<Event<'static>> {
    let [inside, outside, remote] = roles(
        (original.source, original.destination),
        (reply.destination, reply.source),
    )?;
    let mut event = Event::new(Kind::Session, action, inside.0, Some(outside.0));
    event.protocol = Some(protocol);
    (event.src_port, event.x_port) = (inside.1, outside.1);
    (event.dst_ip, event.dst_port) = (Some(remote.0), remote.1);
    Some(event)
}
