//! Events in, intervals out.
//!
//! A replay takes the events of one outside address and one kind in the order of their time and keeps the mappings that
//! are open. Rules, each for a fault that happens in practice:
//!
//! - a delete closes the mapping of its identity; one that lacks fields closes all that fit the fields it has;
//! - a delete or an update without a creation is evidence of a mapping that began before: at the begin it states, else at
//!   an unknown time, but not before another mapping last held the same outside end;
//! - a repeated delete, or an update that arrives after the delete, is no new mapping;
//! - a creation for an outside end that somebody else holds ends theirs: their delete was lost.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use event::{Action, Kind, TimeSource};

use super::{Begin, End, Evidence, MAPPINGS_MAX, Mapping, Query};
use crate::StoreError;

/// Mappings that may be open at once; more come only from an address without port on a network that loses deletes.
const OPEN_MAX: usize = 1_000_000;
/// Closed mappings that are remembered, to tell repeated deletes from lost creations.
const CLOSED_MAX: usize = 1_000_000;
/// Events that are kept of one mapping, from the begin and from the end each.
const EVIDENCE_EACH: usize = 4;
/// How far the begin that a message states may be from the creation's time for both to mean the same (whole seconds on the wire).
const SAME_BEGIN_NS: i64 = 1_000_000_000;

/// One stored event.
#[derive(Clone, Debug)]
pub struct Row {
    pub identity: Identity,
    pub action: Action,
    pub ts: i64,
    pub received: i64,
    pub mapping_start: Option<i64>,
    pub time_source: TimeSource,
    pub subscriber: Option<String>,
    pub stream: i32,
    pub offset: i64,
    pub index: i32,
    /// False for a delete that names the inside end alone.
    pub names_outside: bool,
}

/// What makes two events be about the same mapping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub exporter: IpAddr,
    pub vrf: Option<String>,
    pub src_ip: IpAddr,
    pub src_port: Option<u16>,
    pub outside: Outside,
}

/// What only one inside end can hold at a time, beside the outside address. Absent where the kind has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Outside {
    pub protocol: Option<u8>,
    pub x_port: Option<u16>,
    /// Sessions only: one outside port may serve several insides towards different remote ends.
    pub dst_ip: Option<IpAddr>,
    pub dst_port: Option<u16>,
    /// Blocks only.
    pub block: Option<Block>,
}

/// The ports `start, start + step, …` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    pub start: u16,
    pub end: u16,
    pub step: u16,
}

impl Block {
    /// Whether the block has this port.
    pub fn has(self, port: u16) -> bool {
        (self.start..=self.end).contains(&port) && (port - self.start).is_multiple_of(self.step.max(1))
    }

    /// Whether the two have a port in common.
    fn overlaps(self, other: Self) -> bool {
        let (wide, narrow) = if self.step >= other.step {
            (self, other)
        } else {
            (other, self)
        };
        (wide.start..=wide.end)
            .step_by(usize::from(wide.step.max(1)))
            .any(|port| narrow.has(port))
    }
}

impl Identity {
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Two routers of a pair may both announce what one inside end does.
    fn same_inside(&self, other: &Self) -> bool {
        (self.src_ip, self.src_port, &self.vrf) == (other.src_ip, other.src_port, &other.vrf)
    }

    /// Whether an event that may lack fields fits this mapping: what it lacks, it does not contradict.
    fn fits(&self, event: &Self, names_outside: bool) -> bool {
        fn agrees<T: PartialEq>(stated: Option<T>, held: Option<T>) -> bool {
            stated.is_none() || stated == held
        }
        self.exporter == event.exporter
            && self.src_ip == event.src_ip
            && agrees(event.src_port, self.src_port)
            && agrees(event.vrf.as_ref(), self.vrf.as_ref())
            && agrees(event.outside.protocol, self.outside.protocol)
            && agrees(event.outside.dst_ip, self.outside.dst_ip)
            && agrees(event.outside.dst_port, self.outside.dst_port)
            && (!names_outside
                || agrees(event.outside.x_port, self.outside.x_port)
                    && agrees(event.outside.block, self.outside.block))
    }
}

#[derive(Clone, Debug)]
struct Held {
    identity: Identity,
    begin: Begin,
    subscriber: Option<String>,
    last_evidence: i64,
    evidence: Vec<Evidence>,
    evidence_total: usize,
}

impl Held {
    fn new(row: &Row, begin: Begin) -> Self {
        let mut held = Self {
            identity: row.identity.clone(),
            begin,
            subscriber: None,
            last_evidence: row.ts,
            evidence: Vec::new(),
            evidence_total: 0,
        };
        held.witness(row);
        held
    }

    fn witness(&mut self, row: &Row) {
        self.last_evidence = row.ts;
        self.subscriber = row.subscriber.clone().or(self.subscriber.take());
        if self.evidence.len() == 2 * EVIDENCE_EACH {
            self.evidence.remove(EVIDENCE_EACH);
        }
        self.evidence_total += 1;
        self.evidence.push(Evidence {
            event: row.action,
            time_ns: row.ts,
            time_source: row.time_source,
            received_ns: row.received,
            stream: row.stream,
            bus: String::new(),
            topic: String::new(),
            partition: -1,
            offset: row.offset,
            index: row.index,
        });
    }

    /// A message that states the begin makes up for a creation that was not received.
    fn learn_begin(&mut self, stated: Option<i64>) {
        if let (Begin::Unknown { .. }, Some(at_ns)) = (self.begin, stated) {
            self.begin = Begin::Stated { at_ns };
        }
    }
}

/// See the module.
pub struct Replay {
    kind: Kind,
    query: Query,
    /// First and last moment that count, both included.
    window: (i64, i64),
    open: HashMap<Outside, Vec<Held>>,
    open_count: usize,
    /// Key of the identity: begin ([`i64::MIN`] if unknown) and end of its last mapping.
    closed: HashMap<u64, (i64, i64)>,
    /// When an outside end was last known to be held.
    last_held: HashMap<Outside, i64>,
    answers: Vec<Mapping>,
    more: usize,
}

impl Replay {
    pub fn new(kind: Kind, query: Query) -> Self {
        // Stored times are whole microseconds, rounded down: so are the bounds.
        let stored = |ns: i64| ns.div_euclid(1000).saturating_mul(1000);
        let window = (
            stored(query.at_ns.saturating_sub(query.tolerance_ns)),
            stored(query.at_ns.saturating_add(query.tolerance_ns)),
        );
        Self {
            kind,
            query: Query {
                at_ns: stored(query.at_ns),
                ..query
            },
            window,
            open: HashMap::new(),
            open_count: 0,
            closed: HashMap::new(),
            last_held: HashMap::new(),
            answers: Vec::new(),
            more: 0,
        }
    }

    /// Takes the next event. Events come in the order (ts, stream, offset, index).
    pub fn feed(&mut self, row: &Row) -> Result<(), StoreError> {
        // A port is asked for that the block, strided, does not have.
        if let (Some(port), Some(block)) = (self.query.port, row.identity.outside.block)
            && !block.has(port)
        {
            return Ok(());
        }
        // A begin after the event it was stated in is no begin.
        let stated = row.mapping_start.filter(|&start| start <= row.ts);
        match row.action {
            Action::Created => self.created(row, stated),
            Action::Updated => self.updated(row, stated),
            Action::Deleted => self.deleted(row, stated),
        }
        if self.open_count > OPEN_MAX {
            return Err(StoreError::TooMany(format!(
                "more than {OPEN_MAX} mappings of {} are open at once: give a port",
                self.query.public
            )));
        }
        self.forget_old(row.ts);
        Ok(())
    }

    /// The mappings that were in force, and how many there are beyond the limit.
    pub fn finish(mut self) -> (Vec<Mapping>, usize) {
        for held in std::mem::take(&mut self.open).into_values().flatten() {
            self.answer(held, End::Open);
        }
        (self.answers, self.more)
    }

    /// Insides of the answers so far and of what is open: for deletes that name no outside.
    pub fn insides(&self) -> Vec<IpAddr> {
        let open = self.open.values().flatten().map(|held| held.identity.src_ip);
        let mut insides: Vec<IpAddr> = open
            .chain(self.answers.iter().map(|answer| answer.src_ip))
            .collect();
        insides.sort();
        insides.dedup();
        insides
    }

    fn created(&mut self, row: &Row, stated: Option<i64>) {
        if !self.can_be_held(row) {
            return;
        }
        self.supersede(row, row.ts);
        let first_moment = self.window.0;
        if let Some(held) = self.find(row) {
            // Announced again. Before the window only the last creation counts: between two, nothing is known for certain.
            if row.ts <= first_moment && held.begin.earliest() < row.ts {
                held.begin = Begin::Created {
                    at_ns: stated.unwrap_or(row.ts),
                };
                held.evidence.clear();
                held.evidence_total = 0;
            }
            held.witness(row);
            return;
        }
        self.hold(Held::new(
            row,
            Begin::Created {
                at_ns: stated.unwrap_or(row.ts),
            },
        ));
    }

    fn updated(&mut self, row: &Row, stated: Option<i64>) {
        if let Some(held) = self.find(row) {
            held.learn_begin(stated);
            held.witness(row);
            return;
        }
        let mut fitting = false;
        for held in self.open.values_mut().flatten() {
            if held.identity.fits(&row.identity, row.names_outside) {
                held.learn_begin(stated);
                held.witness(row);
                fitting = true;
            }
        }
        if fitting || !self.can_be_held(row) || self.is_stale(row, stated, false) {
            return;
        }
        let begin = self.begin_of(row, stated);
        self.supersede(row, stated.unwrap_or(row.ts));
        self.hold(Held::new(row, begin));
    }

    fn deleted(&mut self, row: &Row, stated: Option<i64>) {
        let end = End::Deleted { at_ns: row.ts };
        let closing = self.take(row);
        if !closing.is_empty() {
            for mut held in closing {
                held.learn_begin(stated);
                held.witness(row);
                self.answer(held, end);
            }
            return;
        }
        if !self.can_be_held(row) || self.is_stale(row, stated, true) {
            return;
        }
        let begin = self.begin_of(row, stated);
        if let Some(stated) = stated {
            self.supersede(row, stated);
        }
        self.answer(Held::new(row, begin), end);
    }

    /// Whether the event says enough to be the only witness of a mapping at the address and port asked for.
    fn can_be_held(&self, row: &Row) -> bool {
        let port_known = match self.kind {
            Kind::Session | Kind::Port => row.identity.outside.x_port == self.query.port,
            Kind::Block => row.identity.outside.block.is_some(),
            Kind::Address => true,
        };
        row.names_outside && (port_known || self.query.port.is_none())
    }

    /// Whether the event is a late or repeated one of a mapping that is already closed.
    fn is_stale(&self, row: &Row, stated: Option<i64>, delete: bool) -> bool {
        match (self.closed.get(&row.identity.key()), stated) {
            (None, _) => false,
            (Some(&(began, ended)), Some(start)) if began == i64::MIN => start < ended,
            (Some(&(began, _)), Some(start)) => start.abs_diff(began) <= SAME_BEGIN_NS.unsigned_abs(),
            // Repeated deletes are common, and so is the loss of a creation: an update cannot be without a mapping.
            (Some(_), None) => delete,
        }
    }

    fn begin_of(&self, row: &Row, stated: Option<i64>) -> Begin {
        if let Some(at_ns) = stated {
            return Begin::Stated { at_ns };
        }
        let wanted = &row.identity.outside;
        let closed = self.overlapping(&self.last_held, wanted).map(|(_, &at)| at);
        let open = self
            .overlapping(&self.open, wanted)
            .flat_map(|(_, all)| all)
            .map(|held| held.last_evidence);
        Begin::Unknown {
            after_ns: closed.chain(open).max(),
            until_ns: row.ts,
        }
    }

    /// Entries whose outside end has something in common with `wanted`. Only blocks can overlap without being equal.
    fn overlapping<'m, V>(
        &'m self,
        map: &'m HashMap<Outside, V>,
        wanted: &'m Outside,
    ) -> Box<dyn Iterator<Item = (&'m Outside, &'m V)> + 'm> {
        match wanted.block {
            None => Box::new(map.get_key_value(wanted).into_iter()),
            Some(block) => Box::new(map.iter().filter(move |(other, _)| {
                let same_protocol = match (other.protocol, wanted.protocol) {
                    (Some(old), Some(new)) => old == new,
                    (_, None) => true,
                    // A block for all protocols lives on in the others, unless only this one is asked for.
                    (None, new) => self.query.protocol == new,
                };
                // With a port asked for, all blocks that come here have it.
                let same_port =
                    self.query.port.is_some() || other.block.is_some_and(|old| old.overlaps(block));
                same_protocol && same_port
            })),
        }
    }

    /// Ends the mappings of others that hold the row's outside end.
    fn supersede(&mut self, row: &Row, at: i64) {
        let wanted = row.identity.outside;
        let keys: Vec<Outside> = self
            .overlapping(&self.open, &wanted)
            .map(|(key, _)| *key)
            .collect();
        let other = |held: &Held| !held.identity.same_inside(&row.identity);
        let ended: Vec<Held> = keys.iter().flat_map(|key| self.remove_if(key, other)).collect();
        for held in ended {
            // Somebody who is heard of after `at` was still there.
            let at_ns = at.max(held.last_evidence.saturating_add(1));
            self.answer(held, End::Superseded { at_ns });
        }
    }

    fn find(&mut self, row: &Row) -> Option<&mut Held> {
        let held = self.open.get_mut(&row.identity.outside)?;
        held.iter_mut()
            .find(|held| held.identity == row.identity && row.names_outside)
    }

    fn hold(&mut self, held: Held) {
        self.open_count += 1;
        self.open.entry(held.identity.outside).or_default().push(held);
    }

    /// Takes out what a delete closes: its identity, else all that fit.
    fn take(&mut self, row: &Row) -> Vec<Held> {
        if row.names_outside {
            let exact = self.remove_if(&row.identity.outside, |held| held.identity == row.identity);
            if !exact.is_empty() {
                return exact;
            }
        }
        let fits = |held: &Held| held.identity.fits(&row.identity, row.names_outside);
        if !row.lacks_fields(self.kind) {
            return Vec::new();
        }
        let keys: Vec<Outside> = self
            .open
            .iter()
            .filter(|(_, all)| all.iter().any(fits))
            .map(|(key, _)| *key)
            .collect();
        keys.iter().flat_map(|key| self.remove_if(key, fits)).collect()
    }

    fn remove_if(&mut self, key: &Outside, unwanted: impl Fn(&Held) -> bool) -> Vec<Held> {
        let Some(all) = self.open.get_mut(key) else {
            return Vec::new();
        };
        let removed: Vec<Held> = all.extract_if(.., |held| unwanted(held)).collect();
        if all.is_empty() {
            self.open.remove(key);
        }
        self.open_count -= removed.len();
        removed
    }

    /// Remembers that a mapping ended, and keeps it if it was in force in the window.
    fn answer(&mut self, held: Held, end: End) {
        let began = held.begin.earliest();
        let known_until = match end {
            End::Deleted { at_ns } => at_ns,
            End::Superseded { .. } | End::Open => held.last_evidence,
        };
        let certain_begin = if held.begin.is_unknown() { i64::MIN } else { began };
        self.closed
            .insert(held.identity.key(), (certain_begin, known_until));
        let last = self.last_held.entry(held.identity.outside).or_insert(known_until);
        *last = known_until.max(*last);
        if began > self.window.1 || !end.reaches(self.window.0) {
            return;
        }
        if self.answers.len() == MAPPINGS_MAX {
            self.more += 1;
            return;
        }
        let Held {
            identity,
            begin,
            subscriber,
            evidence,
            evidence_total,
            ..
        } = held;
        let Outside {
            protocol,
            x_port,
            dst_ip,
            dst_port,
            block,
        } = identity.outside;
        self.answers.push(Mapping {
            kind: self.kind,
            exporter: identity.exporter,
            protocol,
            src_ip: identity.src_ip,
            src_port: identity.src_port,
            x_ip: self.query.public,
            x_port,
            dst_ip,
            dst_port,
            start_port: block.map(|block| block.start),
            end_port: block.map(|block| block.end),
            port_step: block.map(|block| block.step).filter(|&step| step > 1),
            vrf: identity.vrf,
            subscriber,
            begin,
            end,
            at_the_moment: began <= self.query.at_ns && end.reaches(self.query.at_ns),
            evidence,
            evidence_total,
        });
    }

    /// Keeps the memory of closed mappings bounded: repetitions follow within seconds, old entries are of little use.
    fn forget_old(&mut self, now: i64) {
        if self.closed.len() > CLOSED_MAX {
            self.closed
                .retain(|_, &mut (_, ended)| ended > now.saturating_sub(3_600_000_000_000));
            if self.closed.len() > CLOSED_MAX / 2 {
                self.closed.clear();
            }
        }
        if self.last_held.len() > CLOSED_MAX {
            self.last_held.clear();
        }
    }
}

impl Row {
    /// Whether a field of the identity is missing that the kind usually has.
    fn lacks_fields(&self, kind: Kind) -> bool {
        let Identity {
            src_port,
            vrf,
            outside,
            ..
        } = &self.identity;
        let missing = match kind {
            Kind::Session => {
                src_port.is_none()
                    || outside.x_port.is_none()
                    || outside.protocol.is_none()
                    || outside.dst_ip.is_none()
                    || outside.dst_port.is_none()
            }
            Kind::Port => src_port.is_none() || outside.x_port.is_none() || outside.protocol.is_none(),
            Kind::Block => outside.block.is_none() || outside.protocol.is_none(),
            Kind::Address => false,
        };
        missing || vrf.is_none() || !self.names_outside
    }
}
