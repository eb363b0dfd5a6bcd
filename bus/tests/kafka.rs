//! The bus against a real Kafka: see `harness::services`.

use std::collections::HashMap;
use std::io::copy;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bus::kafka::{self, KafkaReceiver};
use bus::{
    BusError, DeadLetter, DeadLetterSender, FrameReceiver, FrameSender, Handler, Ownership, QueueFull,
    Stream, Topic,
};
use harness::topics::unique;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};

const PATIENCE: Duration = Duration::from_mins(1);
const ALL_STREAMS: usize = 16;

fn settings(tag: &str) -> config::Bus {
    let services = harness::services().expect("services");
    config::Bus {
        brokers: services.kafka,
        topic_prefix: unique(tag),
        ..config::Bus::default()
    }
}

fn syslog(partition: i32) -> Stream {
    Stream {
        topic: Topic::Syslog,
        partition,
    }
}

fn send(sender: &impl FrameSender, stream: Stream, frame: &[u8]) {
    let begin = Instant::now();
    while sender.send(stream, frame, 1) == Err(QueueFull) {
        assert!(begin.elapsed() < PATIENCE, "the queue stays full");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A member of the group that starts where it is told and keeps what it gets.
struct Member {
    receiver: KafkaReceiver,
    seen: Seen,
    from: HashMap<Stream, i64>,
}

#[derive(Default)]
struct Seen {
    frames: HashMap<Stream, Vec<(i64, Vec<u8>)>>,
    changes: Vec<Ownership>,
    lost: Vec<(Stream, Range<i64>)>,
    to_start: Option<Vec<Stream>>,
    owned: Vec<Stream>,
}

impl Handler for Seen {
    fn frame(&mut self, stream: Stream, offset: i64, record: &[u8]) {
        assert!(self.to_start.is_none(), "a frame before the start");
        assert!(self.owned.contains(&stream), "a frame of somebody else");
        self.frames
            .entry(stream)
            .or_default()
            .push((offset, record.to_vec()));
    }
    fn ownership(&mut self, change: Ownership) {
        self.changes.push(change.clone());
        match change {
            Ownership::Assigned(streams) => {
                self.owned.clone_from(&streams);
                self.to_start = Some(streams);
            }
            Ownership::Revoked(_) => {
                self.owned.clear();
                self.to_start = None;
            }
        }
    }
    fn lost(&mut self, stream: Stream, missing: Range<i64>, why: bus::Loss) {
        assert_eq!(why, bus::Loss::Retention);
        self.lost.push((stream, missing));
    }
}

impl Member {
    fn join(bus: &config::Bus) -> Self {
        let receiver = kafka::connect_receiver(bus, &bus.topic_prefix).expect("receiver");
        Self {
            receiver,
            seen: Seen::default(),
            from: HashMap::new(),
        }
    }

    fn poll(&mut self) {
        self.receiver
            .poll(Duration::from_millis(20), &mut self.seen)
            .expect("polls");
        if let Some(streams) = self.seen.to_start.take() {
            let from: Vec<_> = streams
                .iter()
                .map(|s| (*s, self.from.get(s).copied().unwrap_or(-1)))
                .collect();
            self.receiver.start(&from).expect("starts");
        }
    }

    fn poll_until(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let begin = Instant::now();
        while !done(&self.seen) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
            self.poll();
        }
    }

    fn frames(&self, stream: Stream) -> &[(i64, Vec<u8>)] {
        self.seen.frames.get(&stream).map_or(&[], Vec::as_slice)
    }
}

impl Seen {
    fn count(&self) -> usize {
        self.frames.values().map(Vec::len).sum()
    }
}

#[test]
fn frames_come_back_whole_and_in_order_of_their_partition() {
    let bus = settings("order");
    assert!(kafka::ensure_topics(&bus, || false).expect("topics"));
    kafka::create_topics(&bus).expect("topics that exist are kept");
    let sender = kafka::connect_sender(&bus).expect("sender");
    let frame = |number: u32| vec![number as u8; 1000 + number as usize];
    for number in 0..300u32 {
        send(&sender, syslog((number % 3) as i32), &frame(number));
    }
    assert!(sender.flush(PATIENCE));
    let counts = sender.counts();
    assert_eq!(
        (counts.acknowledged_frames, counts.acknowledged_datagrams),
        (300, 300)
    );
    assert_eq!((counts.failed_frames, counts.in_flight_frames), (0, 0));
    assert!(sender.is_up());

    let mut member = Member::join(&bus);
    member.poll_until("all frames", |seen| seen.count() == 300);
    for partition in 0..3u32 {
        let expected: Vec<_> = (0..100)
            .map(|i| (i64::from(i), frame(i * 3 + partition)))
            .collect();
        assert!(
            member.frames(syslog(partition as i32)) == expected,
            "partition {partition}"
        );
    }
    assert_eq!(member.seen.owned.len(), ALL_STREAMS);
    assert!(member.seen.lost.is_empty());

    // Back to a position, as after a failed commit; a pause in between changes nothing.
    member.seen.frames.clear();
    member.receiver.pause(true).expect("pauses");
    send(&sender, syslog(0), b"while paused");
    assert!(sender.flush(PATIENCE));
    for _ in 0..20 {
        member.poll();
    }
    assert_eq!(member.seen.count(), 0, "paused");
    member.receiver.pause(false).expect("resumes");
    member.poll_until("what came while paused", |seen| seen.count() == 1);
    member.receiver.pause(true).expect("pauses");
    member.receiver.start(&[(syslog(1), 98)]).expect("starts");
    member.poll_until("the last two again", |seen| seen.count() == 3);
    assert_eq!(
        member
            .frames(syslog(1))
            .iter()
            .map(|(offset, _)| *offset)
            .collect::<Vec<_>>(),
        [98, 99]
    );
}

#[test]
fn the_largest_frame_passes_uncompressed_and_a_longer_record_is_counted_as_failed() {
    let bus = config::Bus {
        compression: config::Compression::None,
        ..settings("large")
    };
    kafka::ensure_topics(&bus, || false).expect("topics");
    let sender = kafka::connect_sender(&bus).expect("sender");
    let large: Vec<u8> = (0..wire::frame::FRAME_BYTES_MAX as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for _ in 0..20 {
        send(&sender, syslog(0), &large);
    }
    send(&sender, syslog(0), &vec![0; 2_000_000]);
    assert!(sender.flush(PATIENCE));
    let counts = sender.counts();
    assert_eq!(
        (
            counts.acknowledged_frames,
            counts.failed_frames,
            counts.failed_datagrams
        ),
        (20, 1, 1)
    );
    let mut member = Member::join(&bus);
    member.poll_until("large frames", |seen| seen.count() == 20);
    assert!(member.frames(syslog(0)).iter().all(|(_, frame)| *frame == large));
}

#[test]
fn a_full_queue_is_reported_and_nothing_is_taken() {
    // Nobody listens on this address: its listener is gone before the first try.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("address");
    let bus = config::Bus {
        brokers: nobody.to_string(),
        queue_mib: 8,
        ..settings("full")
    };
    let sender = kafka::connect_sender(&bus).expect("a sender without Kafka");
    let frame = vec![7; 1_000_000];
    let taken = (0..100)
        .take_while(|_| sender.send(syslog(0), &frame, 1).is_ok())
        .count();
    assert!((7..=9).contains(&taken), "{taken} frames of 1 MB in 8 MiB");
    assert_eq!(sender.counts().in_flight_frames, taken as u64);
    assert!(!sender.flush(Duration::from_millis(100)) && !sender.is_up());
    let error = kafka::create_topics(&bus).expect_err("nobody there");
    assert!(
        matches!(&error, BusError::Unreachable(text) if text.contains(&nobody.to_string())),
        "{error}"
    );
}

#[test]
fn a_receiver_without_kafka_polls_in_vain_and_closes() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("address");
    let bus = config::Bus {
        brokers: nobody.to_string(),
        ..settings("alone")
    };
    let mut member = Member::join(&bus);
    for _ in 0..20 {
        member.poll();
    }
    assert!(member.seen.changes.is_empty());
    let begin = Instant::now();
    member.receiver.close();
    assert!(begin.elapsed() < PATIENCE, "closing waits for nobody");
    member.poll();
}

/// Forwards connections to Kafka from the moment it is opened.
fn open_relay(listen: SocketAddr, to: SocketAddr) {
    let listener = TcpListener::bind(listen).expect("the address is free");
    std::thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let far = TcpStream::connect(to).expect("Kafka");
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (mut from, mut to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
                std::thread::spawn(move || copy(&mut from, &mut to));
            }
        }
    });
}

#[test]
fn kafka_may_come_later() {
    let there: SocketAddr = harness::services()
        .expect("services")
        .kafka
        .parse()
        .expect("address");
    let later = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("address");
    let bus = config::Bus {
        brokers: later.to_string(),
        ..settings("later")
    };
    let sender = kafka::connect_sender(&bus).expect("sender");
    let done = Arc::new(AtomicBool::new(false));
    let topics = std::thread::spawn({
        let (bus, done) = (bus.clone(), Arc::clone(&done));
        move || {
            let made = kafka::ensure_topics(&bus, || false);
            done.store(true, Ordering::SeqCst);
            made
        }
    });
    send(&sender, syslog(2), b"early");
    assert!(!sender.flush(Duration::from_secs(2)));
    assert!(!sender.is_up() && !done.load(Ordering::SeqCst));
    open_relay(later, there);
    assert!(topics.join().expect("no panic").expect("topics"));
    assert!(
        sender.flush(PATIENCE),
        "the early frame is sent once Kafka is there"
    );
    assert_eq!(sender.counts().acknowledged_frames, 1);
    let mut member = Member::join(&bus);
    member.poll_until("the early frame", |seen| seen.count() == 1);
    assert_eq!(member.frames(syslog(2)), [(0, b"early".to_vec())]);
}

#[test]
fn streams_move_between_receivers_and_every_frame_arrives() {
    let bus = settings("group");
    kafka::ensure_topics(&bus, || false).expect("topics");
    let sender = kafka::connect_sender(&bus).expect("sender");
    let mut first = Member::join(&bus);
    first.poll_until("all streams", |seen| seen.owned.len() == ALL_STREAMS);
    let mut second = Member::join(&bus);
    let begin = Instant::now();
    while first.seen.owned.len() != ALL_STREAMS / 2 || second.seen.owned.len() != ALL_STREAMS / 2 {
        assert!(begin.elapsed() < PATIENCE, "no even share");
        first.poll();
        second.poll();
    }
    assert!(
        first
            .seen
            .owned
            .iter()
            .all(|stream| !second.seen.owned.contains(stream))
    );
    assert!(matches!(
        &first.seen.changes[..],
        [
            Ownership::Assigned(_),
            Ownership::Revoked(_),
            ..,
            Ownership::Assigned(_)
        ]
    ));
    for partition in 0..4 {
        send(&sender, syslog(partition), b"shared");
    }
    assert!(sender.flush(PATIENCE));
    let begin = Instant::now();
    while first.seen.count() + second.seen.count() < 4 {
        assert!(begin.elapsed() < PATIENCE, "frames are missing");
        first.poll();
        second.poll();
    }
    assert_eq!((first.seen.count(), second.seen.count()), (2, 2));
    second.receiver.close();
    // The next owner goes on where the database says; here: where the other has ended.
    first.from = (0..4).map(|partition| (syslog(partition), 1)).collect();
    first.poll_until("all streams again", |seen| seen.owned.len() == ALL_STREAMS);
    for partition in 0..4 {
        send(&sender, syslog(partition), b"alone");
    }
    first.poll_until("the frames of all", |seen| seen.count() == 6);
    assert!(first.seen.lost.is_empty());
}

#[test]
fn an_assignment_that_is_not_started_holds_up_nobody() {
    let bus = settings("unstarted");
    kafka::ensure_topics(&bus, || false).expect("topics");
    let mut slow = kafka::connect_receiver(&bus, &bus.topic_prefix).expect("receiver");
    let mut seen = Seen::default();
    let begin = Instant::now();
    while seen.owned.is_empty() {
        assert!(begin.elapsed() < PATIENCE);
        slow.poll(Duration::from_millis(20), &mut seen).expect("polls");
    }
    let mut other = Member::join(&bus);
    while other.seen.owned.len() != ALL_STREAMS / 2 {
        assert!(begin.elapsed() < PATIENCE, "the group waits for a start");
        slow.poll(Duration::from_millis(20), &mut seen).expect("polls");
        other.poll();
    }
}

#[test]
fn frames_that_retention_took_are_reported_as_lost() {
    let bus = settings("lost");
    kafka::ensure_topics(&bus, || false).expect("topics");
    let sender = kafka::connect_sender(&bus).expect("sender");
    for number in 0..10u8 {
        send(&sender, syslog(0), &[number]);
        send(&sender, syslog(1), &[number]);
    }
    assert!(sender.flush(PATIENCE));
    delete_before(&bus, syslog(0), 7);
    let mut member = Member::join(&bus);
    // The database knows 3 frames of the stream that lost some, and more than there are of another one.
    member.from = HashMap::from([(syslog(0), 3), (syslog(1), 5), (syslog(2), 1000)]);
    member.poll_until("what is left", |seen| seen.count() == 8);
    assert_eq!(member.seen.lost, [(syslog(0), 3..7)]);
    assert_eq!(
        member
            .frames(syslog(0))
            .iter()
            .map(|(offset, _)| *offset)
            .collect::<Vec<_>>(),
        [7, 8, 9]
    );
    assert_eq!(member.frames(syslog(1)).len(), 5);
}

fn delete_before(bus: &config::Bus, stream: Stream, offset: i64) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &bus.brokers)
        .create()
        .expect("admin");
    let mut list = rdkafka::TopicPartitionList::new();
    let name = format!("{}.{}", bus.topic_prefix, stream.topic.name());
    list.add_partition_offset(&name, stream.partition, rdkafka::Offset::Offset(offset))
        .expect("offset");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime
        .block_on(admin.delete_records(&list, &AdminOptions::new()))
        .expect("deleted");
}

#[test]
fn a_topic_with_too_few_partitions_is_refused() {
    let bus = settings("few");
    kafka::ensure_topics(&bus, || false).expect("topics");
    let more = config::Bus {
        partitions: 9,
        ..bus.clone()
    };
    let error = kafka::ensure_topics(&more, || false).expect_err("too few");
    assert!(
        matches!(&error, BusError::Refused(text) if text.contains("4 partitions") && text.contains("is 9")),
        "{error}"
    );
    let fewer = config::Bus { partitions: 2, ..bus };
    kafka::create_topics(&fewer).expect("more than needed is fine");
    let copies = config::Bus {
        replication: 3,
        ..settings("copies")
    };
    let error = kafka::ensure_topics(&copies, || false).expect_err("one broker cannot keep three copies");
    assert!(
        matches!(&error, BusError::Refused(text) if text.contains("bus.replication")),
        "{error}"
    );
}

#[test]
fn dead_letters_carry_place_reason_and_payload() {
    let bus = settings("letters");
    kafka::ensure_topics(&bus, || false).expect("topics");
    let mut letters = kafka::connect_dead_letters(&bus).expect("sender");
    let too_long = vec![3; 1_200_000];
    for (index, payload) in [&b"\xff\0 not utf-8"[..], b"", &too_long].into_iter().enumerate() {
        let letter = DeadLetter {
            stream: syslog(3),
            offset: 41,
            index: index as u32,
            exporter: IpAddr::from([192, 0, 2, 1]),
            received_ns: 1_700_000_000_000_000_000,
            reason: "not_utf8",
            payload,
        };
        letters.send(&letter, PATIENCE).expect("takes it");
    }
    letters.flush(PATIENCE).expect("acknowledged");

    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bus.brokers)
        .set("group.id", &bus.topic_prefix)
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("reader");
    reader
        .subscribe(&[&format!("{}.dead-letter", bus.topic_prefix)])
        .expect("subscribes");
    let mut got = HashMap::new();
    let begin = Instant::now();
    while got.len() < 3 {
        assert!(begin.elapsed() < PATIENCE, "dead letters are missing");
        let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) else {
            continue;
        };
        let headers = message.headers().expect("headers");
        let headers: HashMap<_, _> = headers
            .iter()
            .map(|h| {
                (
                    h.key.to_owned(),
                    String::from_utf8_lossy(h.value.unwrap_or_default()).into_owned(),
                )
            })
            .collect();
        let key = String::from_utf8_lossy(message.key().expect("key")).into_owned();
        got.insert(key, (headers, message.payload().unwrap_or_default().to_vec()));
    }
    let (headers, payload) = &got["syslog/3/41/0"];
    assert_eq!(payload, b"\xff\0 not utf-8");
    assert_eq!(
        (headers["reason"].as_str(), headers["exporter"].as_str()),
        ("not_utf8", "192.0.2.1")
    );
    assert_eq!(headers["received"], "1700000000000000000");
    assert!(got["syslog/3/41/1"].1.is_empty());
    let (headers, payload) = &got["syslog/3/41/2"];
    assert_eq!((payload.len(), headers["bytes"].as_str()), (1_000_000, "1200000"));
}
