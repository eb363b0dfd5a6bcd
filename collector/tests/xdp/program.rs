//! Against the same code in user space, packet by packet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use collector::xdp::{XdpError, XdpFilter};
use config::{Exporters, XdpMode};
use harness::netns::Namespace;
use rustix::thread::{CapabilitySet, CapabilitySets};
use wire::packet::samples::{EXPORTERS, LISTENERS, Plain, PlainFrame, samples};
use wire::packet::{Decision, decide};
use wire::verdict::{MAX_EXPORTERS, Verdict};

use crate::setup::{addresses, exporter, exporters, packets, sample_filter};

/// Runs packets through the kernel and through `decide`, and keeps the counters that there should be.
struct Comparison {
    filter: XdpFilter,
    tables: Plain,
    expected: BTreeMap<(Option<String>, Verdict), (u64, u64)>,
}

impl Comparison {
    /// Whether every verdict was among those expected, but the one that takes a collector that is too slow.
    fn saw_all(&self) -> bool {
        let mut others = Verdict::ALL.iter().filter(|verdict| **verdict != Verdict::Shed);
        others.all(|verdict| self.expected.keys().any(|(_, got)| got == verdict))
    }

    fn new() -> Self {
        Self {
            filter: sample_filter(),
            tables: Plain::default(),
            expected: BTreeMap::new(),
        }
    }

    fn packet(&mut self, name: &str, frame: &[u8]) {
        let Decision { verdict, exporter } = decide(frame, &self.tables);
        let action = if verdict.drops() { 1 } else { 2 };
        let (got, _) = self
            .filter
            .test_run(frame, 1)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            got,
            action,
            "{name} ({} octets): kernel against {verdict:?}",
            frame.len()
        );
        let exporter = (exporter as usize)
            .checked_sub(1)
            .map(|index| prefix_name(EXPORTERS[index]));
        let cell = self.expected.entry((exporter, verdict)).or_default();
        cell.0 += 1;
        cell.1 += frame.len() as u64;
    }

    /// The counters agree, in every cell.
    fn check(&self) {
        let counts = self.filter.counts().expect("counters");
        assert_eq!(counts.len(), (EXPORTERS.len() + 1) * Verdict::ALL.len());
        for count in counts {
            let key = (count.exporter.clone(), count.verdict);
            let expected = self.expected.get(&key).copied().unwrap_or_default();
            assert_eq!((count.packets, count.octets), expected, "{key:?}");
        }
    }
}

/// An address for a prefix of full length, as reports have it.
fn prefix_name(prefix: &str) -> String {
    prefix.trim_end_matches("/32").trim_end_matches("/128").to_owned()
}

#[test]
fn kernel_and_user_space_agree_on_every_sample() {
    let mut comparison = Comparison::new();
    for sample in samples() {
        assert_eq!(
            decide(&sample.frame[..], &comparison.tables),
            sample.decision,
            "{}",
            sample.name
        );
        comparison.packet(sample.name, &sample.frame);
    }
    comparison.check();
    assert!(comparison.saw_all());
}

#[test]
fn kernel_and_user_space_agree_on_every_cut() {
    let mut comparison = Comparison::new();
    for sample in samples() {
        // The kernel's test run takes no packet below an Ethernet header.
        for octets in 14..sample.frame.len().min(120) {
            comparison.packet(sample.name, &sample.frame[..octets]);
        }
    }
    comparison.check();
}

#[test]
fn kernel_and_user_space_agree_on_changed_packets() {
    let mut comparison = Comparison::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..400 {
        for sample in samples() {
            let mut frame = sample.frame.clone();
            for _ in 0..=round % 3 {
                // The headers are where it matters.
                let at = random.below(frame.len().min(90));
                frame[at] = if random.below(2) == 0 {
                    random.below(256) as u8
                } else {
                    frame[at] ^ 1 << random.below(8)
                };
            }
            comparison.packet(sample.name, &frame);
        }
    }
    comparison.check();
    assert!(comparison.saw_all());
}

#[test]
fn a_packet_in_several_buffers_is_judged_by_its_whole_length() {
    let mut comparison = Comparison::new();
    let plain = PlainFrame {
        payload: 8900,
        ..PlainFrame::new(Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(192, 0, 2, 1))
    };
    let frame = plain.build();
    comparison.packet("jumbo frame", &frame);
    comparison.packet("jumbo frame, cut", &frame[..8000]);
    comparison.packet(
        "jumbo frame of a stranger",
        &PlainFrame {
            source: [203, 0, 113, 9].into(),
            ..plain
        }
        .build(),
    );
    comparison.check();
    for verdict in [Verdict::Accepted, Verdict::Malformed, Verdict::NotAllowed] {
        assert!(
            comparison.expected.keys().any(|(_, got)| *got == verdict),
            "{verdict:?}"
        );
    }
}

#[test]
fn allow_all_takes_strangers_and_can_be_taken_back() {
    let mut filter = sample_filter();
    let frame = PlainFrame::new(Ipv4Addr::new(203, 0, 113, 9), Ipv4Addr::new(192, 0, 2, 1)).build();
    let mut all = exporters(&EXPORTERS);
    for (allow_all, action) in [(false, 1), (true, 2), (false, 1)] {
        all.allow_all = allow_all;
        filter.reload(&all).expect("reload");
        assert_eq!(
            filter.test_run(&frame, 1).expect("test run").0,
            action,
            "allow_all = {allow_all}"
        );
    }
    let counts = filter.counts().expect("counters");
    assert_eq!(packets(&counts, None, Verdict::NotAllowed), 2);
    assert_eq!(packets(&counts, None, Verdict::Accepted), 1);
}

/// Numbers of exporters run out after some reloads and are given out again: nobody gets another's counts, none are lost.
#[test]
fn counts_survive_reloads_that_use_up_all_numbers() {
    let mut filter = sample_filter();
    let mut sent = 0;
    for round in 0..4_u8 {
        let list: Vec<String> = (0..MAX_EXPORTERS)
            .map(|i| format!("10.{round}.{}.{}", i / 256, i % 256))
            .collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        // The configuration's addresses come without length.
        let list = Exporters {
            allow_all: false,
            list: list.iter().map(|one| exporter(&format!("{one}/32"))).collect(),
        };
        filter.reload(&list).expect("reload");
        for host in 0..3_u8 {
            let frame =
                PlainFrame::new(Ipv4Addr::new(10, round, 0, host), Ipv4Addr::new(192, 0, 2, 1)).build();
            let runs = u32::from(host) + 1;
            assert_eq!(
                filter.test_run(&frame, runs).expect("test run").0,
                2,
                "round {round}, host {host}"
            );
            sent += u64::from(runs);
            let counts = filter.counts().expect("counters");
            let name = format!("10.{round}.0.{host}");
            assert_eq!(
                packets(&counts, Some(&name), Verdict::Accepted),
                u64::from(runs),
                "{name}"
            );
        }
        let counts = filter.counts().expect("counters");
        let accepted = counts.iter().filter(|count| count.verdict == Verdict::Accepted);
        assert_eq!(
            accepted.map(|count| count.packets).sum::<u64>(),
            sent,
            "round {round}"
        );
    }
    let stranger = PlainFrame::new(Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(192, 0, 2, 1)).build();
    assert_eq!(
        filter.test_run(&stranger, 1).expect("test run").0,
        1,
        "an exporter that was removed"
    );
}

#[test]
fn a_measure_of_the_program_is_a_positive_time() {
    for (name, frame) in wire::packet::samples::measured() {
        let ns = collector::xdp::nanoseconds_per_packet(&frame, 1_000_000).expect("test run");
        println!("{name}: {ns} ns");
        assert!(ns > 0.0 && ns < 1e6, "{name}: {ns}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let namespace = Namespace::new("refuse").expect("namespace");
    namespace
        .ip(&["link", "add", "va", "type", "veth", "peer", "name", "vb"])
        .expect("veth");
    namespace
        .run(|| {
            let mut filter = sample_filter();
            let names = |name: &str| [name.to_owned()];
            let error = filter
                .attach(&names("nowhere0"), XdpMode::Native)
                .expect_err("no such interface");
            assert!(
                matches!(error, XdpError::NoInterface { .. }) && error.to_string().contains("nowhere0"),
                "{error}"
            );
            let error = filter
                .attach(&names("lo"), XdpMode::Native)
                .expect_err("lo has no native mode");
            assert!(matches!(error, XdpError::NotNative { .. }), "{error:?}");
            assert!(error.to_string().contains("mode = \"generic\""), "{error}");
            filter
                .attach(&names("lo"), XdpMode::Generic)
                .expect("generic mode is everywhere");
            filter
                .attach(&names("va"), XdpMode::Native)
                .expect("veth has native mode");
            let mut second = sample_filter();
            let both = ["vb".to_owned(), "va".to_owned()];
            let error = second
                .attach(&both, XdpMode::Native)
                .expect_err("there is one already");
            assert!(
                matches!(error, XdpError::Busy { .. }) && error.to_string().contains("va"),
                "{error:?}"
            );
            filter
                .attach(&names("vb"), XdpMode::Native)
                .expect("the attempt that failed left vb alone");
        })
        .expect("in the namespace");
}

#[test]
fn without_privilege_it_says_which() {
    // With the two that names suggest, the map calls succeed and the verifier refuses.
    for held in [
        CapabilitySet::empty(),
        CapabilitySet::BPF | CapabilitySet::NET_ADMIN,
    ] {
        let error = std::thread::spawn(move || {
            let sets = CapabilitySets {
                effective: held,
                permitted: held,
                inheritable: CapabilitySet::empty(),
            };
            // Of this thread alone.
            rustix::thread::set_capabilities(None, sets).expect("capabilities can be given up");
            sample_filter_result().expect_err("no privilege")
        })
        .join()
        .expect("thread");
        assert!(matches!(error, XdpError::Privilege { .. }), "{held:?}: {error:?}");
        assert!(
            error
                .to_string()
                .contains("CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"),
            "{error}"
        );
    }
}

fn sample_filter_result() -> Result<XdpFilter, XdpError> {
    XdpFilter::load(&addresses(&LISTENERS), &exporters(&EXPORTERS))
}

#[test]
fn too_many_exporters_are_refused_and_the_old_ones_stay() {
    let mut filter = sample_filter();
    let list = (0..=MAX_EXPORTERS)
        .map(|i| exporter(&format!("10.0.{}.{}/32", i / 256, i % 256)))
        .collect();
    let error = filter
        .reload(&Exporters {
            allow_all: false,
            list,
        })
        .expect_err("one too many");
    assert!(
        matches!(error, XdpError::TooManyExporters { count } if count == MAX_EXPORTERS as usize + 1),
        "{error}"
    );
    let frame = PlainFrame::new(Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(192, 0, 2, 1)).build();
    assert_eq!(filter.test_run(&frame, 1).expect("test run").0, 2);
}

/// Random numbers that are the same every time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}
