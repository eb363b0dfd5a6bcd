//! The XDP program of the collector: gives each packet a verdict ([`wire::packet::decide`]) and counts it.
//!
//! Everything that can be tested outside the kernel is in `wire`; here are the maps and the way to the packet.
//!
//! # Minimum kernel version
//! 5.18: packets in several buffers (`xdp.frags`) and `bpf_xdp_get_buff_len`.
#![no_std]
#![feature(asm_experimental_arch)]
#![no_main]

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use wire::packet::{Packet, Tables, decide};
use wire::verdict::{
    BoundListener, COUNTER_CELLS, Counter, EXPORTER_ID_MAX, ExporterId, Gate, Listener, MAX_BOUND_LISTENERS,
    MAX_PORTS, Settings, counter_index,
};

/// Licence of the program as the kernel asks for it. No helper is called that is for GPL programs only (they are
/// `bpf_map_lookup_elem` and `bpf_xdp_get_buff_len`), so it is the project's own.
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

/// Their memory is the collector's too.
#[map]
static GATE: Array<Gate> = Array::with_max_entries(MAX_PORTS, BPF_F_MMAPABLE);

#[xdp(frags)]
pub fn natrail(context: XdpContext) -> u32 {
    let packet = Buffer::new(&context);
    let decision = decide(&packet, &Maps);
    // Every number that the collector puts into the tries has its cells: the look-up cannot fail.
    if let Some(counter) = COUNTERS.get_ptr_mut(counter_index(decision.exporter, decision.verdict)) {
        // SAFETY: the kernel gave the pointer to a whole counter of this CPU; the program is not interrupted by
        // another run of itself on one CPU, and the collector only reads.
        unsafe {
            (*counter).packets += 1;
            (*counter).octets += packet.octets() as u64;
        }
    }
    if decision.verdict.drops() {
        XDP_DROP
    } else {
        XDP_PASS
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

    #[inline(always)]
    fn admits(&self, listener: Listener) -> bool {
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
            core::arch::asm!(
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
