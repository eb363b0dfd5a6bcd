//! Syslog messages of NAT devices.

use event::Event;

use crate::{DecodeError, Outcome, Profile};

/// Longest message that is decoded, in octets. RFC 5424 section 6.1 asks for 2,048.
pub const MAX_LINE_BYTES: usize = 8192;

/// Decodes one message and gives its events to `sink`.
///
/// `message` is one datagram's payload, or one line: trailing NUL, CR, LF and blanks are stripped.
/// On `Err` nothing went to the sink.
pub fn decode(
    _profile: Profile,
    message: &[u8],
    _sink: impl FnMut(&Event<'_>),
) -> Result<Outcome, DecodeError> {
    let _ = message;
    Err(DecodeError::UnknownFormat)
}
