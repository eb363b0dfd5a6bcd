//! The values of a text of keys, by their slots.

use crate::DecodeError;
use crate::value::Value;

/// Values that stand in one text, each in a slot of its own. `SLOTS` is a power of two, up to 64; the last slot takes
/// the values that no event needs, any number of them.
#[derive(Debug)]
pub(super) struct Fields<'a, const SLOTS: usize> {
    text: &'a [u8],
    /// Where each value begins, and how many octets it has; [`ABSENT`] if there is none. Four octets a value, as all of
    /// them are cleared first.
    places: [(u16, u16); SLOTS],
    /// A bit for each slot that has a value.
    given: u64,
}

/// Behind the end of every line.
const ABSENT: (u16, u16) = (u16::MAX, 0);

impl<'a, const SLOTS: usize> Fields<'a, SLOTS> {
    /// The slot of values that no event needs.
    pub(super) const OTHER: usize = SLOTS - 1;

    /// No values yet, of a text that is no longer than a line may be.
    #[inline]
    pub(super) const fn of(text: &'a [u8]) -> Self {
        const { assert!(SLOTS.is_power_of_two() && SLOTS <= 64) };
        debug_assert!(text.len() <= super::MAX_LINE_BYTES);
        Self {
            text,
            places: [ABSENT; SLOTS],
            given: 0,
        }
    }

    /// The value of a slot, absent if it was not given.
    #[inline]
    pub(super) fn value(&self, slot: usize) -> Value<'a> {
        let (begin, length) = self.places[slot];
        Value::new(self.text.get(begin.into()..).unwrap_or_default(), length.into())
    }

    /// All of the text.
    #[inline]
    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Keeps the value of `length` octets at `begin`: [`DecodeError::Malformed`] if its slot has one.
    #[inline]
    pub(super) fn keep(&mut self, slot: usize, begin: usize, length: usize) -> Result<(), DecodeError> {
        let slot = slot & (SLOTS - 1);
        let bit = 1 << slot;
        if self.given & bit & !(1 << Self::OTHER) != 0 {
            return Err(DecodeError::Malformed);
        }
        self.given |= bit;
        self.places[slot] = (begin as u16, length as u16);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_one_value_and_the_last_one_any_number() {
        let mut fields = Fields::<4>::of(b"one two");
        assert!(fields.value(0).is_absent());
        assert_eq!(fields.keep(0, 4, 3), Ok(()));
        assert_eq!(fields.keep(0, 0, 3), Err(DecodeError::Malformed));
        assert_eq!(fields.keep(Fields::<4>::OTHER, 0, 3), Ok(()));
        assert_eq!(fields.keep(Fields::<4>::OTHER, 0, 1), Ok(()));
        assert_eq!(fields.value(0).text(), b"two");
        assert!(fields.value(1).is_absent());
    }
}
