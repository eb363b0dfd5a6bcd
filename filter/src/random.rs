//! Rules and payloads for tests, from a bounded grammar over a few octets, so that matches are as frequent as misses.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::{PRIS, PriMask, Rules};

/// What payloads are made of, and patterns look for.
const OCTETS: &[u8] = b"abAB01 .<>\n\xff\x00";

/// A source that gives the same with the same seed.
#[derive(Debug)]
pub struct Random(SmallRng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Up to three patterns of each kind, half of the time a PRI mask.
    pub fn rules(&mut self) -> Rules {
        let mut patterns = |max| -> Vec<String> {
            let count = self.0.random_range(0..=max);
            (0..count).map(|_| self.pattern(3)).collect()
        };
        let (keep, drop) = (patterns(3), patterns(2));
        let text_octets = *[1, 3, 7, 8, 9, 16, 40, 64, 255, 256, 1024]
            .choose(&mut self.0)
            .unwrap_or(&256);
        let mut masked = PriMask::default();
        if self.0.random() {
            (0..PRIS)
                .filter(|_| self.0.random())
                .for_each(|pri| masked.add(pri));
        }
        Rules::new(&keep, &drop, text_octets, masked).expect("the grammar makes valid patterns")
    }

    /// A pattern with groups at most so deep.
    fn pattern(&mut self, depth: u32) -> String {
        let alternatives = self.0.random_range(1..=2);
        let alternatives: Vec<String> = (0..alternatives)
            .map(|_| {
                let parts = self.0.random_range(1..=4);
                (0..parts).map(|_| self.part(depth)).collect()
            })
            .collect();
        alternatives.join("|")
    }

    fn part(&mut self, depth: u32) -> String {
        let atom = match self.0.random_range(0..12) {
            0 if depth > 0 => format!("({})", self.pattern(depth - 1)),
            1 => ".".into(),
            2 => r"\d".into(),
            3 => "[a-b]".into(),
            4 => "[^aB<]".into(),
            5 => r"(?s:.)".into(),
            6 => "(?i:a)".into(),
            // What looks around takes no repetition.
            7 => {
                return ["^", "$", r"\b", r"\B", r"\A", r"\z", "(?m:^)", "(?m:$)"]
                    .choose(&mut self.0)
                    .unwrap_or(&"^")
                    .to_string();
            }
            _ => format!("\\x{:02x}", self.octet()),
        };
        let repeat = *["", "", "", "", "*", "+", "?", "{2}", "{1,3}", "{0}", "*?"]
            .choose(&mut self.0)
            .unwrap_or(&"");
        format!("{atom}{repeat}")
    }

    fn octet(&mut self) -> u8 {
        *OCTETS.choose(&mut self.0).unwrap_or(&b'a')
    }

    /// A payload of up to `octets_max` octets, often with a PRI, often of a length around that of the text.
    pub fn payload(&mut self, rules: &Rules, octets_max: usize) -> Vec<u8> {
        let around = rules.text_octets() + self.0.random_range(0..=2);
        let octets = match self.0.random_range(0..3) {
            0 => around.saturating_sub(1).min(octets_max),
            1 => self.0.random_range(0..=octets_max.min(20)),
            _ => self.0.random_range(0..=octets_max),
        };
        let mut payload = Vec::with_capacity(octets);
        if self.0.random() {
            payload.extend(format!("<{}>", self.0.random_range(0..200)).bytes());
        }
        while payload.len() < octets {
            payload.push(self.octet());
        }
        payload.truncate(octets);
        payload
    }
}
