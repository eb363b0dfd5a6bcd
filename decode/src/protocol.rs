//! Protocols as devices write them.

use crate::DecodeError;
use crate::bytes::Cursor;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// The IANA number of a protocol that is named (`TCP`, `udp`, `ICMPv6`) or numbered; the case does not matter.
#[inline]
pub(crate) fn number(text: &[u8]) -> Result<u8, DecodeError> {
    match text {
        b"TCP" | b"tcp" => Ok(TCP),
        b"UDP" | b"udp" => Ok(UDP),
        b"ICMP" | b"icmp" => Ok(ICMP),
        _ => other(text),
    }
}

#[cold]
fn other(text: &[u8]) -> Result<u8, DecodeError> {
    const NAMES: [(&[u8], u8); 19] = [
        (b"icmp", 1),
        (b"igmp", 2),
        (b"ipip", 4),
        (b"ipencap", 4),
        (b"tcp", 6),
        (b"udp", 17),
        (b"dccp", 33),
        (b"ipv6", 41),
        (b"rsvp", 46),
        (b"gre", 47),
        (b"esp", 50),
        (b"ah", 51),
        (b"icmpv6", 58),
        (b"icmp6", 58),
        (b"ipv6-icmp", 58),
        (b"ospf", 89),
        (b"l2tp", 115),
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

/// Whether every packet of the protocol has ports.
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | 33 | 132 | 136)
}

/// Whether the protocol is ICMP of either family, whose queries have an identifier and no ports.
pub(crate) const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
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
            ("IPv6-ICMP", 58),
            ("GRE", 47),
            ("255", 255),
            ("0", 0),
        ] {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["", "tc", "TCPX", "256", "06", "6 ", "-", "-1", "unknown"] {
            assert_eq!(number(text.as_bytes()), Err(DecodeError::BadProtocol), "{text}");
        }
    }
}
