//! Flow records: what natrail's decoder takes for a NAT event, beside what the netflow_parser crate takes to read the fields.
//!
//! - `packets`: the datagrams, from random numbers that are the same in every run.

mod packets;

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use decode::netflow::{Datagram, Exporters, Origin, Profile, Sink};
use event::Event;
use netflow_parser::NetflowParser;

use crate::measure::Measure;

const ROUNDS: usize = 41;
/// Passes over the datagrams in one round.
const PASSES: usize = 8;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// IPFIX, NAT44 sessions of RFC 8158 with their remote end.
    IpfixNat44,
    /// NetFlow v9, sessions of Cisco NEL.
    V9Nel,
}

impl Records {
    pub const ALL: [Self; 2] = [Self::IpfixNat44, Self::V9Nel];

    pub const fn name(self) -> &'static str {
        match self {
            Self::IpfixNat44 => "ipfix_nat44",
            Self::V9Nel => "v9_nel",
        }
    }

    const fn measure_name(self) -> &'static str {
        match self {
            Self::IpfixNat44 => "ipfix_nat44_ns_per_record",
            Self::V9Nel => "v9_nel_ns_per_record",
        }
    }

    /// The profile of the device that sends them.
    pub const fn profile(self) -> Profile {
        match self {
            Self::IpfixNat44 => Profile::Rfc8158,
            Self::V9Nel => Profile::Legacy,
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|records| records.name() == name)
    }
}

/// Counts events, so that none is left out by the compiler.
struct Count(u64);

impl Sink for Count {
    #[inline]
    fn event(&mut self, event: &Event<'_>, _origin: Origin) {
        black_box(event);
        self.0 += 1;
    }
}

/// natrail's decoder, which knows the template.
struct Own {
    profile: Profile,
    exporters: Exporters,
    count: Count,
}

impl Own {
    fn new(records: Records, template: &[u8]) -> Self {
        let mut own = Self {
            profile: records.profile(),
            exporters: Exporters::default(),
            count: Count(0),
        };
        own.decode(template);
        own
    }

    fn decode_all(&mut self, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            self.decode(datagram);
        }
    }

    fn decode(&mut self, payload: &[u8]) {
        let datagram = Datagram {
            exporter: IpAddr::from([192, 0, 2, 1]),
            received_ns: 0,
            tag: 0,
            payload,
        };
        self.exporters
            .decode(black_box(self.profile), black_box(&datagram), &mut self.count);
    }
}

/// Medians of rounds that alternate.
pub fn measure(records: Records) -> Measure {
    let packets::Packets { template, data } = packets::make(records);
    let mut own = Own::new(records, &template);
    let mut other = NetflowParser::default();
    let _ = black_box(other.parse_bytes(&template));
    let all = (data.len() * packets::RECORDS_PER_DATAGRAM) as f64;
    let (mut own_ns, mut other_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..PASSES {
            own.decode_all(&data);
        }
        own_ns.push(begin.elapsed().as_nanos() as f64 / (PASSES as f64 * all));
        let begin = Instant::now();
        for datagram in &data {
            let _ = black_box(other.parse_bytes(black_box(datagram)));
        }
        other_ns.push(begin.elapsed().as_nanos() as f64 / all);
    }
    let events = (ROUNDS * PASSES * data.len() * packets::RECORDS_PER_DATAGRAM) as u64;
    assert_eq!(own.count.0, events, "each record is an event");
    Measure {
        bench: "decode",
        measure: records.measure_name().into(),
        value: median(own_ns),
        unit: "ns",
        against: Some(("netflow_parser", median(other_ns))),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Decodes the datagrams so many times and does nothing else.
pub fn count(records: Records, passes: usize) {
    let packets::Packets { template, data } = packets::make(records);
    let mut own = Own::new(records, &template);
    for _ in 0..passes {
        own.decode_all(&data);
    }
}

#[cfg(test)]
mod tests {
    use netflow_parser::NetflowPacket;
    use netflow_parser::variable_versions::{ipfix, v9};

    use super::*;

    /// A comparison is worth something only if both sides read the same records.
    #[test]
    fn both_read_every_record() {
        for records in Records::ALL {
            let packets::Packets { template, data } = packets::make(records);
            let mut own = Own::new(records, &template);
            let mut other = NetflowParser::default();
            assert!(other.parse_bytes(&template).is_ok());
            let mut read = 0;
            for datagram in &data {
                own.decode(datagram);
                let result = other.parse_bytes(datagram);
                assert!(result.is_ok());
                for packet in result.packets {
                    read += match packet {
                        NetflowPacket::IPFix(message) => message
                            .flowsets
                            .iter()
                            .map(|set| match &set.body {
                                ipfix::FlowSetBody::Data(data) => data.fields.len(),
                                _ => 0,
                            })
                            .sum::<usize>(),
                        NetflowPacket::V9(message) => message
                            .flowsets
                            .iter()
                            .map(|set| match &set.body {
                                v9::FlowSetBody::Data(data) => data.fields.len(),
                                _ => 0,
                            })
                            .sum(),
                        _ => 0,
                    };
                }
            }
            let all = data.len() * packets::RECORDS_PER_DATAGRAM;
            assert_eq!((own.count.0, read), (all as u64, all), "{}", records.name());
        }
    }
}
