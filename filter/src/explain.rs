//! Which patterns match, for people.

use regex_automata::{Input, PatternSet, meta};
use wire::filter::{Judgement, pri};

use crate::{Compiled, engine};

/// Says of payloads what becomes of them, and why.
#[derive(Debug)]
pub struct Explainer {
    compiled: Compiled,
    keep: meta::Regex,
    drop: meta::Regex,
}

/// What becomes of a payload, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub judgement: Judgement,
    /// The PRI it begins with, if it does.
    pub pri: Option<u8>,
    /// Places in `keep` of the patterns that match.
    pub keep: Vec<usize>,
    /// Places in `drop` of the patterns that match.
    pub drop: Vec<usize>,
}

impl Explainer {
    pub fn new(compiled: Compiled) -> Self {
        let engine = |patterns: &[String]| engine(patterns).expect("checked when the rules were made");
        Self {
            keep: engine(compiled.rules().keep()),
            drop: engine(compiled.rules().drop()),
            compiled,
        }
    }

    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    pub fn explain(&self, payload: &[u8]) -> Explanation {
        let text = self.compiled.rules().text(payload);
        Explanation {
            judgement: self.compiled.judge(payload),
            pri: pri(payload, 0, payload.len()),
            keep: matching(&self.keep, text),
            drop: matching(&self.drop, text),
        }
    }
}

fn matching(patterns: &meta::Regex, text: &[u8]) -> Vec<usize> {
    let mut found = PatternSet::new(patterns.pattern_len());
    patterns.which_overlapping_matches(&Input::new(text), &mut found);
    found.iter().map(|pattern| pattern.as_usize()).collect()
}
