//! Flow records are stored, each once, whoever is killed while they wait for their template.

mod common;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use common::{Consumer, Setup, datagram};
use wire::frame::{Datagram, PayloadKind};

const S: u64 = 1_000_000_000;
const RECEIVED_NS: u64 = 1_748_531_000 * S;
const HOUR_NS: u64 = 3600 * S;
/// Octets of the header of NetFlow v9.
const HEADER: usize = 20;
/// Octets of the template set behind it, in NFWare's datagram.
const TEMPLATE_SET: usize = 60;
/// Where the ledger does not close.
const OPEN: &str = "SELECT count(*) FROM (
    SELECT minute, exporter FROM natrail.ledger GROUP BY minute, exporter
    HAVING sum(count) FILTER (WHERE cell IN ('taken', 'unparked'))
           <> sum(count) FILTER (WHERE cell IN ('stored', 'parked', 'ignored', 'dead_letter'))
        OR coalesce(sum(count) FILTER (WHERE cell = 'events'), 0) <> coalesce(sum(count) FILTER (WHERE cell = 'rows'), 0)) t";

/// A datagram of NFWare's vCGNAT: a template, and ten sessions.
fn nfware() -> Vec<u8> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../decode/tests/fixtures/nfware/netflow_v9.hex"
    );
    let hex = std::fs::read_to_string(file).expect("the fixture");
    let hex = hex.trim();
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The same with another sequence number.
fn numbered(mut message: Vec<u8>, sequence: u32) -> Vec<u8> {
    message[12..16].copy_from_slice(&sequence.to_be_bytes());
    message
}

fn template_alone() -> Vec<u8> {
    nfware()[..HEADER + TEMPLATE_SET].to_vec()
}

fn records_alone() -> Vec<u8> {
    let whole = nfware();
    [&whole[..HEADER], &whole[HEADER + TEMPLATE_SET..]].concat()
}

fn from(last: u8, received_ns: u64, payload: &[u8]) -> Datagram<'_> {
    Datagram {
        exporter: IpAddr::from([192, 0, 2, last]),
        received_ns,
        ..datagram(payload)
    }
}

fn wait_for_position(setup: &Setup, position: i64, consumer: &Consumer) {
    let sql = "SELECT next_offset FROM natrail.stream WHERE topic = 'netflow' AND partition = 0";
    setup.wait_for(sql, position, &[consumer]);
}

fn cell(setup: &Setup, name: &str) -> i64 {
    setup.integer(&format!(
        "SELECT coalesce(sum(count), 0)::int8 FROM natrail.ledger WHERE cell = '{name}'"
    ))
}

/// Metrics follow the commit.
fn wait_for_metric(consumer: &Consumer, name: &str, labels: &[(&str, &str)], expected: f64) {
    let begin = Instant::now();
    loop {
        let got = consumer.metrics().sum(name, labels);
        if (got - expected).abs() < 1e-9 {
            return;
        }
        assert!(begin.elapsed() < common::PATIENCE, "{name} {labels:?} is {got}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_real_exporters_datagram_gives_its_rows() {
    let setup = Setup::new("flow");
    let (whole, again) = (nfware(), numbered(nfware(), 3));
    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[from(1, RECEIVED_NS, &whole), from(1, RECEIVED_NS, &again)],
    );
    setup.flush();
    let more = "[[exporters.exporter]]\naddress = \"192.0.2.1\"\nflow_profile = \"nfware\"\nvrf_names = { 311 = \"blue\" }";
    let mut consumer = setup.start("[0]", more);
    wait_for_position(&setup, 1, &consumer);
    for (sql, expected) in [
        ("SELECT count(*) FROM natrail.session", 20),
        ("SELECT count(DISTINCT frame_index) FROM natrail.session", 20),
        (
            "SELECT count(*) FROM natrail.session WHERE src_ip = 1683464947 AND src_port = 7192 AND x_ip = 3405804019
                 AND x_port = 30291 AND vrf = 'blue' AND time_source = 2
                 AND ts = 'epoch'::timestamptz + 1748520000123 * interval '1 millisecond'",
            2,
        ),
        ("SELECT count(*) FROM natrail.template WHERE version = 9 AND domain = 0 AND id = 256", 1),
        ("SELECT count(*) FROM natrail.parked_set", 0),
        (OPEN, 0),
    ] {
        assert_eq!(setup.integer(sql), expected, "{sql}");
    }
    assert_eq!((cell(&setup, "stored"), cell(&setup, "sequence_gap")), (2, 2));
    wait_for_metric(&consumer, "natrail_consumer_sequence_gap_total", &[], 2.0);
    consumer.process.stop(common::PATIENCE).expect("stops");
}

#[test]
fn records_wait_for_their_template_over_a_kill_and_are_stored_once() {
    let setup = Setup::new("parked");
    let (records, template) = (records_alone(), template_alone());
    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[from(1, RECEIVED_NS, &records), from(2, RECEIVED_NS, &records)],
    );
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    wait_for_position(&setup, 1, &consumer);
    assert_eq!(setup.integer("SELECT count(*) FROM natrail.parked_set"), 2);
    assert_eq!((cell(&setup, "parked"), cell(&setup, "unparked")), (2, 0));
    assert_eq!(setup.integer(OPEN), 0, "closes while records wait");
    consumer.process.kill().expect("SIGKILL");

    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[from(1, RECEIVED_NS + 61 * S, &template)],
    );
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    wait_for_position(&setup, 2, &consumer);
    let of_first = "SELECT count(DISTINCT frame_index) FROM natrail.session WHERE frame_offset = 0
         AND received = 'epoch'::timestamptz + 1748531000 * interval '1 second'";
    assert_eq!(setup.integer(of_first), 10, "as the datagram that they came in");
    assert_eq!(
        setup.integer("SELECT count(*) FROM natrail.parked_set"),
        1,
        "the other exporter's"
    );
    assert_eq!((cell(&setup, "parked"), cell(&setup, "unparked")), (2, 1));
    assert_eq!(setup.integer(OPEN), 0, "closes");
    consumer.process.kill().expect("SIGKILL");

    // The template is known from now on.
    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[from(1, RECEIVED_NS + 62 * S, &records)],
    );
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    wait_for_position(&setup, 3, &consumer);
    assert_eq!(setup.integer("SELECT count(*) FROM natrail.session"), 20);
    let origins = "SELECT count(DISTINCT (stream, frame_offset, frame_index)) FROM natrail.session";
    assert_eq!(setup.integer(origins), 20);
    assert_eq!(
        setup.integer("SELECT sum(dead_letters)::int8 FROM natrail.stream"),
        0
    );
    consumer.process.stop(common::PATIENCE).expect("stops");
}

#[test]
fn what_waits_in_vain_is_a_dead_letter_and_what_is_no_mapping_is_ignored() {
    let setup = Setup::new("vain");
    let (records, template) = (records_alone(), template_alone());
    // Source and destination addresses, and no translation.
    let mut traffic = nfware()[..HEADER].to_vec();
    traffic.extend([0, 0, 0, 16, 1, 44, 0, 2, 0, 8, 0, 4, 0, 12, 0, 4]);
    traffic.extend([1, 44, 0, 12, 10, 0, 0, 1, 10, 0, 0, 2]);
    let mut unknown_event = nfware();
    let event = HEADER + TEMPLATE_SET + 4 + 38;
    unknown_event[event] = 200;
    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[
            from(1, RECEIVED_NS, &records),
            from(2, RECEIVED_NS, &traffic),
            from(3, RECEIVED_NS, &template),
            from(4, RECEIVED_NS, &unknown_event),
            from(5, RECEIVED_NS, b"no flow record"),
        ],
    );
    setup.send_frame(
        0,
        PayloadKind::Netflow,
        &[from(3, RECEIVED_NS + HOUR_NS + 2 * S, &template)],
    );
    setup.flush();
    let mut consumer = setup.start("[0]", "");
    wait_for_position(&setup, 2, &consumer);
    for (sql, expected) in [
        ("SELECT count(*) FROM natrail.parked_set", 0),
        ("SELECT count(*) FROM natrail.session", 9),
        (OPEN, 0),
        (
            "SELECT count(*) FROM natrail.stream WHERE topic = 'netflow' AND partition = 0 AND datagrams = 6 AND events = 9
                 AND ignored = 3 AND dead_letters = 3 AND partly = 1",
            1,
        ),
    ] {
        assert_eq!(setup.integer(sql), expected, "{sql}");
    }
    for (reason, count) in [("traffic_flow", 1.0), ("templates_alone", 2.0)] {
        wait_for_metric(
            &consumer,
            "natrail_consumer_ignored_total",
            &[("reason", reason)],
            count,
        );
    }
    for reason in ["no_template", "bad_nat_event", "unknown_format"] {
        let labels = [("reason", reason)];
        wait_for_metric(&consumer, "natrail_consumer_dead_letters_total", &labels, 1.0);
    }
    consumer.process.stop(common::PATIENCE).expect("stops");
}
