//! Huawei flow syslog "type3".

mod common;

use common::{briefs, error};
use decode::DecodeError::*;

const HEADER: &str = "<134>1 2020 Jan 17 11:05:55 68.1.1.1 test - ";

#[test]
fn port_mappings_of_both_families() {
    for (body, expected) in [
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
            "created 17 10.1.1.2 0 = 172.16.1.1 1025",
        ),
        (
            "NAT444:SessionbasedW [6 10.1.1.2 - 172.16.1.1 40000 1025 - ]",
            "deleted 6 10.1.1.2 40000 = 172.16.1.1 1025",
        ),
        (
            "NAT64:SessionbasedA [58 - 2001:DB8:1::2:2 10.11.11.100 7 8 -]",
            "created 58 2001:db8:1::2:2 7 = 10.11.11.100 8",
        ),
        (
            "NAT64:SessionbasedW [1 - 2001:DB8:0:0:0:0:2:2 10.11.11.100 7 8 -]",
            "deleted 1 2001:db8::2:2 7 = 10.11.11.100 8",
        ),
    ] {
        // The zone of the header's time is not stated.
        assert_eq!(briefs(&format!("{HEADER}{body}")), [format!("port {expected}")]);
    }
}

#[test]
fn headers() {
    let body = "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -]";
    let event = "port created 17 10.1.1.2 0 = 172.16.1.1 1025";
    for header in [
        "<134>1 2026 Mar  9 08:07:06 cgn-ne40 app1 - ",
        "<134> 1 2026 Mar 9 08:07:06 based-on:Userland app1 - ",
        "<134>Mar  9 08:07:06 ne8000 x - ",
        "ne8000 x - ",
    ] {
        assert_eq!(briefs(&format!("{header}{body}")), [event], "{header}");
    }
    let relayed = format!("<134>1 2020-01-17T11:05:55Z relay x - {body}");
    assert_eq!(briefs(&relayed), [format!("{event} at 1579259155000000000")]);
    for header in ["", "ne8000 x ", "ne8000 - X"] {
        assert_eq!(error(&format!("{header}{body}")), UnknownFormat, "{header}");
    }
}

#[test]
fn what_is_not_whole_or_wrong() {
    for (body, expected) in [
        ("NAT444:Sessionbased", Truncated),
        ("NAT444:SessionbasedA", Truncated),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -",
            Truncated,
        ),
        ("NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 102", Truncated),
        (
            "NAT444:SessionbasedB [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
            UnknownFormat,
        ),
        (
            "NAT444:SessionbasedAD [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
            UnknownFormat,
        ),
        (
            "NAT555:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
            UnknownFormat,
        ),
        // No such line was seen.
        (
            "NAT444:UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 2047]",
            UnknownFormat,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025]",
            MissingField,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 2047]",
            Malformed,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 - -]",
            Malformed,
        ),
        ("NAT444:SessionbasedA [17 - - 172.16.1.1 0 1025 -]", MissingField),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 2001:db8::1 172.16.1.1 0 1025 -]",
            Malformed,
        ),
        ("NAT444:SessionbasedA [17 10.1.1.2 - - 0 1025 -]", BadAddress),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 0.0.0.0 0 1025 -]",
            BadAddress,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.256 - 172.16.1.1 0 1025 -]",
            BadAddress,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 65536 -]",
            BadPort,
        ),
        (
            "NAT444:SessionbasedA [tcp 10.1.1.2 - 172.16.1.1 0 1025 -]",
            BadProtocol,
        ),
        (
            "NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -] x",
            Malformed,
        ),
    ] {
        assert_eq!(error(&format!("{HEADER}{body}")), expected, "{body}");
    }
}
