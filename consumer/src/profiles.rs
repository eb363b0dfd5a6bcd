//! What reads an exporter, and what is known of it.

use std::net::IpAddr;

use decode::{Exporter, Profile};
use rustc_hash::FxHashMap;
use store::clock::Reading;

use crate::clocks::Clock;

/// Exporters whose profile is remembered. With `exporters.allow_all` anybody may send: the memory has to have an end.
const REMEMBERED_MAX: usize = 65_536;

/// The configuration's answer for each exporter, remembered: finding the longest prefix walks the whole list.
#[derive(Debug)]
pub struct Profiles {
    exporters: config::Exporters,
    /// One for each entry of the configuration, and behind them the one for exporters without an entry.
    readers: Vec<Exporter>,
    /// Places in `known`.
    remembered: FxHashMap<IpAddr, usize>,
    known: Vec<Known>,
    last: Option<(IpAddr, usize)>,
}

/// An exporter that has sent something.
#[derive(Debug)]
struct Known {
    address: IpAddr,
    /// Place in `readers`.
    reader: usize,
    clock: Clock,
}

impl Profiles {
    pub fn new(exporters: config::Exporters) -> Self {
        let said = exporters.list.iter().map(|entry| entry.settings.clone());
        let readers = said.chain([Profile::Auto.into()]).map(Exporter::new).collect();
        Self {
            exporters,
            readers,
            remembered: FxHashMap::default(),
            known: Vec::new(),
            last: None,
        }
    }

    /// The reader of `exporter`'s messages, which is `auto` for one that the configuration does not name, and its clock.
    #[inline]
    pub fn of(&mut self, exporter: IpAddr) -> (&mut Exporter, &mut Clock) {
        let place = match self.last {
            Some((last, place)) if last == exporter => place,
            _ => self.look_up(exporter),
        };
        let known = &mut self.known[place];
        (&mut self.readers[known.reader], &mut known.clock)
    }

    /// What is new of the clocks.
    pub fn take_readings(&mut self) -> Vec<Reading> {
        let known = self.known.iter_mut();
        known
            .filter_map(|known| known.clock.take_reading(known.address))
            .collect()
    }

    fn look_up(&mut self, exporter: IpAddr) -> usize {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
            self.known.clear();
        }
        let place = *self.remembered.entry(exporter).or_insert_with(|| {
            let unnamed = self.readers.len() - 1;
            self.known.push(Known {
                address: exporter,
                reader: self.exporters.place(exporter).unwrap_or(unnamed),
                clock: Clock::UNKNOWN,
            });
            self.known.len() - 1
        });
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
            assert_eq!(profiles.of(stranger).0.settings().profile, Some(Profile::Auto));
            let named = IpAddr::from([192, 0, 2, 7]);
            assert_eq!(profiles.of(named).0.settings().profile, Some(Profile::Nfware));
        }
        assert!(profiles.remembered.len() <= REMEMBERED_MAX && profiles.known.len() <= REMEMBERED_MAX);
    }
}
