//! What is known of the exporters: templates, sets that wait for theirs, sequence numbers.

use std::collections::HashMap;
use std::net::IpAddr;

use super::clock::Clock;
use super::domain::{Domain, Keep};
use super::message::{Header, Message, Set, Version};
use super::parked::{PARKED_OCTETS_MAX, ParkedSet};
use super::profile::Profile;
use super::rows;
use super::sequence::{self, Sequence};
use super::sink::{Datagram, Known, News, Origin, Part, Refused, Sink, Summary};
use super::template::{Entry, Template, Written};
use super::text::{self, Texts};
use super::v5;
use crate::DecodeError;

/// Observation domains and source ids of one exporter; beyond that the one unheard for the longest time is forgotten. A
/// router has one for each of its processors.
pub const DOMAINS_PER_EXPORTER_MAX: usize = 256;
/// The same over all exporters.
pub const DOMAINS_MAX: usize = 4096;
/// Templates over all exporters.
pub const TEMPLATES_MAX: usize = 32_768;

/// Whose numbers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    exporter: IpAddr,
    /// `None` is NetFlow v5.
    version: Option<Version>,
    domain: u32,
}

/// The state of decoding, without I/O: one for each worker, or for a file.
#[derive(Debug, Default)]
pub struct Exporters {
    domains: HashMap<Key, Domain>,
    templates: usize,
    parked_octets: usize,
    texts: Texts,
    counters: StateCounters,
}

/// What the bounds of the state cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounters {
    /// Domains that were forgotten for others.
    pub domains_forgotten: u64,
    /// Templates that there was no room for.
    pub templates_refused: u64,
    /// Sets that waited for their template in vain.
    pub parked_lost: u64,
    /// Withdrawals of templates, which over UDP change nothing (RFC 7011 section 8.4).
    pub withdrawals_ignored: u64,
}

impl Exporters {
    /// Decodes one datagram of NetFlow v5, v9 or IPFIX, and what its templates were waited for.
    ///
    /// What is whole is decoded, whatever is wrong with the rest; errors go to the sink, like events.
    pub fn decode<S: Sink>(&mut self, profile: Profile, datagram: &Datagram<'_>, sink: &mut S) -> Summary {
        let origin = Origin {
            tag: datagram.tag,
            received_ns: datagram.received_ns,
        };
        let mut summary = Summary::default();
        let decoded = match datagram.payload {
            [0, 5, ..] => self.decode_v5(profile, datagram, origin, &mut summary, sink),
            payload => match Message::read(payload) {
                Ok(message) => {
                    self.decode_sets(profile, datagram, message, origin, &mut summary, sink);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = decoded {
            summary.refused += 1;
            let part = Part::Datagram;
            sink.refused(&Refused { error, part }, origin);
        }
        summary
    }

    fn decode_v5<S: Sink>(
        &mut self,
        profile: Profile,
        datagram: &Datagram<'_>,
        origin: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) -> Result<(), DecodeError> {
        let message = v5::Message::read(datagram.payload)?;
        let key = Key {
            exporter: datagram.exporter,
            version: None,
            domain: message.engine,
        };
        let flows = message.records.len() as u32;
        self.domain(key, datagram.received_ns, sink).sequence.take(
            message.sequence,
            Some(flows),
            Some(message.boot_ms),
        );
        v5::decode(profile, &message, origin, summary, sink);
        Ok(())
    }

    fn decode_sets<S: Sink>(
        &mut self,
        profile: Profile,
        datagram: &Datagram<'_>,
        message: Message<'_>,
        origin: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) {
        let header = message.header;
        let key = Key {
            exporter: datagram.exporter,
            version: Some(header.version),
            domain: header.domain,
        };
        self.domain(key, datagram.received_ns, sink);
        let mut records = Some(0_u32);
        for set in message.sets {
            let set = match set {
                Ok(set) => set,
                Err(error) => {
                    summary.refused += 1;
                    let part = Part::Datagram;
                    sink.refused(&Refused { error, part }, origin);
                    break;
                }
            };
            match (header.version, set.id) {
                (Version::V9, 0) | (Version::Ipfix, 2) => {
                    self.take_templates(profile, key, false, &set, origin, summary, sink);
                }
                (Version::V9, 1) | (Version::Ipfix, 3) => {
                    self.take_templates(profile, key, true, &set, origin, summary, sink);
                }
                (_, 256..) => {
                    let decoded = self.decode_set(profile, key, &header, &set, origin, summary, sink);
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
                let refused = Refused {
                    error: DecodeError::Truncated,
                    part: Part::Set(set.id),
                };
                sink.refused(&refused, origin);
            }
        }
        if let Some(domain) = self.domains.get_mut(&key) {
            let unit = sequence::Unit::of(profile, header.version);
            domain.sequence.message(&header, unit, records);
        }
    }

    /// Decodes a data set, or parks it. The number of its records, if it is known.
    #[allow(clippy::too_many_arguments, reason = "one call, of a loop that was too long")]
    fn decode_set<S: Sink>(
        &mut self,
        profile: Profile,
        key: Key,
        header: &Header,
        set: &Set<'_>,
        origin: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) -> Option<u32> {
        let domain = self.domains.get_mut(&key)?;
        let Some(known) = domain.template(set.id, profile) else {
            self.park(key, header, set, origin, summary, sink);
            return None;
        };
        if known.template.is_options() {
            vrf_names(known.template, set.octets, origin, sink);
        }
        if S::RECORDS {
            for record in known.template.records(set.octets) {
                sink.record(header, record, origin);
            }
        }
        let counts = rows::decode(
            known.plan,
            known.template,
            set.octets,
            Clock::from(header),
            origin,
            &mut self.texts,
            sink,
        );
        summary.events += counts.events;
        summary.ignored += counts.ignored;
        summary.refused += counts.refused;
        Some(counts.records as u32)
    }

    fn park<S: Sink>(
        &mut self,
        key: Key,
        header: &Header,
        set: &Set<'_>,
        origin: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) {
        let parked = ParkedSet {
            id: set.id,
            header: *header,
            origin,
            octets: set.octets.into(),
        };
        if self.parked_octets + parked.cost() > PARKED_OCTETS_MAX {
            self.give_up(&parked, sink);
            summary.refused += 1;
            return;
        }
        summary.parked += 1;
        sink.parked(set.id, set.octets, origin);
        self.push_parked(key, parked, sink);
    }

    fn push_parked<S: Sink>(&mut self, key: Key, parked: ParkedSet, sink: &mut S) {
        let Some(domain) = self.domains.get_mut(&key) else {
            return;
        };
        self.parked_octets += parked.cost();
        domain.parked.push(parked);
        let mut surplus = Vec::new();
        while let Some(oldest) = domain.parked.surplus() {
            self.parked_octets -= oldest.cost();
            surplus.push(oldest);
        }
        for oldest in &surplus {
            self.give_up(oldest, sink);
        }
    }

    /// A set whose template did not come.
    fn give_up<S: Sink>(&mut self, parked: &ParkedSet, sink: &mut S) {
        self.counters.parked_lost += 1;
        let refused = Refused {
            error: DecodeError::NoTemplate,
            part: Part::Set(parked.id),
        };
        sink.refused(&refused, parked.origin);
    }

    #[allow(clippy::too_many_arguments, reason = "one call, of a loop that was too long")]
    fn take_templates<S: Sink>(
        &mut self,
        profile: Profile,
        key: Key,
        are_options: bool,
        set: &Set<'_>,
        origin: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) {
        let Some(version) = key.version else {
            return;
        };
        let mut rest = set.octets;
        // Padding is shorter than a template's header.
        while rest.len() >= 4 && rest.iter().any(|&octet| octet != 0) {
            let error = match Written::take(version, are_options, &mut rest) {
                Ok(Entry::Template(written)) => match self.keep(profile, key, written, sink) {
                    Ok(()) => {
                        self.unpark(profile, key, written.id, origin, summary, sink);
                        continue;
                    }
                    Err(error) => error,
                },
                Ok(Entry::Withdrawal(id)) => {
                    self.counters.withdrawals_ignored += 1;
                    if let Some(known) = self
                        .domains
                        .get_mut(&key)
                        .and_then(|domain| domain.template(id, profile))
                    {
                        sink.template(&key.known(version, known.template), News::Withdrawn);
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
            let part = Part::Set(set.id);
            sink.refused(&Refused { error, part }, origin);
        }
    }

    /// Takes a template in.
    fn keep<S: Sink>(
        &mut self,
        profile: Profile,
        key: Key,
        written: Written<'_>,
        sink: &mut S,
    ) -> Result<(), DecodeError> {
        let (Some(domain), Some(version)) = (self.domains.get_mut(&key), key.version) else {
            return Ok(());
        };
        let has_room = self.templates < TEMPLATES_MAX;
        let (news, template) = match domain.keep(profile, version, written, has_room) {
            Keep::New(template) => {
                self.templates += 1;
                (News::New, template)
            }
            Keep::Changed(template) => (News::Changed, template),
            Keep::Same(template) => (News::Repeated, template),
            Keep::NoRoom => {
                self.counters.templates_refused += 1;
                return Err(DecodeError::TooManyTemplates);
            }
        };
        sink.template(&key.known(version, template), news);
        Ok(())
    }

    /// Decodes what waited for this template.
    fn unpark<S: Sink>(
        &mut self,
        profile: Profile,
        key: Key,
        id: u16,
        now: Origin,
        summary: &mut Summary,
        sink: &mut S,
    ) {
        let Some(domain) = self.domains.get_mut(&key) else {
            return;
        };
        for parked in domain.parked.take(id) {
            self.parked_octets -= parked.cost();
            let age_ns = now.received_ns.saturating_sub(parked.origin.received_ns);
            if age_ns > super::parked::PARKED_AGE_MAX_NS {
                self.give_up(&parked, sink);
                continue;
            }
            let set = Set {
                id,
                octets: &parked.octets,
                is_cut: false,
            };
            let mut of_set = Summary::default();
            self.decode_set(
                profile,
                key,
                &parked.header,
                &set,
                parked.origin,
                &mut of_set,
                sink,
            );
            summary.unparked_events += of_set.events;
        }
    }

    /// The domain's state, made if it is new.
    fn domain<S: Sink>(&mut self, key: Key, received_ns: i64, sink: &mut S) -> &mut Domain {
        if !self.domains.contains_key(&key) {
            self.make_room(key.exporter, sink);
        }
        let domain = self.domains.entry(key).or_default();
        domain.heard_ns = received_ns;
        domain
    }

    fn make_room<S: Sink>(&mut self, exporter: IpAddr, sink: &mut S) {
        let of_exporter = self.domains.keys().filter(|key| key.exporter == exporter);
        let is_full = of_exporter.count() >= DOMAINS_PER_EXPORTER_MAX;
        if !is_full && self.domains.len() < DOMAINS_MAX {
            return;
        }
        let candidates = self
            .domains
            .iter()
            .filter(|(key, _)| !is_full || key.exporter == exporter);
        let Some(key) = candidates
            .min_by_key(|(_, domain)| domain.heard_ns)
            .map(|(&key, _)| key)
        else {
            return;
        };
        if let Some(mut domain) = self.domains.remove(&key) {
            self.counters.domains_forgotten += 1;
            self.templates -= domain.templates_len();
            while let Some(parked) = domain.parked.pop() {
                self.parked_octets -= parked.cost();
                self.give_up(&parked, sink);
            }
        }
    }

    /// What the bounds of the state cost so far.
    pub fn counters(&self) -> StateCounters {
        self.counters
    }

    /// All templates, in no order: what has to be kept over a restart.
    pub fn templates(&self) -> impl Iterator<Item = Known<'_>> {
        self.domains.iter().flat_map(|(key, domain)| {
            let version = key.version;
            domain
                .templates()
                .filter_map(move |template| Some(key.known(version?, template)))
        })
    }

    /// Takes in a template that was kept: [`Template::wire`] of a [`Known`], and whose it is.
    ///
    /// # Errors
    /// [`DecodeError::BadTemplate`] if the octets are none, [`DecodeError::TooManyTemplates`] at the bounds.
    pub fn restore_template(
        &mut self,
        exporter: IpAddr,
        version: Version,
        domain: u32,
        is_options: bool,
        wire: &[u8],
    ) -> Result<(), DecodeError> {
        let Entry::Template(written) = Written::take(version, is_options, &mut { wire })? else {
            return Err(DecodeError::BadTemplate);
        };
        let key = Key {
            exporter,
            version: Some(version),
            domain,
        };
        self.domain(key, 0, &mut Nobody);
        self.keep(Profile::default(), key, written, &mut Nobody)
    }

    /// The sets that wait for their template, in no order of exporters; those of one are in order.
    pub fn parked(&self) -> impl Iterator<Item = (IpAddr, &ParkedSet)> {
        self.domains
            .iter()
            .flat_map(|(key, domain)| domain.parked.iter().map(|set| (key.exporter, set)))
    }

    /// Takes in a set that waited when the state was kept.
    pub fn restore_parked(&mut self, exporter: IpAddr, set: ParkedSet) {
        let key = Key {
            exporter,
            version: Some(set.header.version),
            domain: set.header.domain,
        };
        if self.parked_octets + set.cost() <= PARKED_OCTETS_MAX {
            self.domain(key, 0, &mut Nobody);
            self.push_parked(key, set, &mut Nobody);
        }
    }

    /// The sequence of each exporter's domain; version 5 is `None`, its domain the engine.
    pub fn sequences(&self) -> impl Iterator<Item = (IpAddr, Option<Version>, u32, &Sequence)> {
        self.domains
            .iter()
            .map(|(key, domain)| (key.exporter, key.version, key.domain, &domain.sequence))
    }
}

impl Key {
    fn known(self, version: Version, template: &Template) -> Known<'_> {
        Known {
            exporter: self.exporter,
            version,
            domain: self.domain,
            template,
        }
    }
}

/// Nothing is given to it when state is restored.
struct Nobody;

impl Sink for Nobody {
    fn event(&mut self, _event: &event::Event<'_>, _origin: Origin) {}
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
