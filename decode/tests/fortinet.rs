//! Fortinet records beyond the samples: any order, quoted or not, CSV, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};

const SESS: &str = "date=2022-10-06 time=02:29:32 sn=F2K61FTK21900840 vd=cgn-hw1 pid=805306369 type=sess act=end tran=snat proto=6 ipold=v4 ipnew=v4 sip=10.1.100.11 dip=172.16.200.155 sport=40836 dport=80 nsip=172.16.201.182 ndip=172.16.200.155 nsport=8117 ndport=80 dur=2936 sentp=6 sentb=398 rcvdp=4 rcvdb=1307";
const BLOCK: &str = r#"date=2026-02-03 time=10:11:12 devname="fgt1" devid="FG1801FTK0000001" eventtime=1770113472123456789 tz="+0000" logid="0100022015" type="event" subtype="system" level="notice" vd="root" logdesc="PBA create" action="pba-create" saddr=100.64.2.2 nat=203.0.113.50 portbegin=5120 portend=5247 poolname="cgn pba" msg="IPpool PBA""#;
const TRAFFIC: &str = r#"date=2026-02-03 time=10:11:12 devname="fgt1" eventtime=1770113472123456789 tz="+0000" logid="0000000013" type="traffic" subtype="forward" vd="cgn" srcip=100.64.2.3 srcport=54321 dstip=198.51.100.34 dstport=443 sessionid=991 proto=6 action="close" trandisp="snat" transip=203.0.113.51 transport=60001 duration=12 user="isp\\bob""#;

fn outcome(message: &str) -> Result<Outcome, DecodeError> {
    common::decode(Profile::Auto, message.as_bytes()).0
}

/// The pairs of a line without blanks in its values.
fn rotations(line: &str) -> Vec<Vec<&str>> {
    let mut pairs: Vec<_> = line.split(' ').collect();
    (0..pairs.len())
        .map(|_| {
            pairs.rotate_left(1);
            pairs.clone()
        })
        .collect()
}

#[test]
fn keys_come_in_any_order_quoted_or_not_and_as_csv() {
    let block = BLOCK
        .replace("PBA create", "PBA")
        .replace("cgn pba", "p")
        .replace("IPpool PBA", "m");
    for line in [SESS, &block, TRAFFIC] {
        let expected = event(line);
        for pairs in rotations(line) {
            assert_eq!(event(&pairs.join(" ")), expected, "{pairs:?}");
            assert_eq!(event(&pairs.join(",")), expected, "{pairs:?}");
            let bare: Vec<_> = pairs
                .iter()
                .map(|pair| pair.replace('"', "").replace("\\\\", "\\"))
                .collect();
            assert_eq!(event(&bare.join(" ")), expected);
            let quoted = bare.iter().map(|pair| pair.replace('=', "=\"") + "\"");
            let quoted: Vec<_> = quoted.map(|pair| pair.replace('\\', "\\\\")).collect();
            assert_eq!(event(&quoted.join(" ")), expected);
        }
        for header in ["<190>", "Oct 5 23:29:33 172.16.200.26 ", "<189>1 - fgt1 - - - - "] {
            assert_eq!(event(&format!("{header}{line}")), expected, "{header}");
        }
    }
}

#[test]
fn hardware_sessions() {
    let session = event(SESS);
    assert_eq!(
        (&session["event"], &session["vrf"]),
        (&"deleted".into(), &"cgn-hw1".into())
    );
    // Neither clock has a zone; with one, `dur` in ms gives the begin.
    assert_eq!(session["time_source"], "receive");
    assert!(session["mapping_start"].is_null());
    let framed = event(&format!("<14>1 2022-10-06T02:29:32Z fgt - - - - {SESS}"));
    assert_eq!(framed["timestamp"], 1_665_023_372_000_000_000_i64);
    assert_eq!(framed["mapping_start"], 1_665_023_369_064_000_000_i64);
    let zoned = event(&format!("{SESS} tz=\"-0700\""));
    assert_eq!(zoned["timestamp"], 1_665_048_572_000_000_000_i64);
    assert_eq!(zoned["time_source"], "device_event");
    // NAT64: the remote end on the outside.
    let nat64 = event(&SESS.replace(
        "sip=10.1.100.11 dip=172.16.200.155",
        "sip=2001:db8::1 dip=64:ff9b::ac10:c89b",
    ));
    assert_eq!(
        (&nat64["src_ip"], &nat64["dst_ip"]),
        (&"2001:db8::1".into(), &"172.16.200.155".into())
    );
    // Port forwarding: the translated destination is the inside.
    let forward = event(
        &SESS
            .replace("nsip=172.16.201.182", "nsip=10.1.100.11")
            .replace("nsport=8117", "nsport=40836")
            .replace("ndip=172.16.200.155", "ndip=192.168.1.1"),
    );
    assert_eq!(
        ["src_ip", "x_ip", "dst_ip"].map(|key| forward[key].as_str().unwrap().to_owned()),
        ["192.168.1.1", "172.16.200.155", "10.1.100.11"]
    );
    for (from, to) in [
        ("nsip=172.16.201.182", "nsip=0.0.0.0"),
        ("nsip=172.16.201.182", "nsip=::"),
        ("nsport=8117", "nsport=0"),
        (
            "nsip=172.16.201.182 ndip=172.16.200.155 nsport=8117",
            "nsip=10.1.100.11 ndip=172.16.200.155 nsport=40836",
        ),
    ] {
        let line = SESS.replace(from, to);
        assert_eq!(
            outcome(&line),
            Ok(Outcome::Ignored(Ignored::NotTranslated)),
            "{line}"
        );
    }
    let denied = SESS.replace("pid=805306369", "pid=1879048193");
    assert_eq!(outcome(&denied), Ok(Outcome::Ignored(Ignored::NotAMapping)));
}

#[test]
fn port_blocks_are_keyed_by_their_number() {
    let of = |number: &str, action: &str| {
        BLOCK
            .replace("0100022015", number)
            .replace("action=\"pba-create\"", &format!("action=\"{action}\""))
    };
    for (number, action, expected) in [
        ("0100022015", "pba-create", "created"),
        ("0100022016", "pba-close", "deleted"),
        ("0100022024", "pba-interim", "updated"),
        ("0100022024", "something", "updated"),
    ] {
        assert_eq!(event(&of(number, action))["event"], expected);
    }
    let outcomes = [
        (of("0100022015", "pba-close"), Err(Malformed)),
        (
            of("0100022013", "block-exhausted"),
            Ok(Outcome::Ignored(Ignored::ResourceAlarm)),
        ),
        (
            of("0100022014", "x"),
            Ok(Outcome::Ignored(Ignored::ResourceAlarm)),
        ),
        (
            of("0100032001", "login"),
            Ok(Outcome::Ignored(Ignored::NotAMapping)),
        ),
    ];
    for (line, expected) in outcomes {
        assert_eq!(outcome(&line), expected, "{line}");
    }
    let user = event(&format!("{BLOCK} user=\"alice\" authserver=\"r1\""));
    assert_eq!(user["subscriber"], "alice");
    assert!(event(&format!("{BLOCK} user=\"N/A\""))["subscriber"].is_null());
    // Seconds (before 6.2), or a date with its zone.
    assert_eq!(
        event(&BLOCK.replace("1770113472123456789", "1770113472"))["timestamp"],
        1_770_113_472_000_000_000_i64
    );
    let dated = event(&BLOCK.replace("eventtime=1770113472123456789 tz=\"+0000\"", "tz=\"+0100\""));
    assert_eq!(dated["timestamp"], 1_770_109_872_000_000_000_i64);
    let without = event(&BLOCK.replace("eventtime=1770113472123456789 tz=\"+0000\" ", ""));
    assert_eq!(without["time_source"], "receive");
}

#[test]
fn traffic_logs_are_written_at_the_end() {
    let session = event(TRAFFIC);
    assert_eq!(
        (&session["event"], &session["subscriber"]),
        (&"deleted".into(), &r"isp\bob".into())
    );
    assert_eq!(session["mapping_start"], 1_770_113_460_123_456_789_i64);
    let start = event(&TRAFFIC.replace("\"close\"", "\"start\""));
    assert_eq!(
        (&start["event"], &start["mapping_start"]),
        (&"created".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        event(&TRAFFIC.replace("0000000013", "0000000020"))["event"],
        "updated"
    );
    let both = TRAFFIC.replace("\"snat\"", "\"snat+dnat\" tranip=10.0.0.9 tranport=8443");
    assert_eq!(event(&both)["dst_ip"], "10.0.0.9");
    let forward = event(&both.replace("snat+dnat", "dnat"));
    assert_eq!(
        (&forward["src_ip"], &forward["x_ip"]),
        (&"10.0.0.9".into(), &"198.51.100.34".into())
    );
    for (from, to, why) in [
        ("\"snat\"", "\"noop\"", Ignored::NotTranslated),
        ("203.0.113.51", "::", Ignored::NotTranslated),
        ("203.0.113.51", "0.0.0.0", Ignored::NotTranslated),
        ("60001", "0", Ignored::NotTranslated),
        ("\"close\"", "\"deny\"", Ignored::NotAMapping),
        ("0000000013", "0004000017", Ignored::NotAMapping),
        ("\"traffic\"", "\"utm\"", Ignored::NotAMapping),
    ] {
        assert_eq!(
            outcome(&TRAFFIC.replace(from, to)),
            Ok(Outcome::Ignored(why)),
            "{to}"
        );
    }
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    for (message, expected) in [
        (SESS.replace("act=end", "act=renew"), UnknownFormat),
        (SESS.replace(" nsip=172.16.201.182", ""), MissingField),
        (SESS.replace("nsport=8117", "nsport=99999"), BadPort),
        (SESS.replace("proto=6", "proto=256"), BadProtocol),
        (SESS.replace("sip=10.1.100.11", "sip=10.1.100.256"), BadAddress),
        (SESS.replace("sentp=6", "sip=9.9.9.9"), Malformed),
        (SESS.replace("sentp=6", "word"), Malformed),
        (SESS.replace("type=sess", "kind=sess"), UnknownFormat),
        (BLOCK.replace("5247", "5119"), BadRange),
        (BLOCK.replace("nat=203.0.113.50", "nat=0.0.0.0"), BadAddress),
        (BLOCK.replace("1770113472123456789", "17701134721234"), BadTime),
        (BLOCK[..BLOCK.len() - 1].to_owned(), Truncated),
    ] {
        assert_eq!(error(&message), expected, "{message}");
    }
}
