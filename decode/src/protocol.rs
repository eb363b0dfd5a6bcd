//! Protocols as devices name them.

use crate::DecodeError;
use crate::bytes::Cursor;

/// Names of IANA protocol numbers, in lower case. `icmp6` and `ipv6-icmp` are other names of `icmpv6`.
const NAMES: [(&[u8], u8); 18] = [
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
    (b"l2tp", 115),
    (b"sctp", 132),
    (b"udplite", 136),
];

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// Reads all of `text` as a protocol's name, in upper or lower case, or its number.
#[inline]
pub(crate) fn named(text: &[u8]) -> Result<u8, DecodeError> {
    match text {
        b"TCP" | b"tcp" => Ok(TCP),
        b"UDP" | b"udp" => Ok(UDP),
        b"ICMP" | b"icmp" => Ok(ICMP),
        _ => other(text),
    }
}

fn other(text: &[u8]) -> Result<u8, DecodeError> {
    let mut number = Cursor::new(text);
    if let Ok(protocol) = number.protocol()
        && number.is_empty()
    {
        return Ok(protocol);
    }
    let known = NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|&(_, number)| number).ok_or(DecodeError::BadProtocol)
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
    fn names_and_numbers() {
        for (text, number) in [
            ("TCP", 6),
            ("tcp", 6),
            ("Udp", 17),
            ("ICMPv6", 58),
            ("IPv6-ICMP", 58),
            ("GRE", 47),
            ("0", 0),
            ("255", 255),
        ] {
            assert_eq!(named(text.as_bytes()), Ok(number), "{text}");
        }
        for text in ["", "256", "06", "6 ", "tc", "TCPX", "-1", "unknown"] {
            assert_eq!(named(text.as_bytes()), Err(DecodeError::BadProtocol), "{text}");
        }
    }
}
