//! Formats that the operator defines.

mod common;

use std::sync::Arc;

use decode::exporter::Settings;
use decode::exporter::pattern::{Options, Pattern, Words};
use decode::{DecodeError, Exporter, Ignored, Outcome, Profile};
use event::Action;
use proptest::prelude::*;

/// An exporter with these patterns and nothing else.
fn exporter(patterns: Vec<Pattern>) -> Exporter {
    Exporter::new(Settings {
        profile: None,
        patterns,
        ..Settings::from(Profile::Auto)
    })
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text, Options::default()).expect(text)
}

/// The events of a message in brief, or why there are none.
fn read(exporter: &mut Exporter, message: &str) -> Result<Vec<String>, DecodeError> {
    let mut events = Vec::new();
    let outcome = exporter.decode(message.as_bytes(), 1_782_918_011_000_000_000, |event| {
        let event = common::object(event);
        common::assert_possible(&event);
        events.push(common::brief(&event));
    });
    outcome.map(|_| events)
}

fn one(exporter: &mut Exporter, message: &str) -> String {
    let events = read(exporter, message).unwrap_or_else(|why| panic!("{why:?}: {message}"));
    assert_eq!(events.len(), 1, "{message}");
    events.into_iter().next().unwrap()
}

/// The page whose examples these are.
const PAGE: &str = include_str!("../../docs/exporter-profiles.md");

/// The regular expressions of the page's blocks after the line that begins with `heading`: what stands in `'…'` behind
/// `regex =` or `pattern =`.
fn page(heading: &str) -> Vec<&'static str> {
    let section = PAGE.split_once(heading).expect(heading).1;
    let block = section.split("```").nth(1).expect("a block of configuration");
    let literals = block.lines().filter_map(|line| {
        let (key, value) = line.split_once(" = '")?;
        ["regex", "pattern"]
            .contains(&key.trim().trim_start_matches("{ "))
            .then_some(value)
    });
    literals.map(|value| value.split('\'').next().unwrap()).collect()
}

#[test]
fn huawei_flexible_as_the_page_has_it() {
    let [text] = page("### Huawei, flexible")[..] else {
        panic!("one pattern");
    };
    let mut flexible = Exporter::new(Settings {
        profile: None,
        zone: Some("Asia/Shanghai".parse().unwrap()),
        patterns: vec![pattern(text)],
        ..Settings::from(Profile::Auto)
    });
    for (message, expected) in [
        (
            "<134>1 2026 Jul 1 23:00:10 68.1.1.1 cgn - 2026-07-01 23:00:09|SessionbasedA|6|vpn1|10.1.1.2|40000|172.16.1.1|1025|203.0.113.9|443",
            "session created 6 10.1.1.2 40000 = 172.16.1.1 1025 > 203.0.113.9 443 vrf vpn1 at 1782918009000000000",
        ),
        (
            "<134>1 2026 Jul 1 23:00:10 68.1.1.1 cgn - 2026-07-01 23:00:09|SessionbasedW|17|-|10.1.1.2|40000|172.16.1.1|1025|203.0.113.9|443",
            "session deleted 17 10.1.1.2 40000 = 172.16.1.1 1025 > 203.0.113.9 443 at 1782918009000000000",
        ),
    ] {
        assert_eq!(one(&mut flexible, message), expected);
    }
    assert_eq!(
        read(&mut flexible, "<134>1 2026 Jul 1 23:00:10 h cgn - x"),
        Err(DecodeError::UnknownFormat)
    );
}

#[test]
fn a10_custom_as_the_page_has_it() {
    let texts = page("### A10, custom");
    let [allocated, freed, session] = texts[..] else {
        panic!("three patterns: {texts:?}");
    };
    let with = |text: &str, event: Option<Action>| {
        let options = Options {
            event,
            ..Options::default()
        };
        Pattern::new(text, options).expect(text)
    };
    let mut custom = exporter(vec![
        with(allocated, Some(Action::Created)),
        with(freed, Some(Action::Deleted)),
        with(session, None),
    ]);
    for (message, expected) in [
        (
            "<134>Jul  1 17:00:10 thunder BATCH+ UDP 100.65.140.73 99.99.99.12 22016-22271",
            "port-block created 17 100.65.140.73 = 99.99.99.12 22016 - 22271",
        ),
        (
            "<134>Jul  1 17:00:10 thunder BATCH- UDP 100.65.140.73 99.99.99.12 22016-22271",
            "port-block deleted 17 100.65.140.73 = 99.99.99.12 22016 - 22271",
        ),
        (
            "<134>Jul  1 17:00:10 thunder SESS open TCP 100.65.140.73:4000 99.99.99.12:22016 198.51.100.1:443 MSISDN=491700000",
            "session created 6 100.65.140.73 4000 = 99.99.99.12 22016 > 198.51.100.1 443 sub 491700000",
        ),
        (
            "<134>Jul  1 17:00:10 thunder SESS close TCP 100.65.140.73:4000 99.99.99.12:22016 198.51.100.1:443 MSISDN=-",
            "session deleted 6 100.65.140.73 4000 = 99.99.99.12 22016 > 198.51.100.1 443",
        ),
    ] {
        assert_eq!(one(&mut custom, message), expected);
    }
}

const SESSION: &str = r"X (?<event>\S+) (?<protocol>\S+) (?<src_ip>\S+) (?<src_port>\S+) (?<x_ip>\S+) (?<x_port>\S+) (?<dst_ip>\S+) (?<dst_port>\S+) (?<vrf>\S+) (?<time>\S+)(?: (?<mapping_start>.+))?$";

#[test]
fn fields_are_as_strict_as_those_of_the_known_formats() {
    let mut exporter = exporter(vec![pattern(SESSION)]);
    assert_eq!(
        one(
            &mut exporter,
            "<1>h X ADD tcp 10.0.0.1 80 203.0.113.1 1024 198.51.100.1 443 blue 1782918010 2026-07-01 15:00:00Z"
        ),
        "session created 6 10.0.0.1 80 = 203.0.113.1 1024 > 198.51.100.1 443 vrf blue at 1782918010000000000 since 1782918000000000000"
    );
    for (line, expected) in [
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99999 198.51.100.1 443 - -",
            DecodeError::BadPort,
        ),
        (
            "X ADD 6 10.0.0.1 080 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::BadPort,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.999 99 198.51.100.1 443 - -",
            DecodeError::BadAddress,
        ),
        (
            "X ADD 6 10.0.0.1 80 0.0.0.0 99 198.51.100.1 443 - -",
            DecodeError::BadAddress,
        ),
        (
            "X ADD 6 x 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::BadAddress,
        ),
        (
            "X ADD 256 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::BadProtocol,
        ),
        (
            "X ADD tcpx 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::BadProtocol,
        ),
        (
            "X WHAT 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::Malformed,
        ),
        (
            "X - 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::MissingField,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99 - 443 - -",
            DecodeError::MissingField,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 - - -",
            DecodeError::MissingField,
        ),
        (
            "X ADD 6 10.0.0.1 - 203.0.113.1 - 198.51.100.1 - - -",
            DecodeError::MissingField,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - yesterday",
            DecodeError::BadTime,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - 99999999999999999999",
            DecodeError::BadTime,
        ),
        (
            "X ADD 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 b\0c -",
            DecodeError::Malformed,
        ),
        (
            "Y ADD 6 10.0.0.1 80 203.0.113.1 99 198.51.100.1 443 - -",
            DecodeError::UnknownFormat,
        ),
        ("", DecodeError::Empty),
    ] {
        assert_eq!(read(&mut exporter, line), Err(expected), "{line}");
    }
    for (line, expected) in [
        // Protocols without ports, and those whose remote end has none.
        (
            "X D 50 10.0.0.1 - 203.0.113.1 - 198.51.100.1 - - -",
            "session deleted 50 10.0.0.1 = 203.0.113.1 > 198.51.100.1",
        ),
        (
            "X D icmp 10.0.0.1 7 203.0.113.1 8 198.51.100.1 - - -",
            "session deleted 1 10.0.0.1 7 = 203.0.113.1 8 > 198.51.100.1",
        ),
        (
            "X U - 2001:DB8::1 7 203.0.113.1 8 198.51.100.1 9 - -",
            "session updated * 2001:db8::1 7 = 203.0.113.1 8 > 198.51.100.1 9",
        ),
    ] {
        assert_eq!(one(&mut exporter, line), expected, "{line}");
    }
    let same = b"X ADD 6 10.0.0.1 80 10.0.0.1 80 198.51.100.1 443 - -";
    let outcome = exporter.decode(same, 0, |_| panic!("not translated"));
    assert_eq!(outcome, Ok(Outcome::Ignored(Ignored::NotTranslated)));
    let outcome = exporter.decode(
        b"X ADD 6 10.0.0.1 80 203.0.113.1 1 198.51.100.1 443 \xff -",
        0,
        |_| {
            panic!("not UTF-8");
        },
    );
    assert_eq!(outcome, Err(DecodeError::NotUtf8));
}

#[test]
fn a_group_that_takes_a_part_of_a_number_is_no_number() {
    let mut short = exporter(vec![pattern(
        r"X (?<event>\w) (?<src_ip>[0-9.]{7,8}) (?<src_port>\d{1,4}).* (?<x_ip>\S+):(?<x_port>\d{1,4})",
    )]);
    assert_eq!(
        one(&mut short, "X A 10.0.0.1 1234 203.0.113.1:4321"),
        "port created * 10.0.0.1 1234 = 203.0.113.1 4321"
    );
    for (line, expected) in [
        ("X A 10.0.0.1 12345 203.0.113.1:4321", DecodeError::BadPort),
        ("X A 10.0.0.1 1234 203.0.113.1:43210", DecodeError::BadPort),
    ] {
        assert_eq!(read(&mut short, line), Err(expected), "{line}");
    }
}

#[test]
fn blocks_addresses_and_hexadecimal_ports() {
    let hex = Options {
        hex_ports: true,
        ..Options::default()
    };
    let mut exporter = exporter(vec![
        pattern(r"^B (?<event>\S+) (?<src_ip>\S+) (?<x_ip>\S+) (?<start_port>\d+)\+(?<port_count>\d+)$"),
        Pattern::new(
            r"^H (?<event>\S+) (?<src_ip>\S+) (?<x_ip>\S+) (?<start_port>\w+)-(?<end_port>\w+)$",
            hex,
        )
        .unwrap(),
        pattern(r"^A (?<event>\S+) (?<src_ip>\S+) (?<x_ip>\S+)$"),
    ]);
    for (line, expected) in [
        (
            "B alloc 10.0.0.1 203.0.113.1 1024+64",
            "port-block created * 10.0.0.1 = 203.0.113.1 1024 - 1087",
        ),
        (
            "H free 10.0.0.1 203.0.113.1 0x400-43f",
            "port-block deleted * 10.0.0.1 = 203.0.113.1 1024 - 1087",
        ),
        (
            "A add 10.0.0.1 203.0.113.1",
            "address created * 10.0.0.1 = 203.0.113.1",
        ),
    ] {
        assert_eq!(one(&mut exporter, line), expected, "{line}");
    }
    for (line, expected) in [
        ("B alloc 10.0.0.1 203.0.113.1 1024+0", DecodeError::BadRange),
        ("B alloc 10.0.0.1 203.0.113.1 65535+2", DecodeError::BadRange),
        ("H alloc 10.0.0.1 203.0.113.1 43f-400", DecodeError::BadRange),
        ("H alloc 10.0.0.1 203.0.113.1 400-1043f", DecodeError::BadPort),
        ("H alloc 10.0.0.1 203.0.113.1 400-xyz", DecodeError::BadPort),
    ] {
        assert_eq!(read(&mut exporter, line), Err(expected), "{line}");
    }
}

#[test]
fn words_are_those_that_are_said() {
    let mut words = Words::default();
    words.set_event("Weg", "deleted".parse().unwrap());
    words.set_event("PoolFull", "ignored".parse().unwrap());
    words.set_protocol("T", 6);
    let options = Options {
        words: Arc::new(words),
        ..Options::default()
    };
    let text = r"^X (?<event>\S+) (?<protocol>\S+) (?<src_ip>\S+) (?<x_ip>\S+)$";
    let mut exporter = exporter(vec![Pattern::new(text, options).unwrap()]);
    assert_eq!(
        one(&mut exporter, "X WEG t 10.0.0.1 203.0.113.1"),
        "address deleted 6 10.0.0.1 = 203.0.113.1"
    );
    assert_eq!(
        one(&mut exporter, "X add 17 10.0.0.1 203.0.113.1"),
        "address created 17 10.0.0.1 = 203.0.113.1"
    );
    let full = exporter.decode(b"X poolfull - - -", 0, |_| panic!("no mapping"));
    assert_eq!(full, Ok(Outcome::Ignored(Ignored::NotAMapping)));
}

#[test]
fn patterns_are_tried_in_order_and_the_profile_reads_what_none_claims() {
    let mut both = Exporter::new(Settings {
        patterns: vec![
            pattern(r"^X (?<event>\S+) (?<src_ip>\S+) (?<x_ip>\S+)$"),
            pattern(r"(?<event>\S+) (?<x_ip>\S+) (?<src_ip>\S+)$"),
        ],
        ..Settings::from(Profile::Nfware)
    });
    for (line, expected) in [
        (
            "X add 10.0.0.1 203.0.113.1",
            "address created * 10.0.0.1 = 203.0.113.1",
        ),
        (
            "Y add 203.0.113.1 10.0.0.1",
            "address created * 10.0.0.1 = 203.0.113.1",
        ),
    ] {
        assert_eq!(one(&mut both, line), expected, "{line}");
    }
    // The second claims it, and what is wrong with its fields is the answer.
    assert_eq!(
        read(&mut both, "A VRF 0 INT 10.0.0.1 EXT 100.64.0.1"),
        Err(DecodeError::Malformed)
    );
    let mut first = Exporter::new(Settings {
        patterns: vec![pattern(r"^X (?<event>\S+) (?<src_ip>\S+) (?<x_ip>\S+)$")],
        ..Settings::from(Profile::Nfware)
    });
    assert_eq!(
        one(&mut first, "A VRF 0 INT 10.0.0.1 EXT 100.64.0.1"),
        "address created * 10.0.0.1 = 100.64.0.1 vrf 0"
    );
}

#[test]
fn a_pattern_without_an_end_is_told() {
    for (text, expected) in [
        (r"(?<event>a)(?<src_ip>b)(?<x_ip>c)$", true),
        (r"(?<event>a)(?<src_ip>b)(?<x_ip>c)\z", true),
        (r"(?<event>a)(?<src_ip>b)(?<x_ip>c)\$", false),
        (r"(?<event>a)(?<src_ip>b)(?<x_ip>c)", false),
    ] {
        assert_eq!(pattern(text).has_end(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_pattern_and_no_line_panic(text in "(\\(\\?<(event|src_ip|x_ip|time|vrf|start_port|end_port)>.{0,3}\\)|.{0,4}){0,8}", line: Vec<u8>) {
        if let Ok(pattern) = Pattern::new(&text, Options { event: Some(Action::Created), ..Options::default() }) {
            let _ = exporter(vec![pattern]).decode(&line, 0, |event| common::assert_possible(&common::object(event)));
        }
    }

    #[test]
    fn no_fields_panic(fields in prop::collection::vec("[0-9a-zA-Z.:+-]{0,9}|\\PC{0,4}|10\\.0\\.0\\.[0-9]|[0-9]{1,5}", 11), received_ns: i64) {
        let mut exporter = exporter(vec![pattern(SESSION)]);
        let line = format!("X {}", fields.join(" "));
        let _ = exporter.decode(line.as_bytes(), received_ns, |event| common::assert_possible(&common::object(event)));
        let words = ["add", "6", "10.0.0.1", "80", "203.0.113.1", "81", "198.51.100.1", "443", "v", "1", "2"];
        let mixed: Vec<_> = fields.iter().zip(words).enumerate()
            .map(|(index, (field, word))| if (received_ns >> index).trailing_zeros() >= 2 { field.as_str() } else { word })
            .collect();
        let line = format!("X {}", mixed.join(" "));
        let _ = exporter.decode(line.as_bytes(), received_ns, |event| common::assert_possible(&common::object(event)));
    }
}
