//! Keys in the order in which devices usually write them.
//!
//! A release writes its keys in one order. Comparing what comes next with the key that usually follows takes a few
//! instructions, finding where a key ends and which one it is many times that. The order is a guess that only costs time
//! where it is wrong: keys may come in any order, be absent, or be others.

use wide::u8x16;

/// Longest key, with what must follow it, that is compared in one go.
const KEY_BYTES_MAX: usize = 32;

/// A key with what must follow it (`=`, perhaps a quote), and the slot that its value goes to.
#[derive(Debug)]
pub(super) struct Key {
    text: [[u8; 16]; 2],
    /// All ones where `text` counts.
    mask: [[u8; 16]; 2],
    /// The first 8 octets of both, little endian.
    first: u64,
    first_mask: u64,
    length: u8,
    slot: u8,
}

impl Key {
    /// The key `name`, followed by `=` and, if `quoted`, a quote: up to 32 octets.
    pub(super) const fn new(name: &str, quoted: bool, slot: u8) -> Self {
        let name = name.as_bytes();
        let length = name.len() + 1 + quoted as usize;
        assert!(length <= KEY_BYTES_MAX);
        let (mut text, mut mask) = ([[0; 16]; 2], [[0; 16]; 2]);
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
            text,
            mask,
            first,
            first_mask,
            length: length as u8,
            slot,
        }
    }

    /// Octets of the key with what must follow it.
    #[inline]
    pub(super) fn length(&self) -> usize {
        self.length.into()
    }

    #[inline]
    pub(super) fn slot(&self) -> usize {
        self.slot.into()
    }

    #[inline]
    fn begins(&self, text: &[u8; KEY_BYTES_MAX]) -> bool {
        let (halves, _) = text.as_chunks::<16>();
        let same = |half: usize| {
            (u8x16::new(halves[half]) & u8x16::new(self.mask[half])).simd_eq(u8x16::new(self.text[half]))
        };
        (same(0) & same(1)).to_bitmask() & 0xffff == 0xffff
    }
}

/// A walk along the usual order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    keys: &'a [Key],
    /// From the key that is due on.
    due: &'a [Key],
}

impl<'a> Walk<'a> {
    pub(super) const fn new(keys: &'a [Key]) -> Self {
        Self { keys, due: keys }
    }

    /// The key that is due, if `text` begins with it.
    #[inline]
    pub(super) fn due<const N: usize>(&self, text: &[u8; N]) -> Option<&'a Key> {
        self.due
            .first()
            .filter(|key| text.first_chunk().is_some_and(|text| key.begins(text)))
    }

    /// Goes past the key that is due.
    #[inline]
    pub(super) fn pass(&mut self) {
        self.due = self.due.get(1..).unwrap_or_default();
    }

    /// The key that `text` begins with, with what must follow it; `None` for one that is not known.
    #[inline]
    pub(super) fn take(&mut self, text: &[u8]) -> Option<&'a Key> {
        if let (Some(chunk), [key, due @ ..]) = (text.first_chunk(), self.due)
            && key.begins(chunk)
        {
            self.due = due;
            return Some(key);
        }
        let (key, due) = self.find(text)?;
        self.due = due;
        Some(key)
    }

    /// Looks for a key behind the one that was due, and then before it: the key, and those due then.
    #[inline(never)]
    fn find(self, text: &[u8]) -> Option<(&'a Key, &'a [Key])> {
        let mut chunk = [0; KEY_BYTES_MAX];
        let length = text.len().min(KEY_BYTES_MAX);
        chunk[..length].copy_from_slice(&text[..length]);
        let word = u64::from_le_bytes(*chunk.first_chunk()?);
        // Few keys are alike in what 8 octets show.
        let is_it = |key: &Key| (word & key.first_mask) == key.first && key.begins(&chunk);
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
        const KEYS: [Key; 3] = [
            Key::new("source-port", true, 4),
            Key::new("a-key-of-exactly-thirty-letters", false, 5),
            Key::new("source", true, 6),
        ];
        let mut walk = Walk::new(&KEYS);
        let known = |key: &Key| (key.length(), key.slot());
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
