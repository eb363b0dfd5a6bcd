//! Messages of Junos service cards beyond the samples: what is glued to tags, both families, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};

const BLOCK: &str = "<158>2026-07-19 16:13:02: CGN-1{SS_CGN0}[jservices-nat]: JSERVICES_NAT_PORT_BLOCK_ALLOC: 100.64.3.7 -> 203.0.113.20:2048-2303 0x6a5cf78e";
const SESSION: &str = "<158>2026-07-19 16:13:03: CGN-1{SS_CGN0}[jservices-nat]: JSERVICES_SESSION_OPEN: application:none, xe-2/0/0.100 10.20.0.5:28760 [203.0.113.33:1060] -> 198.51.100.53:53 (UDP)";

fn outcome(message: &str) -> Result<Outcome, DecodeError> {
    common::decode(Profile::Auto, message.as_bytes()).0
}

fn ends(line: &str) -> [String; 3] {
    let event = event(line);
    ["src", "x", "dst"].map(|end| {
        let (ip, port) = (&event[format!("{end}_ip")], &event[format!("{end}_port")]);
        format!("{} {port}", ip.as_str().unwrap())
    })
}

#[test]
fn the_tag_may_be_glued_to_what_stands_before() {
    for (line, tag) in [
        (BLOCK, "JSERVICES_NAT_PORT_BLOCK_ALLOC: "),
        (SESSION, "JSERVICES_SESSION_OPEN: "),
    ] {
        let body = line.split_once(tag).unwrap().1;
        let expected = event(line);
        for before in [
            "",
            "<158>",
            "{SS}",
            "host{SS}",
            "{SS}[jservices-nat]: ",
            "<158>2026-07-19 16:13:02 CGN-1{SS}[jservices-nat]:",
            "Nov  2 10:00:05  mx480-a (FPC Slot 1, PIC Slot 0) 2011-11-02 09:00:05 {SS}[FWNAT]:",
            "Jul 19 16:13:02 re0 fpc1 ",
        ] {
            for tag in [
                tag.to_owned(),
                tag.replace("JSERVICES_", "MSVCS_LOG_"),
                tag.replace(": ", ":"),
            ] {
                assert_eq!(event(&format!("{before}{tag}{body}")), expected, "{before}{tag}");
            }
        }
        let framed = event(&format!(
            "<158>1 2025-05-29T12:00:00Z mx - - - - {{SS}}[x]: {tag}{body}"
        ));
        assert_eq!(framed["kind"], expected["kind"]);
    }
}

#[test]
fn blocks_take_their_time_from_the_epoch() {
    let created = event(BLOCK);
    assert_eq!(created["timestamp"], 1_784_477_582_000_000_000_i64);
    let active = event(&BLOCK.replace("ALLOC", "ACTIVE"));
    assert_eq!(
        (&active["event"], &active["mapping_start"]),
        (&"updated".into(), &created["timestamp"])
    );
    assert!(active["timestamp"].is_null());
    let released = event(&BLOCK.replace("ALLOC", "RELEASE").replace(" 0x6a5cf78e", ""));
    assert_eq!(
        (&released["event"], &released["time_source"]),
        (&"deleted".into(), &"receive".into())
    );
    let dslite = event(
        &BLOCK
            .replace("JSERVICES", "ASP")
            .replace("100.64.3.7", "3002:0:0:0:0:0:0:17"),
    );
    assert_eq!(dslite["src_ip"], "3002::17");
}

#[test]
fn sessions_of_all_translations() {
    let expected = ["10.20.0.5 28760", "203.0.113.33 1060", "198.51.100.53 53"];
    for other in [
        SESSION.to_owned(),
        SESSION.replace("application:none", "App:junos-ftp"),
        SESSION.replace("xe-2/0/0.100 ", "xe-2/0/0.100#012 "),
        SESSION.replace("xe-2/0/0.100 ", "xe-2/0/0.100\n "),
        SESSION.replace("xe-2/0/0.100 ", "xe-2/0/0.100\n"),
        SESSION.replace(":28760", "/28760").replace(":53 ", "/53 "),
        SESSION.replace("(UDP)", "(17)"),
    ] {
        assert_eq!(ends(&other), expected, "{other}");
    }
    assert_eq!(event(&SESSION.replace("OPEN", "CLOSE"))["event"], "deleted");
    // Basic NAT keeps the port.
    assert_eq!(ends(&SESSION.replace(":1060]", "]"))[1], "203.0.113.33 28760");
    let nat64 = SESSION
        .replace("10.20.0.5:28760", "2001:db8:0:0:0:0:0:5:28760")
        .replace(
            "-> 198.51.100.53:53",
            "-> [198.51.100.53] 64:ff9b:0:0:0:0:c633:6435:53",
        );
    assert_eq!(
        ends(&nat64),
        ["2001:db8::5 28760", "203.0.113.33 1060", "198.51.100.53 53"]
    );
    let nat66 = SESSION
        .replace("10.20.0.5:28760", "2001:db8:0:0:0:0:0:5:28760")
        .replace("203.0.113.33:1060", "2001:db8:0:0:0:0:1:5:1060");
    assert_eq!(ends(&nat66)[1], "2001:db8::1:5 1060");
    let forward = SESSION
        .replace("[203.0.113.33:1060] ", "")
        .replace("-> 198.51.100.53", "-> [192.168.1.1:8053] 198.51.100.53");
    assert_eq!(
        ends(&forward),
        ["192.168.1.1 8053", "198.51.100.53 53", "10.20.0.5 28760"]
    );
    let none = SESSION.replace("[203.0.113.33:1060] ", "");
    assert_eq!(outcome(&none), Ok(Outcome::Ignored(Ignored::NotTranslated)));
}

#[test]
fn other_tags_are_no_mappings() {
    for (tag, expected) in [
        (
            "JSERVICES_NAT_RULE_MATCH",
            Ok(Outcome::Ignored(Ignored::NotAMapping)),
        ),
        (
            "ASP_SFW_CREATE_ACCEPT_FLOW",
            Ok(Outcome::Ignored(Ignored::NotAMapping)),
        ),
        (
            "JSERVICES_NAT_OUTOF_PORTS",
            Ok(Outcome::Ignored(Ignored::ResourceAlarm)),
        ),
        ("ASP_NAT_POOL_RELEASE", Err(UnknownFormat)),
        ("JSERVICES_NAT_PORT_BLOCK_EXTEND", Err(UnknownFormat)),
        ("JSERVICES_SESSION_UPDATE", Err(UnknownFormat)),
        ("XJSERVICES_SESSION_OPEN", Err(UnknownFormat)),
    ] {
        assert_eq!(
            outcome(&SESSION.replace("JSERVICES_SESSION_OPEN", tag)),
            expected,
            "{tag}"
        );
    }
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    for (message, expected) in [
        (BLOCK.replace("2303", "2047"), BadRange),
        (BLOCK.replace("2303", "99999"), BadPort),
        (BLOCK.replace("0x6a5cf78e", "0x6a5cf7"), Truncated),
        (BLOCK.replace("0x6a5cf78e", "0x6a5cf78g"), BadTime),
        (BLOCK.replace("0x6a5cf78e", "more"), Malformed),
        (format!("{BLOCK} more"), Malformed),
        (BLOCK.replace("100.64.3.7", "0.0.0.0"), BadAddress),
        (BLOCK.replace(":2048-2303 0x6a5cf78e", ""), Truncated),
        (SESSION.replace("203.0.113.33", "203.0.113.333"), BadAddress),
        (SESSION.replace("1060", "1060x"), BadPort),
        (SESSION.replace("(UDP)", "(XTP)"), BadProtocol),
        (SESSION.replace("(UDP)", "UDP"), Malformed),
        (SESSION.replace("none, ", "none "), Truncated),
        (format!("{SESSION} more"), Malformed),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
    for end in SESSION.find("JSERV").unwrap() + 10..SESSION.len() {
        assert_eq!(error(&SESSION[..end]), Truncated, "{}", &SESSION[..end]);
    }
}
