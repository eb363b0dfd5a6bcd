//! From the rows of a set to events: the hot loop.

use std::net::{IpAddr, Ipv4Addr};

use event::{Event, Kind, Text};

use super::clock::{self, Clock};
use super::dialect::{Inside, Judgement, NAT_EVENTS, judge};
use super::domain::Ready;
use super::mapping;
use super::meaning::Meaning;
use super::plan::{Each, Plan, Row};
use super::sink::{Origin, Part, Refused, Sink};
use super::slot::{Slot, Slots};
use super::template::Template;
use super::text::{self, Texts};
use super::{nokia, session};
use crate::{DecodeError, Ignored};

/// What became of the records of a set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub records: u64,
    pub events: u64,
    pub ignored: u64,
    pub refused: u64,
}

/// Decodes the records of a set.
pub(super) fn decode<S: Sink>(
    Ready { template, plan }: Ready<'_>,
    set: &[u8],
    clock: Clock,
    origin: Origin,
    texts: &mut Texts,
    sink: &mut S,
) -> Counts {
    if plan.meaning == Meaning::None {
        let records = if template.is_variable {
            template.records(set).count()
        } else {
            set.len().checked_div(template.octets_min).unwrap_or(0)
        } as u64;
        if records > 0 {
            let reason = if template.is_options() {
                Ignored::NotAMapping
            } else {
                Ignored::TrafficFlow
            };
            sink.ignored(reason, records, origin);
        }
        return Counts {
            records,
            ignored: records,
            ..Counts::default()
        };
    }
    let mut rows = Rows {
        plan,
        template,
        clock,
        origin,
        texts,
        counts: Counts::default(),
        sink,
    };
    plan.each_row(template, set, &mut rows);
    rows.counts
}

struct Rows<'a, S> {
    plan: &'a Plan,
    template: &'a Template,
    clock: Clock,
    origin: Origin,
    texts: &'a mut Texts,
    counts: Counts,
    sink: &'a mut S,
}

impl<'a, S: Sink> Each<'a> for &mut Rows<'_, S> {
    #[inline]
    fn row(&mut self, row: &impl Row, octets: &'a [u8]) {
        self.counts.records += 1;
        match self.event(row) {
            Ok(None) => self.counts.events += 1,
            Ok(Some(ignored)) => {
                self.counts.ignored += 1;
                self.sink.ignored(ignored, 1, self.origin);
            }
            Err(error) => self.refuse(error, row, octets),
        }
    }
}

impl<S: Sink> Rows<'_, S> {
    /// Gives the row's event to the sink, or says why it is none.
    #[inline]
    fn event(&mut self, row: &impl Row) -> Result<Option<Ignored>, DecodeError> {
        let plan = self.plan;
        let (action, kind, inside) = match plan.meaning {
            Meaning::NatEvent => match self.judgement(row) {
                Judgement::Event { action, kind, inside } => (action, kind, inside),
                Judgement::Ignored(reason) => return Ok(Some(reason)),
                Judgement::Refused(error) => return Err(error),
            },
            Meaning::Stated { action, kind, inside } => (action, kind, inside),
            _ => return self.other(row),
        };
        // Beside an inner IPv4 address, the IPv6 address is that of the softwire (DS-Lite).
        let is_softwire = inside == Inside::V4 && plan.present.has(Slot::Src6) && row.number(Slot::Src4) != 0;
        let softwire = if is_softwire { row.wide(Slot::Src6) } else { 0 };
        let (vrf, softwire_text) = self.texts.of(row.number(Slot::Vrf), softwire);
        // One event, filled in where it is: it is too large to be moved about.
        let mut event = Event::new(kind, action, NOBODY, None);
        mapping::fill(&mut event, plan, row, inside)?;
        if is_identity(&event) {
            return Ok(Some(Ignored::NotTranslated));
        }
        clock::stamp(&mut event, plan, row, self.clock)?;
        if plan.present.has(Slot::Vrf) {
            event.vrf = Some(Text::plain(vrf));
        }
        if softwire != 0 {
            event.subscriber = Some(Text::plain(softwire_text));
        }
        if plan.present.any([Slot::VrfName, Slot::Subscriber]) {
            names(&mut event, row)?;
        }
        self.sink.event(&event, self.origin);
        Ok(None)
    }

    /// What natEvent says. Where a template has fields of several kinds of mapping, those that are zero do not count.
    #[inline]
    fn judgement(&self, row: &impl Row) -> Judgement {
        let plan = self.plan;
        let value = row.number(Slot::NatEvent);
        let judgement = plan.judgements.get(value as usize % NAT_EVENTS);
        match judgement {
            Some(&judgement) if value < NAT_EVENTS as u64 && !plan.is_mixed => match judgement {
                Judgement::Event {
                    kind: Kind::Session, ..
                } if !has_remote(plan, row) => self.judge_row(row, value),
                Judgement::Refused(_) => self.judge_row(row, value),
                judgement => judgement,
            },
            _ => self.judge_row(row, value),
        }
    }

    #[cold]
    fn judge_row(&self, row: &impl Row, value: u64) -> Judgement {
        judge(self.plan.profile.dialects(), value, not_zero(self.plan, row))
    }

    /// What is no mapping of RFC 8158's kinds.
    fn other(&mut self, row: &impl Row) -> Result<Option<Ignored>, DecodeError> {
        let plan = self.plan;
        let event = match plan.meaning {
            Meaning::Firewall => match session::firewall_action(row.number(Slot::FirewallEvent))? {
                Some(action) => session::event(plan, row, action)?,
                None => return Ok(Some(Ignored::NotAMapping)),
            },
            Meaning::Flow => session::event(plan, row, event::Action::Deleted)?,
            Meaning::Nokia(action) => Some(nokia::event(plan, row, action)?),
            Meaning::Refused(error) => return Err(error),
            Meaning::None | Meaning::NatEvent | Meaning::Stated { .. } => None,
        };
        let Some(mut event) = event else {
            return Ok(Some(Ignored::NotTranslated));
        };
        clock::stamp(&mut event, plan, row, self.clock)?;
        let (vrf, _) = self.texts.of(row.number(Slot::Vrf), 0);
        if plan.present.has(Slot::Vrf) {
            event.vrf = Some(Text::plain(vrf));
        }
        names(&mut event, row)?;
        self.sink.event(&event, self.origin);
        Ok(None)
    }

    #[cold]
    fn refuse(&mut self, error: DecodeError, row: &impl Row, octets: &[u8]) {
        self.counts.refused += 1;
        let slot = match self.plan.meaning {
            Meaning::NatEvent => Some(Slot::NatEvent),
            Meaning::Firewall => Some(Slot::FirewallEvent),
            _ => None,
        };
        let part = Part::Record {
            template: self.template,
            octets,
            nat_event: slot.map(|slot| row.number(slot)),
        };
        self.sink.refused(&Refused { error, part }, self.origin);
    }
}

/// Stands for the inside address until it is read.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The names that the record has: of the VRF, of the subscriber.
fn names<'e>(event: &mut Event<'e>, row: &'e impl Row) -> Result<(), DecodeError> {
    if let Some(name) = text::of(row.text(Slot::VrfName))? {
        event.vrf = Some(Text::plain(name));
    }
    if let Some(name) = text::of(row.text(Slot::Subscriber))? {
        event.subscriber = Some(Text::plain(name));
    }
    Ok(())
}

/// Whether a session names a remote end, if its template does.
#[inline]
fn has_remote(plan: &Plan, row: &impl Row) -> bool {
    !plan.present.has(Slot::Dst4) || row.number(Slot::Dst4) | row.number(Slot::PostDst4) != 0
}

/// The columns that are not zero. Ports are judged in pairs: one may be 0 in a session of ICMP.
fn not_zero(plan: &Plan, row: &impl Row) -> Slots {
    let mut present = plan.present;
    for slot in [
        Slot::Src4,
        Slot::PostSrc4,
        Slot::Dst4,
        Slot::PostDst4,
        Slot::BlockStart,
    ] {
        if row.number(slot) == 0 {
            present = present.without(slot);
        }
    }
    for slot in [Slot::Src6, Slot::PostSrc6, Slot::Dst6, Slot::PostDst6] {
        if present.has(slot) && row.wide(slot) == 0 {
            present = present.without(slot);
        }
    }
    if row.number(Slot::SrcPort) | row.number(Slot::PostSrcPort) == 0 {
        present = present.without(Slot::SrcPort).without(Slot::PostSrcPort);
    }
    present
}

/// A mapping of an end to itself is no translation. Ports differ nearly always, and are compared first.
#[inline]
fn is_identity(event: &Event<'_>) -> bool {
    event.src_port == event.x_port && event.kind != Kind::Block && event.x_ip == Some(event.src_ip)
}
