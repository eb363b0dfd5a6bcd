//! Protocols as devices write them.

use crate::DecodeError;
use crate::bytes::Cursor;

/// The IANA number of a protocol that is named (`TCP`, `udp`, `ICMPv6`) or numbered; the case does not matter.
#[inline]
pub(crate) fn number(text: &[u8]) -> Result<u8, DecodeError> {
    match text {
        b"TCP" | b"tcp" => Ok(6),
        b"UDP" | b"udp" => Ok(17),
        b"ICMP" | b"icmp" => Ok(1),
        _ => other(text),
    }
}

#[cold]
fn other(text: &[u8]) -> Result<u8, DecodeError> {
    const NAMES: [(&[u8], u8); 17] = [
        (b"icmp", 1),
        (b"igmp", 2),
        (b"ipip", 4),
        (b"ipencap", 4),
        (b"tcp", 6),
        (b"udp", 17),
        (b"dccp", 33),
        (b"ipv6", 41),
        (b"gre", 47),
        (b"esp", 50),
        (b"ah", 51),
        (b"icmpv6", 58),
        (b"icmp6", 58),
        (b"ipv6-icmp", 58),
        (b"ospf", 89),
        (b"sctp", 132),
        (b"udplite", 136),
    ];
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(*number);
    }
    let mut cursor = Cursor::new(text);
    match cursor.protocol() {
        Ok(number) if cursor.is_empty() => Ok(number),
        _ => Err(DecodeError::BadProtocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_and_numbers() {
        for (text, expected) in [
            ("TCP", 6),
            ("Udp", 17),
            ("ICMPv6", 58),
            ("GRE", 47),
            ("255", 255),
            ("0", 0),
        ] {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["", "TCPX", "256", "06", "6 ", "-"] {
            assert_eq!(number(text.as_bytes()), Err(DecodeError::BadProtocol), "{text}");
        }
    }
}
