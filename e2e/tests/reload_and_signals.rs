//! What the daemons do when they are told something, and when they cannot start.

use std::net::{Ipv4Addr, UdpSocket};

use e2e::{Bus, LISTENER, PATIENCE, Settings, Stage};
use harness::wait_until;

const LINE: &[u8] = b"A VRF 0 6 INT 100.64.0.1:1000 EXT 203.0.113.1:2000 DST 198.18.0.1:443 DIR OUT";

fn only(address: &str) -> String {
    format!("[[exporters.exporter]]\naddress = \"{address}\"")
}

#[test]
fn sighup_changes_who_may_send_and_sigterm_delivers_what_is_held() {
    reload_and_deliver(Bus::Kafka);
}

#[test]
fn sighup_changes_who_may_send_and_sigterm_writes_to_the_log_what_is_held() {
    reload_and_deliver(Bus::Log);
}

fn reload_and_deliver(bus: Bus) {
    // Frames that close by themselves only after the test: what arrives was delivered by SIGTERM.
    let settings = Settings {
        exporters: only("127.0.0.1"),
        collector: "frame_age_ms = 10000".into(),
        ..Settings::default()
    };
    let mut stage = Stage::new("reload", bus, settings).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let newcomer = Ipv4Addr::new(127, 0, 0, 2);
    let counts = |stage: &Stage| {
        let metrics = stage.collector_metrics().expect("metrics");
        let dropped = [("reason", "not_allowed")];
        (
            metrics.count("natrail_collector_datagrams_framed_total", &[]),
            metrics.count("natrail_collector_datagrams_dropped_total", &dropped),
        )
    };
    let wait_for = |stage: &Stage, framed_and_dropped| {
        wait_until(PATIENCE, "framed and dropped datagrams", || {
            counts(stage) == framed_and_dropped
        })
        .unwrap_or_else(|error| panic!("{error}: {:?} instead of {framed_and_dropped:?}", counts(stage)));
    };

    stage.send(newcomer, &[LINE]).expect("sent");
    stage.send(Ipv4Addr::LOCALHOST, &[LINE]).expect("sent");
    wait_for(&stage, (1, 1));

    stage.settings.exporters = only("127.0.0.2");
    stage.write_config().expect("the new configuration");
    collector.hang_up().expect("SIGHUP");
    wait_until(PATIENCE, "the reload", || {
        collector.log().contains("allow-list is in force")
    })
    .expect("a reload");
    // The receive threads take the new list a moment after it is said to be in force.
    let mut sent = 2;
    wait_until(PATIENCE, "the newcomer to be allowed", || {
        stage.send(newcomer, &[LINE]).expect("sent");
        sent += 1;
        counts(&stage).0 > 1
    })
    .expect("the newcomer may send");
    let (mut framed, mut dropped) = counts(&stage);
    wait_until(PATIENCE, "all lines to be counted", || {
        (framed, dropped) = counts(&stage);
        framed + dropped == sent
    })
    .expect("all lines are counted");
    stage.send(Ipv4Addr::LOCALHOST, &[LINE]).expect("sent");
    wait_for(&stage, (framed, dropped + 1));

    // A file that cannot be used changes nothing.
    std::fs::write(stage.config(), "[bus]\nbrokerz = 1").expect("a broken configuration");
    collector.hang_up().expect("SIGHUP");
    wait_until(PATIENCE, "the refusal", || {
        collector.log().contains("stays as it was")
    })
    .expect("a refusal");
    stage.send(newcomer, &[LINE]).expect("sent");
    wait_for(&stage, (framed + 1, dropped + 1));

    collector
        .stop(PATIENCE)
        .expect("exit code 0: everything was delivered");
    assert!(
        stage.records("syslog").expect("the bus answers") >= 1,
        "the frames are on the bus"
    );
    stage.settings.exporters = only("127.0.0.0/8");
    stage.write_config().expect("the configuration of the consumer");
    let mut consumer = stage.consumer().expect("a consumer");
    stage
        .wait_until_taken(&mut consumer, framed as i64 + 1)
        .expect("all that were framed are taken");
    assert_eq!(stage.taken("events"), framed as i64 + 1);
    consumer.stop(PATIENCE).expect("the consumer ends in order");
}

/// Starts the collector, which must end with exit code 2 and these words.
fn refused(stage: &Stage, words: &[&str]) {
    let mut collector = stage.spawn_collector().expect("a process");
    let status = collector.wait(PATIENCE).expect("it ends by itself");
    let log = collector.log();
    assert_eq!(status.code(), Some(2), "{log}");
    for word in words {
        assert!(log.contains(word), "{word:?} in:\n{log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_port_in_use_is_said() {
    let stage = Stage::new("port", Bus::Log, Settings::default()).expect("a stage");
    let _holder = stage
        .network
        .run(|| UdpSocket::bind(LISTENER))
        .expect("enters")
        .expect("binds");
    refused(&stage, &["port in use", LISTENER]);
}

#[test]
fn a_missing_interface_is_said() {
    let settings = Settings {
        collector: "[collector.xdp]\ninterfaces = [\"nowhere0\"]".into(),
        ..Settings::default()
    };
    refused(
        &Stage::new("interface", Bus::Log, settings).expect("a stage"),
        &["nowhere0"],
    );
}

#[test]
fn a_bad_configuration_is_said_by_both_daemons() {
    let stage = Stage::new("config", Bus::Log, Settings::default()).expect("a stage");
    std::fs::write(stage.config(), "[bus]\nbrokerz = \"127.0.0.1:9092\"").expect("a broken configuration");
    refused(&stage, &["brokerz", "natrail.toml"]);
    let mut consumer = stage.consumer().expect("a process");
    let status = consumer.wait(PATIENCE).expect("it ends by itself");
    assert_eq!(status.code(), Some(2), "{}", consumer.log());
    assert!(consumer.log().contains("brokerz"), "{}", consumer.log());
}
