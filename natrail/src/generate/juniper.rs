//! Junos structured data (RFC 5424) as SRX and MX-SPC3 write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use event::{Action, Event, Kind, TimeSource};

use super::cgn::{BLOCKS_PER_SUBSCRIBER_MAX, Detail, Traits};
use super::pool::{ICMP, OutsidePool, TCP};
use super::render::{self, Clockface};

/// A CGN that logs the way Junos does.
pub const TRAITS: Traits = Traits {
    outside: OutsidePool::SECOND,
    block_ports: 256,
    vrf: false,
    usernames: true,
    interim: true,
    port_mappings: false,
    address_mappings: false,
};

const NS_PER_S: i64 = 1_000_000_000;

/// Gives the event the time that the line will tell: a block's allocation and release are told by their epoch, in
/// whole seconds; everything else by the header.
pub fn stamp(event: &mut Event<'_>, now_ns: i64, detail: &Detail) {
    let by_epoch = event.kind == Kind::Block && event.action != Action::Updated;
    event.time_source = if by_epoch {
        TimeSource::DeviceEvent
    } else {
        TimeSource::DeviceHeader
    };
    event.time_ns = Some(if by_epoch {
        now_ns / NS_PER_S * NS_PER_S
    } else {
        now_ns
    });
    event.mapping_start_ns = match (event.kind, event.action) {
        (Kind::Block, Action::Updated) => Some(detail.began_ns / NS_PER_S * NS_PER_S),
        (Kind::Session, Action::Deleted) => {
            let elapsed_s = elapsed_s(now_ns, detail);
            (elapsed_s > 0).then_some(now_ns - elapsed_s * NS_PER_S)
        }
        _ => None,
    };
}

/// How long a session was open, in whole seconds.
fn elapsed_s(now_ns: i64, detail: &Detail) -> i64 {
    (now_ns - detail.began_ns).max(0) / NS_PER_S
}

/// Appends the line of a stamped event that happened at `now_ns`.
pub fn line(
    out: &mut Vec<u8>,
    clock: &mut Clockface,
    host: &str,
    now_ns: i64,
    event: &Event<'_>,
    detail: &Detail,
) {
    out.extend_from_slice(b"<14>1 ");
    clock.push(out, now_ns);
    out.push(b' ');
    out.extend_from_slice(host.as_bytes());
    if event.kind == Kind::Block {
        block(out, now_ns, event, detail);
    } else {
        session(out, now_ns, event, detail);
    }
}

fn block(out: &mut Vec<u8>, now_ns: i64, event: &Event<'_>, detail: &Detail) {
    let (tag, epoch_ns) = match event.action {
        Action::Created => ("ALLOC", now_ns),
        Action::Updated => ("INTERIM", detail.began_ns),
        Action::Deleted => ("RELEASE", now_ns),
    };
    out.extend_from_slice(b" RT_NAT - RT_SRC_NAT_PBA_");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b" [junos@2636.1.1.1.2.129");
    ip(out, " internal-ip=\"", event.src_ip);
    number(out, " block-used=\"", detail.blocks_used.into());
    number(out, " block-max-per-host=\"", BLOCKS_PER_SUBSCRIBER_MAX.into());
    number(
        out,
        " block-port-low=\"",
        event.start_port.unwrap_or_default().into(),
    );
    number(
        out,
        " block-port-high=\"",
        event.end_port.unwrap_or_default().into(),
    );
    ip(out, " reflexive-ip=\"", event.x_ip.unwrap_or(event.src_ip));
    out.extend_from_slice(b" nat-pool-name=\"cgn-pool-a\" logical-system-id=\"0\" epoch-time-64=\"");
    let epoch = epoch_ns / NS_PER_S;
    // Hexadecimal, eight digits until 2106.
    out.extend(
        (0..8)
            .rev()
            .map(|digit| b"0123456789abcdef"[(epoch >> (digit * 4) & 15) as usize]),
    );
    out.extend_from_slice(b"\"]");
}

fn session(out: &mut Vec<u8>, now_ns: i64, event: &Event<'_>, detail: &Detail) {
    let closes = event.action == Action::Deleted;
    let protocol = event.protocol.unwrap_or_default();
    let (src_port, dst_port) = (
        event.src_port.unwrap_or_default(),
        event.dst_port.unwrap_or_default(),
    );
    let x_ip = event.x_ip.unwrap_or(event.src_ip);
    let outside_dst = event.dst_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    // NAT64: the subscriber addresses the server through the well-known prefix (RFC 6052).
    let inside_dst = match (event.src_ip, outside_dst) {
        (IpAddr::V6(_), IpAddr::V4(v4)) => {
            IpAddr::V6(Ipv6Addr::from(0x0064_ff9b_u128 << 96 | u128::from(u32::from(v4))))
        }
        _ => outside_dst,
    };
    let tag = if closes { "CLOSE [" } else { "CREATE [" };
    out.extend_from_slice(b" RT_FLOW - RT_FLOW_SESSION_");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"junos@2636.1.1.1.2.129");
    if closes {
        let reason = if protocol == TCP {
            "TCP FIN"
        } else {
            "idle Timeout"
        };
        text(out, " reason=\"", reason.as_bytes());
    }
    ip(out, " source-address=\"", event.src_ip);
    number(out, " source-port=\"", src_port.into());
    ip(out, " destination-address=\"", inside_dst);
    number(out, " destination-port=\"", dst_port.into());
    out.extend_from_slice(b" connection-tag=\"0\"");
    text(
        out,
        " service-name=\"",
        if protocol == ICMP {
            b"icmp"
        } else {
            detail.service.as_bytes()
        },
    );
    ip(out, " nat-source-address=\"", x_ip);
    number(
        out,
        " nat-source-port=\"",
        event.x_port.unwrap_or_default().into(),
    );
    ip(out, " nat-destination-address=\"", outside_dst);
    number(out, " nat-destination-port=\"", dst_port.into());
    out.extend_from_slice(
        b" nat-connection-tag=\"0\" src-nat-rule-type=\"source rule\" src-nat-rule-name=\"cgn-out\" \
        dst-nat-rule-type=\"N/A\" dst-nat-rule-name=\"N/A\"",
    );
    number(out, " protocol-id=\"", protocol.into());
    out.extend_from_slice(
        b" policy-name=\"permit-all\" source-zone-name=\"trust\" destination-zone-name=\"untrust\"",
    );
    number(out, " session-id=\"", detail.session.into());
    if closes {
        // Counters of a size that goes with how long the session was open.
        let seconds = elapsed_s(now_ns, detail) as u64;
        let packets = 4 + seconds * 7 + u64::from(src_port % 97);
        number(out, " packets-from-client=\"", packets);
        number(out, " bytes-from-client=\"", packets * 78);
        number(out, " packets-from-server=\"", packets + 3);
        number(out, " bytes-from-server=\"", packets * 811);
        number(out, " elapsed-time=\"", seconds);
    }
    out.extend_from_slice(b" username=\"");
    match event.subscriber {
        Some(name) => name.push_to(out),
        None => out.extend_from_slice(b"N/A"),
    }
    out.extend_from_slice(
        b"\" roles=\"N/A\" packet-incoming-interface=\"ae0.100\" application=\"UNKNOWN\" \
        nested-application=\"UNKNOWN\" encrypted=\"UNKNOWN\" application-category=\"N/A\" \
        application-sub-category=\"N/A\" application-risk=\"-1\"]",
    );
}

fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    out.extend_from_slice(key.as_bytes());
    render::number(out, value);
    out.push(b'"');
}

fn ip(out: &mut Vec<u8>, key: &str, value: IpAddr) {
    out.extend_from_slice(key.as_bytes());
    render::address(out, value);
    out.push(b'"');
}
