//! What is sent: datagrams of an exact size, each with a number of its own.

use harness::live::Mark;

/// A payload, and where its number is.
#[derive(Debug)]
pub struct Payload {
    pub octets: Vec<u8>,
    pub mark: Mark,
}

/// A line of NFWare's CGNAT behind an RFC 5424 header, whose structured data fill it up to `octets`, at least 147.
pub fn syslog(octets: usize) -> Payload {
    const HEAD: &str = "<134>1 2026-03-01T12:00:00.000000Z cgn1 nat - ";
    const LINE: &str = "A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT";
    // The number is the message's identifier: eight digits at an even place.
    debug_assert!(HEAD.len().is_multiple_of(2));
    let bare = format!("{HEAD}00000000 [f@1 x=\"\"] {LINE}").len();
    let filling = ".".repeat(octets.saturating_sub(bare));
    Payload {
        octets: format!("{HEAD}00000000 [f@1 x=\"{filling}\"] {LINE}").into_bytes(),
        mark: Mark::Hex(HEAD.len()),
    }
}

/// A NetFlow v9 packet (RFC 3954) with its template and as many NAT records as fit, filled up to `octets`. Its number is
/// the sequence number.
pub fn netflow(octets: usize) -> Payload {
    /// Element and length: addresses and ports inside, outside (RFC 8158), and of the remote end.
    const FIELDS: [(u16, u16); 7] = [(8, 4), (225, 4), (12, 4), (7, 2), (227, 2), (11, 2), (4, 1)];
    const RECORD: usize = 19;
    const TEMPLATE: u16 = 256;
    let template = 8 + 4 * FIELDS.len();
    let records = (octets - 20 - template - 4) / RECORD;
    let mut packet = Vec::with_capacity(octets);
    let mut word = |value: u16| packet.extend(value.to_be_bytes());
    word(9);
    word(1 + records as u16);
    // Uptime, time, sequence number, source.
    [0, 1000, 0x69a4, 0x2b40, 0, 0, 0, 7]
        .into_iter()
        .for_each(&mut word);
    [0, template as u16, TEMPLATE, FIELDS.len() as u16]
        .into_iter()
        .for_each(&mut word);
    for (element, length) in FIELDS {
        word(element);
        word(length);
    }
    word(TEMPLATE);
    word((octets - 20 - template) as u16);
    for record in 0..records {
        packet.extend([10, 0, 0, record as u8, 100, 64, 0, 1, 185, 165, 123, 206]);
        packet.extend([0xe2, 0x52, 0x6f, 0x3b, 1, 187, 6]);
    }
    packet.resize(octets, 0);
    Payload {
        octets: packet,
        mark: Mark::Binary(12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_and_padding_is_no_record() {
        for octets in [150, 1000] {
            assert_eq!(syslog(octets).octets.len(), octets);
            let packet = netflow(octets).octets;
            assert_eq!(packet.len(), octets);
            // Header, template flow set with seven fields, and the header of the data flow set.
            let records = usize::from(packet[3]) - 1;
            let padding = octets - 20 - 36 - 4 - 19 * records;
            assert!(records > 0 && padding < 19, "{records} {padding}");
        }
    }
}
