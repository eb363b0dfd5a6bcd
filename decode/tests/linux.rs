//! Linux connection tracking: `conntrack -E` and ulogd2 with NFCT.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::*;

const NEW: &str = "[1767323045.123456]\t    [NEW] tcp      6 120 SYN_SENT src=100.64.0.10 dst=198.51.100.20 sport=40001 \
                   dport=443 [UNREPLIED] src=198.51.100.20 dst=203.0.113.5 sport=443 dport=20017 id=3725581234";
const BARE: &str = "session created 6 100.64.0.10 40001 = 203.0.113.5 20017 > 198.51.100.20 443";
const TIME: &str = " at 1767323045123456000";

#[test]
fn conntrack_headers_and_times() {
    for (from, to) in [
        ("\t    [NEW]", "[NEW]"),
        ("\t    [NEW]", "#011    [NEW]"),
        ("[1767", "<13>Jan  2 03:04:05 gw conntrack[77]: [1767"),
        ("[1767", "<13>1 2026-01-02T03:04:05Z gw conntrack 77 - - [1767"),
        ("123456]", "123456  ]"),
    ] {
        assert_eq!(briefs(&NEW.replace(from, to)), [format!("{BARE}{TIME}")], "{to}");
    }
    let at = |us: &str| briefs(&NEW.replace("123456", us)).remove(0);
    assert_eq!(at("000007"), format!("{BARE} at 1767323045000007000"));
    // Eight columns, without leading zeros.
    assert_eq!(at("7       "), format!("{BARE} at 1767323045000007000"));
    for us in ["7", "1234567", "1      2", "        ", "12345x", "1000000 "] {
        assert_eq!(error(&NEW.replace("123456", us)), BadTime, "{us}");
    }
    for s in ["", "9999999999", "x"] {
        assert_eq!(error(&NEW.replace("1767323045", s)), BadTime, "{s}");
    }
    let without = NEW.split_once('\t').unwrap().1;
    for header in [
        "",
        "<13>Jan  2 03:04:05 gw conntrack[77]: ",
        "<13>Jan  2 03:04:05 gw [77] ",
    ] {
        assert_eq!(briefs(&format!("{header}{without}")), [BARE], "{header}");
    }
    let header = "<13>1 2020-01-17T11:05:55Z gw conntrack - - - ";
    assert_eq!(
        briefs(&format!("{header}{without}")),
        [format!("{BARE} at 1579259155000000000")]
    );
}

#[test]
fn conntrack_events_and_extras() {
    let line = |from: &str, to: &str| {
        assert!(NEW.contains(from), "{from}");
        let event = briefs(&NEW.replace(from, to)).remove(0);
        event.strip_suffix(TIME).unwrap().to_owned()
    };
    assert_eq!(line("    [NEW]", " [UPDATE]"), BARE.replace("created", "updated"));
    assert_eq!(
        line("    [NEW] tcp      6 120 SYN_SENT", "[DESTROY] tcp      6"),
        BARE.replace("created", "deleted")
    );
    for (from, to) in [
        ("tcp      6", "ipv4     2 tcp      6"),
        ("[UNREPLIED] ", ""),
        ("[UNREPLIED]", "packets=12 bytes=3456 zone-orig=4 [UNREPLIED]"),
        (
            "id=3725581234",
            "packets=1 bytes=2 [ASSURED] mark=0 secctx=system_u:s0 zone=3 delta-time=2 [start=Fri Jan  2 03:04:05 2026] use=1 id=9 labels=a,b",
        ),
        ("id=3725581234", "[OFFLOAD] mark=7"),
    ] {
        assert_eq!(line(from, to), BARE, "{to}");
    }
    assert_eq!(
        line("tcp      6 120 SYN_SENT", "udp      17 30"),
        BARE.replace("created 6", "created 17")
    );
    assert_eq!(
        line("tcp      6 120", "sctp     132 120"),
        BARE.replace("created 6", "created 132")
    );
    assert_eq!(
        line("tcp      6 120", "udplite  136 120"),
        BARE.replace("created 6", "created 136")
    );
}

#[test]
fn conntrack_protocols_without_ports() {
    let icmp = "[1767323046.500000]\t[DESTROY] icmp     1 src=100.64.0.12 dst=1.1.1.1 type=8 code=0 id=4660 packets=1 bytes=84 \
                src=1.1.1.1 dst=203.0.113.5 type=0 code=0 id=4661 packets=1 bytes=84 id=77";
    assert_eq!(
        briefs(icmp),
        ["session deleted 1 100.64.0.12 4660 = 203.0.113.5 4661 > 1.1.1.1 at 1767323046500000000"]
    );
    let same = icmp.replace("4661", "4660").replace("203.0.113.5", "100.64.0.12");
    assert_eq!(ignored(&same), NotTranslated);
    // Only the identifier was changed.
    let identifier = icmp.replace("203.0.113.5", "100.64.0.12");
    assert_eq!(
        briefs(&identifier)[0].split(" > ").next(),
        Some("session deleted 1 100.64.0.12 4660 = 100.64.0.12 4661")
    );
    assert_eq!(
        error(icmp.strip_suffix(" packets=1 bytes=84 id=77").unwrap()),
        Truncated
    );
    let nat66 = "    [NEW] icmpv6   58 30 src=2001:db8::1 dst=2001:db8:e::1 type=128 code=0 id=5 [UNREPLIED] src=2001:db8:e::1 \
                 dst=2001:db8:f::1 type=129 code=0 id=5 id=1";
    assert_eq!(
        briefs(nat66),
        ["session created 58 2001:db8::1 5 = 2001:db8:f::1 5 > 2001:db8:e::1"]
    );
    let gre = "    [NEW] gre      47 30 src=100.64.0.12 dst=1.1.1.1 srckey=0x0 dstkey=0x1a2b [UNREPLIED] src=1.1.1.1 \
               dst=203.0.113.5 srckey=0x1a2b dstkey=0x7 id=1";
    assert_eq!(
        briefs(gre),
        ["session created 47 100.64.0.12 0 = 203.0.113.5 7 > 1.1.1.1 6699"]
    );
    assert_eq!(error(&gre.replace("0x7", "0x12345")), BadPort);
    let esp =
        "    [NEW] unknown  50 600 src=100.64.0.12 dst=1.1.1.1 [UNREPLIED] src=1.1.1.1 dst=203.0.113.5 id=1";
    assert_eq!(
        briefs(esp),
        ["session created 50 100.64.0.12 = 203.0.113.5 > 1.1.1.1"]
    );
}

#[test]
fn conntrack_destination_nat() {
    let forwarded = "    [NEW] tcp      6 120 SYN_SENT src=198.51.100.20 dst=203.0.113.5 sport=40001 dport=8080 [UNREPLIED] \
                     src=10.0.0.7 dst=198.51.100.20 sport=80 dport=40001 id=1";
    assert_eq!(
        briefs(forwarded),
        ["session created 6 10.0.0.7 80 = 203.0.113.5 8080 > 198.51.100.20 40001"]
    );
    // Both: the remote end is the one that the outside knows.
    let both = NEW.replace("[UNREPLIED] src=198.51.100.20", "[UNREPLIED] src=198.51.100.99");
    assert_eq!(
        briefs(&both),
        [format!("{BARE}{TIME}").replace("198.51.100.20", "198.51.100.99")]
    );
    let icmp = "    [NEW] icmp     1 30 src=198.51.100.20 dst=203.0.113.5 type=8 code=0 id=9 [UNREPLIED] src=10.0.0.7 \
                dst=198.51.100.20 type=0 code=0 id=9 id=77";
    assert_eq!(
        briefs(icmp),
        ["session created 1 10.0.0.7 9 = 203.0.113.5 9 > 198.51.100.20"]
    );
}

#[test]
fn conntrack_what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(NEW.contains(from), "{from}");
        error(&NEW.replace(from, to))
    };
    // Without anything behind it, the last port could be cut.
    assert_eq!(bad(" id=3725581234", ""), Truncated);
    assert_eq!(
        bad(" dst=203.0.113.5 sport=443 dport=20017 id=3725581234", ""),
        Truncated
    );
    assert_eq!(bad("sport=443 dport=20017 ", ""), MissingField);
    assert_eq!(bad("sport=443 ", ""), MissingField);
    assert_eq!(bad("sport=443 ", "sport=443 sport=443 "), Malformed);
    assert_eq!(bad("id=3725581234", "src=10.0.0.1 id=1"), Malformed);
    assert_eq!(bad("20017", "99999"), BadPort);
    assert_eq!(bad("20017", "20017x"), Malformed);
    assert_eq!(bad("203.0.113.5", "203.0.113.500"), BadAddress);
    assert_eq!(bad("203.0.113.5", "0.0.0.0"), BadAddress);
    assert_eq!(bad("tcp      6", "tcp      256"), BadProtocol);
    assert_eq!(bad("[NEW]", "[MOVED]"), UnknownFormat);
    assert_eq!(bad("[NEW] ", ""), UnknownFormat);
    // An expectation: no connection yet.
    assert_eq!(
        error("    [NEW] 300 proto=6 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=5000 mask-src=255.255.255.255"),
        Malformed
    );
    assert_eq!(
        ignored(
            &NEW.replace("203.0.113.5", "100.64.0.10")
                .replace("20017", "40001")
        ),
        NotTranslated
    );
}

const FLOW: &str = "ulogd[9441]: [NEW] ORIG: SRC=100.64.1.10 DST=198.51.100.30 PROTO=TCP SPT=40100 DPT=443 PKTS=0 BYTES=0 , \
                    REPLY: SRC=198.51.100.30 DST=203.0.113.8 PROTO=TCP SPT=443 DPT=21000 PKTS=0 BYTES=0 ";
const FLOW_EVENT: &str = "session created 6 100.64.1.10 40100 = 203.0.113.8 21000 > 198.51.100.30 443";

#[test]
fn ulogd_headers_and_events() {
    for header in [
        "",
        "Oct 16 14:15:54 gw1 ",
        "<13>Oct 16 14:16:54 gw1 ulogd[9441]: ",
        "<13>1 - gw1 ulogd 9441 - - ",
    ] {
        assert_eq!(
            briefs(&FLOW.replace("ulogd[9441]: ", header)),
            [FLOW_EVENT],
            "{header}"
        );
    }
    let header = "<13>1 2020-01-17T11:05:55Z gw1 ulogd 9441 - - ";
    assert_eq!(
        briefs(&format!("{header}{FLOW}")),
        [format!("{FLOW_EVENT} at 1579259155000000000")]
    );
    for (word, action) in [
        ("[UPDATE]", "updated"),
        ("[DESTROY]", "deleted"),
        ("[NEW]   ", "created"),
    ] {
        assert_eq!(
            briefs(&FLOW.replace("[NEW]", word)),
            [FLOW_EVENT.replace("created", action)]
        );
    }
    // Unknown is not created.
    assert_eq!(error(&FLOW.replace("[NEW] ", "")), MissingField);
    assert_eq!(error(&FLOW.replace("[NEW]", "[OTHER]")), MissingField);
}

#[test]
fn ulogd_protocols_and_families() {
    let with = |original: &str, reply: &str| {
        FLOW.replace("PROTO=TCP SPT=40100 DPT=443", original)
            .replace("PROTO=TCP SPT=443 DPT=21000", reply)
    };
    let no_ports = |number: u8| format!("session created {number} 100.64.1.10 = 203.0.113.8 > 198.51.100.30");
    for (proto, number) in [
        ("ICMP TYPE=0 CODE=8", 1),
        ("ESP", 50),
        ("AH", 51),
        ("47", 47),
        ("58", 58),
    ] {
        let proto = format!("PROTO={proto}");
        assert_eq!(briefs(&with(&proto, &proto)), [no_ports(number)], "{proto}");
    }
    let udp = with("PROTO=UDP SPT=40100 DPT=443", "PROTO=UDP SPT=443 DPT=21000");
    assert_eq!(briefs(&udp), [FLOW_EVENT.replace("created 6", "created 17")]);
    let nat66 = FLOW
        .replace("100.64.1.10", "2001:DB8::10")
        .replace("203.0.113.8", "2001:db8:f::8")
        .replace("198.51.100.30", "2001:db8:e::30");
    assert_eq!(
        briefs(&nat66),
        ["session created 6 2001:db8::10 40100 = 2001:db8:f::8 21000 > 2001:db8:e::30 443"]
    );
    let forwarded = FLOW.replace(
        "SRC=198.51.100.30 DST=203.0.113.8 PROTO=TCP SPT=443 DPT=21000",
        "SRC=10.0.0.7 DST=100.64.1.10 PROTO=TCP SPT=80 DPT=40100",
    );
    assert_eq!(
        briefs(&forwarded),
        ["session created 6 10.0.0.7 80 = 198.51.100.30 443 > 100.64.1.10 40100"]
    );
}

#[test]
fn packets_of_the_filter_are_no_mapping() {
    let packet = "IN=eth0 OUT=eth1 MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=100.64.1.13 DST=198.51.100.31 LEN=60 \
                  TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=40101 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0";
    for prefix in [
        "Oct 16 14:15:55 gw1 kernel: [  123.456789] CGN: ",
        "CGN",
        "kernel: ",
    ] {
        assert_eq!(ignored(&format!("{prefix}{packet}")), NotAMapping);
    }
    assert_eq!(error("IN=eth0 SRC=100.64.1.13 DST=198.51.100.31"), UnknownFormat);
}

#[test]
fn ulogd_what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(FLOW.contains(from), "{from}");
        error(&FLOW.replace(from, to))
    };
    assert_eq!(bad("DPT=21000 PKTS=0 BYTES=0", "DPT=21000"), Truncated);
    assert_eq!(bad("DPT=21000 PKTS=0 BYTES=0", "DPT=21"), Truncated);
    assert_eq!(bad(" SPT=443 DPT=21000 PKTS=0 BYTES=0", ""), Truncated);
    assert_eq!(bad(" , REPLY: ", " "), Truncated);
    assert_eq!(bad("DPT=21000 ", ""), MissingField);
    assert_eq!(bad("PROTO=TCP SPT=443", "PROTO=UDP SPT=443"), Malformed);
    assert_eq!(bad("PROTO=TCP SPT=443", "SPT=443"), Malformed);
    assert_eq!(bad("PROTO=TCP SPT=40100", "SPT=40100"), MissingField);
    assert_eq!(bad("PROTO=TCP SPT=443", "PROTO=999 SPT=443"), BadProtocol);
    assert_eq!(bad("DPT=21000", "DPT=65536"), BadPort);
    assert_eq!(bad("DPT=21000", "DPT=21000 DPT=21000"), Malformed);
    assert_eq!(bad("203.0.113.8", "203.0.113.8.8"), Malformed);
    assert_eq!(bad("203.0.113.8", "203.0.113"), BadAddress);
    assert_eq!(bad("203.0.113.8", "0.0.0.0"), BadAddress);
    assert_eq!(
        ignored(
            &FLOW
                .replace("203.0.113.8", "100.64.1.10")
                .replace("21000", "40100")
        ),
        NotTranslated
    );
}
