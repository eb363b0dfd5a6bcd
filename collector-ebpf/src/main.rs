//! The XDP program of the collector: gives each packet a verdict ([`wire::packet::judge`]) and counts it. With AF_XDP, what
//! is accepted goes to a socket of the collector instead of the kernel's stack ([`redirect`]).
//!
//! Everything that can be tested outside the kernel is in `wire`; here are the maps and the way to the packet.
//!
//! # Minimum kernel version
//! 6.1: `bpf_ktime_get_tai_ns`. Packets in several buffers (`xdp.frags`) and `bpf_xdp_get_buff_len` need 5.18.
#![no_std]
#![no_main]
// For the kernel's compare-exchange (core has no atomic types with it for this target), and for bounds that the verifier knows.
#![feature(core_intrinsics, asm_experimental_arch)]
#![allow(internal_features)]

use core::arch::asm;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_xdp_get_buff_len};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use wire::filter::{Filter, Rules};
use wire::limit::{self, Limit};
use wire::packet::{Content, Decision, Packet, Tables, Visitor, judge, shed, visit};
use wire::verdict::{
    BoundListener, COUNTER_CELLS, Counter, EXPORTER_ID_MAX, ExporterId, FILTERS_PER_LISTENER, Gate, Listener,
    ListenerNumber, MAX_BOUND_LISTENERS, MAX_FILTERED_LISTENERS, MAX_LISTENERS, MAX_PORTS, NO_EXPORTER,
    Settings, Verdict, counter_index,
};

use bucket::InMap as BucketInMap;
use rules::InMap as RulesInMap;

mod bucket;
mod redirect;
mod rules;

/// Licence of the program as the kernel asks for it. No helper is called that is for GPL programs only (they are
/// `bpf_map_lookup_elem`, `bpf_xdp_get_buff_len`, `bpf_redirect_map`, `bpf_xdp_adjust_meta`, `bpf_ktime_get_ns` and
/// `bpf_ktime_get_tai_ns`), so it is the project's own.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

// Names and layouts are those of `wire::verdict`.

#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

#[map]
static LISTENERS: HashMap<u16, Listener> = HashMap::with_max_entries(MAX_PORTS, 0);

#[map]
static BOUND_LISTENERS: HashMap<BoundListener, ListenerNumber> =
    HashMap::with_max_entries(MAX_BOUND_LISTENERS, 0);

#[map]
static EXPORTERS_V4: LpmTrie<[u8; 4], ExporterId> = LpmTrie::with_max_entries(EXPORTER_ID_MAX, 0);

#[map]
static EXPORTERS_V6: LpmTrie<[u8; 16], ExporterId> = LpmTrie::with_max_entries(EXPORTER_ID_MAX, 0);

#[map]
static FILTER_IN_FORCE: Array<u32> = Array::with_max_entries(MAX_LISTENERS, 0);

/// 65 KiB each: the collector makes the map smaller where there are fewer listeners.
#[map]
static FILTERS: Array<Filter> = Array::with_max_entries(MAX_FILTERED_LISTENERS * FILTERS_PER_LISTENER, 0);

#[map]
static LIMITS: Array<Limit> = Array::with_max_entries(EXPORTER_ID_MAX + 1, 0);

#[map]
static BUCKETS: Array<u64> = Array::with_max_entries(EXPORTER_ID_MAX + 1, 0);

#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(COUNTER_CELLS, 0);

/// Their memory is the collector's too.
#[map]
static GATE: Array<Gate> = Array::with_max_entries(MAX_PORTS, BPF_F_MMAPABLE);

#[xdp(frags)]
pub fn natrail(context: XdpContext) -> u32 {
    let packet = Buffer::new(&context);
    let octets = packet.octets();
    let decision = visit(
        &packet,
        Take {
            context: &context,
            packet: &packet,
        },
    );
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

/// Judges a packet, and takes it to a socket if it is for one.
struct Take<'a> {
    context: &'a XdpContext,
    packet: &'a Buffer,
}

impl Visitor for Take<'_> {
    type Answer = Decision;

    #[inline(always)]
    fn visit(self, content: Content) -> Decision {
        let decision = judge(self.packet, &content, &Maps);
        if let (Verdict::Accepted, Content::Datagram(datagram)) = (decision.verdict, &content)
            && redirect::to_socket(self.context, self.packet, datagram)
        {
            return Decision {
                verdict: Verdict::Redirected,
                ..decision
            };
        }
        shed(decision, &content, &Maps)
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
        let mut first = self.end - self.start;
        // SAFETY: there is no instruction in it. The compiler would add the octets to the packet's start instead, and of them
        // the verifier knows no bound.
        unsafe { asm!("/* {0} */", inout(reg) first) };
        first == self.octets
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
        let mut to = from + N;
        // SAFETY: there is no instruction in it. The compiler makes `from >= end` of a comparison of one octet, from which the
        // verifier learns nothing.
        unsafe { asm!("/* {0} */", inout(reg) to) };
        if to > self.end {
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
    fn bound(&self, listener: &BoundListener) -> Option<ListenerNumber> {
        // SAFETY: as above.
        unsafe { BOUND_LISTENERS.get(listener) }.copied()
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

    #[inline(always)]
    fn admits(&self, exporter: ExporterId) -> bool {
        if exporter == NO_EXPORTER {
            return true;
        }
        let Some(limit) = LIMITS.get(exporter).copied().filter(|limit| !limit.is_none()) else {
            return true;
        };
        let Some(bucket) = BUCKETS.get_ptr_mut(exporter) else {
            return true;
        };
        // SAFETY: it was just looked up.
        let bucket = unsafe { BucketInMap::new(bucket) };
        // SAFETY: the helper takes nothing.
        limit::take(&bucket, limit, unsafe { bpf_ktime_get_ns() })
    }

    #[inline(always)]
    fn rules(&self, listener: ListenerNumber) -> Option<impl Rules> {
        // 0, for none, becomes an index that the map does not have.
        let filter = FILTERS.get_ptr(FILTER_IN_FORCE.get(listener)?.wrapping_sub(1))?;
        // SAFETY: it was just looked up.
        Some(unsafe { RulesInMap::new(filter) })
    }

    #[inline(always)]
    fn has_room(&self, port: u16) -> bool {
        let Some(listener) = self.listener(port) else {
            return true;
        };
        let Some(gate) = GATE.get_ptr_mut(listener.gate) else {
            return true;
        };
        // SAFETY: the kernel gave the pointer to a whole gate. Others write to it meanwhile, whole words each, which the
        // target reads in one instruction.
        let (accepted, limit) = unsafe {
            (
                (&raw const (*gate).accepted).read_volatile(),
                (&raw const (*gate).limit).read_volatile(),
            )
        };
        // CPUs that look at the same moment let in one packet each too many: the room is an estimate anyway.
        if !Gate::admits(accepted, limit) {
            return false;
        }
        // An atomic addition: the target has the instruction, but `core` knows no atomics for it that read and write.
        // SAFETY: it adds to one whole word of the gate.
        unsafe {
            asm!(
                "lock *(u64 *)({number} + 0) += {one}",
                number = in(reg) &raw mut (*gate).accepted,
                one = in(reg) 1_u64,
            );
        }
        true
    }
}

/// Never reached (the verifier would refuse a program that could), but `core` asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
