//! Who may send, compiled for one question per datagram.
//!
//! The XDP program asks the same earlier; here it is asked again for all, since datagrams that came by loopback or in
//! fragments never met that program.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::ledger::{Slot, Slots};

/// Places of a thread's [`ExporterCache`], a power of two.
const CACHE_PLACES: usize = 4096;

/// The allowed exporters, immutable.
#[derive(Debug, Default)]
pub struct AllowList {
    allow_all: bool,
    /// Prefixes by family and length: IPv4 first. Only lengths that occur.
    v4: Vec<(u8, FxHashSet<u32>)>,
    v6: Vec<(u8, FxHashSet<u128>)>,
}

impl AllowList {
    pub fn new(exporters: &config::Exporters) -> Self {
        let mut list = Self {
            allow_all: exporters.allow_all,
            ..Self::default()
        };
        for exporter in &exporters.list {
            let length = exporter.address.prefix_len();
            match exporter.address.network() {
                IpAddr::V4(network) => insert(&mut list.v4, length, network.to_bits()),
                IpAddr::V6(network) => insert(&mut list.v6, length, network.to_bits()),
            }
        }
        list
    }

    /// Whether `address` may send. Probes one hash set for each prefix length in use.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow_all
            || match address {
                IpAddr::V4(v4) => self.v4.iter().any(|(length, networks)| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    networks.contains(&(v4.to_bits() & mask))
                }),
                IpAddr::V6(v6) => self.v6.iter().any(|(length, networks)| {
                    let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                    networks.contains(&(v6.to_bits() & mask))
                }),
            }
    }
}

fn insert<N: std::hash::Hash + Eq>(sets: &mut Vec<(u8, FxHashSet<N>)>, length: u8, network: N) {
    let place = sets.iter().position(|(of, _)| *of == length).unwrap_or_else(|| {
        sets.push((length, FxHashSet::default()));
        sets.len() - 1
    });
    sets[place].1.insert(network);
}

/// The list in force, replaced on reload while threads read it.
#[derive(Debug)]
pub struct SharedAllowList {
    list: Mutex<Arc<AllowList>>,
    generation: AtomicU64,
}

impl SharedAllowList {
    pub fn new(list: AllowList) -> Self {
        Self {
            list: Mutex::new(Arc::new(list)),
            generation: AtomicU64::new(0),
        }
    }

    pub fn replace(&self, list: AllowList) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn current(&self) -> Arc<AllowList> {
        Arc::clone(&self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a thread knows of an exporter that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub partition: i32,
    /// Where the ledger counts it.
    pub slot: Slot,
}

/// What a thread remembers of exporters: whether they may send, and where they belong. Fixed size: of two exporters that
/// want the same place, the later one has it.
#[derive(Debug)]
pub struct ExporterCache {
    shared: Arc<SharedAllowList>,
    list: Arc<AllowList>,
    generation: u64,
    partitions: u16,
    places: Box<[Place]>,
}

/// `exporter` is `None` in a place never used.
#[derive(Clone, Copy, Debug)]
struct Place {
    exporter: Option<IpAddr>,
    known: Option<Known>,
}

impl ExporterCache {
    const EMPTY: Place = Place {
        exporter: None,
        known: None,
    };

    pub fn new(shared: Arc<SharedAllowList>, partitions: u16) -> Self {
        let generation = shared.generation.load(Ordering::Acquire);
        let list = shared.current();
        Self {
            shared,
            list,
            generation,
            partitions,
            places: vec![Self::EMPTY; CACHE_PLACES].into(),
        }
    }

    /// Takes the newest list, and forgets everything if it has changed. Cheap if not: call it for every batch.
    pub fn refresh(&mut self) {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.list = self.shared.current();
            self.places.fill(Self::EMPTY);
        }
    }

    /// What is known of `exporter`; `None` if it may not send.
    pub fn find(&mut self, exporter: IpAddr, slots: &mut Slots) -> Option<Known> {
        let hash = FxBuildHasher.hash_one(exporter);
        let place = &mut self.places[hash as usize & (CACHE_PLACES - 1)];
        if place.exporter != Some(exporter) {
            let allowed = self.list.allows(exporter);
            *place = Place {
                exporter: Some(exporter),
                known: allowed.then(|| Known {
                    partition: bus::partition_of(exporter, self.partitions),
                    slot: slots.of(exporter),
                }),
            };
        }
        place.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporters(prefixes: &[&str], allow_all: bool) -> config::Exporters {
        let mut text = format!("[exporters]\nallow_all = {allow_all}\n");
        for prefix in prefixes {
            text += &format!("[[exporters.exporter]]\naddress = \"{prefix}\"\n");
        }
        config::Config::parse(&text, std::path::Path::new("test"))
            .expect("valid")
            .exporters
    }

    #[test]
    fn it_answers_as_the_configuration_does() {
        for allow_all in [false, true] {
            let prefixes = [
                "192.0.2.0/24",
                "198.51.100.7",
                "2001:db8::/32",
                "2001:db9::1",
                "10.0.0.0/9",
                "203.0.113.129/25",
            ];
            let exporters = exporters(&prefixes, allow_all);
            let list = AllowList::new(&exporters);
            for address in [
                "192.0.2.0",
                "192.0.2.255",
                "192.0.3.0",
                "198.51.100.7",
                "198.51.100.6",
                "2001:db8:1::",
                "2001:db9::1",
                "2001:db9::2",
                "10.127.255.255",
                "10.128.0.0",
                "203.0.113.128",
                "203.0.113.127",
                "0.0.0.0",
                "::",
            ] {
                let address = address.parse().expect("address");
                assert_eq!(list.allows(address), exporters.allows(address), "{address}");
            }
        }
    }

    #[test]
    fn a_prefix_of_length_zero_is_everybody_of_its_family() {
        let list = AllowList::new(&exporters(&["0.0.0.0/0"], false));
        assert!(list.allows(IpAddr::from([1, 2, 3, 4])) && !list.allows("::1".parse().expect("address")));
    }

    #[test]
    fn the_cache_forgets_on_reload_and_holds_more_exporters_than_places() {
        let shared = Arc::new(SharedAllowList::new(AllowList::new(&exporters(
            &["10.0.0.0/8"],
            false,
        ))));
        let mut cache = ExporterCache::new(Arc::clone(&shared), 8);
        let mut slots = Slots::new();
        for round in 0..2 {
            for i in 0..3 * CACHE_PLACES as u32 {
                let exporter = IpAddr::from((0x0a00_0000 + i).to_be_bytes());
                let known = cache.find(exporter, &mut slots).expect("allowed");
                assert_eq!(known.partition, bus::partition_of(exporter, 8), "round {round}");
                assert_eq!(known.slot, slots.of(exporter));
            }
        }
        let exporter = IpAddr::from([10, 0, 0, 1]);
        shared.replace(AllowList::new(&exporters(&["192.0.2.1"], false)));
        cache.refresh();
        assert_eq!(cache.find(exporter, &mut slots), None);
        assert!(cache.find(IpAddr::from([192, 0, 2, 1]), &mut slots).is_some());
    }
}
