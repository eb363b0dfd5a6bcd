//! Which exporter prefix has which number, over reloads; and the sums of the counters behind the numbers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use config::Exporters;
use ipnet::IpNet;
use wire::limit::Limit;
use wire::verdict::{Counter, EXPORTER_ID_MAX, ExporterId, MAX_EXPORTERS, VERDICTS};

use super::XdpError;

/// Counters of one exporter, by verdict, over all CPUs.
pub(super) type Cells = [Counter; VERDICTS as usize];

/// Which prefix has which number.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) present: BTreeMap<IpNet, Present>,
    /// Numbers of prefixes that were removed, the longest gone first: taken again only when no fresh one is left.
    pub(super) left: VecDeque<Left>,
    /// Numbers given out so far; they are `1..=used`.
    used: ExporterId,
    /// What was counted for numbers before they were given out again.
    pub(super) retired: Cells,
}

#[derive(Debug)]
pub(super) struct Present {
    pub(super) number: ExporterId,
    pub(super) name: String,
    /// The counters when the prefix got the number. They are never set back in the kernel.
    pub(super) start: Cells,
    /// The limit in the kernel's map; unknown for a number that was just given.
    pub(super) limit: Option<Limit>,
}

#[derive(Debug)]
pub(super) struct Left {
    pub(super) number: ExporterId,
    pub(super) start: Cells,
}

pub(super) struct Change {
    pub(super) added: Vec<(IpNet, ExporterId)>,
    pub(super) removed: Vec<IpNet>,
}

impl Numbers {
    /// What must be done for these exporters. Changes nothing.
    pub(super) fn change_to(&self, exporters: &Exporters) -> Result<Change, XdpError> {
        let wanted: BTreeSet<IpNet> = exporters
            .list
            .iter()
            .map(|exporter| exporter.address.trunc())
            .collect();
        if wanted.len() > MAX_EXPORTERS as usize {
            return Err(XdpError::TooManyExporters { count: wanted.len() });
        }
        // In the order of the configuration, so that numbers follow it.
        let mut new = Vec::new();
        for exporter in &exporters.list {
            let prefix = exporter.address.trunc();
            if !self.present.contains_key(&prefix) && !new.contains(&prefix) {
                new.push(prefix);
            }
        }
        let fresh = self.used + 1..=EXPORTER_ID_MAX;
        let again = self.left.iter().map(|left| left.number);
        let added: Vec<_> = new.iter().copied().zip(fresh.chain(again)).collect();
        if added.len() < new.len() {
            return Err(XdpError::TooManyExporters { count: wanted.len() });
        }
        let removed = self
            .present
            .keys()
            .filter(|prefix| !wanted.contains(prefix))
            .copied()
            .collect();
        Ok(Change { added, removed })
    }

    /// `cells`: the counters of `number` at this moment.
    pub(super) fn add(&mut self, prefix: IpNet, number: ExporterId, cells: Cells) {
        self.used = self.used.max(number);
        if let Some(place) = self.left.iter().position(|left| left.number == number) {
            let start = self.left.remove(place).map(|left| left.start).unwrap_or_default();
            add(&mut self.retired, &subtract(&cells, &start));
        }
        self.present.insert(
            prefix,
            Present {
                number,
                name: prefix_text(prefix),
                start: cells,
                limit: None,
            },
        );
    }

    pub(super) fn remove(&mut self, prefix: IpNet) {
        if let Some(present) = self.present.remove(&prefix) {
            self.left.push_back(Left {
                number: present.number,
                start: present.start,
            });
        }
    }

    pub(super) fn rename(&mut self, exporters: &Exporters) {
        for exporter in &exporters.list {
            let prefix = exporter.address.trunc();
            if let Some(present) = self.present.get_mut(&prefix) {
                present.name = exporter.name.clone().unwrap_or_else(|| prefix_text(prefix));
            }
        }
    }
}

/// `192.0.2.0/24`, and an address without its `/32` or `/128`.
fn prefix_text(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

pub(super) fn add(sum: &mut Cells, cells: &Cells) {
    for (sum, cell) in sum.iter_mut().zip(cells) {
        sum.packets += cell.packets;
        sum.octets += cell.octets;
    }
}

pub(super) fn subtract(cells: &Cells, start: &Cells) -> Cells {
    let mut difference = *cells;
    for (cell, start) in difference.iter_mut().zip(start) {
        cell.packets -= start.packets;
        cell.octets -= start.octets;
    }
    difference
}
