//! The gate of the XDP program, seen from the receive threads: they say how many datagrams their sockets can still hold.
//!
//! Each time the limit is set anew from what the sockets really hold, so nothing adds up: packets that are lost between
//! gate and socket, in whatever queue, cost no room for longer than until a thread has looked again.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use wire::verdict::{Gate, MAX_PORTS};

const GATES: usize = MAX_PORTS as usize;

/// The gates of all ports, with the rooms of all receive threads. They stand open once this is dropped, and as long as no
/// thread has said what room it has.
#[derive(Debug)]
pub struct Rooms {
    gates: Mapped,
    /// Ports, in the order of their gates.
    ports: Vec<u16>,
    /// Datagrams that a thread's sockets of a port have room for: of each port, all threads.
    by_thread: Box<[AtomicU64]>,
    threads: usize,
}

impl Rooms {
    /// For so many threads, through the map of the XDP program.
    pub(super) fn map(map: &impl AsFd, ports: Vec<u16>, threads: usize) -> io::Result<Self> {
        Ok(Self {
            gates: Mapped::new(map)?,
            by_thread: (0..ports.len() * threads).map(|_| AtomicU64::new(0)).collect(),
            ports,
            threads,
        })
    }

    /// The gate of a port.
    pub fn place(&self, port: u16) -> Option<usize> {
        self.ports.iter().position(|known| *known == port)
    }

    /// A thread says how many datagrams its sockets of the port at `place` can take. Threads that are stuck keep the room that
    /// they said last: what is let in for them is dropped and counted by their sockets, and costs the others nothing.
    pub fn publish(&self, place: usize, thread: usize, room: u64) {
        let rooms = self.by_thread.get(place * self.threads..).unwrap_or_default();
        let rooms = &rooms[..self.threads.min(rooms.len())];
        if let Some(mine) = rooms.get(thread) {
            mine.store(room, Ordering::Relaxed);
            let sum: u64 = rooms.iter().map(|room| room.load(Ordering::Relaxed)).sum();
            let accepted = self.gates.accepted(place).load(Ordering::Relaxed);
            // 0 would be no limit.
            self.gates
                .limit(place)
                .store((accepted + sum).max(1), Ordering::Relaxed);
        }
    }

    /// Lets everything in: the sockets drop what they must.
    pub fn open(&self) {
        for place in 0..self.ports.len() {
            self.gates.limit(place).store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        self.open();
    }
}

/// The map's memory, shared with the program.
#[derive(Debug)]
struct Mapped(NonNull<[Gate; GATES]>);

// SAFETY: the memory is mapped for the whole process until this is dropped, and all look at it through atomics.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(map: &impl AsFd) -> io::Result<Self> {
        // SAFETY: a new mapping of the map's elements; the kernel checks that there is as much.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<[Gate; GATES]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(address.cast())
            .map(Self)
            .ok_or_else(|| io::Error::other("mapped at 0"))
    }

    /// Panics beyond [`GATES`].
    fn accepted(&self, place: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, aligned as its struct is, and looked at as an atomic by all.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0.as_ptr())[place].accepted) }
    }

    /// Panics beyond [`GATES`].
    fn limit(&self, place: usize) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0.as_ptr())[place].limit) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference is left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<[Gate; GATES]>()) };
    }
}
