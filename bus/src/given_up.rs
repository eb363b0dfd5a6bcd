//! Datagrams that a sender took and gave up, for the ledger.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::frame::{Frame, PayloadKind};
use wire::ledger::minute_of;

/// Exporters and minutes that are told apart; beyond, the exporters of a minute are added up.
const TOLD_APART_MAX: usize = 16_384;

/// How many, by the minute of their receive time (since 1970, UTC) and exporter; `None` for those that are not told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenUp(BTreeMap<(u64, Option<IpAddr>), u64>);

impl GivenUp {
    pub fn add(&mut self, minute: u64, exporter: Option<IpAddr>, datagrams: u64) {
        let known = self.0.len() < TOLD_APART_MAX || self.0.contains_key(&(minute, exporter));
        let count = self.0.entry((minute, exporter.filter(|_| known))).or_default();
        *count = count.saturating_add(datagrams);
    }

    /// Adds all datagrams of a frame. A record that cannot be read had `datagrams`, of whom and when nobody knows: they are
    /// counted for the present minute. Ledger frames hold none.
    pub fn add_frame(&mut self, record: &[u8], datagrams: u64) {
        match Frame::open(record) {
            Ok(frame) if frame.kind() == PayloadKind::Ledger => {}
            Ok(frame) => {
                for datagram in frame.datagrams() {
                    self.add(minute_of(datagram.received_ns), Some(datagram.exporter), 1);
                }
            }
            Err(_) if datagrams > 0 => self.add(minute_of(crate::log::now_ns()), None, datagrams),
            Err(_) => {}
        }
    }

    pub fn append(&mut self, other: Self) {
        for ((minute, exporter), datagrams) in other.0 {
            self.add(minute, exporter, datagrams);
        }
    }

    /// Minute, exporter and datagrams.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Option<IpAddr>, u64)> {
        self.0
            .iter()
            .map(|(&(minute, exporter), &datagrams)| (minute, exporter, datagrams))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_bound_exporters_are_added_up_and_none_is_lost() {
        let mut given_up = GivenUp::default();
        let exporters = TOLD_APART_MAX as u32 + 10;
        for number in 0..exporters {
            given_up.add(7, Some(IpAddr::from(number.to_be_bytes())), 2);
        }
        assert_eq!(given_up.0.get(&(7, None)), Some(&20));
        assert_eq!(
            given_up.iter().map(|(_, _, datagrams)| datagrams).sum::<u64>(),
            2 * u64::from(exporters)
        );
    }
}
