//! The table of formats.

use std::fmt;
use std::str::FromStr;

use event::Kind::{self, Address, Block, Port, Session};

/// How an exporter's messages are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Each message is matched against every format's own marks.
    #[default]
    Auto,
    /// NFWare vCGNAT.
    Nfware,
    /// Juniper SRX, vSRX and MX-SPC3.
    JuniperSrx,
    /// F5 BIG-IP CGNAT.
    F5BigIp,
    /// A10 Thunder CGN.
    A10,
    /// 6WIND vRouter.
    SixWind,
    /// Fortinet FortiGate.
    Fortinet,
    /// Palo Alto Networks PAN-OS.
    PaloAlto,
    /// Juniper MX with MS-MPC, MS-MIC or MS-DPC.
    JuniperMs,
    /// Cisco IOS-XE `%NAT-6-LOG_TRANSLATION`.
    CiscoIosXe,
    /// Cisco IOS-XR CGv6.
    CiscoIosXr,
    /// Huawei NE40E, ME60, NetEngine 8000: flow syslog "type3".
    Huawei,
    /// H3C and HPE (Comware).
    H3c,
    /// MikroTik RouterOS firewall log.
    Mikrotik,
    /// Linux, ulogd2 with NFCT.
    Ulogd,
    /// Linux, `conntrack -E`.
    Conntrack,
    /// FD.io VPP, and the `nsess` and `napmap` of draft-ietf-behave-syslog-nat-logging.
    Vpp,
    /// Jool NAT64.
    Jool,
    /// DANOS and Vyatta CGNAT.
    Danos,
    /// VyOS `cgnat log-allocation`.
    Vyos,
}

/// How messages of a format travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Syslog,
}

impl Transport {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
        }
    }
}

/// What the knowledge of a format rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Real lines or printed examples.
    Verbatim,
    /// The source code of the program that writes it.
    EmitterSource,
    /// The vendor's manual, without a complete example.
    Documentation,
    /// Public parsers that others run on real logs.
    ParserDerived,
}

impl Evidence {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::EmitterSource => "emitter source",
            Self::Documentation => "vendor documentation",
            Self::ParserDerived => "parser-derived",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub profile: Profile,
    /// Name in the configuration.
    pub name: &'static str,
    /// Vendor and products.
    pub vendor: &'static str,
    pub transport: Transport,
    /// The kinds of mapping that its messages report.
    pub kinds: &'static [Kind],
    /// The best evidence for its grammar; parts of it may rest on less (see its module).
    pub evidence: Evidence,
    /// Not yet confirmed by enough lines from the field.
    pub beta: bool,
    /// A line as on the wire, which yields an event.
    pub sample: &'static str,
}

/// All formats, a row each. [`Profile::Auto`] is none.
pub const FORMATS: [Format; 19] = [
    Format {
        profile: Profile::Nfware,
        name: "nfware",
        vendor: "NFWare vCGNAT",
        transport: Transport::Syslog,
        kinds: &[Session, Port, Block, Address],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT",
    },
    Format {
        profile: Profile::JuniperSrx,
        name: "juniper-srx",
        vendor: "Juniper SRX, vSRX, MX-SPC3",
        transport: Transport::Syslog,
        kinds: &[Session, Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "<14>Jul  1 17:00:10 bng2 RT_NAT: RT_SRC_NAT_PBA_ALLOC: Subscriber 100.64.12.9 used/maximum [1/4] blocks, allocates port block [5120-5375] from 198.51.100.40 in source pool CGN_A lsys_id: 0 epoch 0x6a45014a",
    },
    Format {
        profile: Profile::F5BigIp,
        name: "f5-bigip",
        vendor: "F5 BIG-IP CGNAT",
        transport: Transport::Syslog,
        kinds: &[Session, Port, Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "ip_protocol=\"TCP\",lsn_event=\"LSN_DELETE\",start=\"1562105093001\",cli=\"192.168.0.0:53954\",nat=\"10.0.0.1:47501\",duration=\"5809\",pem_subscriber_id=\"No-lookup\"",
    },
    Format {
        profile: Profile::A10,
        name: "a10",
        vendor: "A10 Thunder CGN",
        transport: Transport::Syslog,
        kinds: &[Session, Port, Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "2025-05-02T11:34:56.87+00:00 10.254.254.57 cgn0.thn2/cgn-demo  CEF:0|A10|CFW|6.0.0-P1|CGN 106|Nat Port Batch Pool Allocated|5|proto=UDP src=100.65.140.73 sourceTranslatedAddress=99.99.99.12 sourceTranslatedPort=22016 cn3=22271 cn3Label=Last Nat Port",
    },
    Format {
        profile: Profile::SixWind,
        name: "6wind",
        vendor: "6WIND vRouter",
        transport: Transport::Syslog,
        kinds: &[Session, Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "Jun 14 12:17:35 dut-vm fp-cgnat[2484]: NEW CONN: fwd proto 6 10.100.0.1:4241 -> 10.200.0.1:33815, back proto 6 10.200.0.1:33815 --> 10.175.0.3:10752",
    },
    Format {
        profile: Profile::Fortinet,
        name: "fortinet",
        vendor: "Fortinet FortiGate",
        transport: Transport::Syslog,
        kinds: &[Session, Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "Oct 5 23:29:33 172.16.200.26 date=2022-10-06 time=02:29:32 sn=F2K61FTK21900840 vd=cgn-hw1 pid=805306369 type=sess act=start tran=snat proto=6 ipold=v4 ipnew=v4 sip=10.1.100.11 dip=172.16.200.155 sport=40836 dport=80 nsip=172.16.201.182 ndip=172.16.200.155 nsport=8117 ndport=80 sentp=0 sentb=0 rcvdp=0 rcvdb=0",
    },
    Format {
        profile: Profile::PaloAlto,
        name: "palo-alto",
        vendor: "Palo Alto Networks PAN-OS",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "<14>Mar  4 05:06:07 pa1 1,2026/03/04 05:06:07,001,TRAFFIC,start,1,2026/03/04 05:06:07,10.5.0.1,198.51.100.40,203.0.113.60,198.51.100.40,cgn-rule,isp\\bob,,incomplete,vsys3,trust,untrust,ae1.1,ae1.2,fwd,2026/03/04 05:06:07,77,1,50001,443,10001,443,0x400000,tcp,allow,100,60,40,2,2026/03/04 05:06:00,7,any,0,1,0x0",
    },
    Format {
        profile: Profile::JuniperMs,
        name: "juniper-ms",
        vendor: "Juniper MX with MS-MPC, MS-MIC or MS-DPC",
        transport: Transport::Syslog,
        kinds: &[Session, Block],
        evidence: Evidence::Verbatim,
        beta: true,
        sample: "<158>2026-07-19 16:13:02: CGN-1{SS_CGN0}[jservices-nat]: JSERVICES_NAT_PORT_BLOCK_ALLOC: 100.64.3.7 -> 203.0.113.20:2048-2303 0x6a5cf78e",
    },
    Format {
        profile: Profile::CiscoIosXe,
        name: "cisco-ios-xe",
        vendor: "Cisco IOS-XE (ASR 1000, CSR)",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "<14>123456789: HOSTNAME: May 21 12:00:01.123 gmt: %IOSXE-6-PLATFORM: F0: cpp_cp: QFP:0.0 Thread:105 TS:00000000000000 %NAT-6-LOG_TRANSLATION: Created Translation UDP 192.168.0.11:44593 192.168.0.11:21129 192.168.0.11:53 192.168.0.11:53 0................",
    },
    Format {
        profile: Profile::CiscoIosXr,
        name: "cisco-ios-xr",
        vendor: "Cisco IOS-XR CGv6 (CRS, ASR 9000)",
        transport: Transport::Syslog,
        kinds: &[Session, Port, Block],
        evidence: Evidence::EmitterSource,
        beta: false,
        sample: "<134> 1 2011 May 31 10:30:45 192.168.2.3 - - NAT44 - [UserbasedW - 10.12.0.5 ivrf1 - 100.1.1.2 - 20000 20511 - - ]",
    },
    Format {
        profile: Profile::Huawei,
        name: "huawei",
        vendor: "Huawei NE40E, ME60, NetEngine 8000",
        transport: Transport::Syslog,
        kinds: &[Port],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "<134>1 2020 Jan 17 11:05:55 68.1.1.1 test - NAT444:SessionbasedA [17 10.1.1.2 - 172.16.1.1 0 1025 -]",
    },
    Format {
        profile: Profile::H3c,
        name: "h3c",
        vendor: "H3C and HPE (Comware)",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "%@250005%Jul 7 04:20:04:72 2005 DeviceA USERLOG/7/NAT: ICMP; 192.168.1.6:768--->1.1.1.1:12288; 2.2.2.2:768; [2005/07/07 04:20:03-0000/00/00 00:00:00]; Operator 8: Data flow created",
    },
    Format {
        profile: Profile::Mikrotik,
        name: "mikrotik",
        vendor: "MikroTik RouterOS",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "firewall,info cgn forward: in:bridge1 out:ether1, connection-state:new,snat src-mac aa:bb:cc:00:11:22, proto TCP (SYN), 10.0.0.3:51258->198.51.100.1:443, NAT (10.0.0.3:51258->203.0.113.10:40001)->198.51.100.1:443, len 60",
    },
    Format {
        profile: Profile::Ulogd,
        name: "ulogd",
        vendor: "Linux ulogd2 with NFCT",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::EmitterSource,
        beta: false,
        sample: "<13>Oct 16 14:16:54 gw1 ulogd[9441]: [DESTROY] ORIG: SRC=100.64.1.10 DST=198.51.100.30 PROTO=TCP SPT=40100 DPT=443 PKTS=9 BYTES=1188 , REPLY: SRC=198.51.100.30 DST=203.0.113.8 PROTO=TCP SPT=443 DPT=21000 PKTS=7 BYTES=5000",
    },
    Format {
        profile: Profile::Conntrack,
        name: "conntrack",
        vendor: "Linux conntrack -E",
        transport: Transport::Syslog,
        kinds: &[Session],
        evidence: Evidence::EmitterSource,
        beta: false,
        sample: "[1767323060.999999]\t[DESTROY] tcp      6 src=100.64.0.10 dst=198.51.100.20 sport=40001 dport=443 packets=12 bytes=3456 src=198.51.100.20 dst=203.0.113.5 sport=443 dport=20017 packets=10 bytes=65536 [ASSURED] id=3725581234",
    },
    Format {
        profile: Profile::Vpp,
        name: "vpp",
        vendor: "FD.io VPP",
        transport: Transport::Syslog,
        kinds: &[Session, Port],
        evidence: Evidence::EmitterSource,
        beta: false,
        sample: "<134>1 2026-01-02T03:04:05.000678Z 172.16.1.1 NAT 1234 SADD [nsess SSUBIX=\"0\" SVLAN=\"0\" IATYP=\"IPv4\" ISADDR=\"10.0.0.1\" ISPORT=\"6303\" XATYP=\"IPv4\" XSADDR=\"10.0.0.3\" XSPORT=\"6303\" PROTO=\"6\" XDADDR=\"172.16.2.2\" XDPORT=\"80\"]",
    },
    Format {
        profile: Profile::Jool,
        name: "jool",
        vendor: "Jool NAT64",
        transport: Transport::Syslog,
        kinds: &[Session, Port],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "<6>Jan  8 17:01:47 nat64 kernel: [ 3238.087902] Jool: alpha 2026/1/8 17:1:47 (GMT) - Added session 2001:db8::15#47073|64:ff9b::c000:205#80|192.0.2.20#63527|192.0.2.5#80|TCP",
    },
    Format {
        profile: Profile::Danos,
        name: "danos",
        vendor: "DANOS, Vyatta CGNAT",
        transport: Transport::Syslog,
        kinds: &[Session, Block],
        evidence: Evidence::EmitterSource,
        beta: false,
        sample: "CGNAT: SESSION_CREATE ifname=dp0p1 session-id=5.1 proto=6 dir=out addr=100.64.0.1->198.51.100.9 port=40000->443 cgn-addr=192.0.2.1 cgn-port=1030 state=EST[3/0x06] start-time=1767323045000005",
    },
    Format {
        profile: Profile::Vyos,
        name: "vyos",
        vendor: "VyOS cgnat log-allocation",
        transport: Transport::Syslog,
        kinds: &[Block],
        evidence: Evidence::Verbatim,
        beta: false,
        sample: "Jun 10 14:10:03 r9 cgnat[9059]: Internal host: 100.64.0.0, external host: 203.0.113.222, Port range: 1024-3023",
    },
];

impl Profile {
    /// All profiles: [`Profile::Auto`], then those of [`FORMATS`].
    pub const ALL: [Self; FORMATS.len() + 1] = {
        let mut all = [Self::Auto; FORMATS.len() + 1];
        let mut index = 0;
        while index < FORMATS.len() {
            all[index + 1] = FORMATS[index].profile;
            index += 1;
        }
        all
    };

    /// Its row; `None` for [`Profile::Auto`].
    pub fn format(self) -> Option<&'static Format> {
        FORMATS.iter().find(|format| format.profile == self)
    }

    /// Name in the configuration.
    pub fn name(self) -> &'static str {
        self.format().map_or("auto", |format| format.name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|profile| profile.name()).collect();
                format!("unknown profile {text:?}; known are {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[test]
    fn every_row_is_found_by_its_name_and_its_sample_is_an_event_of_its_kinds() {
        for format in &FORMATS {
            assert_eq!(format.name.parse(), Ok(format.profile));
            for profile in [format.profile, Profile::Auto] {
                let outcome = crate::syslog::decode(profile, format.sample.as_bytes(), |event| {
                    assert!(format.kinds.contains(&event.kind), "{event:?}");
                });
                assert!(
                    matches!(outcome, Ok(Outcome::Events(1..))),
                    "{} as {profile}: {outcome:?}",
                    format.name
                );
            }
        }
        assert!("no-such".parse::<Profile>().unwrap_err().contains("auto, nfware"));
    }
}
