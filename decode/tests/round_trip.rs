//! Events written as each vendor writes them decode to themselves.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::{brief, decode};
use decode::{Outcome, Profile};
use proptest::prelude::*;

/// A session: ends inside, outside and remote, and the protocol.
#[derive(Clone, Debug)]
struct Session {
    inside: (IpAddr, u16),
    outside: (IpAddr, u16),
    remote: (IpAddr, u16),
    protocol: u8,
}

impl Session {
    /// As [`brief`] writes it, from the kind to the remote end.
    fn brief(&self, kind: &str, action: &str) -> String {
        let Self {
            inside,
            outside,
            remote,
            protocol,
        } = self;
        let mapping = format!(
            "{kind} {action} {protocol} {} {} = {} {}",
            inside.0, inside.1, outside.0, outside.1
        );
        if kind == "session" {
            format!("{mapping} > {} {}", remote.0, remote.1)
        } else {
            mapping
        }
    }
}

fn v4() -> impl Strategy<Value = IpAddr> {
    (1..u32::MAX).prop_map(|bits| Ipv4Addr::from_bits(bits).into())
}

fn v6() -> impl Strategy<Value = IpAddr> {
    (1..u128::MAX, 0_u32..100)
        .prop_map(|(bits, ones)| Ipv6Addr::from_bits((bits >> ones).max(1 << 64)).into())
}

/// Sessions, inside of the family that `ip` yields. Inside and outside differ in the port.
fn sessions(ip: impl Strategy<Value = IpAddr>) -> impl Strategy<Value = Session> {
    let ports = (any::<u16>(), any::<u16>(), 1..u16::MAX);
    let protocol = prop_oneof![Just(6), Just(17)];
    (ip, v4(), v4(), ports, protocol).prop_map(|(inside, outside, remote, (a, b, step), protocol)| Session {
        inside: (inside, a),
        outside: (outside, a.wrapping_add(step)),
        remote: (remote, b),
        protocol,
    })
}

/// Asserts that a line is one event, under its own profile and under `auto`, that begins so.
fn assert_is(profile: Profile, line: &str, expected: &str) {
    for profile in [profile, Profile::Auto] {
        let (outcome, events) = decode(profile, line.as_bytes());
        assert_eq!(outcome, Ok(Outcome::Events(1)), "{profile}: {line}");
        let event = brief(&events[0]);
        let rest = event
            .strip_prefix(expected)
            .unwrap_or_else(|| panic!("{event}, not {expected}: {line}"));
        assert!(
            rest.is_empty() || rest.starts_with(' '),
            "{event}, not {expected}: {line}"
        );
    }
}

fn name(protocol: u8) -> &'static str {
    if protocol == 6 { "TCP" } else { "UDP" }
}

/// `ip:port`, IPv6 in brackets.
fn end((ip, port): (IpAddr, u16)) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

proptest! {
    #[test]
    fn sessions_over_ipv4(session in sessions(v4()), remote_local in v4(), vrf in 0_u32..100_000) {
        let Session { inside, outside, remote, protocol } = session.clone();
        let (i, o, r) = (end(inside), end(outside), end(remote));
        let proto = name(protocol);
        let created = session.brief("session", "created");
        let deleted = session.brief("session", "deleted");
        assert_is(
            Profile::CiscoIosXe,
            &format!("<190>1: r: %NAT-6-LOG_TRANSLATION: Created Translation {proto} {i} {o} {remote_local}:1 {r} {vrf}"),
            &format!("{created} vrf {vrf}"),
        );
        assert_is(
            Profile::H3c,
            &format!(
                "%@250005%Jul 7 04:20:04:72 2005 DeviceA USERLOG/7/NAT: {proto}; {i}--->{o}; {r}; \
                 [2005/07/07 04:20:03-2005/07/07 04:20:09]; Operator 1: Normal over"
            ),
            &deleted,
        );
        assert_is(
            Profile::Mikrotik,
            &format!("forward: in:b out:e, connection-state:new,snat proto {proto}, {i}->{r}, NAT ({i}->{o})->{r}, len 60"),
            &created,
        );
        assert_is(
            Profile::Ulogd,
            &format!(
                "Oct 16 14:15:54 gw1 [DESTROY] ORIG: SRC={} DST={} PROTO={proto} SPT={} DPT={} PKTS=0 BYTES=0 , \
                 REPLY: SRC={} DST={} PROTO={proto} SPT={} DPT={} PKTS=0 BYTES=0 ",
                inside.0, remote.0, inside.1, remote.1, remote.0, outside.0, remote.1, outside.1
            ),
            &deleted,
        );
        assert_is(
            Profile::Conntrack,
            &format!(
                "[1767323045.123456]\t    [NEW] {:<8} {protocol} 120 src={} dst={} sport={} dport={} [UNREPLIED] \
                 src={} dst={} sport={} dport={} id=1",
                proto.to_lowercase(), inside.0, remote.0, inside.1, remote.1, remote.0, outside.0, remote.1, outside.1
            ),
            &format!("{created} at 1767323045123456000"),
        );
        assert_is(
            Profile::Danos,
            &format!(
                "CGNAT: SESSION_CREATE ifname=- session-id=6.1 proto={protocol} dir=in addr={}->{} port={}->{} cgn-addr={} \
                 cgn-port={} state=EST[3] start-time=1767323045000007",
                inside.0, remote.0, inside.1, remote.1, outside.0, outside.1
            ),
            &format!("{created} at 1767323045000007000"),
        );
        assert_is(
            Profile::CiscoIosXr,
            &format!(
                "<134> 1 2011 May 31 10:30:45 h - - NAT44 - [SessionbasedWD {protocol} {} v{vrf} - {} {} {} - {} {} ]",
                inside.0, outside.0, inside.1, outside.1, remote.0, remote.1
            ),
            &format!("{deleted} vrf v{vrf}"),
        );
    }

    #[test]
    fn sessions_and_mappings_over_either_family(session in prop_oneof![sessions(v4()), sessions(v6())]) {
        let Session { inside, outside, remote, protocol } = session.clone();
        let family = if inside.0.is_ipv4() { "IPv4" } else { "IPv6" };
        let parameters = format!(
            r#"IATYP="{family}" ISADDR="{}" ISPORT="{}" XATYP="IPv4" XSADDR="{}" XSPORT="{}" PROTO="{protocol}""#,
            inside.0, inside.1, outside.0, outside.1
        );
        assert_is(
            Profile::Vpp,
            &format!(
                r#"<134>1 2026-01-02T03:04:05Z h NAT 1 SDEL [nsess {parameters} XDADDR="{}" XDPORT="{}"]"#,
                remote.0, remote.1
            ),
            &session.brief("session", "deleted"),
        );
        assert_is(
            Profile::Vpp,
            &format!("<134>1 2026-01-02T03:04:05Z h NAT 1 APMADD [napmap {parameters}]"),
            &session.brief("port", "created"),
        );
        let (tag, places) = if inside.0.is_ipv4() {
            ("NAT444", format!("{} -", inside.0))
        } else {
            ("NAT64", format!("- {}", inside.0))
        };
        assert_is(
            Profile::Huawei,
            &format!(
                "<134>1 2020 Jan 17 11:05:55 h x - {tag}:SessionbasedW [{protocol} {places} {} {} {} -]",
                outside.0, inside.1, outside.1
            ),
            &session.brief("port", "deleted"),
        );
        let (i, o) = (format!("{}#{}", inside.0, inside.1), format!("{}#{}", outside.0, outside.1));
        let proto = name(protocol);
        assert_is(
            Profile::Jool,
            &format!("[    1.5] Jool: a 2026/1/8 16:13:2 (GMT) - Mapped {i} to {o} ({proto})"),
            &session.brief("port", "created"),
        );
        assert_is(
            Profile::Jool,
            &format!("a 2026/1/8 16:13:2 (GMT) - Forgot session {i}|64:ff9b::1#7|{o}|{}#{}|{proto}", remote.0, remote.1),
            &session.brief("session", "deleted"),
        );
    }

    #[test]
    fn blocks(inside in v4(), softwire in v6(), outside in v4(), ports in (any::<u16>(), any::<u16>())) {
        let (first, last) = (ports.0.min(ports.1), ports.0.max(ports.1));
        let brief = |action: &str, inside: IpAddr| format!("port-block {action} * {inside} = {outside} {first} - {last}");
        assert_is(
            Profile::CiscoIosXr,
            &format!("<134> 1 2011 May 31 10:30:45 h - - NAT44 - [UserbasedA - {inside} - - {outside} - {first} {last} - - ]"),
            &brief("created", inside),
        );
        assert_is(
            Profile::CiscoIosXr,
            &format!("<134> 1 2011 May 31 10:30:45 h - - DSLITE - [UserbasedW - - - {softwire} {outside} - {first} {last} - - ]"),
            &brief("deleted", softwire),
        );
        assert_is(
            Profile::Danos,
            &format!(
                "CGNAT: PB_RELEASED subs-addr={inside} policy=P pub-addr={outside} pool=Q port={first}-{last} \
                 start-time=1767323045000000 end-time=1767323106000123"
            ),
            &brief("deleted", inside),
        );
        assert_is(
            Profile::Vyos,
            &format!("r9 cgnat[9059]: Internal host: {inside}, external host: {outside}, Port range: {first}-{last}"),
            &brief("created", inside),
        );
    }
}
