//! Frames become rows; what cannot be decoded costs only itself.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{PATIENCE, SOURCE, Setup, datagram, open_relay, session, sessions, spawn};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers, Message};
use wire::frame::{Datagram, PayloadKind};

/// Reason of each dead letter, by key, once there are `count`.
fn dead_letters(setup: &Setup, count: usize) -> BTreeMap<String, (String, Vec<u8>)> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &setup.bus.brokers)
        .set("group.id", format!("{}-letters", setup.bus.topic_prefix))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("reader");
    reader
        .subscribe(&[&format!("{}.dead-letter", setup.bus.topic_prefix)])
        .expect("subscribes");
    let mut letters = BTreeMap::new();
    let begin = Instant::now();
    while letters.len() < count {
        assert!(begin.elapsed() < PATIENCE, "only {letters:?}");
        let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) else {
            continue;
        };
        let headers = message.headers().expect("headers");
        let reason = headers
            .iter()
            .find(|h| h.key == "reason")
            .and_then(|h| h.value)
            .unwrap_or_default();
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        letters.insert(
            key,
            (
                String::from_utf8_lossy(reason).into_owned(),
                message.payload().unwrap_or_default().to_vec(),
            ),
        );
    }
    letters
}

#[test]
fn poison_becomes_dead_letters_and_its_neighbours_are_stored() {
    let setup = Setup::new("poison");
    let long = vec![b'A'; 65_535];
    let cut = Datagram {
        truncated: true,
        ..datagram(b"A VRF 0 6 INT 10.0.0.1:1 EXT 203.0.113.1:1 DST 198.51.100.7:443 DIR OUT")
    };
    let poison: Vec<(Datagram<'_>, &str)> = vec![
        (
            datagram(b"A VRF 0 6 INT 10.0.0.999:57938 EXT 100.64.0.1:28475"),
            "bad_address",
        ),
        (
            datagram(b"A VRF 0 6 INT 10.0.0.1:99999 EXT 100.64.0.1:28475"),
            "bad_port",
        ),
        (cut, "truncated_on_receive"),
        (datagram(&long), "too_long"),
        (
            datagram(b"A VRF 0 6 INT 10.0.0.1:1 EXT 203.0.113.1:1 \xff\xfe"),
            "not_utf8",
        ),
        (datagram(b""), "empty"),
        (datagram(b"no format that anybody knows"), "unknown_format"),
    ];
    // Each poison between two good lines, so that every one has two neighbours.
    let good: Vec<String> = (0..=poison.len() as u32).map(session).collect();
    let mut datagrams = vec![datagram(good[0].as_bytes())];
    for ((bad, _), line) in poison.iter().zip(&good[1..]) {
        datagrams.extend([*bad, datagram(line.as_bytes())]);
    }
    setup.send_frame(0, PayloadKind::Syslog, &datagrams);
    // Records that are no frame, before good frames of the same stream; and a flow datagram that is none.
    setup.send(0, b"not a frame");
    let mut damaged = sessions(SOURCE, 1, 50..52);
    damaged[70] ^= 1;
    setup.send(0, &damaged);
    setup.send(0, b"");
    setup.send_sessions(0, 8..10);
    setup.send_frame(0, PayloadKind::Netflow, &[datagram(b"\0\x09")]);
    setup.flush();

    let mut consumer = setup.start("[0]", "");
    setup.wait_for(
        "SELECT next_offset FROM natrail.stream WHERE topic = 'syslog' AND partition = 0",
        5,
        &[&consumer],
    );
    setup.wait_for(
        "SELECT next_offset FROM natrail.stream WHERE topic = 'netflow' AND partition = 0",
        1,
        &[&consumer],
    );
    setup.assert_exactly(10);
    let letters = dead_letters(&setup, poison.len() + 4);
    for (index, (bad, reason)) in poison.iter().enumerate() {
        let letter = letters
            .get(&format!("syslog/0/0/{}", 2 * index + 1))
            .expect("a dead letter for each");
        assert_eq!((letter.0.as_str(), letter.1.as_slice()), (*reason, bad.payload));
    }
    for (offset, reason) in [
        (1, "frame_too_short"),
        (2, "frame_bad_checksum"),
        (3, "frame_too_short"),
    ] {
        assert_eq!(letters[&format!("syslog/0/{offset}/0")].0, reason);
    }
    assert_eq!(letters["syslog/0/2/0"].1, damaged);
    let totals = "SELECT array_to_string(ARRAY[frames, datagrams, events, ignored, dead_letters, bad_frames,
                                       duplicate_frames, missing_frames], ',')
                  = '5,17,10,0,7,3,0,0' FROM natrail.stream WHERE topic = 'syslog' AND partition = 0";
    assert_eq!(
        setup.integer(&format!("SELECT count(*) FROM ({totals}) AS t (ok) WHERE ok")),
        1,
        "totals"
    );
    let metrics = consumer.metrics();
    for (name, count) in [
        ("natrail_consumer_frames_total", 6),
        ("natrail_consumer_datagrams_total", 18),
        ("natrail_consumer_rows_committed_total", 10),
        ("natrail_consumer_dead_letters_total", 8),
        ("natrail_consumer_bad_frames_total", 3),
        ("natrail_consumer_duplicate_frames_total", 0),
        ("natrail_consumer_missing_frames_total", 0),
        ("natrail_consumer_recoveries_total", 0),
    ] {
        assert_eq!(metrics.count(name, &[]), count, "{name}");
    }

    // Orderly stop and start: nothing again, only what is new.
    consumer
        .process
        .stop(Duration::from_secs(30))
        .expect("exit code 0");
    setup.send_sessions(0, 10..15);
    setup.flush();
    let mut again = setup.start("[0]", "");
    setup.wait_for("SELECT count(*) FROM natrail.session", 15, &[&again]);
    setup.assert_exactly(15);
    assert_eq!(again.metrics().count("natrail_consumer_frames_total", &[]), 1);
    again.process.stop(Duration::from_secs(30)).expect("exit code 0");
}

#[test]
fn what_waiting_does_not_mend_ends_with_code_2_and_says_why() {
    let setup = Setup::new("refused");
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("c.toml");
    let prefix = &setup.bus.topic_prefix;
    let text = |cores: &str| {
        format!(
            "[bus]\ntopic_prefix = \"{prefix}\"\n[exporters]\nallow_all = true\n[consumer]\ncores = {cores}\n"
        )
    };
    let ends_with_2 = |cores: &str, database: &str, word: &str| {
        std::fs::write(&file, text(cores)).expect("writes");
        let log = directory.path().join(word);
        let mut process = spawn(&file, &setup.bus.brokers, database, &log);
        let status = process.wait(Duration::from_secs(30)).expect("ends by itself");
        assert_eq!(status.code(), Some(2), "{}", process.log());
        assert!(
            process.log().contains(word),
            "{word} is not in: {}",
            process.log()
        );
    };
    ends_with_2(
        "[0]",
        &format!("{}_absent", setup.database.url()),
        "does not exist",
    );
    ends_with_2("[4097]", &setup.database.url(), "CPU 4097");
    let mut consumer = setup.start("[0]", "");
    setup.wait_for("SELECT count(*) FROM natrail.stream", 16, &[&consumer]);
    consumer
        .process
        .stop(Duration::from_secs(30))
        .expect("exit code 0");
    setup
        .database
        .execute(
            "INSERT INTO natrail.migration (version, name, checksum) VALUES (9999, 'from_the_future', '')",
        )
        .expect("a newer schema");
    ends_with_2("[0]", &setup.database.url(), "9999");
}

#[test]
fn database_and_kafka_may_come_later() {
    let setup = Setup::new("later");
    setup.send_sessions(2, 0..10);
    setup.flush();
    let free = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("address")
    };
    let (kafka, database) = (free(), free());
    let url = setup.database.url();
    let (front, back) = url.split_once('@').expect("user@host");
    let (server, name) = back.split_once('/').expect("host/name");
    let directory = tempfile::tempdir().expect("directory");
    let (file, log) = (directory.path().join("c.toml"), directory.path().join("log"));
    let prefix = &setup.bus.topic_prefix;
    std::fs::write(
        &file,
        format!("[bus]\ntopic_prefix = \"{prefix}\"\n[exporters]\nallow_all = true\n[consumer]\ngroup = \"{prefix}\"\n"),
    )
    .expect("writes");
    let mut process = spawn(
        &file,
        &kafka.to_string(),
        &format!("{front}@{database}/{name}"),
        &log,
    );
    let said = |address: std::net::SocketAddr| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.lines()
            .any(|line| line.contains(&address.to_string()) && line.contains("keeps trying"))
    };
    process
        .wait_until(PATIENCE, "word of the absent database", || said(database))
        .expect("said");
    open_relay(database, server.parse().expect("address"));
    process
        .wait_until(PATIENCE, "word of the absent Kafka", || said(kafka))
        .expect("said");
    open_relay(kafka, setup.bus.brokers.parse().expect("address"));
    process
        .wait_until(PATIENCE, "rows", || {
            setup.integer("SELECT count(*) FROM natrail.session") == 10
        })
        .expect("rows");
    setup.assert_exactly(10);
    process.stop(Duration::from_secs(30)).expect("exit code 0");
}
