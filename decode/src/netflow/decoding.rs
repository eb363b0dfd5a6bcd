//! One message of NetFlow v9 or IPFIX, set by set, with what is known of its exporter's domain.

use super::clock::Clock;
use super::domain::{Domain, Keep};
use super::exporters::{Key, Shared, TEMPLATES_MAX};
use super::message::{Header, Message, Set, Version};
use super::parked::{PARKED_AGE_MAX_NS, PARKED_OCTETS_MAX, ParkedSet};
use super::profile::Profile;
use super::rows;
use super::sequence::Unit;
use super::sink::{News, Origin, Part, Refused, Sink, Summary};
use super::template::{Entry, Template, Written};
use super::text;
use crate::DecodeError;

/// What decoding a message needs.
pub(super) struct Decoding<'a, S> {
    pub profile: Profile,
    pub key: Key,
    pub version: Version,
    pub origin: Origin,
    pub domain: &'a mut Domain,
    pub shared: &'a mut Shared,
    pub sink: &'a mut S,
}

impl<S: Sink> Decoding<'_, S> {
    /// Decodes all sets, and takes note of the sequence number.
    pub(super) fn message(&mut self, message: Message<'_>, summary: &mut Summary) {
        let header = message.header;
        let mut records = Some(0_u32);
        for set in message.sets {
            let set = match set {
                Ok(set) => set,
                Err(error) => {
                    summary.refused += 1;
                    self.refuse(error, Part::Datagram);
                    break;
                }
            };
            match (self.version, set.id) {
                (Version::V9, 0) | (Version::Ipfix, 2) => self.templates(false, &set, summary),
                (Version::V9, 1) | (Version::Ipfix, 3) => self.templates(true, &set, summary),
                (_, 256..) => {
                    let decoded = self.data(&header, &set, self.origin, summary);
                    records = records
                        .zip(decoded)
                        .map(|(records, decoded)| records.wrapping_add(decoded));
                }
                // Kept free for later use (RFC 7011 section 3.3.2).
                _ => {}
            }
            if set.is_cut {
                summary.refused += 1;
                records = None;
                self.refuse(DecodeError::Truncated, Part::Set(set.id));
            }
        }
        let unit = Unit::of(self.profile, self.version);
        let missing = self.domain.sequence.counters.missing;
        self.domain.sequence.message(&header, unit, records);
        summary.sequence(missing, self.domain.sequence.counters.missing);
    }

    fn refuse(&mut self, error: DecodeError, part: Part<'_>) {
        self.sink.refused(&Refused { error, part }, self.origin);
    }

    /// Decodes a data set, or parks it. The number of its records, if it is known.
    fn data(&mut self, header: &Header, set: &Set<'_>, origin: Origin, summary: &mut Summary) -> Option<u32> {
        let Some(ready) = self.domain.template(set.id, self.profile) else {
            self.park(header, set, summary);
            return None;
        };
        if ready.template.is_options() {
            vrf_names(ready.template, set.octets, origin, self.sink);
        }
        if S::RECORDS {
            for record in ready.template.records(set.octets) {
                self.sink.record(header, record, origin);
            }
        }
        let counts = rows::decode(
            ready,
            set.octets,
            Clock::from(header),
            origin,
            &mut self.shared.texts,
            self.sink,
        );
        summary.events += counts.events;
        summary.ignored += counts.ignored;
        summary.refused += counts.refused;
        Some(counts.records as u32)
    }

    fn park(&mut self, header: &Header, set: &Set<'_>, summary: &mut Summary) {
        let parked = ParkedSet {
            id: set.id,
            header: *header,
            origin: self.origin,
            octets: set.octets.into(),
        };
        if self.shared.parked_octets + parked.cost() > PARKED_OCTETS_MAX {
            self.shared.give_up(&parked, self.sink);
            summary.refused += 1;
            return;
        }
        summary.parked += 1;
        self.sink.parked(set.id, set.octets, self.origin);
        self.shared.park(self.domain, parked, self.sink);
    }

    fn templates(&mut self, are_options: bool, set: &Set<'_>, summary: &mut Summary) {
        let mut rest = set.octets;
        // Padding is shorter than a template's header.
        while rest.len() >= 4 && rest.iter().any(|&octet| octet != 0) {
            let error = match Written::take(self.version, are_options, &mut rest) {
                Ok(Entry::Template(written)) => match self.keep(written) {
                    Ok(()) => {
                        self.unpark(written.id, summary);
                        continue;
                    }
                    Err(error) => error,
                },
                Ok(Entry::Withdrawal(id)) => {
                    self.shared.counters.withdrawals_ignored += 1;
                    if let Some(ready) = self.domain.template(id, self.profile) {
                        let known = self.key.known(self.version, ready.template);
                        self.sink.template(&known, News::Withdrawn);
                    }
                    continue;
                }
                Ok(Entry::TooLarge(_)) => DecodeError::BadTemplate,
                // What the cut left is no template: the cut is the error.
                Err(_) if set.is_cut => return,
                Err(error) => {
                    rest = &[];
                    error
                }
            };
            summary.refused += 1;
            self.refuse(error, Part::Set(set.id));
        }
    }

    /// Takes a template in.
    pub(super) fn keep(&mut self, written: Written<'_>) -> Result<(), DecodeError> {
        let has_room = self.shared.templates < TEMPLATES_MAX;
        let (news, template) = match self.domain.keep(self.profile, self.version, written, has_room) {
            Keep::New(template) => {
                self.shared.templates += 1;
                (News::New, template)
            }
            Keep::Changed(template) => (News::Changed, template),
            Keep::Same(template) => (News::Repeated, template),
            Keep::NoRoom => {
                self.shared.counters.templates_refused += 1;
                return Err(DecodeError::TooManyTemplates);
            }
        };
        self.sink.template(&self.key.known(self.version, template), news);
        Ok(())
    }

    /// Decodes what waited for this template.
    fn unpark(&mut self, id: u16, summary: &mut Summary) {
        for parked in self.domain.parked.take(|parked| parked.id == id) {
            self.shared.parked_octets -= parked.cost();
            let age_ns = self.origin.received_ns.saturating_sub(parked.origin.received_ns);
            if age_ns > PARKED_AGE_MAX_NS {
                self.shared.give_up(&parked, self.sink);
                self.sink.settled(id, parked.origin);
                continue;
            }
            let set = Set {
                id,
                octets: &parked.octets,
                is_cut: false,
            };
            let mut of_set = Summary::default();
            self.data(&parked.header, &set, parked.origin, &mut of_set);
            summary.unparked_events += of_set.events;
            self.sink.settled(id, parked.origin);
        }
    }
}

/// Shows the names that options records give to VRFs.
fn vrf_names<S: Sink>(template: &Template, set: &[u8], origin: Origin, sink: &mut S) {
    const ID: u16 = 234;
    const NAME: u16 = 236;
    let has = |id| {
        let mut elements = template.fields.iter().map(|field| field.element);
        elements.any(|element| element.enterprise == 0 && element.id == id)
    };
    if !(has(ID) && has(NAME)) {
        return;
    }
    for record in template.records(set) {
        let value = |id| {
            let mut fields = record.fields();
            fields
                .find(|(field, _)| field.element.enterprise == 0 && field.element.id == id)
                .map_or(&[][..], |(_, octets)| octets)
        };
        let number = value(ID)
            .iter()
            .fold(0, |number, &octet| number << 8 | u64::from(octet));
        if let Ok(Some(name)) = text::of(value(NAME)) {
            sink.vrf_name(number, name, origin);
        }
    }
}
