//! The exporters in the report.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use config::{Config, Exporter};
use decode::Profile;
use decode::exporter::Unit;
use serde::Serialize;

/// An entry of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Meaning {
    address: String,
    name: Option<String>,
    /// `None`: what no pattern claims is of no known format.
    profile: Option<&'static str>,
    /// `None`: times without a zone are no absolute times.
    time_zone: Option<String>,
    vrf: Option<String>,
    vrf_names: BTreeMap<String, String>,
    huawei_user_blocks: bool,
    a10_subscriber: Option<String>,
    fortinet_pba_duration: Option<&'static str>,
    patterns: Vec<Pattern>,
    /// Datagrams a second; 0: no limit.
    rate_max: u32,
    burst: u32,
}

#[derive(Debug, Serialize)]
struct Pattern {
    regex: String,
    kind: &'static str,
}

impl Meaning {
    pub(super) fn new(exporter: &Exporter) -> Self {
        let settings = &exporter.settings;
        Self {
            address: exporter.address.to_string(),
            rate_max: exporter.rate_max,
            burst: exporter.burst,
            name: exporter.name.clone(),
            profile: settings.profile.map(Profile::name),
            time_zone: settings.zone.as_ref().map(ToString::to_string),
            vrf: settings.vrf.default.as_deref().map(Into::into),
            vrf_names: settings
                .vrf
                .names
                .iter()
                .map(|(written, name)| (written.to_string(), name.to_string()))
                .collect(),
            huawei_user_blocks: settings.dialects.huawei_user_blocks,
            a10_subscriber: settings.dialects.a10_subscriber.as_deref().map(Into::into),
            fortinet_pba_duration: settings.dialects.fortinet_pba_duration.map(Unit::name),
            patterns: settings
                .patterns
                .iter()
                .map(|pattern| Pattern {
                    regex: pattern.as_str().to_owned(),
                    kind: pattern.kind().name(),
                })
                .collect(),
        }
    }

    /// A line, and one for each thing that is said beyond the profile.
    pub(super) fn print(&self, out: &mut impl Write, title: &str) -> std::io::Result<()> {
        let name = self.name.as_deref().unwrap_or("-");
        let profile = self.profile.unwrap_or("its patterns alone");
        writeln!(out, "{title:<10} {:<24} {name:<20} {profile}", self.address)?;
        let mut more = Vec::new();
        if self.rate_max > 0 {
            more.push(format!(
                "at most {} datagrams/s, {} at once",
                self.rate_max, self.burst
            ));
        }
        more.extend(self.time_zone.iter().map(|zone| format!("clock in {zone}")));
        more.extend(self.vrf.iter().map(|vrf| format!("VRF {vrf} if it names none")));
        if !self.vrf_names.is_empty() {
            let names = self.vrf_names.iter();
            let names: Vec<_> = names
                .map(|(written, name)| format!("{written} as {name}"))
                .collect();
            more.push(format!("VRF {}", names.join(", ")));
        }
        if self.huawei_user_blocks {
            more.push("Huawei Userbased lines are port blocks".into());
        }
        let attribute = self.a10_subscriber.iter();
        more.extend(attribute.map(|name| format!("A10 attribute {name} is the subscriber")));
        let unit = self.fortinet_pba_duration.iter();
        more.extend(unit.map(|unit| format!("Fortinet port blocks have their duration in {unit}")));
        more.extend(
            self.patterns
                .iter()
                .map(|pattern| format!("pattern ({}): {}", pattern.kind, pattern.regex)),
        );
        for line in more {
            writeln!(out, "{:<12} {line}", "")?;
        }
        Ok(())
    }
}

/// What is right but perhaps not meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let exporters = &config.exporters;
    if exporters.allow_all {
        warnings.push(
            "exporters.allow_all: anybody who reaches a listener can put rows into the audit trail".into(),
        );
    }
    let mut seen = HashSet::new();
    for exporter in &exporters.list {
        let mut warn = |what: &str| warnings.push(format!("exporter {}{what}", exporter.address));
        if exporter.address.prefix_len() == 0 {
            warn(": allows every address of its family");
        }
        if !seen.insert(exporter.address.trunc()) {
            warn(" is listed twice; one of the two never counts");
        }
        let settings = &exporter.settings;
        for (index, _) in settings
            .patterns
            .iter()
            .enumerate()
            .filter(|(_, pattern)| !pattern.has_end())
        {
            warn(&format!(
                ": pattern {} does not end with $: a line that is cut in its last field may look whole",
                index + 1
            ));
        }
        let dialects = &settings.dialects;
        for (key, is_said, profile) in [
            ("huawei_user_blocks", dialects.huawei_user_blocks, Profile::Huawei),
            ("a10_subscriber", dialects.a10_subscriber.is_some(), Profile::A10),
            (
                "fortinet_pba_duration",
                dialects.fortinet_pba_duration.is_some(),
                Profile::Fortinet,
            ),
        ] {
            let is_read = [Some(Profile::Auto), Some(profile)].contains(&settings.profile);
            if is_said && !is_read {
                warn(&format!(": {key} does nothing with its profile"));
            }
        }
        if settings.profile == Some(Profile::CiscoIosXr) && settings.zone.is_some() {
            warn(": time_zone does nothing for IOS-XR, which writes UTC");
        }
    }
    warnings
}
