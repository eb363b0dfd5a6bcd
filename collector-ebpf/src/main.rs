//! The XDP program of the collector: gives each packet a verdict ([`wire::packet::judge`]) and counts it. With AF_XDP, what
//! is accepted goes to a socket of the collector instead of the kernel's stack ([`redirect`]).
//!
//! Everything that can be tested outside the kernel is in `wire`; here are the maps and the way to the packet.
//!
//! # Minimum kernel version
//! 6.1: `bpf_ktime_get_tai_ns`. Packets in several buffers (`xdp.frags`) and `bpf_xdp_get_buff_len` need 5.18.
#![no_std]
#![no_main]

mod redirect;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use wire::packet::{Content, Packet, Tables, dissect, judge};
use wire::verdict::{
    BoundListener, COUNTER_CELLS, Counter, EXPORTER_ID_MAX, ExporterId, Listener, MAX_BOUND_LISTENERS,
    MAX_PORTS, Settings, Verdict, counter_index,
};

/// Licence of the program as the kernel asks for it. No helper is called that is for GPL programs only (they are
/// `bpf_map_lookup_elem`, `bpf_xdp_get_buff_len`, `bpf_redirect_map`, `bpf_xdp_adjust_meta` and `bpf_ktime_get_tai_ns`), so
/// it is the project's own.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

// Names and layouts are those of `wire::verdict`.

#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

#[map]
static LISTENERS: HashMap<u16, Listener> = HashMap::with_max_entries(MAX_PORTS, 0);

#[map]
static BOUND_LISTENERS: HashMap<BoundListener, u8> = HashMap::with_max_entries(MAX_BOUND_LISTENERS, 0);

#[map]
static EXPORTERS_V4: LpmTrie<[u8; 4], ExporterId> = LpmTrie::with_max_entries(EXPORTER_ID_MAX, 0);

#[map]
static EXPORTERS_V6: LpmTrie<[u8; 16], ExporterId> = LpmTrie::with_max_entries(EXPORTER_ID_MAX, 0);

#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(COUNTER_CELLS, 0);

#[xdp(frags)]
pub fn natrail(context: XdpContext) -> u32 {
    let packet = Buffer::new(&context);
    let octets = packet.octets();
    let content = dissect(&packet);
    let mut decision = judge(&content, &Maps);
    if let (Verdict::Accepted, Content::Datagram(datagram)) = (decision.verdict, &content)
        && redirect::to_socket(&context, &packet, datagram)
    {
        decision.verdict = Verdict::Redirected;
    }
    // Every number that the collector puts into the tries has its cells: the look-up cannot fail.
    if let Some(counter) = COUNTERS.get_ptr_mut(counter_index(decision.exporter, decision.verdict)) {
        // SAFETY: the kernel gave the pointer to a whole counter of this CPU; the program is not interrupted by
        // another run of itself on one CPU, and the collector only reads.
        unsafe {
            (*counter).packets += 1;
            (*counter).octets += octets as u64;
        }
    }
    match decision.verdict {
        Verdict::Redirected => XDP_REDIRECT,
        verdict if verdict.drops() => XDP_DROP,
        _ => XDP_PASS,
    }
}

/// The packet of a run.
struct Buffer {
    start: usize,
    end: usize,
    octets: usize,
}

impl Buffer {
    #[inline(always)]
    fn new(context: &XdpContext) -> Self {
        // SAFETY: the context is the one that the kernel gave to this run.
        let octets = unsafe { bpf_xdp_get_buff_len(context.ctx) } as usize;
        Self {
            start: context.data(),
            end: context.data_end(),
            octets,
        }
    }

    /// Whether all of it is in one buffer.
    #[inline(always)]
    fn is_linear(&self) -> bool {
        self.start + self.octets == self.end
    }
}

impl Packet for Buffer {
    #[inline(always)]
    fn octets(&self) -> usize {
        self.octets
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let from = self.start + offset;
        if from + N > self.end {
            return None;
        }
        // SAFETY: `from..from + N` lies in the packet; arrays of octets need no alignment. The verifier proves it again.
        Some(unsafe { *(from as *const [u8; N]) })
    }
}

/// The maps of this program.
struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn listener(&self, port: u16) -> Option<Listener> {
        // SAFETY: listeners are written before the program is attached and stay.
        unsafe { LISTENERS.get(port) }.copied()
    }

    #[inline(always)]
    fn bound(&self, listener: &BoundListener) -> bool {
        BOUND_LISTENERS.get_ptr(listener).is_some()
    }

    #[inline(always)]
    fn exporter_v4(&self, address: [u8; 4]) -> Option<ExporterId> {
        EXPORTERS_V4.get(Key::new(32, address)).copied()
    }

    #[inline(always)]
    fn exporter_v6(&self, address: [u8; 16]) -> Option<ExporterId> {
        EXPORTERS_V6.get(Key::new(128, address)).copied()
    }

    #[inline(always)]
    fn allow_all(&self) -> bool {
        SETTINGS.get(0).is_some_and(|settings| settings.allow_all != 0)
    }
}

/// Never reached (the verifier would refuse a program that could), but `core` asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
