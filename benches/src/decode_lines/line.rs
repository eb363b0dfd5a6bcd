//! What the devices write.

use std::net::Ipv4Addr;

use super::Lines;

impl Lines {
    /// A line of the kind.
    pub(super) fn line(self, random: &mut Random) -> String {
        let letter = if random.below(2) == 0 { 'A' } else { 'D' };
        let vrf = random.below(120);
        let protocol = [6, 6, 6, 17, 17, 1][random.below(6) as usize];
        let inside = Ipv4Addr::from_bits(0x6440_0000 | random.below(1 << 22));
        let outside = Ipv4Addr::from_bits(0xcb00_7100 | random.below(256));
        let remote = Ipv4Addr::from_bits(0x0100_0000 + random.below(0xd000_0000));
        let remote_port =
            [443, 443, 443, 80, 53, 123, 8080, 1024 + random.below(60_000)][random.below(8) as usize];
        let inside_port = 1024 + random.below(64_512);
        let outside_port = 1024 + random.below(64_512);
        let stamp = format!(
            "2025-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1000),
        );
        let session = format!(
            "{letter} VRF {vrf} {protocol} INT {inside}:{inside_port} EXT {outside}:{outside_port} DST {remote}:{remote_port} DIR OUT"
        );
        let structured = || {
            format!(
                "connection-tag=\"0\" service-name=\"junos-https\" nat-source-address=\"{outside}\" nat-source-port=\"{outside_port}\" nat-destination-address=\"{remote}\" nat-destination-port=\"{remote_port}\" nat-connection-tag=\"0\" src-nat-rule-type=\"source rule\" src-nat-rule-name=\"cgn-rule-{vrf}\" dst-nat-rule-type=\"N/A\" dst-nat-rule-name=\"N/A\" protocol-id=\"{protocol}\" policy-name=\"permit\" source-zone-name=\"trust\" destination-zone-name=\"untrust\""
            )
        };
        let ends = format!(
            "source-address=\"{inside}\" source-port=\"{inside_port}\" destination-address=\"{remote}\" destination-port=\"{remote_port}\""
        );
        let id = random.below(1 << 28);
        match self {
            Self::NfwareSession => session,
            Self::NfwareSessionFramed => format!("<134>1 {stamp} cgn{vrf} nfware 123 - - {session}"),
            Self::NfwarePort => {
                format!(
                    "{letter} VRF {vrf} {protocol} INT {inside}:{inside_port} EXT {outside}:{outside_port}"
                )
            }
            Self::NfwareBlock => {
                let start = outside_port & !511;
                format!(
                    "{letter} VRF {vrf} INT {inside} EXT {outside}:{start}-{}",
                    start + 511
                )
            }
            Self::JuniperCreate => format!(
                "<14>1 {stamp} srx-cgn{vrf} RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.129 {ends} {} session-id=\"{id}\" username=\"N/A\" roles=\"N/A\" packet-incoming-interface=\"ae0.{vrf}\" application=\"UNKNOWN\" nested-application=\"UNKNOWN\" encrypted=\"UNKNOWN\" application-category=\"N/A\" application-sub-category=\"N/A\" application-risk=\"-1\" application-characteristics=\"N/A\" src-vrf-grp=\"N/A\" dst-vrf-grp=\"N/A\" tunnel-inspection=\"Off\" tunnel-inspection-policy-set=\"root\"]",
                structured(),
            ),
            Self::JuniperClose => format!(
                "<14>1 {stamp} srx-cgn{vrf} RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.129 reason=\"TCP FIN\" {ends} {} session-id=\"{id}\" packets-from-client=\"{}\" bytes-from-client=\"{}\" packets-from-server=\"{}\" bytes-from-server=\"{}\" elapsed-time=\"{}\" application=\"UNKNOWN\" nested-application=\"UNKNOWN\" username=\"N/A\" roles=\"N/A\" packet-incoming-interface=\"ae0.{vrf}\" encrypted=\"UNKNOWN\" application-category=\"N/A\" application-sub-category=\"N/A\" application-risk=\"-1\" application-characteristics=\"N/A\" secure-web-proxy-session-type=\"NA\" peer-session-id=\"0\" peer-source-address=\"0.0.0.0\" peer-source-port=\"0\" peer-destination-address=\"0.0.0.0\" peer-destination-port=\"0\" hostname=\"NA NA\" src-vrf-grp=\"N/A\" dst-vrf-grp=\"N/A\" tunnel-inspection=\"Off\" tunnel-inspection-policy-set=\"root\" session-flag=\"0\"]",
                structured(),
                random.below(700_000),
                random.below(1 << 30),
                random.below(700_000),
                random.below(1 << 30),
                random.below(4000),
            ),
            Self::JuniperBlock => {
                let start = outside_port & !255;
                format!(
                    "<14>1 {stamp} srx-cgn{vrf} RT_NAT - RT_SRC_NAT_PBA_ALLOC [junos@2636.1.1.1.2.129 internal-ip=\"{inside}\" block-used=\"1\" block-max-per-host=\"4\" block-port-low=\"{start}\" block-port-high=\"{}\" reflexive-ip=\"{outside}\" nat-pool-name=\"cgn-pool-a\" logical-system-id=\"0\" epoch-time-64=\"{:08x}\"]",
                    start + 255,
                    0x6000_0000 + id,
                )
            }
            Self::JuniperText => format!(
                "<14>Nov 18 09:57:10 srx{vrf} RT_FLOW: RT_FLOW_SESSION_CREATE: session created {inside}/{inside_port}->{remote}/{remote_port} 0x0 junos-https {outside}/{outside_port}->{remote}/{remote_port} 0x0 source rule untrust N/A N/A {protocol} permit trust untrust {id} N/A(N/A) ge-0/0/0.0 UNKNOWN UNKNOWN UNKNOWN N/A N/A -1"
            ),
            other => {
                let protocol = if protocol == 1 { 17 } else { protocol };
                let ends = Ends {
                    inside,
                    inside_port,
                    outside,
                    outside_port,
                    remote,
                    remote_port,
                };
                other.of_vendor(letter == 'A', protocol, &ends, &stamp, random)
            }
        }
    }

    /// A line of a vendor that has one kind here.
    fn of_vendor(self, created: bool, protocol: u8, ends: &Ends, stamp: &str, random: &mut Random) -> String {
        let Ends {
            inside: i,
            inside_port: ip,
            outside: o,
            outside_port: op,
            remote: r,
            remote_port: rp,
        } = ends;
        let pick = |one: &'static str, other: &'static str| if created { one } else { other };
        let name = if protocol == 6 { "TCP" } else { "UDP" };
        let (vrf, id) = (random.below(120), random.below(1 << 28));
        let us = 1_767_323_045_000_000_u64 + u64::from(id);
        let (day, hour, minute) = (1 + random.below(28), random.below(24), random.below(60));
        match self {
            Self::F5BigIp => {
                let event = pick("LSN_ADD", "LSN_DELETE");
                let duration = pick("", ",duration=\"5809\"");
                format!(
                    "ip_protocol=\"{name}\",lsn_event=\"{event}\",start=\"{}\",cli=\"{i}:{ip}\",nat=\"{o}:{op}\"{duration},pem_subscriber_id=\"3101501{id}\"",
                    us / 1000
                )
            }
            Self::A10 => {
                let (class, what) = (pick("100", "101"), pick("Nat Port Allocated", "Nat Port Freed"));
                format!(
                    "{stamp} 10.254.254.57 cgn{vrf}  CEF:0|A10|CFW|6.0.0-P1|CGN {class}|{what}|5|proto={name} src={i} spt={ip} sourceTranslatedAddress={o} sourceTranslatedPort={op}"
                )
            }
            Self::SixWind => {
                let event = pick("NEW", "DESTROY");
                format!(
                    "Jun {day} {hour:02}:{minute:02}:35 dut-vm fp-cgnat[2484]: {event} CONN: fwd proto {protocol} {i}:{ip} -> {r}:{rp}, back proto {protocol} {r}:{rp} --> {o}:{op}"
                )
            }
            Self::Fortinet => {
                let event = pick("start", "end");
                format!(
                    "Oct {day} {hour:02}:{minute:02}:33 172.16.200.26 date=2022-10-06 time={hour:02}:{minute:02}:32 sn=F2K61FTK21900840 vd=cgn-hw{vrf} pid=805306369 type=sess act={event} tran=snat proto={protocol} ipold=v4 ipnew=v4 sip={i} dip={r} sport={ip} dport={rp} nsip={o} ndip={r} nsport={op} ndport={rp} sentp=0 sentb=0 rcvdp=0 rcvdb=0"
                )
            }
            Self::PaloAlto => {
                let event = pick("start", "end");
                let name = name.to_lowercase();
                format!(
                    "<14>Mar {day} {hour:02}:{minute:02}:07 pa1 1,2026/03/04 05:06:07,001801000{id},TRAFFIC,{event},1,2026/03/04 05:06:07,{i},{r},{o},{r},cgn-rule,,,ssl,vsys{vrf},trust,untrust,ae1.1,ae1.2,fwd,2026/03/04 05:06:07,{id},1,{ip},{rp},{op},{rp},0x400000,{name},allow,100,60,40,2,2026/03/04 05:06:00,7,any,0,1,0x0"
                )
            }
            Self::JuniperMs => {
                let event = pick("OPEN", "CLOSE");
                format!(
                    "<158>2026-07-{day:02} {hour:02}:{minute:02}:03: CGN-1{{SS_CGN{vrf}}}[jservices-nat]: JSERVICES_SESSION_{event}: application:none, xe-2/0/0.{vrf} {i}:{ip} [{o}:{op}] -> {r}:{rp} ({name})"
                )
            }
            Self::CiscoIosXe => {
                let event = pick("Created", "Deleted");
                format!(
                    "<190>{id}: csr1: *May {day} {hour:02}:{minute:02}:02.004: %IOSXE-6-PLATFORM: R0/0: cpp_cp: QFP:0.0 Thread:001 TS:0000{us} %NAT-6-LOG_TRANSLATION: {event} Translation {name} {i}:{ip} {o}:{op} {r}:{rp} {r}:{rp} {vrf}"
                )
            }
            Self::CiscoIosXr => {
                let event = pick("AD", "WD");
                format!(
                    "<134> 1 2026 May {day} {hour:02}:{minute:02}:45 192.168.2.3 - - NAT44 - [Sessionbased{event} {protocol} {i} ivrf{vrf} - {o} {ip} {op} - {r} {rp} ]"
                )
            }
            Self::Huawei => {
                let event = pick("A", "W");
                format!(
                    "<134>1 2026 Mar {day} {hour:02}:{minute:02}:06 cgn-ne40 app1 - NAT444:Sessionbased{event} [{protocol} {i} - {o} {ip} {op} -]"
                )
            }
            Self::H3c => {
                let (end, operator) = (
                    pick("0000/00/00 00:00:00", "2012/08/09 10:12:11"),
                    pick("8: Data flow created", "1: Normal over"),
                );
                format!(
                    "%@{id}%Aug {day} {hour:02}:{minute:02}:12:5 2012 cgn-msr USERLOG/7/NAT: {name}; {i}:{ip}--->{o}:{op}; {r}:{rp}; [2012/08/09 10:11:11-{end}]; Operator {operator}"
                )
            }
            Self::Mikrotik => {
                let state = pick("new", "established");
                format!(
                    "firewall,info cgn forward: in:bridge{vrf} out:ether1, connection-state:{state},snat src-mac aa:bb:cc:00:11:22, proto {name}, {i}:{ip}->{r}:{rp}, NAT ({i}:{ip}->{o}:{op})->{r}:{rp}, len 60"
                )
            }
            Self::Ulogd => {
                let event = pick("NEW", "DESTROY");
                format!(
                    "<13>Oct {day} {hour:02}:{minute:02}:54 gw1 ulogd[9441]: [{event}] ORIG: SRC={i} DST={r} PROTO={name} SPT={ip} DPT={rp} PKTS=9 BYTES=1188 , REPLY: SRC={r} DST={o} PROTO={name} SPT={rp} DPT={op} PKTS=7 BYTES=5000 "
                )
            }
            Self::Conntrack => {
                let (event, more) = (pick("    [NEW]", "[DESTROY]"), pick("120 ", ""));
                let (s, us, name) = (us / 1_000_000, us % 1_000_000, name.to_lowercase());
                format!(
                    "[{s}.{us:06}]\t{event} {name:<8} {protocol} {more}src={i} dst={r} sport={ip} dport={rp} packets=12 bytes=3456 src={r} dst={o} sport={rp} dport={op} packets=10 bytes=65536 [ASSURED] id={id}"
                )
            }
            Self::Vpp => {
                let event = pick("SADD", "SDEL");
                format!(
                    "<134>1 {stamp} 172.16.1.1 NAT 1234 {event} [nsess SSUBIX=\"0\" SVLAN=\"{vrf}\" IATYP=\"IPv4\" ISADDR=\"{i}\" ISPORT=\"{ip}\" XATYP=\"IPv4\" XSADDR=\"{o}\" XSPORT=\"{op}\" PROTO=\"{protocol}\" XDADDR=\"{r}\" XDPORT=\"{rp}\"]"
                )
            }
            Self::Jool => {
                let event = pick("Added", "Forgot");
                format!(
                    "<6>Jan {day} {hour:02}:{minute:02}:47 nat64 kernel: [ 3238.087902] Jool: alpha 2026/1/{day} {hour}:{minute}:47 (GMT) - {event} session 2001:db8:{vrf:x}::15#{ip}|64:ff9b::{:x}:{:x}#{rp}|{o}#{op}|{r}#{rp}|{name}",
                    r.to_bits() >> 16,
                    r.to_bits() & 0xffff,
                )
            }
            Self::Danos => {
                let event = pick("CREATE", "DELETE");
                let end = if created {
                    String::new()
                } else {
                    format!(" end-time={} out=20/2400 in=19/16000", us + 7)
                };
                format!(
                    "CGNAT: SESSION_{event} ifname=dp0p1 session-id={id}.1 proto={protocol} dir=out addr={i}->{r} port={ip}->{rp} cgn-addr={o} cgn-port={op} state=EST[3/0x06] start-time={us}{end}"
                )
            }
            Self::Vyos => format!(
                "<14>Jun {day} {hour:02}:{minute:02}:03 r9 cgnat[9059]: Internal host: {i}, external host: {o}, Port range: {ip}-65535"
            ),
            Self::NfwareSession
            | Self::NfwareSessionFramed
            | Self::NfwarePort
            | Self::NfwareBlock
            | Self::JuniperCreate
            | Self::JuniperClose
            | Self::JuniperBlock
            | Self::JuniperText => unreachable!("these have several kinds of lines"),
        }
    }
}

/// The three ends of a mapping.
struct Ends {
    inside: Ipv4Addr,
    inside_port: u32,
    outside: Ipv4Addr,
    outside_port: u32,
    remote: Ipv4Addr,
    remote_port: u32,
}

/// SplitMix64: random enough for lines, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed >> 32) * u64::from(bound)) >> 32) as u32
    }
}
