//! F5 BIG-IP records beyond the samples: all three forms, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};

const LINE: &str =
    "<134>May 29 12:00:00 bigip1 LSN_ADD 10.9.8.7%12:33000 6 203.0.113.40%3:4000 93.184.216.34 443";
const PAIRS: &str = r#"ip_protocol="TCP",lsn_event="LSN_DELETE",start="1562105093001",cli="192.168.0.0:53954",nat="10.0.0.1:47501",duration="5809",pem_subscriber_id="alice""#;
const JSON: &str = r#"{"ip_protocol":"TCP","lsn_event":"LSN_DELETE","start":"1562105093001","cli":"192.168.0.0:53954","nat":"10.0.0.1:47501","duration":"5809","pem_subscriber_id":"alice","telemetryEventCategory":"CGNAT"}"#;

fn outcome(message: &str) -> Result<Outcome, DecodeError> {
    common::decode(Profile::Auto, message.as_bytes()).0
}

#[test]
fn pairs_in_any_order_and_any_header() {
    let expected = event(PAIRS);
    let mut pairs: Vec<_> = PAIRS.split(',').collect();
    for separator in [",", ", ", " "] {
        for _ in 0..pairs.len() {
            pairs.rotate_left(1);
            assert_eq!(event(&pairs.join(separator)), expected, "{pairs:?}");
        }
    }
    for header in [
        "<134>Jul  6 22:37:49 bigip14.1.2.3.test ",
        "<134>1 - bigip1 tmm 123 01010252:5 [F5@12276 hostname=\"big ]\" x=\"y\"] ",
        "test ",
    ] {
        assert_eq!(event(&format!("{header}{PAIRS}")), expected, "{header}");
        assert_eq!(event(&format!("{header}{JSON}")), expected, "{header}");
    }
    let more = format!("{PAIRS},dest_pool=\"a \\\"b\\\", cli=\\\"9.9.9.9:9\\\"\",x=1");
    assert_eq!(event(&more), expected);
}

#[test]
fn json_is_the_same_record() {
    let expected = event(PAIRS);
    for json in [
        JSON.to_owned(),
        JSON.replace("\":\"", "\" : \"").replace("\",\"", "\" , \""),
        JSON.replace("\"1562105093001\"", "1562105093001")
            .replace("\"5809\"", "5809"),
        format!(
            "{{\"time\":1562105093,\"host\":\"b\",\"event\":{JSON},\"tags\":[\"cli\",{{\"cli\":\"x\"}}]}}"
        ),
    ] {
        assert_eq!(event(&json), expected, "{json}");
    }
    for end in 0..JSON.len() {
        assert!(outcome(&JSON[..end]).is_err(), "{}", &JSON[..end]);
    }
    assert_eq!(error(&format!("{JSON} more")), Malformed);
    assert_eq!(error(&JSON.replace("\"cli\":", "\"nat\":")), Malformed);
}

#[test]
fn times_are_in_ms_and_a_deletion_is_at_the_end() {
    let deleted = event(PAIRS);
    assert_eq!(deleted["timestamp"], 1_562_105_098_810_000_000_i64);
    assert_eq!(deleted["mapping_start"], 1_562_105_093_001_000_000_i64);
    assert_eq!(deleted["time_source"], "device_event");
    assert_eq!(deleted["subscriber"], "alice");
    // Without a duration the begin is all that is known.
    let without = event(&PAIRS.replace("duration=", "x="));
    assert!(without["timestamp"].is_null());
    assert_eq!(without["mapping_start"], deleted["mapping_start"]);
    let framed = event(&format!(
        "<134>1 2025-05-29T12:00:00Z b t - - - {}",
        PAIRS.replace("start=", "x=")
    ));
    assert_eq!(
        (&framed["time_source"], &framed["mapping_start"]),
        (&"device_header".into(), &serde_json::Value::Null)
    );
    let created = event(
        &PAIRS
            .replace("LSN_DELETE", "LSN_INBOUND_ADD")
            .replace("TCP", "17"),
    );
    assert_eq!(
        (&created["event"], &created["timestamp"], &created["protocol"]),
        (&"created".into(), &deleted["mapping_start"], &17.into())
    );
    assert!(event(&PAIRS.replace("alice", "No-lookup"))["subscriber"].is_null());
    for bad in ["", "-1", "1562105093001x", "99999999999999999999"] {
        assert_eq!(error(&PAIRS.replace("1562105093001", bad)), BadTime, "{bad}");
    }
}

#[test]
fn port_blocks_name_client_and_block() {
    let block = r#"lsn_event="LSN_PB_ALLOCATED",start="1562105093001",lsn_client="100.64.8.8%2",lsn_pb="198.51.100.8:1024-2047""#;
    let allocated = event(block);
    assert_eq!(allocated["kind"], "port-block-mapping");
    assert_eq!(
        ["src_ip", "x_ip", "vrf"].map(|key| allocated[key].as_str().unwrap().to_owned()),
        ["100.64.8.8", "198.51.100.8", "2"]
    );
    assert_eq!(
        (&allocated["start_port"], &allocated["end_port"]),
        (&1024.into(), &2047.into())
    );
    let released = event(
        &block
            .replace("ALLOCATED", "RELEASED")
            .replace("100.64.8.8%2", "2001:db8::8"),
    );
    assert_eq!(
        (&released["event"], &released["src_ip"]),
        (&"deleted".into(), &"2001:db8::8".into())
    );
    assert_eq!(error(&block.replace("2047", "1023")), BadRange);
    assert_eq!(error(&block.replace("1024-2047", "1024")), Truncated);
    assert_eq!(error(&block.replace("lsn_pb", "pb")), MissingField);
}

#[test]
fn lines_with_and_without_route_domains() {
    let line = event(LINE);
    assert_eq!(line["vrf"], "12");
    assert_eq!(
        ["src_ip", "x_ip", "dst_ip"].map(|key| line[key].as_str().unwrap().to_owned()),
        ["10.9.8.7", "203.0.113.40", "93.184.216.34"]
    );
    assert!(event(&LINE.replace("%12", "").replace("%3", ""))["vrf"].is_null());
    for inside in ["2001:db8::7%12:33000", "2001:DB8:0:0:0:0:0:7%12:33000"] {
        let nat64 = event(&LINE.replace("10.9.8.7%12:33000", inside));
        assert_eq!(
            (&nat64["src_ip"], &nat64["src_port"]),
            (&"2001:db8::7".into(), &33000.into())
        );
    }
    let bare = event(&LINE.replace("10.9.8.7%12:33000", "2001:db8::7:33000"));
    assert_eq!(
        (&bare["src_ip"], &bare["src_port"]),
        (&"2001:db8::7".into(), &33000.into())
    );
    let framed = event(&LINE.replace("<134>May 29 12:00:00", "<134>1 2025-05-29T12:00:00Z"));
    assert_eq!(framed["time_source"], "device_header");
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    let cases = [
        (LINE.replace("LSN_ADD", "LSN_REFRESH"), UnknownFormat),
        (LINE.replace("LSN_ADD", "LSN_PB_ALLOCATED"), Malformed),
        (LINE.replace(" 443", ""), Truncated),
        (LINE.replace(" 93.184.216.34 443", ""), Truncated),
        (format!("{LINE} more"), Malformed),
        (LINE.replace("10.9.8.7", "0.0.0.0"), BadAddress),
        (LINE.replace("33000", "65536"), BadPort),
        (LINE.replace(" 6 ", " 256 "), BadProtocol),
        (LINE.replace("%12", "%x"), BadPort),
        (PAIRS.replace("192.168.0.0:53954", "X.X.X.X"), BadAddress),
        (PAIRS.replace("192.168.0.0:53954", "192.168.0.0"), BadAddress),
        (PAIRS.replace(":53954", ":5395x"), BadPort),
        (PAIRS.replace("LSN_DELETE", "LSN_OTHER"), UnknownFormat),
        (PAIRS.replace("cli=", "client="), MissingField),
        (PAIRS.replace("nat=", "cli="), Malformed),
        (PAIRS.replace("TCP", "XTP"), BadProtocol),
        (PAIRS[..PAIRS.len() - 1].to_owned(), Truncated),
    ];
    for (message, expected) in cases {
        assert_eq!(error(&message), expected, "{message}");
    }
    for name in ["LSN_ERROR", "LSN_QUOTA_EXCEEDED", "LSN_TRANSLATION_FAILED"] {
        for message in [LINE.replace("LSN_ADD", name), PAIRS.replace("LSN_DELETE", name)] {
            assert_eq!(
                outcome(&message),
                Ok(Outcome::Ignored(Ignored::ResourceAlarm)),
                "{message}"
            );
        }
    }
}
