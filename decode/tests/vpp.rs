//! FD.io VPP, and what it writes of draft-ietf-behave-syslog-nat-logging.

mod common;

use common::{brief, briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::NotTranslated;
use decode::{Outcome, Profile};

const HEADER: &str = "<134>1 2020-01-17T11:05:55.000678Z 172.16.1.1 NAT 1234 ";
const SADD: &str = r#"SADD [nsess SSUBIX="0" SVLAN="7" IATYP="IPv4" ISADDR="10.0.0.1" ISPORT="6303" XATYP="IPv4" XSADDR="10.0.0.3" XSPORT="6304" PROTO="6" XDADDR="172.16.2.2" XDPORT="80"]"#;
const APMADD: &str = r#"APMADD [napmap SSUBIX="1" SVLAN="0" IATYP="IPv4" ISADDR="10.0.0.1" ISPORT="6304" XATYP="IPv4" XSADDR="10.0.0.3" XSPORT="1025" PROTO="17"]"#;
const SESSION: &str = "session created 6 10.0.0.1 6303 = 10.0.0.3 6304 > 172.16.2.2 80 vrf 7";
const PORT: &str = "port created 17 10.0.0.1 6304 = 10.0.0.3 1025 vrf 0";
const TIME: &str = " at 1579259155000678000";

fn events(body: &str) -> Vec<String> {
    let strip = |event: String| event.strip_suffix(TIME).expect(TIME).to_owned();
    briefs(&format!("{HEADER}{body}"))
        .into_iter()
        .map(strip)
        .collect()
}

#[test]
fn parameters_are_read_by_name() {
    assert_eq!(events(SADD), [SESSION]);
    assert_eq!(events(APMADD), [PORT]);
    assert_eq!(
        events(&SADD.replace("SADD [", "SDEL [")),
        [SESSION.replace("created", "deleted")]
    );
    assert_eq!(
        events(&APMADD.replace("APMADD [", "APMDEL [")),
        [PORT.replace("created", "deleted")]
    );
    let (name, parameters) = SADD.strip_suffix(']').unwrap().split_at("SADD [nsess ".len());
    let mut parameters: Vec<_> = parameters.split(' ').collect();
    parameters.reverse();
    let reversed = format!(r#"{name}{} XYZ="\"]\\" ]"#, parameters.join(" "));
    assert_eq!(events(&reversed), [SESSION]);
    for tail in [" \u{feff}text", r#"[other@1 a="b"]"#, " [nsess"] {
        assert_eq!(events(&format!("{SADD}{tail}")), [SESSION], "{tail}");
    }
}

#[test]
fn nat64_ds_lite_and_twice_nat() {
    let nat64 = SADD.replace(r#"SSUBIX="0" "#, "").replace(
        r#"IATYP="IPv4" ISADDR="10.0.0.1""#,
        r#"IATYP="IPv6" ISADDR="2001:DB8::9""#,
    );
    assert_eq!(events(&nat64), [SESSION.replace("10.0.0.1", "2001:db8::9")]);
    let twice = SADD.replace(']', r#" IDADDR="10.0.0.254" IDPORT="8080"]"#);
    assert_eq!(events(&twice), [SESSION]);
    // The softwire is the subscriber, in the one form that it has, or the inside end itself.
    let dslite = APMADD.replace(r#"SVLAN="0""#, r#"SV6ENC="2001:DB8:0:0:0::7""#);
    assert_eq!(events(&dslite), [PORT.replace("vrf 0", "sub 2001:db8::7")]);
    let softwire = PORT.replace("10.0.0.1", "2001:db8::7").replace(" vrf 0", "");
    assert_eq!(events(&dslite.replace("10.0.0.1", "0.0.0.0")), [&*softwire]);
    assert_eq!(events(&dslite.replace(r#"ISADDR="10.0.0.1" "#, "")), [softwire]);
}

#[test]
fn tables_of_the_inside() {
    assert_eq!(
        events(&SADD.replace(r#" SVLAN="7""#, "")),
        [SESSION.replace(" vrf 7", "")]
    );
    assert_eq!(events(&SADD.replace("SVLAN", "SVPN")), [SESSION]);
    assert_eq!(
        events(&SADD.replace(r#"SVLAN="7""#, r#"SVLAN="7" SVPN="x""#)),
        [SESSION]
    );
    let event = &events(&SADD.replace(r#""7""#, r#""a b\]\"c""#))[0];
    assert_eq!(*event, SESSION.replace("vrf 7", "vrf a b]\"c"));
}

#[test]
fn headers() {
    for header in [
        "",
        "<134>1 - h NAT 1 ",
        "<134>Jan  2 03:04:05 relay NAT 1234 ",
        "<134>1 2020-01-17T11:05:55 h NAT - ",
    ] {
        assert_eq!(briefs(&format!("{header}{SADD}")), [SESSION], "{header}");
    }
    let (outcome, events) = common::decode(Profile::Vpp, format!("{HEADER}{APMADD}").as_bytes());
    assert_eq!(
        (outcome, brief(&events[0])),
        (Ok(Outcome::Events(1)), format!("{PORT}{TIME}"))
    );
}

#[test]
fn what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(SADD.contains(from), "{from}");
        error(&format!("{HEADER}{}", SADD.replace(from, to)))
    };
    // VPP cuts its messages, so only the bracket tells that one is whole.
    assert_eq!(bad("]", ""), Truncated);
    assert_eq!(bad(r#""80"]"#, r#""80"#), Truncated);
    assert_eq!(bad(r#"="80"]"#, ""), Truncated);
    assert_eq!(bad(r#"172.16.2.2" XDPORT="80"]"#, "172.16"), Truncated);
    assert_eq!(bad("SADD [", "SUPD ["), UnknownFormat);
    assert_eq!(bad("SADD [", "APMADD ["), UnknownFormat);
    assert_eq!(bad("nsess", "namap"), UnknownFormat);
    assert_eq!(bad("nsess", "nsessx"), UnknownFormat);
    assert_eq!(bad(r#" XDADDR="172.16.2.2""#, ""), MissingField);
    assert_eq!(bad(r#" XDPORT="80""#, ""), MissingField);
    assert_eq!(bad(r#" PROTO="6""#, ""), MissingField);
    assert_eq!(bad(r#" ISADDR="10.0.0.1""#, ""), MissingField);
    assert_eq!(bad(r#"PROTO="6""#, r#"PROTO="6" PROTO="17""#), Malformed);
    assert_eq!(bad(r#"PROTO="6""#, r#"PROTO="6x""#), Malformed);
    assert_eq!(bad(r#"PROTO="6""#, r#"PROTO="256""#), BadProtocol);
    assert_eq!(bad(r#"PROTO="6""#, r"PROTO=6"), Malformed);
    assert_eq!(bad("6304", "99999"), BadPort);
    assert_eq!(bad("10.0.0.3", "10.0.0.333"), BadAddress);
    assert_eq!(bad("10.0.0.3", "0.0.0.0"), BadAddress);
    assert_eq!(bad("10.0.0.1", "0.0.0.0"), BadAddress);
    assert_eq!(bad("]", "]x"), Malformed);
    assert_eq!(
        bad(r#"SSUBIX="0""#, &format!("{}=\"0\"", "X".repeat(33))),
        Malformed
    );
    assert_eq!(
        error(&format!(
            "{HEADER}{}",
            APMADD.replace(r#"SVLAN="0""#, r#"SV6ENC="10.0.0.9""#)
        )),
        BadAddress
    );
    let same = SADD.replace("10.0.0.3", "10.0.0.1").replace("6304", "6303");
    assert_eq!(ignored(&format!("{HEADER}{same}")), NotTranslated);
}
