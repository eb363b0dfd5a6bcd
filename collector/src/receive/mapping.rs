//! Memory that is shared with the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// Size of the huge pages that [`Mapping::huge`] asks for.
pub const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// A mapping of its own, page-aligned, unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the mapping alone and is bound to no thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared mapping gives away nothing but its address and length; who reads or writes there says why it may.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory, taken from the machine only where it is touched.
    pub fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::new(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Zeroed memory in huge pages of 2 MiB, `bytes` rounded up to whole ones. ENOMEM if the machine keeps too few ready
    /// (`vm.nr_hugepages`).
    pub fn huge(bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
        Self::new(bytes.next_multiple_of(HUGE_PAGE_BYTES), flags, -1, 0)
    }

    /// Memory that the kernel shows at `offset` of a descriptor, such as a ring.
    pub fn of_descriptor(descriptor: BorrowedFd<'_>, bytes: usize, offset: libc::off_t) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::new(bytes, flags, descriptor.as_raw_fd(), offset)
    }

    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn new(bytes: usize, flags: i32, descriptor: i32, offset: libc::off_t) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that exists.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, descriptor, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
