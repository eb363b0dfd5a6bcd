//! A filter in its map: [`Rules`] by pointer, without a bound that the verifier would have to see twice.

use wire::filter::{Filter, PriMask, Rules, State};

/// The filter of a listener that is in force.
pub struct InMap(*const Filter);

impl InMap {
    /// # Safety
    /// `filter` is a value of the map of filters, looked up in this run.
    #[inline(always)]
    pub unsafe fn new(filter: *const Filter) -> Self {
        Self(filter)
    }

    #[inline(always)]
    fn get(&self) -> &Filter {
        // SAFETY: as `new` asks; what is in force is not written to.
        unsafe { &*self.0 }
    }
}

impl Rules for InMap {
    #[inline(always)]
    fn masked(&self) -> PriMask {
        self.get().masked
    }

    #[inline(always)]
    fn text_octets(&self) -> usize {
        self.get().text_octets as usize
    }

    #[inline(always)]
    fn start(&self) -> State {
        self.get().start
    }

    #[inline(always)]
    fn end_class(&self) -> u8 {
        self.get().end_class as u8
    }

    #[inline(always)]
    fn class(&self, octet: u8) -> u8 {
        // SAFETY: there is a class for every octet.
        unsafe { *(&raw const (*self.0).classes).cast::<u8>().add(octet as usize) }
    }

    #[inline(always)]
    fn next(&self, state: State, class: u8) -> State {
        // SAFETY: the table has a place for every sum of a state and a class. Both are even in what the collector writes; if
        // they were not, the load would be a slow one on the machines for which this is built.
        unsafe {
            (&raw const (*self.0).transitions)
                .cast::<u8>()
                .add(class as usize)
                .add(state as usize)
                .cast::<State>()
                .read()
        }
    }
}
