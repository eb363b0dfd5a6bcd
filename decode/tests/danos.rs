//! DANOS and Vyatta CGNAT.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::*;

const BLOCK: &str = "CGNAT: PB_RELEASED subs-addr=100.64.0.1 policy=POLICY1 pub-addr=192.0.2.1 pool=POOL1 \
                     port=1024-1535 start-time=1767323045000000 end-time=1767323106000123";
const SESSION: &str = "CGNAT: SESSION_DELETE ifname=dp0p1 session-id=5.1 proto=6 dir=out \
                       addr=100.64.0.1->198.51.100.9 port=40000->443 cgn-addr=192.0.2.1 cgn-port=1030 \
                       state=CLS[7/0x3F] start-time=1767323045000005 end-time=1767323105000000 out=20/2400 in=19/16000 \
                       int-rtt=100 ext-rtt=20000";
const SESSION_EVENT: &str = "session deleted 6 100.64.0.1 40000 = 192.0.2.1 1030 > 198.51.100.9 443 \
                             at 1767323105000000000 since 1767323045000005000";

#[test]
fn fields_are_read_by_name() {
    let event = "port-block deleted * 100.64.0.1 = 192.0.2.1 1024 - 1535 at 1767323106000123000 since 1767323045000000000";
    assert_eq!(briefs(BLOCK), [event]);
    assert_eq!(briefs(SESSION), [SESSION_EVENT]);
    let (name, fields) = SESSION.split_at("CGNAT: SESSION_DELETE ".len());
    let mut fields: Vec<_> = fields.split(' ').collect();
    fields.reverse();
    assert_eq!(
        briefs(&format!("{name}{} new-field=7", fields.join(" "))),
        [SESSION_EVENT]
    );
    let unnamed = BLOCK
        .replace("POLICY1", "(unknown)")
        .replace("POOL1", "(unknown)");
    assert_eq!(briefs(&unnamed), [event]);
}

#[test]
fn directions_and_states_swap_nothing() {
    for (from, to) in [
        ("dir=out", "dir=in"),
        ("ifname=dp0p1", "ifname=-"),
        ("state=CLS[7/0x3F]", "state=CLS[3]"),
        ("int-rtt=100 ext-rtt=20000", ""),
        ("CGNAT: ", "<189>Jan  2 03:04:05 vr1 dataplane[812]: CGNAT: "),
        (
            "CGNAT: ",
            "<189>1 2026-01-02T03:04:05Z vr1 dataplane 812 - - CGNAT: ",
        ),
    ] {
        assert_eq!(briefs(&SESSION.replace(from, to)), [SESSION_EVENT], "{to}");
    }
    let icmp = SESSION
        .replace("proto=6", "proto=1")
        .replace("40000->443", "7->7");
    assert_eq!(
        briefs(&icmp),
        [SESSION_EVENT
            .replace("deleted 6", "deleted 1")
            .replace("40000", "7")
            .replace(" 443", " 7")]
    );
}

#[test]
fn times_are_those_of_the_event() {
    let created = "port-block created * 100.64.0.1 = 192.0.2.1 1024 - 1535 at 1767323045000000000";
    let allocated = BLOCK
        .replace("RELEASED", "ALLOCATED")
        .replace(" end-time=1767323106000123", "");
    assert_eq!(briefs(&allocated), [created]);
    let active = SESSION
        .replace("DELETE", "ACTIVE")
        .replace("end-time", "cur-time");
    assert_eq!(briefs(&active), [SESSION_EVENT.replace("deleted", "updated")]);
    // At the end of a message a time could be cut.
    assert_eq!(error(&allocated[..allocated.len() - 1]), Truncated);
    assert_eq!(
        error(&BLOCK.replace(" end-time=1767323106000123", "")),
        MissingField
    );
    assert_eq!(error(&SESSION.replace("end-time", "cur-time")), MissingField);
    assert_eq!(
        error(&SESSION.replace("1767323105000000", "17673231050000000000")),
        BadTime
    );
    assert_eq!(
        error(&SESSION.replace("end-time=1767323105000000", "end-time=soon")),
        BadTime
    );
}

#[test]
fn other_messages() {
    for text in [
        "CGNAT: SUBSCRIBER_START subs-addr=100.64.0.1 start-time=1767323045000000",
        "CGNAT: SESSION_CLEAR desc=\"pool change\" count=12 time=1767323045000000",
    ] {
        assert_eq!(ignored(text), NotAMapping);
    }
    for text in [
        "CGNAT: SUBSCRIBER_TABLE_FULL count=10/10",
        "CGNAT: SESSION_TABLE_THRESHOLD count=9/10",
        "CGNAT: APM_TABLE_ABOVE_LIMIT count=9/10",
        "CGNAT: APM_TABLE_BELOW_LIMIT count=9/10",
        "CGNAT: DEST_SESSIONS_AVAILABLE count=1/2 ifname=- session-id=1 proto=6 addr=100.64.0.1 port=7 cgn-addr=192.0.2.1 cgn-port=8",
        "CGNAT: MBPU_FULL proto=0 subs-addr=100.64.0.1 blocks=4/4",
        "CGNAT: NP_FULL pool=POOL1 count=4/4",
        "CGNAT: PB_THRESHOLD pub-addr=192.0.2.1 blocks=100/126",
    ] {
        assert_eq!(ignored(text), ResourceAlarm, "{text}");
    }
    assert_eq!(error("CGNAT: PB_MOVED subs-addr=100.64.0.1"), UnknownFormat);
    assert_eq!(error("CGNAT: SESSION_CRE"), Truncated);
    assert_eq!(error("CGNAT: hello"), UnknownFormat);
    assert_eq!(error("xCGNAT: PB_FULL pub-addr=192.0.2.1"), UnknownFormat);
}

#[test]
fn what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(SESSION.contains(from), "{from}");
        error(&SESSION.replace(from, to))
    };
    assert_eq!(bad("proto=6 ", ""), MissingField);
    assert_eq!(bad("cgn-port=1030 ", ""), MissingField);
    assert_eq!(bad("port=40000->443 ", "port=40000-443 "), MissingField);
    assert_eq!(bad("proto=6", "proto=6 proto=17"), Malformed);
    assert_eq!(bad("proto=6", "proto=6x"), Malformed);
    assert_eq!(bad("proto=6", "proto=256"), BadProtocol);
    assert_eq!(bad("dir=out", "dir"), Malformed);
    assert_eq!(bad("cgn-port=1030", "cgn-port=99999"), BadPort);
    assert_eq!(bad("192.0.2.1", "192.0.2.300"), BadAddress);
    assert_eq!(bad("192.0.2.1", "0.0.0.0"), BadAddress);
    assert_eq!(error(&BLOCK.replace("1024-1535", "1535-1024")), BadRange);
}
