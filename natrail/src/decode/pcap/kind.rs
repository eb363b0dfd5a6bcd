//! What a payload is.

use wire::packet::Datagram;

use crate::decode::MessageKind;

/// Where exporters of flow records send to by habit (IPFIX: RFC 7011 section 10.3.4).
const FLOW_PORTS: [u16; 5] = [2055, 4739, 9555, 9995, 9996];
const SYSLOG_PORTS: [u16; 2] = [514, 5140];
/// Authentication and accounting, new and old.
const RADIUS_PORTS: [u16; 4] = [1812, 1813, 1645, 1646];

/// As the output calls it.
pub const fn name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Syslog => "syslog",
        MessageKind::Netflow => "netflow",
        MessageKind::Radius => "radius",
    }
}

/// What the payload looks like; where it looks like nothing, the port decides.
pub fn of(datagram: &Datagram, payload: &[u8]) -> Option<MessageKind> {
    let ports = [datagram.destination_port, datagram.source_port];
    match payload {
        // No text begins with NUL, and no RADIUS code is 0.
        [0, 5 | 9 | 10, ..] => Some(MessageKind::Netflow),
        _ if is_radius(payload) && ports.iter().any(|port| RADIUS_PORTS.contains(port)) => {
            Some(MessageKind::Radius)
        }
        _ if is_text(payload) => Some(MessageKind::Syslog),
        _ if FLOW_PORTS.contains(&datagram.destination_port) => Some(MessageKind::Netflow),
        _ if SYSLOG_PORTS.contains(&datagram.destination_port) => Some(MessageKind::Syslog),
        _ => None,
    }
}

/// Code, identifier, and a length that fits (RFC 2865 section 3).
fn is_radius(payload: &[u8]) -> bool {
    match payload {
        [1..=5 | 11..=13 | 40..=45, _, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (20..=payload.len()).contains(&length)
        }
        _ => false,
    }
}

/// A priority, or characters at the begin.
fn is_text(payload: &[u8]) -> bool {
    const LOOKED_AT_OCTETS: usize = 32;
    let begin = &payload[..payload.len().min(LOOKED_AT_OCTETS)];
    match begin {
        [b'<', b'0'..=b'9', ..] => true,
        [] => false,
        _ => begin
            .iter()
            .all(|&octet| octet >= b' ' && octet != 0x7f || octet == b'\t'),
    }
}

#[cfg(test)]
mod tests {
    use wire::packet::Address;

    use super::*;

    #[test]
    fn the_payload_tells_and_else_the_port() {
        let to = |destination_port| Datagram {
            source: Address::V4([192, 0, 2, 1]),
            destination: Address::V4([192, 0, 2, 2]),
            source_port: 40_000,
            destination_port,
            ip: 14,
            udp: 34,
            udp_octets: 8,
            whole: true,
        };
        let mut radius = vec![4, 1, 0, 20];
        radius.resize(20, 9);
        for (port, payload, kind) in [
            (9, &[0, 9, 0, 1][..], Some(MessageKind::Netflow)),
            (514, &[0, 10, 0, 1], Some(MessageKind::Netflow)),
            (9, b"<134>1 - x", Some(MessageKind::Syslog)),
            (9, b"A VRF 0 6 INT", Some(MessageKind::Syslog)),
            (1813, &radius, Some(MessageKind::Radius)),
            (9, &radius, None),
            (2055, &[0], Some(MessageKind::Netflow)),
            (514, &[1, 2, 3], Some(MessageKind::Syslog)),
            (9, &[1, 2, 3], None),
            (9, b"", None),
        ] {
            assert_eq!(of(&to(port), payload), kind, "{payload:?} to {port}");
        }
    }
}
