//! Several consumers on one frame log: they share its streams by file locks, and the dead one's are taken over.

use std::time::Duration;

use e2e::load::Load;
use e2e::{Bus, PATIENCE, Settings, Stage, said};
use harness::wait_until;

/// Of each topic, as the stage has it.
const PARTITIONS: u64 = 2;
const EXPORTERS: u32 = 8;

#[test]
fn consumers_share_the_log_and_a_killed_ones_streams_are_taken_over() {
    let settings = Settings {
        bus: "queue_mib = 64".into(),
        collector: "socket_buffer_bytes = 268435456\nframe_age_ms = 20".into(),
        consumer: "batch_rows = 1000\nbatch_age_ms = 50".into(),
        ..Settings::default()
    };
    let stage = Stage::new("shared", Bus::Log, settings).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut first = stage.consumer().expect("a consumer");
    let streams = || {
        stage
            .consumer_metrics()
            .map_or(0, |metrics| metrics.count("natrail_consumer_streams", &[]))
    };
    // Syslog, NetFlow, RADIUS and the ledger have as many partitions each.
    let all = 4 * PARTITIONS;
    wait_until(PATIENCE, "the first consumer to own all", || streams() == all).expect("owned");
    let load = Load::new(4000, EXPORTERS);
    let mut second = None;
    load.during(&stage, || {
        for _ in 0..3 {
            let mut other = stage.another_consumer().expect("another consumer");
            wait_until(PATIENCE, "half of the streams to be given up", || {
                streams() == all / 2
            })
            .expect("shared");
            std::thread::sleep(Duration::from_millis(500));
            other.kill().expect("SIGKILL");
            wait_until(PATIENCE, "the dead one's streams to be taken over", || {
                streams() == all
            })
            .expect("taken");
        }
        second = Some(stage.another_consumer().expect("another consumer"));
        wait_until(PATIENCE, "half of the streams to be given up", || {
            streams() == all / 2
        })
        .expect("shared");
    })
    .expect("everything is sent");
    collector.stop(PATIENCE).expect("the collector ends in order");
    stage
        .wait_until_taken(&mut first, load.sent() as i64)
        .expect("everything is taken");
    first.stop(PATIENCE).expect("the first consumer ends in order");
    if let Some(mut second) = second {
        second.stop(PATIENCE).expect("the second consumer ends in order");
    }
    let expect = load.expected(&stage);
    let compared = stage
        .natrail(&["db", "compare", "--expect", expect.to_str().expect("a path")])
        .expect("natrail runs");
    assert_eq!(compared.status.code(), Some(0), "{}", said(&compared));
}
