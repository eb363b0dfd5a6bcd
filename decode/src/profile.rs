//! The table of formats.

use std::fmt;
use std::str::FromStr;

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

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 14] = [
        Self::Auto,
        Self::Nfware,
        Self::JuniperSrx,
        Self::CiscoIosXe,
        Self::CiscoIosXr,
        Self::Huawei,
        Self::H3c,
        Self::Mikrotik,
        Self::Ulogd,
        Self::Conntrack,
        Self::Vpp,
        Self::Jool,
        Self::Danos,
        Self::Vyos,
    ];

    /// Name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nfware => "nfware",
            Self::JuniperSrx => "juniper-srx",
            Self::CiscoIosXe => "cisco-ios-xe",
            Self::CiscoIosXr => "cisco-ios-xr",
            Self::Huawei => "huawei",
            Self::H3c => "h3c",
            Self::Mikrotik => "mikrotik",
            Self::Ulogd => "ulogd",
            Self::Conntrack => "conntrack",
            Self::Vpp => "vpp",
            Self::Jool => "jool",
            Self::Danos => "danos",
            Self::Vyos => "vyos",
        }
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
