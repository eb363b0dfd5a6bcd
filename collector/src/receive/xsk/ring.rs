//! The two kinds of rings that are shared with the kernel: those it fills (rx) and those it empties (fill).
//!
//! Each is an array of a power of two of entries with two counters that only grow, modulo 2^32: the producer's and the
//! consumer's. Each side writes its own and reads the other's. Native byte order.
//!
//! What the kernel writes is checked before it is used: a counter that is further off than the ring is long is taken for
//! an empty (or full) ring, so that nothing ever leads out of the mapping.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::mapping::Mapping;

/// Flag of a fill ring: the kernel waits to be woken before it takes frames (`XDP_RING_NEED_WAKEUP`).
const NEED_WAKEUP: u32 = 1;

/// Where the parts of a ring are in its mapping, in octets (`struct xdp_ring_offset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub producer: usize,
    pub consumer: usize,
    pub flags: usize,
    pub entries: usize,
}

impl Layout {
    /// Octets to map for `count` entries of `T`.
    pub fn bytes<T>(&self, count: u32) -> usize {
        self.entries + count as usize * size_of::<T>()
    }
}

/// What both kinds of rings are made of.
#[derive(Debug)]
struct Shared<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    count: u32,
    /// What the pointers lead into.
    _mapping: Mapping,
}

// SAFETY: the pointers lead into the mapping that goes with them, which is bound to no thread.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// EPROTO if the layout does not fit into the mapping: a kernel that names such places is not to be trusted.
    fn new(mapping: Mapping, layout: &Layout, count: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "a ring has a power of two of entries");
        let place = |offset: usize, bytes: usize, align: usize| {
            let inside = offset
                .checked_add(bytes)
                .is_some_and(|end| end <= mapping.bytes());
            if !inside || !offset.is_multiple_of(align) {
                return Err(io::Error::from_raw_os_error(libc::EPROTO));
            }
            // SAFETY: `offset` is inside the mapping.
            NonNull::new(unsafe { mapping.start().add(offset) })
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EPROTO))
        };
        let counter = |offset| place(offset, size_of::<AtomicU32>(), align_of::<AtomicU32>());
        let entries = place(layout.entries, count as usize * size_of::<T>(), align_of::<T>())?;
        Ok(Self {
            producer: counter(layout.producer)?.cast(),
            consumer: counter(layout.consumer)?.cast(),
            flags: counter(layout.flags)?.cast(),
            entries: entries.cast(),
            count,
            _mapping: mapping,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: aligned and inside the mapping, which lives as long as `self`; both sides use it atomically.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> u32 {
        // SAFETY: as above.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed)
    }

    /// The entry that a counter leads to.
    fn entry(&self, counter: u32) -> *mut T {
        let place = (counter & (self.count - 1)) as usize;
        debug_assert!(place < self.count as usize, "entry {place} of {}", self.count);
        // SAFETY: `place` is below `count`, and `new` has checked that so many entries are in the mapping.
        unsafe { self.entries.as_ptr().add(place) }
    }
}

/// A ring that the kernel fills.
#[derive(Debug)]
pub struct ConsumerRing<T> {
    shared: Shared<T>,
    /// Our counter: entries taken so far.
    taken: u32,
}

impl<T: Copy> ConsumerRing<T> {
    /// A new, empty ring.
    pub fn new(mapping: Mapping, layout: &Layout, count: u32) -> io::Result<Self> {
        Ok(Self {
            shared: Shared::new(mapping, layout, count)?,
            taken: 0,
        })
    }

    /// Entries that wait, at most `limit`.
    pub fn waiting(&self, limit: u32) -> u32 {
        // Pairs with the kernel's release: what it wrote before is seen behind it.
        let waiting = self
            .shared
            .producer()
            .load(Ordering::Acquire)
            .wrapping_sub(self.taken);
        if waiting > self.shared.count {
            return 0;
        }
        waiting.min(limit)
    }

    /// The entry that has `index` waiting ones before it.
    pub fn peek(&self, index: u32) -> T {
        debug_assert!(index < self.waiting(u32::MAX), "entry {index} is there");
        // SAFETY: inside the ring; the kernel writes it again only after `release`.
        unsafe { self.shared.entry(self.taken.wrapping_add(index)).read_volatile() }
    }

    /// Gives the first `count` waiting entries back to the kernel.
    pub fn release(&mut self, count: u32) {
        debug_assert!(count <= self.waiting(u32::MAX), "only what waits is given back");
        self.taken = self.taken.wrapping_add(count);
        self.shared.consumer().store(self.taken, Ordering::Release);
    }
}

/// A ring that the kernel empties.
#[derive(Debug)]
pub struct ProducerRing<T> {
    shared: Shared<T>,
    /// Our counter: entries put in so far, those included that are not submitted yet.
    put: u32,
}

impl<T: Copy> ProducerRing<T> {
    /// A new, empty ring.
    pub fn new(mapping: Mapping, layout: &Layout, count: u32) -> io::Result<Self> {
        Ok(Self {
            shared: Shared::new(mapping, layout, count)?,
            put: 0,
        })
    }

    /// Puts an entry behind the others; false if the ring is full. The kernel sees it after [`Self::submit`].
    pub fn push(&mut self, value: T) -> bool {
        let used = self
            .put
            .wrapping_sub(self.shared.consumer().load(Ordering::Acquire));
        if used >= self.shared.count {
            return false;
        }
        // SAFETY: inside the ring; the kernel has taken what was there, and reads it again only after `submit`.
        unsafe { self.shared.entry(self.put).write_volatile(value) };
        self.put = self.put.wrapping_add(1);
        true
    }

    /// Shows the kernel all that was put in.
    pub fn submit(&self) {
        self.shared.producer().store(self.put, Ordering::Release);
    }

    /// Whether the kernel has to be woken to take entries.
    pub fn needs_wakeup(&self) -> bool {
        self.shared.flags() & NEED_WAKEUP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAYOUT: Layout = Layout {
        producer: 0,
        consumer: 64,
        flags: 128,
        entries: 192,
    };
    const COUNT: u32 = 8;

    /// Memory as the kernel lays it out, and the kernel's side of it. Counters begin at `start`.
    struct Kernel {
        memory: *mut u8,
    }

    impl Kernel {
        fn mapping() -> (Self, Mapping) {
            let mapping = Mapping::anonymous(LAYOUT.bytes::<u64>(COUNT)).expect("memory");
            let memory = mapping.start();
            (Self { memory }, mapping)
        }

        fn counter(&self, offset: usize) -> &AtomicU32 {
            // SAFETY: inside the memory of the ring under test, which outlives the call.
            unsafe { AtomicU32::from_ptr(self.memory.add(offset).cast()) }
        }

        fn entry(&self, counter: u32) -> *mut u64 {
            let place = LAYOUT.entries + 8 * (counter % COUNT) as usize;
            // SAFETY: as above.
            unsafe { self.memory.add(place).cast() }
        }

        fn fill(&self, value: u64) -> bool {
            let (producer, consumer) = (self.counter(LAYOUT.producer), self.counter(LAYOUT.consumer));
            let at = producer.load(Ordering::Relaxed);
            if at.wrapping_sub(consumer.load(Ordering::Acquire)) == COUNT {
                return false;
            }
            // SAFETY: an entry that the ring under test does not look at before the counter says so.
            unsafe { self.entry(at).write(value) };
            producer.store(at.wrapping_add(1), Ordering::Release);
            true
        }

        fn take(&self) -> Option<u64> {
            let (producer, consumer) = (self.counter(LAYOUT.producer), self.counter(LAYOUT.consumer));
            let at = consumer.load(Ordering::Relaxed);
            if producer.load(Ordering::Acquire) == at {
                return None;
            }
            // SAFETY: an entry that was submitted.
            let value = unsafe { self.entry(at).read() };
            consumer.store(at.wrapping_add(1), Ordering::Release);
            Some(value)
        }
    }

    fn consumer(start: u32) -> (Kernel, ConsumerRing<u64>) {
        let (kernel, mapping) = Kernel::mapping();
        let mut ring = ConsumerRing::new(mapping, &LAYOUT, COUNT).expect("fits");
        ring.taken = start;
        kernel.counter(LAYOUT.producer).store(start, Ordering::Relaxed);
        kernel.counter(LAYOUT.consumer).store(start, Ordering::Relaxed);
        (kernel, ring)
    }

    fn producer(start: u32) -> (Kernel, ProducerRing<u64>) {
        let (kernel, mapping) = Kernel::mapping();
        let mut ring = ProducerRing::new(mapping, &LAYOUT, COUNT).expect("fits");
        ring.put = start;
        kernel.counter(LAYOUT.producer).store(start, Ordering::Relaxed);
        kernel.counter(LAYOUT.consumer).store(start, Ordering::Relaxed);
        (kernel, ring)
    }

    #[test]
    fn a_layout_that_leads_out_of_the_mapping_is_refused() {
        for wrong in [
            Layout {
                producer: 1 << 20,
                ..LAYOUT
            },
            Layout {
                consumer: usize::MAX - 2,
                ..LAYOUT
            },
            Layout { flags: 130, ..LAYOUT },
            Layout {
                entries: 200,
                ..LAYOUT
            },
            Layout {
                entries: usize::MAX,
                ..LAYOUT
            },
        ] {
            let (_, mapping) = Kernel::mapping();
            assert!(
                ConsumerRing::<u64>::new(mapping, &wrong, COUNT).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_and_an_empty_one_gives_none() {
        let (kernel, mut ring) = producer(0);
        for value in 0..COUNT {
            assert!(ring.push(value.into()));
        }
        assert!(!ring.push(99), "full");
        assert_eq!(kernel.take(), None, "nothing was submitted");
        ring.submit();
        assert_eq!(kernel.take(), Some(0));
        assert!(ring.push(8) && !ring.push(9), "one place is free");
        let (_, ring) = consumer(0);
        assert_eq!(ring.waiting(u32::MAX), 0);
    }

    #[test]
    fn counters_that_cannot_be_are_an_empty_or_a_full_ring() {
        let (kernel, ring) = consumer(5);
        for producer in [4, 5 + COUNT + 1, u32::MAX, 1 << 31] {
            kernel.counter(LAYOUT.producer).store(producer, Ordering::Relaxed);
            assert_eq!(ring.waiting(u32::MAX), 0, "{producer}");
        }
        let (kernel, mut ring) = producer(5);
        for consumer in [6, 100, u32::MAX - 100, 1 << 31] {
            kernel.counter(LAYOUT.consumer).store(consumer, Ordering::Relaxed);
            assert!(!ring.push(1), "{consumer}");
        }
    }

    #[test]
    fn the_kernel_says_when_it_wants_to_be_woken() {
        let (kernel, ring) = producer(0);
        assert!(!ring.needs_wakeup());
        kernel.counter(LAYOUT.flags).store(NEED_WAKEUP, Ordering::Relaxed);
        assert!(ring.needs_wakeup());
    }

    proptest! {
        /// Whatever the two sides do in turn, all comes out in order, across the wrap of the counters too.
        #[test]
        fn what_the_kernel_fills_comes_out_in_order(
            start in prop_oneof![Just(0), Just(u32::MAX - 3), any::<u32>()],
            steps in proptest::collection::vec((0u32..12, 0u32..12), 1..60),
        ) {
            let (kernel, mut ring) = consumer(start);
            let (mut next, mut expected) = (0u64, 0u64);
            for (fill, take) in steps {
                for _ in 0..fill {
                    next += u64::from(kernel.fill(next));
                }
                prop_assert_eq!(u64::from(ring.waiting(u32::MAX)), next - expected);
                let taken = ring.waiting(take);
                for index in 0..taken {
                    prop_assert_eq!(ring.peek(index), expected);
                    expected += 1;
                }
                ring.release(taken);
            }
        }

        #[test]
        fn what_is_put_in_reaches_the_kernel_in_order(
            start in prop_oneof![Just(0), Just(u32::MAX - 3), any::<u32>()],
            steps in proptest::collection::vec((0u32..12, 0u32..12), 1..60),
        ) {
            let (kernel, mut ring) = producer(start);
            let (mut next, mut expected) = (0u64, 0u64);
            for (put, take) in steps {
                for _ in 0..put {
                    next += u64::from(ring.push(next));
                }
                prop_assert!(next - expected <= u64::from(COUNT));
                ring.submit();
                for _ in 0..take {
                    let Some(value) = kernel.take() else {
                        prop_assert_eq!(next, expected);
                        continue;
                    };
                    prop_assert_eq!(value, expected);
                    expected += 1;
                }
            }
        }
    }
}
