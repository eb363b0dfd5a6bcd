//! The buffers that the kernel fills, shared with it through a ring (`IORING_REGISTER_PBUF_RING`, Linux 5.19).

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::mapping::Mapping;

/// Buffers begin at multiples of this, so that the headers in them do not straddle more cache lines than they must.
const CACHE_LINE_BYTES: usize = 64;

/// A ring of buffers. Each buffer belongs to the kernel, until a completion names it; and again after [`Self::give_back`].
#[derive(Debug)]
pub struct BufferRing {
    ring: Mapping,
    buffers: Mapping,
    entries: u16,
    /// Octets that the kernel may fill of each buffer, and octets from one buffer to the next.
    buffer_bytes: usize,
    stride: usize,
    /// Buffers ever given to the kernel, modulo 2^16.
    tail: u16,
}

impl BufferRing {
    /// Maps `entries` (a power of two) buffers of `buffer_bytes` octets. The kernel has none of them yet.
    pub fn new(entries: u16, buffer_bytes: usize) -> io::Result<Self> {
        assert!(entries.is_power_of_two(), "a ring has a power of two of entries");
        let stride = buffer_bytes.next_multiple_of(CACHE_LINE_BYTES);
        let ring = Mapping::anonymous(usize::from(entries) * size_of::<BufRingEntry>())?;
        let buffers = Mapping::anonymous(usize::from(entries) * stride)?;
        Ok(Self {
            ring,
            buffers,
            entries,
            buffer_bytes,
            stride,
            tail: 0,
        })
    }

    /// Registers the ring as buffer group `group` and gives all buffers to the kernel.
    ///
    /// # Safety
    /// The ring must live until the io_uring of `submitter` is closed.
    pub unsafe fn register(&mut self, submitter: &Submitter<'_>, group: u16) -> io::Result<()> {
        let address = self.ring.start() as u64;
        // SAFETY: the mapping is page-aligned, has room for `entries` entries, and outlives the io_uring as the caller promises.
        unsafe { submitter.register_buf_ring_with_flags(address, self.entries, group, 0)? };
        for id in 0..self.entries {
            // SAFETY: no buffer was handed out yet, so all are ours to give.
            unsafe { self.give_back(id) };
        }
        Ok(())
    }

    /// The first `length` octets of buffer `id`; `None` if the kernel names a buffer or length that does not exist.
    ///
    /// # Safety
    /// A completion must have named `id` since it was last given back.
    pub unsafe fn filled(&self, id: u16, length: usize) -> Option<&[u8]> {
        if id >= self.entries || length > self.buffer_bytes {
            return None;
        }
        // SAFETY: the range is inside the mapping, and the kernel does not write to it: the caller owns the buffer.
        Some(unsafe {
            std::slice::from_raw_parts(self.buffers.start().add(usize::from(id) * self.stride), length)
        })
    }

    /// Gives buffer `id` to the kernel.
    ///
    /// # Safety
    /// The kernel must not have it already, and nobody may read it any more.
    pub unsafe fn give_back(&mut self, id: u16) {
        debug_assert!(id < self.entries, "buffer {id} of {}", self.entries);
        let place = usize::from(self.tail & (self.entries - 1));
        #[allow(
            clippy::cast_ptr_alignment,
            reason = "a mapping begins at a page, which is aligned for anything"
        )]
        let base = self.ring.start().cast::<BufRingEntry>();
        // SAFETY: `place` is inside the ring; the kernel reads an entry only after the tail says that it is there. The
        // setters leave the tail alone, which shares memory with the unused field of the first entry.
        unsafe {
            let entry = &mut *base.add(place);
            entry.set_addr(self.buffers.start().add(usize::from(id) * self.stride) as u64);
            entry.set_len(self.buffer_bytes as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is an aligned u16 inside the mapping, which only this thread writes and the kernel reads.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
