//! What the program and `harness::live` agree on. Compiled into both; integers are in the machine's own order.

/// Name of the program in the object.
pub const PROGRAM: &str = "live";
/// Array of one [`Plan`].
pub const MAP_PLAN: &str = "PLAN";
/// Array of one [`Progress`].
pub const MAP_PROGRESS: &str = "PROGRESS";

/// Ethernet, IPv4 without options, UDP.
pub const HEADER_OCTETS: usize = 14 + 20 + 8;
/// Octets of a packet, at most: one page holds it with its headroom.
pub const PACKET_OCTETS_MAX: usize = 1514;
/// Octets that [`MARK_HEX`] takes; [`MARK_BINARY`] takes half of them.
pub const MARK_OCTETS_MAX: usize = 8;
/// The number of a packet as eight hexadecimal digits.
pub const MARK_HEX: u32 = 0;
/// The number of a packet as four octets, the highest first.
pub const MARK_BINARY: u32 = 1;

/// What is sent, and when.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Plan {
    /// When the first packet is due, on the kernel's monotonic clock, in ns.
    pub start_ns: u64,
    /// Between two packets, in ps.
    pub interval_ps: u64,
    /// Who is later than this does not make up for it, in ps.
    pub behind_max_ps: u64,
    /// Packets in all.
    pub count: u64,
    /// Place of the mark in the packet; even, and not beyond [`PACKET_OCTETS_MAX`].
    pub mark_offset: u32,
    /// [`MARK_HEX`] or [`MARK_BINARY`].
    pub mark_kind: u32,
    /// Source addresses: so many from this one on, in turn.
    pub source: u32,
    pub sources: u32,
    /// Source ports: the same.
    pub port: u32,
    pub ports: u32,
    /// Sum of the IPv4 header's 16-bit words, without source address and checksum.
    pub ip_sum: u32,
    /// Sum of the words that the UDP checksum covers, without source address, source port, mark and checksum.
    pub udp_sum: u32,
    /// The headers, with both checksums 0.
    pub header: [u8; HEADER_OCTETS],
    pub padding: [u8; 6],
}

/// How far it is.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Progress {
    /// Packets given to the interface; also the next packet's number.
    pub sent: u64,
    /// When the next packet is due, in ps since `start_ns`.
    pub next_ps: u64,
}
