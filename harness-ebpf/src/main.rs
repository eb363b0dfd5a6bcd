//! Sends datagrams at an exact rate: run on live frames (BPF_PROG_TEST_RUN, BPF_F_TEST_XDP_LIVE_FRAMES), it lets a frame
//! go (`XDP_TX`) when one is due and keeps it (`XDP_DROP`) otherwise.
//!
//! The kernel uses the frames' pages again and again without resetting them, and what received them may have written to
//! them: every packet gets its headers anew.
//!
//! # Minimum kernel version
//! 5.18 (live frames).
#![no_std]
#![no_main]

mod plan;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use plan::{HEADER_OCTETS, MARK_BINARY, MARK_OCTETS_MAX, PACKET_OCTETS_MAX, Plan, Progress};

/// No helper is called that is for GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

#[map]
static PLAN: Array<Plan> = Array::with_max_entries(1, 0);

#[map]
static PROGRESS: Array<Progress> = Array::with_max_entries(1, 0);

#[xdp]
pub fn live(context: XdpContext) -> u32 {
    let (Some(plan), Some(progress)) = (PLAN.get(0), PROGRESS.get_ptr_mut(0)) else {
        return XDP_DROP;
    };
    let (start, end) = (context.data(), context.data_end());
    if start + HEADER_OCTETS > end {
        return XDP_PASS;
    }
    // SAFETY: the header lies in the packet, as was just seen; octets need no alignment.
    let header = unsafe { &mut *(start as *mut [u8; HEADER_OCTETS]) };
    // The program is on the interface too (that spares the kernel milliseconds at the begin of each run): what comes in
    // there is not for the receiver.
    if header[..6] != plan.header[..6] {
        return XDP_PASS;
    }
    // SAFETY: the kernel gave the pointer; one thread runs the program on frames of its own, and none else writes here.
    let progress = unsafe { &mut *progress };
    // SAFETY: takes nothing.
    let now_ps = unsafe { bpf_ktime_get_ns() }.saturating_sub(plan.start_ns).wrapping_mul(1000);
    if progress.sent >= plan.count || now_ps < progress.next_ps {
        return XDP_DROP;
    }
    if now_ps - progress.next_ps > plan.behind_max_ps {
        progress.next_ps = now_ps - plan.behind_max_ps;
    }
    let mark = start + (plan.mark_offset as usize & 0x7ff);
    if plan.mark_offset as usize > PACKET_OCTETS_MAX || mark + MARK_OCTETS_MAX > end {
        return XDP_DROP;
    }
    // SAFETY: the mark's octets lie in the packet, as was just seen.
    let mark = unsafe { &mut *(mark as *mut [u8; MARK_OCTETS_MAX]) };
    let number = progress.sent as u32;
    let mark_sum = write_mark(mark, number, plan.mark_kind);
    write_header(header, plan, number, mark_sum);
    progress.sent += 1;
    progress.next_ps += plan.interval_ps;
    XDP_TX
}

/// Writes the number of the packet; gives the sum of the words written.
#[inline(always)]
fn write_mark(mark: &mut [u8; MARK_OCTETS_MAX], number: u32, kind: u32) -> u32 {
    if kind == MARK_BINARY {
        let octets = number.to_be_bytes();
        mark[..4].copy_from_slice(&octets);
        return (number >> 16) + (number & 0xffff);
    }
    let mut sum = 0;
    for place in 0..MARK_OCTETS_MAX {
        let nibble = (number >> (28 - 4 * place)) as u8 & 15;
        let digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        mark[place] = digit;
        sum += if place % 2 == 0 { (digit as u32) << 8 } else { digit as u32 };
    }
    sum
}

#[inline(always)]
fn write_header(header: &mut [u8; HEADER_OCTETS], plan: &Plan, number: u32, mark_sum: u32) {
    *header = plan.header;
    let source = plan.source.wrapping_add(number % plan.sources.max(1));
    let port = plan.port.wrapping_add(number % plan.ports.max(1)) as u16;
    let source_sum = (source >> 16) + (source & 0xffff);
    header[26..30].copy_from_slice(&source.to_be_bytes());
    header[34..36].copy_from_slice(&port.to_be_bytes());
    header[24..26].copy_from_slice(&(!fold(plan.ip_sum + source_sum)).to_be_bytes());
    let checksum = !fold(plan.udp_sum + source_sum + port as u32 + mark_sum);
    // RFC 768: 0 says that there is none.
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    header[40..42].copy_from_slice(&checksum.to_be_bytes());
}

/// Ones' complement sum of 16 bits (RFC 1071).
#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// Never reached (the verifier would refuse a program that could), but `core` asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
