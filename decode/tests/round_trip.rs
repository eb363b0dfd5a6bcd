//! Events written as each vendor's devices write them decode to themselves, under auto as well.

mod written;

use std::net::IpAddr;

use decode::{Outcome, Profile};
use event::{Action, Kind};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use written::Mapping;

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        2 => ipv4(),
        1 => (1_u128..=u128::MAX, 0_u32..64).prop_map(|(bits, ones)| IpAddr::from((bits >> ones | 1 << 63).to_be_bytes())),
    ]
}

fn ipv4() -> impl Strategy<Value = IpAddr> {
    (1..=u32::MAX).prop_map(|bits| IpAddr::from(bits.to_be_bytes()))
}

/// Any mapping that a device can have, whose outside is IPv4. Inside and outside differ in the port.
fn mappings() -> impl Strategy<Value = Mapping> {
    let ends = (ip(), ipv4(), prop_oneof![3 => ipv4(), 1 => ip()]);
    let ports = (any::<u16>(), 1..u16::MAX, any::<u16>(), any::<u16>());
    let kind = select(&Kind::ALL[..]);
    let action = select(&[Action::Created, Action::Deleted, Action::Updated][..]);
    let protocol = prop_oneof![3 => Just(6_u8), 2 => Just(17), 1 => any::<u8>()];
    let vrf = prop_oneof![
        any::<u16>().prop_map(|number| number.to_string()),
        "[a-zA-Z0-9]{1,12}"
    ];
    let said = (
        vrf,
        "[a-zA-Z0-9]{1,12}",
        0x1000_0000_i64..0xffff_ffff,
        1_i64..1_000_000,
    );
    (ends, ports, kind, action, protocol, said).prop_map(
        |((src_ip, x_ip, dst_ip), (port, step, dst_port, other), kind, action, protocol, said)| {
            let (vrf, subscriber, time_s, duration_s) = said;
            let has_ports = matches!(kind, Kind::Session | Kind::Port);
            let is_block = kind == Kind::Block;
            let x_port = port.wrapping_add(step);
            Mapping {
                kind,
                action,
                protocol: Some(protocol),
                src_ip,
                src_port: has_ports.then_some(port),
                x_ip: Some(x_ip),
                x_port: has_ports.then_some(x_port),
                dst_ip: (kind == Kind::Session).then_some(dst_ip),
                dst_port: (kind == Kind::Session).then_some(dst_port),
                start_port: is_block.then_some(port.min(other)),
                end_port: is_block.then_some(port.max(other)),
                port_step: None,
                vrf: Some(vrf),
                subscriber: Some(subscriber),
                time_ns: Some(time_s * 1_000_000_000),
                mapping_start_ns: (action != Action::Created)
                    .then_some((time_s - duration_s) * 1_000_000_000),
            }
        },
    )
}

/// Writes a mapping for a device of the profile and reads it again; whether there is such a message.
fn comes_back(profile: Profile, mapping: &Mapping) -> bool {
    let mut expected = mapping.clone();
    let Some(line) = expected.write(profile) else {
        return false;
    };
    for profile in [profile, Profile::Auto] {
        let outcome = decode::syslog::decode(profile, line.as_bytes(), |event| {
            assert!(
                expected.is_said_by(event),
                "{line} as {profile}: {event:?}, not {expected:?}"
            );
        });
        assert_eq!(outcome, Ok(Outcome::Events(1)), "{line} as {profile}");
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn written_events_come_back(mapping in mappings()) {
        for profile in Profile::ALL {
            comes_back(profile, &mapping);
        }
    }
}

/// A writer that has no message for anything would pass unseen: each has one for what its format is listed with.
#[test]
fn every_vendor_writes_what_it_is_listed_with() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mappings: Vec<_> = (0..2000)
        .map(|_| mappings().new_tree(&mut runner).unwrap().current())
        .collect();
    for format in &decode::profile::FORMATS {
        for &kind in format.kinds {
            // Of these the writers know the more usual kinds.
            let is_left_out = matches!(
                (format.profile, kind),
                (Profile::F5BigIp, Kind::Block) | (Profile::CiscoIosXr, Kind::Port)
            );
            let is_written = mappings
                .iter()
                .any(|mapping| mapping.kind == kind && comes_back(format.profile, mapping));
            assert_ne!(is_written, is_left_out, "{} {kind:?}", format.name);
        }
    }
}
