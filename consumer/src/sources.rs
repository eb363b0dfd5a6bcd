//! Which frames of a stream came before, and which are missing, by their source and sequence (docs/frame.md).
//!
//! In one stream the frames of one source come with growing sequence. One that does not grow came before: whoever sent it
//! did not hear that the bus had it. One that grows by more than one lacks those between.

use std::mem;

use store::ingest::{SOURCES_MAX, SourceState};

/// The sources of one stream: at most [`SOURCES_MAX`], those whose frames came last.
#[derive(Debug, Default)]
pub struct Sources {
    known: Vec<Known>,
    /// Place of the source of the frame before: the next frame often is of the same.
    latest: usize,
    /// Frames that came, counted; orders the sources by when they were seen.
    clock: u64,
    /// [`Self::clock`] when the changes were last taken.
    taken_at: u64,
    /// In the database, and pushed out since the changes were last taken.
    forgotten: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    state: SourceState,
    /// [`Sources::clock`] at its last frame.
    seen: u64,
    /// The database has it, once the batches that were sealed are committed.
    stored: bool,
}

/// What a frame is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was not there before; so many frames of its source should have been there before it.
    New { missing: u64 },
    /// It was there before.
    Repeat,
}

impl Sources {
    /// As the database has them, the one seen last at the end.
    pub fn restore(states: &[SourceState]) -> Self {
        let mut sources = Self::default();
        for &state in states {
            sources.clock += 1;
            sources.remember(state, true);
        }
        sources.taken_at = sources.clock;
        sources
    }

    /// Takes note of a frame. A source that is not known begins with it.
    pub fn arrive(&mut self, source: u64, sequence: u64) -> Arrival {
        self.clock += 1;
        let next_sequence = sequence.wrapping_add(1);
        let Some(known) = self.find(source) else {
            self.remember(
                SourceState {
                    source,
                    next_sequence,
                },
                false,
            );
            return Arrival::New { missing: 0 };
        };
        // From the last one taken, not from the next one: there is none after 2^64 - 1.
        let last = known.state.next_sequence.wrapping_sub(1);
        match sequence.checked_sub(last) {
            None | Some(0) => Arrival::Repeat,
            Some(step) => {
                known.state.next_sequence = next_sequence;
                Arrival::New { missing: step - 1 }
            }
        }
    }

    /// What the database has to learn with the batch: the sources seen since the last call, and those to forget.
    pub fn take_changes(&mut self) -> (Vec<SourceState>, Vec<u64>) {
        let before = mem::replace(&mut self.taken_at, self.clock);
        let mut seen = Vec::new();
        for known in self.known.iter_mut().filter(|known| known.seen > before) {
            known.stored = true;
            seen.push(known.state);
        }
        (seen, mem::take(&mut self.forgotten))
    }

    fn find(&mut self, source: u64) -> Option<&mut Known> {
        let is_it = |known: &Known| known.state.source == source;
        if !self.known.get(self.latest).is_some_and(is_it) {
            self.latest = self.known.iter().position(is_it)?;
        }
        let known = &mut self.known[self.latest];
        known.seen = self.clock;
        Some(known)
    }

    fn remember(&mut self, state: SourceState, stored: bool) {
        if self.known.len() >= SOURCES_MAX {
            self.forget_oldest();
        }
        self.latest = self.known.len();
        self.known.push(Known {
            state,
            seen: self.clock,
            stored,
        });
    }

    fn forget_oldest(&mut self) {
        let places = self.known.iter().enumerate();
        if let Some((place, _)) = places.min_by_key(|(_, known)| known.seen) {
            let oldest = self.known.swap_remove(place);
            // At most SOURCES_MAX between two calls of `take_changes`: what came since the last one is not stored.
            if oldest.stored {
                self.forgotten.push(oldest.state.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEW: Arrival = Arrival::New { missing: 0 };

    #[test]
    fn repeats_and_gaps_are_told_by_source() {
        let mut sources = Sources::default();
        // Begins where it begins.
        assert_eq!(sources.arrive(1, 40), NEW);
        assert_eq!(sources.arrive(2, 0), NEW);
        assert_eq!(sources.arrive(1, 41), NEW);
        assert_eq!(sources.arrive(2, 0), Arrival::Repeat);
        assert_eq!(sources.arrive(1, 40), Arrival::Repeat);
        assert_eq!(sources.arrive(1, 3), Arrival::Repeat);
        assert_eq!(sources.arrive(1, 45), Arrival::New { missing: 3 });
        assert_eq!(sources.arrive(1, 44), Arrival::Repeat);
        assert_eq!(sources.arrive(2, 1), NEW);
    }

    #[test]
    fn the_last_numbers_there_are_end_nothing() {
        let mut sources = Sources::default();
        assert_eq!(sources.arrive(0, 0), NEW);
        assert_eq!(
            sources.arrive(0, u64::MAX),
            Arrival::New {
                missing: u64::MAX - 1
            }
        );
        assert_eq!(sources.arrive(0, u64::MAX), Arrival::Repeat);
        assert_eq!(sources.arrive(0, 0), Arrival::Repeat);
        let (seen, _) = sources.take_changes();
        let mut sources = Sources::restore(&seen);
        assert_eq!(sources.arrive(0, u64::MAX), Arrival::Repeat);
    }

    #[test]
    fn too_many_in_the_database_are_tidied_up() {
        let states: Vec<_> = (0..300)
            .map(|source| SourceState {
                source,
                next_sequence: 1,
            })
            .collect();
        let mut sources = Sources::restore(&states);
        assert_eq!(sources.take_changes(), (Vec::new(), (0..44).collect()));
        assert_eq!(sources.arrive(44, 0), Arrival::Repeat);
        assert_eq!(sources.arrive(43, 0), NEW);
    }

    /// The sources seen last at the end, with their next number: kept in the plainest way.
    #[derive(Clone, Default)]
    struct Model(Vec<(u64, u64)>);

    impl Model {
        fn arrive(&mut self, source: u64, sequence: u64) -> Arrival {
            let before = self.0.iter().position(|&(known, _)| known == source);
            let next = before.map(|place| self.0.remove(place).1);
            self.0.push((source, next.unwrap_or(0).max(sequence + 1)));
            if self.0.len() > SOURCES_MAX {
                self.0.remove(0);
            }
            match next {
                Some(next) if sequence < next => Arrival::Repeat,
                Some(next) => Arrival::New {
                    missing: sequence - next,
                },
                None => NEW,
            }
        }
    }

    /// Applies what `take_changes` says, as the store does: forgetting first.
    fn apply(table: &mut Vec<(u64, u64)>, (seen, forgotten): (Vec<SourceState>, Vec<u64>)) {
        assert!(forgotten.len() <= SOURCES_MAX && seen.len() <= SOURCES_MAX);
        for source in forgotten {
            let there = table.iter().position(|&(known, _)| known == source);
            table.remove(there.expect("only what is there is forgotten"));
        }
        for state in seen {
            table.retain(|&(known, _)| known != state.source);
            table.push((state.source, state.next_sequence));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Frames(Vec<(u64, u64)>),
        Commit,
        /// What was not committed is lost.
        Recover,
    }

    fn step() -> impl Strategy<Value = Step> {
        let source = prop_oneof![3 => 0..4_u64, 1 => 0..700_u64];
        prop_oneof![
            4 => proptest::collection::vec((source, 0..6_u64), 1..150).prop_map(Step::Frames),
            3 => Just(Step::Commit),
            1 => Just(Step::Recover),
        ]
    }

    proptest! {
        #[test]
        fn the_table_has_what_memory_has(steps in proptest::collection::vec(step(), 1..60)) {
            let (mut sources, mut model, mut table) = (Sources::default(), Model::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Frames(frames) => for (source, sequence) in frames {
                        prop_assert_eq!(sources.arrive(source, sequence), model.arrive(source, sequence));
                    },
                    Step::Commit => {
                        apply(&mut table, sources.take_changes());
                        let (mut left, mut right) = (table.clone(), model.0.clone());
                        left.sort_unstable();
                        right.sort_unstable();
                        prop_assert_eq!(left, right);
                    }
                    Step::Recover => {
                        let states: Vec<_> = table
                            .iter()
                            .map(|&(source, next_sequence)| SourceState { source, next_sequence })
                            .collect();
                        sources = Sources::restore(&states);
                        model = Model(table.clone());
                    }
                }
            }
        }
    }
}
