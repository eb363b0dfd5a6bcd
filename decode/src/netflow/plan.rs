//! A template, compiled: where each column of a record stands.
//!
//! Each number column of a record without variable fields is one load of eight octets, a shift and a mask. An absent
//! column has a mask of 0, so that decoding a record does not branch on its fields.

use super::dialect::{Judgement, NAT_EVENTS, judge};
use super::meaning::Meaning;
use super::message::Version;
use super::profile::Profile;
use super::slot::{SLOTS, Slot, Slots, Unit, slot};
use super::template::{Record, Template};

/// Octets of a record that the fast way reaches, and those that a load may read beyond them.
const REACH_OCTETS: usize = 128;
const WINDOW_OCTETS: usize = REACH_OCTETS + size_of::<u128>();

/// A record and what follows it.
pub(super) type Window = [u8; WINDOW_OCTETS];

/// "No column".
const NONE: u8 = u8::MAX;

/// How the records of one template are read for one profile.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub profile: Profile,
    pub meaning: Meaning,
    pub present: Slots,
    pub time_unit: Unit,
    pub start_unit: Unit,
    pub end_unit: Unit,
    /// For each natEvent, what such a record is, if all fields of the template count.
    pub judgements: [Judgement; NAT_EVENTS],
    /// The template has the fields of several kinds of mapping: those that are zero must be left out.
    pub is_mixed: bool,
    /// The column of each field.
    columns: Box<[u8]>,
    /// For the fast way.
    loads: Option<Box<[Load; SLOTS]>>,
}

/// Where a number stands: `(eight octets at offset >> shift) & mask`.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    mask: u64,
    offset: u8,
    shift: u8,
}

impl Plan {
    pub(super) fn new(profile: Profile, version: Version, template: &Template) -> Self {
        let mut plan = Self {
            profile,
            meaning: Meaning::None,
            present: Slots::default(),
            time_unit: Unit::Milliseconds,
            start_unit: Unit::Milliseconds,
            end_unit: Unit::Milliseconds,
            judgements: [Judgement::Ignored(crate::Ignored::NotAMapping); NAT_EVENTS],
            is_mixed: false,
            columns: vec![NONE; template.fields.len()].into(),
            loads: None,
        };
        plan.place(version, template);
        plan.meaning = Meaning::of(profile, template, plan.present);
        let ports = plan.present.any([Slot::SrcPort, Slot::PostSrcPort]);
        plan.is_mixed = plan.present.has(Slot::BlockStart) && ports
            || plan.present.has(Slot::Src4) && plan.present.has(Slot::Src6);
        for (value, judgement) in plan.judgements.iter_mut().enumerate() {
            *judgement = judge(profile.dialects(), value as u64, plan.present);
        }
        plan
    }

    /// Gives fields their columns. Of several fields for one column the first counts.
    fn place(&mut self, version: Version, template: &Template) {
        let scope = usize::from(template.scope_fields.unwrap_or(0));
        let mut loads = [Load::default(); SLOTS];
        let mut offset = 0;
        let mut is_fast = !template.is_variable;
        for (index, field) in template.fields.iter().enumerate() {
            let here = offset;
            offset += field.octets.map_or(0, usize::from);
            if index < scope {
                continue;
            }
            let Some((slot, unit)) = slot(version, field.element) else {
                continue;
            };
            if self.present.has(slot) || !fits(slot, field.octets) {
                continue;
            }
            self.present = self.present.with(slot);
            self.columns[index] = slot as u8;
            match (slot, unit) {
                (Slot::Time, Some(unit)) => self.time_unit = unit,
                (Slot::Start, Some(unit)) => self.start_unit = unit,
                (Slot::End, Some(unit)) => self.end_unit = unit,
                _ => {}
            }
            let octets = usize::from(field.octets.unwrap_or(0));
            is_fast &= here + octets <= REACH_OCTETS && !is_text(slot);
            if is_fast && octets <= size_of::<u64>() {
                loads[slot as usize] = Load {
                    offset: here as u8,
                    shift: 64 - 8 * octets as u8,
                    mask: u64::MAX,
                };
            } else if is_fast {
                loads[slot as usize].offset = here as u8;
            }
        }
        self.loads = is_fast.then(|| Box::new(loads));
    }

    /// Gives each whole record of a set's octets to `each`.
    #[inline]
    pub(super) fn each_row<'a>(&'a self, template: &'a Template, set: &'a [u8], mut each: impl Each<'a>) {
        let Some(loads) = &self.loads else {
            for record in template.records(set) {
                each.row(&Walked::new(self, record), record.octets);
            }
            return;
        };
        let octets = template.octets_min;
        if octets == 0 {
            return;
        }
        let mut rest = set;
        while let Some(window) = rest.first_chunk()
            && rest.len() >= octets
        {
            each.row(&Placed { loads, window }, &rest[..octets]);
            rest = &rest[octets..];
        }
        // The last records: a window on them would reach beyond the set. They are moved to where it may.
        let mut tail = [0; 2 * WINDOW_OCTETS];
        if rest.len() < octets {
            return;
        }
        tail[..rest.len()].copy_from_slice(rest);
        let mut at = 0;
        while rest.len() - at >= octets {
            if let Some(window) = tail[at..].first_chunk() {
                each.row(&Placed { loads, window }, &rest[at..at + octets]);
            }
            at += octets;
        }
    }
}

/// What is done with the rows of a set: generic over how they are read, so that the fast way is compiled for itself.
pub(super) trait Each<'a> {
    fn row(&mut self, row: &impl Row, octets: &'a [u8]);
}

/// Whether a field of this length can be what its column wants; `None` is a variable length.
fn fits(slot: Slot, octets: Option<u16>) -> bool {
    match slot {
        Slot::Src6 | Slot::Dst6 | Slot::PostSrc6 | Slot::PostDst6 => octets == Some(16),
        Slot::Src4 | Slot::Dst4 | Slot::PostSrc4 | Slot::PostDst4 => octets == Some(4),
        Slot::VrfName | Slot::Subscriber | Slot::NatSubString | Slot::Counter | Slot::Quota => {
            octets != Some(0)
        }
        // Any of the integers may be shorter than its type (RFC 7011 section 6.2), or wider than it need be.
        _ => octets.is_some_and(|octets| (1..=8).contains(&octets)),
    }
}

fn is_text(slot: Slot) -> bool {
    matches!(slot, Slot::VrfName | Slot::Subscriber | Slot::NatSubString)
}

/// The columns of one record. What is absent is 0.
pub(super) trait Row {
    /// A number, or an IPv4 address.
    fn number(&self, slot: Slot) -> u64;
    /// An IPv6 address.
    fn wide(&self, slot: Slot) -> u128;
    /// A text, as it stands there.
    fn text(&self, slot: Slot) -> &[u8];
}

/// A record whose columns stand at the same place as in all others.
struct Placed<'a> {
    loads: &'a [Load; SLOTS],
    window: &'a Window,
}

impl Row for Placed<'_> {
    #[inline]
    fn number(&self, slot: Slot) -> u64 {
        let Load { mask, offset, shift } = self.loads[slot as usize];
        // The remainder costs nothing, and says that the octets are in the window.
        let at = usize::from(offset) % REACH_OCTETS;
        let mut octets = [0; 8];
        octets.copy_from_slice(&self.window[at..at + 8]);
        (u64::from_be_bytes(octets) >> (shift % 64)) & mask
    }

    #[inline]
    fn wide(&self, slot: Slot) -> u128 {
        let at = usize::from(self.loads[slot as usize].offset) % REACH_OCTETS;
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.window[at..at + 16]);
        u128::from_be_bytes(octets)
    }

    #[inline]
    fn text(&self, _slot: Slot) -> &[u8] {
        // A plan with texts has no loads.
        &[]
    }
}

/// A record that had to be walked through: with variable fields, texts, or longer than the fast way reaches.
struct Walked<'a> {
    columns: [&'a [u8]; SLOTS],
}

impl<'a> Walked<'a> {
    fn new(plan: &Plan, record: Record<'a>) -> Self {
        let mut columns = [&[][..]; SLOTS];
        for ((_, octets), &column) in record.fields().zip(&plan.columns) {
            if column != NONE {
                columns[usize::from(column)] = octets;
            }
        }
        Self { columns }
    }
}

impl Row for Walked<'_> {
    fn number(&self, slot: Slot) -> u64 {
        let octets = self.columns[slot as usize].iter();
        octets.fold(0, |number, &octet| number << 8 | u64::from(octet))
    }

    fn wide(&self, slot: Slot) -> u128 {
        let octets = self.columns[slot as usize].iter();
        octets.fold(0, |number, &octet| number << 8 | u128::from(octet))
    }

    fn text(&self, slot: Slot) -> &[u8] {
        self.columns[slot as usize]
    }
}
