//! Palo Alto records beyond the samples: quotes, translations, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};

const END: &str = r"<14>1 2026-03-04T05:06:07Z pa1 - - - - 1,2026/03/04 05:06:07,001,TRAFFIC,end,1,2026/03/04 05:06:07,10.5.0.1,198.51.100.40,203.0.113.60,198.51.100.40,cgn-rule,isp\bob,,incomplete,vsys3,trust,untrust,ae1.1,ae1.2,fwd,2026/03/04 05:06:07,77,1,50001,443,10001,443,0x400000,tcp,allow,100,60,40,2,2026/03/04 05:06:00,7,any,0,1,0x0";

fn outcome(message: &str) -> Result<Outcome, DecodeError> {
    common::decode(Profile::Auto, message.as_bytes()).0
}

#[test]
fn the_end_of_a_session_knows_its_begin() {
    let deleted = event(END);
    assert_eq!(
        ["event", "src_ip", "x_ip", "dst_ip", "vrf", "subscriber"]
            .map(|key| deleted[key].as_str().unwrap().to_owned()),
        [
            "deleted",
            "10.5.0.1",
            "203.0.113.60",
            "198.51.100.40",
            "vsys3",
            r"isp\bob"
        ]
    );
    assert_eq!(
        (&deleted["x_port"], &deleted["protocol"]),
        (&10001.into(), &6.into())
    );
    let begin = deleted["timestamp"].as_i64().unwrap() - 7_000_000_000;
    assert_eq!(deleted["mapping_start"], begin);
    let created = event(&END.replace(",end,", ",start,"));
    assert_eq!(
        (&created["event"], &created["mapping_start"]),
        (&"created".into(), &serde_json::Value::Null)
    );
    // Without a zone there is no time.
    for header in ["Mar  4 05:06:07 pa1 ", "<14>Mar  4 05:06:07 pa1 ", "<14>", ""] {
        let line = END.replace("<14>1 2026-03-04T05:06:07Z pa1 - - - - ", header);
        assert_eq!(event(&line)["time_source"], "receive", "{line}");
    }
}

#[test]
fn fields_may_be_quoted() {
    let expected = event(END);
    for other in [
        END.replace("cgn-rule", r#""a, ""b"" A VRF 0 INT 10.0.0.1 EXT 1.1.1.1""#),
        END.replace("cgn-rule", "a rule"),
        END.replace("10.5.0.1", "\"10.5.0.1\"").replace("tcp", "\"tcp\""),
        END.replace("cgn-rule", "A VRF 0 INT 10.0.0.1 EXT 100.64.0.1"),
        format!("{END},10.0.0.0-10.255.255.255,\"Reserved\",0,1,1"),
    ] {
        assert_eq!(event(&other), expected, "{other}");
    }
    assert!(event(&END.replace(r"isp\bob", ""))["subscriber"].is_null());
    assert_eq!(
        event(&END.replace(r"isp\bob", r#""isp, bob""#))["subscriber"],
        "isp, bob"
    );
}

#[test]
fn translations_and_none() {
    let nat64 = event(&END.replace("10.5.0.1,198.51.100.40", "2001:db8::1,64:ff9b::c633:6428"));
    assert_eq!(
        (&nat64["src_ip"], &nat64["dst_ip"]),
        (&"2001:db8::1".into(), &"198.51.100.40".into())
    );
    let forward = END
        .replace("203.0.113.60,198.51.100.40", "10.5.0.1,192.168.1.1")
        .replace("50001,443,10001,443", "50001,443,50001,8443");
    let event = event(&forward);
    assert_eq!(
        ["src_ip", "x_ip", "dst_ip"].map(|key| event[key].as_str().unwrap().to_owned()),
        ["192.168.1.1", "198.51.100.40", "10.5.0.1"]
    );
    assert_eq!(event["src_port"], 8443);
    for (from, to) in [
        ("203.0.113.60,198.51.100.40", "0.0.0.0,0.0.0.0"),
        ("203.0.113.60,198.51.100.40", "::,::"),
        ("203.0.113.60,198.51.100.40", ","),
        (",10001,443,", ",0,0,"),
    ] {
        let line = END.replace(from, to);
        assert_eq!(
            outcome(&line),
            Ok(Outcome::Ignored(Ignored::NotTranslated)),
            "{line}"
        );
    }
    let same = END
        .replace("203.0.113.60", "10.5.0.1")
        .replace(",10001,443,", ",0,0,");
    assert_eq!(outcome(&same), Ok(Outcome::Ignored(Ignored::NotTranslated)));
}

#[test]
fn other_records_are_no_mappings() {
    for (from, to) in [
        (",end,", ",drop,"),
        (",end,", ",deny,"),
        ("TRAFFIC", "THREAT"),
        ("TRAFFIC", "SYSTEM"),
    ] {
        assert_eq!(
            outcome(&END.replace(from, to)),
            Ok(Outcome::Ignored(Ignored::NotAMapping)),
            "{to}"
        );
    }
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    for (message, expected) in [
        (END.replace(",end,", ",renew,"), UnknownFormat),
        (END.replace("TRAFFIC", "traffic"), UnknownFormat),
        (
            END.replace("1,2026/03/04 05:06:07,001", "1,2026-03-04 05:06:07,001"),
            UnknownFormat,
        ),
        (END.replace("10.5.0.1", "10.5.0.256"), BadAddress),
        (END.replace("10.5.0.1", ""), BadAddress),
        (END.replace("50001", "500010"), BadPort),
        (END.replace(",tcp,", ",xtp,"), BadProtocol),
        (END.replace(",7,any", ",-7,any"), BadTime),
        (END.replace("cgn-rule", "\"cgn\"-rule"), Malformed),
        (END.replace("cgn-rule", "\"cgn-rule"), Truncated),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
    let allow = END.find(",allow").unwrap();
    for end in END.find("TRAFFIC,").unwrap() + 8..=allow {
        assert_eq!(error(&END[..end]), Truncated, "{}", &END[..end]);
    }
}
