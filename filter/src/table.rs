//! From an automaton of `regex-automata` to the smallest table with the same answers.
//!
//! Its automaton tells of every match; all that matters here is whether a text passes. So its states are taken together with
//! whether the text is kept already; where the answer is certain they become one of two that are settled; and states that no rest of
//! a text tells apart become one (Moore's algorithm). Classes of octets that no state tells apart become one as well.

use regex_automata::dfa::{Automaton, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::alphabet::Unit;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input, MatchKind};
use rustc_hash::FxHashMap;
use wire::filter::{CLASSES_MAX, FILTERED, Filter, PASSES, ROW_CELLS_MAX, ROWS_FROM, State};

use crate::Rules;
use crate::compiled::TooLarge;

/// Most memory of the automaton before it is made smaller, in octets, and of what making it takes.
const DFA_BYTES_MAX: usize = 1 << 20;

/// Size of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub states: usize,
    /// Of octets, and of the end of the text.
    pub classes: usize,
}

impl Size {
    fn fits(self) -> bool {
        self.classes <= CLASSES_MAX && self.states.saturating_sub(2) * self.classes <= ROW_CELLS_MAX
    }
}

/// The patterns of `rules` as a table; PRIs are not masked by it.
pub(crate) fn build(rules: &Rules) -> Result<(Box<Filter>, Size), TooLarge> {
    let dfa = automaton(rules)?;
    let smallest = Graph::explore(&dfa, rules)?.merge_states().merge_symbols();
    let size = Size {
        states: smallest.rows.len(),
        classes: smallest.symbols,
    };
    if !size.fits() {
        return Err(TooLarge::Table(size));
    }
    let mut filter = smallest.lay_out();
    filter.text_octets = rules.text_octets() as u32;
    Ok((filter, size))
}

fn automaton(rules: &Rules) -> Result<dense::DFA<Vec<u32>>, TooLarge> {
    let patterns: Vec<&str> = rules
        .keep()
        .iter()
        .chain(rules.drop())
        .map(String::as_str)
        .collect();
    dense::Builder::new()
        .syntax(crate::syntax())
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(2 * crate::NFA_BYTES_MAX)),
        )
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(regex_automata::dfa::StartKind::Unanchored)
                .dfa_size_limit(Some(DFA_BYTES_MAX))
                .determinize_size_limit(Some(DFA_BYTES_MAX)),
        )
        .build_many(&patterns)
        .map_err(|error| {
            if error.is_size_limit_exceeded() {
                TooLarge::Automaton
            } else {
                TooLarge::Unsupported(error.to_string())
            }
        })
}

/// Numbers of the two settled states, in every graph.
const NODE_FILTERED: u32 = 0;
const NODE_PASSES: u32 = 1;

/// Rows of next nodes, by symbol. The last symbol of [`Graph::explore`] is the end of the text.
struct Graph {
    rows: Vec<Vec<u32>>,
    start: u32,
    symbols: usize,
    /// The symbol of each octet.
    of_octet: Box<[u32; 256]>,
    end: usize,
}

impl Graph {
    fn explore(dfa: &dense::DFA<Vec<u32>>, rules: &Rules) -> Result<Self, TooLarge> {
        let byte_classes = dfa.byte_classes();
        let octets: Vec<u8> = byte_classes
            .representatives(0..=255)
            .filter_map(Unit::as_u8)
            .collect();
        let mut of_octet = Box::new([0; 256]);
        for octet in 0..=255_u8 {
            let class = byte_classes.get(octet);
            let symbol = octets.iter().position(|&one| byte_classes.get(one) == class);
            of_octet[usize::from(octet)] = symbol.unwrap_or_default() as u32;
        }
        let start = dfa
            .start_state_forward(&Input::new(b"").anchored(Anchored::No))
            .map_err(|error| TooLarge::Unsupported(error.to_string()))?;
        let end = octets.len();
        let settled = |node| vec![node; end + 1];
        let mut explorer = Explorer {
            dfa,
            keeps: rules.keep().len(),
            drops: rules.drop().len(),
            numbers: FxHashMap::default(),
            found: Vec::new(),
        };
        let start = explorer.number(start, rules.keep().is_empty());
        let mut rows = vec![settled(NODE_FILTERED), settled(NODE_PASSES)];
        while let Some(&(state, kept)) = explorer.found.get(rows.len() - 2) {
            let mut row = Vec::with_capacity(end + 1);
            for &octet in &octets {
                row.push(explorer.after(dfa.next_state(state, octet), kept));
            }
            row.push(match explorer.hits(dfa.next_eoi_state(state), kept) {
                (_, true) | (false, _) => NODE_FILTERED,
                (true, false) => NODE_PASSES,
            });
            rows.push(row);
        }
        Ok(Self {
            rows,
            start,
            symbols: end + 1,
            of_octet,
            end,
        })
    }

    /// States that no rest of a text tells apart become one. The settled ones keep their numbers, as they come first.
    fn merge_states(self) -> Self {
        let mut blocks: Vec<u32> = self.rows.iter().map(|row| row[self.end]).collect();
        let mut count = 2;
        loop {
            let mut numbers: FxHashMap<(u32, Vec<u32>), u32> = FxHashMap::default();
            let next: Vec<u32> = (self.rows.iter().zip(&blocks))
                .map(|(row, &block)| {
                    let targets = row.iter().map(|&node| blocks[node as usize]).collect();
                    let number = numbers.len() as u32;
                    *numbers.entry((block, targets)).or_insert(number)
                })
                .collect();
            blocks = next;
            if numbers.len() == count {
                break;
            }
            count = numbers.len();
        }
        let mut rows = vec![Vec::new(); count];
        for (row, &block) in self.rows.iter().zip(&blocks) {
            rows[block as usize] = row.iter().map(|&node| blocks[node as usize]).collect();
        }
        let start = blocks[self.start as usize];
        Self { rows, start, ..self }
    }

    /// Symbols that no state tells apart become one.
    fn merge_symbols(self) -> Self {
        let mut numbers: FxHashMap<Vec<u32>, usize> = FxHashMap::default();
        let mut columns = Vec::new();
        let merged: Vec<usize> = (0..self.symbols)
            .map(|symbol| {
                let column: Vec<u32> = self.rows.iter().map(|row| row[symbol]).collect();
                *numbers.entry(column).or_insert_with(|| {
                    columns.push(symbol);
                    columns.len() - 1
                })
            })
            .collect();
        let rows = self.rows.iter();
        let rows = rows
            .map(|row| columns.iter().map(|&symbol| row[symbol]).collect())
            .collect();
        Self {
            rows,
            start: self.start,
            symbols: columns.len(),
            of_octet: Box::new(self.of_octet.map(|symbol| merged[symbol as usize] as u32)),
            end: merged[self.end],
        }
    }

    /// The table of a graph that fits.
    fn lay_out(&self) -> Box<Filter> {
        let state = |node: u32| match node {
            NODE_FILTERED => FILTERED,
            NODE_PASSES => PASSES,
            node => ROWS_FROM + (2 * (node as usize - 2) * self.symbols) as State,
        };
        let mut filter = Box::new(Filter::passing());
        filter.start = state(self.start);
        filter.end_class = 2 * self.end as u16;
        for (class, symbol) in filter.classes.iter_mut().zip(*self.of_octet) {
            *class = 2 * symbol as u8;
        }
        for (node, row) in (0..).zip(&self.rows).skip(2) {
            let from = usize::from(state(node)) / 2;
            for (cell, &next) in filter.transitions[from..].iter_mut().zip(row) {
                *cell = state(next);
            }
        }
        filter
    }
}

/// Gives numbers to states of the automaton, each with whether the text is kept already.
struct Explorer<'a> {
    dfa: &'a dense::DFA<Vec<u32>>,
    keeps: usize,
    drops: usize,
    numbers: FxHashMap<(StateID, bool), u32>,
    /// Those that have numbers, from 2 on.
    found: Vec<(StateID, bool)>,
}

impl Explorer<'_> {
    /// The node for being in `state`, where a match is told of, having been `kept` before.
    fn after(&mut self, state: StateID, kept: bool) -> u32 {
        match self.hits(state, kept) {
            (_, true) => NODE_FILTERED,
            (true, false) if self.drops == 0 => NODE_PASSES,
            (kept, false) => self.number(state, kept),
        }
    }

    /// Whether the text is kept, and whether it is dropped, with the matches of `state`.
    fn hits(&self, state: StateID, mut kept: bool) -> (bool, bool) {
        let mut dropped = false;
        if self.dfa.is_match_state(state) {
            for index in 0..self.dfa.match_len(state) {
                if self.dfa.match_pattern(state, index).as_usize() < self.keeps {
                    kept = true;
                } else {
                    dropped = true;
                }
            }
        }
        (kept, dropped)
    }

    fn number(&mut self, state: StateID, kept: bool) -> u32 {
        let next = self.found.len() as u32 + 2;
        *self.numbers.entry((state, kept)).or_insert_with(|| {
            self.found.push((state, kept));
            next
        })
    }
}
