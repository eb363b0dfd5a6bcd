//! Jool NAT64.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::NotAMapping;

const MAPPED: &str = "Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (UDP)";
const SESSION: &str =
    "Added session 2001:db8::15#47073|64:ff9b::192.0.2.5#80|192.0.2.20#63527|192.0.2.5#80|TCP";
const TIME: &str = "at 1767888782000000000";

#[test]
fn prefixes() {
    for prefix in [
        "[  312.493235] alpha 2026/1/8 16:13:2 (GMT) - ",
        "[  312.493235] Jool: alpha 2026/1/8 16:13:2 (GMT) - ",
        "<6>Jan  8 17:13:02 nat64 kernel: [  312.493235] Jool: alpha 2026/1/8 16:13:2 (GMT) - ",
        "<6>1 2026-01-08T17:13:02+01:00 nat64 kernel - - - Jool: name with blanks 2026/01/08 16:13:02 (GMT) - ",
        "NAT64 Jool: 2026/1/8 16:13:2 (GMT) - ",
        "2026/1/8 16:13:2 (GMT) - ",
    ] {
        let expected = format!("port created 17 2001:db8::15 19945 = 192.0.2.20 8208 {TIME}");
        assert_eq!(briefs(&format!("{prefix}{MAPPED}")), [expected], "{prefix}");
    }
}

#[test]
fn events() {
    let event = |body: &str| briefs(&format!("Jool: alpha 2026/1/8 16:13:2 (GMT) - {body}")).remove(0);
    let port = format!("port created 17 2001:db8::15 19945 = 192.0.2.20 8208 {TIME}");
    let session = format!("session created 6 2001:db8::15 47073 = 192.0.2.20 63527 > 192.0.2.5 80 {TIME}");
    assert_eq!(
        event(&MAPPED.replace("Mapped", "Forgot")),
        port.replace("created", "deleted")
    );
    assert_eq!(event(SESSION), session);
    assert_eq!(
        event(&SESSION.replace("Added", "Forgot")),
        session.replace("created", "deleted")
    );
    for (name, number) in [("TCP", "6"), ("ICMP", "1"), ("unknown", "*")] {
        assert_eq!(
            event(&MAPPED.replace("UDP", name)),
            port.replace("17 2001", &format!("{number} 2001"))
        );
        assert_eq!(
            event(&SESSION.replace("TCP", name)),
            session.replace("6 2001", &format!("{number} 2001"))
        );
    }
}

#[test]
fn other_messages_of_the_module() {
    for text in [
        "[  501.000001] Jool: Core Jool v4.1.13.0 module inserted.",
        "<6>Jan  8 17:01:47 nat64 kernel: Jool: Bib entry refused 1/2.",
        "Jool: Created instance 'alpha'.",
    ] {
        assert_eq!(ignored(text), NotAMapping);
    }
    // With a date, it may be a mapping.
    assert_eq!(
        error("Jool: alpha 2026/1/8 16:13:2 (GMT) - Moved 2001:db8::15#1 to 192.0.2.20#2 (UDP)"),
        Truncated
    );
    assert_eq!(
        error("alpha 2026/1/8 16:13:2 (GMT) - Moved 2001:db8::15#1 to 192.0.2.20#2 (UDP)"),
        UnknownFormat
    );
    assert_eq!(error("user=Jool: x"), UnknownFormat);
}

#[test]
fn what_is_not_whole_or_wrong() {
    for (text, expected) in [
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (UDP",
            Truncated,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208",
            Truncated,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (SCTP)",
            BadProtocol,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (U)",
            Truncated,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 0.0.0.0#8208 (UDP)",
            BadAddress,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15#99999 to 192.0.2.20#8208 (UDP)",
            BadPort,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Mapped 2001:db8::15 to 192.0.2.20#8208 (UDP)",
            Malformed,
        ),
        (
            "2026/13/8 16:13:2 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (UDP)",
            BadTime,
        ),
        (
            "2026/1/8 16:13:62 (GMT) - Mapped 2001:db8::15#19945 to 192.0.2.20#8208 (UDP)",
            BadTime,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Added session 2001:db8::15#1|64:ff9b::1#80|192.0.2.20#2|192.0.2.5#80|TC",
            Truncated,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Added session 2001:db8::15#1|64:ff9b::1#80|192.0.2.20#2|192.0.2.5#80|TCPX",
            BadProtocol,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Added session 2001:db8::15#1|64:ff9b::1#80|192.0.2.20#2|192.0.2.5#80",
            Truncated,
        ),
        (
            "2026/1/8 16:13:2 (GMT) - Added 2001:db8::15#1|64:ff9b::1#80|192.0.2.20#2|192.0.2.5#80|TCP",
            UnknownFormat,
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}
