//! What every part counted, and whether it adds up.

use std::fmt::{Display, Formatter};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::metrics::Metrics;

use super::stage::{Stage, Taken};
use super::traffic::Sent;
use crate::progress;

const CATCH_UP: Duration = Duration::from_secs(5);

/// One line of the table.
struct Line {
    part: &'static str,
    what: &'static str,
    count: u64,
    /// What it must be, and in words.
    must: u64,
    reason: &'static str,
    /// May be more: the kernel itself sends on the cable too (ARP, neighbour discovery).
    at_least: bool,
}

/// The whole table.
pub struct Account {
    sent: Sent,
    lines: Vec<Line>,
}

impl Account {
    /// Asks collector, bus and database.
    pub fn take(stage: &Stage, sent: Sent) -> Result<Self> {
        let bus = stage.bus.kind;
        let taken = stage.taken()?;
        let (collector, consumer) = counters(stage, taken)?;
        let (frames, dead_letters) = stage.records()?;
        let verdict = |name| collector.count("natrail_xdp_packets_total", &[("verdict", name)]);
        let consumed = |name: &str| consumer.count(&format!("natrail_consumer_{name}_total"), &[]);
        let own = |name: &str| collector.count(&format!("natrail_collector_{name}_total"), &[]);
        let closed_frames = own("frames");
        progress::say(&format!(
            "{} octets of messages in {frames} {}",
            own("received_bytes"),
            bus.records()
        ));

        let mut lines = Vec::new();
        let mut line = |part, what, count, must, reason| {
            lines.push(Line {
                part,
                what,
                count,
                must,
                reason,
                at_least: false,
            });
        };
        line(
            "XDP",
            "dropped: not allowed",
            verdict("not_allowed"),
            sent.stranger,
            "stranger",
        );
        line(
            "XDP",
            "accepted",
            verdict("accepted"),
            sent.accepted(),
            "NFWare + Juniper + garbage",
        );
        line(
            "XDP",
            "fragments, malformed",
            verdict("fragment") + verdict("malformed"),
            0,
            "nobody sends them",
        );
        line(
            "collector",
            "received",
            own("datagrams_received"),
            sent.accepted(),
            "XDP accepted",
        );
        line(
            "collector",
            "dropped, by it or the kernel",
            own("datagrams_dropped") + own("kernel_drops"),
            0,
            "nothing lost",
        );
        line(
            "collector",
            "in frames",
            own("datagrams_framed"),
            sent.accepted(),
            "received",
        );
        line(
            "collector",
            bus.acknowledged(),
            own("datagrams_acknowledged"),
            sent.accepted(),
            "in frames",
        );
        line(bus.name(), "records", frames, closed_frames, "frames closed");
        line(bus.name(), "dead letters", dead_letters, sent.garbage, "garbage");
        line(
            "consumer",
            "datagrams decoded",
            consumed("datagrams"),
            sent.accepted(),
            "acknowledged",
        );
        line(
            "consumer",
            "events",
            consumed("events"),
            sent.events(),
            "NFWare + Juniper",
        );
        line(
            "consumer",
            "dead letters",
            consumed("dead_letters"),
            sent.garbage,
            "garbage",
        );
        line(
            "consumer",
            "rows committed",
            consumed("rows_committed"),
            sent.events(),
            "events",
        );
        line("database", "frames taken", taken.frames, frames, bus.records());
        line(
            "database",
            "datagrams taken",
            taken.datagrams,
            sent.accepted(),
            "acknowledged",
        );
        line(
            "database",
            "dead letters",
            taken.dead_letters,
            sent.garbage,
            "garbage",
        );
        line(
            "database",
            "ignored, bad frames",
            taken.ignored + taken.bad_frames,
            0,
            "nobody sends them",
        );
        line(
            "database",
            "events",
            taken.events,
            sent.events(),
            "NFWare + Juniper",
        );
        line("database", "rows", taken.rows, sent.events(), "events");
        lines.insert(
            0,
            Line {
                part: "XDP",
                what: "passed: not ours",
                count: verdict("not_ours"),
                must: sent.other_port,
                reason: "other port, ARP, ND",
                at_least: true,
            },
        );
        Ok(Self { sent, lines })
    }

    pub fn adds_up(&self) -> bool {
        self.lines.iter().all(Line::holds)
    }
}

/// The daemons' counters, once they have caught up with the database: a commit is counted just after it is made.
fn counters(stage: &Stage, taken: Taken) -> Result<(Metrics, Metrics)> {
    let begin = Instant::now();
    loop {
        let (collector, consumer) = (stage.collector_metrics()?, stage.consumer_metrics()?);
        let settled = consumer.count("natrail_consumer_rows_committed_total", &[]) >= taken.events
            && collector.count("natrail_collector_datagrams_acknowledged_total", &[]) >= taken.datagrams;
        if settled || begin.elapsed() > CATCH_UP {
            return Ok((collector, consumer));
        }
        sleep(Duration::from_millis(50));
    }
}

impl Line {
    fn holds(&self) -> bool {
        if self.at_least {
            self.count >= self.must
        } else {
            self.count == self.must
        }
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Sent {
            nfware,
            juniper,
            garbage,
            stranger,
            other_port,
        } = self.sent;
        for (what, count) in [
            ("NFWare", nfware),
            ("Juniper", juniper),
            ("garbage", garbage),
            ("stranger", stranger),
            ("other port", other_port),
        ] {
            writeln!(f, "{:<10} {what:<29} {count:>9}", "sent")?;
        }
        for line in &self.lines {
            let sign = if line.at_least { ">=" } else { "=" };
            let verdict = if line.holds() { "ok" } else { "DIFFERS" };
            writeln!(
                f,
                "{:<10} {:<29} {:>9} {sign:>2} {:>9} {:<27} {verdict}",
                line.part, line.what, line.count, line.must, line.reason
            )?;
        }
        Ok(())
    }
}
