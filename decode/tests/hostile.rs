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
fn a_changed_octet_never_panics() {
    let with_profiles = common::logs().into_iter().flat_map(|log| {
        let profile = own_profile(&log);
        common::lines(&log).into_iter().map(move |line| (line, profile))
    });
    for (line, own) in with_profiles {
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
                for profile in [Profile::Auto, own] {
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
        ],
        text in "([0-9A-Z:.\\[\\] \"=/>-]|-[>]|\\\\\"|\u{feff}|\0){0,80}",
    ) {
        let _ = common::decode(Profile::Auto, format!("{mark}{text}").as_bytes());
    }

    #[test]
    fn two_lines_in_one_are_at_most_one_event(first in 0_usize..43, second in 0_usize..43, glue in "[ \r\n\0]{0,2}") {
        let lines: Vec<_> = ["nfware.log", "juniper.log"].into_iter().flat_map(common::lines).collect();
        let message = [&lines[first], glue.as_bytes(), &lines[second]].concat();
        let (outcome, _) = common::decode(Profile::Auto, &message);
        prop_assert!(!matches!(outcome, Ok(Outcome::Events(2..))));
    }
}
