//! The harness against Kafka and PostgreSQL: `cargo xtask services up` first.

use harness::topics::unique;

#[test]
fn a_topic_that_is_not_there_is_empty_and_can_be_deleted() {
    let kafka = harness::services().expect("services").kafka;
    let topic = unique("nowhere");
    assert_eq!(
        harness::kafka::end_offsets(&kafka, &topic, 2).expect("answers"),
        [0, 0]
    );
    harness::kafka::delete_topics(&kafka, &[&topic]).expect("no error");
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
