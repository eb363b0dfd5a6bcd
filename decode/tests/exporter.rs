//! What the configuration says of an exporter: its zone, its VRFs, its dialect.

mod common;

use decode::exporter::vrf::VrfNames;
use decode::exporter::{Dialects, Settings, Unit};
use decode::{DecodeError, Exporter, Outcome, Profile};
use jiff::Timestamp;
use proptest::prelude::*;

fn ns(text: &str) -> i64 {
    let time: Timestamp = text.parse().expect("a time");
    time.as_nanosecond().try_into().expect("of our days")
}

/// An exporter with this profile, whose clock is in Berlin.
fn berlin(profile: Profile) -> Exporter {
    Exporter::new(Settings {
        zone: Some("Europe/Berlin".parse().expect("a zone")),
        ..Settings::from(profile)
    })
}

/// The times of a message's only event: its own, where that is from, and when the mapping began.
fn times(exporter: &mut Exporter, message: &str, received: &str) -> (String, String, String) {
    let rfc3339 = |ns: Option<i64>| {
        ns.map(|ns| Timestamp::from_nanosecond(ns.into()).expect("a time").to_string())
            .unwrap_or_default()
    };
    let mut found = Vec::new();
    let outcome = exporter.decode(message.as_bytes(), ns(received), |event| {
        found.push((
            rfc3339(event.time_ns),
            event.time_source.name().to_owned(),
            rfc3339(event.mapping_start_ns),
        ));
    });
    assert_eq!(outcome, Ok(Outcome::Events(1)), "{message}");
    found.remove(0)
}

/// One line of each format whose times name no zone, or no year.
#[test]
fn times_without_a_zone_are_absolute_where_it_is_said() {
    let summer = "2026-07-01T15:00:11Z";
    for (message, time, source, start) in [
        (
            "<134>Jul  1 17:00:10 nfw A VRF 0 INT 10.0.0.1 EXT 100.64.0.1",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        (
            "<14>Jul  1 17:00:10 bng2 RT_FLOW: RT_FLOW_SESSION_CREATE: session created 192.168.1.102/58662->8.8.8.8/53 dns 68.144.1.1/55893->8.8.8.8/53 A None 17 B TRUST NET 6316 N/A(N/A) vlan.192",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        // An epoch is UTC whatever the header says.
        (
            "<14>Jul  1 23:00:10 bng2 RT_NAT: RT_SRC_NAT_PBA_ALLOC: Subscriber 100.64.12.9 used/maximum [1/4] blocks, allocates port block [5120-5375] from 198.51.100.40 in source pool CGN_A lsys_id: 0 epoch 0x6a452c2a",
            "2026-07-01T15:03:06Z",
            "device_event",
            "",
        ),
        // An INTERIM has the time of its message; the epoch is the begin.
        (
            "<14>Jul  1 17:00:10 bng2 RT_NAT: RT_SRC_NAT_PBA_INTERIM: Subscriber 100.64.12.9 used/maximum [1/4] blocks, holds port block [5120-5375] from 198.51.100.40 in source pool CGN_A lsys_id: 0 epoch 0x6a450852",
            "2026-07-01T15:00:10Z",
            "device_header",
            "2026-07-01T12:30:10Z",
        ),
        (
            "<158>2026-07-01 17:00:10: CGN-1{SS_CGN0}[jservices-nat]: JSERVICES_NAT_PORT_BLOCK_ALLOC: 100.64.3.7 -> 203.0.113.20:2048-2303",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        (
            "<14>123: HOST: *Jul  1 17:00:10.123: %NAT-6-LOG_TRANSLATION: Created Translation UDP 192.168.0.11:44593 203.0.113.1:21129 192.0.2.53:53 192.0.2.53:53 0",
            "2026-07-01T15:00:10.123Z",
            "device_header",
            "",
        ),
        (
            "<14>123: HOST: Jul  1 15:00:10.123 gmt: %NAT-6-LOG_TRANSLATION: Created Translation UDP 192.168.0.11:44593 203.0.113.1:21129 192.0.2.53:53 192.0.2.53:53 0",
            "2026-07-01T15:00:10.123Z",
            "device_header",
            "",
        ),
        (
            "<134>1 2026 Jul 1 17:00:10 68.1.1.1 test - NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        // The emitter writes UTC.
        (
            "<134> 1 2026 Jul 1 15:00:10 192.168.2.3 - - NAT44 - [UserbasedA - 10.12.0.5 ivrf1 - 100.1.1.2 - 20000 20511 - - ]",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        (
            "%@250005%Jul 1 17:00:10:72 2026 DeviceA USERLOG/7/NAT: ICMP; 192.168.1.6:768--->1.1.1.1:12288; 2.2.2.2:768; [2026/07/01 17:00:09-0000/00/00 00:00:00]; Operator 8: Data flow created",
            "2026-07-01T15:00:09Z",
            "device_event",
            "",
        ),
        (
            "%@250006%Jul 1 17:00:10:72 2026 DeviceA USERLOG/7/NAT: ICMP; 192.168.1.6:768--->1.1.1.1:12288; 2.2.2.2:768; [2026/07/01 16:00:03-2026/07/01 17:00:09]; Operator 1: Normal over",
            "2026-07-01T15:00:09Z",
            "device_event",
            "2026-07-01T14:00:03Z",
        ),
        (
            "%@250006%Jul 1 17:00:10:72 2026 DeviceA USERLOG/7/NAT: ICMP; 192.168.1.6:768--->1.1.1.1:12288; 2.2.2.2:768; [2026/07/01 16:00:03-0000/00/00 00:00:00]; Operator 6: Active",
            "2026-07-01T15:00:10Z",
            "device_header",
            "2026-07-01T14:00:03Z",
        ),
        (
            "Jul  1 17:00:10 vsr fp-cgnat[4269]: USER 100.64.0.1 (matching rule 1): NEW BLOCK (pool \"p\", ip public 192.0.2.33, proto 6, port 1 - 512) at Wed Jul  1 17:00:09 2026",
            "2026-07-01T15:00:09Z",
            "device_event",
            "",
        ),
        (
            "Jul  1 19:00:10 fw date=2026-07-01 time=17:00:09 vd=v type=sess act=end tran=snat proto=6 ipold=v4 ipnew=v4 sip=10.1.100.11 dip=172.16.200.155 sport=40836 dport=80 nsip=172.16.201.182 ndip=172.16.200.155 nsport=8117 ndport=80 dur=2000 sentp=0",
            "2026-07-01T15:00:09Z",
            "device_event",
            "2026-07-01T15:00:07Z",
        ),
        (
            "<14>Jul  1 17:00:10 pa1 1,2026/07/01 17:00:10,001,TRAFFIC,end,1,2026/07/01 17:00:09,10.5.0.1,198.51.100.40,203.0.113.60,198.51.100.40,r,u,,incomplete,vsys3,trust,untrust,ae1.1,ae1.2,fwd,2026/07/01 17:00:09,77,1,50001,443,10001,443,0x400000,tcp,allow,100,60,40,2,2026/07/01 16:00:00,7,any,0,1,0x0",
            "2026-07-01T15:00:09Z",
            "device_event",
            "2026-07-01T15:00:02Z",
        ),
        // A zone that is written counts.
        (
            "<134>1 2026-07-01T17:00:10+05:00 nfw a - - - A VRF 0 INT 10.0.0.1 EXT 100.64.0.1",
            "2026-07-01T12:00:10Z",
            "device_header",
            "",
        ),
        (
            "<134>1 2026-07-01T17:00:10 nfw a - - - A VRF 0 INT 10.0.0.1 EXT 100.64.0.1",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        (
            "Jul  1 17:00:10PortBatchV2Allocated: [100.64.0.9 203.0.113.7 1024 2047]",
            "2026-07-01T15:00:10Z",
            "device_header",
            "",
        ),
        // A header without a time has none.
        ("nfw A VRF 0 INT 10.0.0.1 EXT 100.64.0.1", "", "receive", ""),
    ] {
        let got = times(&mut berlin(Profile::Auto), message, summer);
        assert_eq!(got, (time.into(), source.into(), start.into()), "{message}");
    }
}

#[test]
fn years_and_hours_are_those_nearest_to_the_receive_time() {
    let line = |header: &str| format!("<134>{header} nfw A VRF 0 INT 10.0.0.1 EXT 100.64.0.1");
    for (header, received, expected) in [
        // New Year, both ways: the device is early, or the line is late.
        ("Jan  1 00:00:01", "2025-12-31T22:59:59Z", "2025-12-31T23:00:01Z"),
        ("Dec 31 23:59:59", "2025-12-31T23:00:03Z", "2025-12-31T22:59:59Z"),
        ("Feb 29 12:00:00", "2024-02-29T11:00:01Z", "2024-02-29T11:00:00Z"),
        // The hour that comes twice, and the one that is skipped.
        ("Oct 26 02:30:00", "2025-10-26T00:30:01Z", "2025-10-26T00:30:00Z"),
        ("Oct 26 02:30:00", "2025-10-26T01:30:01Z", "2025-10-26T01:30:00Z"),
        ("Mar 29 02:30:00", "2026-03-29T01:30:02Z", "2026-03-29T01:30:00Z"),
        ("Mar 29 02:30:00", "2026-03-29T00:30:02Z", "2026-03-29T00:30:00Z"),
    ] {
        let got = times(&mut berlin(Profile::Nfware), &line(header), received);
        assert_eq!(got.0, expected, "{header} received {received}");
    }
    // A day that no year near has is no time, and the event is kept.
    let got = times(
        &mut berlin(Profile::Nfware),
        &line("Feb 29 12:00:00"),
        "2026-03-01T00:00:00Z",
    );
    assert_eq!(got.1, "receive");
}

#[test]
fn where_nothing_is_said_nothing_changes() {
    for log in common::logs() {
        for line in common::lines(&log) {
            let mut events = Vec::new();
            let mut exporter = Exporter::new(common::own(&log).into());
            let outcome = exporter.decode(&line, 0, |event| events.push(common::object(event)));
            assert_eq!(
                (outcome, events),
                common::decode(common::own(&log), &line),
                "{log}"
            );
        }
    }
}

/// A zone gives events a time and changes nothing else of them; a time that was absolute before is still the same,
/// but where the message has one of its own.
#[test]
fn a_zone_changes_times_alone() {
    for log in common::logs() {
        for line in common::lines(&log) {
            let (outcome, plain) = common::decode(Profile::Auto, &line);
            let mut zoned = Vec::new();
            let got = berlin(Profile::Auto).decode(&line, ns("2026-07-01T15:00:11Z"), |event| {
                zoned.push(common::object(event));
            });
            assert_eq!(got, outcome, "{log}");
            for (mut zoned, mut plain) in zoned.into_iter().zip(plain) {
                if plain["time_source"] == "device_event" {
                    assert_eq!(zoned["timestamp"], plain["timestamp"], "{log}: {zoned}");
                }
                for event in [&mut zoned, &mut plain] {
                    for key in ["timestamp", "time_source", "mapping_start"] {
                        event.as_object_mut().unwrap().remove(key);
                    }
                }
                assert_eq!(zoned, plain, "{log}");
            }
        }
    }
}

#[test]
fn vrfs_are_named() {
    let mut exporter = Exporter::new(Settings {
        vrf: VrfNames {
            default: Some("global".into()),
            names: [("1".into(), "blue".into()), ("vsys3".into(), "red".into())].into(),
        },
        ..Settings::from(Profile::Auto)
    });
    for (message, expected) in [
        (
            "LSN_ADD 100.64.23.122%1:33000 6 194.15.97.34%0:4000 93.184.216.34 443",
            "blue",
        ),
        (
            "LSN_ADD 100.64.23.122%2:33000 6 194.15.97.34%0:4000 93.184.216.34 443",
            "2",
        ),
        (
            "LSN_ADD 100.64.23.122:33000 6 194.15.97.34:4000 93.184.216.34 443",
            "global",
        ),
        ("A VRF 1 INT 10.0.0.1 EXT 100.64.0.1", "blue"),
    ] {
        let mut vrfs = Vec::new();
        exporter
            .decode(message.as_bytes(), 0, |event| {
                vrfs.push(event.vrf.map(|vrf| vrf.to_str().into_owned()));
            })
            .expect(message);
        assert_eq!(vrfs, [Some(expected.to_owned())], "{message}");
    }
}

#[test]
fn user_based_lines_of_huawei_are_blocks_where_it_is_said() {
    let line = |record: &str| format!("<134>1 2020 Jan 17 11:05:55 68.1.1.1 test - NAT444:{record}");
    let mut said = Exporter::new(Settings {
        dialects: Dialects {
            huawei_user_blocks: true,
            ..Dialects::default()
        },
        ..Settings::from(Profile::Auto)
    });
    for (record, expected) in [
        (
            "UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 2047]",
            Ok("port-block created * 10.1.1.2 = 172.16.1.1 1024 - 2047"),
        ),
        (
            "UserbasedW [- 10.1.1.2 - 172.16.1.1 - 1024 2047]",
            Ok("port-block deleted * 10.1.1.2 = 172.16.1.1 1024 - 2047"),
        ),
        (
            "SessionbasedA [17 10.1.1.2 - 172.16.1.1 7 1025 -]",
            Ok("port created 17 10.1.1.2 7 = 172.16.1.1 1025"),
        ),
        (
            "UserbasedA [- 10.1.1.2 - 172.16.1.1 - 2047 1024]",
            Err(DecodeError::BadRange),
        ),
        (
            "UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 99999]",
            Err(DecodeError::BadPort),
        ),
        (
            "UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 -]",
            Err(DecodeError::Malformed),
        ),
        (
            "UserbasedA [6 10.1.1.2 - 172.16.1.1 - 1024 2047]",
            Err(DecodeError::Malformed),
        ),
        (
            "UserbasedX [- 10.1.1.2 - 172.16.1.1 - 1024 2047]",
            Err(DecodeError::UnknownFormat),
        ),
        (
            "UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 20",
            Err(DecodeError::Truncated),
        ),
    ] {
        let mut events = Vec::new();
        let outcome = said.decode(line(record).as_bytes(), 0, |event| {
            events.push(common::brief(&common::object(event)));
        });
        match expected {
            Ok(expected) => assert_eq!(events, [expected], "{record}"),
            Err(why) => assert_eq!(outcome, Err(why), "{record}"),
        }
    }
    let plain = common::error(&line("UserbasedA [- 10.1.1.2 - 172.16.1.1 - 1024 2047]"));
    assert_eq!(plain, DecodeError::UnknownFormat);
}

/// The only event of a message of an exporter with these dialects.
fn event_of(dialects: Dialects, message: &str) -> serde_json::Value {
    let mut exporter = Exporter::new(Settings {
        dialects,
        ..Settings::from(Profile::Auto)
    });
    let mut events = Vec::new();
    let outcome = exporter.decode(message.as_bytes(), 0, |event| events.push(common::object(event)));
    assert_eq!(outcome, Ok(Outcome::Events(1)), "{message}");
    events.remove(0)
}

#[test]
fn the_attribute_that_is_the_subscriber_can_be_said() {
    let line = "NAT-TCP-C: 10.0.0.1:2<-->1.1.1.1:3 to 8.8.8.8:53 MSISDN=\"4917\" IMSI=\"2620\"";
    for (said, expected) in [
        (None, Some("4917")),
        (Some("imsi"), Some("2620")),
        (Some("MSISDN"), Some("4917")),
        (Some("IMEI"), None),
    ] {
        let dialects = Dialects {
            a10_subscriber: said.map(Into::into),
            ..Dialects::default()
        };
        assert_eq!(
            event_of(dialects, line)["subscriber"].as_str(),
            expected,
            "{said:?}"
        );
    }
}

#[test]
fn the_duration_of_a_port_block_is_used_where_its_unit_is_said() {
    let line = "date=2026-02-03 time=10:21:12 eventtime=1770114072 logid=\"0100022016\" type=\"event\" action=\"pba-close\" saddr=100.64.2.2 nat=203.0.113.50 portbegin=5120 portend=5247 duration=600";
    for (unit, expected) in [
        (None, None),
        (Some(Unit::Seconds), Some(1_770_113_472_000_000_000)),
        (Some(Unit::Milliseconds), Some(1_770_114_071_400_000_000)),
    ] {
        let dialects = Dialects {
            fortinet_pba_duration: unit,
            ..Dialects::default()
        };
        assert_eq!(
            event_of(dialects, line)["mapping_start"].as_i64(),
            expected,
            "{unit:?}"
        );
    }
}

proptest! {
    /// Whatever the octets and the receive time are: no panic, and no event that cannot be.
    #[test]
    fn no_octets_panic(cut in any::<prop::sample::Index>(), log in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
                       octet: u8, received_ns: i64) {
        let logs = common::logs();
        let mut line = common::lines(&logs[log.index(logs.len())])[0].clone();
        let place = at.index(line.len());
        line[place] = octet;
        line.truncate(cut.index(line.len()) + 1);
        let mut exporter = berlin(Profile::Auto);
        let _ = exporter.decode(&line, received_ns, |event| common::assert_possible(&common::object(event)));
    }
}
