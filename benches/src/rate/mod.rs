//! How many datagrams per second a collector takes, beside the programs that are used for it today.
//!
//! One exporter sends from one port, over a veth pair, datagrams of a real form and exact size at an exact rate ([`lane`] says
//! which core does what). For each way in ([`paths`]): what is lost at fixed rates, the highest rate without loss, and the
//! CPU time of the receiving program for each datagram. All get a receive buffer of the same size and one core.
//!
//! - [`payload`]: what is sent;
//! - [`lane`]: the namespaces and one run;
//! - [`program`]: receivers that are processes; [`recvmmsg`]: the one that is a loop;
//! - [`search`]: the highest rate without loss;
//! - [`paths`]: the ways in, with their configurations beside this file.

pub mod lane;
pub mod paths;
pub mod payload;
pub mod program;
pub mod recvmmsg;
pub mod search;

use std::time::Duration;

use anyhow::Result;

use crate::measure::Measure;
use lane::Lane;
use paths::Path;
use search::Edge;

/// Payload sizes.
const SIZES: [usize; 2] = [150, 1000];
/// Datagrams per second at which loss is measured.
const RATES: [u64; 5] = [100_000, 200_000, 400_000, 800_000, 1_600_000];
/// The rate at which CPU time is measured: all can do it.
const CPU_RATE: u64 = RATES[0];
const RUN: Duration = Duration::from_secs(2);
/// A sender that reaches less of the rate asked for was not able to.
const REACHED: f64 = 0.9;

/// What one way in did with datagrams of one size.
struct Found {
    path: Path,
    octets: usize,
    lossfree: f64,
    cpu_ns: f64,
    /// Loss at each of [`RATES`] that was reached.
    losses: Vec<(u64, f64)>,
}

/// Measures all ways in, or those named.
pub fn measure(names: &[String]) -> Result<Vec<Measure>> {
    let mut found = Vec::new();
    for path in Path::ALL {
        if !names.is_empty() && !names.iter().any(|name| name == path.name()) {
            continue;
        }
        if let Some(why) = path.absent()? {
            eprintln!("{}: not measured: {why}", path.name());
            continue;
        }
        for octets in SIZES {
            found.push(one(path, octets)?);
        }
    }
    Ok(measures(&found))
}

fn one(path: Path, octets: usize) -> Result<Found> {
    let lane = Lane::new()?;
    let directory = tempfile::tempdir_in("/dev/shm")?;
    let mut sender = lane.sender()?;
    let running = path.start(&lane, directory.path())?;
    let payload = path.payload(octets);
    let name = format!("{} {octets}", path.name());
    let mut run = |rate: u64| {
        let run = lane::run(&mut sender, &payload, rate, RUN, &mut || running.received(&lane))?;
        eprintln!("{name}: {run}");
        Ok(run)
    };
    // The first one touches memory and fills caches.
    run(CPU_RATE / 10)?;
    let before = running.cpu_ns()?;
    let at_ease = run(CPU_RATE)?;
    let cpu_ns = (running.cpu_ns()? - before) as f64 / at_ease.received.max(1) as f64;
    let mut edge = Edge::default();
    let mut losses = Vec::new();
    for rate in RATES {
        let run = edge.attempt(rate, &mut run)?;
        if run.sent.rate() < REACHED * rate as f64 {
            eprintln!("{name}: beside this receiver the sender cannot reach {rate}/s");
            break;
        }
        losses.push((rate, run.loss()));
    }
    edge.close_in(&mut run)?;
    running.stop()?;
    Ok(Found {
        path,
        octets,
        lossfree: edge.without,
        cpu_ns,
        losses,
    })
}

/// `<path>_<octets>_lossfree_pps`, `…_cpu_ns` and `…_loss_at_<rate>`; natrail's and the loop's beside the best peer's.
fn measures(found: &[Found]) -> Vec<Measure> {
    let mut measures = Vec::new();
    for one in found {
        let peers = || {
            found
                .iter()
                .filter(|other| other.octets == one.octets && other.path.is_peer())
        };
        let beside = |value: fn(&Found) -> f64, better: fn(f64, f64) -> bool| {
            let best = peers().reduce(|best, peer| {
                if better(value(peer), value(best)) {
                    peer
                } else {
                    best
                }
            });
            best.filter(|_| !one.path.is_peer())
                .map(|best| (best.path.name(), value(best)))
        };
        let mut push = |what: String, value, unit, against| {
            measures.push(Measure {
                bench: "rate",
                measure: format!("{}_{}_{what}", one.path.name(), one.octets).into(),
                value,
                unit,
                against,
            });
        };
        let lossfree = beside(|one| one.lossfree, |a, b| a > b);
        push("lossfree_pps".into(), one.lossfree, "datagrams/s", lossfree);
        push(
            "cpu_ns".into(),
            one.cpu_ns,
            "ns",
            beside(|one| one.cpu_ns, |a, b| a < b),
        );
        for &(rate, loss) in &one.losses {
            push(format!("loss_at_{rate}"), loss, "share", None);
        }
    }
    measures
}
