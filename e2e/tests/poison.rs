//! What cannot be decoded becomes a dead letter with its reason, and costs its neighbours nothing.

use std::net::Ipv4Addr;

use e2e::{Bus, PATIENCE, Settings, Stage};
use harness::wait_until;

/// Largest payload of an IPv4 UDP datagram.
const PAYLOAD_MAX: usize = 65_507;

#[test]
fn poison_becomes_dead_letters_and_its_neighbours_are_stored() {
    poison(Bus::Kafka);
}

#[test]
fn poison_becomes_dead_letters_in_the_log() {
    poison(Bus::Log);
}

fn poison(bus: Bus) {
    let stage = Stage::new("poison", bus, Settings::default()).expect("a stage");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");

    let mut long = b"A VRF 0 INT 10.0.0.1 EXT 100.64.0.1".to_vec();
    long.resize(PAYLOAD_MAX, b'x');
    let poison: [(&[u8], &str); 9] = [
        (b"A VRF 0 INT 10.0.0.999 EXT 100.64.0.1", "bad_address"),
        (b"A VRF 0 6 INT 10.0.0.1:99999 EXT 100.64.0.1:28475", "bad_port"),
        (b"A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165", "truncated"),
        (&long, "too_long"),
        (b"A VRF \xff\xfe 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475", "not_utf8"),
        (b"", "empty"),
        (b"\0\r\n ", "empty"),
        (b"hello, who is there?", "unknown_format"),
        (
            b"<14>1 2022-04-04T14:45:38.412Z srx RT_NAT - RT_SRC_NAT_PBA_ALLOC [junos@2636.1.1.1.2.129 internal-ip=\"10.0.10.10\" block-",
            "truncated",
        ),
    ];
    // Good ones around each, twice over: poison first, last, and next to poison of its own kind.
    let good = |number: usize| {
        format!(
            "A VRF 0 6 INT 100.64.0.1:{} EXT 203.0.113.1:{number} DST 198.18.0.1:443 DIR OUT",
            1024 + number
        )
    };
    let goods: Vec<String> = (1..=2 * poison.len()).map(good).collect();
    let mut datagrams: Vec<&[u8]> = Vec::new();
    for (index, (bad, _)) in poison.iter().enumerate() {
        datagrams.extend([
            *bad,
            goods[2 * index].as_bytes(),
            goods[2 * index + 1].as_bytes(),
            *bad,
        ]);
    }
    stage.send(Ipv4Addr::LOCALHOST, &datagrams).expect("sent");
    stage
        .wait_until_taken(&mut consumer, datagrams.len() as i64)
        .expect("all are taken");

    let letters = 2 * poison.len() as i64;
    assert_eq!(
        (stage.taken("events"), stage.taken("dead_letters")),
        (goods.len() as i64, letters)
    );
    let rows = "SELECT count(DISTINCT x_port)::int8 FROM natrail.session WHERE x_port BETWEEN 1 AND ";
    let rows = stage
        .database
        .integer(&format!("{rows}{}", goods.len()))
        .expect("a count");
    assert_eq!(rows, goods.len() as i64, "every neighbour is stored");
    assert_eq!(
        stage.records("dead-letter").expect("the bus answers"),
        letters as u64
    );

    // The counters follow the commit.
    let mut metrics = stage.consumer_metrics().expect("metrics");
    wait_until(PATIENCE, "the counters of the last batch", || {
        metrics = stage.consumer_metrics().expect("metrics");
        metrics.count("natrail_consumer_dead_letters_total", &[]) == letters as u64
    })
    .expect("as many dead letters are counted");
    for reason in [
        "bad_address",
        "bad_port",
        "truncated",
        "too_long",
        "not_utf8",
        "empty",
        "unknown_format",
    ] {
        let sent = 2 * poison.iter().filter(|(_, expected)| *expected == reason).count() as u64;
        let counted = metrics.count("natrail_consumer_dead_letters_total", &[("reason", reason)]);
        assert_eq!(counted, sent, "{reason}");
    }

    // Both are the processes that were started, and they still work.
    assert!(collector.is_running() && consumer.is_running());
    stage
        .send(Ipv4Addr::LOCALHOST, &[good(60_000).as_bytes()])
        .expect("sent");
    wait_until(PATIENCE, "one more row", || {
        stage.taken("events") == goods.len() as i64 + 1
    })
    .expect("one more row");
    collector.stop(PATIENCE).expect("the collector ends in order");
    consumer.stop(PATIENCE).expect("the consumer ends in order");
}
