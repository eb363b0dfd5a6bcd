//! What a listener asks of payloads beyond their sender: PRI masks and the content filter.
//!
//! [`judge`] is the one meaning of both: the XDP program runs it in the kernel, the collector in user space for what never
//! met that program. Patterns are compiled elsewhere into the table of [`Filter`], a deterministic automaton.
//!
//! # The text
//! The first [`Filter::text_octets`] octets of the payload, or all of it if it is shorter. Nothing behind them is looked
//! at, and their end is the end of the text: `$` and `\z` match there.
//!
//! # The automaton
//! A state is the place of its row in the table, in octets, so that a step is one addition and one load. An octet's class is
//! the place of its column in the row, in octets too. Behind the last octet comes one step more, with a class of its own for the end
//! of the text; it always leads to [`FILTERED`] or [`PASSES`]. Both lead to themselves, so the walk may stop when it meets one.
#![allow(
    clippy::inline_always,
    reason = "the kernel's verifier follows a function better when it is inlined"
)]

use crate::packet::Packet;

/// Most octets of a payload that a filter may look at.
pub const TEXT_OCTETS_MAX: usize = 1024;
/// Most classes of octets, that of the end of the text included: twice a class's number fits into an octet.
pub const CLASSES_MAX: usize = 128;

/// Place of a row in [`Filter::transitions`], in octets.
pub type State = u16;
/// The state that filters, whatever follows.
pub const FILTERED: State = 0;
/// The state that passes, whatever follows.
pub const PASSES: State = 2 * CLASSES_MAX as State;
/// Where the rows of all other states begin.
pub const ROWS_FROM: State = 2 * PASSES;
/// Room for the rows of all other states, in transitions: states times classes.
pub const ROW_CELLS_MAX: usize = (1 << 15) - ROWS_FROM as usize / 2;
/// Every [`State`] plus every class is a place in the table, so that no bound has to be checked at a step.
const TRANSITIONS: usize = (1 << 15) + CLASSES_MAX;

/// The PRIs (RFC 5424 section 6.2.1: facility times 8 plus severity) that are masked out, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PriMask {
    bits: [u64; 3],
}

/// PRIs are `0..PRIS`.
pub const PRIS: u8 = 192;

impl PriMask {
    /// Masks `pri` out; no effect from [`PRIS`] on.
    pub fn add(&mut self, pri: u8) {
        if let Some(bits) = self.bits.get_mut(usize::from(pri >> 6)) {
            *bits |= 1 << (pri & 63);
        }
    }

    /// Whether `pri` is masked out.
    #[inline(always)]
    pub fn holds(&self, pri: u8) -> bool {
        // No index: the kernel's verifier wants constant ones.
        let bits = match pri >> 6 {
            0 => self.bits[0],
            1 => self.bits[1],
            2 => self.bits[2],
            _ => 0,
        };
        bits >> (pri & 63) & 1 != 0
    }

    /// Whether none is.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.bits[0] | self.bits[1] | self.bits[2] == 0
    }
}

/// The filter of one listener, as both sides have it; value of the kernel's map.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Filter {
    pub masked: PriMask,
    /// Octets of the payload that are looked at, at most [`TEXT_OCTETS_MAX`].
    pub text_octets: u32,
    /// The state before the first octet.
    pub start: State,
    /// The class of the end of the text.
    pub end_class: u16,
    /// The class of each octet.
    pub classes: [u8; 256],
    /// The next state, by the present one and a class.
    pub transitions: [State; TRANSITIONS],
}

impl Filter {
    /// Passes everything.
    #[expect(
        clippy::large_stack_arrays,
        reason = "65 KiB, made a few times and never in the kernel"
    )]
    pub const fn passing() -> Self {
        let mut transitions = [FILTERED; TRANSITIONS];
        let mut class = 0;
        while class < CLASSES_MAX {
            transitions[PASSES as usize / 2 + class] = PASSES;
            class += 1;
        }
        Self {
            masked: PriMask { bits: [0; 3] },
            text_octets: 0,
            start: PASSES,
            end_class: 0,
            classes: [0; 256],
            transitions,
        }
    }
}

impl core::fmt::Debug for Filter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Filter")
            .field("masked", &self.masked)
            .field("text_octets", &self.text_octets)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// A [`Filter`] wherever it is.
pub trait Rules {
    fn masked(&self) -> PriMask;
    fn text_octets(&self) -> usize;
    fn start(&self) -> State;
    fn end_class(&self) -> u8;
    fn class(&self, octet: u8) -> u8;
    fn next(&self, state: State, class: u8) -> State;
}

impl Rules for Filter {
    fn masked(&self) -> PriMask {
        self.masked
    }

    fn text_octets(&self) -> usize {
        self.text_octets as usize
    }

    fn start(&self) -> State {
        self.start
    }

    fn end_class(&self) -> u8 {
        self.end_class as u8
    }

    #[inline(always)]
    fn class(&self, octet: u8) -> u8 {
        self.classes[usize::from(octet)]
    }

    #[inline(always)]
    fn next(&self, state: State, class: u8) -> State {
        self.transitions[(usize::from(state) + usize::from(class)) >> 1]
    }
}

impl<R: Rules + ?Sized> Rules for &R {
    fn masked(&self) -> PriMask {
        (**self).masked()
    }

    fn text_octets(&self) -> usize {
        (**self).text_octets()
    }

    fn start(&self) -> State {
        (**self).start()
    }

    fn end_class(&self) -> u8 {
        (**self).end_class()
    }

    #[inline(always)]
    fn class(&self, octet: u8) -> u8 {
        (**self).class(octet)
    }

    #[inline(always)]
    fn next(&self, state: State, class: u8) -> State {
        (**self).next(state, class)
    }
}

/// What becomes of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Passes,
    /// Its PRI is masked out.
    PriMasked,
    /// By the content filter.
    Filtered,
}

/// Judges the payload of `octets` octets at `offset` of `packet`. What [`Packet::load`] does not reach of it passes:
/// whoever can reach it judges again.
#[inline(always)]
pub fn judge<P: Packet + ?Sized, R: Rules>(packet: &P, offset: usize, octets: usize, rules: &R) -> Judgement {
    let masked = rules.masked();
    if !masked.is_empty() && pri(packet, offset, octets).is_some_and(|pri| masked.holds(pri)) {
        return Judgement::PriMasked;
    }
    match walk(packet, offset, octets, rules) {
        Some(FILTERED) => Judgement::Filtered,
        _ => Judgement::Passes,
    }
}

/// The PRI that a payload begins with: `<`, one to three digits, `>`. `None`: there is none, or it is above 191.
#[inline(always)]
pub fn pri<P: Packet + ?Sized>(packet: &P, offset: usize, octets: usize) -> Option<u8> {
    let octet = |at: usize| {
        if at >= octets {
            return None;
        }
        packet.load::<1>(offset + at).map(|[octet]| octet)
    };
    if octet(0)? != b'<' {
        return None;
    }
    let mut pri = 0_u32;
    for at in 1..=4 {
        match octet(at)? {
            b'>' if at > 1 => return (pri < PRIS as u32).then_some(pri as u8),
            digit @ b'0'..=b'9' => pri = pri * 10 + u32::from(digit - b'0'),
            _ => return None,
        }
    }
    None
}

/// [`FILTERED`] or [`PASSES`]; `None`: the text is not in reach.
#[inline(always)]
fn walk<P: Packet + ?Sized, R: Rules>(packet: &P, offset: usize, octets: usize, rules: &R) -> Option<State> {
    let mut left = octets.min(rules.text_octets());
    let mut at = offset;
    let mut state = rules.start();
    // The bound of this loop is for the verifier; `left` ends it.
    for _ in 0..TEXT_OCTETS_MAX / 8 {
        // Settled: FILTERED and PASSES are the lowest states.
        if left < 8 || state <= PASSES {
            break;
        }
        let word: [u8; 8] = packet.load(at)?;
        for class in word.map(
            #[inline(always)]
            |octet| rules.class(octet),
        ) {
            state = rules.next(state, class);
        }
        at += 8;
        left -= 8;
    }
    for _ in 0..7 {
        if left == 0 || state <= PASSES {
            break;
        }
        let [octet] = packet.load(at)?;
        state = rules.next(state, rules.class(octet));
        at += 1;
        left -= 1;
    }
    Some(rules.next(state, rules.end_class()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::vec::Vec;

    fn judged(payload: &[u8], filter: &Filter) -> Judgement {
        judge(payload, 0, payload.len(), filter)
    }

    #[test]
    fn there_is_no_padding_and_every_step_stays_in_the_table() {
        assert_eq!(size_of::<Filter>(), 24 + 4 + 2 + 2 + 256 + 2 * TRANSITIONS);
        assert!(usize::from(State::MAX) + usize::from(u8::MAX) < 2 * TRANSITIONS);
    }

    #[test]
    fn every_pri_is_masked_by_its_own_bit_alone() {
        for masked in 0..PRIS {
            let mut filter = Filter::passing();
            filter.masked.add(masked);
            for pri in 0..PRIS {
                let expected = if pri == masked {
                    Judgement::PriMasked
                } else {
                    Judgement::Passes
                };
                assert_eq!(judged(format!("<{pri}>1 text").as_bytes(), &filter), expected);
            }
        }
        let mut none = PriMask::default();
        none.add(PRIS);
        none.add(255);
        assert!(none.is_empty());
    }

    #[test]
    fn what_states_no_pri_is_not_masked() {
        let mut filter = Filter::passing();
        (0..PRIS).for_each(|pri| filter.masked.add(pri));
        for payload in [
            "", "<", "<1", "<>", "<>x", "<1x>", "<192>", "<999>", "<1234>", "1>", " <1>", "<-1>", "<+1>",
            "<256>",
        ] {
            assert_eq!(
                judged(payload.as_bytes(), &filter),
                Judgement::Passes,
                "{payload:?}"
            );
        }
        for payload in ["<0>", "<191>", "<007>x", "<13>1 2026"] {
            assert_eq!(
                judged(payload.as_bytes(), &filter),
                Judgement::PriMasked,
                "{payload:?}"
            );
        }
    }

    /// Filters texts of an odd number of octets: every octet and the end count, and none behind the end.
    fn odd(text_octets: u32) -> Filter {
        let mut filter = Filter::passing();
        filter.text_octets = text_octets;
        // Class 0: any octet; class 1: the end. Even row, then odd row.
        let (even, odd) = (ROWS_FROM, ROWS_FROM + 4);
        filter.end_class = 2;
        filter.start = even;
        let row = usize::from(ROWS_FROM) / 2;
        filter.transitions[row..row + 4].copy_from_slice(&[odd, PASSES, even, FILTERED]);
        filter
    }

    #[test]
    fn the_text_ends_with_the_payload_or_after_its_octets() {
        for text_octets in [1, 7, 8, 9, 16, 255, 256, 1023, 1024] {
            let filter = odd(text_octets);
            for octets in 0..text_octets as usize + 20 {
                let payload: Vec<u8> = (0..octets).map(|i| i as u8).collect();
                let seen = octets.min(text_octets as usize);
                let expected = if seen % 2 == 1 {
                    Judgement::Filtered
                } else {
                    Judgement::Passes
                };
                assert_eq!(judged(&payload, &filter), expected, "{octets} of {text_octets}");
            }
        }
    }

    #[test]
    fn what_is_not_in_reach_passes() {
        let payload = [b'x'; 64];
        assert_eq!(judge(&payload[..], 0, 63, &odd(256)), Judgement::Filtered);
        assert_eq!(judge(&payload[..], 0, 65, &odd(256)), Judgement::Passes);
        assert_eq!(judge(&payload[..], 1, 64, &odd(256)), Judgement::Passes);
    }
}
