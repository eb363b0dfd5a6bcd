//! The name of a profile: of syslog, of flow records, or of both.

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use decode::{Profile, netflow};

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    name: &'static str,
    syslog: Option<Profile>,
    flow: Option<netflow::Profile>,
}

impl Default for Named {
    fn default() -> Self {
        Self {
            name: Profile::Auto.name(),
            syslog: Some(Profile::Auto),
            flow: Some(netflow::Profile::Auto),
        }
    }
}

impl Named {
    /// All names, each once.
    fn all() -> Vec<Self> {
        let syslog = Profile::ALL.into_iter().map(|profile| Self {
            name: profile.name(),
            syslog: Some(profile),
            flow: profile.name().parse().ok(),
        });
        let flow = netflow::Profile::ALL
            .into_iter()
            .filter(|profile| profile.name().parse::<Profile>().is_err())
            .map(|profile| Self {
                name: profile.name(),
                syslog: None,
                flow: Some(profile),
            });
        syslog.chain(flow).collect()
    }

    /// The profile for lines.
    pub fn syslog(self) -> anyhow::Result<Profile> {
        self.syslog
            .with_context(|| format!("profile {} is one of flow records: it needs --pcap", self.name))
    }

    /// The profile for syslog in a capture: auto, if the name is one of flow records.
    pub fn syslog_or_auto(self) -> Profile {
        self.syslog.unwrap_or_default()
    }

    /// The profile for flow records in a capture: auto, if the name is one of syslog.
    pub fn flow_or_auto(self) -> netflow::Profile {
        self.flow.unwrap_or_default()
    }
}

/// Reads the name of a profile.
pub fn parser() -> impl TypedValueParser<Value = Named> {
    PossibleValuesParser::new(Named::all().into_iter().map(|named| named.name)).map(|name| {
        let named = Named::all().into_iter().find(|named| named.name == name);
        named.unwrap_or_default()
    })
}
