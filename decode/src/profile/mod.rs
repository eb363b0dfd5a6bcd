//! The table of formats.

mod table;

use std::fmt;
use std::str::FromStr;

use event::Kind;

pub use table::FORMATS;

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
    /// Commonly described; no line, source or manual was seen.
    Unverified,
}

impl Evidence {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::EmitterSource => "emitter source",
            Self::Documentation => "vendor documentation",
            Self::ParserDerived => "parser-derived",
            Self::Unverified => "unverified",
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
    /// The forms that its messages have, the usual one first.
    pub forms: &'static [Form],
}

impl Format {
    /// A line as on the wire, of the usual form.
    pub const fn sample(&self) -> &'static str {
        self.forms[0].sample
    }
}

/// One form of a format's messages.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub name: &'static str,
    /// The kinds of mapping that its messages report.
    pub kinds: &'static [Kind],
    /// The best evidence for its grammar; parts of it may rest on less (see its module).
    pub evidence: Evidence,
    /// Not yet confirmed by enough lines from the field.
    pub beta: bool,
    /// The key of the configuration without which it is not read.
    pub switch: Option<&'static str>,
    /// A line as on the wire, which yields an event.
    pub sample: &'static str,
}

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
    use crate::exporter::{Dialects, Settings};
    use crate::{Exporter, Outcome};

    #[test]
    fn every_row_is_found_by_its_name_and_its_samples_are_events_of_their_kinds() {
        for format in &FORMATS {
            assert_eq!(format.name.parse(), Ok(format.profile));
            for form in format.forms {
                for profile in [format.profile, Profile::Auto] {
                    let decoded = |dialects| {
                        let settings = Settings {
                            dialects,
                            ..Settings::from(profile)
                        };
                        Exporter::new(settings).decode(form.sample.as_bytes(), 0, |event| {
                            assert!(form.kinds.contains(&event.kind), "{event:?}");
                        })
                    };
                    let all = Dialects {
                        huawei_user_blocks: true,
                        ..Dialects::default()
                    };
                    let name = format!("{} {} as {profile}", format.name, form.name);
                    assert_eq!(decoded(all), Ok(Outcome::Events(1)), "{name}");
                    let plain = decoded(Dialects::default());
                    assert_eq!(plain.is_ok(), form.switch.is_none(), "{name}: {plain:?}");
                }
            }
        }
        assert!("no-such".parse::<Profile>().unwrap_err().contains("auto, nfware"));
    }

    /// What nobody has seen in the field is said to be so.
    #[test]
    fn what_is_unverified_is_beta() {
        let forms = FORMATS.iter().flat_map(|format| format.forms);
        let unverified: Vec<_> = forms
            .filter(|form| form.evidence == Evidence::Unverified)
            .collect();
        assert!(!unverified.is_empty() && unverified.iter().all(|form| form.beta));
    }
}
