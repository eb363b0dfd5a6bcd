//! A bus, a database and a consumer for one test.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bus::kafka::{self, KafkaSender};
use bus::{FrameSender, Stream, Topic};
use harness::database::Database;
use harness::process::Process;
use harness::topics::unique;
use wire::frame::{Datagram, FRAME_BYTES_MIN, FrameBuilder, PayloadKind};

pub const PATIENCE: Duration = Duration::from_secs(90);
pub const PARTITIONS: u16 = 4;
/// Whose the frames are that [`Setup`] numbers.
pub const SOURCE: u64 = 1;

pub struct Setup {
    pub bus: config::Bus,
    pub database: Database,
    pub sender: KafkaSender,
    directory: tempfile::TempDir,
    started: std::cell::Cell<u32>,
    /// Number of the next frame of [`SOURCE`], by partition.
    sequences: std::cell::RefCell<[u64; PARTITIONS as usize]>,
}

impl Setup {
    pub fn new(tag: &str) -> Self {
        let services = harness::services().expect("services");
        let bus = config::Bus {
            brokers: services.kafka,
            topic_prefix: unique(tag),
            partitions: PARTITIONS,
            ..config::Bus::default()
        };
        assert!(kafka::ensure_topics(&bus, || false).expect("topics"));
        Self {
            sender: kafka::connect_sender(&bus).expect("sender"),
            database: Database::new(tag).expect("database"),
            directory: tempfile::tempdir().expect("directory"),
            started: std::cell::Cell::new(0),
            sequences: std::cell::RefCell::default(),
            bus,
        }
    }

    /// Starts the program; `cores` is a TOML array, `more` goes into `[consumer]`.
    pub fn start(&self, cores: &str, more: &str) -> Consumer {
        let number = self.started.replace(self.started.get() + 1);
        let metrics = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("address");
        let file = self.directory.path().join(format!("{number}.toml"));
        let text = format!(
            "[bus]\nbrokers = \"{}\"\ntopic_prefix = \"{}\"\npartitions = {PARTITIONS}\n[database]\nurl = \"{}\"\n\
             [exporters]\nallow_all = true\n[consumer]\ncores = {cores}\ngroup = \"{}\"\nmetrics = \"{metrics}\"\n{more}\n",
            self.bus.brokers,
            self.bus.topic_prefix,
            self.database.url(),
            self.bus.topic_prefix
        );
        std::fs::write(&file, text).expect("writes the configuration");
        let log = self.directory.path().join(format!("{number}.log"));
        Consumer {
            process: spawn(&file, &self.bus.brokers, &self.database.url(), &log),
            metrics,
        }
    }

    /// Sends a frame with the next number of its stream.
    pub fn send_frame(&self, partition: i32, kind: PayloadKind, datagrams: &[Datagram<'_>]) {
        let sequence = self.next_sequence(partition);
        let topic = if kind == PayloadKind::Netflow {
            Topic::Netflow
        } else {
            Topic::Syslog
        };
        self.send_to(topic, partition, &frame(SOURCE, sequence, kind, datagrams));
    }

    /// Sends a frame with these sessions and the next number of its stream.
    pub fn send_sessions(&self, partition: i32, numbers: std::ops::Range<u32>) {
        let sequence = self.next_sequence(partition);
        self.send(partition, &sessions(SOURCE, sequence, numbers));
    }

    fn next_sequence(&self, partition: i32) -> u64 {
        let next = &mut self.sequences.borrow_mut()[partition as usize];
        *next += 1;
        *next - 1
    }

    pub fn send(&self, partition: i32, record: &[u8]) {
        self.send_to(Topic::Syslog, partition, record);
    }

    pub fn send_to(&self, topic: Topic, partition: i32, record: &[u8]) {
        let stream = Stream { topic, partition };
        let begin = Instant::now();
        while self.sender.send(stream, record, 1).is_err() {
            assert!(begin.elapsed() < PATIENCE, "the queue stays full");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn flush(&self) {
        assert!(self.sender.flush(PATIENCE), "frames are not acknowledged");
    }

    pub fn integer(&self, sql: &str) -> i64 {
        self.database.integer(sql).unwrap_or(-1)
    }

    /// Waits until the query gives this number; fails with the consumer's log otherwise.
    pub fn wait_for(&self, sql: &str, expected: i64, consumers: &[&Consumer]) {
        let begin = Instant::now();
        loop {
            let got = self.integer(sql);
            if got == expected {
                return;
            }
            if begin.elapsed() > PATIENCE {
                let logs: Vec<_> = consumers
                    .iter()
                    .map(|consumer| consumer.process.end_of_log())
                    .collect();
                panic!("{sql}: {got}, not {expected}\n{}", logs.join("\n---\n"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asserts that exactly the sessions with these numbers are stored, each once.
    pub fn assert_exactly(&self, sessions: u32) {
        assert_eq!(
            self.integer("SELECT count(*) FROM natrail.session"),
            i64::from(sessions),
            "rows"
        );
        let distinct = "SELECT count(DISTINCT (src_ip - 167772160) * 65536 + src_port) FROM natrail.session";
        assert_eq!(self.integer(distinct), i64::from(sessions), "different sessions");
        let origins = "SELECT count(DISTINCT (stream, frame_offset, frame_index)) FROM natrail.session";
        assert_eq!(self.integer(origins), i64::from(sessions), "different origins");
        let totals = "SELECT sum(events)::int8 FROM natrail.stream";
        assert_eq!(self.integer(totals), i64::from(sessions), "totals of the streams");
    }
}

/// The program, and where its metrics are.
pub struct Consumer {
    pub process: Process,
    metrics: std::net::SocketAddr,
}

impl Consumer {
    pub fn metrics(&self) -> harness::metrics::Metrics {
        harness::metrics::get(self.metrics, None).expect("metrics")
    }
}

pub fn spawn(config: &Path, kafka: &str, database: &str, log: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natrail-consumer"));
    // The environment wins over the file, and may name other servers than this test's.
    command
        .arg("--config")
        .arg(config)
        .env("NATRAIL_KAFKA", kafka)
        .env("NATRAIL_DATABASE_URL", database);
    Process::spawn("natrail-consumer", &mut command, log).expect("starts")
}

/// One session, different for each number.
pub fn session(number: u32) -> String {
    let inside = std::net::Ipv4Addr::from(0x0a00_0000 + number / 50_000);
    let port = number % 50_000 + 1024;
    format!(
        "A VRF 0 6 INT {inside}:{port} EXT 203.0.113.{}:{port} DST 198.51.100.7:443 DIR OUT",
        number % 250
    )
}

pub fn datagram(payload: &[u8]) -> Datagram<'_> {
    Datagram {
        exporter: IpAddr::from([192, 0, 2, 1]),
        source_port: 40_000,
        destination_port: 514,
        received_ns: 1_750_000_000_000_000_000,
        truncated: false,
        payload,
    }
}

/// Frame number `sequence` of `source`.
pub fn frame(source: u64, sequence: u64, kind: PayloadKind, datagrams: &[Datagram<'_>]) -> Vec<u8> {
    let bytes: usize = datagrams.iter().map(|datagram| datagram.payload.len() + 64).sum();
    let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN + bytes], kind, source, sequence);
    for datagram in datagrams {
        builder.push(datagram).expect("fits");
    }
    let (mut buffer, used) = builder.finish();
    buffer.truncate(used);
    buffer
}

/// Frame number `sequence` of `source`, with these sessions.
pub fn sessions(source: u64, sequence: u64, numbers: std::ops::Range<u32>) -> Vec<u8> {
    let lines: Vec<String> = numbers.map(session).collect();
    let datagrams: Vec<_> = lines.iter().map(|line| datagram(line.as_bytes())).collect();
    frame(source, sequence, PayloadKind::Syslog, &datagrams)
}

/// Forwards connections from the moment it is opened.
pub fn open_relay(listen: std::net::SocketAddr, to: std::net::SocketAddr) {
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind(listen).expect("the address is free");
    std::thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let far = TcpStream::connect(to).expect("the server");
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (mut from, mut to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
                std::thread::spawn(move || {
                    // Broken connections are what these tests are about.
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
}
