//! The formats of vendors for which there are no captures, composed from their definitions.

use decode::Ignored;
use decode::netflow::Profile;
use serde_json::{Value, json};

use crate::build::{self, EXPORT_S, UPTIME_MS, ipfix, record, set, template, v4, v6, v9};
use crate::seen::{self, Seen};

const NS: i64 = 1_000_000_000;
const TIME_MS: u128 = 1_748_520_000_123;
const TIME_NS: i64 = 1_748_520_000_123_000_000;

/// One event of a template of these fields, over IPFIX.
fn one(profile: Profile, id: u16, fields: &[(u16, u16)], values: &[u128]) -> Seen {
    let sets = [set(2, &template(id, fields)), set(id, &record(fields, values))];
    seen::decode(profile, &[ipfix(0, &sets)])
}

/// The same over NetFlow v9.
fn one_v9(profile: Profile, id: u16, fields: &[(u16, u16)], values: &[u128]) -> Seen {
    let sets = [set(0, &template(id, fields)), set(id, &record(fields, values))];
    seen::decode(profile, &[v9(0, &sets)])
}

/// The only event, with these keys changed from null and the time's source.
fn expect(seen: &Seen, changed: Value) {
    let mut expected = json!({
        "kind": null, "event": null, "protocol": null, "src_ip": null, "src_port": null, "x_ip": null, "x_port": null,
        "dst_ip": null, "dst_port": null, "start_port": null, "end_port": null, "port_step": null, "vrf": null,
        "subscriber": null, "timestamp": TIME_NS, "time_source": "device_event",
    });
    for (key, value) in changed.as_object().unwrap() {
        expected[key] = value.clone();
    }
    assert_eq!(seen.errors, []);
    assert_eq!(seen.objects(), [expected]);
}

const VPP_SESSION: [(u16, u16); 8] = [
    (323, 8),
    (230, 1),
    (8, 4),
    (225, 4),
    (4, 1),
    (7, 2),
    (227, 2),
    (234, 4),
];

fn vpp_session(event: u128) -> Vec<u128> {
    vec![
        TIME_MS,
        event,
        v4("100.64.0.9"),
        v4("203.0.113.5"),
        17,
        5000,
        6000,
        0,
    ]
}

#[test]
fn rfc_8158_sessions_of_vpp_name_no_remote_end() {
    for profile in [Profile::Auto, Profile::Vpp, Profile::Rfc8158] {
        for (value, word) in [(4, "created"), (5, "deleted")] {
            let seen = one(profile, 256, &VPP_SESSION, &vpp_session(value));
            expect(
                &seen,
                json!({"kind": "session-mapping", "event": word, "protocol": 17, "src_ip": "100.64.0.9",
                       "src_port": 5000, "x_ip": "203.0.113.5", "x_port": 6000, "vrf": "0"}),
            );
        }
    }
}

#[test]
fn nat64_names_the_remote_end_of_the_outside() {
    let fields = [
        (323, 8),
        (230, 1),
        (27, 16),
        (225, 4),
        (4, 1),
        (7, 2),
        (227, 2),
        (28, 16),
        (226, 4),
        (11, 2),
        (228, 2),
        (234, 4),
    ];
    let values = |event, remote, port| {
        [
            TIME_MS,
            event,
            v6("2001:db8::15"),
            v4("192.0.2.20"),
            6,
            47073,
            63527,
            v6("64:ff9b::c000:205"),
            remote,
            80,
            port,
            3,
        ]
    };
    for profile in [Profile::Auto, Profile::Rfc8158, Profile::Vpp] {
        let seen = one(profile, 258, &fields, &values(6, v4("192.0.2.5"), 8080));
        let mut expected = json!({"kind": "session-mapping", "event": "created", "protocol": 6,
            "src_ip": "2001:db8::15", "src_port": 47073, "x_ip": "192.0.2.20", "x_port": 63527,
            "dst_ip": "192.0.2.5", "dst_port": 8080, "vrf": "3"});
        expect(&seen, expected.clone());
        // Not stated on the outside: the address is unknown, the port is that of the inside.
        (expected["dst_ip"], expected["dst_port"]) = (Value::Null, json!(80));
        expect(&one(profile, 258, &fields, &values(6, 0, 0)), expected);
    }
    let bib = &fields[..7];
    let values = &values(10, 0, 0)[..7];
    expect(
        &one(Profile::Auto, 259, bib, values),
        json!({"kind": "port-mapping", "event": "created", "protocol": 6, "src_ip": "2001:db8::15",
               "src_port": 47073, "x_ip": "192.0.2.20", "x_port": 63527}),
    );
}

#[test]
fn vpp_alarms_are_no_mappings() {
    for (fields, values) in [
        (&[(323, 8), (230, 1), (283, 4)][..], &[TIME_MS, 3, 1][..]),
        (
            &[(323, 8), (230, 1), (466, 4), (473, 4), (8, 4)],
            &[TIME_MS, 13, 3, 100, v4("100.64.0.1")],
        ),
        (&[(323, 8), (230, 1), (466, 4), (471, 4)], &[TIME_MS, 13, 1, 100]),
    ] {
        let seen = one(Profile::Auto, 300, fields, values);
        assert_eq!(seen.ignored, [(Ignored::ResourceAlarm, 1)]);
    }
}

const NEL_SESSION: [(u16, u16); 12] = [
    (8, 4),
    (225, 4),
    (12, 4),
    (226, 4),
    (7, 2),
    (227, 2),
    (11, 2),
    (228, 2),
    (234, 4),
    (4, 1),
    (230, 1),
    (323, 8),
];

fn nel_session(event: u128) -> [u128; 12] {
    [
        v4("10.0.0.1"),
        v4("198.51.100.1"),
        v4("192.0.2.9"),
        v4("192.0.2.9"),
        1024,
        2048,
        443,
        443,
        5,
        6,
        event,
        TIME_MS,
    ]
}

#[test]
fn cisco_nel_applies_create_and_delete_to_every_template() {
    for profile in [Profile::Auto, Profile::Legacy] {
        expect(
            &one_v9(profile, 264, &NEL_SESSION, &nel_session(1)),
            json!({"kind": "session-mapping", "event": "created", "protocol": 6, "src_ip": "10.0.0.1",
                   "src_port": 1024, "x_ip": "198.51.100.1", "x_port": 2048, "dst_ip": "192.0.2.9",
                   "dst_port": 443, "vrf": "5"}),
        );
        let bib = [
            (8, 4),
            (225, 4),
            (7, 2),
            (227, 2),
            (234, 4),
            (4, 1),
            (230, 1),
            (323, 8),
        ];
        let values = [v4("10.0.0.1"), v4("198.51.100.1"), 1024, 2048, 0, 6, 2, TIME_MS];
        expect(
            &one_v9(profile, 265, &bib, &values),
            json!({"kind": "port-mapping", "event": "deleted", "protocol": 6, "src_ip": "10.0.0.1",
                   "src_port": 1024, "x_ip": "198.51.100.1", "x_port": 2048, "vrf": "0"}),
        );
        let exhausted = one_v9(profile, 266, &[(283, 4), (230, 1)], &[1, 3]);
        assert_eq!(exhausted.ignored, [(Ignored::ResourceAlarm, 1)]);
    }
}

const NEL_BLOCK: [(u16, u16); 9] = [
    (8, 4),
    (225, 4),
    (234, 4),
    (4, 1),
    (230, 1),
    (323, 8),
    (361, 2),
    (363, 2),
    (364, 2),
];

#[test]
fn blocks_are_start_step_and_number_or_start_and_end() {
    let values = |step, ports| {
        [
            v4("10.0.0.1"),
            v4("198.51.100.1"),
            0,
            0,
            1,
            TIME_MS,
            1024,
            step,
            ports,
        ]
    };
    let block = json!({"kind": "port-block-mapping", "event": "created", "src_ip": "10.0.0.1",
        "x_ip": "198.51.100.1", "start_port": 1024, "end_port": 1535, "vrf": "0"});
    for profile in [Profile::Auto, Profile::Legacy] {
        for step in [0, 1] {
            let seen = one_v9(profile, 267, &NEL_BLOCK, &values(step, 512));
            expect(&seen, block.clone());
        }
        let strided = one_v9(profile, 267, &NEL_BLOCK, &values(8, 512));
        let mut expected = block.clone();
        (expected["end_port"], expected["port_step"]) = (json!(1024 + 8 * 511), json!(8));
        expect(&strided, expected);
    }
    for (step, ports) in [(1, 0), (200, 512)] {
        let seen = one_v9(Profile::Legacy, 267, &NEL_BLOCK, &values(step, ports));
        assert!(seen.errors[0].1.starts_with("bad_range"), "{:?}", seen.errors);
        assert!(
            seen.errors[0].1.contains("portRangeNumPorts"),
            "{:?}",
            seen.errors
        );
    }
    // RFC 8158: without an end.
    let fields = [(323, 8), (230, 1), (8, 4), (225, 4), (361, 2)];
    let values = [TIME_MS, 16, v4("10.0.0.1"), v4("198.51.100.1"), 1024];
    let seen = one(Profile::Rfc8158, 300, &fields, &values);
    assert!(seen.errors[0].1.starts_with("missing_field"), "{:?}", seen.errors);
}

#[test]
fn junos_draft_02_has_numbers_of_its_own() {
    let block = [(323, 8), (230, 1), (8, 4), (225, 4), (361, 2), (362, 2)];
    let values = |event| [TIME_MS, event, v4("10.0.0.1"), v4("198.51.100.1"), 1024, 2047];
    let expected = |word| {
        json!({"kind": "port-block-mapping", "event": word, "src_ip": "10.0.0.1", "x_ip": "198.51.100.1",
               "start_port": 1024, "end_port": 2047})
    };
    for profile in [Profile::Auto, Profile::JunosDraft02] {
        expect(&one(profile, 300, &block, &values(14)), expected("created"));
        expect(&one(profile, 300, &block, &values(15)), expected("deleted"));
    }
    // In RFC 8158 it would be an address binding, which has no range: nothing is guessed.
    let seen = one(Profile::Rfc8158, 300, &block, &values(14));
    assert!(
        seen.errors[0].1.starts_with("bad_nat_event: ") && seen.errors[0].1.contains("natEvent 14"),
        "{:?}",
        seen.errors
    );
    let binding = &block[..4];
    for (profile, event) in [
        (Profile::JunosDraft02, 12),
        (Profile::Rfc8158, 14),
        (Profile::Auto, 14),
    ] {
        expect(
            &one(profile, 301, binding, &values(event)[..4]),
            json!({"kind": "address-mapping", "event": "created", "src_ip": "10.0.0.1", "x_ip": "198.51.100.1"}),
        );
    }
}

#[test]
fn where_dialects_differ_auto_asks_for_a_profile() {
    let mut fields = VPP_SESSION.to_vec();
    fields.push((27, 16));
    fields.push((12, 4));
    let mut values = vpp_session(4);
    values.push(v6("2001:db8::1"));
    values.push(v4("192.0.2.9"));
    let seen = one(Profile::Auto, 256, &fields, &values);
    assert_eq!(seen.events, []);
    assert!(
        seen.errors[0]
            .1
            .contains("natEvent dialect unknown, set a profile"),
        "{:?}",
        seen.errors
    );
    // One template for everything: what is zero in a record is not there.
    values[8] = 0;
    let seen = one(Profile::Auto, 256, &fields, &values);
    assert_eq!(seen.objects()[0]["src_ip"], "100.64.0.9");
}

#[test]
fn ios_xr_tells_by_template_and_deletes_name_the_inside_alone() {
    let widths = |fields: &[u16]| -> Vec<(u16, u16)> {
        let octets = |field| match field {
            234 | 235 | 8 | 225 | 226 | 12 => 4,
            27 | 28 => 16,
            4 => 1,
            _ => 2,
        };
        fields.iter().map(|&field| (field, octets(field))).collect()
    };
    let value = |field| match field {
        234 => 11,
        235 => 12,
        8 => v4("10.1.0.1"),
        225 => v4("198.51.100.1"),
        27 => v6("2001:db8::b4"),
        28 => v6("64:ff9b::1"),
        226 | 12 => v4("192.0.2.9"),
        4 => 17,
        7 => 1000,
        227 => 2000,
        11 => 53,
        361 => 3000,
        362 => 3511,
        _ => unreachable!(),
    };
    let header = json!({"timestamp": i64::from(EXPORT_S) * NS, "time_source": "device_header"});
    let check = |id: u16, fields: &[u16], mut expected: Value| {
        for (key, value) in header.as_object().unwrap() {
            expected[key] = value.clone();
        }
        let fields = widths(fields);
        let values: Vec<u128> = fields.iter().map(|&(field, _)| value(field)).collect();
        expect(&one_v9(Profile::IosXr, id, &fields, &values), expected);
        let auto = one_v9(Profile::Auto, id, &fields, &values);
        assert!(auto.events.is_empty(), "{id}");
        assert!(
            auto.errors[0].1.starts_with("unknown_dialect"),
            "{:?}",
            auto.errors
        );
    };
    check(
        256,
        &[234, 235, 8, 225, 7, 227, 4],
        json!({"kind": "port-mapping", "event": "created", "protocol": 17, "src_ip": "10.1.0.1", "src_port": 1000,
               "x_ip": "198.51.100.1", "x_port": 2000, "vrf": "11"}),
    );
    check(
        257,
        &[234, 8, 7, 4],
        json!({"kind": "port-mapping", "event": "deleted", "protocol": 17, "src_ip": "10.1.0.1", "src_port": 1000,
               "vrf": "11"}),
    );
    check(
        260,
        &[27, 225, 28, 226, 7, 227, 11, 4],
        json!({"kind": "session-mapping", "event": "created", "protocol": 17, "src_ip": "2001:db8::b4",
               "src_port": 1000, "x_ip": "198.51.100.1", "x_port": 2000, "dst_ip": "192.0.2.9", "dst_port": 53}),
    );
    check(
        265,
        &[234, 235, 8, 225, 361, 362],
        json!({"kind": "port-block-mapping", "event": "created", "src_ip": "10.1.0.1", "x_ip": "198.51.100.1",
               "start_port": 3000, "end_port": 3511, "vrf": "11"}),
    );
    check(
        266,
        &[234, 8, 361],
        json!({"kind": "port-block-mapping", "event": "deleted", "src_ip": "10.1.0.1", "start_port": 3000,
               "vrf": "11"}),
    );
    check(
        268,
        &[234, 8, 27, 7, 4],
        json!({"kind": "port-mapping", "event": "deleted", "protocol": 17, "src_ip": "10.1.0.1", "src_port": 1000,
               "subscriber": "2001:db8::b4", "vrf": "11"}),
    );
    check(
        272,
        &[234, 8, 12, 7, 11, 4],
        json!({"kind": "session-mapping", "event": "deleted", "protocol": 17, "src_ip": "10.1.0.1", "src_port": 1000,
               "dst_ip": "192.0.2.9", "dst_port": 53, "vrf": "11"}),
    );
    // The same fields under another id are not IOS-XR's, and the id with other fields is not either.
    for (id, fields) in [(300, &[234, 8, 7, 4][..]), (257, &[8, 234, 7, 4])] {
        let fields = widths(fields);
        let values: Vec<u128> = fields.iter().map(|&(field, _)| value(field)).collect();
        let seen = one_v9(Profile::IosXr, id, &fields, &values);
        assert!(
            seen.errors[0].1.starts_with("unknown_format"),
            "{:?}",
            seen.errors
        );
    }
}

#[test]
fn a_softwire_without_inner_address_is_the_inside() {
    let fields = [
        (234, 4),
        (235, 4),
        (8, 4),
        (27, 16),
        (225, 4),
        (7, 2),
        (227, 2),
        (4, 1),
    ];
    let values = |inner| [1, 1, inner, v6("2001:db8::b4"), v4("198.51.100.1"), 1000, 2000, 6];
    let with = one_v9(Profile::IosXr, 267, &fields, &values(v4("192.168.0.2")));
    assert_eq!(
        (&with.objects()[0]["src_ip"], &with.objects()[0]["subscriber"]),
        (&json!("192.168.0.2"), &json!("2001:db8::b4"))
    );
    let without = one_v9(Profile::IosXr, 267, &fields, &values(0));
    assert_eq!(
        (
            &without.objects()[0]["src_ip"],
            &without.objects()[0]["subscriber"]
        ),
        (&json!("2001:db8::b4"), &Value::Null)
    );
}

#[test]
fn asa_tells_by_firewall_event_and_only_what_was_translated() {
    let fields = [
        (148, 4),
        (8, 4),
        (7, 2),
        (12, 4),
        (11, 2),
        (4, 1),
        (225, 4),
        (226, 4),
        (227, 2),
        (228, 2),
        (233, 1),
        (33002, 2),
        (323, 8),
        (152, 8),
        (40000, 20),
    ];
    let old: Vec<(u16, u16)> = fields
        .iter()
        .map(|&(field, octets)| {
            let id = match field {
                225 => 40001,
                226 => 40002,
                227 => 40003,
                228 => 40004,
                233 => 40005,
                other => other,
            };
            (id, octets)
        })
        .collect();
    let record = |fields: &[(u16, u16)], event, mapped: u128, to: u128| {
        let mut octets = record(
            &fields[..14],
            &[
                9,
                v4("10.0.0.5"),
                4000,
                v4("192.0.2.9"),
                443,
                6,
                mapped,
                to,
                5000,
                443,
                event,
                0,
                TIME_MS,
                TIME_MS - 1500,
            ],
        );
        octets.extend(b"alice");
        octets.extend([0; 15]);
        octets
    };
    let remote = v4("192.0.2.9");
    for (fields, profile) in [
        (&fields[..], Profile::Auto),
        (&fields[..], Profile::Asa),
        (&old[..], Profile::Auto),
        (&old[..], Profile::Asa),
    ] {
        let decode = |event, mapped, to| {
            let sets = [
                set(0, &template(263, fields)),
                set(263, &record(fields, event, mapped, to)),
            ];
            seen::decode(profile, &[v9(0, &sets)])
        };
        for (event, word) in [(1, "created"), (2, "deleted"), (5, "updated")] {
            let mut expected = json!({"kind": "session-mapping", "event": word, "protocol": 6,
                "src_ip": "10.0.0.5", "src_port": 4000, "x_ip": "198.51.100.9", "x_port": 5000,
                "dst_ip": "192.0.2.9", "dst_port": 443, "subscriber": "alice"});
            if event != 1 {
                expected["mapping_start"] = json!(TIME_NS - 1_500_000_000);
            }
            expect(&decode(event, v4("198.51.100.9"), remote), expected);
        }
        assert_eq!(
            decode(3, v4("198.51.100.9"), remote).ignored,
            [(Ignored::NotAMapping, 1)]
        );
        assert!(
            decode(9, v4("198.51.100.9"), remote).errors[0]
                .1
                .starts_with("bad_nat_event")
        );
    }
    // Port forwarding: the translated destination is the inside.
    let sets = [
        set(0, &template(263, &fields[..14])),
        set(
            263,
            &build::record(
                &fields[..14],
                &[
                    9,
                    v4("192.0.2.9"),
                    4000,
                    v4("198.51.100.9"),
                    443,
                    6,
                    v4("192.0.2.9"),
                    v4("10.0.0.5"),
                    4000,
                    8443,
                    1,
                    0,
                    TIME_MS,
                    TIME_MS,
                ],
            ),
        ),
    ];
    expect(
        &seen::decode(Profile::Auto, &[v9(0, &sets)]),
        json!({"kind": "session-mapping", "event": "created", "protocol": 6, "src_ip": "10.0.0.5", "src_port": 8443,
               "x_ip": "198.51.100.9", "x_port": 443, "dst_ip": "192.0.2.9", "dst_port": 4000}),
    );
}

#[test]
fn nokia_formats_1_and_2() {
    let text = b"LSN@Host@10.10.10.101\0\0";
    let nokia = |id: u16, octets: u16| [0x8000 | id, octets, 0, 637];
    let decode = |time: u16, format2: bool, text: &[u8]| {
        let mut words = vec![256, if format2 { 11 } else { 9 }];
        let plain = [(8, 4), (12, 4), (7, 2), (11, 2), (time, 8), (4, 1), (210, 1)];
        words.extend(plain.iter().flat_map(|&(id, octets)| [id, octets]));
        if format2 {
            words.extend([225, 4, 227, 2]);
        }
        words.extend(nokia(91, 2));
        words.extend(nokia(93, 0xffff));
        let octets: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        let mut data = record(
            &plain,
            &[v4("198.51.100.1"), v4("192.0.2.9"), 1000, 443, TIME_MS, 6, 0],
        );
        if format2 {
            data.extend([203, 0, 113, 7, 0x10, 0x00]);
        }
        data.extend([0, 100, text.len() as u8]);
        data.extend(text);
        seen::decode(Profile::Auto, &[ipfix(0, &[set(2, &octets), set(256, &data)])])
    };
    let expected = json!({"kind": "session-mapping", "event": "created", "protocol": 6, "src_ip": "10.10.10.101",
        "src_port": 1000, "x_ip": "198.51.100.1", "dst_ip": "192.0.2.9", "dst_port": 443, "vrf": "100",
        "subscriber": "LSN@Host"});
    expect(&decode(152, false, text), expected.clone());
    let mut format2 = expected;
    (format2["event"], format2["x_ip"], format2["x_port"]) =
        (json!("deleted"), json!("203.0.113.7"), json!(4096));
    expect(&decode(153, true, text), format2);
    for (text, error) in [
        (&b"no address"[..], "bad_address"),
        (b"a@10.0.0", "bad_address"),
        (b"\xff@10.0.0.1", "not_utf8"),
        (b"", "missing_field"),
    ] {
        let seen = decode(152, false, text);
        assert!(seen.errors[0].1.starts_with(error), "{:?}", seen.errors);
    }
}

#[test]
fn huawei_tells_by_template_where_no_nat_event_is_sent() {
    let fields = [
        (323, 8),
        (234, 4),
        (8, 4),
        (225, 4),
        (4, 1),
        (7, 2),
        (227, 2),
        (12, 4),
        (226, 4),
        (11, 2),
        (228, 2),
    ];
    let values = [
        TIME_MS,
        0,
        v4("10.0.0.1"),
        v4("198.51.100.1"),
        17,
        1000,
        2000,
        v4("192.0.2.9"),
        v4("192.0.2.9"),
        53,
        53,
    ];
    for (id, word) in [(259, "created"), (260, "deleted")] {
        expect(
            &one_v9(Profile::Huawei, id, &fields, &values),
            json!({"kind": "session-mapping", "event": word, "protocol": 17, "src_ip": "10.0.0.1", "src_port": 1000,
                   "x_ip": "198.51.100.1", "x_port": 2000, "dst_ip": "192.0.2.9", "dst_port": 53, "vrf": "0"}),
        );
    }
    let seen = one_v9(Profile::Huawei, 261, &fields, &values);
    assert!(seen.errors[0].1.starts_with("missing_field"), "{:?}", seen.errors);
}

#[test]
fn ipt_netflow_in_v9_and_in_the_dummy_flows_of_v5() {
    let fields = [
        (323, 8),
        (8, 4),
        (12, 4),
        (225, 4),
        (226, 4),
        (7, 2),
        (11, 2),
        (227, 2),
        (228, 2),
        (4, 1),
        (230, 1),
    ];
    let values = [
        TIME_MS,
        v4("10.0.0.1"),
        v4("192.0.2.9"),
        v4("198.51.100.1"),
        v4("192.0.2.9"),
        1000,
        443,
        2000,
        443,
        6,
        1,
    ];
    let mut expected = json!({"kind": "session-mapping", "event": "created", "protocol": 6, "src_ip": "10.0.0.1",
        "src_port": 1000, "x_ip": "198.51.100.1", "x_port": 2000, "dst_ip": "192.0.2.9", "dst_port": 443});
    for profile in [Profile::Auto, Profile::IptNetflow] {
        expect(&one_v9(profile, 260, &fields, &values), expected.clone());
        expect(&one(profile, 260, &fields, &values), expected.clone());
    }

    let flow = |source: (&str, u16), destination: (&str, u16), hop: &str, flags: u8, numbers: [u16; 2]| {
        let mut record = Vec::new();
        for address in [source.0, destination.0, hop] {
            record.extend((v4(address) as u32).to_be_bytes());
        }
        record.extend([0; 12]);
        record.extend([(UPTIME_MS - 250).to_be_bytes(), (UPTIME_MS - 250).to_be_bytes()].concat());
        record.extend([source.1.to_be_bytes(), destination.1.to_be_bytes()].concat());
        record.extend([0, flags, 6, 0]);
        record.extend([numbers[0].to_be_bytes(), numbers[1].to_be_bytes()].concat());
        record.extend([0; 4]);
        record
    };
    let datagram = |records: &[Vec<u8>]| {
        let mut datagram = vec![0, 5, 0, records.len() as u8];
        for word in [UPTIME_MS, EXPORT_S, 500_000_000, 77, 0, 0] {
            datagram.extend(word.to_be_bytes());
        }
        datagram.truncate(24);
        datagram.extend(records.concat());
        datagram
    };
    let (inside, remote) = (("10.0.0.1", 1000), ("192.0.2.9", 443));
    let snat = flow(inside, remote, "198.51.100.1", 0x12, [2000, 0]);
    let dnat = flow(remote, inside, "198.51.100.1", 0x05, [0, 2000]);
    let traffic = {
        let mut flow = snat.clone();
        flow[19] = 1;
        flow
    };
    let seen = seen::decode(Profile::IptNetflow, &[datagram(&[snat, traffic, dnat])]);
    let time = i64::from(EXPORT_S) * NS + NS / 4;
    expected["timestamp"] = json!(time);
    expected["time_source"] = json!("device_event");
    for key in ["start_port", "end_port", "port_step", "vrf", "subscriber"] {
        expected[key] = Value::Null;
    }
    let mut deleted = expected.clone();
    deleted["event"] = json!("deleted");
    assert_eq!(seen.objects(), [expected, deleted]);
    assert_eq!((seen.summary.ignored, seen.errors.len()), (1, 0));

    let again = flow(inside, remote, "198.51.100.1", 0x12, [2000, 0]);
    let auto = seen::decode(Profile::Auto, &[datagram(&[again])]);
    assert_eq!((auto.events.len(), auto.summary.ignored), (0, 1));
}

#[test]
fn integers_may_be_shorter_or_wider_than_their_type() {
    let mut fields = VPP_SESSION;
    (fields[4].1, fields[5].1, fields[7].1) = (2, 4, 1);
    expect(
        &one(Profile::Auto, 256, &fields, &vpp_session(4)),
        json!({"kind": "session-mapping", "event": "created", "protocol": 17, "src_ip": "100.64.0.9",
               "src_port": 5000, "x_ip": "203.0.113.5", "x_port": 6000, "vrf": "0"}),
    );
    let mut values = vpp_session(4);
    values[5] = 65_536;
    let seen = one(Profile::Auto, 256, &fields, &values);
    assert!(seen.errors[0].1.starts_with("bad_port"), "{:?}", seen.errors);
    values[5] = 1;
    values[4] = 256;
    let seen = one(Profile::Auto, 256, &fields, &values);
    assert!(seen.errors[0].1.starts_with("bad_protocol"), "{:?}", seen.errors);
}

#[test]
fn what_is_no_translation_is_no_event() {
    for (index, value, error) in [
        (2, 0, "bad_address"),
        (3, 0, "bad_address"),
        (6, 0, "bad_port"),
        (0, u128::from(u64::MAX), "bad_time"),
        (1, 14, "bad_nat_event"),
        (1, 99, "bad_nat_event"),
    ] {
        let mut values = vpp_session(4);
        values[index] = value;
        let seen = one(Profile::Auto, 256, &VPP_SESSION, &values);
        assert_eq!(seen.events, []);
        assert!(seen.errors[0].1.starts_with(error), "{:?}", seen.errors);
    }
    let mut values = vpp_session(4);
    (values[3], values[6]) = (values[2], values[5]);
    let seen = one(Profile::Auto, 256, &VPP_SESSION, &values);
    assert_eq!(seen.ignored, [(Ignored::NotTranslated, 1)]);
    values[1] = 0;
    let seen = one(Profile::Auto, 256, &VPP_SESSION, &values);
    assert_eq!(seen.ignored, [(Ignored::NotAMapping, 1)]);
}

#[test]
fn a_vrf_name_in_the_record_counts_and_one_in_a_table_is_shown() {
    let fields = [VPP_SESSION.to_vec(), vec![(236, 8)]].concat();
    let with_name = |name: &[u8; 8]| {
        let mut octets = record(&VPP_SESSION, &vpp_session(4));
        octets.extend(name);
        let sets = [set(2, &template(256, &fields)), set(256, &octets)];
        seen::decode(Profile::Auto, &[ipfix(0, &sets)]).objects()[0]["vrf"].clone()
    };
    assert_eq!(with_name(b"red\0\0\0\0\0"), "red");
    assert_eq!(with_name(&[0; 8]), "0");

    let ids = [262_u16, 4, 8, 1, 4, 234, 4, 236, 8];
    let options: Vec<u8> = ids.iter().flat_map(|word| word.to_be_bytes()).collect();
    let names = [&[0, 0, 0, 1, 0, 0, 0, 11][..], b"blue\0\0\0\0"].concat();
    let sets = [set(1, &options), set(262, &names)];
    let seen = seen::decode(Profile::IosXr, &[v9(0, &sets)]);
    assert_eq!(seen.vrf_names, [(11, "blue".to_owned())]);
}
