//! Random mappings, written as each device would write them, decode to themselves, under auto as well.

mod common;

use std::net::IpAddr;

use decode::{Outcome, Profile};
use proptest::prelude::*;
use serde_json::{Value, json};

type End = (IpAddr, u16);

#[derive(Clone, Debug)]
struct Mapping {
    created: bool,
    protocol: u8,
    inside: End,
    outside: End,
    remote: End,
    /// First and last port of a block.
    block: (u16, u16),
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let v4 = || (1..=u32::MAX).prop_map(|bits| IpAddr::from(bits.to_be_bytes()));
    let inside = prop_oneof![
        2 => v4(),
        1 => (1_u128 << 64..=u128::MAX).prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ];
    let port = || 1_u16..;
    let protocol = prop_oneof![Just(6_u8), Just(17), Just(1), any::<u8>()];
    let ends = ((inside, port()), (v4(), port()), (v4(), port()));
    let distinct = |(inside, outside, remote): &(End, End, End)| inside != outside && outside != remote;
    (
        any::<bool>(),
        protocol,
        ends.prop_filter("distinct", distinct),
        port(),
        port(),
    )
        .prop_map(
            |(created, protocol, (inside, outside, remote), one, other)| Mapping {
                created,
                protocol,
                inside,
                outside,
                remote,
                block: (one.min(other), one.max(other)),
            },
        )
}

impl Mapping {
    fn event(&self, kind: &str) -> Value {
        json!({
            "kind": kind, "event": if self.created { "created" } else { "deleted" }, "protocol": self.protocol,
            "src_ip": self.inside.0.to_string(), "src_port": null, "x_ip": self.outside.0.to_string(), "x_port": null,
            "dst_ip": null, "dst_port": null, "start_port": null, "end_port": null, "port_step": null, "vrf": null,
            "subscriber": null, "timestamp": null, "time_source": "receive", "mapping_start": null,
        })
    }

    fn port(&self) -> Value {
        let mut event = self.event("port-mapping");
        event["src_port"] = self.inside.1.into();
        event["x_port"] = self.outside.1.into();
        event
    }

    fn session(&self) -> Value {
        let mut event = self.port();
        event["kind"] = "session-mapping".into();
        event["dst_ip"] = self.remote.0.to_string().into();
        event["dst_port"] = self.remote.1.into();
        event
    }

    fn port_block(&self) -> Value {
        let mut event = self.event("port-block-mapping");
        event["start_port"] = self.block.0.into();
        event["end_port"] = self.block.1.into();
        event
    }

    fn word(&self, created: &'static str, deleted: &'static str) -> &'static str {
        if self.created { created } else { deleted }
    }
}

/// `ip:port`, IPv6 in brackets.
fn bracketed((ip, port): End) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

/// `ip:port`, IPv6 without brackets and in full, as Junos service cards write it.
fn in_full((ip, port): End) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!(
            "{}:{port}",
            ip.segments().map(|group| format!("{group:x}")).join(":")
        ),
    }
}

fn check(profile: Profile, line: &str, expected: &Value) {
    for profile in [profile, Profile::Auto] {
        let (outcome, events) = common::decode(profile, line.as_bytes());
        assert_eq!(outcome, Ok(Outcome::Events(1)), "{line} as {profile}");
        assert_eq!(&events[0], expected, "{line} as {profile}");
    }
}

/// Expected events with some keys set.
fn with(mut event: Value, keys: &[(&str, Value)]) -> Value {
    for (key, value) in keys {
        event[*key] = value.clone();
    }
    event
}

proptest! {
    #[test]
    fn f5_lines(mapping in mapping(), domain in 0_u16..) {
        let (inside, outside, remote) = (mapping.inside, mapping.outside, mapping.remote);
        let name = mapping.word("LSN_ADD", "LSN_INBOUND_DELETE");
        let line = format!(
            "{name} {}%{domain}:{} {} {}%1:{} {} {}",
            inside.0, inside.1, mapping.protocol, outside.0, outside.1, remote.0, remote.1,
        );
        check(Profile::F5BigIp, &line, &with(mapping.session(), &[("vrf", domain.to_string().into())]));
    }

    #[test]
    fn f5_records(mapping in mapping(), start_ms in 1_i64..4_000_000_000_000, duration_ms in 1_i64..1_000_000_000) {
        let pairs = [
            ("lsn_event", mapping.word("LSN_ADD", "LSN_DELETE").to_owned()),
            ("start", start_ms.to_string()),
            ("cli", bracketed(mapping.inside)),
            ("nat", bracketed(mapping.outside)),
            ("duration", duration_ms.to_string()),
            ("ip_protocol", mapping.protocol.to_string()),
        ];
        let start_ns = start_ms * 1_000_000;
        let times = if mapping.created {
            [("timestamp", start_ns.into()), ("mapping_start", Value::Null)]
        } else {
            [("timestamp", (start_ns + duration_ms * 1_000_000).into()), ("mapping_start", start_ns.into())]
        };
        let expected = with(with(mapping.port(), &times), &[("time_source", "device_event".into())]);
        let quoted = pairs.clone().map(|(key, value)| format!("{key}=\"{value}\"")).join(",");
        check(Profile::F5BigIp, &quoted, &expected);
        let members = pairs.map(|(key, value)| format!("\"{key}\":\"{value}\"")).join(",");
        check(Profile::F5BigIp, &format!("{{{members}}}"), &expected);
    }

    #[test]
    fn a10_ascii(mapping in mapping(), swapped: bool) {
        let [inside, outside, remote] = [mapping.inside, mapping.outside, mapping.remote].map(bracketed);
        let head = format!("NAT-{}-{}:", mapping.protocol, mapping.word("C", "F"));
        let port = format!("{head} {inside}<-->{outside} to {remote}");
        let named = [("dst_ip", mapping.remote.0.to_string().into()), ("dst_port", mapping.remote.1.into())];
        check(Profile::A10, &port, &with(mapping.port(), &named));
        let (one, other) = if swapped { (&remote, &outside) } else { (&outside, &remote) };
        let session = format!("{head} {inside}<->{remote},{one}<-->{other}");
        check(Profile::A10, &session, &mapping.session());
        let name = mapping.word("Allocated", "Freed");
        let (x_ip, (start, end)) = (mapping.outside.0, mapping.block);
        let batch = format!("PortBatchV2{name}: [{} {x_ip} {start} {end}]", mapping.inside.0);
        check(Profile::A10, &batch, &with(mapping.port_block(), &[("protocol", Value::Null)]));
    }

    #[test]
    fn a10_cef(mapping in mapping(), message in "([a-z]{1,5} |[a-z]\\\\= ){0,4}[a-z]") {
        let Mapping { inside, outside, remote, block, .. } = mapping;
        let head = |class: u8| format!("CEF:0|A10|CFW|6|CGN {}|a \\| b|5|msg={message} proto={}", class + u8::from(!mapping.created), mapping.protocol);
        let ends = format!(
            "src={} spt={} sourceTranslatedAddress={} sourceTranslatedPort={}",
            inside.0, inside.1, outside.0, outside.1,
        );
        check(Profile::A10, &format!("{} {ends}", head(100)), &mapping.port());
        let session = format!("{} {ends} dst={} dpt={}", head(102), remote.0, remote.1);
        check(Profile::A10, &session, &mapping.session());
        let batch = format!(
            "{} src={} sourceTranslatedAddress={} sourceTranslatedPort={} cn3={} cn3Label=Last Nat Port",
            head(106), inside.0, outside.0, block.0, block.1,
        );
        check(Profile::A10, &batch, &mapping.port_block());
    }

    #[test]
    fn sixwind(mapping in mapping(), pool in "[ -!#-\\[\\]-~]{0,12}") {
        let [inside, outside, remote] = [mapping.inside, mapping.outside, mapping.remote].map(bracketed);
        let (name, protocol) = (mapping.word("NEW", "DESTROY"), mapping.protocol);
        let connection = format!(
            "fp-cgnat[1]: {name} CONN: fwd proto {protocol} {inside} -> {remote}, back proto {protocol} {remote} --> {outside}"
        );
        check(Profile::SixWind, &connection, &mapping.session());
        let block = format!(
            "fp-cgnat-logd@v[1]: USER {} (matching rule 2): {name} BLOCK (pool \"{pool}\", ip public {}, proto {protocol}, port {} - {})",
            mapping.inside.0, mapping.outside.0, mapping.block.0, mapping.block.1,
        );
        check(Profile::SixWind, &block, &with(mapping.port_block(), &[("vrf", "v".into())]));
    }

    #[test]
    fn fortinet(mapping in mapping(), time_s in 1_000_000_000_i64..9_000_000_000, duration_s in 1_i64..1_000_000) {
        let Mapping { inside, outside, remote, protocol, block, .. } = mapping;
        let act = mapping.word("start", "end");
        let hardware = format!(
            "date=2022-10-06 time=02:29:32 vd=v pid=1 type=sess act={act} proto={protocol} sip={} dip={} sport={} dport={} nsip={} ndip={} nsport={} ndport={} dur=0",
            inside.0, remote.0, inside.1, remote.1, outside.0, remote.0, outside.1, remote.1,
        );
        let vrf = [("vrf", "v".into())];
        check(Profile::Fortinet, &hardware, &with(mapping.session(), &vrf));
        let time = [("timestamp", (time_s * 1_000_000_000).into()), ("time_source", "device_event".into())];
        let port_block = format!(
            "date=2026-02-03 eventtime={time_s} logid=\"01000{}\" type=\"event\" vd=\"v\" saddr={} nat={} portbegin={} portend=\"{}\"",
            mapping.word("22015", "22016"), inside.0, outside.0, block.0, block.1,
        );
        let expected = with(with(mapping.port_block(), &vrf), &time);
        check(Profile::Fortinet, &port_block, &with(expected, &[("protocol", Value::Null)]));
        let traffic = format!(
            "logid=0000000013 type=traffic eventtime={time_s}000000000 vd=v srcip={} srcport={} dstip={} dstport={} proto={protocol} trandisp=snat transip={} transport={} duration={duration_s}",
            inside.0, inside.1, remote.0, remote.1, outside.0, outside.1,
        );
        let begin = ((time_s - duration_s) * 1_000_000_000).into();
        let deleted = [("event", "deleted".into()), ("mapping_start", begin)];
        check(Profile::Fortinet, &traffic, &with(with(with(mapping.session(), &vrf), &time), &deleted));
    }

    #[test]
    fn palo_alto(mapping in mapping(), rule in "([a-z ,]|\"\"){0,12}") {
        let Mapping { inside, outside, remote, .. } = mapping;
        let line = format!(
            "1,2026/03/04 05:06:07,001,TRAFFIC,{},1,2026/03/04 05:06:07,{},{},{},{},\"{rule}\",u,,app,v,a,b,c,d,f,2026/03/04 05:06:07,77,1,{},{},{},{},0x400000,{},allow,1,1,0,1",
            mapping.word("start", "end"), inside.0, remote.0, outside.0, remote.0,
            inside.1, remote.1, outside.1, remote.1, mapping.protocol,
        );
        let named = [("vrf", "v".into()), ("subscriber", "u".into())];
        check(Profile::PaloAlto, &line, &with(mapping.session(), &named));
    }

    #[test]
    fn juniper_ms(mapping in mapping(), epoch_s in 0x1000_0000_i64..0x2_0000_0000) {
        let [inside, outside, remote] = [mapping.inside, mapping.outside, mapping.remote].map(in_full);
        let session = format!(
            "{{ss}}JSERVICES_SESSION_{}: application:none, xe-2/0/0.1 {inside} [{outside}] -> {remote} ({})",
            mapping.word("OPEN", "CLOSE"), mapping.protocol,
        );
        check(Profile::JuniperMs, &session, &mapping.session());
        let block = format!(
            "h{{ss}}[x]:ASP_NAT_PORT_BLOCK_{}: {} -> {}:{}-{} 0x{epoch_s:08x}",
            mapping.word("ALLOC", "RELEASE"), mapping.inside.0, mapping.outside.0, mapping.block.0, mapping.block.1,
        );
        let expected = [
            ("protocol", Value::Null),
            ("timestamp", (epoch_s * 1_000_000_000).into()),
            ("time_source", "device_event".into()),
        ];
        check(Profile::JuniperMs, &block, &with(mapping.port_block(), &expected));
    }
}
