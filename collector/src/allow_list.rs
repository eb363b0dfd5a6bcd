//! Who may send, and how much, compiled for one question per datagram.
//!
//! The XDP program asks the same earlier; here it is asked again for all, since datagrams that came by loopback or in
//! fragments never met that program. How much is asked only where there is no such program: a datagram would take out of two
//! buckets otherwise.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustc_hash::{FxBuildHasher, FxHashMap};
use wire::limit::{self, Limit};

use crate::in_force::{InForce, Reader};

use crate::ledger::{Slot, Slots};

/// Places of a thread's [`ExporterCache`], a power of two.
const CACHE_PLACES: usize = 4096;

/// Where exporters' rates are kept to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// By the XDP program.
    Kernel,
    /// Here.
    UserSpace,
}

/// The allowed exporters; only the buckets change.
#[derive(Debug, Default)]
pub struct AllowList {
    allow_all: bool,
    /// Prefixes by family and length, the longest first: IPv4 first. Only lengths that occur.
    v4: Vec<(u8, FxHashMap<u32, Entry>)>,
    v6: Vec<(u8, FxHashMap<u128, Entry>)>,
    /// Shared by all threads. They are full at first, after a reload as well.
    buckets: Vec<(Limit, AtomicU64)>,
}

/// What is known of an exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// Place of its bucket, if it has one.
    bucket: Option<u32>,
}

impl AllowList {
    pub fn new(exporters: &config::Exporters, limits: Limits) -> Self {
        let mut list = Self {
            allow_all: exporters.allow_all,
            ..Self::default()
        };
        for exporter in &exporters.list {
            let mut entry = Entry::default();
            let limit = Limit::new(exporter.rate_max, exporter.burst);
            if limits == Limits::UserSpace && !limit.is_none() {
                entry.bucket = Some(list.buckets.len() as u32);
                list.buckets.push((limit, AtomicU64::new(0)));
            }
            let length = exporter.address.prefix_len();
            match exporter.address.network() {
                IpAddr::V4(network) => insert(&mut list.v4, length, network.to_bits(), entry),
                IpAddr::V6(network) => insert(&mut list.v6, length, network.to_bits(), entry),
            }
        }
        list
    }

    /// Whether `address` may send. Probes one hash map for each prefix length in use.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.find(address).is_some()
    }

    /// The entry with the longest prefix that holds `address`; an empty one for others if all may send.
    fn find(&self, address: IpAddr) -> Option<Entry> {
        let found = match address {
            IpAddr::V4(v4) => self.v4.iter().find_map(|(length, networks)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                networks.get(&(v4.to_bits() & mask))
            }),
            IpAddr::V6(v6) => self.v6.iter().find_map(|(length, networks)| {
                let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                networks.get(&(v6.to_bits() & mask))
            }),
        };
        found.copied().or_else(|| self.allow_all.then(Entry::default))
    }
}

/// Of two entries for the same prefix, the later one counts.
fn insert<N: std::hash::Hash + Eq>(
    maps: &mut Vec<(u8, FxHashMap<N, Entry>)>,
    length: u8,
    network: N,
    entry: Entry,
) {
    let place = maps
        .iter()
        .position(|(of, _)| *of <= length)
        .unwrap_or(maps.len());
    if maps.get(place).is_none_or(|(of, _)| *of != length) {
        maps.insert(place, (length, FxHashMap::default()));
    }
    maps[place].1.insert(network, entry);
}

/// What a thread remembers of exporters: whether they may send, their partition, bucket and place in the ledger. Fixed size: of
/// two exporters that want the same place, the later one has it.
#[derive(Debug)]
pub struct ExporterCache {
    list: Reader<AllowList>,
    partitions: u16,
    places: Box<[Place]>,
}

/// `exporter` is `None` in a place never used.
#[derive(Clone, Copy, Debug)]
struct Place {
    exporter: Option<IpAddr>,
    known: Option<Known>,
}

/// An exporter that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub partition: i32,
    /// Where the ledger counts it.
    pub slot: Slot,
    bucket: Option<u32>,
}

impl ExporterCache {
    const EMPTY: Place = Place {
        exporter: None,
        known: None,
    };

    pub fn new(shared: Arc<InForce<AllowList>>, partitions: u16) -> Self {
        Self {
            list: Reader::new(shared),
            partitions,
            places: vec![Self::EMPTY; CACHE_PLACES].into(),
        }
    }

    /// Takes the newest list, and forgets everything if it has changed. Cheap if not: call it for every batch.
    pub fn refresh(&mut self) {
        if self.list.refresh() {
            self.places.fill(Self::EMPTY);
        }
    }

    /// What is known of `exporter`; `None` if it may not send.
    pub fn find(&mut self, exporter: IpAddr, slots: &mut Slots) -> Option<Known> {
        let hash = FxBuildHasher.hash_one(exporter);
        let place = &mut self.places[hash as usize & (CACHE_PLACES - 1)];
        if place.exporter != Some(exporter) {
            let entry = self.list.find(exporter);
            *place = Place {
                exporter: Some(exporter),
                known: entry.map(|entry| Known {
                    partition: bus::partition_of(exporter, self.partitions),
                    slot: slots.of(exporter),
                    bucket: entry.bucket,
                }),
            };
        }
        place.known
    }

    /// Takes one out of the exporter's bucket; `false` if there is none. Asked with what [`Self::find`] gave since the last
    /// [`Self::refresh`]. `now_ns` is of a clock that does not go back, the same for all threads.
    pub fn admits(&self, known: Known, now_ns: impl FnOnce() -> u64) -> bool {
        let bucket = known
            .bucket
            .and_then(|place| self.list.buckets.get(place as usize));
        bucket.is_none_or(|(limit, bucket)| limit::take(bucket, *limit, now_ns()))
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
            let list = AllowList::new(&exporters, Limits::UserSpace);
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
        let list = AllowList::new(&exporters(&["0.0.0.0/0"], false), Limits::Kernel);
        assert!(list.allows(IpAddr::from([1, 2, 3, 4])) && !list.allows("::1".parse().expect("address")));
    }

    #[test]
    fn the_cache_forgets_on_reload_and_holds_more_exporters_than_places() {
        let list = |prefix| AllowList::new(&exporters(&[prefix], false), Limits::Kernel);
        let shared = Arc::new(InForce::new(list("10.0.0.0/8")));
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
        shared.replace(list("192.0.2.1"));
        cache.refresh();
        assert_eq!(cache.find(exporter, &mut slots), None);
        assert!(cache.find(IpAddr::from([192, 0, 2, 1]), &mut slots).is_some());
    }

    /// The longest prefix's bucket counts, for all threads together, and only here if not in the kernel.
    #[test]
    fn the_longest_prefix_says_how_much_may_come() {
        let text = "[[exporters.exporter]]\naddress = \"10.0.0.0/8\"\nrate_max = 1000\nburst = 20\n\
                    [[exporters.exporter]]\naddress = \"10.1.0.0/16\"\n\
                    [[exporters.exporter]]\naddress = \"10.1.2.3\"\nrate_max = 10\n";
        let config = config::Config::parse(text, std::path::Path::new("test")).expect("valid");
        for (limits, expected) in [(Limits::UserSpace, [20, 100, 10]), (Limits::Kernel, [100; 3])] {
            let shared = Arc::new(InForce::new(AllowList::new(&config.exporters, limits)));
            let mut slots = Slots::new();
            let mut threads = [(); 2].map(|()| ExporterCache::new(Arc::clone(&shared), 4));
            for (address, expected) in [[10, 2, 0, 1], [10, 1, 0, 1], [10, 1, 2, 3]]
                .into_iter()
                .zip(expected)
            {
                let passed = (0..100)
                    .filter(|i| {
                        let thread = &mut threads[i % 2];
                        let known = thread.find(IpAddr::from(address), &mut slots).expect("allowed");
                        thread.admits(known, || 1_000_000_000)
                    })
                    .count();
                assert_eq!(passed, expected, "{address:?}, {limits:?}");
            }
        }
    }
}
