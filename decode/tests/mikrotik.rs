//! MikroTik RouterOS firewall log.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::*;

const S: &str = "10.0.0.3:51258";
const X: &str = "203.0.113.10:40001";
const D: &str = "198.51.100.1:443";
const EVENT: &str = "session created 6 10.0.0.3 51258 = 203.0.113.10 40001 > 198.51.100.1 443";

fn line(chain: &str, state: &str, main: (&str, &str), nat: &str) -> String {
    format!(
        "firewall,info cgn {chain}: in:bridge1 out:ether1, {state}src-mac aa:bb:cc:00:11:22, proto TCP (SYN), \
         {}->{}{nat}, len 60",
        main.0, main.1
    )
}

#[test]
fn the_ends_are_found_by_comparison() {
    let snat = "connection-state:new,snat ";
    let dnat = "connection-state:new,dnat ";
    let outgoing = |state: &str, nat: String| briefs(&line("forward", state, (S, D), &nat));
    for state in ["", snat, "connection-state:related,snat "] {
        for nat in [
            format!(", NAT ({S}->{X})->{D}"),
            format!(", NAT ({X}->{D})"),
            format!(", NAT {X}->{D}"),
            format!(", NAT ({S}->{X})->({D}->{D})"),
        ] {
            assert_eq!(outgoing(state, nat.clone()), [EVENT], "{state}{nat}");
        }
    }
    for nat in [format!(", NAT ({X}->{S})->{D}"), format!(", NAT ({S}->{X})")] {
        assert_eq!(outgoing(snat, nat.clone()), [EVENT], "{nat}");
        assert_eq!(error(&line("forward", "", (S, D), &nat)), Malformed, "{nat}");
    }
    // Port forwarding, before and after the destination was changed: the inside end is S here.
    for (main, nat) in [
        ((D, S), format!(", NAT {D}->({X}->{S})")),
        ((D, X), format!(", NAT {D}->({X}->{S})")),
    ] {
        for state in ["", dnat] {
            assert_eq!(
                briefs(&line("forward", state, main, &nat)),
                [EVENT],
                "{state}{nat}"
            );
        }
    }
    assert_eq!(
        briefs(&line("dstnat", "", (D, X), &format!(", NAT ({D}->{S})"))),
        [EVENT]
    );
    assert_eq!(
        briefs(&line("srcnat", "", (S, D), &format!(", NAT ({S}->{X})"))),
        [EVENT]
    );
    // Both ends: the remote end is the one that the outside knows.
    let both = format!(", NAT ({S}->{X})->(10.0.0.1:443->{D})");
    assert_eq!(
        briefs(&line(
            "forward",
            "connection-state:new,snat,dnat ",
            (S, "10.0.0.1:443"),
            &both
        )),
        [EVENT]
    );
}

#[test]
fn replies_name_the_same_ends_and_create_nothing() {
    let updated = EVENT.replace("created", "updated");
    for (state, main, nat) in [
        (
            "connection-state:established,snat ",
            (S, D),
            format!(", NAT ({S}->{X})->{D}"),
        ),
        (
            "connection-state:established,snat ",
            (D, S),
            format!(", NAT {D}->({X}->{S})"),
        ),
        (
            "connection-state:established,dnat ",
            (S, D),
            format!(", NAT ({S}->{X})->{D}"),
        ),
    ] {
        assert_eq!(
            briefs(&line("forward", state, main, &nat)),
            [&*updated],
            "{state}{nat}"
        );
    }
    let invalid = line(
        "forward",
        "connection-state:invalid,snat ",
        (S, D),
        &format!(", NAT ({S}->{X})->{D}"),
    );
    assert_eq!(error(&invalid), Malformed);
}

#[test]
fn lines_without_translation_are_no_mapping() {
    for text in [
        line("srcnat", "connection-state:new ", (S, D), ""),
        line("forward", "", (S, D), ", prio 2->0"),
        line("forward", "", ("[2001:db8::1]:443", "[2001:db8::2]:51234"), ""),
    ] {
        assert_eq!(ignored(&text), NotAMapping, "{text}");
    }
    assert_eq!(
        ignored(
            "input: in:ether1 out:(unknown 0), connection-state:new, proto ICMP (type 8, code 0), 192.0.2.50->203.0.113.10, len 84"
        ),
        NotAMapping
    );
    assert_eq!(
        ignored(&line("forward", "", (S, D), &format!(", NAT ({S}->{S})->{D}"))),
        NotTranslated
    );
    assert_eq!(
        ignored(&line("forward", "", (S, D), &format!(", NAT ({S}->{D})"))),
        NotTranslated
    );
}

#[test]
fn headers_protocols_and_families() {
    let body = line(
        "forward",
        "connection-state:new,snat ",
        (S, D),
        &format!(", NAT ({S}->{X})->{D}"),
    );
    let body = body.strip_prefix("firewall,info cgn ").unwrap();
    for header in [
        "",
        "<134>Jul 22 01:37:54 rb1 ",
        "<134>firewall,info ",
        "firewall,info MikroTik: my prefix ",
    ] {
        assert_eq!(briefs(&format!("{header}{body}")), [EVENT], "{header}");
    }
    for (name, number) in [("UDP", 17), ("47", 47), ("udp", 17)] {
        let event = EVENT.replace("created 6", &format!("created {number}"));
        assert_eq!(briefs(&body.replace("TCP (SYN)", name)), [event]);
    }
    let icmp = "forward: in:b out:e, connection-state:new,snat proto ICMP (type 8, code 0), 10.0.0.3->198.51.100.1, \
                NAT (10.0.0.3->203.0.113.10)->198.51.100.1, len 84";
    assert_eq!(
        briefs(icmp),
        ["session created 1 10.0.0.3 = 203.0.113.10 > 198.51.100.1"]
    );
    let nat66 = body
        .replace(S, "[2001:DB8::3]:51258")
        .replace(X, "[2001:db8:f::1]:40001")
        .replace(D, "[2001:db8:e::1]:443");
    assert_eq!(
        briefs(&nat66),
        ["session created 6 2001:db8::3 51258 = 2001:db8:f::1 40001 > 2001:db8:e::1 443"]
    );
    // Interfaces have names that users may choose.
    let named = body.replace(
        "out:ether1",
        "out:<pppoe-x, proto UDP, 1.1.1.1:1->2.2.2.2:2, NAT (1.1.1.1:1->3.3.3.3:3)->2.2.2.2:2, len 9>",
    );
    assert_eq!(briefs(&named), [EVENT]);
}

#[test]
fn names_of_interfaces_pose_as_no_other_device() {
    let body = line("forward", "", (S, D), &format!(", NAT ({S}->{X})->{D}"));
    for (log, _) in common::OWN {
        // The marks of the last two are looked for first, wherever they are.
        if matches!(log, "mikrotik.log" | "nfware.log" | "juniper.log") {
            continue;
        }
        for other in common::lines(log) {
            let other = String::from_utf8(other).unwrap();
            let named = body.replace("bridge1", &format!("<pppoe-u {other}>"));
            assert_eq!(briefs(&named), [EVENT], "{named}");
            // Cut off before the protocol.
            let cut = named.split_once(", proto TCP").unwrap().0;
            assert!(
                common::decode(decode::Profile::Auto, cut.as_bytes()).1.is_empty(),
                "{cut}"
            );
        }
    }
}

#[test]
fn what_is_not_whole_or_wrong() {
    let whole = line("forward", "", (S, D), &format!(", NAT ({S}->{X})->{D}"));
    let bad = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        error(&whole.replace(from, to))
    };
    assert_eq!(bad(", len 60", ""), Truncated);
    assert_eq!(bad("60", ""), Truncated);
    assert_eq!(bad(")->198.51.100.1:443, len 60", ""), Truncated);
    assert_eq!(
        bad(
            ", NAT (10.0.0.3:51258->203.0.113.10:40001)->198.51.100.1:443, len 60",
            ""
        ),
        Truncated
    );
    assert_eq!(bad("TCP", "XYZ"), BadProtocol);
    assert_eq!(bad("40001", "400010"), BadPort);
    assert_eq!(bad("203.0.113.10", "203.0.113.256"), BadAddress);
    assert_eq!(bad("203.0.113.10", "0.0.0.0"), BadAddress);
    assert_eq!(bad("203.0.113.10:40001", "203.0.113.10"), MissingField);
    assert_eq!(bad("forward: in:", "forward in:"), UnknownFormat);
    assert_eq!(bad(" proto TCP", " TCP"), UnknownFormat);
    // Two ends that the main tuple does not have.
    assert_eq!(
        error(&line(
            "forward",
            "",
            (S, D),
            ", NAT (10.9.9.9:1->203.0.113.10:2)->198.51.100.1:443"
        )),
        Malformed
    );
    assert_eq!(
        error(&line(
            "forward",
            "",
            (S, D),
            ", NAT (10.0.0.3:51258->203.0.113.10:2)->198.51.100.1:80"
        )),
        Malformed
    );
}
