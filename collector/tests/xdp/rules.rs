//! PRI masks, content filters and token buckets of the program, against the same code in user space.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use collector::xdp::{XdpFilter, nanoseconds_per_packet};
use filter::random::Random;
use filter::{Compiled, Judgement, PriMask, Rules};
use wire::packet::samples::{EXPORTERS, Plain, PlainFrame, accepted};
use wire::packet::{Decision, decide};
use wire::verdict::{MAX_FILTERED_LISTENERS, Verdict};

use crate::setup::{addresses, exporter, exporters, packets, sample_filter};

const DROP: u32 = 1;
const PASS: u32 = 2;
/// The listener on port 514 of all IPv4 addresses, and that of IPv6, in the samples' configuration.
const ANY_V4: u32 = 0;
const ANY_V6: u32 = 1;
const BOUND_V4: u32 = 2;

fn compiled(keep: &[&str], drop: &[&str], text_octets: usize) -> Compiled {
    let owned = |patterns: &[&str]| {
        patterns
            .iter()
            .map(|&pattern| pattern.to_owned())
            .collect::<Vec<_>>()
    };
    let rules = Rules::new(&owned(keep), &owned(drop), text_octets, PriMask::default());
    Compiled::new(&rules.expect("valid"))
}

fn run(filter: &mut XdpFilter, frame: &[u8]) -> u32 {
    filter.test_run(frame, 1).expect("test run").0
}

fn verdict(judgement: Judgement) -> Verdict {
    match judgement {
        Judgement::Passes => Verdict::Accepted,
        Judgement::PriMasked => Verdict::PriMasked,
        Judgement::Filtered => Verdict::Filtered,
    }
}

/// Random rules on random payloads, in every shape of packet: the kernel, [`decide`] in user space and the collector's judgement
/// agree, and so do the counters, to the packet.
#[test]
fn kernel_and_user_space_judge_payloads_alike() {
    let v4 = PlainFrame::new(Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(192, 0, 2, 1));
    let v6 = PlainFrame::new(
        Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x20),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    );
    let shapes = [
        v4,
        PlainFrame {
            option_words: 1,
            ..v4
        },
        PlainFrame {
            option_words: 10,
            ..v4
        },
        PlainFrame {
            tags: &[0x8100],
            ..v4
        },
        PlainFrame {
            tags: &[0x88a8, 0x8100],
            option_words: 3,
            ..v4
        },
        PlainFrame { padding: 18, ..v4 },
        v6,
        PlainFrame {
            tags: &[0x8100],
            ..v6
        },
    ];
    let mut filter = sample_filter();
    let mut expected = [0_u64; 8];
    let mut cases = 0;
    for seed in 1000..1120 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let compiled = Compiled::new(&random.rules());
        for listener in [ANY_V4, ANY_V6] {
            filter.set_filter(listener, compiled.kernel()).expect("set");
        }
        let in_kernel = compiled.kernel().map(|filter| Arc::new(*filter));
        let tables = Plain {
            filters: vec![in_kernel.clone(), in_kernel],
            ..Plain::default()
        };
        for case in 0..64 {
            let payload = random.payload(compiled.rules(), 1400);
            let shape = &shapes[case % shapes.len()];
            let frame = shape.carrying(&payload);
            let Decision { verdict: decided, .. } = decide(&frame[..], &tables);
            if matches!(compiled.plan(), filter::Plan::Table(_) | filter::Plan::NoPatterns) {
                let judged = verdict(compiled.judge(&payload));
                assert_eq!(decided, judged, "seed {seed}, {}", payload.escape_ascii());
            }
            let got = run(&mut filter, &frame);
            assert_eq!(
                got == DROP,
                decided.drops(),
                "seed {seed}, {shape:?}, {}",
                payload.escape_ascii()
            );
            expected[decided as usize] += 1;
            cases += 1;
        }
    }
    println!("{cases} cases: {expected:?}");
    let counts = filter.counts().expect("counters");
    for verdict in Verdict::ALL {
        let counted: u64 = (counts.iter())
            .filter(|count| count.verdict == verdict)
            .map(|count| count.packets)
            .sum();
        assert_eq!(counted, expected[verdict as usize], "{verdict:?}");
    }
    for verdict in [Verdict::Accepted, Verdict::PriMasked, Verdict::Filtered] {
        assert!(
            expected[verdict as usize] > cases / 20,
            "{verdict:?}: {expected:?}"
        );
    }
}

/// The text ends exactly where it should: at every length around the octets that are looked at.
#[test]
fn the_text_ends_alike_at_every_length() {
    let mut filter = sample_filter();
    for text_octets in [1, 7, 8, 9, 15, 16, 64, 255, 256, 1023, 1024] {
        // Ends in b only if the text does.
        let compiled = compiled(&["b$"], &[], text_octets);
        filter.set_filter(ANY_V4, compiled.kernel()).expect("set");
        let from = text_octets.saturating_sub(10);
        for octets in (0..12).chain(from..text_octets + 3) {
            for last in [octets, text_octets, text_octets + 1] {
                let mut payload = vec![b'a'; octets];
                if let Some(octet) = last.checked_sub(1).and_then(|place| payload.get_mut(place)) {
                    *octet = b'b';
                }
                let passes = octets > 0 && payload[octets.min(text_octets) - 1] == b'b';
                let expected = if passes { PASS } else { DROP };
                let got = run(&mut filter, &accepted(&payload));
                assert_eq!(
                    got, expected,
                    "{octets} octets, {text_octets} looked at, b at {last}"
                );
            }
        }
    }
}

#[test]
fn a_large_packet_is_judged_by_its_first_buffer() {
    let mut filter = sample_filter();
    let compiled = compiled(&["needle"], &[], 1024);
    filter.set_filter(ANY_V4, compiled.kernel()).expect("set");
    let mut payload = vec![b'.'; 8900];
    assert_eq!(run(&mut filter, &accepted(&payload)), DROP);
    payload[1018..1024].copy_from_slice(b"needle");
    assert_eq!(run(&mut filter, &accepted(&payload)), PASS);
    payload[1018] = b'.';
    payload[1019..1025].copy_from_slice(b"needle");
    assert_eq!(run(&mut filter, &accepted(&payload)), DROP);
}

/// Each listener has its own; one on an address goes before one on all.
#[test]
fn a_filter_is_of_its_listener_alone() {
    let both = addresses(&["0.0.0.0:514", "192.0.2.1:514", "[::]:514", "0.0.0.0:5140"]);
    let mut filter = XdpFilter::load(&both, &exporters(&EXPORTERS)).expect("loads");
    for (listener, word) in ["any", "bound", "six", "other"].into_iter().enumerate() {
        filter
            .set_filter(listener as u32, compiled(&[word], &[], 64).kernel())
            .expect("set");
    }
    let v4 = |destination: [u8; 4], port| PlainFrame {
        port,
        ..PlainFrame::new([198, 51, 100, 20], destination)
    };
    let v6 = PlainFrame::new(
        "2001:db8:5::20".parse::<IpAddr>().expect("address"),
        "2001:db8::1".parse::<IpAddr>().expect("address"),
    );
    for (frame, word) in [
        (v4([192, 0, 2, 9], 514), "any"),
        (v4([192, 0, 2, 1], 514), "bound"),
        (v6, "six"),
        (v4([192, 0, 2, 1], 5140), "other"),
    ] {
        for payload in ["any", "bound", "six", "other"] {
            let expected = if payload == word { PASS } else { DROP };
            let got = run(&mut filter, &frame.carrying(payload.as_bytes()));
            assert_eq!(got, expected, "{payload} at {word}");
        }
    }
}

#[test]
fn there_is_room_for_so_many_filters_and_the_rest_passes() {
    let listeners: Vec<_> = (0..=MAX_FILTERED_LISTENERS as u16)
        .map(|i| format!("192.0.2.1:{}", 514 + i % 60).replace(".1:", &format!(".{}:", 1 + i / 60)))
        .collect();
    let listeners: Vec<&str> = listeners.iter().map(String::as_str).collect();
    let filter = XdpFilter::load(&addresses(&listeners), &exporters(&EXPORTERS)).expect("loads");
    assert!(filter.has_room_for(MAX_FILTERED_LISTENERS - 1) && !filter.has_room_for(MAX_FILTERED_LISTENERS));
    assert!(sample_filter().has_room_for(BOUND_V4));
}

/// An exporter's bucket is emptied by what it sends, to the packet, and by nobody else; a new rate is in force at once.
#[test]
fn an_exporter_passes_its_burst_and_no_more() {
    let mut list = exporters(&["198.51.100.0/24", "198.51.100.7/32"]);
    // What the runs take of time gives one each second.
    (list.list[0].rate_max, list.list[0].burst) = (1, Some(50));
    let mut filter = XdpFilter::load(&addresses(&["0.0.0.0:514"]), &list).expect("loads");
    let frame = |source: [u8; 4]| PlainFrame::new(source, [192, 0, 2, 1]).build();
    let started = std::time::Instant::now();
    let (limited, other) = (frame([198, 51, 100, 20]), frame([198, 51, 100, 7]));
    filter.test_run(&limited, 500).expect("test run");
    filter.test_run(&other, 500).expect("test run");
    let seconds = started.elapsed().as_secs() + 1;
    let counts = filter.counts().expect("counters");
    let of = |verdict| packets(&counts, Some("198.51.100.0/24"), verdict);
    let passed = of(Verdict::Accepted);
    assert!(
        (50..=50 + seconds).contains(&passed),
        "{passed} of a burst of 50 and {seconds} s"
    );
    assert_eq!(passed + of(Verdict::RateLimited), 500);
    assert_eq!(packets(&counts, Some("198.51.100.7"), Verdict::Accepted), 500);
    list.list[0].rate_max = 0;
    list.list[0].burst = None;
    filter.reload(&list).expect("reload");
    assert_eq!(filter.test_run(&limited, 500).expect("test run").0, PASS);
    let counts = filter.counts().expect("counters");
    assert_eq!(
        packets(&counts, Some("198.51.100.0/24"), Verdict::Accepted),
        passed + 500
    );
    // An exporter of the same prefix that comes later begins without a rate.
    list.list.push(exporter("203.0.113.0/24"));
    filter.reload(&list).expect("reload");
}

#[test]
fn a_measure_with_a_filter_is_longer_than_without() {
    for octets in [64, 150, 256] {
        let frame = accepted(&vec![b'x'; octets]);
        let rules = compiled(
            &["RT_FLOW_SESSION_(CREATE|CLOSE)", "NAT(44|64)"],
            &["(?i)alarm"],
            256,
        );
        let without = nanoseconds_per_packet(&frame, 300_000, None).expect("test run");
        let with = nanoseconds_per_packet(&frame, 300_000, rules.kernel()).expect("test run");
        println!("{octets} octets: {without} ns without, {with} ns with a filter");
        assert!(with > without, "{octets}: {with}, {without}");
    }
}
