//! What is known of the exporters: templates, sets that wait for theirs, sequence numbers.

use std::collections::HashMap;
use std::net::IpAddr;

use super::decoding::Decoding;
use super::domain::Domain;
use super::message::{Message, Version};
use super::parked::ParkedSet;
use super::profile::Profile;
use super::sequence::Sequence;
use super::sink::{Datagram, Known, Origin, Part, Refused, Sink, Summary};
use super::template::{Entry, Template, Written};
use super::text::Texts;
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
    shared: Shared,
}

/// What all domains share: totals that are bounded, and memory for texts.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub templates: usize,
    pub parked_octets: usize,
    pub texts: Texts,
    pub counters: StateCounters,
}

impl Shared {
    /// Lets a set wait, and gives up the domain's oldest if those are too many.
    pub(super) fn park<S: Sink>(&mut self, domain: &mut Domain, parked: ParkedSet, sink: &mut S) {
        self.take_in(domain, parked);
        while let Some(oldest) = domain.parked.surplus() {
            self.parked_octets -= oldest.cost();
            self.give_up(&oldest, sink);
            sink.settled(oldest.id, oldest.origin);
        }
    }

    fn take_in(&mut self, domain: &mut Domain, parked: ParkedSet) {
        self.parked_octets += parked.cost();
        domain.parked.push(parked);
    }

    /// A set whose template did not come.
    pub(super) fn give_up<S: Sink>(&mut self, parked: &ParkedSet, sink: &mut S) {
        self.counters.parked_lost += 1;
        let refused = Refused {
            error: DecodeError::NoTemplate,
            part: Part::Waited(parked.id, &parked.octets),
        };
        sink.refused(&refused, parked.origin);
    }
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
                    let (version, domain) = (message.header.version, message.header.domain);
                    self.decoding(profile, datagram.exporter, version, domain, origin, sink)
                        .message(message, &mut summary);
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
        let (domain, _) = self.domain(key, datagram.received_ns, sink);
        let missing = domain.sequence.counters.missing;
        domain
            .sequence
            .take(message.sequence, Some(flows), Some(message.boot_ms));
        summary.sequence(missing, domain.sequence.counters.missing);
        v5::decode(profile, &message, origin, summary, sink);
        Ok(())
    }

    fn decoding<'a, S: Sink>(
        &'a mut self,
        profile: Profile,
        exporter: IpAddr,
        version: Version,
        domain: u32,
        origin: Origin,
        sink: &'a mut S,
    ) -> Decoding<'a, S> {
        let key = Key {
            exporter,
            version: Some(version),
            domain,
        };
        let (domain, shared) = self.domain(key, origin.received_ns, sink);
        Decoding {
            profile,
            key,
            version,
            origin,
            domain,
            shared,
            sink,
        }
    }

    /// The domain's state, made if it is new, and what all share.
    fn domain<S: Sink>(&mut self, key: Key, received_ns: i64, sink: &mut S) -> (&mut Domain, &mut Shared) {
        if !self.domains.contains_key(&key) {
            self.make_room(key.exporter, sink);
        }
        let domain = self.domains.entry(key).or_default();
        domain.heard_ns = received_ns;
        (domain, &mut self.shared)
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
            self.shared.counters.domains_forgotten += 1;
            self.shared.templates -= domain.templates_len();
            while let Some(parked) = domain.parked.pop() {
                self.shared.parked_octets -= parked.cost();
                self.shared.give_up(&parked, sink);
                sink.settled(parked.id, parked.origin);
            }
        }
    }

    /// Gives up the sets that wait and are of the caller's choice.
    pub fn give_up<S: Sink>(&mut self, mut which: impl FnMut(&ParkedSet) -> bool, sink: &mut S) {
        for domain in self.domains.values_mut() {
            for parked in domain.parked.take(&mut which) {
                self.shared.parked_octets -= parked.cost();
                self.shared.give_up(&parked, sink);
                sink.settled(parked.id, parked.origin);
            }
        }
    }

    /// What the bounds of the state cost so far.
    pub fn counters(&self) -> StateCounters {
        self.shared.counters
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
        let long_ago = Origin {
            tag: 0,
            received_ns: 0,
        };
        self.decoding(
            Profile::default(),
            exporter,
            version,
            domain,
            long_ago,
            &mut Nobody,
        )
        .keep(written)
    }

    /// The sets that wait for their template, in no order of exporters; those of one are in order.
    pub fn parked(&self) -> impl Iterator<Item = (IpAddr, &ParkedSet)> {
        self.domains
            .iter()
            .flat_map(|(key, domain)| domain.parked.iter().map(|set| (key.exporter, set)))
    }

    /// Takes in a set that waited when the state was kept, whatever waits already: what was kept had its bounds when it
    /// came, though not all of it with one owner. While that is too much, what comes is given up, as ever to the sink.
    pub fn restore_parked(&mut self, exporter: IpAddr, set: ParkedSet) {
        let key = Key {
            exporter,
            version: Some(set.header.version),
            domain: set.header.domain,
        };
        let (domain, shared) = self.domain(key, 0, &mut Nobody);
        shared.take_in(domain, set);
    }

    /// The sequence of each exporter's domain; version 5 is `None`, its domain the engine.
    pub fn sequences(&self) -> impl Iterator<Item = (IpAddr, Option<Version>, u32, &Sequence)> {
        self.domains
            .iter()
            .map(|(key, domain)| (key.exporter, key.version, key.domain, &domain.sequence))
    }
}

impl Key {
    pub(super) fn known(self, version: Version, template: &Template) -> Known<'_> {
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
