//! Linux, and routers made of it.

use event::{Action, Kind};

use super::{Ends, Mapping};

/// A tuple in both directions, each with what stands before the addresses, the protocol's place and the ports.
fn both_ways(ends: Ends, [src, dst, sport, dport]: [&str; 4], protocol: &str) -> [String; 2] {
    let Ends {
        inside,
        outside,
        remote,
    } = ends;
    [(inside, remote), (remote, outside)].map(|(from, to)| {
        format!(
            "{src}={} {dst}={} {protocol}{sport}={} {dport}={}",
            from.0, to.0, from.1, to.1
        )
    })
}

pub fn ulogd(mapping: &mut Mapping) -> Option<String> {
    let (ends, protocol) = mapping.session_over_ipv4()?;
    let event = match mapping.action {
        Action::Created => "NEW",
        Action::Deleted => "DESTROY",
        Action::Updated => "UPDATE",
    };
    let [original, reply] = both_ways(ends, ["SRC", "DST", "SPT", "DPT"], &format!("PROTO={protocol} "));
    Some(format!(
        "Oct 16 14:15:54 gw1 [{event}] ORIG: {original} PKTS=0 BYTES=0 , REPLY: {reply} PKTS=0 BYTES=0 "
    ))
}

pub fn conntrack(mapping: &mut Mapping) -> Option<String> {
    let (ends, protocol) = mapping.session_over_ipv4()?;
    let event = match mapping.action {
        Action::Created => "    [NEW]",
        Action::Deleted => "[DESTROY]",
        Action::Updated => " [UPDATE]",
    };
    mapping.time_ns = Some(1_767_323_045_123_456_000);
    let [original, reply] = both_ways(ends, ["src", "dst", "sport", "dport"], "");
    Some(format!(
        "[1767323045.123456]\t{event} {:<8} {} 120 {original} [UNREPLIED] {reply} id=1",
        protocol.to_lowercase(),
        mapping.protocol?,
    ))
}

pub fn vpp(mapping: &mut Mapping) -> Option<String> {
    let head = "<134>1 2026-01-02T03:04:05Z h NAT 1";
    let family = if mapping.src_ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let parameters = format!(
        r#"IATYP="{family}" ISADDR="{}" ISPORT="{}" XATYP="IPv4" XSADDR="{}" XSPORT="{}" PROTO="{}""#,
        mapping.src_ip,
        mapping.src_port?,
        mapping.x_ip(),
        mapping.x_port?,
        mapping.protocol?,
    );
    if mapping.kind == Kind::Session {
        let (r, rp) = mapping.session()?.remote;
        let event = mapping.word("SADD", "SDEL")?;
        return Some(format!(
            r#"{head} {event} [nsess {parameters} XDADDR="{r}" XDPORT="{rp}"]"#
        ));
    }
    mapping.port()?;
    Some(format!(
        "{head} {} [napmap {parameters}]",
        mapping.word("APMADD", "APMDEL")?
    ))
}

pub fn jool(mapping: &mut Mapping) -> Option<String> {
    let protocol = mapping.protocol_name()?;
    let head = "a 2026/1/8 16:13:2 (GMT) -";
    if let Some(ends) = mapping.session() {
        let ((i, ip), (o, op), (r, rp)) = (ends.inside, ends.outside, ends.remote);
        let event = mapping.word("Added", "Forgot")?;
        return r
            .is_ipv4()
            .then(|| format!("{head} {event} session {i}#{ip}|64:ff9b::1#7|{o}#{op}|{r}#{rp}|{protocol}"));
    }
    let ((i, ip), (o, op)) = mapping.port()?;
    let event = mapping.word("Mapped", "Forgot")?;
    Some(format!(
        "[    1.5] Jool: {head} {event} {i}#{ip} to {o}#{op} ({protocol})"
    ))
}

pub fn danos(mapping: &mut Mapping) -> Option<String> {
    let (start, end) = (1_767_323_045_000_007_000, 1_767_323_106_000_123_000);
    let us = |ns: i64| ns / 1000;
    let is_created = mapping.word("x", "")? == "x";
    let ending = if is_created {
        String::new()
    } else {
        format!(" end-time={}", us(end))
    };
    mapping.time_ns = Some(if is_created { start } else { end });
    mapping.mapping_start_ns = (!is_created).then_some(start);
    if let Some((ends, _)) = mapping.session_over_ipv4() {
        let Ends {
            inside,
            outside,
            remote,
        } = ends;
        return Some(format!(
            "CGNAT: SESSION_{} ifname=- session-id=6.1 proto={} dir=in addr={}->{} port={}->{} cgn-addr={} cgn-port={} \
             state=EST[3] start-time={}{ending}",
            mapping.word("CREATE", "DELETE")?,
            mapping.protocol?,
            inside.0,
            remote.0,
            inside.1,
            remote.1,
            outside.0,
            outside.1,
            us(start),
        ));
    }
    let (first, last) = mapping.block()?;
    mapping.src_ip.is_ipv4().then(|| {
        format!(
            "CGNAT: PB_{} subs-addr={} policy=P pub-addr={} pool=Q port={first}-{last} start-time={}{ending}",
            mapping.word("ALLOCATED", "RELEASED").unwrap_or_default(),
            mapping.src_ip,
            mapping.x_ip(),
            us(start),
        )
    })
}

pub fn vyos(mapping: &mut Mapping) -> Option<String> {
    let (first, last) = mapping.block()?;
    (mapping.src_ip.is_ipv4() && mapping.action == Action::Created).then(|| {
        format!(
            "r9 cgnat[9059]: Internal host: {}, external host: {}, Port range: {first}-{last}",
            mapping.src_ip,
            mapping.x_ip(),
        )
    })
}
