use super::*;
use crate::Topic;
use rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;

#[test]
fn what_a_producer_held_that_died_is_sent_by_the_next_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut bus = config::Bus {
        brokers: harness::services().expect("services").kafka,
        topic_prefix: harness::topics::unique("dead"),
        partitions: 1,
        ..config::Bus::default()
    };
    bus.log.directory = directory.path().into();
    let stream = Stream {
        topic: Topic::Syslog,
        partition: 0,
    };
    let sender = connect_spill_sender(&bus, &[stream]).expect("a sender");
    let wait_until = |what: &str, done: &dyn Fn() -> bool| {
        harness::wait_until(Duration::from_mins(1), what, done).expect("in time");
    };
    wait_until("topics", &|| sender.shared.gate.is_open());
    let mut sent = 0;
    for _ in 0..5 {
        for _ in 0..50 {
            assert_eq!(sender.send(stream, &[7; 5000], 1), Ok(()));
            sent += 1;
        }
        {
            let state = sender.shared.lock();
            let native = state.producer.as_ref().expect("a producer").client().native_ptr();
            // SAFETY: the handle belongs to the producer, which the locked state holds; the text is NUL-terminated.
            unsafe {
                rdkafka::bindings::rd_kafka_test_fatal_error(
                    native,
                    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                    c"test".as_ptr(),
                )
            };
        }
        for _ in 0..50 {
            assert_eq!(sender.send(stream, &[7; 5000], 1), Ok(()));
            sent += 1;
        }
        wait_until("a new producer, and all frames", &|| {
            sender.counts().acknowledged_frames == sent
        });
        wait_until("the way to be direct", &|| {
            sender.shared.lock().lanes.iter().all(Lane::is_direct)
        });
    }
    assert_eq!(
        (sender.counts().failed_frames, sender.counts().in_flight_frames),
        (0, 0)
    );
}
