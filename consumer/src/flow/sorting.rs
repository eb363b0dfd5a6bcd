//! What becomes of one datagram, and of those that waited for its templates.
//!
//! Each datagram is in one cell of the ledger: stored, ignored, dead letter, or parked. A parked one comes out of that cell
//! (`unparked`) into another one with the first event or refusal, or when nothing of it waits any more.

use std::net::IpAddr;

use bus::{BusError, DeadLetter};
use decode::netflow::{self, Known, News, Part, Refused, Sink, Summary};
use decode::{DecodeError, Ignored};
use event::Event;
use event::columns::Origin;
use store::flow::{Template, TemplateKey};
use wire::frame::Datagram;

use super::{Counted, Kept, Waiting, number};
use crate::assemble::Filling;

/// Longest reason of a dead letter, in characters. A template may have 256 fields, which are named.
const REASON_CHARS_MAX: usize = 1024;

/// Takes what is decoded into the open batch.
pub(super) struct Sorting<'s, 'f> {
    kept: &'s mut Kept,
    filling: &'s mut Filling<'f>,
    /// Of the datagram that is decoded; of all others something has waited.
    tag: u64,
    exporter: IpAddr,
    received_ns: u64,
    events: u32,
    ignored: Option<Ignored>,
    refused: Option<(DecodeError, String)>,
    parked: u32,
    failed: Option<BusError>,
}

impl<'s, 'f> Sorting<'s, 'f> {
    pub(super) fn new(
        kept: &'s mut Kept,
        filling: &'s mut Filling<'f>,
        tag: u64,
        exporter: IpAddr,
        received_ns: u64,
    ) -> Self {
        Self {
            kept,
            filling,
            tag,
            exporter,
            received_ns,
            events: 0,
            ignored: None,
            refused: None,
            parked: 0,
            failed: None,
        }
    }

    /// Whether the bus took all dead letters.
    pub(super) fn outcome(self) -> Result<(), BusError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Counts the datagram, once all of it is decoded.
    pub(super) fn finish(
        mut self,
        index: u32,
        datagram: &Datagram<'_>,
        summary: Summary,
    ) -> Result<(), BusError> {
        let refused = self.refused.take();
        let counted = Counted {
            elsewhere: self.events > 0 || refused.is_some(),
            dead_letter: refused.is_some(),
            events: self.events > 0,
        };
        if self.parked > 0 {
            self.wait(index, datagram, counted);
        }
        let filling = self.filling;
        let tally = &mut filling.open.tally;
        filling.step.datagrams += 1;
        tally.datagrams += 1;
        tally.sequence_gap += summary.passed_over;
        tally.sequence_late += summary.came_late;
        let counts = filling.ledger.of(datagram.exporter, datagram.received_ns);
        counts.taken += 1;
        counts.sequence_gap += summary.passed_over;
        counts.sequence_late += summary.came_late;
        counts.events += u64::from(self.events);
        if counted.events {
            counts.stored += 1;
            if counted.dead_letter {
                filling.step.partly += 1;
                tally.partly += 1;
            }
        } else if counted.dead_letter {
            counts.dead_letters += 1;
        } else if self.parked > 0 {
            counts.parked += 1;
            tally.parked += 1;
        } else {
            counts.ignored += 1;
            filling.step.ignored += 1;
            tally.ignored[self.ignored.unwrap_or(Ignored::TemplatesAlone) as usize] += 1;
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        match refused {
            Some((error, reason)) => filling.undecoded(index, datagram, error, &reason),
            None => Ok(()),
        }
    }

    /// Keeps a place in the frame for all events that may still come of the datagram: a record has an octet at least.
    fn wait(&mut self, index: u32, datagram: &Datagram<'_>, counted: Counted) {
        let filling = &mut *self.filling;
        let waiting = Waiting {
            stream: filling.stream,
            place: (filling.step.stream, filling.offset, index.cast_signed()),
            exporter: datagram.exporter,
            received_ns: datagram.received_ns,
            next_index: filling.next_event,
            sets: self.parked,
            counted,
            ignored: self.ignored.unwrap_or(Ignored::TemplatesAlone),
            is_stored: false,
        };
        filling.next_event += i32::try_from(datagram.payload.len()).unwrap_or(i32::MAX);
        self.kept.waiting.insert(self.tag, waiting);
        self.kept.touched.insert(self.tag);
    }

    /// A record of a datagram that waited, or a set of it, is a dead letter.
    fn waited_in_vain(&mut self, tag: u64, refused: &Refused<'_>) {
        let Some(waiting) = self.kept.waiting.get_mut(&tag) else {
            return;
        };
        self.kept.touched.insert(tag);
        if std::mem::replace(&mut waiting.counted.dead_letter, true) {
            return;
        }
        let filling = &mut *self.filling;
        let tally = &mut filling.open.tally;
        filling.step.dead_letters += 1;
        tally.dead_letters[refused.error as usize] += 1;
        if waiting.counted.events {
            filling.step.partly += 1;
            tally.partly += 1;
        }
        if !std::mem::replace(&mut waiting.counted.elsewhere, true) {
            tally.unparked += 1;
            let counts = filling.ledger.of(waiting.exporter, waiting.received_ns);
            counts.unparked += 1;
            counts.dead_letters += 1;
        }
        let payload = match refused.part {
            Part::Waited(_, octets) | Part::Record { octets, .. } => octets,
            Part::Datagram | Part::Set(_) => &[],
        };
        let sent = filling.letter(&DeadLetter {
            stream: waiting.stream,
            offset: waiting.place.1,
            index: waiting.place.2.cast_unsigned(),
            exporter: waiting.exporter,
            received_ns: waiting.received_ns,
            reason: &reason(refused),
            payload,
        });
        if let Err(error) = sent {
            self.failed.get_or_insert(error);
        }
    }
}

impl Sink for Sorting<'_, '_> {
    fn event(&mut self, event: &Event<'_>, origin: netflow::Origin) {
        let filling = &mut *self.filling;
        let (exporter, place, received_ns) = if origin.tag == self.tag {
            let place = Origin {
                stream: filling.step.stream,
                offset: filling.offset,
                index: filling.next_event,
            };
            filling.next_event += 1;
            self.events += 1;
            (self.exporter, place, self.received_ns)
        } else {
            let Some(waiting) = self.kept.waiting.get_mut(&origin.tag) else {
                return;
            };
            self.kept.touched.insert(origin.tag);
            let (stream, offset, _) = waiting.place;
            let place = Origin {
                stream,
                offset,
                index: waiting.next_index,
            };
            waiting.next_index += 1;
            let counts = filling.ledger.of(waiting.exporter, waiting.received_ns);
            counts.events += 1;
            if !std::mem::replace(&mut waiting.counted.elsewhere, true) {
                filling.open.tally.unparked += 1;
                counts.unparked += 1;
                counts.stored += 1;
            }
            if !std::mem::replace(&mut waiting.counted.events, true) && waiting.counted.dead_letter {
                filling.step.partly += 1;
                filling.open.tally.partly += 1;
            }
            (waiting.exporter, place, waiting.received_ns)
        };
        let (reader, clock) = filling.profiles.of(exporter);
        let received_ns = i64::try_from(received_ns).unwrap_or(i64::MAX);
        if self.events == 1
            && origin.tag == self.tag
            && let Some(device_ns) = event.time_ns
        {
            clock.sample(device_ns, received_ns);
        }
        let vrf = reader.settings().vrf.of(event.vrf);
        filling
            .batch
            .push(&Event { vrf, ..*event }, exporter, received_ns, place);
        filling.step.events += 1;
        filling.open.tally.events[event.kind as usize] += 1;
    }

    fn ignored(&mut self, reason: Ignored, _records: u64, origin: netflow::Origin) {
        if origin.tag == self.tag {
            self.ignored = Some(reason);
        } else if let Some(waiting) = self.kept.waiting.get_mut(&origin.tag) {
            waiting.ignored = reason;
        }
    }

    fn refused(&mut self, refused: &Refused<'_>, origin: netflow::Origin) {
        if origin.tag != self.tag {
            self.waited_in_vain(origin.tag, refused);
        } else if self.refused.is_none() {
            self.refused = Some((refused.error, reason(refused)));
        }
    }

    fn template(&mut self, known: &Known<'_>, news: News) {
        if !matches!(news, News::New | News::Changed) {
            return;
        }
        let key = TemplateKey {
            exporter: known.exporter,
            version: number(known.version),
            domain: known.domain,
            id: known.template.id,
        };
        let template = Template {
            key,
            is_options: known.template.is_options(),
            wire: known.template.wire().to_vec(),
            updated_ns: i64::try_from(self.received_ns).unwrap_or(i64::MAX),
        };
        self.kept.templates.insert(key, template);
    }

    fn parked(&mut self, _id: u16, _octets: &[u8], _origin: netflow::Origin) {
        self.parked += 1;
    }

    fn settled(&mut self, _id: u16, origin: netflow::Origin) {
        if origin.tag == self.tag {
            self.parked = self.parked.saturating_sub(1);
            return;
        }
        let Some(waiting) = self.kept.waiting.get_mut(&origin.tag) else {
            return;
        };
        self.kept.touched.insert(origin.tag);
        waiting.sets = waiting.sets.saturating_sub(1);
        if waiting.sets > 0 {
            return;
        }
        if !waiting.counted.elsewhere {
            let filling = &mut *self.filling;
            let counts = filling.ledger.of(waiting.exporter, waiting.received_ns);
            counts.unparked += 1;
            counts.ignored += 1;
            filling.step.ignored += 1;
            filling.open.tally.unparked += 1;
            filling.open.tally.ignored[waiting.ignored as usize] += 1;
        }
        if waiting.is_stored {
            self.kept.settled.push(waiting.place);
        }
        self.kept.waiting.remove(&origin.tag);
        self.kept.touched.remove(&origin.tag);
    }
}

/// The stable word, what it means, and the fields that it is about.
fn reason(refused: &Refused<'_>) -> String {
    refused.to_string().chars().take(REASON_CHARS_MAX).collect()
}
