//! What AF_XDP asks of the kernel: socket options, `bind`, and the number of an interface's queues.
//!
//! # Minimum kernel version
//! 5.4 (`XDP_USE_NEED_WAKEUP`); all statistics from 5.9 on.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::super::mapping::Mapping;
use super::ring::Layout;

/// Places of the rings in their mappings.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    pub rx: Layout,
    pub fill: Layout,
}

/// Which ring a mapping is of.
#[derive(Clone, Copy, Debug)]
pub enum Ring {
    Rx,
    Fill,
    Completion,
}

/// What `bind` is told.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// `XDP_COPY`, `XDP_ZEROCOPY`, `XDP_USE_NEED_WAKEUP`, or `XDP_SHARED_UMEM` alone.
    pub flags: u16,
    pub interface: u32,
    pub queue: u32,
    /// For `XDP_SHARED_UMEM`: the socket whose frames and fill ring are shared.
    pub shared_with: Option<i32>,
}

/// An AF_XDP socket. EPERM without CAP_NET_RAW, EAFNOSUPPORT without CONFIG_XDP_SOCKETS.
pub fn open() -> io::Result<OwnedFd> {
    // SAFETY: three integers.
    let descriptor = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Makes memory the frames of the socket. ENOBUFS if RLIMIT_MEMLOCK is too low for it.
///
/// # Safety
/// The memory must stay mapped while the socket, or one that shares it, is open; and nobody may rely on its content but by
/// what the rings say.
pub unsafe fn register_frames(
    socket: BorrowedFd<'_>,
    memory: &Mapping,
    bytes: usize,
    frame_bytes: u32,
) -> io::Result<()> {
    assert!(bytes <= memory.bytes(), "the frames are in the memory");
    let request = libc::xdp_umem_reg {
        addr: memory.start() as u64,
        len: bytes as u64,
        chunk_size: frame_bytes,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    set(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &request)
}

/// Makes a ring of so many entries (a power of two).
pub fn make_ring(socket: BorrowedFd<'_>, ring: Ring, entries: u32) -> io::Result<()> {
    let option = match ring {
        Ring::Rx => libc::XDP_RX_RING,
        Ring::Fill => libc::XDP_UMEM_FILL_RING,
        Ring::Completion => libc::XDP_UMEM_COMPLETION_RING,
    };
    set(socket, libc::SOL_XDP, option, &entries)
}

/// Maps a ring; `bytes` as its layout says.
pub fn map_ring(socket: BorrowedFd<'_>, ring: Ring, bytes: usize) -> io::Result<Mapping> {
    let offset = match ring {
        Ring::Rx => libc::XDP_PGOFF_RX_RING,
        Ring::Fill => libc::XDP_UMEM_PGOFF_FILL_RING as libc::off_t,
        Ring::Completion => libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t,
    };
    Mapping::of_descriptor(socket, bytes, offset)
}

/// Where the parts of the rings are.
pub fn offsets(socket: BorrowedFd<'_>) -> io::Result<Offsets> {
    const NONE: libc::xdp_ring_offset = libc::xdp_ring_offset {
        producer: 0,
        consumer: 0,
        desc: 0,
        flags: 0,
    };
    let mut offsets = libc::xdp_mmap_offsets {
        rx: NONE,
        tx: NONE,
        fr: NONE,
        cr: NONE,
    };
    get(socket, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    let layout = |ring: libc::xdp_ring_offset| Layout {
        producer: ring.producer as usize,
        consumer: ring.consumer as usize,
        flags: ring.flags as usize,
        entries: ring.desc as usize,
    };
    Ok(Offsets {
        rx: layout(offsets.rx),
        fill: layout(offsets.fr),
    })
}

/// Binds the socket to a queue. EBUSY: others have it; EOPNOTSUPP: no zero copy; EINVAL: there is no such queue.
pub fn bind(socket: BorrowedFd<'_>, binding: &Binding) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: binding.flags,
        sxdp_ifindex: binding.interface,
        sxdp_queue_id: binding.queue,
        sxdp_shared_umem_fd: binding.shared_with.unwrap_or(0) as u32,
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: pointer and length name `address`, which outlives the call; the kernel only reads it.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    check(result)
}

/// Whether the driver writes into the frames itself.
pub fn is_zero_copy(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut options = libc::xdp_options { flags: 0 };
    get(socket, libc::XDP_OPTIONS, &mut options)?;
    Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

/// What the socket lost since it was opened.
pub fn statistics(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_statistics> {
    let mut statistics = libc::xdp_statistics {
        rx_dropped: 0,
        rx_invalid_descs: 0,
        tx_invalid_descs: 0,
        rx_ring_full: 0,
        rx_fill_ring_empty_descs: 0,
        tx_ring_empty_descs: 0,
    };
    get(socket, libc::XDP_STATISTICS, &mut statistics)?;
    Ok(statistics)
}

/// Lets the driver run: takes frames from the fill ring, or polls the queue if the socket is for busy polling.
pub fn wake(socket: BorrowedFd<'_>) {
    // What it says does not matter: the next wait wakes it too.
    // SAFETY: no buffer, so nothing is written.
    unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            std::ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
}

/// Polls the driver for `microseconds`, at most `budget` packets at a time. Linux 5.11.
pub fn prefer_busy_poll(socket: BorrowedFd<'_>, microseconds: u32, budget: u16) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, &1_i32)?;
    set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_BUSY_POLL,
        &(microseconds as i32),
    )?;
    set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_BUSY_POLL_BUDGET,
        &i32::from(budget),
    )
}

/// Index of an interface; `None` if there is none of that name.
pub fn interface_index(interface: &str) -> Option<u32> {
    let name = CString::new(interface).ok()?;
    // SAFETY: a string with its end.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Receive queues of an interface, as its driver says; 1 if the driver says nothing.
pub fn receive_queues(interface: &str) -> u32 {
    /// `struct ethtool_channels`.
    #[repr(C)]
    #[derive(Default)]
    struct Channels {
        command: u32,
        rx_max: u32,
        tx_max: u32,
        other_max: u32,
        combined_max: u32,
        rx: u32,
        tx: u32,
        other: u32,
        combined: u32,
    }
    const ETHTOOL_GCHANNELS: u32 = 0x3c;

    let mut channels = Channels {
        command: ETHTOOL_GCHANNELS,
        ..Channels::default()
    };
    // SAFETY: an ifreq is octets, integers and pointers, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays 0.
    let room = request.ifr_name.len() - 1;
    for (place, octet) in request.ifr_name[..room].iter_mut().zip(interface.bytes()) {
        *place = octet as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut channels).cast();
    let Ok(any) = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None) else {
        return 1;
    };
    // SAFETY: the request names an interface and a structure that both outlive the call; the kernel writes no more than the
    // structure that this command is for.
    let result = unsafe { libc::ioctl(any.as_fd().as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result < 0 {
        return 1;
    }
    channels.rx.saturating_add(channels.combined).max(1)
}

fn set<T>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: pointer and length name the value, which outlives the call; the kernel only reads it.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) })
}

/// Reads an option of AF_XDP. EPROTO if the kernel knows less of it than `T` has.
fn get<T>(socket: BorrowedFd<'_>, option: i32, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    let value: *mut T = value;
    // SAFETY: pointer and length name the value, which the kernel fills with at most that many octets; all of the structures
    // here are integers.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            value.cast(),
            &raw mut length,
        )
    })?;
    if (length as usize) < size_of::<T>() {
        return Err(io::Error::from_raw_os_error(libc::EPROTO));
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
