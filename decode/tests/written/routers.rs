//! Routers of Juniper, Cisco, Huawei, H3C and MikroTik.

use std::net::IpAddr;

use event::Action;

use super::{End, Mapping, Said, bracketed, epoch_s, number, plain};

pub fn juniper_srx(mapping: &mut Mapping, said: Said) -> Option<String> {
    if let Some(ends) = mapping.session() {
        let event = mapping.word("CREATE", "CLOSE")?;
        mapping.subscriber = plain(said.subscriber);
        let user = mapping.subscriber.as_deref().unwrap_or("N/A");
        let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
        return Some(format!(
            r#"<14>1 - srx RT_FLOW - RT_FLOW_SESSION_{event} [junos@2636.1.1.1.2.129 source-address="{i}" source-port="{ip}" destination-address="{r}" destination-port="{rp}" service-name="a b]" nat-source-address="{o}" nat-source-port="{op}" nat-destination-address="{r}" nat-destination-port="{rp}" policy-name="a \"policy\" with a long name" protocol-id="{}" username="{user}" elapsed-time="0"]"#,
            mapping.protocol?,
        ));
    }
    let (start, end) = mapping.block()?;
    let (event, epoch) = match mapping.action {
        Action::Created => ("ALLOC", epoch_s(said.time_ns)),
        Action::Deleted => ("RELEASE", epoch_s(said.time_ns)),
        Action::Updated => ("INTERIM", epoch_s(said.mapping_start_ns)),
    };
    let epoch = epoch?;
    keep_epoch(mapping, epoch);
    Some(format!(
        r#"<14>1 - srx RT_NAT - RT_SRC_NAT_PBA_{event} [junos@2636.1.1.1.2.129 internal-ip="{}" block-used="1" block-port-low="{start}" block-port-high="{end}" reflexive-ip="{}" epoch-time-64="{epoch:x}"]"#,
        mapping.src_ip,
        mapping.x_ip(),
    ))
}

/// The epoch of a block's message is its time, or the block's begin where it goes on.
fn keep_epoch(mapping: &mut Mapping, epoch_s: i64) {
    let ns = Some(epoch_s * 1_000_000_000);
    if mapping.action == Action::Updated {
        mapping.mapping_start_ns = ns;
    } else {
        mapping.time_ns = ns;
    }
}

/// `ip:port`, IPv6 without brackets and in full.
fn in_full((ip, port): End) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!(
            "{}:{port}",
            ip.segments().map(|group| format!("{group:x}")).join(":")
        ),
    }
}

pub fn juniper_ms(mapping: &mut Mapping, said: Said) -> Option<String> {
    if let Some(ends) = mapping.session() {
        let [inside, outside, remote] = [ends.inside, ends.outside, ends.remote].map(in_full);
        let event = mapping.word("OPEN", "CLOSE")?;
        return Some(format!(
            "{{ss}}JSERVICES_SESSION_{event}: application:none, xe-2/0/0.1 {inside} [{outside}] -> {remote} ({})",
            mapping.protocol?,
        ));
    }
    let (start, end) = mapping.block()?;
    let (event, epoch) = match mapping.action {
        Action::Created => ("ALLOC", epoch_s(said.time_ns)),
        Action::Deleted => ("RELEASE", epoch_s(said.time_ns)),
        Action::Updated => ("ACTIVE", epoch_s(said.mapping_start_ns)),
    };
    let epoch = epoch?;
    keep_epoch(mapping, epoch);
    Some(format!(
        "h{{ss}}[x]:ASP_NAT_PORT_BLOCK_{event}: {} -> {}:{start}-{end} 0x{epoch:08x}",
        mapping.src_ip,
        mapping.x_ip(),
    ))
}

pub fn cisco_ios_xe(mapping: &mut Mapping, said: Said) -> Option<String> {
    let (ends, protocol) = mapping.session_over_ipv4()?;
    mapping.vrf = number(said.vrf);
    let [i, o, r] = [ends.inside, ends.outside, ends.remote].map(bracketed);
    Some(format!(
        "<190>1: r: %NAT-6-LOG_TRANSLATION: {} Translation {protocol} {i} {o} 192.0.2.1:1 {r} {}",
        mapping.word("Created", "Deleted")?,
        mapping.vrf.as_ref()?,
    ))
}

pub fn cisco_ios_xr(mapping: &mut Mapping, said: Said) -> Option<String> {
    mapping.vrf = plain(said.vrf);
    let vrf = mapping.vrf.clone().unwrap_or("-".to_owned());
    let head = "<134> 1 2011 May 31 10:30:45 h - -";
    if let Some((ends, _)) = mapping.session_over_ipv4() {
        let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
        return Some(format!(
            "{head} NAT44 - [Sessionbased{} {} {i} {vrf} - {o} {ip} {op} - {r} {rp} ]",
            mapping.word("AD", "WD")?,
            mapping.protocol?,
        ));
    }
    let (start, end) = mapping.block()?;
    let event = mapping.word("A", "W")?;
    let (tag, inside) = if mapping.src_ip.is_ipv4() {
        ("NAT44", format!("{} {vrf} -", mapping.src_ip))
    } else {
        ("DSLITE", format!("- {vrf} {}", mapping.src_ip))
    };
    Some(format!(
        "{head} {tag} - [Userbased{event} - {inside} {} - {start} {end} - - ]",
        mapping.x_ip()
    ))
}

pub fn huawei(mapping: &mut Mapping) -> Option<String> {
    let ((i, ip), (o, op)) = mapping.port()?;
    let (tag, inside) = if i.is_ipv4() {
        ("NAT444", format!("{i} -"))
    } else {
        ("NAT64", format!("- {i}"))
    };
    Some(format!(
        "<134>1 2020 Jan 17 11:05:55 h x - {tag}:Sessionbased{} [{} {inside} {o} {ip} {op} -]",
        mapping.word("A", "W")?,
        mapping.protocol?,
    ))
}

pub fn h3c(mapping: &mut Mapping) -> Option<String> {
    let (ends, protocol) = mapping.session_over_ipv4()?;
    let [i, o, r] = [ends.inside, ends.outside, ends.remote].map(bracketed);
    let (end, operator) = match mapping.action {
        Action::Created => ("0000/00/00 00:00:00", "8: Data flow created"),
        Action::Deleted => ("2005/07/07 04:20:09", "1: Normal over"),
        Action::Updated => return None,
    };
    Some(format!(
        "%@250005%Jul 7 04:20:04:72 2005 DeviceA USERLOG/7/NAT: {protocol}; {i}--->{o}; {r}; \
         [2005/07/07 04:20:03-{end}]; Operator {operator}"
    ))
}

pub fn mikrotik(mapping: &mut Mapping) -> Option<String> {
    let (ends, protocol) = mapping.session_over_ipv4()?;
    let [i, o, r] = [ends.inside, ends.outside, ends.remote].map(bracketed);
    let state = match mapping.action {
        Action::Created => "new",
        Action::Updated => "established",
        Action::Deleted => return None,
    };
    Some(format!(
        "forward: in:b out:e, connection-state:{state},snat proto {protocol}, {i}->{r}, NAT ({i}->{o})->{r}, len 60"
    ))
}
