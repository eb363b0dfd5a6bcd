//! Appliances and firewalls.

use std::net::IpAddr;

use event::{Action, Kind};

use super::{End, Mapping, Said, bracketed, number, plain};

/// An address of either family alone, or with a port.
fn nfware_end((ip, port): End) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

pub fn nfware(mapping: &mut Mapping, said: Said) -> Option<String> {
    mapping.vrf = plain(said.vrf).or(Some("0".to_owned()));
    let (vrf, src_ip, x_ip) = (mapping.vrf.clone()?, mapping.src_ip, mapping.x_ip());
    let protocol = mapping
        .protocol
        .map_or(String::new(), |protocol| format!("{protocol} "));
    let line = format!("{} VRF {vrf}", mapping.word("A", "D")?);
    match mapping.kind {
        Kind::Address => {
            mapping.protocol = None;
            Some(format!("{line} INT {src_ip} EXT {x_ip}"))
        }
        Kind::Block => {
            let start = nfware_end((x_ip, mapping.start_port?));
            Some(format!(
                "{line} {protocol}INT {src_ip} EXT {start}-{}",
                mapping.end_port?
            ))
        }
        Kind::Port | Kind::Session => {
            mapping.protocol?;
            let inside = nfware_end((src_ip, mapping.src_port?));
            let outside = nfware_end((x_ip, mapping.x_port?));
            let line = format!("{line} {protocol}INT {inside} EXT {outside}");
            if mapping.kind == Kind::Port {
                (mapping.dst_ip, mapping.dst_port) = (None, None);
                return Some(line);
            }
            let remote = nfware_end((mapping.dst_ip?, mapping.dst_port?));
            Some(format!("{line} DST {remote} DIR OUT"))
        }
    }
}

pub fn f5_bigip(mapping: &mut Mapping, said: Said) -> Option<String> {
    let protocol = mapping.protocol?;
    if let Some(ends) = mapping.session() {
        let name = mapping.word("LSN_ADD", "LSN_INBOUND_DELETE")?;
        mapping.vrf = number(said.vrf).or(Some("0".to_owned()));
        let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
        let domain = mapping.vrf.as_deref()?;
        return Some(format!("{name} {i}%{domain}:{ip} {protocol} {o}%1:{op} {r} {rp}"));
    }
    let (inside, outside) = mapping.port()?;
    let name = mapping.word("LSN_ADD", "LSN_DELETE")?;
    let begin_ns = said
        .mapping_start_ns
        .or(said.time_ns)
        .filter(|ns| *ns > 0 && ns % 1_000_000 == 0)?;
    let duration_ns = said.time_ns?.checked_sub(begin_ns)?;
    let is_deletion = mapping.action == Action::Deleted;
    if is_deletion != (duration_ns > 0) || duration_ns % 1_000_000 != 0 {
        return None;
    }
    mapping.time_ns = said.time_ns;
    mapping.mapping_start_ns = is_deletion.then_some(begin_ns);
    Some(format!(
        "lsn_event=\"{name}\",start=\"{}\",cli=\"{}\",nat=\"{}\",duration=\"{}\",ip_protocol=\"{protocol}\"",
        begin_ns / 1_000_000,
        bracketed(inside),
        bracketed(outside),
        duration_ns / 1_000_000,
    ))
}

/// In CEF.
pub fn a10(mapping: &mut Mapping) -> Option<String> {
    let protocol = mapping.protocol?;
    let class = match mapping.kind {
        Kind::Port => 100,
        Kind::Session => 102,
        Kind::Block => 106,
        Kind::Address => return None,
    };
    let class = class + (mapping.word("", " ")?.len());
    let head = format!(
        "CEF:0|A10|CFW|6|CGN {class}|a \\| b|5|msg=a \\= b proto={protocol} src={}",
        mapping.src_ip
    );
    let outside = format!("sourceTranslatedAddress={}", mapping.x_ip());
    if mapping.kind == Kind::Block {
        let (start, end) = (mapping.start_port?, mapping.end_port?);
        return Some(format!(
            "{head} {outside} sourceTranslatedPort={start} cn3={end} cn3Label=Last Nat Port"
        ));
    }
    let (inside_port, outside_port) = (mapping.src_port?, mapping.x_port?);
    let line = format!("{head} spt={inside_port} {outside} sourceTranslatedPort={outside_port}");
    if mapping.kind == Kind::Session {
        return Some(format!(
            "{line} dst={} dpt={}",
            mapping.dst_ip?, mapping.dst_port?
        ));
    }
    mapping.port().map(|_| line)
}

pub fn sixwind(mapping: &mut Mapping) -> Option<String> {
    let (name, protocol) = (mapping.word("NEW", "DESTROY")?, mapping.protocol?);
    if let Some(ends) = mapping.session() {
        let [inside, outside, remote] = [ends.inside, ends.outside, ends.remote].map(bracketed);
        return Some(format!(
            "fp-cgnat[1]: {name} CONN: fwd proto {protocol} {inside} -> {remote}, back proto {protocol} {remote} --> {outside}"
        ));
    }
    let (start, end) = mapping.block()?;
    mapping.protocol = Some(protocol);
    Some(format!(
        "fp-cgnat-logd[1]: USER {} (matching rule 2): {name} BLOCK (pool \"p\", ip public {}, proto {protocol}, port {start} - {end})",
        mapping.src_ip,
        mapping.x_ip(),
    ))
}

pub fn fortinet(mapping: &mut Mapping, said: Said) -> Option<String> {
    mapping.vrf = plain(said.vrf);
    let vdom = mapping
        .vrf
        .as_ref()
        .map_or(String::new(), |vrf| format!("vd={vrf} "));
    if let Some(ends) = mapping.session() {
        let act = mapping.word("start", "end")?;
        let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
        // Port 0 says that an end is not translated.
        return (op != 0).then(|| format!(
            "date=2022-10-06 time=02:29:32 {vdom}pid=1 type=sess act={act} proto={} sip={i} dip={r} sport={ip} \
             dport={rp} nsip={o} ndip={r} nsport={op} ndport={rp} dur=0",
            mapping.protocol.unwrap_or_default(),
        ));
    }
    let (start, end) = mapping.block()?;
    mapping.subscriber = plain(said.subscriber);
    let user = mapping
        .subscriber
        .as_ref()
        .map_or(String::new(), |user| format!(" user=\"{user}\""));
    mapping.time_ns = said.time_ns.filter(|ns| *ns >= 10_i64.pow(17));
    let time = mapping
        .time_ns
        .map_or(String::new(), |ns| format!("eventtime={ns} "));
    let number = match mapping.action {
        Action::Created => "22015",
        Action::Deleted => "22016",
        Action::Updated => "22024",
    };
    Some(format!(
        "date=2026-02-03 {time}logid=\"01000{number}\" type=\"event\" {vdom}saddr={} nat={} portbegin={start} portend=\"{end}\"{user}",
        mapping.src_ip,
        mapping.x_ip(),
    ))
}

pub fn palo_alto(mapping: &mut Mapping, said: Said) -> Option<String> {
    let ends = mapping.session()?;
    (mapping.vrf, mapping.subscriber) = (plain(said.vrf), plain(said.subscriber));
    let [vsys, user] = [&mapping.vrf, &mapping.subscriber].map(|name| name.clone().unwrap_or_default());
    let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
    let (event, protocol) = (mapping.word("start", "end")?, mapping.protocol?);
    // Port 0 says that an end is not translated.
    (op != 0 && rp != 0).then(|| format!(
        "1,2026/03/04 05:06:07,001,TRAFFIC,{event},1,2026/03/04 05:06:07,{i},{r},{o},{r},\"a \"\"rule\"\", b\",{user},,app,{vsys},\
         a,b,c,d,f,2026/03/04 05:06:07,77,1,{ip},{rp},{op},{rp},0x400000,{protocol},allow,1,1,0,1",
    ))
}
