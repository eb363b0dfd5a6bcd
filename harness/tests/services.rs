//! The harness against Kafka and PostgreSQL: `cargo xtask services up` first.

use harness::broker::Broker;
use harness::kafka;
use harness::topics::unique;

#[test]
fn a_topic_that_is_not_there_is_empty_and_can_be_deleted() {
    let address = harness::services::kafka().expect("Kafka");
    let topic = unique("nowhere");
    assert_eq!(kafka::end_offsets(&address, &topic, 2).expect("answers"), [0, 0]);
    kafka::delete_topics(&address, &[&topic]).expect("no error");
}

#[test]
fn a_broker_of_ones_own_freezes_and_comes_back_with_its_data() {
    let home = std::env::temp_dir().join(unique("natrail-broker"));
    let mut broker = Broker::start(&home).expect("a broker");
    let address = broker.address();
    assert_ne!(address.to_string(), harness::services::kafka().expect("Kafka"));
    assert!(kafka::answers(address));

    broker.freeze().expect("SIGSTOP");
    assert!(!kafka::answers(address), "a frozen broker must not answer");
    broker.thaw().expect("answers again");

    broker.kill().expect("SIGKILL");
    assert!(!kafka::answers(address), "a killed broker must not answer");
    // Formatted once only: without its data it would not start.
    broker.restart().expect("starts again");
    kafka::end_offsets(&address.to_string(), &unique("nowhere"), 1).expect("answers");
    drop(broker);
    std::fs::remove_dir_all(&home).expect("removed");
}

#[cfg(feature = "database")]
#[test]
fn a_database_goes_with_its_value() {
    let first = harness::database::Database::new("harness").expect("database");
    first
        .execute("CREATE TABLE t (x int8); INSERT INTO t VALUES (3), (4)")
        .expect("executes");
    assert_eq!(first.integer("SELECT sum(x)::int8 FROM t").expect("answers"), 7);

    let second = harness::database::Database::new("harness").expect("database");
    let count = |name: &str| {
        second.integer(&format!(
            "SELECT count(*) FROM pg_database WHERE datname = '{name}'"
        ))
    };
    let name = first.name().to_owned();
    assert_eq!(count(&name).expect("answers"), 1);
    drop(first);
    assert_eq!(count(&name).expect("answers"), 0);
}
