//! Which decoder reads an exporter.

use std::net::IpAddr;

use decode::Profile;
use rustc_hash::FxHashMap;

/// Exporters whose profile is remembered. With `exporters.allow_all` anybody may send: the memory has to have an end.
const REMEMBERED_MAX: usize = 65_536;

/// The configuration's answer for each exporter, remembered: finding the longest prefix walks the whole list.
#[derive(Debug)]
pub struct Profiles {
    exporters: config::Exporters,
    remembered: FxHashMap<IpAddr, Profile>,
    last: Option<(IpAddr, Profile)>,
}

impl Profiles {
    pub fn new(exporters: config::Exporters) -> Self {
        Self {
            exporters,
            remembered: FxHashMap::default(),
            last: None,
        }
    }

    /// The profile of `exporter`; `auto` for one that the configuration does not name.
    pub fn of(&mut self, exporter: IpAddr) -> Profile {
        if let Some((last, profile)) = self.last
            && last == exporter
        {
            return profile;
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        let exporters = &self.exporters;
        let find = || {
            exporters
                .find(exporter)
                .map_or(Profile::Auto, |entry| entry.profile)
        };
        let profile = *self.remembered.entry(exporter).or_insert_with(find);
        self.last = Some((exporter, profile));
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_have_their_profile_and_the_memory_has_an_end() {
        let text = "[exporters]\nallow_all = true\n[[exporters.exporter]]\naddress = \"192.0.2.0/24\"\nprofile = \"nfware\"";
        let config = config::Config::parse(text, std::path::Path::new("test.toml")).expect("valid");
        let mut profiles = Profiles::new(config.exporters);
        for number in 0..REMEMBERED_MAX as u32 + 10 {
            assert_eq!(
                profiles.of(IpAddr::from((0x0a00_0000 + number).to_be_bytes())),
                Profile::Auto
            );
            assert_eq!(profiles.of(IpAddr::from([192, 0, 2, 7])), Profile::Nfware);
        }
        assert!(profiles.remembered.len() <= REMEMBERED_MAX);
    }
}
