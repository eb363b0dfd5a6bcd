//! One line on a quiet network becomes a row that a trace finds.

use std::net::Ipv4Addr;

use e2e::{Bus, PATIENCE, Settings, Stage, free_address, said};

#[test]
fn a_single_line_is_stored_and_traced() {
    store_and_trace(Bus::Kafka);
}

#[test]
fn a_single_line_is_stored_and_traced_with_the_log() {
    store_and_trace(Bus::Log);
}

fn store_and_trace(bus: Bus) {
    let stage = Stage::new("quiet", bus, Settings::default()).expect("a stage");
    let _collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let line = b"A VRF 0 6 INT 100.64.7.9:40001 EXT 203.0.113.77:2345 DST 198.18.0.1:443 DIR OUT";
    stage.send(Ipv4Addr::LOCALHOST, &[line]).expect("sent");
    stage
        .wait_until_taken(&mut consumer, 1)
        .expect("the row is stored without another line to push it");

    let mut client = stage.database.connect().expect("a connection");
    let sql =
        "SELECT to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM natrail.session";
    let at: String = client.query_one(sql, &[]).expect("one row").get(0);
    let trace = |public: &str| {
        let arguments = [
            "trace",
            "--public",
            public,
            "--protocol",
            "tcp",
            "--at",
            &at,
            "--json",
        ];
        stage.natrail(&arguments).expect("natrail runs")
    };
    let found = trace("203.0.113.77:2345");
    assert_eq!(found.status.code(), Some(0), "{}", said(&found));
    assert!(said(&found).contains("100.64.7.9"), "{}", said(&found));

    let nobody = trace("203.0.113.77:2346");
    assert_eq!(nobody.status.code(), Some(1), "{}", said(&nobody));

    let nowhere = format!(
        "postgresql://natrail@{}/natrail",
        free_address().expect("a free port")
    );
    let down = stage.natrail_at(&nowhere, &["trace", "--public", "203.0.113.77:2345", "--at", &at]);
    let down = down.expect("natrail runs");
    assert_eq!(down.status.code(), Some(2), "{}", said(&down));
    assert!(
        !down.stderr.is_empty() && down.stdout.is_empty(),
        "{}",
        said(&down)
    );
    consumer.stop(PATIENCE).expect("the consumer ends in order");
}
