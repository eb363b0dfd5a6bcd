//! Datagrams, as exporters make them.

/// Seconds of the header's time.
pub const EXPORT_S: u32 = 1_748_520_000;
pub const UPTIME_MS: u32 = 3_600_000;

/// A message of NetFlow v9 with these sets.
pub fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend([0, 9]);
    message.extend((sets.len() as u16).to_be_bytes());
    message.extend(UPTIME_MS.to_be_bytes());
    message.extend(EXPORT_S.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(7_u32.to_be_bytes());
    message.extend(sets.concat());
    message
}

/// A message of IPFIX with these sets.
pub fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut message = vec![0, 10];
    message.extend((body.len() as u16 + 16).to_be_bytes());
    message.extend(EXPORT_S.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(7_u32.to_be_bytes());
    message.extend(body);
    message
}

/// A set, padded to a multiple of four octets.
pub fn set(id: u16, octets: &[u8]) -> Vec<u8> {
    let mut body = octets.to_vec();
    body.resize(octets.len().next_multiple_of(4), 0);
    let mut set = id.to_be_bytes().to_vec();
    set.extend((body.len() as u16 + 4).to_be_bytes());
    set.extend(body);
    set
}

/// A template with fields of (element, octets).
pub fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let words = [id, fields.len() as u16].into_iter();
    words
        .chain(fields.iter().flat_map(|&(element, octets)| [element, octets]))
        .flat_map(u16::to_be_bytes)
        .collect()
}

/// A record: numbers and addresses in the widths of the fields.
pub fn record(fields: &[(u16, u16)], values: &[u128]) -> Vec<u8> {
    assert_eq!(fields.len(), values.len());
    let each = fields.iter().zip(values);
    each.flat_map(|(&(_, octets), value)| value.to_be_bytes()[16 - usize::from(octets)..].to_vec())
        .collect()
}

/// An IPv4 address as a value.
pub fn v4(text: &str) -> u128 {
    u32::from(text.parse::<std::net::Ipv4Addr>().unwrap()).into()
}

/// An IPv6 address as a value.
pub fn v6(text: &str) -> u128 {
    text.parse::<std::net::Ipv6Addr>().unwrap().into()
}
