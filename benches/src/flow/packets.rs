//! Datagrams of flow records, as full as a network's MTU lets them be.

use super::Records;
use crate::decode_lines::Random;

/// The records of a datagram: with the longest of the templates it has 1,400 octets.
pub const RECORDS_PER_DATAGRAM: usize = 36;
/// 4,608 records: few enough to stay in the cache, as a datagram that was just received does.
const DATAGRAMS: usize = 128;

const EXPORT_S: u32 = 1_748_520_000;

/// A template's datagram, and those of its records.
pub struct Packets {
    pub template: Vec<u8>,
    pub data: Vec<Vec<u8>>,
}

/// Element and octets.
type Field = (u16, u16);

const IPFIX_NAT44: [Field; 11] = [
    (323, 8),
    (230, 1),
    (8, 4),
    (225, 4),
    (4, 1),
    (7, 2),
    (227, 2),
    (12, 4),
    (11, 2),
    (229, 1),
    (234, 4),
];

const V9_NEL: [Field; 12] = [
    (8, 4),
    (225, 4),
    (12, 4),
    (226, 4),
    (7, 2),
    (227, 2),
    (11, 2),
    (228, 2),
    (234, 4),
    (4, 1),
    (230, 1),
    (323, 8),
];

pub fn make(records: Records) -> Packets {
    let mut random = Random::new(0x666c_6f77_0000 + records as u64);
    let (fields, set, id, created): (&[Field], u16, u16, u64) = match records {
        Records::IpfixNat44 => (&IPFIX_NAT44, 2, 256, 4),
        Records::V9Nel => (&V9_NEL, 0, 264, 1),
    };
    let mut template = vec![id, fields.len() as u16];
    template.extend(fields.iter().flat_map(|&(element, octets)| [element, octets]));
    let template: Vec<u8> = template.into_iter().flat_map(u16::to_be_bytes).collect();
    let data = (0..DATAGRAMS).map(|number| {
        let mut octets = Vec::new();
        for _ in 0..RECORDS_PER_DATAGRAM {
            for &(element, width) in fields {
                let value = value(&mut random, element, created);
                octets.extend_from_slice(&value.to_be_bytes()[8 - usize::from(width)..]);
            }
        }
        let sequence = match records {
            Records::IpfixNat44 => number * RECORDS_PER_DATAGRAM,
            Records::V9Nel => number + 1,
        };
        message(records, sequence as u32, id, &octets)
    });
    Packets {
        template: message(records, 0, set, &template),
        data: data.collect(),
    }
}

fn value(random: &mut Random, element: u16, created: u64) -> u64 {
    let mut below = |limit: u64| u64::from(random.below(limit as u32));
    match element {
        323 => u64::from(EXPORT_S) * 1000 + below(1000),
        230 => created + below(2),
        // Of 100.64.0.0/10 and 198.18.0.0/15.
        8 => 0x6440_0000 + below(1 << 22),
        225 => 0xc612_0000 + below(1 << 17),
        12 | 226 => 0x0808_0000 + below(1 << 16),
        4 => [6, 17][below(2) as usize],
        229 => 1,
        234 => [0, 0, 0, 12][below(4) as usize],
        _ => 1024 + below(64_000),
    }
}

/// A message with one set.
fn message(records: Records, sequence: u32, set: u16, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let mut message = Vec::new();
    match records {
        Records::IpfixNat44 => {
            message.extend([0, 10]);
            message.extend((16 + 4 + padded as u16).to_be_bytes());
        }
        Records::V9Nel => {
            message.extend([0, 9, 0, 1]);
            message.extend(3_600_000_u32.to_be_bytes());
        }
    }
    for word in [EXPORT_S, sequence, 7] {
        message.extend(word.to_be_bytes());
    }
    message.extend(set.to_be_bytes());
    message.extend((4 + padded as u16).to_be_bytes());
    message.extend(body);
    message.resize(message.len() + padded - body.len(), 0);
    message
}
