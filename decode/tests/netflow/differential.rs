//! Generated NetFlow v9 and IPFIX: our reading of every field of every record beside that of the netflow_parser crate.

use decode::netflow::{Datagram, Exporters, Header, Origin, Profile, Record, Sink};
use event::Event;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};
use proptest::prelude::*;

use crate::build;
use crate::seen::EXPORTER;

/// The octets of each field of each record.
type Records = Vec<Vec<Vec<u8>>>;

#[derive(Default)]
struct Ours(Records);

impl Sink for Ours {
    const RECORDS: bool = true;

    fn event(&mut self, _event: &Event<'_>, _origin: Origin) {}

    fn record(&mut self, _header: &Header, record: Record<'_>, _origin: Origin) {
        self.0
            .push(record.fields().map(|(_, octets)| octets.to_vec()).collect());
    }
}

fn ours(datagrams: &[Vec<u8>]) -> Records {
    let mut exporters = Exporters::default();
    let mut ours = Ours::default();
    for (payload, tag) in datagrams.iter().zip(0..) {
        let datagram = Datagram {
            exporter: EXPORTER,
            received_ns: 0,
            tag,
            payload,
        };
        exporters.decode(Profile::Auto, &datagram, &mut ours);
    }
    ours.0
}

fn theirs(datagrams: &[Vec<u8>]) -> Records {
    let mut parser = NetflowParser::default();
    let mut records = Records::new();
    let octets = |value: &FieldValue| {
        let mut octets = Vec::new();
        value.write_be_bytes(&mut octets).unwrap();
        octets
    };
    for datagram in datagrams {
        let result = parser.parse_bytes(datagram);
        assert!(result.is_ok(), "{:?}", result.error);
        for packet in result.packets {
            match packet {
                NetflowPacket::IPFix(message) => {
                    for set in message.flowsets {
                        if let ipfix::FlowSetBody::Data(data) = set.body {
                            let all = data.fields.iter();
                            records.extend(
                                all.map(|fields| fields.iter().map(|(_, value)| octets(value)).collect()),
                            );
                        }
                    }
                }
                NetflowPacket::V9(message) => {
                    for set in message.flowsets {
                        if let v9::FlowSetBody::Data(data) = set.body {
                            let all = data.fields.iter();
                            records.extend(
                                all.map(|fields| fields.iter().map(|(_, value)| octets(value)).collect()),
                            );
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    records
}

/// The fields that NAT devices send, in lengths that both read.
const FIELDS: [(u16, &[u16]); 22] = [
    (8, &[4]),
    (12, &[4]),
    (225, &[4]),
    (226, &[4]),
    (27, &[16]),
    (28, &[16]),
    (281, &[16]),
    (282, &[16]),
    (7, &[2]),
    (11, &[2]),
    (227, &[2]),
    (228, &[2]),
    (4, &[1]),
    (234, &[4, 2, 1]),
    (235, &[4]),
    (361, &[2]),
    (362, &[2]),
    (363, &[2]),
    (364, &[2]),
    (1, &[8, 4, 2]),
    (2, &[8, 4]),
    (283, &[4]),
];

fn fields() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let field = (0..FIELDS.len(), any::<prop::sample::Index>());
    proptest::collection::vec(field, 1..14).prop_map(|fields| {
        fields
            .into_iter()
            .map(|(index, length)| {
                let (element, lengths) = FIELDS[index];
                (element, *length.get(lengths))
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_field_is_read_as_another_parser_reads_it(
        templates in proptest::collection::vec(fields(), 1..4),
        octets in proptest::collection::vec(any::<u8>(), 400..1200),
        counts in proptest::collection::vec(1..6_usize, 4),
        is_v9: bool,
    ) {
        let mut sets = Vec::new();
        let mut datagrams = Vec::new();
        let mut values = octets.iter().copied().cycle();
        let mut all = 0;
        for (index, fields) in templates.iter().enumerate() {
            let id = 256 + index as u16;
            sets.push(build::set(if is_v9 { 0 } else { 2 }, &build::template(id, fields)));
            let width: u16 = fields.iter().map(|(_, octets)| octets).sum();
            let body: Vec<u8> = values.by_ref().take(usize::from(width) * counts[index]).collect();
            // Padding shorter than a record; one that is as long would be one.
            if width > 3 {
                sets.push(build::set(id, &body));
                all += counts[index];
            }
            let message = if is_v9 { build::v9 } else { build::ipfix };
            datagrams.push(message(index as u32, &std::mem::take(&mut sets)));
        }
        let ours = ours(&datagrams);
        prop_assert_eq!(ours.len(), all);
        prop_assert_eq!(ours, theirs(&datagrams));
    }
}
