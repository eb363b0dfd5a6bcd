//! The order in which a batch is written: (x_ip, x_port, time).
//!
//! Each batch is then a sorted run, in which BRIN finds a public address without a B-tree. The sort is a
//! least-significant-digit radix sort of row numbers: stable, without comparisons, and passes over digits
//! that are the same in all rows are skipped (most of the time's digits are).

use crate::columns::Columns;

const DIGIT_BITS: u32 = 11;
const BUCKETS: usize = 1 << DIGIT_BITS;

/// Memory of the sort, kept from batch to batch.
#[derive(Debug, Default)]
pub struct Sorter {
    keyed: Vec<(u64, u32)>,
    other: Vec<(u64, u32)>,
    order: Vec<u32>,
}

impl Sorter {
    /// The row numbers of `rows` in the order (x_ip, x_port, time); rows that are equal in all three stay as they came.
    pub fn order(&mut self, rows: &Columns) -> &[u32] {
        self.keyed.clear();
        self.order.clear();
        let earliest = rows.time.iter().copied().min().unwrap_or(0);
        // Least significant key first: a stable sort by each key in turn sorts by all of them.
        self.keyed.extend(
            rows.time
                .iter()
                .enumerate()
                .map(|(row, &time)| (time.wrapping_sub(earliest) as u64, row as u32)),
        );
        self.pass_all();
        // The port and "none" take 17 bits; the low 47 bits of the address stand above them: IPv4 fits whole.
        self.rekey(|row| ((rows.x_ip[row].0 as u64) << 17) | (rows.x_port[row] + 1) as u64);
        self.pass_all();
        if rows.x_ip.iter().any(|ip| ip.v4().is_none()) {
            self.rekey(|row| rows.x_ip[row].0 as u64);
            self.pass_all();
            self.rekey(|row| (rows.x_ip[row].0 >> 64) as u64);
            self.pass_all();
        }
        self.order.extend(self.keyed.iter().map(|&(_, row)| row));
        &self.order
    }

    fn rekey(&mut self, key: impl Fn(usize) -> u64) {
        for entry in &mut self.keyed {
            entry.0 = key(entry.1 as usize);
        }
    }

    fn pass_all(&mut self) {
        if self.keyed.is_sorted_by_key(|&(key, _)| key) {
            return;
        }
        let (any, all) = self
            .keyed
            .iter()
            .fold((0, u64::MAX), |(any, all), &(key, _)| (any | key, all & key));
        let varying = any & !all;
        for shift in (0..u64::BITS).step_by(DIGIT_BITS as usize) {
            if (varying >> shift) & (BUCKETS as u64 - 1) != 0 {
                self.pass(shift);
            }
        }
    }

    fn pass(&mut self, shift: u32) {
        let digit = |key: u64| (key >> shift) as usize & (BUCKETS - 1);
        let mut starts = [0u32; BUCKETS];
        for &(key, _) in &self.keyed {
            starts[digit(key)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        self.other.clear();
        self.other.resize(self.keyed.len(), (0, 0));
        for &(key, row) in &self.keyed {
            let place = &mut starts[digit(key)];
            self.other[*place as usize] = (key, row);
            *place += 1;
        }
        std::mem::swap(&mut self.keyed, &mut self.other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Addr, Origin};
    use crate::{Action, Batch, Event, Kind};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn batch(rows: &[(IpAddr, Option<u16>, i64)]) -> Batch {
        let mut batch = Batch::default();
        for &(x_ip, x_port, time) in rows {
            let mut event = Event::new(
                Kind::Session,
                Action::Created,
                IpAddr::from([10, 0, 0, 1]),
                Some(x_ip),
            );
            event.x_port = x_port;
            batch.push(
                &event,
                x_ip,
                time,
                Origin {
                    stream: 0,
                    offset: 0,
                    index: 0,
                },
            );
        }
        batch
    }

    proptest! {
        #[test]
        fn agrees_with_a_comparison_sort(
            rows in proptest::collection::vec(
                (prop_oneof![
                    (0u32..8).prop_map(|low| IpAddr::from((0xcb00_7100u32 | low).to_be_bytes())),
                    any::<[u8; 4]>().prop_map(IpAddr::from),
                    any::<[u8; 16]>().prop_map(IpAddr::from),
                 ], proptest::option::of(any::<u16>()), 0i64..1 << 50),
                0..200,
            )
        ) {
            let batch = batch(&rows);
            let columns = batch.of(Kind::Session);
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            expected.sort_by_key(|&row| {
                let row = row as usize;
                (columns.x_ip[row], columns.x_port[row], columns.time[row])
            });
            let mut sorter = Sorter::default();
            prop_assert_eq!(sorter.order(columns), &expected[..]);
        }
    }

    #[test]
    fn an_empty_batch_has_an_empty_order() {
        assert!(
            Sorter::default()
                .order(Batch::default().of(Kind::Session))
                .is_empty()
        );
        assert_eq!(Addr::NONE.v4(), None);
    }
}
