//! The NFWare grammar, its edges, and what must not pass.

mod common;

use std::net::IpAddr;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::Profile;
use event::{Action, Event, Kind, Text};
use proptest::prelude::*;

#[test]
fn any_header_or_none_may_stand_before() {
    let body = "A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475";
    let plain = event(body);
    for header in [
        "test ",
        "<134>",
        "<134> ",
        "<134>nat: ",
        "<134>May 29 12:00:00 ",
        "<134>May 29 12:00:00  cgn1 nat[77]: ",
        "<134> May  9 12:00:00 CEST: ",
        "<134>29: *May 29 12:00:00.123: ",
        "May 29 12:00:00 cgn1 nat: ",
        "2025-05-29T12:00:00Z relay cgn1 nat: ",
        "<134>1 - cgn1 nfware - - - ",
        "<134>1 2025-05-29T12:00:00 cgn1 nfware - - - ",
        "<134>1 2020 Jan 17 11:05:55 cgn1 nfware - - - ",
        "\u{feff}",
        " \t",
    ] {
        assert_eq!(event(&format!("{header}{body}")), plain, "{header}");
    }
    for header in [
        "<134>1 2025-05-29T12:00:00Z cgn1 nfware - - - ",
        "<134>1 2025-05-29T14:00:00+02:00 - - - - [x@1 y=\"]\"][z@2 a=\"b c\"] \u{feff}",
        "1 2025-05-29T12:00:00.000Z ",
    ] {
        let event = event(&format!("{header}{body}"));
        assert_eq!(event["timestamp"], 1_748_520_000_000_000_000_i64, "{header}");
        assert_eq!(event["time_source"], "device_header");
    }
}

#[test]
fn padding_behind_is_no_part_of_it() {
    let body = "D VRF 0 INT 10.0.0.1 EXT 100.64.0.1";
    for tail in [" ", "\r\n", "\0", " \0\r\n\0 ", "#012", "#015#012"] {
        assert_eq!(event(&format!("{body}{tail}")), event(body));
    }
}

#[test]
fn addresses_of_both_families() {
    let address = event("A VRF 0 INT 2001:DB8:0:0:0:0:0:1 EXT 100.64.0.1");
    assert_eq!(
        (&address["src_ip"], &address["kind"]),
        (&"2001:db8::1".into(), &"address-mapping".into())
    );
    let session = event("A VRF 0 6 INT [2001:db8::1]:80 EXT 100.64.0.1:81 DST [2001:db8::2]:82 DIR IN");
    assert_eq!(
        (&session["src_ip"], &session["src_port"]),
        (&"2001:db8::1".into(), &80.into())
    );
    assert_eq!(
        (&session["dst_ip"], &session["dst_port"]),
        (&"2001:db8::2".into(), &82.into())
    );
    let block = event("A VRF 0 INT [2001:db8::1] EXT [2001:db8::9]:1024-2047");
    assert_eq!(
        (&block["x_ip"], &block["end_port"]),
        (&"2001:db8::9".into(), &2047.into())
    );
    // Of a bare IPv6 address the last group is the port, where the grammar demands one.
    for (inside, ip, port) in [
        ("2001:db8::1:80", "2001:db8::1", 80),
        ("2001:db8:0:0:0:0:0:7:57938", "2001:db8::7", 57938),
    ] {
        let mapping = event(&format!("A VRF 0 6 INT {inside} EXT 100.64.0.1:81"));
        assert_eq!(
            (&mapping["src_ip"], &mapping["src_port"]),
            (&ip.into(), &port.into())
        );
        let session = event(&format!(
            "A VRF 0 6 INT {inside} EXT 100.64.0.1:81 DST {inside} DIR OUT"
        ));
        assert_eq!(
            (&session["dst_ip"], &session["dst_port"]),
            (&ip.into(), &port.into())
        );
    }
    let block = event("A VRF 0 6 INT 2001:db8::1:80 EXT 100.64.0.1:1024-1535");
    assert_eq!(block["src_ip"], "2001:db8::1:80");
    assert_eq!(
        error("A VRF 0 6 INT 2001:db8::1:99999 EXT 100.64.0.1:81"),
        BadPort
    );
    assert_eq!(
        error("A VRF 0 6 INT 2001:db8:0:0:0:0:0:7 EXT 100.64.0.1:81"),
        BadAddress
    );
}

#[test]
fn vrf_is_what_the_device_writes() {
    for vrf in ["0", "4294967296", "blue", "INT", "kunden-süd", &"x".repeat(64)] {
        assert_eq!(
            event(&format!("A VRF {vrf} INT 10.0.0.1 EXT 100.64.0.1"))["vrf"],
            vrf
        );
    }
    for vrf in ["", "a\0b", "a\u{85}b", "\u{2003}", &"x".repeat(65)] {
        assert_eq!(
            error(&format!("A VRF {vrf} INT 10.0.0.1 EXT 100.64.0.1")),
            Malformed,
            "{vrf:?}"
        );
    }
}

#[test]
fn a_block_may_name_a_protocol_but_an_address_cannot() {
    let block = event("A VRF 0 17 INT 10.0.0.1 EXT 100.64.0.1:1024-1535");
    assert_eq!(
        (&block["protocol"], &block["kind"]),
        (&17.into(), &"port-block-mapping".into())
    );
    assert_eq!(event("A VRF 0 0 INT 10.0.0.1:1 EXT 100.64.0.1:2")["protocol"], 0);
    assert_eq!(
        event("A VRF 0 255 INT 10.0.0.1:1 EXT 100.64.0.1:2")["protocol"],
        255
    );
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    let cases: &[(&str, DecodeError)] = &[
        ("", Empty),
        (" \r\n\0", Empty),
        ("hello", UnknownFormat),
        ("A VRF", UnknownFormat),
        ("a vrf 0 int 10.0.0.1 ext 100.64.0.1", UnknownFormat),
        // An unknown letter is never "created".
        ("U VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1024-1535", Malformed),
        ("test I VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1024-1535", Malformed),
        ("A VRF 0 256 INT 10.0.0.1:1 EXT 100.64.0.1:2", BadProtocol),
        ("A VRF 0 06 INT 10.0.0.1:1 EXT 100.64.0.1:2", BadProtocol),
        ("A VRF 0 -1 INT 10.0.0.1:1 EXT 100.64.0.1:2", Malformed),
        ("A VRF 0 INT 10.0.0.999 EXT 100.64.0.1", BadAddress),
        ("A VRF 0 INT 10.0.0.1 EXT 0.0.0.0", BadAddress),
        ("A VRF 0 INT 10.0.0.1 EXT :: ", Truncated),
        ("A VRF 0 INT :: EXT 100.64.0.1", BadAddress),
        ("A VRF 0 INT 10.0.0.010 EXT 100.64.0.1", BadAddress),
        ("A VRF 0 INT 10.0.0 EXT 100.64.0.1", BadAddress),
        ("A VRF 0 INT 10.0.0.1.2 EXT 100.64.0.1", BadAddress),
        ("A VRF 0 6 INT 10.0.0.1:99999 EXT 100.64.0.1:1", BadPort),
        ("A VRF 0 6 INT 10.0.0.1:x EXT 100.64.0.1:1", BadPort),
        ("A VRF 0 INT 10.0.0.1 EXT 100.64.0.1:2000-1999", BadRange),
        ("A VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1-65536", BadPort),
        ("A VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1024", Truncated),
        ("A VRF 0 INT 10.0.0.1 EXT 100.64.0.1:1024-", Truncated),
        ("A VRF 0 INT 10.0.0.1:5 EXT 100.64.0.1:1024", MissingField),
        ("A VRF 0 6 INT 10.0.0.1:5 EXT 100.64.0.1:1024-1025", Malformed),
        ("A VRF 0 6 INT 10.0.0.1:5 EXT 100.64.0.1", Truncated),
        ("A VRF 0 47 INT 10.0.0.1 EXT 100.64.0.1", Truncated),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8:53 DIR",
            Truncated,
        ),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8:53 DIR O",
            Truncated,
        ),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8:53",
            Truncated,
        ),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8 DIR OUT",
            Malformed,
        ),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8:53 DIR UP",
            Malformed,
        ),
        (
            "A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 DST 8.8.8.8:53 DIR OUT more",
            Malformed,
        ),
        ("A VRF 0 6 INT 10.0.0.1:1 EXT 100.64.0.1:2 more", Malformed),
        ("A VRF 0 INT 10.0.0.1 EXT 100.64.0.1 more", Malformed),
        (
            "A VRF 0 INT 10.0.0.1 EXT 100.64.0.1A VRF 0 INT 10.0.0.2 EXT 100.64.0.2",
            BadAddress,
        ),
        (
            "A VRF 0 INT 10.0.0.1 EXT 100.64.0.1\nA VRF 0 INT 10.0.0.2 EXT 100.64.0.2",
            BadAddress,
        ),
        ("A VRF 0  INT 10.0.0.1 EXT 100.64.0.1", Malformed),
    ];
    for (message, expected) in cases {
        assert_eq!(error(message), *expected, "{message}");
    }
    let bytes = |message: &[u8]| common::decode(Profile::Auto, message).0;
    assert_eq!(bytes(b"A VRF \xff INT 10.0.0.1 EXT 100.64.0.1"), Err(NotUtf8));
    assert_eq!(bytes(b"\xff"), Err(NotUtf8));
    assert_eq!(bytes(&[b'A'; decode::syslog::MAX_LINE_BYTES]), Err(UnknownFormat));
    assert_eq!(bytes(&[b'A'; decode::syslog::MAX_LINE_BYTES + 1]), Err(TooLong));
}

/// The line of a session cut off inside EXT cannot be told from the line of a port mapping: that is the format. From
/// the blank before DST on, no cut passes.
#[test]
fn a_cut_session_is_no_port_mapping() {
    let session = "D VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT";
    let ext_end = session.find(" DST").unwrap() + 2;
    for end in ext_end..session.len() {
        assert_eq!(error(&session[..end]), Truncated, "{}", &session[..end]);
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        3 => (1..=u32::MAX).prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        1 => (1..=u128::MAX).prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ]
}

proptest! {
    #[test]
    fn events_printed_decode_to_themselves(
        kind in 0_usize..4, created: bool, protocol: u8, names_protocol: bool, vrf in "[!-~\u{a1}-\u{ff}]{1,64}",
        src in (ip(), any::<u16>()), x in (ip(), any::<u16>()), dst in (ip(), any::<u16>()), end: u16,
    ) {
        let kind = Kind::ALL[kind];
        let action = if created { Action::Created } else { Action::Deleted };
        let mut event = Event::new(kind, action, src.0, Some(x.0));
        event.vrf = Some(Text::plain(&vrf));
        match kind {
            Kind::Session | Kind::Port => {
                event.protocol = Some(protocol);
                (event.src_port, event.x_port) = (Some(src.1), Some(x.1));
                if kind == Kind::Session {
                    (event.dst_ip, event.dst_port) = (Some(dst.0), Some(dst.1));
                }
            }
            Kind::Block => {
                event.protocol = names_protocol.then_some(protocol);
                (event.start_port, event.end_port) = (Some(x.1.min(end)), Some(x.1.max(end)));
            }
            Kind::Address => {}
        }
        let line = common::print_nfware(&event);
        let mut decoded = 0;
        let outcome = decode::syslog::decode(Profile::Nfware, line.as_bytes(), |other| {
            assert_eq!(*other, event, "{line}");
            decoded += 1;
        });
        prop_assert_eq!((outcome, decoded), (Ok(decode::Outcome::Events(1)), 1), "{}", line);
    }
}
