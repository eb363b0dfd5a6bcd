//! Numbers for exporters.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

/// Exporters that a thread tells apart in its life; all others are added up.
pub const EXPORTERS_MAX: usize = 1024;

/// Number of an exporter in one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u16);

impl Slot {
    /// Whoever is not told apart: strangers, exporters beyond the bound.
    pub const NOBODY: Self = Self(0);

    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// Which exporter has which slot. Allocates nothing after [`Slots::new`]; slots are never given up.
#[derive(Debug)]
pub struct Slots {
    by_exporter: FxHashMap<IpAddr, Slot>,
    /// In the order of the slots, without [`Slot::NOBODY`].
    exporters: Vec<IpAddr>,
}

impl Slots {
    pub fn new() -> Self {
        let mut by_exporter = FxHashMap::default();
        by_exporter.reserve(EXPORTERS_MAX);
        Self {
            by_exporter,
            exporters: Vec::with_capacity(EXPORTERS_MAX),
        }
    }

    /// The slot of an exporter; a new one if there is room.
    pub fn of(&mut self, exporter: IpAddr) -> Slot {
        if let Some(slot) = self.by_exporter.get(&exporter) {
            return *slot;
        }
        if self.exporters.len() == EXPORTERS_MAX {
            return Slot::NOBODY;
        }
        self.exporters.push(exporter);
        let slot = Slot(self.exporters.len() as u16);
        self.by_exporter.insert(exporter, slot);
        slot
    }

    /// Slots given out, with [`Slot::NOBODY`].
    pub fn used(&self) -> usize {
        self.exporters.len() + 1
    }

    /// The exporter of the slot with this index; `None` for [`Slot::NOBODY`].
    pub fn exporter(&self, index: usize) -> Option<IpAddr> {
        self.exporters.get(index.checked_sub(1)?).copied()
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exporter_has_one_slot_and_those_beyond_the_bound_are_nobody() {
        let mut slots = Slots::new();
        for round in 0..2 {
            for number in 0..EXPORTERS_MAX as u32 + 5 {
                let exporter = IpAddr::from(number.to_be_bytes());
                let slot = slots.of(exporter);
                let known = (number as usize) < EXPORTERS_MAX;
                assert_eq!(
                    slots.exporter(slot.index()),
                    known.then_some(exporter),
                    "round {round}"
                );
            }
        }
        assert_eq!(slots.used(), EXPORTERS_MAX + 1);
    }
}
