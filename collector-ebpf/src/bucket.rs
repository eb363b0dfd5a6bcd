//! A token bucket in its map.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

use wire::limit::Bucket;

/// A number that runs on all CPUs change.
pub struct InMap(*mut u64);

impl InMap {
    /// # Safety
    /// `bucket` is a value of the map of buckets, looked up in this run.
    #[inline(always)]
    pub unsafe fn new(bucket: *mut u64) -> Self {
        Self(bucket)
    }
}

impl Bucket for InMap {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: as `new` asks; it is aligned, so the kernel's machine reads it whole.
        unsafe { self.0.read_volatile() }
    }

    #[inline(always)]
    fn replace(&self, before: u64, after: u64) -> bool {
        // SAFETY: as `new` asks; only runs of this program write it, all by this operation.
        unsafe {
            atomic_cxchg::<_, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(self.0, before, after).1
        }
    }
}
