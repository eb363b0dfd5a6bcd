//! NFWare vCGNAT lines in RFC 5424 framing, facility LOCAL0.

use std::net::IpAddr;

use event::{Action, Event, TimeSource};

use super::cgn::Traits;
use super::pool::OutsidePool;
use super::render::{self, Clockface};

/// A CGN that logs the way NFWare does.
pub const TRAITS: Traits = Traits {
    outside: OutsidePool::FIRST,
    block_ports: 512,
    vrf: true,
    usernames: false,
    interim: false,
    port_mappings: true,
    address_mappings: true,
};

/// Gives the event the time that the line will tell.
pub fn stamp(event: &mut Event<'_>, now_ns: i64) {
    event.time_ns = Some(now_ns);
    event.time_source = TimeSource::DeviceHeader;
}

/// Appends the line of a stamped event.
pub fn line(out: &mut Vec<u8>, clock: &mut Clockface, host: &str, event: &Event<'_>) {
    out.extend_from_slice(b"<134>1 ");
    clock.push(out, event.time_ns.unwrap_or_default());
    out.push(b' ');
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b" nfware - - - ");
    out.push(if event.action == Action::Deleted {
        b'D'
    } else {
        b'A'
    });
    out.extend_from_slice(b" VRF ");
    event.vrf.inspect(|vrf| vrf.push_to(out));
    if let Some(protocol) = event.protocol {
        out.push(b' ');
        render::number(out, protocol.into());
    }
    out.extend_from_slice(b" INT ");
    end(out, event.src_ip, event.src_port);
    if let Some(x_ip) = event.x_ip {
        out.extend_from_slice(b" EXT ");
        end(out, x_ip, event.x_port);
    }
    if let (Some(start), Some(last)) = (event.start_port, event.end_port) {
        out.push(b':');
        render::number(out, start.into());
        out.push(b'-');
        render::number(out, last.into());
    }
    if let Some(dst_ip) = event.dst_ip {
        out.extend_from_slice(b" DST ");
        end(out, dst_ip, event.dst_port);
        out.extend_from_slice(b" DIR OUT");
    }
}

fn end(out: &mut Vec<u8>, ip: IpAddr, port: Option<u16>) {
    // The last colon of an IPv6 address must not be taken for the one before the port.
    let brackets = ip.is_ipv6() && port.is_some();
    if brackets {
        out.push(b'[');
    }
    render::address(out, ip);
    if brackets {
        out.push(b']');
    }
    if let Some(port) = port {
        out.push(b':');
        render::number(out, port.into());
    }
}
