//! The filter in the kernel, seen from the collector: loads the XDP program, fills its tables, attaches it, reads its
//! counters.
//!
//! The program and the layout of its maps are `collector-ebpf` and [`wire::verdict`]. The object is built by
//! `cargo xtask ebpf` and committed; it is part of this binary.
//!
//! # Minimum kernel version
//! 6.1 (`bpf_ktime_get_tai_ns`; `xdp.frags` is of 5.18).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, Pod};
use config::{Exporter, Exporters, XdpMode};
use ipnet::IpNet;
use wire::filter::Filter;
use wire::limit::Limit;
use wire::verdict::{
    BoundListener, Counter, ExporterId, FILTERS_PER_LISTENER, Listener, ListenerNumber, MAP_BOUND_LISTENERS,
    MAP_COUNTERS, MAP_EXPORTERS_V4, MAP_EXPORTERS_V6, MAP_FILTERS, MAP_GATE, MAP_LISTENERS, MAP_SETTINGS,
    MAX_BOUND_LISTENERS, MAX_PORTS, NO_EXPORTER, NO_FILTER, PROGRAM, Settings, VERDICTS, Verdict,
    counter_index,
};

use error::{attach_error, load_error, map_error, missing, mode_name};
use numbers::{Cells, Numbers, add, subtract};

mod error;
mod gate;
mod numbers;
mod redirect;
mod rules;

pub use error::XdpError;
pub(crate) use error::{has_code, reasons};
pub use gate::Rooms;
pub use redirect::Redirect;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../collector-ebpf/natrail-collector.bpf.o");

/// What became of the packets of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Name of the exporter, or its prefix. `None`: sources that are no exporter, and exporters that were removed.
    pub exporter: Option<String>,
    pub verdict: Verdict,
    pub packets: u64,
    /// From the Ethernet header on, without checksum.
    pub octets: u64,
}

/// The XDP program with its tables. It leaves the interfaces when this is dropped, or when the process ends, however it ends.
#[derive(Debug)]
pub struct XdpFilter {
    program: Ebpf,
    /// Links die with their file descriptors: nothing is pinned.
    links: Vec<FdLink>,
    /// Of the listeners, in the order of their gates.
    ports: Vec<u16>,
    exporters: Numbers,
    /// Places of the XSKMAP that may have a socket, from 0.
    redirected_sockets: u32,
    /// What stands in the map of filters in force, by listener, as far as there is room for filters.
    in_force: Vec<u32>,
}

impl XdpFilter {
    /// Loads the program for these listeners and exporters. Nothing is filtered before [`Self::attach`]. A listener's number is
    /// its place here; none has a filter yet.
    pub fn load(listeners: &[SocketAddr], exporters: &Exporters) -> Result<Self, XdpError> {
        let filters = rules::filters(listeners.len());
        let mut program = EbpfLoader::new()
            .map_max_entries(MAP_FILTERS, filters)
            .load(OBJECT)
            .map_err(|error| load_error(&error))?;
        let ports = fill_listeners(&mut program, listeners)?;
        let mut filter = Self {
            program,
            links: Vec::new(),
            ports,
            exporters: Numbers::default(),
            redirected_sockets: 0,
            in_force: vec![NO_FILTER; (filters / FILTERS_PER_LISTENER) as usize],
        };
        filter.reload(exporters)?;
        let natrail = filter.xdp()?;
        natrail.load().map_err(|error| load_error(&error.into()))?;
        Ok(filter)
    }

    /// Attaches the program to the interfaces, in this mode and no other. On an error it is attached to none.
    pub fn attach(&mut self, interfaces: &[String], mode: XdpMode) -> Result<(), XdpError> {
        let before = self.links.len();
        for interface in interfaces {
            match self.attach_one(interface, mode) {
                Ok(link) => self.links.push(link),
                Err(error) => {
                    self.links.truncate(before);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn attach_one(&mut self, interface: &str, mode: XdpMode) -> Result<FdLink, XdpError> {
        // A NUL is the one octet that aya cannot take in a name.
        if interface.contains('\0') {
            return Err(XdpError::NoInterface {
                interface: interface.into(),
            });
        }
        let natrail = self.xdp()?;
        let link = natrail
            .attach(interface, aya_mode(mode))
            .and_then(|id| natrail.take_link(id))
            .map_err(|error| attach_error(error, interface, mode))?;
        // aya falls back to netlink when the kernel refuses a link: such a program would outlive a killed process.
        FdLink::try_from(link).map_err(|error| XdpError::Attach {
            interface: interface.into(),
            mode: mode_name(mode),
            reason: format!("the kernel gave no link for it ({error})"),
        })
    }

    /// Puts other exporters in the place of the present ones. At no moment is one dropped that is in both; a prefix that
    /// is in both keeps its counters. On an error the present ones stay, and some of the new may be there too.
    pub fn reload(&mut self, exporters: &Exporters) -> Result<(), XdpError> {
        let change = self.exporters.change_to(exporters)?;
        if exporters.allow_all {
            self.set_allow_all(true)?;
        }
        for &(prefix, number) in &change.added {
            let cells = self.cells(number)?;
            self.exporters.add(prefix, number, cells);
        }
        self.set_limits(exporters)?;
        for &(prefix, number) in &change.added {
            self.insert(prefix, number)?;
        }
        if !exporters.allow_all {
            self.set_allow_all(false)?;
        }
        for prefix in change.removed {
            self.remove(prefix)?;
            self.exporters.remove(prefix);
        }
        self.exporters.rename(exporters);
        Ok(())
    }

    /// The gates of the listeners' ports, for so many receive threads.
    pub fn rooms(&self, threads: usize) -> Result<Rooms, XdpError> {
        let Some(Map::Array(gates)) = self.program.map(MAP_GATE) else {
            return Err(missing(MAP_GATE));
        };
        Rooms::map(gates.fd(), self.ports.clone(), threads).map_err(|error| XdpError::Map {
            action: "map into memory",
            map: MAP_GATE,
            reason: error.to_string(),
        })
    }

    /// What was counted since the program was loaded, over all CPUs. All verdicts of every exporter are there, those of
    /// exporters that were removed are among those of nobody: the sum never falls.
    pub fn counts(&self) -> Result<Vec<Count>, XdpError> {
        let counters = self.counters()?;
        let mut nobody = self.exporters.retired;
        add(&mut nobody, &read_cells(&counters, NO_EXPORTER)?);
        for left in &self.exporters.left {
            let cells = read_cells(&counters, left.number)?;
            add(&mut nobody, &subtract(&cells, &left.start));
        }
        let mut counts = Vec::with_capacity((self.exporters.present.len() + 1) * VERDICTS as usize);
        counts.extend(named(None, &nobody));
        for exporter in self.exporters.present.values() {
            let cells = read_cells(&counters, exporter.number)?;
            counts.extend(named(Some(&exporter.name), &subtract(&cells, &exporter.start)));
        }
        Ok(counts)
    }

    /// Runs the program `repeat` times on a packet that never was on a wire. Gives its return value (an `xdp_action`) and
    /// the mean duration of a run in ns. The packet is counted as often.
    pub fn test_run(&mut self, packet: &[u8], repeat: u32) -> Result<(u32, f64), XdpError> {
        let natrail = self.xdp()?;
        let result = natrail
            .test_run(TestRunOptions {
                data_in: Some(packet),
                repeat,
                ..TestRunOptions::default()
            })
            .map_err(|error| XdpError::TestRun(reasons(&error)))?;
        // The kernel gives the mean, in whole ns.
        Ok((result.return_value, result.duration.as_nanos() as f64))
    }

    fn xdp(&mut self) -> Result<&mut Xdp, XdpError> {
        let program = self
            .program
            .program_mut(PROGRAM)
            .ok_or_else(|| missing(PROGRAM))?;
        program
            .try_into()
            .map_err(|error: ProgramError| XdpError::Load(reasons(&error)))
    }

    fn set_allow_all(&mut self, allow_all: bool) -> Result<(), XdpError> {
        let settings = Shared(Settings {
            allow_all: allow_all.into(),
        });
        let map = self
            .program
            .map_mut(MAP_SETTINGS)
            .ok_or_else(|| missing(MAP_SETTINGS))?;
        Array::<&mut MapData, Shared<Settings>>::try_from(map)
            .and_then(|mut array| array.set(0, settings, 0))
            .map_err(|error| map_error("write", MAP_SETTINGS, &error))
    }

    fn insert(&mut self, prefix: IpNet, number: ExporterId) -> Result<(), XdpError> {
        let (map, result) = match prefix {
            IpNet::V4(v4) => {
                let key = Key::new(v4.prefix_len().into(), v4.network().octets());
                (
                    MAP_EXPORTERS_V4,
                    self.trie(MAP_EXPORTERS_V4)?.insert(&key, number, 0),
                )
            }
            IpNet::V6(v6) => {
                let key = Key::new(v6.prefix_len().into(), v6.network().octets());
                (
                    MAP_EXPORTERS_V6,
                    self.trie(MAP_EXPORTERS_V6)?.insert(&key, number, 0),
                )
            }
        };
        result.map_err(|error| map_error("write", map, &error))
    }

    fn remove(&mut self, prefix: IpNet) -> Result<(), XdpError> {
        let (map, result) = match prefix {
            IpNet::V4(v4) => {
                let key = Key::new(v4.prefix_len().into(), v4.network().octets());
                (
                    MAP_EXPORTERS_V4,
                    self.trie::<[u8; 4]>(MAP_EXPORTERS_V4)?.remove(&key),
                )
            }
            IpNet::V6(v6) => {
                let key = Key::new(v6.prefix_len().into(), v6.network().octets());
                (
                    MAP_EXPORTERS_V6,
                    self.trie::<[u8; 16]>(MAP_EXPORTERS_V6)?.remove(&key),
                )
            }
        };
        match result {
            // An earlier reload that failed half-way may have taken it out.
            Err(MapError::KeyNotFound) => Ok(()),
            result => result.map_err(|error| map_error("delete from", map, &error)),
        }
    }

    fn trie<K: Pod>(&mut self, map: &'static str) -> Result<LpmTrie<&mut MapData, K, ExporterId>, XdpError> {
        let trie = self.program.map_mut(map).ok_or_else(|| missing(map))?;
        LpmTrie::try_from(trie).map_err(|error| map_error("open", map, &error))
    }

    fn counters(&self) -> Result<Counters<'_>, XdpError> {
        let map = self
            .program
            .map(MAP_COUNTERS)
            .ok_or_else(|| missing(MAP_COUNTERS))?;
        PerCpuArray::try_from(map).map_err(|error| map_error("open", MAP_COUNTERS, &error))
    }

    fn cells(&self, number: ExporterId) -> Result<Cells, XdpError> {
        read_cells(&self.counters()?, number)
    }
}

/// Mean duration of the program on `packet`, in ns, over `repeat` runs in the kernel. The listeners and exporters are such
/// that `wire::packet::samples::measured` gets the verdicts it names; both listeners have `rules`. Needs CAP_BPF, CAP_PERFMON
/// and CAP_NET_ADMIN.
pub fn nanoseconds_per_packet(packet: &[u8], repeat: u32, rules: Option<&Filter>) -> Result<f64, XdpError> {
    let listeners = [
        SocketAddr::from(([0; 4], 514)),
        SocketAddr::from(([0_u16; 8], 514)),
    ];
    let exporter = |address: IpAddr, length| Exporter::new(IpNet::new_assert(address, length));
    let list = vec![
        exporter([198, 51, 100, 0].into(), 24),
        exporter([0x2001, 0xdb8, 5, 0, 0, 0, 0, 0].into(), 48),
    ];
    let mut filter = XdpFilter::load(
        &listeners,
        &Exporters {
            allow_all: false,
            list,
        },
    )?;
    for listener in 0..listeners.len() as ListenerNumber {
        filter.set_filter(listener, rules)?;
    }
    // The first runs warm the caches.
    filter.test_run(packet, repeat.div_ceil(10))?;
    Ok(filter.test_run(packet, repeat)?.1)
}

/// A value of `wire` in a map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared<T>(T);

// SAFETY: `repr(C)`, integers only, no padding.
unsafe impl Pod for Shared<Settings> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Listener> {}
// SAFETY: as above; a test in `wire` says that there is no padding.
unsafe impl Pod for Shared<BoundListener> {}
// SAFETY: as above, and so is this.
unsafe impl Pod for Shared<Filter> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Limit> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Counter> {}

type Counters<'a> = PerCpuArray<&'a MapData, Shared<Counter>>;

fn read_cells(counters: &Counters<'_>, number: ExporterId) -> Result<Cells, XdpError> {
    let mut cells = Cells::default();
    for (cell, verdict) in cells.iter_mut().zip(Verdict::ALL) {
        let cpus = counters
            .get(&counter_index(number, verdict), 0)
            .map_err(|error| map_error("read", MAP_COUNTERS, &error))?;
        for Shared(cpu) in cpus.iter() {
            cell.packets += cpu.packets;
            cell.octets += cpu.octets;
        }
    }
    Ok(cells)
}

fn named(exporter: Option<&str>, cells: &Cells) -> impl Iterator<Item = Count> {
    Verdict::ALL
        .into_iter()
        .zip(*cells)
        .map(move |(verdict, cell)| Count {
            exporter: exporter.map(str::to_owned),
            verdict,
            packets: cell.packets,
            octets: cell.octets,
        })
}

/// Gives back the ports, in the order of their gates.
fn fill_listeners(program: &mut Ebpf, listeners: &[SocketAddr]) -> Result<Vec<u16>, XdpError> {
    let mut ports: BTreeMap<u16, Listener> = BTreeMap::new();
    let mut bound: Vec<(BoundListener, ListenerNumber)> = Vec::new();
    for (number, address) in (0..).zip(listeners) {
        let of_port = ports.entry(address.port()).or_default();
        let octets = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        match (address.is_ipv4(), address.ip().is_unspecified()) {
            (true, true) => {
                of_port.bits |= Listener::ANY_V4;
                of_port.any_v4 = number;
            }
            (false, true) => {
                of_port.bits |= Listener::ANY_V6;
                of_port.any_v6 = number;
            }
            (is_ipv4, false) => {
                let bit = [Listener::BOUND_V6, Listener::BOUND_V4][usize::from(is_ipv4)];
                of_port.bits |= bit;
                let port = address.port();
                bound.push((
                    BoundListener {
                        address: octets,
                        port,
                    },
                    number,
                ));
            }
        }
    }
    if ports.len() > MAX_PORTS as usize || bound.len() > MAX_BOUND_LISTENERS as usize {
        return Err(XdpError::TooManyListeners {
            ports: ports.len(),
            bound: bound.len(),
        });
    }
    let error = |error: MapError| map_error("write", MAP_BOUND_LISTENERS, &error);
    let map = program
        .map_mut(MAP_BOUND_LISTENERS)
        .ok_or_else(|| missing(MAP_BOUND_LISTENERS))?;
    let mut map: HashMap<_, Shared<BoundListener>, ListenerNumber> = HashMap::try_from(map).map_err(error)?;
    for (listener, number) in bound {
        map.insert(Shared(listener), number, 0).map_err(error)?;
    }
    let error = |error: MapError| map_error("write", MAP_LISTENERS, &error);
    let map = program
        .map_mut(MAP_LISTENERS)
        .ok_or_else(|| missing(MAP_LISTENERS))?;
    let mut map: HashMap<_, u16, Shared<Listener>> = HashMap::try_from(map).map_err(error)?;
    for ((&port, &listener), gate) in ports.iter().zip(0..) {
        map.insert(port, Shared(Listener { gate, ..listener }), 0)
            .map_err(error)?;
    }
    Ok(ports.into_keys().collect())
}

fn aya_mode(mode: XdpMode) -> aya::programs::XdpMode {
    match mode {
        XdpMode::Native => aya::programs::XdpMode::Driver,
        XdpMode::Generic => aya::programs::XdpMode::Skb,
    }
}
