//! The way of accepted datagrams to the collector's AF_XDP sockets.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::helpers::generated::{bpf_ktime_get_tai_ns, bpf_xdp_adjust_meta};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, XskMap};
use aya_ebpf::programs::XdpContext;
use wire::packet::{Address, Datagram, Packet};
use wire::verdict::{
    AfXdp, Listener, MAX_XSK_QUEUES, MAX_XSK_SOCKETS, STAMP_OCTETS, TURN_PACKETS, XskQueue,
};

use crate::{Buffer, LISTENERS};

#[map]
static AF_XDP: Array<AfXdp> = Array::with_max_entries(1, 0);

#[map]
static XSK_QUEUES: HashMap<XskQueue, u32> = HashMap::with_max_entries(MAX_XSK_QUEUES, 0);

#[map]
static XSK_SOCKETS: XskMap = XskMap::with_max_entries(MAX_XSK_SOCKETS, 0);

/// Packets that were spread in turns, on each CPU.
#[map]
static TURNS: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// Whether the packet goes to an AF_XDP socket. If so, the program has to end with `XDP_REDIRECT`, and must not look at
/// the packet any more.
#[inline(always)]
pub fn to_socket(context: &XdpContext, packet: &Buffer, datagram: &Datagram) -> bool {
    let Some(&AfXdp {
        threads,
        packet_octets_max,
    }) = AF_XDP.get(0)
    else {
        return false;
    };
    if threads == 0 || packet.octets() > packet_octets_max as usize || !packet.is_linear() {
        return false;
    }
    // SAFETY: the context is the one that the kernel gave to this run.
    let (interface, queue) = unsafe { ((*context.ctx).ingress_ifindex, (*context.ctx).rx_queue_index) };
    // SAFETY: the queues are written before the program is attached and stay.
    let Some(&first) = (unsafe { XSK_QUEUES.get(XskQueue { interface, queue }) }) else {
        return false;
    };
    let socket = first + thread(datagram, threads);
    // The look-up and the verdict are one: a socket that has just gone is a packet that passes.
    if XSK_SOCKETS.redirect(socket, XDP_PASS.into()).is_err() {
        return false;
    }
    stamp(context);
    true
}

/// Which of the threads gets the datagram.
#[inline(always)]
fn thread(datagram: &Datagram, threads: u32) -> u32 {
    if threads == 1 {
        return 0;
    }
    // SAFETY: listeners are written before the program is attached and stay.
    let bits = unsafe { LISTENERS.get(datagram.destination_port) }.map_or(0, |listener| listener.bits);
    if bits & Listener::SPREAD_IN_TURNS != 0 {
        return turn() / TURN_PACKETS % threads;
    }
    let mut hash = match datagram.source {
        Address::V4(octets) => u32::from_ne_bytes(octets),
        Address::V6([a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3]) => {
            let [a, b] = [[a0, a1, a2, a3], [b0, b1, b2, b3]].map(u32::from_ne_bytes);
            let [c, d] = [[c0, c1, c2, c3], [d0, d1, d2, d3]].map(u32::from_ne_bytes);
            a ^ b.rotate_left(8) ^ c.rotate_left(16) ^ d.rotate_left(24)
        }
    };
    if bits & Listener::SPREAD_BY_FLOW != 0 {
        hash ^= u32::from(datagram.source_port).rotate_left(16);
    }
    // The finalizer of MurmurHash3: addresses that differ in one bit must not share their lowest ones.
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) % threads
}

#[inline(always)]
fn turn() -> u32 {
    let Some(turns) = TURNS.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the kernel gave the pointer to a value of this CPU, and the program is not interrupted by another run of
    // itself on one CPU.
    unsafe {
        *turns = (*turns).wrapping_add(1);
        *turns
    }
}

/// Writes in front of the packet when it came, if the driver leaves room there.
#[inline(always)]
fn stamp(context: &XdpContext) {
    // SAFETY: the context is the one that the kernel gave to this run.
    if unsafe { bpf_xdp_adjust_meta(context.ctx, -(STAMP_OCTETS as i32)) } != 0 {
        return;
    }
    let (from, end) = (context.metadata(), context.metadata_end());
    if from + STAMP_OCTETS > end {
        return;
    }
    // SAFETY: the octets are the metadata's, which is aligned to 4; the verifier proves again that they are there.
    unsafe { (from as *mut u64).write_unaligned(bpf_ktime_get_tai_ns()) };
}
