//! One NAT event, borrowed from the message that announced it.

use std::borrow::Cow;
use std::net::IpAddr;

/// What kind of mapping an event is about. The numbers are stable: they index tables and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// One translated session, with its remote end.
    Session = 0,
    /// Inside address and port to outside address and port (BIB, endpoint-independent mapping).
    Port = 1,
    /// A range of outside ports given to one inside address.
    Block = 2,
    /// One to one, without ports.
    Address = 3,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Session, Self::Port, Self::Block, Self::Address];

    /// The field's name for the kind, as in `session-mapping`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session-mapping",
            Self::Port => "port-mapping",
            Self::Block => "port-block-mapping",
            Self::Address => "address-mapping",
        }
    }
}

/// What happened to the mapping. The numbers are those of cgn-ec's `event` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    Created = 1,
    Deleted = 2,
    /// Still in force (interim, keep-alive): no new allocation, but it opens the mapping if the creation was lost.
    Updated = 3,
}

impl Action {
    /// `created`, `deleted` or `updated`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::Updated => "updated",
        }
    }
}

/// Where an event's time comes from. The numbers are those of the `time_source` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimeSource {
    /// No absolute device time in the message: the receive time stands for it.
    Receive = 0,
    /// The header of the message (RFC 5424 timestamp with offset, flow header seconds).
    DeviceHeader = 1,
    /// A field of the event itself (epoch, observation time).
    DeviceEvent = 2,
}

impl TimeSource {
    /// `receive`, `device_header` or `device_event`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::DeviceHeader => "device_header",
            Self::DeviceEvent => "device_event",
        }
    }
}

/// Text as the device wrote it, perhaps with the backslash escapes of RFC 5424 section 6.3.3 still in it.
///
/// Unescaping is left to whoever stores the text, so that decoding allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Text without escapes.
    pub const fn plain(raw: &'a str) -> Self {
        Self { raw, escaped: false }
    }

    /// Text in which `\"`, `\\` and `\]` stand for `"`, `\` and `]`.
    pub const fn escaped(raw: &'a str) -> Self {
        Self { raw, escaped: true }
    }

    /// Appends the text, unescaped, to `out`.
    pub fn push_to(self, out: &mut Vec<u8>) {
        if !self.escaped {
            out.extend_from_slice(self.raw.as_bytes());
            return;
        }
        let mut bytes = self.raw.bytes().peekable();
        while let Some(byte) = bytes.next() {
            // RFC 5424: a backslash before any other character stands for itself.
            let escapes = byte == b'\\' && matches!(bytes.peek(), Some(b'"' | b'\\' | b']'));
            out.push(if escapes {
                bytes.next().unwrap_or(byte)
            } else {
                byte
            });
        }
    }

    /// The text, unescaped.
    pub fn to_str(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.push_to(&mut out);
        // Only ASCII backslashes were taken out, so what is left is still UTF-8.
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }
}

/// One NAT event. Absent is `None`; ports, ranges and the protocol are in host byte order.
///
/// A decoder promises: addresses are not unspecified (`0.0.0.0`, `::` are no translation), a block has
/// `start_port <= end_port`, and no text contains NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub kind: Kind,
    pub action: Action,
    /// IANA protocol number; `None`: all protocols, or not stated.
    pub protocol: Option<u8>,
    /// Inside (subscriber) end.
    pub src_ip: IpAddr,
    /// Inside port; the query identifier for ICMP.
    pub src_port: Option<u16>,
    /// Outside (translated) end. `None` only where a device's delete names the inside alone.
    pub x_ip: Option<IpAddr>,
    /// Outside port; the query identifier for ICMP.
    pub x_port: Option<u16>,
    /// Remote end as addressed on the outside.
    pub dst_ip: Option<IpAddr>,
    pub dst_port: Option<u16>,
    /// First and last outside port of a block, both included.
    pub start_port: Option<u16>,
    pub end_port: Option<u16>,
    /// Only for strided blocks (step > 1): start, start+step, … up to end.
    pub port_step: Option<u16>,
    /// VRF, route domain, partition or whatever the device calls it, as written.
    pub vrf: Option<Text<'a>>,
    /// User name or whatever identifies the line beyond the address.
    pub subscriber: Option<Text<'a>>,
    /// Device time in ns since 1970 (UTC), only if the message carries an unambiguous absolute time.
    pub time_ns: Option<i64>,
    pub time_source: TimeSource,
    /// Begin of the mapping in ns since 1970 (UTC), where the message states one that is not `time_ns`.
    pub mapping_start_ns: Option<i64>,
}

impl Event<'_> {
    /// An event of which only kind, action and the two addresses are known yet.
    pub const fn new(kind: Kind, action: Action, src_ip: IpAddr, x_ip: Option<IpAddr>) -> Self {
        Self {
            kind,
            action,
            protocol: None,
            src_ip,
            src_port: None,
            x_ip,
            x_port: None,
            dst_ip: None,
            dst_port: None,
            start_port: None,
            end_port: None,
            port_step: None,
            vrf: None,
            subscriber: None,
            time_ns: None,
            time_source: TimeSource::Receive,
            mapping_start_ns: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once_and_only_where_rfc_5424_has_them() {
        let text = Text::escaped(r#"a\"b\\c\]d\ne\"#);
        assert_eq!(text.to_str(), r#"a"b\c]d\ne\"#);
        assert_eq!(Text::plain(r"a\]b").to_str(), r"a\]b");
    }
}
