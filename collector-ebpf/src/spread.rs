//! The `sk_reuseport` program of the collector: which receive thread's socket gets a datagram ([`wire::spread`]).
//!
//! # Minimum kernel version
//! 4.19 (`sk_reuseport`).
#![no_std]
#![no_main]

use aya_ebpf::bindings::{bpf_hdr_start_off::BPF_HDR_START_NET, sk_action::SK_PASS};
use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_skb_load_bytes_relative};
use aya_ebpf::macros::{map, sk_reuseport};
use aya_ebpf::maps::{Array, PerCpuArray, ReusePortSockArray};
use aya_ebpf::programs::SkReuseportContext;
use wire::spread::{MAX_SOCKETS, Plan, by_exporter, by_turn};

/// No helper is called that is for GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

// Names and layouts are those of `wire::spread`.

#[map]
static SOCKETS: ReusePortSockArray = ReusePortSockArray::with_max_entries(MAX_SOCKETS, 0);

#[map]
static SPREAD: Array<Plan> = Array::with_max_entries(1, 0);

/// Datagrams so far, of each CPU.
#[map]
static TURN: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

const ETHER_TYPE_IPV4: u32 = 0x0800;

#[sk_reuseport]
pub fn spread(context: SkReuseportContext) -> u32 {
    if let Some(socket) = choose(&context) {
        // When the socket is gone, the kernel chooses by its hash.
        let _ = SOCKETS.select_reuseport(&context, socket);
    }
    SK_PASS
}

#[inline(always)]
fn choose(context: &SkReuseportContext) -> Option<u32> {
    let plan = SPREAD.get(0)?;
    if plan.sockets == 0 {
        return None;
    }
    if plan.by_exporter != 0 {
        return Some(by_exporter(source(context)?, plan.sockets));
    }
    let turn = TURN.get_ptr_mut(0)?;
    // SAFETY: the kernel gave the pointer to this CPU's number; a run that is interrupted by another one of this CPU
    // at worst gives two datagrams the same turn.
    let turn = unsafe {
        *turn = (*turn).wrapping_add(1);
        *turn
    };
    // SAFETY: takes nothing.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    Some(by_turn(turn, cpu, plan.sockets))
}

/// Source address as it stands in the packet.
#[inline(always)]
fn source(context: &SkReuseportContext) -> Option<[u32; 4]> {
    let mut address = [0_u32; 4];
    // RFC 791 and RFC 8200: where the source address is in the header.
    let (offset, octets) = if u32::from(u16::from_be(context.eth_protocol() as u16)) == ETHER_TYPE_IPV4 {
        (12, 4)
    } else {
        (8, 16)
    };
    // SAFETY: the kernel writes at most the 16 octets of the array.
    let result = unsafe {
        bpf_skb_load_bytes_relative(
            context.md.cast(),
            offset,
            address.as_mut_ptr().cast(),
            octets,
            BPF_HDR_START_NET,
        )
    };
    (result == 0).then_some(address)
}

/// Never reached (the verifier would refuse a program that could), but `core` asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
