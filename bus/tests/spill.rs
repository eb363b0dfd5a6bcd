//! The spill: what a Kafka that is away does not take goes to the disk, and to Kafka later, in order. Kafka is real; the way
//! to it is a relay in a network namespace, which can be cut.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use bus::kafka::{self, SpillSender};
use bus::log::directory::Root;
use bus::{FrameReceiver, FrameSender, Handler, Loss, Ownership, QueueFull, Stream, Topic};
use config::{Bus, BusKind, Log};
use harness::netns::Namespace;
use harness::relay::Relay;
use wire::frame::{Datagram, FRAME_BYTES_MIN, Frame, FrameBuilder, PayloadKind};

const PATIENCE: Duration = Duration::from_secs(90);
const PARTITIONS: u16 = 2;

fn stream(partition: i32) -> Stream {
    Stream {
        topic: Topic::Syslog,
        partition,
    }
}

fn streams() -> [Stream; 2] {
    [stream(0), stream(1)]
}

/// Frame `number` of its stream's source.
fn frame(partition: i32, number: u64) -> Vec<u8> {
    let mut builder = FrameBuilder::new(
        vec![0; FRAME_BYTES_MIN],
        PayloadKind::Syslog,
        u64::from(partition as u32),
        number,
    );
    let payload = vec![b'x'; 20_000];
    let datagram = Datagram {
        exporter: IpAddr::from([192, 0, 2, 1]),
        source_port: 514,
        destination_port: 514,
        received_ns: number,
        truncated: false,
        payload: &payload,
    };
    builder.push(&datagram).expect("fits");
    let (mut octets, used) = builder.finish();
    octets.truncate(used);
    octets
}

struct Setup {
    bus: Bus,
    relay: Relay,
    network: Namespace,
    _directory: tempfile::TempDir,
}

impl Setup {
    fn new(tag: &str) -> Self {
        let address: SocketAddr = harness::services()
            .expect("services")
            .kafka
            .parse()
            .expect("one broker as address:port");
        let network = Namespace::new(tag).expect("a namespace");
        let directory = tempfile::tempdir().expect("a directory");
        let bus = Bus {
            kind: Some(BusKind::Kafka),
            brokers: address.to_string(),
            topic_prefix: harness::topics::unique(tag),
            partitions: PARTITIONS,
            queue_mib: 8,
            log: Log {
                directory: directory.path().into(),
                segment_mib: 1,
                size_max_mib: 256,
                free_reserve_mib: 0,
                spill_after_ms: 500,
                ..Log::default()
            },
            ..Bus::default()
        };
        Self {
            relay: Relay::new(&network, address, address).expect("a relay"),
            network,
            bus,
            _directory: directory,
        }
    }

    /// A sender in the network that reaches Kafka through the relay only.
    fn sender(&self) -> SpillSender {
        self.network
            .run(|| kafka::connect_spill_sender(&self.bus, &streams()))
            .expect("enters")
            .expect("a sender")
    }

    fn away(&self) {
        self.relay.pause();
        self.relay.cut();
    }

    /// Frames in Kafka, by partition, until there are as many different ones as `expected` says for each.
    fn arrived(&self, expected: u64) -> [Vec<u64>; 2] {
        let mut receiver = kafka::connect_receiver(&self.bus, &self.bus.topic_prefix).expect("a receiver");
        let mut taker = Taker::default();
        let begin = Instant::now();
        let mut changes = 0;
        while !taker.numbers.iter().all(|numbers| distinct(numbers) == expected) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{} and {} of {expected} frames",
                distinct(&taker.numbers[0]),
                distinct(&taker.numbers[1])
            );
            receiver
                .poll(Duration::from_millis(50), &mut taker)
                .expect("polls");
            if taker.changes != changes {
                changes = taker.changes;
                let all: Vec<_> = taker.owned.iter().map(|stream| (*stream, -1)).collect();
                receiver.start(&all).expect("starts");
            }
        }
        taker.numbers
    }
}

fn distinct(numbers: &[u64]) -> u64 {
    numbers.iter().collect::<std::collections::HashSet<_>>().len() as u64
}

#[derive(Default)]
struct Taker {
    owned: Vec<Stream>,
    changes: usize,
    numbers: [Vec<u64>; 2],
}

impl Handler for Taker {
    fn frame(&mut self, stream: Stream, _: i64, record: &[u8]) {
        let frame = Frame::open(record).expect("a whole frame");
        assert_eq!(frame.source(), stream.partition as u64, "its own stream");
        self.numbers[stream.partition as usize].push(frame.sequence());
    }
    fn ownership(&mut self, change: Ownership) {
        self.changes += 1;
        match change {
            Ownership::Assigned(streams) => self.owned = streams,
            Ownership::Revoked(_) => self.owned.clear(),
        }
    }
    fn lost(&mut self, stream: Stream, missing: Range<i64>, why: Loss) {
        panic!("{stream} lost {missing:?} {why:?}");
    }
}

/// A consumer that passes over frames whose number it has passed gets all, each once, in order.
fn assert_in_order(arrived: &[u64], expected: u64) {
    let mut next = 0;
    for &number in arrived {
        assert!(number <= next, "{number} comes before {next}");
        next = next.max(number + 1);
    }
    assert_eq!(next, expected);
}

fn send(sender: &SpillSender, numbers: Range<u64>) {
    for number in numbers {
        for partition in 0..2 {
            let octets = frame(partition, number);
            let begin = Instant::now();
            while sender.send(stream(partition), &octets, 1) == Err(QueueFull) {
                assert!(begin.elapsed() < PATIENCE, "neither Kafka nor the disk takes it");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn waiting(sender: &SpillSender) -> u64 {
    sender.log_counts().expect("a spill").waiting_frames
}

fn files(directory: &Path) -> usize {
    (0..2)
        .map(|partition| {
            Root::at(directory.join("spill"))
                .stream(stream(partition))
                .segments()
                .expect("listed")
                .len()
        })
        .sum()
}

#[test]
fn with_kafka_nothing_goes_to_the_disk() {
    let setup = Setup::new("spillup");
    let sender = setup.sender();
    wait_until("Kafka", || sender.is_up());
    send(&sender, 0..200);
    assert!(sender.flush(PATIENCE));
    let counts = sender.counts();
    assert_eq!((counts.acknowledged_frames, counts.in_flight_frames), (400, 0));
    assert_eq!(sender.log_counts().expect("a spill").spilled_frames, 0);
    for arrived in setup.arrived(200) {
        assert_eq!(arrived, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn frames_of_several_lives_without_kafka_arrive_in_order() {
    let setup = Setup::new("spilllives");
    setup.away();
    for life in 0..3u64 {
        let sender = setup.sender();
        send(&sender, life * 100..(life + 1) * 100);
        assert_eq!(waiting(&sender), (life + 1) * 200);
        assert!(sender.flush(PATIENCE), "all is on the disk");
        assert_eq!(sender.counts().in_flight_frames, 0);
    }
    setup.relay.resume();
    let sender = setup.sender();
    send(&sender, 300..400);
    wait_until("the disk to be empty", || waiting(&sender) == 0);
    assert!(sender.flush(PATIENCE));
    wait_until("the files to go: nothing is kept that Kafka has", || {
        files(&setup.bus.log.directory) == 0
    });
    for arrived in setup.arrived(400) {
        assert_eq!(arrived, (0..400).collect::<Vec<_>>());
    }
    // Once it is empty, the way is direct again.
    let before = sender.log_counts().expect("a spill").spilled_frames;
    send(&sender, 400..410);
    assert!(sender.flush(PATIENCE));
    assert_eq!(sender.log_counts().expect("a spill").spilled_frames, before);
}

#[test]
fn what_was_under_way_when_kafka_went_away_comes_first_in_the_next_life() {
    let setup = Setup::new("spillcut");
    let mut sent = 0;
    for _ in 0..4 {
        let sender = setup.sender();
        wait_until("Kafka", || sender.is_up());
        // Frames are under way when the way is cut, and go on coming.
        send(&sender, sent..sent + 60);
        setup.away();
        // Memory takes some, until nothing was acknowledged for too long; the disk takes the others.
        send(&sender, sent + 60..sent + 120);
        std::thread::sleep(Duration::from_millis(700));
        send(&sender, sent + 120..sent + 200);
        sent += 200;
        assert!(waiting(&sender) >= 160, "the last ones are on the disk");
        assert!(sender.counts().in_flight_frames > 0, "others are in memory");
        assert!(sender.flush(PATIENCE), "all is on the disk");
        assert_eq!(sender.counts().in_flight_frames, 0);
        assert!(sender.counts().acknowledged_frames < 2 * sent);
        drop(sender);
        setup.relay.resume();
    }
    let sender = setup.sender();
    wait_until("the disk to be empty", || waiting(&sender) == 0);
    assert!(sender.flush(PATIENCE));
    for arrived in setup.arrived(sent) {
        assert_in_order(&arrived, sent);
    }
}

#[test]
fn a_connection_that_comes_and_goes_under_load_costs_nothing_and_no_order() {
    let setup = Setup::new("spillload");
    let sender = setup.sender();
    for round in 0..8u64 {
        if round % 2 == 1 {
            setup.away();
        }
        send(&sender, round * 150..(round + 1) * 150);
        if round % 2 == 1 {
            std::thread::sleep(Duration::from_millis(700));
            setup.relay.resume();
        }
    }
    wait_until("the disk to be empty", || waiting(&sender) == 0);
    assert!(sender.flush(PATIENCE));
    let counts = sender.counts();
    assert_eq!((counts.failed_frames, counts.in_flight_frames), (0, 0));
    assert!(sender.log_counts().expect("a spill").spilled_frames > 0);
    // One life: librdkafka's idempotence sees to it that Kafka has nothing twice.
    for arrived in setup.arrived(1200) {
        assert_eq!(arrived, (0..1200).collect::<Vec<_>>());
    }
}

#[test]
fn the_bound_of_the_disk_is_kept_and_what_it_costs_is_counted() {
    let mut setup = Setup::new("spillbound");
    setup.bus.log.size_max_mib = 4;
    setup.away();
    let sender = setup.sender();
    send(&sender, 0..400);
    let counts = sender.log_counts().expect("a spill");
    assert!(counts.bytes <= 4 << 20, "{counts:?}");
    let by_exporter = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(
        counts.dropped_datagrams,
        [(Some(by_exporter), counts.dropped_frames)],
        "a datagram a frame"
    );
    setup.relay.resume();
    wait_until("the disk to be empty", || waiting(&sender) == 0);
    assert!(sender.flush(PATIENCE));
    assert_eq!(
        sender.counts().acknowledged_frames + counts.dropped_frames,
        800,
        "what is missing is what was counted"
    );
}
