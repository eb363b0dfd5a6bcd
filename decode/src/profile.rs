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
}

/// How messages of a format travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Syslog,
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
pub const FORMATS: [Format; 8] = [
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
