//! All cells of the ledger.

use crate::verdict::Verdict;

macro_rules! cells {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal, $remedy:literal;)*) => {
        /// Where datagrams are counted. The number is what travels; the name is what the database and reports have. Neither
        /// changes from version to version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Cell {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Cell {
            /// All cells, in the order of their numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// `station.reason`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What is counted, in words for the operator.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }

            /// What to do when datagrams are lost here; empty where nothing is.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$variant => $remedy,)*
                }
            }
        }
    };
}

cells! {
    // What a receive thread counts, for each exporter and minute of the receive time: numbers are indexes, see `OF_THREADS`.
    ReceivedUdp = 0, "received.udp", "datagrams taken from the UDP sockets", "";
    ReceivedRing = 1, "received.ring", "datagrams taken from the AF_XDP rings", "";
    ReceivedStream = 2, "received.stream", "messages taken from TCP and TLS connections", "";
    Framed = 3, "framed", "datagrams put into frames", "";
    NotAllowed = 4, "dropped.not_allowed", "from a source that is no exporter",
        "if it is one of yours, add it under [[exporters.exporter]] and reload";
    Malformed = 5, "dropped.malformed", "without a usable sender", "";
    NoBuffer = 6, "dropped.no_buffer", "dropped since the bus does not keep up",
        "look at natrail_collector_bus_up and the disk; raise bus.queue_mib";
    Filtered = 7, "dropped.filtered", "refused by the content filter in user space", "";
    PriMasked = 8, "dropped.pri_masked", "refused by the mask of facility and severity in user space", "";
    RateLimited = 9, "dropped.rate_limited", "above the exporter's rate, in user space", "raise the exporter's rate";

    // Verdicts of the XDP program, of all its interfaces together.
    XdpNotOurs = 16, "xdp.not_ours", "packets to no listener, passed on untouched", "";
    XdpFragment = 17, "xdp.fragment", "fragments, passed on: the kernel puts them together", "";
    XdpMalformed = 18, "xdp.malformed", "packets to a listener with lengths that contradict each other; the kernel drops them", "";
    XdpNotAllowed = 19, "xdp.not_allowed", "dropped: from a source that is no exporter",
        "if it is one of yours, add it under [[exporters.exporter]] and reload";
    XdpAccepted = 20, "xdp.accepted", "passed on to the sockets", "";
    XdpRedirected = 21, "xdp.redirected", "given to the AF_XDP rings", "";
    XdpFiltered = 22, "xdp.filtered", "refused by the content filter", "";
    XdpPriMasked = 23, "xdp.pri_masked", "refused by the mask of facility and severity", "";
    XdpRateLimited = 24, "xdp.rate_limited", "dropped: above the exporter's rate", "raise the exporter's rate";
    XdpShed = 25, "xdp.shed", "dropped early, since the collector does not keep up",
        "give the collector more cores, or the bus more memory";

    // Of the interfaces' own statistics.
    NicReceived = 32, "nic.received", "packets that the interfaces received", "";
    NicMissed = 33, "nic.missed", "packets that the interfaces had no room for",
        "longer rings: `ethtool -G IF rx N`; more queues";
    NicDropped = 34, "nic.dropped", "packets that driver or stack dropped, as the interface says", "";

    // Of sockets and rings.
    SocketReceived = 40, "socket.received", "datagrams taken from the sockets", "";
    SocketDropped = 41, "socket.dropped", "dropped at the sockets: buffer full, or wrong checksum",
        "raise collector.socket_buffer_bytes, or add collector.cores";
    RingDropped = 42, "ring.dropped", "dropped at the AF_XDP rings: full", "longer rings, or more collector.cores";
    RingReceived = 43, "ring.received", "datagrams taken from the rings", "";

    // Framed, and lost before the bus or by it; for each exporter and minute.
    LostRefused = 48, "lost.refused", "in frames that the bus refused for good",
        "the collector's log says why the bus refused them";
    LostUndelivered = 49, "lost.undelivered", "in frames that the bus had not taken when the collector ended",
        "with Kafka, set bus.log.spill = true: what is left then stays on the disk";
    LostLogFull = 50, "lost.log_full", "in frames that the frame log dropped before they were consumed",
        "raise bus.log.size_max_mib, and look why the consumer did not take them";

    // Of the consumers, for each exporter and minute of the receive time.
    Taken = 64, "taken", "datagrams taken from the bus, each once", "";
    Stored = 65, "stored", "datagrams whose events are stored", "";
    Ignored = 66, "ignored", "known messages that are no mapping", "";
    DeadLetter = 67, "dead_letter", "could not be decoded",
        "they are in the dead-letter topic with their reason: `natrail log cat dead-letter/0`";
    Events = 68, "events", "events decoded", "";
    Rows = 69, "rows", "rows stored", "";
    Repeated = 70, "repeated", "datagrams in frames that came again, not stored again", "";
    MissingFrames = 71, "missing_frames", "frames that never came, told by the numbers of their neighbours", "";
    Parked = 72, "parked", "flow records that came before their template, and waited for it", "";
    Unparked = 73, "unparked", "those that wait no more: stored, ignored or given up", "";
    SequenceGap = 74, "sequence_gap", "numbers that exporters of flow records passed over: messages of NetFlow v9, records of IPFIX, flows of v5", "";
    SequenceLate = 75, "sequence_late", "those that came late after all", "";
}

impl Cell {
    /// Cells that a receive thread counts for each datagram: their numbers are `0..OF_THREADS`.
    pub const OF_THREADS: usize = 10;

    /// The cell of a number, or of a name; `None` if this version does not know it.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| *cell as u16 == number)
    }

    /// The cell of a name; `None` if this version does not know it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| cell.name() == name)
    }

    /// The cell of a verdict of the XDP program: `xdp.` and its name.
    pub fn of_verdict(verdict: Verdict) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|cell| cell.name().strip_prefix("xdp.") == Some(verdict.name()))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_distinct_and_lead_back() {
        let names: BTreeSet<_> = Cell::ALL.iter().map(|cell| cell.name()).collect();
        assert_eq!(names.len(), Cell::ALL.len());
        assert!(Cell::ALL.is_sorted_by(|a, b| (*a as u16) < (*b as u16)));
        for cell in Cell::ALL {
            assert_eq!(Cell::from_number(cell as u16), Some(cell));
            assert_eq!(Cell::from_name(cell.name()), Some(cell));
        }
        for number in 0..Cell::OF_THREADS {
            assert_eq!(
                Cell::ALL[number] as usize,
                number,
                "an index of the receive threads"
            );
        }
    }

    #[test]
    fn every_verdict_has_a_cell() {
        for verdict in Verdict::ALL {
            assert!(Cell::of_verdict(verdict).is_some(), "xdp.{}", verdict.name());
        }
    }
}
