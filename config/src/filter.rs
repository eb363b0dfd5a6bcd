//! What a listener for syslog asks of messages beyond their sender: patterns, facilities and severities.

use filter::{PriMask, Rules, RulesError};
use serde::Deserialize;

use crate::{Listener, ListenerKind};

/// Facility of a syslog message (RFC 5424 section 6.2.1), by the names of syslog.conf.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Facility {
    Kern,
    User,
    Mail,
    Daemon,
    Auth,
    Syslog,
    Lpr,
    News,
    Uucp,
    Cron,
    Authpriv,
    Ftp,
    Ntp,
    Audit,
    Alert,
    Clock,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// Severity of a syslog message, the gravest first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Severity {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

const FACILITIES: u8 = 24;
const SEVERITIES: u8 = 8;

/// The PRIs that are in none of `facilities` (if there are some), or less grave than `severity_max`.
fn masked(facilities: Option<&[Facility]>, severity_max: Option<Severity>) -> PriMask {
    let mut mask = PriMask::default();
    for facility in 0..FACILITIES {
        for severity in 0..SEVERITIES {
            let named = |facilities: &[Facility]| facilities.iter().any(|&one| one as u8 == facility);
            let grave = severity_max.is_none_or(|max| severity <= max as u8);
            if !grave || !facilities.is_none_or(named) {
                mask.add(SEVERITIES * facility + severity);
            }
        }
    }
    mask
}

impl Listener {
    /// What it asks of messages. An error only if the configuration is not valid.
    pub fn rules(&self) -> Result<Rules, RulesError> {
        Rules::new(
            &self.keep,
            &self.drop,
            self.filter_bytes.unwrap_or(filter::rules::TEXT_OCTETS),
            masked(self.facilities.as_deref(), self.severity_max),
        )
    }

    /// What is wrong with that.
    pub(crate) fn rules_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let has_patterns = !self.keep.is_empty() || !self.drop.is_empty();
        let is_set = has_patterns
            || self.filter_bytes.is_some()
            || self.facilities.is_some()
            || self.severity_max.is_some();
        if is_set && self.kind != ListenerKind::Syslog {
            problems.push(
                "keep, drop, filter_bytes, facilities and severity_max are for kind = \"syslog\"".into(),
            );
        }
        if self.filter_bytes.is_some() && !has_patterns {
            problems.push("filter_bytes is for keep and drop".into());
        }
        if self.facilities.as_ref().is_some_and(Vec::is_empty) {
            problems.push("facilities must name at least one; without the key, all pass".into());
        }
        if let Err(error) = self.rules() {
            problems.push(error.to_string());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter::PRIS;

    #[test]
    fn masks_are_what_facilities_and_severity_leave_out() {
        assert!(masked(None, None).is_empty());
        let mask = masked(Some(&[Facility::Local0, Facility::Kern]), Some(Severity::Notice));
        let passing: Vec<u8> = (0..PRIS).filter(|&pri| !mask.holds(pri)).collect();
        assert_eq!(passing, [0, 1, 2, 3, 4, 5, 128, 129, 130, 131, 132, 133]);
        let mask = masked(None, Some(Severity::Emerg));
        assert_eq!((0..PRIS).filter(|&pri| !mask.holds(pri)).count(), 24);
        assert!(mask.holds(191) && !mask.holds(184), "local7");
    }
}
