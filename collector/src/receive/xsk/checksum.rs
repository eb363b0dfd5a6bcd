//! The checksums of IPv4 (RFC 791) and UDP (RFC 768, RFC 8200 8.1), which the kernel's stack would have verified.

use wire::packet::{Address, Datagram};

const PROTOCOL_UDP: u64 = 17;

/// Whether the checksums in the packet are right. `datagram` is what `dissect` found in it, and whole.
pub fn is_right(packet: &[u8], datagram: &Datagram) -> bool {
    let Some(udp) = packet.get(datagram.udp..datagram.udp + datagram.udp_octets) else {
        return false;
    };
    let Some(&[high, low]) = udp.get(6..8) else {
        return false;
    };
    let has_checksum = [high, low] != [0, 0];
    match (datagram.source, datagram.destination) {
        (Address::V4(source), Address::V4(destination)) => {
            let Some(header) = packet.get(datagram.ip..datagram.udp) else {
                return false;
            };
            fold(sum(header)) == u16::MAX && (!has_checksum || is_zero_sum(&source, &destination, udp))
        }
        // Over IPv6 there is no datagram without one.
        (source, destination) => has_checksum && is_zero_sum(&source.mapped(), &destination.mapped(), udp),
    }
}

/// Whether pseudo header, UDP header and payload add up to what a right checksum makes of them.
fn is_zero_sum(source: &[u8], destination: &[u8], udp: &[u8]) -> bool {
    // Length and protocol stand in 16-bit words of the pseudo header, in network order like all else.
    let words = u64::from((udp.len() as u16).to_be()) + u64::from((PROTOCOL_UDP as u16).to_be());
    fold(sum(source) + sum(destination) + words + sum(udp)) == u16::MAX
}

/// The sum of 16-bit words of RFC 1071, in the machine's order (which does not matter to it) and not folded yet: eight
/// octets at a time. Octets that are missing at the end count as 0.
fn sum(octets: &[u8]) -> u64 {
    let (chunks, rest) = octets.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // 65,535 octets are 8,192 words of 8: two halves of 32 bits each cannot overflow 64.
    (chunks.iter().chain([&last]))
        .map(|chunk| u64::from_ne_bytes(*chunk))
        .map(|word| (word & 0xffff_ffff) + (word >> 32))
        .sum()
}

/// The sum as one 16-bit word, carries added again.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use wire::packet::samples::PlainFrame;
    use wire::packet::{Content, dissect};

    use super::*;

    fn right(frame: &[u8]) -> bool {
        match dissect(frame) {
            Content::Datagram(datagram) if datagram.whole => is_right(frame, &datagram),
            content => panic!("no whole datagram: {content:?}"),
        }
    }

    fn frames(payload: usize) -> [Vec<u8>; 3] {
        let v4 = PlainFrame::new([192, 0, 2, 1], [198, 51, 100, 7]);
        let v6 = PlainFrame::new(
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1],
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2],
        );
        let options = PlainFrame {
            option_words: 3,
            ..v4
        };
        [v4, v6, options].map(|frame| {
            PlainFrame {
                payload,
                padding: 9,
                ..frame
            }
            .build()
        })
    }

    #[test]
    fn zero_is_no_checksum_over_ipv4_and_a_wrong_one_over_ipv6() {
        let [v4, v6, _] = frames(20);
        for (mut frame, udp, expected) in [(v4, 34, true), (v6, 54, false)] {
            frame[udp + 6..udp + 8].fill(0);
            assert_eq!(right(&frame), expected);
        }
    }

    #[test]
    fn what_a_sender_left_to_hardware_is_wrong() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let mut frame = PlainFrame {
            payload: 4,
            ..PlainFrame::new(source, [198, 51, 100, 7])
        }
        .build();
        // The sum of the pseudo header alone, as Linux leaves it there.
        let pseudo = [192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0, 12];
        frame[40..42].copy_from_slice(&fold(sum(&pseudo)).to_ne_bytes());
        assert!(!right(&frame));
    }

    proptest! {
        #[test]
        fn right_ones_are_right_and_one_flipped_bit_is_noticed(payload in 0usize..300, bit in any::<prop::sample::Index>()) {
            for frame in frames(payload) {
                prop_assert!(right(&frame));
                let Content::Datagram(datagram) = dissect(&frame[..]) else { unreachable!("it is one") };
                // Header checksum of IPv4, and all of UDP but ports and length: those make it another datagram.
                let udp = datagram.udp + 6..datagram.udp + datagram.udp_octets;
                let at = udp.start * 8 + bit.index(udp.len() * 8);
                let mut flipped = frame.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                // A checksum that becomes 0 says that there is none.
                if flipped[udp.start..udp.start + 2] != [0, 0] {
                    prop_assert!(!right(&flipped), "bit {}", at);
                }
                if matches!(datagram.source, Address::V4(_)) {
                    let mut flipped = frame.clone();
                    flipped[datagram.ip + 8] ^= 1 << (at % 8);
                    prop_assert!(!right(&flipped), "hop limit");
                }
            }
        }
    }
}
