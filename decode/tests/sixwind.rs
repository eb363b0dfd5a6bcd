//! 6WIND messages beyond the samples: both families, other headers, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::*;
use decode::{Ignored, Outcome, Profile};

const CONN: &str = "<30>Jun 14 12:17:36 dut-vm fp-cgnat[2484]: NEW CONN: fwd proto 17 100.64.5.5:50000 -> 198.51.100.53:53, back proto 17 198.51.100.53:53 --> 192.0.2.33:513";
const BLOCK: &str = "Jun 11 08:03:09 vsr fp-cgnat-logd@vrf-cgn[4269]: USER 100.64.0.1 (matching rule 1): NEW BLOCK (pool \"mypool\", ip public 192.0.2.33, proto 6, port 1 - 512)";

fn ends(line: &str) -> [String; 3] {
    let event = event(line);
    ["src", "x", "dst"].map(|end| {
        let (ip, port) = (&event[format!("{end}_ip")], &event[format!("{end}_port")]);
        format!("{} {port}", ip.as_str().unwrap())
    })
}

#[test]
fn the_outside_is_the_end_of_back() {
    let expected = ["100.64.5.5 50000", "192.0.2.33 513", "198.51.100.53 53"];
    assert_eq!(ends(CONN), expected);
    assert_eq!(ends(&CONN.replace(" --> ", " -> ")), expected);
    assert_eq!(ends(&CONN.replace(" -> ", " --> ")), expected);
    assert_eq!(event(&CONN.replace("NEW", "DESTROY"))["event"], "deleted");
    // The printed guide has another port there: fwd counts.
    assert_eq!(
        ends(&CONN.replace("back proto 17 198.51.100.53:53", "back proto 17 198.51.100.53:54")),
        expected
    );
    let nat64 = CONN.replace(
        "100.64.5.5:50000 -> 198.51.100.53:53",
        "[2001:db8::5]:50000 -> 64:ff9b::c633:6435:53",
    );
    assert_eq!(
        ends(&nat64),
        ["2001:db8::5 50000", "192.0.2.33 513", "198.51.100.53 53"]
    );
    let same = CONN.replace("192.0.2.33:513", "100.64.5.5:50000");
    let outcome = common::decode(Profile::Auto, same.as_bytes()).0;
    assert_eq!(outcome, Ok(Outcome::Ignored(Ignored::NotTranslated)));
}

#[test]
fn program_and_header_may_differ() {
    let (_, body) = CONN.split_once("]: ").unwrap();
    for program in [
        "fp-cgnat:",
        "fp-cgnat[1]:",
        "<30>fp-cgnat-logd[12]:",
        "Jun  4 12:00:00 h fp-cgnat[1]: ",
    ] {
        assert_eq!(event(&format!("{program} {body}")), event(CONN), "{program}");
    }
    let framed = event(&format!(
        "<30>1 2025-05-29T12:00:00Z h fp-cgnat-logd@main 77 - [x@1 y=\"z\"] {body}"
    ));
    assert_eq!(
        (&framed["time_source"], &framed["vrf"]),
        (&"device_header".into(), &"main".into())
    );
    assert_eq!(event(&CONN.replace("fp-cgnat[", "fp-cgnat@blue["))["vrf"], "blue");
    assert_eq!(error(&CONN.replace("fp-cgnat", "fp-cgnats")), UnknownFormat);
}

#[test]
fn blocks_are_read_by_name() {
    let block = event(BLOCK);
    assert_eq!(
        (&block["protocol"], &block["vrf"]),
        (&6.into(), &"vrf-cgn".into())
    );
    for other in [
        BLOCK.replace("pool \"mypool\", ", ""),
        BLOCK.replace("mypool", "a \\\") , proto 17, port 9 - 9"),
        BLOCK.replace("ip public 192.0.2.33, proto 6", "proto 6, ip public 192.0.2.33"),
        BLOCK.replace(", proto", ", usage 3/8, proto"),
        BLOCK.replace(" (matching rule 1)", ""),
        format!("{BLOCK} at Tue Jun 11 08:03:09 2020"),
    ] {
        assert_eq!(event(&other), block, "{other}");
    }
    let inside = event(&BLOCK.replace("100.64.0.1", "2001:db8:200:0:0:0:0:1"));
    assert_eq!(inside["src_ip"], "2001:db8:200::1");
    for (message, expected) in [
        (BLOCK.replace(" 192.0.2.33", ""), MissingField),
        (BLOCK.replace(", port 1 - 512", ""), MissingField),
        (BLOCK.replace("512", "0"), BadRange),
        (BLOCK.replace("NEW BLOCK", "ACTIVE BLOCK"), UnknownFormat),
        (BLOCK.replace("proto 6", "proto 256"), BadProtocol),
        (format!("{BLOCK} more"), Malformed),
        (BLOCK.replace(" - ", "-"), Malformed),
        (CONN.replace(":513", ""), Truncated),
        (CONN.replace(":513", ":99999"), BadPort),
        (CONN.replace("->", "=>"), Malformed),
        (format!("{CONN} more"), Malformed),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
}

#[test]
fn a_cut_block_is_none() {
    for end in BLOCK.find("fp-").unwrap() + 18..BLOCK.len() {
        let (_, events) = common::decode(Profile::Auto, &BLOCK.as_bytes()[..end]);
        assert!(events.is_empty(), "{}", &BLOCK[..end]);
    }
}

#[test]
fn other_messages_of_the_program_are_no_mappings() {
    for (text, why) in [
        ("CGNAT Log listen on 5001", Ignored::NotAMapping),
        (
            "USER 100.64.0.1 (matching rule 1): first packet",
            Ignored::NotAMapping,
        ),
        (
            "USER 100.64.0.1 (matching rule 1): no more ports",
            Ignored::ResourceAlarm,
        ),
        ("pool exhausted", Ignored::ResourceAlarm),
    ] {
        let message = format!("Jun 11 08:03:09 vsr fp-cgnat[4269]: {text}");
        assert_eq!(
            common::decode(Profile::Auto, message.as_bytes()).0,
            Ok(Outcome::Ignored(why)),
            "{text}"
        );
    }
}
