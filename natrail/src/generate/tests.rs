use std::collections::HashMap;
use std::net::IpAddr;

use decode::{Outcome, Profile};
use event::{Action, Kind};

use super::*;

const NOW_US: i64 = 1_750_000_000_000_000;
const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

fn size(events: u64) -> Size {
    Size {
        exporter: 0,
        exporters: 1,
        subscribers: 200,
        events,
    }
}

fn announcer(format: Format, events: u64, seed: u64) -> Announcer {
    Announcer::new(format, size(events), seed).expect("a model of this size")
}

/// One message and what is expected of it.
#[derive(PartialEq)]
struct Announced {
    line: Vec<u8>,
    expected: String,
    mapping_start_ns: Option<i64>,
}

/// Messages 1.7 ms apart.
fn announce(format: Format, events: u64, seed: u64) -> Vec<Announced> {
    let mut announcer = announcer(format, events, seed);
    let mut clock = Clockface::default();
    (0..events as i64)
        .map(|index| {
            let mut line = Vec::new();
            let (mut expected, mut mapping_start_ns) = (String::new(), None);
            announcer.next(NOW_US + index * 1700, &mut line, |event| {
                expected.push_str(&json(&mut clock, event));
                mapping_start_ns = event.mapping_start_ns;
            });
            Announced {
                line,
                expected,
                mapping_start_ns,
            }
        })
        .collect()
}

fn json(clock: &mut Clockface, event: &Event<'_>) -> String {
    let mut out = Vec::new();
    expect::line(&mut out, clock, EXPORTER, event);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn a_seed_makes_the_same_lines_and_another_one_others() {
    for format in [Format::Nfware, Format::Juniper, Format::IpfixNat44, Format::NelV9] {
        assert!(
            announce(format, 5000, 7) == announce(format, 5000, 7),
            "{format:?}"
        );
        assert!(
            announce(format, 5000, 7) != announce(format, 5000, 8),
            "{format:?}"
        );
    }
}

#[test]
fn every_line_decodes_to_the_event_that_is_expected() {
    let mut clock = Clockface::default();
    for (format, profile) in [
        (Format::Nfware, Profile::Nfware),
        (Format::Juniper, Profile::JuniperSrx),
    ] {
        let announced = announce(format, 20_000, 3);
        for profile in [profile, Profile::Auto] {
            for Announced {
                line,
                expected,
                mapping_start_ns,
            } in &announced
            {
                let text = String::from_utf8_lossy(line);
                let outcome = decode::syslog::decode(profile, line, |event| {
                    assert_eq!(json(&mut clock, event), *expected, "{text}");
                    assert_eq!(event.mapping_start_ns, *mapping_start_ns, "{text}");
                });
                assert_eq!(outcome, Ok(Outcome::Events(1)), "{text}");
            }
        }
    }
}

/// Each datagram, read with its exporter's templates, is what is expected, and no record is missing by the sequence.
#[test]
fn every_flow_record_decodes_to_the_event_that_is_expected() {
    use decode::netflow::{Datagram, Exporters, Origin, Profile, Refused, Sink};

    struct Found {
        clock: Clockface,
        events: String,
        kinds: [u64; 4],
    }
    impl Sink for Found {
        fn event(&mut self, event: &Event<'_>, _origin: Origin) {
            self.events.push_str(&json(&mut self.clock, event));
            self.kinds[event.kind as usize] += 1;
        }
        fn refused(&mut self, refused: &Refused<'_>, _origin: Origin) {
            panic!("{refused}");
        }
    }

    for (format, profiles) in [
        (
            Format::IpfixNat44,
            [Profile::Rfc8158, Profile::Vpp, Profile::Auto],
        ),
        (Format::NelV9, [Profile::Legacy, Profile::Nfware, Profile::Auto]),
    ] {
        let announced = announce(format, 1500, 3);
        for profile in profiles {
            let mut exporters = Exporters::default();
            let mut sink = Found {
                clock: Clockface::default(),
                events: String::new(),
                kinds: [0; 4],
            };
            for one in &announced {
                assert!(one.line.len() <= 1472, "{} octets", one.line.len());
                let datagram = Datagram {
                    exporter: EXPORTER,
                    received_ns: 0,
                    tag: 0,
                    payload: &one.line,
                };
                exporters.decode(profile, &datagram, &mut sink);
                assert_eq!(sink.events, one.expected, "{profile}");
                sink.events.clear();
            }
            let [sessions, ports, blocks, addresses] = sink.kinds;
            assert!(
                sessions > 20_000 && ports > 100 && blocks > 200,
                "{:?}",
                sink.kinds
            );
            assert_eq!(addresses > 50, format == Format::IpfixNat44);
            let (_, _, _, sequence) = exporters.sequences().next().expect("one domain");
            if profile != Profile::Vpp {
                assert_eq!(sequence.counters, decode::netflow::SequenceCounters::default());
            }
        }
    }
}

#[test]
fn expectations_are_json_with_all_keys() {
    let keys = [
        "exporter",
        "kind",
        "event",
        "protocol",
        "src_ip",
        "src_port",
        "x_ip",
        "x_port",
        "dst_ip",
        "dst_port",
        "start_port",
        "end_port",
        "port_step",
        "vrf",
        "subscriber",
        "timestamp",
        "time_source",
    ];
    for Announced { expected, .. } in announce(Format::Juniper, 2000, 3) {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&expected).expect("an object");
        assert!(
            object.len() == keys.len() && keys.iter().all(|&key| object.contains_key(key)),
            "{expected}"
        );
    }
}

#[test]
fn live_mappings_have_outside_ends_of_their_own_and_end_as_they_began() {
    for format in [Format::Nfware, Format::Juniper] {
        let mut announcer = announcer(format, 100_000, 5);
        let mut flows = HashMap::new();
        let mut blocks = HashMap::new();
        let mut addresses = HashMap::new();
        let mut counts = HashMap::new();
        for index in 0..100_000 {
            let (event, _) = announcer.cgn.step(NOW_US * 1000 + index);
            *counts.entry((event.kind, event.action)).or_insert(0) += 1;
            let (map, key) = match event.kind {
                Kind::Session | Kind::Port => (&mut flows, (event.x_ip, event.x_port)),
                Kind::Block => (&mut blocks, (event.x_ip, event.start_port)),
                Kind::Address => (&mut addresses, (event.x_ip, None)),
            };
            let mapping = (
                event.kind,
                event.src_ip,
                event.src_port,
                event.protocol,
                event.dst_ip,
                event.dst_port,
            );
            match event.action {
                Action::Created => assert_eq!(map.insert(key, mapping), None, "taken: {event:?}"),
                Action::Deleted => assert_eq!(map.remove(&key), Some(mapping), "{event:?}"),
                Action::Updated => assert_eq!(map.get(&key), Some(&mapping), "{event:?}"),
            }
        }
        let of = |kind, action| counts.get(&(kind, action)).copied().unwrap_or(0);
        let nfware = format == Format::Nfware;
        for (kind, least) in [(Kind::Session, 30_000), (Kind::Block, 500)] {
            assert!(
                of(kind, Action::Created) > least && of(kind, Action::Deleted) > least,
                "{kind:?} {counts:?}"
            );
        }
        for kind in [Kind::Port, Kind::Address] {
            assert_eq!(
                of(kind, Action::Created) > 100 && of(kind, Action::Deleted) > 100,
                nfware,
                "{counts:?}"
            );
        }
        assert_eq!(of(Kind::Block, Action::Updated) > 100, !nfware, "{counts:?}");
    }
}

#[test]
fn some_inside_addresses_are_ipv6() {
    for format in [Format::Nfware, Format::Juniper] {
        let announced = announce(format, 20_000, 3);
        let inside_v6 = announced
            .iter()
            .filter(|one| one.expected.contains("\"src_ip\":\"2001:db8:"))
            .count();
        assert!((100..2000).contains(&inside_v6), "{format:?}: {inside_v6}");
    }
}

#[test]
fn small_and_odd_models_keep_going() {
    for format in [Format::Nfware, Format::Juniper] {
        for subscribers in [1, 2, 7919] {
            let size = Size {
                exporter: 0,
                exporters: 1,
                subscribers,
                events: 20_000,
            };
            let mut cgn = Cgn::new(format.traits(), size, 1).expect("a model");
            (0..20_000).for_each(|index| {
                cgn.step(index);
            });
        }
        let size = Size {
            exporter: 3,
            exporters: 4,
            subscribers: 3,
            events: 1,
        };
        assert!(
            Cgn::new(format.traits(), size, 1).is_err(),
            "more exporters than subscribers"
        );
    }
}
