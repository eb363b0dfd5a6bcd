//! Any bytes: no panic, and no event that cannot be (`common::decode` asserts the latter on each).

mod common;

use decode::{Outcome, Profile};
use proptest::prelude::*;

fn every_line() -> Vec<Vec<u8>> {
    common::logs().iter().flat_map(|log| common::lines(log)).collect()
}

/// The profile of a sample file's vendor, or `auto` if there is none.
fn own_profile(log: &str) -> Profile {
    let own = common::OWN.iter().find(|(file, _)| *file == log);
    own.map_or(Profile::Auto, |&(_, profile)| profile)
}

#[test]
fn a_cut_line_never_changes_its_kind() {
    for line in every_line() {
        let (_, whole) = common::decode(Profile::Auto, &line);
        for end in 0..line.len() {
            let (_, cut) = common::decode(Profile::Auto, &line[..end]);
            let Some(cut) = cut.first() else { continue };
            let kind = whole.first().map(|event| &event["kind"]);
            if kind == Some(&cut["kind"]) {
                continue;
            }
            // The one exception, which no reader of this format can avoid: an NFWare line that ends inside its EXT
            // part, where a line of a shorter kind ends as well.
            let text = String::from_utf8_lossy(&line[..end]);
            let ext = text.rsplit_once(" EXT ").map(|(_, ext)| ext.trim_end());
            assert!(ext.is_some_and(|ext| !ext.contains(' ')), "{text}");
        }
    }
}

#[test]
fn a_cut_line_says_what_the_whole_one_says() {
    for (log, profile) in common::OWN {
        // Their texts have no end mark: what they need at their end is tested with their grammars.
        if matches!(log, "nfware.log" | "juniper.log") {
            continue;
        }
        for line in common::lines(log) {
            let (_, whole) = common::decode(profile, &line);
            for end in 0..line.len() {
                for profile in [Profile::Auto, profile] {
                    let (_, cut) = common::decode(profile, &line[..end]);
                    assert!(
                        whole.starts_with(&cut),
                        "{log}: {}",
                        String::from_utf8_lossy(&line[..end])
                    );
                }
            }
        }
    }
}

#[test]
fn a_changed_octet_is_no_event_of_another_vendor() {
    for log in common::logs() {
        let own = own_profile(&log);
        for line in common::lines(&log) {
            let mut changed = line.clone();
            for at in 0..line.len() {
                for octet in [0, b' ', b'"', b']', b'9', b'-', line[at] ^ 0x80, line[at] ^ 1] {
                    changed[at] = octet;
                    let (_, events) = common::decode(Profile::Auto, &changed);
                    let (_, expected) = common::decode(own, &changed);
                    assert_eq!(events, expected, "{log}: {}", String::from_utf8_lossy(&changed));
                    assert!(own != Profile::Auto || events.is_empty(), "{log}");
                }
                changed[at] = line[at];
            }
        }
    }
}

#[test]
fn parts_taken_out_never_panic() {
    for line in every_line() {
        for at in 0..line.len() {
            for length in [1, 2, 7, 40] {
                let mut changed = line[..at].to_vec();
                changed.extend_from_slice(line.get(at + length..).unwrap_or_default());
                let _ = common::decode(Profile::Auto, &changed);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for profile in Profile::ALL {
            let _ = common::decode(profile, &bytes);
        }
    }

    #[test]
    fn any_text_behind_a_mark(
        mark in prop_oneof![
            Just("A VRF "), Just("D VRF 0 6 INT "), Just("RT_FLOW - RT_FLOW_SESSION_CREATE ["),
            Just("RT_NAT - RT_SRC_NAT_PBA_ALLOC [a b=\""), Just("RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed "),
            Just("RT_NAT: RT_SRC_NAT_PBA_INTERIM: Subscriber "), Just("<14>1 2024-"), Just("RT_FLOW "),
            Just("%NAT-6-LOG_TRANSLATION: Created Translation TCP 10.0.0.1:1 "), Just("%NAT-6-"), Just("May 1 2026 "),
            Just("<134> 1 2011 May 31 10:30:45 h - - NAT44 - ["), Just("h - - DSLITE - [SessionbasedA 6 10.0.0.1 "),
            Just("h x - NAT444:Sessionbased"), Just("h x - NAT64:SessionbasedA [6 - 2001:db8::1 "),
            Just("USERLOG/7/NAT: TCP; 10.0.0.1:1--->"), Just("forward: in:a out:b, proto TCP, 10.0.0.1:1->"),
            Just("forward: in:a out:b, proto TCP, 10.0.0.1:1->2.2.2.2:2, NAT ("), Just("[NEW] ORIG: SRC=10.0.0.1 "),
            Just("[NEW] ORIG: SRC=1.1.1.1 DST=2.2.2.2 PROTO=TCP SPT=1 DPT=2 , REPLY: "), Just("IN=a OUT=b SRC="),
            Just("[1.000001]\t    [NEW] tcp 6 src=1.1.1.1 "), Just("[1.000001]\t[NEW] icmp 1 src=1.1.1.1 dst=2.2.2.2 "),
            Just("SADD [nsess ISADDR=\"10.0.0.1\" "), Just("APMDEL [napmap SV6ENC=\"2001:db8::1\" "),
            Just("Jool: a 2026/1/8 16:13:2 (GMT) - Mapped "), Just("1/1/1 1:1:1 (GMT) - Added session 2001:db8::1#1|"),
            Just("CGNAT: PB_ALLOCATED subs-addr=10.0.0.1 "), Just("CGNAT: SESSION_CREATE addr=1.1.1.1->2.2.2.2 "),
            Just("cgnat[1]: Internal host: 10.0.0.1, external host: 2.2.2.2, Port range: "),
        ],
        text in "([0-9A-Z:.\\[\\] \"=/>#|,;()-]|-[>]| [a-z]{3,5}=|\\\\\"|\u{feff}|\0){0,80}",
    ) {
        for profile in Profile::ALL {
            let _ = common::decode(profile, format!("{mark}{text}").as_bytes());
        }
    }

    #[test]
    fn two_lines_in_one_are_at_most_one_event(first in 0_usize..43, second in 0_usize..43, glue in "[ \r\n\0]{0,2}") {
        let lines: Vec<_> = ["nfware.log", "juniper.log"].into_iter().flat_map(common::lines).collect();
        let message = [&lines[first], glue.as_bytes(), &lines[second]].concat();
        let (outcome, _) = common::decode(Profile::Auto, &message);
        prop_assert!(!matches!(outcome, Ok(Outcome::Events(2..))));
    }
}
