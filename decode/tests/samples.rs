//! Every sample line yields what `samples/expected.jsonl` says, and those of other vendors nothing.

mod common;

use std::collections::BTreeMap;
use std::fs;

use decode::{DecodeError, Outcome, Profile};
use jiff::Timestamp;
use serde_json::{Value, json};

fn ns(time: &Value) -> Value {
    let Some(text) = time.as_str() else {
        return Value::Null;
    };
    let time: Timestamp = text.parse().expect("an RFC 3339 time");
    json!(i64::try_from(time.as_nanosecond()).expect("a time of our days"))
}

#[test]
fn every_line_decodes_as_expected() {
    let mut seen: BTreeMap<_, _> = common::OWN.iter().map(|&(file, _)| (file, 0)).collect();
    let expected = fs::read_to_string(common::samples().join("expected.jsonl")).unwrap();
    for entry in expected
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        let file = entry["file"].as_str().unwrap();
        let number = entry["line"].as_u64().unwrap() as usize;
        let line = &common::lines(file)[number - 1];
        *seen.get_mut(file).unwrap() += 1;
        for profile in [Profile::Auto, common::own(file)] {
            let (outcome, mut events) = common::decode(profile, line);
            let place = format!("{file}:{number} as {profile}: {outcome:?}");
            let mut expected = entry["expect"].as_array().unwrap().clone();
            for event in &mut expected {
                event["timestamp"] = ns(&event["timestamp"]);
            }
            if let Some(start) = entry["also"].get("mapping_start") {
                assert_eq!(events[0]["mapping_start"], ns(start), "{place}");
            }
            for event in &mut events {
                event.as_object_mut().unwrap().remove("mapping_start");
            }
            assert_eq!(events, expected, "{place}");
            match entry["message"].as_str().unwrap() {
                "ignore" => assert!(matches!(outcome, Ok(Outcome::Ignored(_))), "{place}"),
                "reject" => assert!(outcome.is_err(), "{place}"),
                "truncated-tail" => {
                    let (events, error) = (expected.len() as u32, DecodeError::Truncated);
                    assert_eq!(outcome, Ok(Outcome::Partly { events, error }), "{place}");
                }
                _ => assert_eq!(outcome, Ok(Outcome::Events(expected.len() as u32)), "{place}"),
            }
        }
    }
    for (file, count) in seen {
        assert_eq!(count, common::lines(file).len(), "{file}");
    }
}

/// The full cross product: each line under each profile but its own.
#[test]
fn lines_of_other_vendors_are_refused() {
    let logs = common::logs();
    for log in &logs {
        let own = common::own(log);
        for (index, line) in common::lines(log).iter().enumerate() {
            let others = Profile::ALL
                .into_iter()
                .filter(|profile| ![own, Profile::Auto].contains(profile));
            for profile in others {
                let (outcome, _) = common::decode(profile, line);
                assert!(outcome.is_err(), "{log}:{} as {profile}: {outcome:?}", index + 1);
            }
        }
    }
    assert_eq!(logs.len(), common::OWN.len(), "sample files");
}

/// Every format has samples, and auto tells each of them from the others.
#[test]
fn every_format_has_sample_lines() {
    for format in &decode::profile::FORMATS {
        let logs = common::OWN
            .iter()
            .filter(|(_, profile)| *profile == format.profile);
        assert!(logs.count() > 0, "{}", format.name);
    }
}

/// Behind what relays put before a message, auto reads each line as its own profile does.
#[test]
fn relayed_lines_are_told_as_well() {
    let relays = [
        "Nov 18 09:56:58 relay ",
        "<14>Nov  8 09:56:58 10.0.0.9  tag[77]: ",
        "<190>29: *Nov 18 09:56:58.123: ",
        "<14>1 2024-01-19T15:18:17.040Z relay app 77 - - ",
        "<14>1 2024-01-19T15:18:17+02:00 relay app 77 ID [x@1 a=\"b ]\" c=\"\\\"]\"] \u{feff}",
        "2024-01-19T15:18:17Z relay ",
    ];
    let (mut told, mut all) = (0, 0);
    for log in common::logs() {
        let own = common::own(&log);
        for line in common::lines(&log) {
            for relay in relays {
                let message = [relay.as_bytes(), &line].concat();
                let expected = common::decode(own, &message);
                let found = common::decode(Profile::Auto, &message);
                assert_eq!(found, expected, "{log}: {}", String::from_utf8_lossy(&message));
                told += usize::from(!found.1.is_empty());
                all += usize::from(!common::decode(own, &line).1.is_empty());
            }
        }
    }
    assert_eq!(told, all, "lines with events");
}

/// What stands in a value (the name of a policy or an interface, a message) is no mark of another format.
#[test]
fn a_line_inside_of_a_value_is_not_read() {
    let carriers = [
        (
            Profile::JuniperSrx,
            "RT_FLOW - RT_FLOW_SESSION_CREATE [source-address=\"10.0.10.10\" source-port=\"46776\" destination-address=\"1.2.84.162\" destination-port=\"80\" nat-source-address=\"1.2.84.172\" nat-source-port=\"53328\" protocol-id=\"6\" policy-name=\"@\"]",
        ),
        (
            Profile::F5BigIp,
            "pool=\"@\",lsn_event=\"LSN_ADD\",cli=\"10.0.0.1:2\",nat=\"1.1.1.1:3\",x=\"@\"",
        ),
        (
            Profile::F5BigIp,
            "{\"pool\":\"@\",\"lsn_event\":\"LSN_ADD\",\"cli\":\"10.0.0.1:2\",\"nat\":\"1.1.1.1:3\"}",
        ),
        (
            Profile::A10,
            "NAT-TCP-C: 10.0.0.1:2<-->1.1.1.1:3 to 8.8.8.8:53 IMSI=\"1\" x=\"@\"",
        ),
        (
            Profile::A10,
            "CEF:0|A10|CFW|6|CGN 101|@|5|proto=UDP src=10.0.0.1 spt=2 sourceTranslatedAddress=1.1.1.1 sourceTranslatedPort=3",
        ),
        (
            Profile::SixWind,
            "fp-cgnat[1]: USER 10.0.0.1 (matching rule 1): NEW BLOCK (pool \"@\", ip public 1.1.1.1, proto 6, port 1 - 512)",
        ),
        (
            Profile::Fortinet,
            "date=2026-02-03 msg=\"@\" logid=\"0100022015\" type=\"event\" saddr=10.0.0.1 nat=1.1.1.1 portbegin=5120 portend=5247",
        ),
        (
            Profile::Fortinet,
            "msg=\"@\" logid=\"0100022015\" type=\"event\" saddr=10.0.0.1 nat=1.1.1.1 portbegin=5120 portend=5247",
        ),
        (
            Profile::PaloAlto,
            "1,2026/03/04 05:06:07,001,TRAFFIC,start,1,2026/03/04 05:06:07,10.5.0.1,198.51.100.40,203.0.113.60,198.51.100.40,\"@\",,,incomplete,vsys3,trust,untrust,ae1.1,ae1.2,fwd,2026/03/04 05:06:07,77,1,50001,443,10001,443,0x400000,tcp,allow",
        ),
        (
            Profile::Vpp,
            "<134>1 2026-01-02T03:04:05Z h NAT 1 SADD [nsess NOTE=\"@\" ISADDR=\"10.0.0.1\" ISPORT=\"2\" XSADDR=\"1.1.1.1\" XSPORT=\"3\" PROTO=\"6\" XDADDR=\"8.8.8.8\" XDPORT=\"53\"]",
        ),
        (
            Profile::H3c,
            "h USERLOG/7/NAT: TCP; 10.0.0.1:2--->1.1.1.1:3; 8.8.8.8:53; [2005/07/07 04:20:03-0000/00/00 00:00:00]; Operator 8: @",
        ),
        (
            Profile::Mikrotik,
            "forward: in:@ out:@, connection-state:new,snat proto TCP, 10.0.0.1:2->8.8.8.8:53, NAT (10.0.0.1:2->1.1.1.1:3)->8.8.8.8:53, len 60",
        ),
        (
            Profile::CiscoIosXe,
            "%NAT-6-LOG_TRANSLATION: Created Translation TCP 10.0.0.1:2 1.1.1.1:3 8.8.8.8:53 8.8.8.8:53 0 @",
        ),
    ];
    for (profile, carrier) in carriers {
        let (outcome, own) = common::decode(profile, carrier.as_bytes());
        assert_eq!(outcome, Ok(Outcome::Events(1)), "{carrier}");
        for log in common::logs() {
            for line in common::lines(&log) {
                let line = String::from_utf8(line).unwrap().replace(['"', '\\', '|'], "");
                let message = carrier.replace('@', &line);
                let (_, events) = common::decode(Profile::Auto, message.as_bytes());
                assert!(events.iter().all(|event| *event == own[0]), "{message}");
            }
        }
    }
}
