//! The frame log as the bus, and SIGKILL for whoever writes and reads it: what the log took is stored once, and what is
//! missing is what the collector had not written yet, or what came while there was none.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::events::{self, Name};
use e2e::load::Load;
use e2e::{Bus, PATIENCE, Settings, Stage, said};
use harness::process::Process;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const KILLS: usize = 50;
const EVENTS_PER_S: u64 = 6000;
const EXPORTERS: u32 = 4;
/// A generator stamps a message, and may be put aside by the kernel before it sends it.
const STAMP_AGE_MAX_US: i64 = 1_000_000;

/// From the moment when a collector was killed until the next one receives.
#[derive(Clone, Copy, Debug)]
struct Outage {
    killed_us: i64,
    receives_us: i64,
}

#[test]
fn killed_collectors_and_consumers_lose_nothing_that_the_log_took() {
    // A socket buffer that never overflows: what the kernel drops would look like what a kill took.
    let settings = Settings {
        collector: "socket_buffer_bytes = 268435456\nframe_bytes = 131072\nframe_age_ms = 20".into(),
        consumer: "batch_rows = 2000\nbatch_age_ms = 50".into(),
        ..Settings::default()
    };
    let stage = Stage::new("kills", Bus::Log, settings).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let load = Load::new(EVENTS_PER_S, EXPORTERS);
    let outages = load
        .during(&stage, || kill_both(&stage, &mut collector, &mut consumer))
        .expect("everything is sent");

    // SIGTERM takes what the socket holds, and writes it.
    collector.stop(PATIENCE).expect("the collector ends in order");
    let mut logged = events::logged(&stage).expect("the log is read");
    stage
        .wait_until_taken(&mut consumer, logged.len() as i64)
        .expect("all of the log is taken");
    consumer.stop(PATIENCE).expect("the consumer ends in order");

    let taken = logged.len() as i64;
    assert_eq!(
        [
            stage.taken("datagrams"),
            stage.taken("events"),
            stage.taken("dead_letters"),
            stage.taken("bad_frames")
        ],
        [taken, taken, 0, 0],
        "all of the log, and nothing twice"
    );
    let mut stored = events::stored(&stage).expect("rows");
    logged.sort_unstable();
    stored.sort_unstable();
    assert!(
        stored.windows(2).all(|pair| pair[0] != pair[1]),
        "a row is doubled"
    );
    assert!(stored == logged, "the rows are not what is in the log");

    // Field by field: every row is one that was sent.
    let expect = load.expected(&stage);
    let path = expect.to_str().expect("a path");
    let compared = stage.natrail(&["db", "compare", "--expect", path, "--json"]);
    let compared = compared.expect("natrail runs");
    let counts: serde_json::Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    let sent = events::expected(&expect).expect("what was sent");
    let missing = sent.len() - stored.len();
    assert_eq!(
        (&counts["expected"], &counts["extra"], &counts["missing"]),
        (&sent.len().into(), &0.into(), &missing.into()),
        "{}",
        said(&compared)
    );
    let runs = missing_runs(&sent, &stored);
    for (exporter, runs) in &runs {
        assert!(
            runs.len() <= outages.len(),
            "{exporter} lost events {} times in {} kills",
            runs.len(),
            outages.len()
        );
        for run in runs {
            let explained = outages.iter().any(|outage| run.is_around(outage));
            assert!(
                explained,
                "{exporter}: {run:?} is missing, and no collector was killed then"
            );
        }
    }
    println!(
        "{} kills of the collector, {KILLS} of the consumer: {} sent, {} in the log and stored, {missing} missing in {} runs",
        outages.len(),
        sent.len(),
        stored.len(),
        runs.values().map(Vec::len).sum::<usize>()
    );
}

/// Kills each of them at least `KILLS` times, at any moment. What the collector said to be acknowledged is in the log.
fn kill_both(stage: &Stage, collector: &mut Process, consumer: &mut Process) -> Vec<Outage> {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut nap = move |longest_ms| sleep(Duration::from_millis(rng.random_range(0..longest_ms)));
    let mut outages = Vec::new();
    let mut logged_before = 0;
    for round in 0..KILLS {
        nap(700);
        let metrics = stage.collector_metrics().expect("metrics");
        let mut killed_us = vec![now_us()];
        collector.kill().expect("SIGKILL");
        let drops = metrics.count("natrail_collector_kernel_drops_total", &[])
            + metrics.count("natrail_collector_datagrams_dropped_total", &[]);
        assert_eq!(drops, 0, "the machine does not hold the load");
        let acknowledged = metrics.count("natrail_collector_datagrams_acknowledged_total", &[]);
        let logged = events::logged_count(stage).expect("the log is read");
        assert!(
            logged >= logged_before + acknowledged,
            "{acknowledged} datagrams were acknowledged, {} are in the log",
            logged - logged_before
        );
        if round % 4 == 3 {
            // One that is still looking at what the one before has left, or has just written its first frame.
            let mut hasty = stage.spawn_collector().expect("a collector");
            nap(60);
            killed_us.push(now_us());
            hasty.kill().expect("SIGKILL");
        }
        logged_before = events::logged_count(stage).expect("the log is read");
        *collector = stage.collector().expect("a collector");
        let receives_us = now_us();
        outages.extend(killed_us.into_iter().map(|killed_us| Outage {
            killed_us,
            receives_us,
        }));

        let before = stage.taken("datagrams");
        nap(300);
        consumer.kill().expect("SIGKILL");
        *consumer = stage.consumer().expect("a consumer");
        consumer
            .wait_until(PATIENCE, "more datagrams in the database", || {
                stage.taken("datagrams") > before
            })
            .expect("the consumer goes on");
    }
    outages
}

/// Events of one exporter, one behind the other, none of which is stored.
#[derive(Clone, Copy, Debug)]
struct Run {
    first_us: i64,
    /// Time of the event behind the last missing one.
    next_us: i64,
}

impl Run {
    /// Whether it began before the new collector received, and ended after the old one was killed.
    fn is_around(&self, outage: &Outage) -> bool {
        self.first_us <= outage.receives_us && self.next_us + STAMP_AGE_MAX_US >= outage.killed_us
    }
}

fn missing_runs(sent: &[Name], stored: &[Name]) -> BTreeMap<Ipv4Addr, Vec<Run>> {
    let stored: HashSet<Name> = stored.iter().copied().collect();
    let mut runs: BTreeMap<Ipv4Addr, Vec<Run>> = BTreeMap::new();
    let mut open: BTreeMap<Ipv4Addr, Run> = BTreeMap::new();
    for name in sent {
        let Name { exporter, time_us } = *name;
        if !stored.contains(name) {
            open.entry(exporter).or_insert(Run {
                first_us: time_us,
                next_us: i64::MAX - STAMP_AGE_MAX_US,
            });
        } else if let Some(run) = open.remove(&exporter) {
            runs.entry(exporter).or_default().push(Run {
                next_us: time_us,
                ..run
            });
        }
    }
    for (exporter, run) in open {
        runs.entry(exporter).or_default().push(run);
    }
    runs
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}
