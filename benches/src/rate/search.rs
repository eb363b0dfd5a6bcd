//! The highest rate without loss.

use anyhow::Result;

use super::lane::Run;

/// Halvings between the highest rate without and the lowest one with loss: to about a twentieth.
const HALVINGS: u32 = 4;
/// A loss below this may be another program's doing, and is looked at again.
const DOUBTFUL: f64 = 0.01;

/// What is known so far, in datagrams per second as they were really offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edge {
    /// Highest rate without loss; 0 if there is none.
    pub without: f64,
    /// Lowest rate with loss.
    pub with: Option<f64>,
}

impl Edge {
    /// Tries a rate; of a doubtful loss, the better of two runs counts.
    pub fn attempt(&mut self, rate: u64, run: &mut dyn FnMut(u64) -> Result<Run>) -> Result<Run> {
        let mut best = run(rate)?;
        if !best.is_lossless() && best.loss() < DOUBTFUL {
            let again = run(rate)?;
            if again.loss() < best.loss() {
                best = again;
            }
        }
        let offered = best.sent.rate();
        if best.is_lossless() {
            self.without = self.without.max(offered);
        } else {
            self.with = Some(self.with.map_or(offered, |with| with.min(offered)));
        }
        Ok(best)
    }

    /// Halves what lies between. Without any loss so far the sender is the limit, and nothing is to be found.
    pub fn close_in(&mut self, run: &mut dyn FnMut(u64) -> Result<Run>) -> Result<()> {
        for _ in 0..HALVINGS {
            match self.with {
                Some(with) if with > self.without * 1.05 => {
                    let low = if self.without > 0.0 {
                        self.without
                    } else {
                        with / 16.0
                    };
                    self.attempt((low * with).sqrt() as u64, run)?;
                }
                _ => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::live::Sent;
    use std::time::Duration;

    #[test]
    fn the_edge_is_found() {
        let mut runs = 0;
        let mut run = |rate: u64| {
            runs += 1;
            let sent = Sent {
                datagrams: rate,
                refused: 0,
                elapsed: Duration::from_secs(1),
            };
            Ok(Run {
                sent,
                received: rate.min(437_000),
            })
        };
        let mut edge = Edge::default();
        for rate in [100_000, 200_000, 400_000, 800_000] {
            edge.attempt(rate, &mut run).expect("runs");
        }
        edge.close_in(&mut run).expect("runs");
        assert!(edge.without > 410_000.0 && edge.without <= 437_000.0, "{edge:?}");
        assert!(runs < 12, "{runs}");
    }
}
