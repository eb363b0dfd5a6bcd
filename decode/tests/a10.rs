//! A10 records beyond the samples: batches, attributes, escapes, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};
use serde_json::Value;

const PORT: &str = "NAT-TCP-C: 100.64.9.9:33000<-->203.0.113.7:2000 to 198.51.100.3:443";
const SESSION: &str = "NAT-UDP-D: 100.64.9.9:1000<->93.184.216.34:443,203.0.113.7:2000<-->93.184.216.34:443";
const BATCH: &str = "PortBatchV2Allocated: [100.121.7.9 198.51.100.4 23041 23552]";
const FIXED: &str = "FIXED-NAT-PORTS 10.10.10.172->192.168.9.173:3000-4000";
const CEF: &str = "CEF:0|A10|CFW|6.0.0-P1|CGN 106|Nat Port Batch Pool Allocated|5|proto=UDP src=100.65.140.73 sourceTranslatedAddress=99.99.99.12 sourceTranslatedPort=22016 cn3=22271 cn3Label=Last Nat Port";
const CEF_SESSION: &str = "CEF:0|A10|ADC|6.0.7|CGN 102|Nat Session Created|5|proto=UDP src=10.44.55.100 spt=38951 dst=142.250.179.238 dpt=443 sourceTranslatedAddress=99.99.99.13 sourceTranslatedPort=38951 destinationTranslatedAddress=142.250.179.238 destinationTranslatedPort=443";

fn decode(message: &str) -> (Result<Outcome, DecodeError>, Vec<Value>) {
    common::decode(Profile::Auto, message.as_bytes())
}

#[test]
fn any_header_may_stand_before_and_its_partition_is_the_vrf() {
    for body in [PORT, SESSION, FIXED, CEF, CEF_SESSION, BATCH] {
        let plain = event(body);
        for header in [
            "<134>",
            "<134>May 29 12:00:00 ax1 ",
            "<134> May  9 12:00:00  ax1 a10logd: ",
            "2025/05/29 12:00:00 ax1 ",
            "<134>1 2025-05-29T12:00:00 ax1 a10logd - - - ",
        ] {
            assert_eq!(event(&format!("{header}{body}")), plain, "{header}");
        }
        for header in [
            "2025-05-29T12:00:00.00+00:00 10.1.1.1 ax1/blue ",
            "<134>2025-05-29T14:00:00+02:00 ax1/x/blue  ",
            "<134>1 2025-05-29T12:00:00Z ax1/blue a10logd - - - ",
        ] {
            let event = event(&format!("{header}{body}"));
            assert_eq!(event["vrf"], "blue", "{header}");
            assert_eq!(event["timestamp"], 1_748_520_000_000_000_000_i64, "{header}");
            assert_eq!(event["time_source"], "device_header");
        }
    }
    assert_eq!(event(&format!("Oct 12 09:04:54{BATCH}")), event(BATCH));
}

#[test]
fn letters_say_what_happened() {
    for (letter, name) in [
        ("C", "created"),
        ("N", "created"),
        ("B", "created"),
        ("D", "deleted"),
        ("F", "deleted"),
        ("U", "updated"),
    ] {
        assert_eq!(
            event(&PORT.replace("TCP-C", &format!("TCP-{letter}")))["event"],
            name
        );
    }
    for letter in ["A", "X", "c", "1"] {
        assert_eq!(
            error(&PORT.replace("TCP-C", &format!("TCP-{letter}"))),
            UnknownFormat
        );
    }
    assert_eq!(error(&PORT.replace("TCP", "XYZ")), BadProtocol);
    assert_eq!(event(&PORT.replace("TCP", "ICMPv6"))["protocol"], 58);
}

#[test]
fn the_outside_end_is_the_one_that_is_not_the_remote() {
    let expected = event(SESSION);
    assert_eq!(
        (&expected["x_ip"], &expected["dst_ip"]),
        (&"203.0.113.7".into(), &"93.184.216.34".into())
    );
    let swapped = SESSION.replace(
        ",203.0.113.7:2000<-->93.184.216.34:443",
        ", 93.184.216.34:443<-->203.0.113.7:2000",
    );
    assert_eq!(event(&swapped), expected);
    // NAT64: the remote end as addressed on the outside.
    let nat64 = event(
        &SESSION
            .replace("100.64.9.9:1000", "2001:db8::9:1000")
            .replace("<->93.184.216.34", "<->[64:ff9b::5db8:d822]"),
    );
    assert_eq!(
        ["src_ip", "x_ip", "dst_ip"].map(|key| nat64[key].as_str().unwrap().to_owned()),
        ["2001:db8::9", "203.0.113.7", "93.184.216.34"]
    );
    assert_eq!(
        error(&SESSION.replace("-->93.184.216.34", "-->93.184.216.35")),
        Malformed
    );
    let same = PORT.replace("203.0.113.7:2000", "100.64.9.9:33000");
    assert_eq!(decode(&same).0, Ok(Outcome::Ignored(Ignored::NotTranslated)));
}

#[test]
fn attributes_of_radius_stand_behind_in_any_order() {
    for (tail, subscriber) in [
        (r#" MSISDN="491701234567" IMSI="26201""#, "491701234567"),
        (r#" IMSI="26201" MSISDN="491701234567""#, "26201"),
        (r#" IMSI="" User-Name="a \"b\" c""#, r#"a "b" c"#),
        (" MSISDN=491701234567 IMSI=26201", "491701234567"),
    ] {
        for body in [PORT, SESSION, BATCH, FIXED] {
            assert_eq!(
                event(&format!("{body}{tail}"))["subscriber"],
                subscriber,
                "{tail}"
            );
        }
    }
    for tail in [" more", "x", " =1", " \"a\"=1"] {
        assert!(decode(&format!("{PORT}{tail}")).0.is_err(), "{tail}");
    }
    assert_eq!(error(&format!("{PORT} MSISDN=\"49")), Truncated);
}

#[test]
fn batched_records_are_events_each_for_itself() {
    let record = |number: u16| PORT.replace("33000", &number.to_string());
    for separator in ["\n", "\r\n", "#012", " ", "\n<134>May 29 12:00:00 ax1 "] {
        let message = [record(1), SESSION.to_owned(), record(3)].join(separator);
        let (outcome, events) = decode(&message);
        assert_eq!(outcome, Ok(Outcome::Events(3)), "{message}");
        assert_eq!(
            (&events[0]["src_port"], &events[2]["src_port"]),
            (&1.into(), &3.into())
        );
        assert_eq!(events[1], event(SESSION));
    }
    let (outcome, events) = decode(&format!("ax1/blue {CEF}\n{CEF_SESSION}\n{CEF}"));
    assert_eq!(outcome, Ok(Outcome::Events(3)));
    assert!(events.iter().all(|event| event["vrf"] == "blue"));
    // A record that is cut off at the end, or wrong in the middle, costs no other, and is told.
    let (outcome, events) = decode(&format!("{PORT}\n{SESSION}\n{}", &SESSION[..60]));
    let partly = |error| Ok(Outcome::Partly { events: 2, error });
    assert_eq!((outcome, events.len()), (partly(DecodeError::Truncated), 2));
    for (wrong, error) in [
        (PORT.replace("2000", "99999"), DecodeError::BadPort),
        (PORT[..30].to_owned(), DecodeError::Malformed),
        ("else".to_owned(), DecodeError::UnknownFormat),
    ] {
        let (outcome, events) = decode(&format!("{PORT}\n{wrong}\n{SESSION}"));
        assert_eq!(outcome, partly(error), "{wrong}");
        assert_eq!(events, [event(PORT), event(SESSION)]);
        assert_eq!(decode(&format!("{wrong}\n{wrong}")).0, Err(error), "{wrong}");
    }
    // The first of several errors is the reason.
    let (outcome, _) = decode(&format!(
        "{PORT}\n{}\nelse\n{SESSION}",
        PORT.replace("2000", "99999")
    ));
    assert_eq!(outcome, partly(DecodeError::BadPort));
    let alarm = CEF.replace(
        "CGN 106|Nat Port Batch Pool Allocated",
        "CGN 150|Nat Pool Exhausted",
    );
    assert_eq!(decode(&alarm).0, Ok(Outcome::Ignored(Ignored::ResourceAlarm)));
    assert_eq!(decode(&format!("{alarm}\n{CEF}")).0, Ok(Outcome::Events(1)));
}

#[test]
fn cef_is_read_by_class_and_by_key() {
    let (head, extension) = CEF_SESSION.split_once("|5|").unwrap();
    let mut pairs: Vec<_> = extension.split(' ').collect();
    for _ in 0..pairs.len() {
        pairs.rotate_left(1);
        assert_eq!(
            event(&format!("{head}|5|{}", pairs.join(" "))),
            event(CEF_SESSION)
        );
    }
    // The class decides, whatever the name says; a header's bar may be escaped, a value's equals sign too.
    let expected = event(CEF);
    for other in [
        CEF.replace("Nat Port Batch Pool Allocated", r"Freed \| or not"),
        CEF.replace("cn3Label", r"msg=a src\=9.9.9.9 b cn3Label"),
        CEF.replace("cn3Label", "request=/a?b=c cn3Label"),
        CEF.replace("|5|", "|5| "),
    ] {
        assert_eq!(event(&other), expected, "{other}");
    }
    assert_eq!(expected["protocol"], 17);
    let tcp = event(&CEF.replace("UDP", "TCP"));
    assert_eq!(tcp["protocol"], 6);
    let nat64 = event(
        &CEF_SESSION
            .replace("src=10.44.55.100", "src=2001:db8::9")
            .replace(" dst=142.250.179.238", " dst=64:ff9b::8efa:b3ee"),
    );
    assert_eq!(
        (&nat64["src_ip"], &nat64["dst_ip"]),
        (&"2001:db8::9".into(), &"142.250.179.238".into())
    );
    let untranslated = CEF_SESSION.replace(" destinationTranslated", " x");
    assert_eq!(event(&untranslated), event(CEF_SESSION));
    for class in ["CGN 104", "CGN 1060", "WAF", "CGN"] {
        let other = CEF.replace("CGN 106", class).replace("Allocated", "Created");
        assert_eq!(
            decode(&other).0,
            Ok(Outcome::Ignored(Ignored::NotAMapping)),
            "{class}"
        );
    }
    for (message, expected) in [
        (CEF.replace("Last Nat Port", "Ports"), MissingField),
        (CEF.replace(" cn3=22271", ""), MissingField),
        (CEF.replace("22271", "22015"), BadRange),
        (CEF.replace("22271", "99999"), BadPort),
        (CEF.replace("src=", "src=9.9.9.9 src="), Malformed),
        (CEF.replace("A10", "A11"), UnknownFormat),
        (
            CEF_SESSION
                .replace(" dpt=443", "")
                .replace("destinationTranslatedA", "x"),
            MissingField,
        ),
        (CEF_SESSION.replace("proto=UDP ", ""), MissingField),
        (CEF_SESSION.replace("10.44.55.100", "0.0.0.0"), BadAddress),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    for (message, expected) in [
        (PORT.replace(" to ", " "), Malformed),
        (PORT.replace(":2000", ""), Malformed),
        (PORT.replace("<-->", "<--"), Malformed),
        (PORT.replace(" to 198.51.100.3:443", ""), Truncated),
        (SESSION.replace("<-->", "->"), Malformed),
        (BATCH.replace("23552", "23040"), BadRange),
        (BATCH.replace(']', ""), Truncated),
        (BATCH.replace("Allocated", "Extended"), UnknownFormat),
        (FIXED.replace("-PORTS", "-USERS"), UnknownFormat),
        (FIXED.replace("4000", "2999"), BadRange),
        (FIXED.replace(":3000-4000", ""), Truncated),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
}
