//! What the configuration says of an exporter is in the rows, and its clock in table and metrics.

mod common;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use common::{Consumer, Setup, datagram};
use wire::frame::{Datagram, PayloadKind};

/// 2026-01-01T00:00:02Z: New Year in UTC, an hour later in Berlin.
const NEW_YEAR_NS: u64 = 1_767_225_602_000_000_000;
const S: u64 = 1_000_000_000;

const EXPORTERS: &str = r#"
[[exporters.exporter]]
address = "192.0.2.1"
time_zone = "Europe/Berlin"
vrf = "global"
vrf_names = { "%1" = "blue" }

[[exporters.exporter]]
address = "192.0.2.2"
time_zone = "UTC"
pattern = '^NAT (?<event>\w+) (?<src_ip>\S+) (?<x_ip>\S+) (?<start_port>\d+)\+(?<port_count>\d+) (?<time>.+)$'
"#;

fn from(last: u8, received_ns: u64, payload: &str) -> Datagram<'_> {
    Datagram {
        exporter: IpAddr::from([192, 0, 2, last]),
        received_ns,
        ..datagram(payload.as_bytes())
    }
}

/// One text from the database.
fn text(setup: &Setup, sql: &str) -> i64 {
    setup.integer(&format!("SELECT count(*) FROM ({sql}) AS t (ok) WHERE ok"))
}

/// Metrics follow the commit.
fn wait_for_metric(consumer: &Consumer, name: &str, expected: f64) {
    let begin = Instant::now();
    loop {
        let got = consumer.metrics().sum(name, &[]);
        if (got - expected).abs() < 1e-9 {
            return;
        }
        assert!(begin.elapsed() < common::PATIENCE, "{name} is {got}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn rows_have_the_time_and_the_vrf_that_are_said() {
    let setup = Setup::new("profiles");
    let port = "LSN_ADD 10.0.0.1%1:33000 6 194.15.97.34%0:4000 93.184.216.34 443";
    let block = "USER 10.0.0.2 (matching rule 1): NEW BLOCK (ip public 192.0.2.33, proto 6, port 1 - 512)";
    let of_port = format!("<134>Jan  1 00:59:58 f5 tmm: {port}");
    let of_block = format!("<134>Jan  1 01:00:01 vsr fp-cgnat[7]: {block}");
    let unsaid = format!("<134>Dec 31 23:59:58 f5 tmm: {port}");
    let lines = [
        // Two seconds before the new year of UTC, written in Berlin.
        from(1, NEW_YEAR_NS, &of_port),
        from(1, NEW_YEAR_NS, &of_block),
        // Says nothing of a time: the receive time counts.
        from(1, NEW_YEAR_NS, port),
        from(
            2,
            NEW_YEAR_NS,
            "NAT alloc 10.0.0.3 203.0.113.1 1024+64 Dec 31 23:59:59",
        ),
        from(2, NEW_YEAR_NS, "NAT alloc 10.0.0.3 203.0.113.1 1024+64 Dec 31"),
        from(2, NEW_YEAR_NS, port),
        // Nothing is said of this one.
        from(3, NEW_YEAR_NS, &unsaid),
    ];
    setup.send_frame(0, PayloadKind::Syslog, &lines);
    setup.flush();
    let mut consumer = setup.start("[0]", EXPORTERS);
    setup.wait_for(
        "SELECT events FROM natrail.stream WHERE topic = 'syslog' AND partition = 0",
        5,
        &[&consumer],
    );
    for row in [
        "SELECT ts = '2025-12-31 23:59:58Z' AND time_source = 1 AND vrf = 'blue' FROM natrail.session WHERE exporter = 3221225985",
        "SELECT ts = '2026-01-01 00:00:02Z' AND time_source = 0 AND vrf = 'blue' FROM natrail.session WHERE exporter = 3221225985",
        "SELECT ts = '2026-01-01 00:00:01Z' AND time_source = 1 AND vrf = 'global' FROM natrail.block WHERE exporter = 3221225985",
        "SELECT ts = '2025-12-31 23:59:59Z' AND time_source = 2 AND start_port = 1024 AND end_port = 1087 FROM natrail.block
         WHERE exporter = 3221225986",
        "SELECT ts = '2026-01-01 00:00:02Z' AND time_source = 0 AND device_ts IS NULL AND vrf = '1' FROM natrail.session
         WHERE exporter = 3221225987",
        "SELECT events = 5 AND dead_letters = 2 AND partly = 0 FROM natrail.stream WHERE events > 0",
    ] {
        assert_eq!(text(&setup, row), 1, "{row}");
    }
    consumer.process.stop(common::PATIENCE).expect("stops");
}

#[test]
fn records_beside_a_cut_one_are_stored_and_the_message_is_a_dead_letter() {
    let setup = Setup::new("partly");
    let record = "NAT-TCP-C: 100.64.9.9:33000<-->198.51.100.9:2000 to 8.8.8.8:53";
    let batch = format!("{record}\n{record}\n{}", &record[..30]);
    let whole = format!("{record}\n{record}");
    setup.send_frame(
        0,
        PayloadKind::Syslog,
        &[
            datagram(batch.as_bytes()),
            datagram(whole.as_bytes()),
            datagram(b"RT_NAT: RT_NAT_RULE_MATCH: x"),
            datagram(b"unknown"),
        ],
    );
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    setup.wait_for(
        "SELECT events FROM natrail.stream WHERE topic = 'syslog' AND partition = 0",
        4,
        &[&consumer],
    );
    assert_eq!(setup.integer("SELECT count(*) FROM natrail.port"), 4);
    // Each datagram is one of three: all events, ignored, a dead letter.
    let totals = "SELECT datagrams = 4 AND ignored = 1 AND dead_letters = 2 AND partly = 1 FROM natrail.stream WHERE events > 0";
    assert_eq!(text(&setup, totals), 1);
    wait_for_metric(&consumer, "natrail_consumer_partly_decoded_total", 1.0);
    wait_for_metric(&consumer, "natrail_consumer_dead_letters_total", 2.0);
    consumer.process.stop(common::PATIENCE).expect("stops");
}

#[test]
fn clocks_are_measured_by_the_time_of_the_message() {
    let setup = Setup::new("clocks");
    // The header is 90 s ahead; the epoch of an INTERIM is the begin of the mapping.
    let lines: Vec<String> = (0..20)
        .map(|second| {
            format!(
                "<14>1 2026-01-01T00:01:{:02}Z srx RT_NAT - RT_SRC_NAT_PBA_INTERIM [junos@2636.1.1.1.2.129 internal-ip=\"10.0.10.10\" block-used=\"1\" block-max-per-host=\"4\" block-port-low=\"48640\" block-port-high=\"48895\" reflexive-ip=\"1.2.84.172\" nat-pool-name=\"guest\" logical-system-id=\"0\" epoch-time-64=\"6954b000\"]",
                32 + second
            )
        })
        .collect();
    let datagrams: Vec<_> = lines
        .iter()
        .zip(0..)
        .map(|(line, second)| from(9, NEW_YEAR_NS + second * S, line))
        .collect();
    setup.send_frame(0, PayloadKind::Syslog, &datagrams);
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    setup.wait_for(
        "SELECT count(*) FROM natrail.exporter_clock WHERE exporter = '192.0.2.9' AND skew_us = 90000000 AND samples = 15
         AND measured_at = '2026-01-01 00:00:21Z'",
        1,
        &[&consumer],
    );
    wait_for_metric(&consumer, "natrail_consumer_exporter_clock_skew_seconds", 90.0);
    consumer.process.stop(common::PATIENCE).expect("stops");
}
