//! What is kept between datagrams: templates, sets that wait for theirs, sequence numbers; and its bounds.

use std::net::IpAddr;

use decode::netflow::{
    DOMAINS_MAX, DOMAINS_PER_EXPORTER_MAX, Datagram, Exporters, FIELDS_PER_TEMPLATE_MAX, News,
    PARKED_AGE_MAX_NS, PARKED_OCTETS_PER_DOMAIN_MAX, Profile, TEMPLATES_PER_DOMAIN_MAX, Version,
};
use proptest::prelude::*;

use crate::build::{ipfix, record, set, template, v4, v9};
use crate::fixtures;
use crate::seen::{self, EXPORTER, Seen};

const FIELDS: [(u16, u16); 7] = [(323, 8), (230, 1), (8, 4), (225, 4), (4, 1), (7, 2), (227, 2)];

/// A NAT44 session of this source port.
fn session(port: u16) -> Vec<u8> {
    let values = [
        1_748_520_000_123,
        4,
        v4("10.0.0.1"),
        v4("203.0.113.1"),
        6,
        port.into(),
        2000,
    ];
    record(&FIELDS, &values)
}

fn data(ports: &[u16]) -> Vec<u8> {
    set(
        256,
        &ports.iter().flat_map(|&port| session(port)).collect::<Vec<_>>(),
    )
}

fn ports(seen: &Seen) -> Vec<(u64, u64)> {
    let events = seen.events.iter();
    events
        .map(|(tag, event)| (*tag, event["src_port"].as_u64().unwrap()))
        .collect()
}

#[test]
fn sets_wait_for_their_template_and_keep_their_order_and_origin() {
    let datagrams = [
        ipfix(0, &[data(&[1, 2])]),
        ipfix(0, &[data(&[3]), set(300, &[9; 8])]),
        ipfix(0, &[data(&[4]), set(2, &template(256, &FIELDS)), data(&[5])]),
        ipfix(0, &[data(&[6])]),
    ];
    let seen = seen::decode(Profile::Auto, &datagrams);
    assert_eq!(ports(&seen), [(1, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6)]);
    assert_eq!(
        (
            seen.summary.parked,
            seen.summary.unparked_events,
            seen.summary.events
        ),
        (4, 4, 2)
    );
    assert_eq!(seen.errors, []);
}

#[test]
fn templates_are_of_one_exporter_and_domain() {
    let mut exporters = Exporters::default();
    let mut seen = Seen::default();
    let mut decode = |exporter: IpAddr, domain: u8, payload: &[u8]| {
        let mut payload = payload.to_vec();
        payload[15] = domain;
        let datagram = Datagram {
            exporter,
            received_ns: 0,
            tag: 0,
            payload: &payload,
        };
        exporters.decode(Profile::Auto, &datagram, &mut seen).events
    };
    let other = IpAddr::from([192, 0, 2, 2]);
    decode(EXPORTER, 1, &ipfix(0, &[set(2, &template(256, &FIELDS))]));
    assert_eq!(decode(EXPORTER, 1, &ipfix(0, &[data(&[1])])), 1);
    assert_eq!(decode(EXPORTER, 2, &ipfix(0, &[data(&[1])])), 0);
    assert_eq!(decode(other, 1, &ipfix(0, &[data(&[1])])), 0);
}

#[test]
fn a_new_template_takes_the_place_of_the_old_one_and_a_withdrawal_does_not() {
    let withdrawal = set(2, &[1, 0, 0, 0]);
    let all = set(2, &[0, 2, 0, 0]);
    let changed = set(2, &template(256, &FIELDS[..6]));
    let datagrams = [
        ipfix(0, &[set(2, &template(256, &FIELDS))]),
        ipfix(0, &[set(2, &template(256, &FIELDS)), withdrawal, all, data(&[1])]),
        ipfix(0, &[changed]),
    ];
    let mut exporters = Exporters::default();
    let seen = seen::decode_with(&mut exporters, Profile::Auto, &datagrams);
    assert_eq!(ports(&seen), [(2, 1)]);
    assert_eq!(exporters.counters().withdrawals_ignored, 2);
    let news: Vec<_> = seen.news.iter().map(|&(_, news)| news).collect();
    assert_eq!(news, [News::New, News::Repeated, News::Withdrawn, News::Changed]);
}

#[test]
fn state_that_was_kept_decodes_as_before() {
    let options: Vec<u8> = [300_u16, 2, 1, 149, 4, 41, 8]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    let mut before = Exporters::default();
    seen::decode_with(
        &mut before,
        Profile::Auto,
        &[
            ipfix(0, &[set(2, &template(256, &FIELDS)), set(3, &options)]),
            v9(0, &[set(0, &template(256, &FIELDS))]),
            ipfix(0, &[set(257, &session(7))]),
        ],
    );
    let mut after = Exporters::default();
    let mut kept = 0;
    for known in before.templates() {
        let template = known.template;
        after
            .restore_template(
                known.exporter,
                known.version,
                known.domain,
                template.is_options(),
                template.wire(),
            )
            .unwrap();
        kept += 1;
    }
    for (exporter, parked) in before.parked() {
        after.restore_parked(exporter, parked.clone());
    }
    assert_eq!(
        (kept, after.templates().count(), after.parked().count()),
        (3, 3, 1)
    );
    let datagrams = [
        ipfix(0, &[data(&[1])]),
        v9(0, &[data(&[2])]),
        ipfix(0, &[set(2, &template(257, &FIELDS))]),
    ];
    let seen = seen::decode_with(&mut after, Profile::Auto, &datagrams);
    assert_eq!(ports(&seen), [(1, 1), (2, 2), (3, 7)]);
    for wire in [&[][..], &[1, 0, 0, 0], &[1, 0, 0, 1, 0]] {
        assert!(
            after
                .restore_template(EXPORTER, Version::Ipfix, 0, false, wire)
                .is_err(),
            "{wire:?}"
        );
    }
}

/// Two owners' sets may come to one: none is lost without a word.
#[test]
fn kept_sets_are_taken_in_beyond_the_bound_and_given_up_aloud() {
    let octets = vec![1; 60_000];
    let mut before = Exporters::default();
    seen::decode_with(&mut before, Profile::Auto, &[ipfix(0, &[set(257, &octets)])]);
    let (exporter, waiting) = before.parked().next().expect("one waits");
    let mut after = Exporters::default();
    for _ in 0..40 {
        after.restore_parked(exporter, waiting.clone());
    }
    assert_eq!(
        after.parked().count(),
        40,
        "2.4 MiB, more than one domain may have"
    );
    seen::decode_with(&mut after, Profile::Auto, &[ipfix(0, &[set(257, &octets)])]);
    let left = after.parked().count();
    assert!(left < 41, "the next one makes room");
    assert_eq!(after.counters().parked_lost, 41 - left as u64);
}

#[test]
fn what_waits_is_bounded_and_what_is_given_up_is_told() {
    let octets = vec![1; 60_000];
    let sets = 40;
    let mut exporters = Exporters::default();
    let datagrams: Vec<_> = (0..sets).map(|_| ipfix(0, &[set(300, &octets)])).collect();
    let seen = seen::decode_with(&mut exporters, Profile::Auto, &datagrams);
    let waiting: usize = exporters.parked().map(|(_, set)| set.octets.len()).sum();
    assert!(waiting <= PARKED_OCTETS_PER_DOMAIN_MAX);
    let lost = sets - exporters.parked().count();
    assert!(lost > 10);
    assert_eq!(seen.errors.len(), lost);
    assert_eq!(exporters.counters().parked_lost, lost as u64);
    // The oldest go first.
    let tags: Vec<_> = seen.errors.iter().map(|&(tag, _)| tag).collect();
    assert_eq!(tags, (1..=lost as u64).collect::<Vec<_>>());
    assert!(
        seen.errors[0].1.starts_with("no_template"),
        "{:?}",
        seen.errors[0]
    );
}

#[test]
fn a_template_that_comes_too_late_is_not_believed() {
    let mut exporters = Exporters::default();
    let mut seen = Seen::default();
    for (received_ns, payload) in [
        (0, ipfix(0, &[data(&[1])])),
        (
            PARKED_AGE_MAX_NS + 1,
            ipfix(0, &[set(2, &template(256, &FIELDS))]),
        ),
    ] {
        let datagram = Datagram {
            exporter: EXPORTER,
            received_ns,
            tag: 5,
            payload: &payload,
        };
        exporters.decode(Profile::Auto, &datagram, &mut seen);
    }
    assert_eq!((seen.events.len(), seen.errors.len()), (0, 1));
    assert_eq!(exporters.parked().count(), 0);
}

#[test]
fn templates_and_domains_are_bounded() {
    let mut exporters = Exporters::default();
    let many: Vec<_> = (0..TEMPLATES_PER_DOMAIN_MAX as u16 + 5)
        .map(|index| ipfix(0, &[set(2, &template(256 + index, &FIELDS))]))
        .collect();
    let seen = seen::decode_with(&mut exporters, Profile::Auto, &many);
    assert_eq!(exporters.templates().count(), TEMPLATES_PER_DOMAIN_MAX);
    assert_eq!(
        (seen.errors.len(), exporters.counters().templates_refused),
        (5, 5)
    );
    let wide = vec![(8, 4); FIELDS_PER_TEMPLATE_MAX + 1];
    let seen = seen::decode(
        Profile::Auto,
        &[ipfix(
            0,
            &[set(2, &[template(256, &wide), template(257, &FIELDS)].concat())],
        )],
    );
    assert_eq!(
        (seen.errors.len(), seen.news),
        (1, vec![(257, News::New)]),
        "the one behind it is taken"
    );

    let mut decode = |exporter: u32, domain: u32| {
        let mut payload = ipfix(0, &[set(2, &template(256, &FIELDS))]);
        payload[12..16].copy_from_slice(&domain.to_be_bytes());
        let datagram = Datagram {
            exporter: IpAddr::V4(exporter.into()),
            received_ns: i64::from(domain),
            tag: 0,
            payload: &payload,
        };
        exporters.decode(Profile::Auto, &datagram, &mut Seen::default());
        exporters.sequences().count()
    };
    for domain in 0..2 * DOMAINS_PER_EXPORTER_MAX as u32 {
        assert!(decode(1, domain) <= DOMAINS_PER_EXPORTER_MAX + 1);
    }
    for exporter in 2..40 {
        for domain in 0..DOMAINS_PER_EXPORTER_MAX as u32 {
            assert!(decode(exporter, domain) <= DOMAINS_MAX);
        }
    }
    assert!(exporters.counters().domains_forgotten > 5000);
}

#[test]
fn lost_messages_are_counted_by_domain() {
    let mut exporters = Exporters::default();
    let message = |sequence| v9(sequence, &[]);
    seen::decode_with(
        &mut exporters,
        Profile::Auto,
        &[message(1), message(5), message(4)],
    );
    let counters: Vec<_> = exporters
        .sequences()
        .map(|(_, version, domain, sequence)| (version, domain, sequence.counters.missing))
        .collect();
    assert_eq!(counters, [(Some(Version::V9), 7, 2)]);

    let mut exporters = Exporters::default();
    let datagrams = [
        ipfix(10, &[set(2, &template(256, &FIELDS)), data(&[1, 2, 3])]),
        ipfix(13, &[data(&[4])]),
        ipfix(16, &[data(&[5])]),
    ];
    seen::decode_with(&mut exporters, Profile::Auto, &datagrams);
    let (_, _, _, sequence) = exporters.sequences().next().unwrap();
    assert_eq!(sequence.counters.missing, 2, "records");
}

fn corpus() -> Vec<Vec<u8>> {
    let streams = fixtures::streams();
    streams
        .into_iter()
        .flat_map(|stream| stream.datagrams)
        .filter(|datagram| datagram.len() < 700)
        .collect()
}

fn datagrams() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        (0..3_usize, proptest::collection::vec(any::<u8>(), 14..200)).prop_map(|(version, rest)| {
            let mut datagram = vec![0, [5, 9, 10][version]];
            datagram.extend(rest);
            datagram
        }),
        (proptest::collection::vec(any::<u16>(), 0..60), any::<bool>()).prop_map(|(words, is_v9)| {
            // Small numbers: lengths and ids that can be.
            let octets: Vec<u8> = words.iter().flat_map(|word| (word % 320).to_be_bytes()).collect();
            let sets = [set(if is_v9 { 0 } else { 2 }, &template(256, &FIELDS)), octets];
            if is_v9 { v9(1, &sets) } else { ipfix(1, &sets) }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any octets, with state across datagrams: no panic, and never more records than there is room for.
    #[test]
    fn no_octets_panic(
        any in proptest::collection::vec(datagrams(), 1..8),
        profile in proptest::sample::select(&Profile::ALL[..]),
    ) {
        let octets: usize = any.iter().map(Vec::len).sum();
        let seen = seen::decode(profile, &any);
        prop_assert!(seen.events.len() <= octets);
    }

    /// Pieces of real datagrams, put together anew.
    #[test]
    fn spliced_datagrams_do_no_harm(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 2..6),
        profile in proptest::sample::select(&Profile::ALL[..]),
    ) {
        let corpus = corpus();
        let mut spliced = Vec::new();
        let mut all = Vec::new();
        for (which, at) in cuts {
            let datagram = which.get(&corpus);
            all.push(datagram.clone());
            let at = at.index(datagram.len());
            spliced.truncate(at);
            spliced.extend_from_slice(&datagram[at.min(spliced.len())..]);
            all.push(spliced.clone());
        }
        seen::decode(profile, &all);
    }
}
