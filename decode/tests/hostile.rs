//! Any bytes: no panic, and no event that cannot be (`common::decode` asserts the latter on each).

mod common;

use decode::{Outcome, Profile};
use proptest::prelude::*;

fn every_line() -> Vec<Vec<u8>> {
    common::logs().iter().flat_map(|log| common::lines(log)).collect()
}

/// Every line with the profiles that may read it.
fn every_line_and_profile() -> Vec<(Vec<u8>, Vec<Profile>)> {
    let of = |log: &String| {
        let profiles: Vec<_> = [Some(Profile::Auto), common::own(log)]
            .into_iter()
            .flatten()
            .collect();
        common::lines(log)
            .into_iter()
            .map(move |line| (line, profiles.clone()))
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

#[test]
fn a_changed_octet_never_panics() {
    for (line, profiles) in every_line_and_profile() {
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
        ],
        text in "([0-9A-Z:.\\[\\] \"=/>,<{}()|#%-]|-[>]|\\\\\"|\u{feff}|\0){0,80}",
    ) {
        let _ = common::decode(Profile::Auto, format!("{mark}{text}").as_bytes());
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
        // Only A10 puts several records into one message.
        let several = first.1 == Profile::A10 && second.1 == Profile::A10;
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
