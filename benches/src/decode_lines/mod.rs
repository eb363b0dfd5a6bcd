//! Lines for the decoders' benchmarks, and the same grammars as regular expressions to compare with.
//!
//! - `line`: what a device writes, from random numbers that are the same in every run;
//! - `expressions`: how one would read it with the regex crate;
//! - [`peer`]: how cgn-ec's consumer reads it, in Python.

mod expressions;
mod line;
pub mod peer;

use decode::Profile;

pub use expressions::Expressions;
use line::Random;

/// Distinct lines of a kind: too many for branch predictors to learn, few enough to stay in the cache as a datagram
/// that was just received does.
pub const LINES: usize = 4096;

/// A kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    NfwareSession,
    NfwareSessionFramed,
    NfwarePort,
    NfwareBlock,
    JuniperCreate,
    JuniperClose,
    JuniperBlock,
    JuniperText,
    F5BigIp,
    A10,
    SixWind,
    Fortinet,
    PaloAlto,
    JuniperMs,
    CiscoIosXe,
    CiscoIosXr,
    Huawei,
    H3c,
    Mikrotik,
    Ulogd,
    Conntrack,
    Vpp,
    Jool,
    Danos,
    Vyos,
}

impl Lines {
    pub const ALL: [Self; 25] = [
        Self::NfwareSession,
        Self::NfwareSessionFramed,
        Self::NfwarePort,
        Self::NfwareBlock,
        Self::JuniperCreate,
        Self::JuniperClose,
        Self::JuniperBlock,
        Self::JuniperText,
        Self::F5BigIp,
        Self::A10,
        Self::SixWind,
        Self::Fortinet,
        Self::PaloAlto,
        Self::JuniperMs,
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

    /// Name of the measure. `nfware`, `juniper` and those of the other vendors are what makes up nearly all of their
    /// traffic.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NfwareSession => "nfware",
            Self::NfwareSessionFramed => "nfware_rfc5424",
            Self::NfwarePort => "nfware_port",
            Self::NfwareBlock => "nfware_block",
            Self::JuniperCreate => "juniper",
            Self::JuniperClose => "juniper_close",
            Self::JuniperBlock => "juniper_block",
            Self::JuniperText => "juniper_text",
            Self::F5BigIp => "f5_bigip",
            Self::A10 => "a10",
            Self::SixWind => "6wind",
            Self::Fortinet => "fortinet",
            Self::PaloAlto => "palo_alto",
            Self::JuniperMs => "juniper_ms",
            Self::CiscoIosXe => "cisco_ios_xe",
            Self::CiscoIosXr => "cisco_ios_xr",
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

    /// Name of the measure of cgn-ec's consumer, which knows few of them.
    pub const fn peer_measure(self) -> &'static str {
        match self {
            Self::NfwareSession => "nfware_peer_python_ns_per_line",
            Self::NfwarePort => "nfware_port_peer_python_ns_per_line",
            Self::NfwareBlock => "nfware_block_peer_python_ns_per_line",
            Self::A10 => "a10_peer_python_ns_per_line",
            _ => "peer_python_ns_per_line",
        }
    }

    /// The profile of the device that writes them.
    pub const fn profile(self) -> Profile {
        match self {
            Self::NfwareSession | Self::NfwareSessionFramed | Self::NfwarePort | Self::NfwareBlock => {
                Profile::Nfware
            }
            Self::JuniperCreate | Self::JuniperClose | Self::JuniperBlock | Self::JuniperText => {
                Profile::JuniperSrx
            }
            Self::F5BigIp => Profile::F5BigIp,
            Self::A10 => Profile::A10,
            Self::SixWind => Profile::SixWind,
            Self::Fortinet => Profile::Fortinet,
            Self::PaloAlto => Profile::PaloAlto,
            Self::JuniperMs => Profile::JuniperMs,
            Self::CiscoIosXe => Profile::CiscoIosXe,
            Self::CiscoIosXr => Profile::CiscoIosXr,
            Self::Huawei => Profile::Huawei,
            Self::H3c => Profile::H3c,
            Self::Mikrotik => Profile::Mikrotik,
            Self::Ulogd => Profile::Ulogd,
            Self::Conntrack => Profile::Conntrack,
            Self::Vpp => Profile::Vpp,
            Self::Jool => Profile::Jool,
            Self::Danos => Profile::Danos,
            Self::Vyos => Profile::Vyos,
        }
    }

    /// The lines, the same in every run.
    pub fn make(self) -> Vec<Vec<u8>> {
        let mut random = Random::new(0x6e61_7472_6169_6c00 + self as u64);
        (0..LINES).map(|_| self.line(&mut random).into_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use decode::Outcome;
    use decode::profile::FORMATS;

    use super::*;

    /// A comparison is worth something only if both sides do the same.
    #[test]
    fn both_readers_find_the_same_event() {
        let expressions = Expressions::default();
        for lines in Lines::ALL {
            for line in lines.make().iter().take(500) {
                let text = String::from_utf8_lossy(line);
                let expected = expressions
                    .decode(lines, line)
                    .unwrap_or_else(|| panic!("no match: {text}"));
                for profile in [lines.profile(), Profile::Auto] {
                    let outcome = decode::syslog::decode(profile, line, |event| {
                        let mut event = *event;
                        event.time_source = expected.time_source;
                        event.mapping_start_ns = None;
                        assert_eq!(event, expected, "{text}");
                    });
                    assert_eq!(outcome, Ok(Outcome::Events(1)), "{text} as {profile}");
                }
            }
        }
    }

    #[test]
    fn every_format_is_measured() {
        for format in &FORMATS {
            let is_measured = Lines::ALL.iter().any(|lines| lines.profile() == format.profile);
            assert!(is_measured, "{}", format.name);
        }
    }
}
