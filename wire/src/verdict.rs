//! Verdicts on packets, and the maps through which the XDP program and the collector talk.
//!
//! Both sides are compiled from these definitions; `collector-ebpf` declares the maps, the collector fills and reads them.
//! Integers in map values are in the machine's own order (kernel and collector share it); addresses are in network
//! order, as in the packet.
#![allow(
    clippy::inline_always,
    reason = "the kernel's verifier follows a function better when it is inlined"
)]

/// What became of a packet. The number is the index into the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Verdict {
    /// Not UDP to one of the listeners. Passes untouched.
    NotOurs = 0,
    /// A fragment of a UDP datagram over IPv4 or IPv6, first or later: only the first shows its ports, so all of them
    /// pass. The kernel puts them together; the collector applies the allow-list to the whole.
    Fragment = 1,
    /// To one of the listeners, but its lengths contradict each other. Passes untouched: the kernel drops it.
    Malformed = 2,
    /// To one of the listeners, from a source that is no exporter. The only verdict that drops.
    NotAllowed = 3,
    /// To one of the listeners, from an exporter (or from anybody, when all are allowed). Passes to the sockets: with
    /// AF_XDP that is what is larger than a frame, what comes on a queue that has no AF_XDP socket, and what comes before
    /// the first and after the last of them is there.
    Accepted = 4,
    /// As accepted, and went to an AF_XDP socket.
    Redirected = 5,
}

/// Number of verdicts.
pub const VERDICTS: u32 = Verdict::ALL.len() as u32;

impl Verdict {
    /// All verdicts, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::NotOurs,
        Self::Fragment,
        Self::Malformed,
        Self::NotAllowed,
        Self::Accepted,
        Self::Redirected,
    ];

    /// Name in metrics and reports; does not change from version to version.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Fragment => "fragment",
            Self::Malformed => "malformed",
            Self::NotAllowed => "not_allowed",
            Self::Accepted => "accepted",
            Self::Redirected => "redirected",
        }
    }

    /// Whether the packet ends here; all others go on to the kernel, or to an AF_XDP socket.
    #[inline(always)]
    pub const fn drops(self) -> bool {
        matches!(self, Self::NotAllowed)
    }
}

/// Number of an exporter's prefix: an index into the counters, `1..=EXPORTER_ID_MAX`, or [`NO_EXPORTER`].
pub type ExporterId = u32;
/// The source is in no exporter's prefix, or was not looked at.
pub const NO_EXPORTER: ExporterId = 0;
/// Most prefixes of exporters at one time, IPv4 and IPv6 together.
pub const MAX_EXPORTERS: u32 = 2048;
/// Highest exporter number. Twice as many as exporters, so that on a reload all new ones fit before an old one leaves.
pub const EXPORTER_ID_MAX: ExporterId = 2 * MAX_EXPORTERS;
/// Most ports that listeners may have.
pub const MAX_PORTS: u32 = 64;
/// Most listeners that are bound to one address, not to all.
pub const MAX_BOUND_LISTENERS: u32 = 256;
/// Most receive queues with AF_XDP sockets.
pub const MAX_XSK_QUEUES: u32 = 256;
/// Most AF_XDP sockets: queues times threads.
pub const MAX_XSK_SOCKETS: u32 = 1024;
/// Cells of the counters of one CPU.
pub const COUNTER_CELLS: u32 = (EXPORTER_ID_MAX + 1) * VERDICTS;

/// Name of the XDP program in the object.
pub const PROGRAM: &str = "natrail";
/// Array of one [`Settings`].
pub const MAP_SETTINGS: &str = "SETTINGS";
/// Hash map from a UDP port (`u16`) to [`Listener`].
pub const MAP_LISTENERS: &str = "LISTENERS";
/// Hash map from [`BoundListener`] to `u8` (no meaning: the key is there or not).
pub const MAP_BOUND_LISTENERS: &str = "BOUND_LISTENERS";
/// LPM trie from an IPv4 prefix (`[u8; 4]`) to [`ExporterId`].
pub const MAP_EXPORTERS_V4: &str = "EXPORTERS_V4";
/// LPM trie from an IPv6 prefix (`[u8; 16]`) to [`ExporterId`].
pub const MAP_EXPORTERS_V6: &str = "EXPORTERS_V6";
/// Per-CPU array of [`COUNTER_CELLS`] [`Counter`]s, indexed by [`counter_index`].
pub const MAP_COUNTERS: &str = "COUNTERS";
/// Array of one [`AfXdp`].
pub const MAP_AF_XDP: &str = "AF_XDP";
/// Hash map from [`XskQueue`] to the place (`u32`) of the queue's first socket in [`MAP_XSK_SOCKETS`]; one for each thread
/// follows, in the threads' order.
pub const MAP_XSK_QUEUES: &str = "XSK_QUEUES";
/// XSKMAP of [`MAX_XSK_SOCKETS`] sockets.
pub const MAP_XSK_SOCKETS: &str = "XSK_SOCKETS";

/// What holds for all packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Not 0: sources that are no exporter are accepted too.
    pub allow_all: u32,
}

/// How accepted packets go to AF_XDP sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AfXdp {
    /// Threads, and so sockets of each queue. 0: no packet goes to such a socket.
    pub threads: u32,
    /// Larger packets do not fit into a frame: they go to the kernel's sockets. From the Ethernet header on.
    pub packet_octets_max: u32,
}

/// A receive queue of a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct XskQueue {
    pub interface: u32,
    pub queue: u32,
}

/// Octets in front of a packet in a frame of AF_XDP that the XDP program writes: when the packet came, in ns of
/// CLOCK_TAI (`u64`). 0 if the driver leaves no room there.
pub const STAMP_OCTETS: usize = 8;
/// Packets that one thread gets before it is the next one's turn, where they are spread in turns.
pub const TURN_PACKETS: u32 = 32;

/// Who listens on a port; a set of the bits below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Listener {
    pub bits: u32,
}

impl Listener {
    /// On all IPv4 addresses.
    pub const ANY_V4: u32 = 1;
    /// On all IPv6 addresses.
    pub const ANY_V6: u32 = 2;
    /// On the IPv4 addresses that are among the [`BoundListener`]s.
    pub const BOUND_V4: u32 = 4;
    /// On the IPv6 addresses that are among the [`BoundListener`]s.
    pub const BOUND_V6: u32 = 8;
    /// With AF_XDP, the packets of one exporter and source port go to one thread; different ports may go to different
    /// threads. Without this bit and the next, all packets of an exporter go to one thread.
    pub const SPREAD_BY_FLOW: u32 = 16;
    /// With AF_XDP, packets go to all threads in turns of [`TURN_PACKETS`].
    pub const SPREAD_IN_TURNS: u32 = 32;
}

/// A listener on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct BoundListener {
    /// IPv6, or IPv4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    pub port: u16,
}

/// Packets and their octets, from the Ethernet header on, without checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    pub packets: u64,
    pub octets: u64,
}

/// Place of a counter in [`MAP_COUNTERS`].
#[inline(always)]
pub const fn counter_index(exporter: ExporterId, verdict: Verdict) -> u32 {
    exporter.wrapping_mul(VERDICTS).wrapping_add(verdict as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_indexes_and_names_are_distinct() {
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, number);
        }
        let names: HashSet<_> = Verdict::ALL.map(Verdict::name).into();
        assert_eq!(names.len(), Verdict::ALL.len());
    }

    #[test]
    fn every_cell_has_one_owner() {
        let cells: HashSet<_> = (0..=EXPORTER_ID_MAX)
            .flat_map(|exporter| Verdict::ALL.map(|verdict| counter_index(exporter, verdict)))
            .collect();
        assert_eq!(cells.len() as u32, COUNTER_CELLS);
        assert_eq!(cells.iter().max(), Some(&(COUNTER_CELLS - 1)));
    }

    #[test]
    fn keys_have_no_padding() {
        // The kernel compares keys octet by octet, padding included.
        assert_eq!(size_of::<BoundListener>(), 16 + 2);
        assert_eq!(size_of::<XskQueue>(), 4 + 4);
    }
}
