//! Keys in the order in which devices usually write them.
//!
//! A release writes its keys in one order. Comparing what comes next with the key that usually follows takes a few
//! instructions, finding where a key ends and which one it is many times that. The order is a guess that only costs time
//! where it is wrong: keys may come in any order, be absent, or be others.

use wide::u8x16;

/// A key with what must follow it (`=`, perhaps a quote), and the slot that its value goes to. All are compared in one
/// go, so `HALVES` of 16 octets, one or two, bound the length of a vendor's keys.
#[derive(Debug)]
pub(super) struct Key<const HALVES: usize> {
    text: Octets<HALVES>,
    /// All ones where `text` counts.
    mask: Octets<HALVES>,
    /// The first 8 octets of both, little endian.
    first: u64,
    first_mask: u64,
    /// One less than the octets of the text.
    last: u8,
    slot: u8,
}

/// Aligned, so that they are compared where they are.
#[repr(align(16))]
#[derive(Debug)]
struct Octets<const HALVES: usize>([[u8; 16]; HALVES]);

impl<const HALVES: usize> Key<HALVES> {
    /// Octets of the longest key.
    const BYTES_MAX: usize = 16 * HALVES;

    /// The key `name`, followed by `=` and, if `quoted`, a quote.
    pub(super) const fn new(name: &str, quoted: bool, slot: u8) -> Self {
        let name = name.as_bytes();
        const { assert!(HALVES == 1 || HALVES == 2) };
        let length = name.len() + 1 + quoted as usize;
        assert!(length <= Self::BYTES_MAX);
        let (mut text, mut mask) = ([[0; 16]; HALVES], [[0; 16]; HALVES]);
        let (mut first, mut first_mask) = (0, 0);
        let mut at = 0;
        while at < length {
            text[at / 16][at % 16] = if at < name.len() {
                name[at]
            } else if at == name.len() {
                b'='
            } else {
                b'"'
            };
            mask[at / 16][at % 16] = 0xff;
            if at < 8 {
                first |= (text[0][at] as u64) << (8 * at);
                first_mask |= 0xff << (8 * at);
            }
            at += 1;
        }
        Self {
            text: Octets(text),
            mask: Octets(mask),
            first,
            first_mask,
            last: length as u8 - 1,
            slot,
        }
    }

    /// Octets of the key with what must follow it.
    #[inline]
    pub(super) fn length(&self) -> usize {
        // The mask changes nothing, but tells the compiler how far a value's begin can be.
        (usize::from(self.last) & (Self::BYTES_MAX - 1)) + 1
    }

    #[inline]
    pub(super) fn slot(&self) -> usize {
        self.slot.into()
    }

    #[inline]
    fn begins(&self, text: &[[u8; 16]; HALVES]) -> bool {
        let same = |half: usize| {
            let text = u8x16::new(text[half]) & u8x16::new(self.mask.0[half]);
            text.simd_eq(u8x16::new(self.text.0[half]))
        };
        let same = if HALVES == 2 { same(0) & same(1) } else { same(0) };
        same.to_bitmask() & 0xffff == 0xffff
    }
}

/// A walk along the usual order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a, const HALVES: usize> {
    keys: &'a [Key<HALVES>],
    /// From the key that is due on.
    due: &'a [Key<HALVES>],
}

impl<'a, const HALVES: usize> Walk<'a, HALVES> {
    pub(super) const fn new(keys: &'a [Key<HALVES>]) -> Self {
        Self { keys, due: keys }
    }

    /// The key that is due, if `text` begins with it.
    #[inline]
    pub(super) fn due(&self, text: &[u8]) -> Option<&'a Key<HALVES>> {
        let chunk = text.as_chunks::<16>().0.first_chunk::<HALVES>()?;
        self.due.first().filter(|key| key.begins(chunk))
    }

    /// Goes past the key that is due.
    #[inline]
    pub(super) fn pass(&mut self) {
        self.due = self.due.get(1..).unwrap_or_default();
    }

    /// The key that `text` begins with, with what must follow it; `None` for one that is not known.
    #[inline]
    pub(super) fn take(&mut self, text: &[u8]) -> Option<&'a Key<HALVES>> {
        if let Some(key) = self.due(text) {
            self.pass();
            return Some(key);
        }
        let (key, due) = self.find(text)?;
        self.due = due;
        Some(key)
    }

    /// Looks for a key behind the one that was due, and then before it: the key, and those due then.
    #[inline(never)]
    fn find(self, text: &[u8]) -> Option<(&'a Key<HALVES>, &'a [Key<HALVES>])> {
        let mut chunk = [[0; 16]; HALVES];
        let octets = chunk.as_flattened_mut();
        let length = text.len().min(octets.len());
        octets[..length].copy_from_slice(&text[..length]);
        let word = u64::from_le_bytes(*octets.first_chunk()?);
        // Few keys are alike in what 8 octets show.
        let is_it = |key: &Key<HALVES>| (word & key.first_mask) == key.first && key.begins(&chunk);
        let (keys, at) = match self.due.iter().position(is_it) {
            Some(at) => (self.due, at),
            None => (self.keys, self.keys.iter().position(is_it)?),
        };
        Some((keys.get(at)?, keys.get(at + 1..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_order_are_found_and_others_are_not() {
        const KEYS: [Key<2>; 3] = [
            Key::new("source-port", true, 4),
            Key::new("a-key-of-exactly-thirty-letters", false, 5),
            Key::new("source", true, 6),
        ];
        let mut walk = Walk::new(&KEYS);
        let known = |key: &Key<2>| (key.length(), key.slot());
        let mut take = |text: &str| walk.take(format!("{text:40}").as_bytes()).map(known);
        assert_eq!(take("source-port=\"1"), Some((13, 4)));
        assert_eq!(take("a-key-of-exactly-thirty-letters="), Some((32, 5)));
        assert_eq!(take("source=\"x"), Some((8, 6)));
        assert_eq!(take("source-port=\"1"), Some((13, 4)));
        assert_eq!(take("source=\"x"), Some((8, 6)));
        assert_eq!(take("source=x"), None);
        assert_eq!(take("other=\"x"), None);
        assert_eq!(take("source-port=\"1"), Some((13, 4)));
        assert_eq!(
            walk.take(b"source=\"x").map(known),
            Some((8, 6)),
            "close to the end"
        );
        assert_eq!(walk.take(b"source=").map(known), None, "cut off");
        assert_eq!(walk.take(b"").map(known), None);
    }
}
