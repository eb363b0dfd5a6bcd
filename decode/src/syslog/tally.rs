//! Messages of several records, each of which stands for itself.

use crate::{DecodeError, Ignored, Outcome};

/// What the records of a message were so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    events: u32,
    ignored: Option<Ignored>,
    /// What is wrong with the first bad record.
    error: Option<DecodeError>,
}

impl Tally {
    /// Counts a record.
    #[inline]
    pub(super) fn add(&mut self, record: Result<Outcome, DecodeError>) {
        match record {
            Ok(Outcome::Events(events)) => self.events += events,
            Ok(Outcome::Ignored(why)) => self.ignored = Some(why),
            Ok(Outcome::Partly { events, error }) => {
                self.events += events;
                self.error = self.error.or(Some(error));
            }
            Err(error) => self.error = self.error.or(Some(error)),
        }
    }

    /// What the message was: `otherwise` if it has no record at all.
    #[inline]
    pub(super) fn outcome(self, otherwise: Result<Outcome, DecodeError>) -> Result<Outcome, DecodeError> {
        match (self.events, self.error) {
            (0, Some(error)) => Err(error),
            (events, Some(error)) => Ok(Outcome::Partly { events, error }),
            (0, None) => self.ignored.map_or(otherwise, |why| Ok(Outcome::Ignored(why))),
            (events, None) => Ok(Outcome::Events(events)),
        }
    }
}
