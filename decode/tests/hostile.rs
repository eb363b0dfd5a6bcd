//! Any bytes: no panic, and no event that cannot be (`common::decode` asserts the latter on each).

mod common;

use decode::{Outcome, Profile};
use proptest::prelude::*;

fn every_line() -> Vec<Vec<u8>> {
    common::logs().iter().flat_map(|log| common::lines(log)).collect()
}

/// Every line with the profiles that may read it.
fn every_line_and_profiles() -> Vec<(Vec<u8>, [Profile; 2])> {
    let of = |log: &String| {
        let profiles = [Profile::Auto, common::own(log)];
        common::lines(log).into_iter().map(move |line| (line, profiles))
    };
    common::logs().iter().flat_map(of).collect()
}

#[test]
fn a_cut_line_never_changes_its_kind() {
    for line in every_line() {
        let (_, whole) = common::decode(Profile::Auto, &line);
        for end in 0..line.len() {
            let (_, cut) = common::decode(Profile::Auto, &line[..end]);
            if cut
                .iter()
                .all(|cut| whole.iter().any(|event| event["kind"] == cut["kind"]))
            {
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

/// Files with lines that may end with a number, a name or something optional, which can be cut unseen: what these need
/// at their end is tested with their grammars.
const NO_END_MARK: [&str; 9] = [
    "nfware.log",
    "juniper.log",
    "f5-bigip.log",
    "a10-ascii.log",
    "a10-cef.log",
    "sixwind.log",
    "fortinet.log",
    "paloalto.log",
    "juniper-ms.log",
];

#[test]
fn a_cut_line_says_what_the_whole_one_says() {
    for (log, profile) in common::OWN {
        if NO_END_MARK.contains(&log) {
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
        let own = common::own(&log);
        for line in common::lines(&log) {
            let mut changed = line.clone();
            for at in 0..line.len() {
                for octet in [0, b' ', b'"', b']', b'9', b'-', line[at] ^ 0x80, line[at] ^ 1] {
                    changed[at] = octet;
                    let (_, events) = common::decode(Profile::Auto, &changed);
                    let (_, expected) = common::decode(own, &changed);
                    // A header that is none hides the mark.
                    let is_own = events == expected || events.is_empty();
                    assert!(is_own, "{log}: {}", String::from_utf8_lossy(&changed));
                }
                changed[at] = line[at];
            }
        }
    }
}

#[test]
fn a_changed_octet_never_panics() {
    for (line, profiles) in every_line_and_profiles() {
        let mut changed = line.clone();
        for at in 0..line.len() {
            for octet in [
                0,
                b' ',
                b'"',
                b'\\',
                b']',
                b'[',
                b'9',
                b':',
                b'-',
                b'/',
                b'>',
                line[at] ^ 0x80,
                line[at] ^ 1,
            ] {
                changed[at] = octet;
                for &profile in &profiles {
                    let _ = common::decode(profile, &changed);
                }
            }
            changed[at] = line[at];
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
            Just("LSN_ADD "), Just("lsn_event=\"LSN_ADD\",cli="), Just("{\"lsn_event\":\"LSN_ADD\","),
            Just("NAT-TCP-C: "), Just("CEF:0|A10|CFW|6|CGN 100|n|5|src="), Just("PortBatchV2Freed: ["),
            Just("fp-cgnat[1]: NEW CONN: fwd proto "), Just("fp-cgnat: USER ::1 (m): NEW BLOCK ("),
            Just("date=1 type=sess act=end "), Just("logid=0100022015 type=event "),
            Just("1,2026/03/04 05:06:07,0,TRAFFIC,end,"), Just("{s}[x]:JSERVICES_SESSION_OPEN: App:x, i "),
            Just("ASP_NAT_PORT_BLOCK_ALLOC: "),
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
        text in "([0-9A-Z:.\\[\\] \"=/>,;<{}()|#%-]|-[>]| [a-z]{3,5}=|\\\\\"|\u{feff}|\0){0,80}",
    ) {
        for profile in Profile::ALL {
            let _ = common::decode(profile, format!("{mark}{text}").as_bytes());
        }
    }

    #[test]
    fn two_lines_in_one_are_never_events_of_two_vendors(
        first in any::<prop::sample::Index>(), second in any::<prop::sample::Index>(), glue in "[ \r\n\0]{0,2}",
    ) {
        let lines: Vec<_> = common::OWN
            .into_iter()
            .flat_map(|(log, profile)| common::lines(log).into_iter().map(move |line| (line, profile)))
            .collect();
        let (first, second) = (first.get(&lines), second.get(&lines));
        let message = [&first.0, glue.as_bytes(), &second.0].concat();
        let (outcome, events) = common::decode(Profile::Auto, &message);
        // Only these put several records into one message.
        let several = [Profile::A10, Profile::CiscoIosXr].contains(&first.1);
        prop_assert!(several || !matches!(outcome, Ok(Outcome::Events(2..))));
        let own: Vec<_> = [first, second]
            .into_iter()
            .flat_map(|(line, profile)| common::decode(*profile, line).1)
            .collect();
        for event in events {
            prop_assert!(own.iter().any(|own| own["kind"] == event["kind"]), "{event}");
        }
    }
}
