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
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Nfware, Self::JuniperSrx];

    /// Name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nfware => "nfware",
            Self::JuniperSrx => "juniper-srx",
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
