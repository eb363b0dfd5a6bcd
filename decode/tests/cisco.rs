//! Cisco IOS-XE and IOS-XR CGv6: their headers, records, and what must not pass.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::{self, *};
use decode::Ignored::*;
use decode::{Outcome, Profile};

const XE: &str = "%NAT-6-LOG_TRANSLATION: Created Translation TCP 10.1.1.5:1024 203.0.113.10:5062 192.168.9.9:443 \
                  198.51.100.20:443 0";
const XE_EVENT: &str = "session created 6 10.1.1.5 1024 = 203.0.113.10 5062 > 198.51.100.20 443 vrf 0";

#[test]
fn xe_headers_without_year_or_zone_have_no_time() {
    for header in [
        "",
        "<190>",
        "<190>1046: ",
        "<190>1046: csr1: *May 21 12:00:03.250: ",
        "<190>1046: .May 21 12:00:03: ",
        "<190>1046: csr1: May 21 12:00:03.250 UTC: ",
        "<190>1046: csr1: May 21 2026 12:00:03.250: ",
        "<190>1046: csr1: May 21 2026 12:00:03.250 CET: ",
        "<190>1046: csr1: May 32 2026 12:00:03.250 UTC: ",
        "<190>May 21 12:00:03 relay 1046: csr1: May 21 12:00:02.250 gmt: ",
        "May 21 12:00:03 csr1 ",
        "<190>1046: csr1: May 21 12:00:03: %IOSXE-6-PLATFORM: R0/0: cpp_cp: QFP:0.0 Thread:001 TS:0001 ",
    ] {
        assert_eq!(briefs(&format!("{header}{XE}")), [XE_EVENT], "{header}");
    }
}

#[test]
fn xe_headers_with_year_and_utc_have_one() {
    for header in [
        "<190>1046: csr1: May 21 2026 12:00:03.250 UTC: ",
        "<190>1046: csr1: *May 21 2026 12:00:03.250 UTC: ",
        "<190>.May 21 2026 12:00:03.250 gmt: ",
        "May 21 2026 12:00:03.250 GMT: %IOSXE-6-PLATFORM: R0/0: cpp_cp: QFP:0.0 Thread:001 TS:0001 ",
        "<190>Dec 31 23:59:59 relay 1046: csr1: May 21 2026 12:00:03.250 UTC: ",
        "<190>1 2026-05-21T14:00:03.250+02:00 csr1 - - - - ",
        "<190>1 2026-05-21T12:00:03.250Z csr1 - - - [meta sequenceId=\"29\"] \u{feff}",
    ] {
        let expected = format!("{XE_EVENT} at 1779364803250000000");
        assert_eq!(briefs(&format!("{header}{XE}")), [expected], "{header}");
    }
}

#[test]
fn xe_days_are_padded() {
    let line = format!("<190>1046: csr1: Jan  2 2026 03:04:05 UTC: {XE}");
    assert_eq!(briefs(&line), [format!("{XE_EVENT} at 1767323045000000000")]);
}

#[test]
fn xe_vrf_ids_end_at_the_first_other_character() {
    let body = &XE[..XE.len() - 1];
    for (tail, vrf) in [
        ("12", "12"),
        ("3....", "3"),
        ("4\0\0\0", "4"),
        ("5 and more", "5"),
        ("7#000#000", "7"),
    ] {
        let expected = XE_EVENT.replace("vrf 0", &format!("vrf {vrf}"));
        assert_eq!(briefs(&format!("{body}{tail}")), [expected], "{tail}");
    }
    // What was in the buffer need not be text.
    let rubbish = [XE.as_bytes(), b"\0\xff\xfe"].concat();
    for profile in [Profile::Auto, Profile::CiscoIosXe] {
        let (outcome, events) = common::decode(profile, &rubbish);
        assert_eq!(
            (outcome, common::brief(&events[0])),
            (Ok(Outcome::Events(1)), XE_EVENT.into())
        );
    }
    let early = [&XE.as_bytes()[..80], b"\xff\xfe", &XE.as_bytes()[80..]].concat();
    assert!(common::decode(Profile::Auto, &early).0.is_err());
    assert_eq!(common::decode(Profile::Vyos, &rubbish).0, Err(NotUtf8));
}

#[test]
fn xe_protocols_and_families() {
    let line = |protocol: &str| briefs(&XE.replace("TCP", protocol)).remove(0);
    for (name, number) in [("udp", 17), ("ICMP", 1), ("GRE", 47), ("47", 47), ("ICMPv6", 58)] {
        assert_eq!(
            line(name),
            XE_EVENT.replace("created 6", &format!("created {number}"))
        );
    }
    assert_eq!(
        briefs(
            "%NAT-6-LOG_TRANSLATION: Deleted  Translation UDP [2001:DB8::5]:1024 203.0.113.10:5062 [64:ff9b::1]:53 192.0.2.1:53 9"
        ),
        ["session deleted 17 2001:db8::5 1024 = 203.0.113.10 5062 > 192.0.2.1 53 vrf 9"],
    );
}

#[test]
fn xe_lines_that_are_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(XE.contains(from), "{from}");
        error(&XE.replace(from, to))
    };
    assert_eq!(bad("443 0", "443"), Truncated);
    assert_eq!(bad("443 0", "443 x"), Malformed);
    assert_eq!(bad("198.51.100.20:443 0", "19"), Truncated);
    assert_eq!(bad("Created", "Refreshed"), Malformed);
    assert_eq!(bad("Translation ", "Translations "), Malformed);
    assert_eq!(bad("TCP", "QUIC"), BadProtocol);
    assert_eq!(bad("203.0.113.10:", "203.0.113.999:"), BadAddress);
    assert_eq!(bad("203.0.113.10:", "0.0.0.0:"), BadAddress);
    assert_eq!(bad("5062", "99999"), BadPort);
    assert_eq!(
        ignored(&XE.replace("203.0.113.10:5062", "10.1.1.5:1024")),
        NotTranslated
    );
    assert_eq!(
        error("%IOSXE-6-PLATFORM: F0: cpp_cp: QFP:0.0 Thread:105 TS:00 %NAT-6-LOG"),
        Truncated
    );
}

#[test]
fn xe_other_messages_are_no_mappings_unless_they_may_be() {
    assert_eq!(
        ignored("<189>1: r: May 21 12:00:05: %SYS-5-CONFIG_I: Configured from console"),
        NotAMapping
    );
    assert_eq!(
        ignored("%IOSXE-3-PLATFORM: R0/0: kernel: out of memory"),
        NotAMapping
    );
    assert_eq!(
        ignored("%NAT-4-ADDR_ALLOC_FAILURE: Address allocation failed; pool 1 may be exhausted"),
        ResourceAlarm
    );
    for other in [
        "%IPNAT-6-CREATED: tcp 10.1.1.5:1024 203.0.113.10:5062 198.51.100.20:443 198.51.100.20:443",
        "%NAT-6-HA_SESSION: something",
        "%ASA-6-305011: Built dynamic TCP translation from inside:10.0.0.1/80 to outside:203.0.113.1/80",
        "100%NAT-6-LOG_TRANSLATION: Created Translation",
        "%NAT-6-LOG_TRANSLATION Created Translation",
    ] {
        for profile in [Profile::Auto, Profile::CiscoIosXe] {
            assert_eq!(
                common::decode(profile, other.as_bytes()).0,
                Err(UnknownFormat),
                "{other}"
            );
        }
    }
    // What a message quotes is no message.
    let quoted = format!("%SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: x: {XE}] [Source: 10.0.0.9]");
    assert_eq!(ignored(&quoted), NotAMapping);
}

const XR: &str = "<134> 1 2011 May 31 10:30:45 192.168.2.3 - - NAT44 - ";
const XR_TIME: &str = "at 1306837845000000000";

fn xr(records: &str) -> Vec<String> {
    briefs(&format!("{XR}{records}"))
}

fn xr_error(records: &str) -> DecodeError {
    error(&format!("{XR}{records}"))
}

#[test]
fn xr_headers() {
    let record = "[UserbasedA - 10.12.0.5 ivrf1 - 100.1.1.2 - 20000 20511 - - ]";
    let block =
        "block created * 10.12.0.5 = 100.1.1.2 20000 - 20511 vrf ivrf1".replace("block", "port-block");
    for (header, time) in [
        ("<134> 1 2011 May 31 10:30:45 192.168.2.3 - - NAT44 - ", XR_TIME),
        ("<14>1 2011 May 31 10:30:45 asr9k - - NAT44 - ", XR_TIME),
        ("1 2011 May 31 10:30:45 asr9k - -   NAT44 -  ", XR_TIME),
        (
            "<134> 1 2013 Jan  7 00:00:09 asr9k - - DSLITE - ",
            "at 1357516809000000000",
        ),
        ("<134>1 2011-05-31T10:30:45Z asr9k - - NAT44 - ", XR_TIME),
        (
            "<134>May 31 12:30:45 relay 1 2011 May 31 10:30:45 asr9k - - NAT44 - ",
            XR_TIME,
        ),
        (
            "<134>1 2011-06-01T00:00:00Z relay - - - - <134> 1 2011 May 31 10:30:45 asr9k - - NAT44 - ",
            XR_TIME,
        ),
        ("<134>May 31 10:30:45 asr9k - - NAT44 - ", ""),
    ] {
        assert_eq!(
            briefs(&format!("{header}{record}")),
            [format!("{block} {time}").trim()],
            "{header}"
        );
    }
    for header in [
        "NAT44 - ",
        "h - NAT44 - ",
        "h - - NAT64 - ",
        "h - - NAT44 x ",
        "h - - NAT444 - ",
    ] {
        assert_eq!(
            error(&format!("1 2011 May 31 10:30:45 {header}{record}")),
            UnknownFormat,
            "{header}"
        );
    }
    assert_eq!(
        ignored("<134> 1 2011 May 31 10:30:45 192.168.2.3 - -   NAT44 -  "),
        NotAMapping
    );
}

#[test]
fn xr_records() {
    for (record, expected) in [
        (
            "[SessionbasedA 6 10.0.0.5 - - 100.1.1.2 40000 20001 - - - ]",
            "port created 6 10.0.0.5 40000 = 100.1.1.2 20001",
        ),
        (
            "[SessionbasedW 17 10.0.0.5 v - 100.1.1.2 40000 20001 -]",
            "port deleted 17 10.0.0.5 40000 = 100.1.1.2 20001 vrf v",
        ),
        (
            "[SessionbasedAD 1 10.0.0.5 v - 100.1.1.2 7 8 - 198.51.100.7 0 ]",
            "session created 1 10.0.0.5 7 = 100.1.1.2 8 > 198.51.100.7 0 vrf v",
        ),
        (
            "[SessionbasedWD 47 10.0.0.5 v - 100.1.1.2 7 8 - 198.51.100.7 0]",
            "session deleted 47 10.0.0.5 7 = 100.1.1.2 8 > 198.51.100.7 0 vrf v",
        ),
        (
            "[UserbasedW - 10.0.0.5 v - 100.1.1.2 - 1024 1024]",
            "port-block deleted * 10.0.0.5 = 100.1.1.2 1024 - 1024 vrf v",
        ),
        // The softwire is the inside end if there is no other, and the subscriber if there is.
        (
            "[UserbasedA - - v 2001:DB8:0:0::5 100.1.1.2 - 1 2 - - ]",
            "port-block created * 2001:db8::5 = 100.1.1.2 1 - 2 vrf v",
        ),
        (
            "[UserbasedA - 0.0.0.0 v 2001:DB8::5 100.1.1.2 - 1 2 - - ]",
            "port-block created * 2001:db8::5 = 100.1.1.2 1 - 2 vrf v",
        ),
        (
            "[SessionbasedA 6 192.168.1.2 v 2001:DB8:0:0::5 100.1.1.2 9 10 - - - ]",
            "port created 6 192.168.1.2 9 = 100.1.1.2 10 vrf v sub 2001:db8::5",
        ),
    ] {
        assert_eq!(xr(record), [format!("{expected} {XR_TIME}")], "{record}");
    }
}

#[test]
fn xr_datagrams_hold_several_records() {
    let one = "[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 1 2 - - ]";
    let two = "[SessionbasedA 6 10.0.0.2 v - 100.1.1.2 3 4 - - - ]";
    let (first, second) = (xr(one).remove(0), xr(two).remove(0));
    assert_eq!(xr(&format!("{one}{two}")), [&*first, &second]);
    assert_eq!(
        xr(&format!(
            "{one} {two}[TCPseqmismatch 6 10.0.0.2 v - - 3 - - - - ]{one}"
        )),
        [&*first, &second, &first]
    );
    // One that is cut off or wrong costs no other, and is told.
    let partly = |records: &str, expected: &[&str], error| {
        let (outcome, got) = common::decode(Profile::Auto, format!("{XR}{records}").as_bytes());
        let events = expected.len() as u32;
        assert_eq!(outcome, Ok(Outcome::Partly { events, error }), "{records}");
        let got: Vec<_> = got.iter().map(common::brief).collect();
        assert_eq!(got, expected, "{records}");
    };
    for end in 1..two.len() {
        partly(&format!("{one}{}", &two[..end]), &[&first], Truncated);
    }
    assert_eq!(xr_error(&one[..one.len() - 1]), Truncated);
    for (wrong, error) in [
        ("[UserbasedA - 10.0.0.999 v - 100.1.1.2 - 1 2 - - ]", BadAddress),
        ("[UserbasedX - 10.0.0.1 v - 100.1.1.2 - 1 2 - - ]", UnknownFormat),
        ("[]", UnknownFormat),
    ] {
        partly(&format!("{one}{wrong}{two}"), &[&first, &second], error);
        assert_eq!(xr_error(wrong), error);
    }
    // What is no record ends them.
    partly(&format!("{one}x{two}"), &[&first], Malformed);
    partly(&format!("{one} and more"), &[&first], Malformed);
}

#[test]
fn xr_what_is_no_mapping_or_wrong() {
    assert_eq!(
        ignored(&format!("{XR}[Portblockrunout 6 10.0.0.9 v - - 40000 - - - - ]")),
        ResourceAlarm
    );
    assert_eq!(
        ignored(&format!("{XR}[Invalid - - - - - - - - - - ]")),
        NotAMapping
    );
    for (record, expected) in [
        ("[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 2 1 - - ]", BadRange),
        ("[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 1 99999 - - ]", BadPort),
        ("[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 1 - - - ]", MissingField),
        ("[UserbasedA - 10.0.0.1 v - - - 1 2 - - ]", MissingField),
        ("[UserbasedA - - v - 100.1.1.2 - 1 2 - - ]", MissingField),
        ("[UserbasedA - 0.0.0.0 v - 100.1.1.2 - 1 2 - - ]", BadAddress),
        ("[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 1 2 - ]", MissingField),
        ("[UserbasedA - 10.0.0.1 v - 100.1.1.2 - 1 2 - - - ]", Malformed),
        (
            "[SessionbasedA - 10.0.0.1 v - 100.1.1.2 1 2 - - - ]",
            MissingField,
        ),
        (
            "[SessionbasedA 256 10.0.0.1 v - 100.1.1.2 1 2 - - - ]",
            BadProtocol,
        ),
        (
            "[SessionbasedA 6 10.0.0.1 v - 100.1.1.2 - 2 - - - ]",
            MissingField,
        ),
        (
            "[SessionbasedAD 6 10.0.0.1 v - 100.1.1.2 1 2 - - - ]",
            MissingField,
        ),
        ("[SessionbasedAD 6 10.0.0.1 v - 100.1.1.2 1 2 -]", MissingField),
        ("[SessionbasedQ 6 10.0.0.1 v - 100.1.1.2 1 2 -]", UnknownFormat),
        ("[Userbased", Truncated),
    ] {
        assert_eq!(xr_error(record), expected, "{record}");
    }
}
