//! Which decoder reads an exporter.

use std::net::IpAddr;

use decode::{Exporter, Profile};
use rustc_hash::FxHashMap;

/// Exporters whose profile is remembered. With `exporters.allow_all` anybody may send: the memory has to have an end.
const REMEMBERED_MAX: usize = 65_536;

/// The configuration's answer for each exporter, remembered: finding the longest prefix walks the whole list.
#[derive(Debug)]
pub struct Profiles {
    exporters: config::Exporters,
    /// One for each entry of the configuration, and behind them the one for exporters without an entry.
    readers: Vec<Exporter>,
    /// Places in `readers`.
    remembered: FxHashMap<IpAddr, usize>,
    last: Option<(IpAddr, usize)>,
}

impl Profiles {
    pub fn new(exporters: config::Exporters) -> Self {
        let said = exporters.list.iter().map(|entry| entry.settings.clone());
        let readers = said.chain([Profile::Auto.into()]).map(Exporter::new).collect();
        Self {
            exporters,
            readers,
            remembered: FxHashMap::default(),
            last: None,
        }
    }

    /// The reader of `exporter`'s messages; `auto` for one that the configuration does not name.
    #[inline]
    pub fn of(&mut self, exporter: IpAddr) -> &mut Exporter {
        let place = match self.last {
            Some((last, place)) if last == exporter => place,
            _ => self.look_up(exporter),
        };
        &mut self.readers[place]
    }

    fn look_up(&mut self, exporter: IpAddr) -> usize {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        let (exporters, unnamed) = (&self.exporters, self.readers.len() - 1);
        let find = || exporters.place(exporter).unwrap_or(unnamed);
        let place = *self.remembered.entry(exporter).or_insert_with(find);
        self.last = Some((exporter, place));
        place
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
            let stranger = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            assert_eq!(profiles.of(stranger).settings().profile, Some(Profile::Auto));
            let named = IpAddr::from([192, 0, 2, 7]);
            assert_eq!(profiles.of(named).settings().profile, Some(Profile::Nfware));
        }
        assert!(profiles.remembered.len() <= REMEMBERED_MAX);
    }
}
