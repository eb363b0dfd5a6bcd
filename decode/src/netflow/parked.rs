//! Data sets that came before their template.

use std::collections::VecDeque;

use super::message::Header;
use super::sink::Origin;

/// Octets that wait for the templates of one exporter's domain. Beyond that the oldest are given up.
pub const PARKED_OCTETS_PER_DOMAIN_MAX: usize = 1 << 20;
/// Octets that wait, over all exporters. Beyond that what comes is given up.
pub const PARKED_OCTETS_MAX: usize = 64 << 20;
/// A set of which the template came later than this is given up: the id may have got another meaning. Cisco repeats
/// templates every 30 minutes by default.
pub const PARKED_AGE_MAX_NS: i64 = 3600 * 1_000_000_000;
/// What a waiting set costs beside its octets.
const OVERHEAD_OCTETS: usize = size_of::<ParkedSet>();

/// A data set that waits for its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedSet {
    pub id: u16,
    /// Of its message.
    pub header: Header,
    pub origin: Origin,
    /// Behind the set's header.
    pub octets: Box<[u8]>,
}

impl ParkedSet {
    pub(super) fn cost(&self) -> usize {
        self.octets.len() + OVERHEAD_OCTETS
    }
}

/// The sets of one domain that wait, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked {
    sets: VecDeque<ParkedSet>,
    octets: usize,
}

impl Parked {
    pub(super) fn push(&mut self, set: ParkedSet) {
        self.octets += set.cost();
        self.sets.push_back(set);
    }

    /// Takes the oldest out if all are more than they may be.
    pub(super) fn surplus(&mut self) -> Option<ParkedSet> {
        if self.octets <= PARKED_OCTETS_PER_DOMAIN_MAX {
            return None;
        }
        self.pop()
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<ParkedSet> {
        let set = self.sets.pop_front()?;
        self.octets -= set.cost();
        Some(set)
    }

    /// Takes some out, the oldest first.
    pub(super) fn take(&mut self, mut which: impl FnMut(&ParkedSet) -> bool) -> Vec<ParkedSet> {
        if !self.sets.iter().any(&mut which) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for set in std::mem::take(&mut self.sets) {
            if which(&set) {
                taken.push(set);
            } else {
                self.sets.push_back(set);
            }
        }
        self.octets -= taken.iter().map(ParkedSet::cost).sum::<usize>();
        taken
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ParkedSet> {
        self.sets.iter()
    }
}
