//! `natrail log` as a process, on logs that the test writes as the daemons do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bus::log::directory::{Root, open_or_create, try_lock};
use bus::log::position::PositionFile;
use bus::log::retention::Reason;
use bus::log::writer::{Bounds, LogWriter};
use bus::{DeadLetter, DeadLetterSender, Stream, Topic};
use serde_json::Value;
use wire::frame::{Datagram, FRAME_BYTES_MIN, FrameBuilder, PayloadKind};

const BOUNDS: Bounds = Bounds {
    segment_bytes: 64 * 1024,
    size_max_bytes: 1 << 30,
    age_max_ns: u64::MAX,
    free_reserve_bytes: 0,
    drop_oldest: true,
};
/// Receive time of the first datagram: 2026-03-01T12:00:00Z. Each next one came a second later.
const BEGIN_NS: u64 = 1_772_366_400_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

fn stream(topic: Topic, partition: i32) -> Stream {
    Stream { topic, partition }
}

const SYSLOG: Stream = Stream {
    topic: Topic::Syslog,
    partition: 0,
};

/// A frame of these payloads. Datagram `n` of all (`first` is that of the first one) came from 192.0.2.(n % 3).
fn frame(kind: PayloadKind, payloads: &[&[u8]], first: u64) -> Vec<u8> {
    let bytes: usize = payloads.iter().map(|payload| payload.len() + 64).sum();
    let mut builder = FrameBuilder::new(vec![0; FRAME_BYTES_MIN + bytes], kind, 1, first);
    for (n, payload) in (first..).zip(payloads) {
        let datagram = Datagram {
            exporter: IpAddr::from([192, 0, 2, (n % 3) as u8]),
            source_port: 40_000,
            destination_port: 514,
            received_ns: BEGIN_NS + n * SECOND_NS,
            truncated: n == 1,
            payload,
        };
        builder.push(&datagram).expect("fits");
    }
    let (mut octets, used) = builder.finish();
    octets.truncate(used);
    octets
}

/// A log below `directory`, as the collector's is, and its writer.
fn log(directory: &Path) -> (Root, LogWriter) {
    let root = Root::at(directory.join("bus"));
    let writer = LogWriter::open(root.clone(), BOUNDS).expect("opens");
    (root, writer)
}

/// Writes payloads as frames of `each` datagrams.
fn write(writer: &mut LogWriter, stream: Stream, kind: PayloadKind, payloads: &[&[u8]], each: usize) {
    for (number, some) in payloads.chunks(each).enumerate() {
        let octets = frame(kind, some, (number * each) as u64);
        writer
            .append(stream, some.len() as u32, &octets)
            .expect("appends");
    }
}

/// `n 0`, `n 1`, …
fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("n {n}").into_bytes()).collect()
}

fn borrowed(payloads: &[Vec<u8>]) -> Vec<&[u8]> {
    payloads.iter().map(Vec::as_slice).collect()
}

fn natrail(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natrail"));
    command
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .args(arguments);
    command
}

/// Runs `natrail log …` on the log that was written below `directory`.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    let root = directory.join("bus");
    natrail(&["log"])
        .args(arguments)
        .args(["--directory".as_ref(), root.as_os_str()])
        .output()
        .expect("natrail starts")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn lines(output: &Output) -> Vec<String> {
    text(&output.stdout).lines().map(String::from).collect()
}

/// Flips a bit of the segment's octet at `at`, counted from the end if negative.
fn damage(root: &Root, stream: Stream, at: i64) {
    let path = root.stream(stream).segment(0);
    let mut octets = std::fs::read(&path).expect("the segment");
    let place = if at < 0 { octets.len() as i64 + at } else { at };
    octets[place as usize] ^= 1;
    std::fs::write(&path, octets).expect("written");
}

#[test]
fn status_says_what_there_is_and_how_far_it_is_consumed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, mut writer) = log(directory.path());
    let payloads = numbered(30);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 3);
    writer.add(stream(Topic::Syslog, 1)).expect("made");
    let mut position = PositionFile::open(&root.stream(SYSLOG)).expect("opens");
    position.consumed(4).expect("said");
    let owner = open_or_create(&root.stream(SYSLOG).owner_lock()).expect("opens");
    assert!(try_lock(&owner).expect("locks").is_some());

    // As the operator does: by the configuration.
    let config = directory.path().join("natrail.toml");
    let settings = format!(
        "[bus.log]\ndirectory = {:?}\nsize_max_mib = 512\nfree_reserve_mib = 3\n[exporters]\nallow_all = true\n",
        directory.path()
    );
    std::fs::write(&config, settings).expect("written");
    let status = |more: &[&str]| {
        natrail(&["log", "status", "--config"])
            .arg(&config)
            .args(more)
            .output()
            .expect("natrail starts")
    };
    let output = status(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["id"], root.id().expect("an identity"));
    assert_eq!(report["directory"], root.path().display().to_string());
    assert_eq!(report["bytes"], writer.bytes());
    assert_eq!(report["bytes_max"], 512u64 << 20);
    assert_eq!(report["free_reserve_bytes"], 3u64 << 20);
    assert!(report["free_bytes"].as_u64().is_some_and(|free| free > 0));
    assert_eq!(report["lag_frames"], 6);
    let first = &report["partitions"][0];
    for (key, value) in [
        ("stream", Value::from("syslog/0")),
        ("topic", "syslog".into()),
        ("partition", 0.into()),
        ("segments", 1.into()),
        ("first_offset", 0.into()),
        ("next_offset", 10.into()),
        ("consumed", 4.into()),
        ("owned", true.into()),
        ("lag_frames", 6.into()),
    ] {
        assert_eq!(first[key], value, "{key} in {report}");
    }
    for key in ["oldest", "consumed_at"] {
        let time: jiff::Timestamp = first[key].as_str().expect(key).parse().expect("RFC 3339");
        let age = jiff::Timestamp::now().duration_since(time);
        assert!((0..3600).contains(&age.as_secs()), "{key} {time}");
    }
    let second = &report["partitions"][1];
    assert_eq!(
        (&second["oldest"], &second["consumed"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&second["lag_frames"], &second["owned"]),
        (&0.into(), &false.into())
    );

    let page = text(&status(&[]).stdout);
    for word in ["syslog/0", "syslog/1", "512.0 MiB", "6 frames are not consumed"] {
        assert!(page.contains(word), "{word} in:\n{page}");
    }
    assert!(!page.contains("LOST"), "{page}");
    let spill = status(&["--spill"]);
    assert_eq!(spill.status.code(), Some(2));
    assert!(
        text(&spill.stderr).contains("no frame log in"),
        "{}",
        text(&spill.stderr)
    );
}

#[test]
fn status_adds_up_what_was_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, writer) = log(directory.path());
    let bounds = Bounds {
        segment_bytes: 16 * 1024,
        size_max_bytes: 64 * 1024,
        ..BOUNDS
    };
    drop(writer);
    let mut writer = LogWriter::open(root.clone(), bounds).expect("opens");
    let payloads = vec![vec![b'x'; 500]; 600];
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 4);
    assert!(writer.lost().frames > 0);
    let dropped = &json(&run(directory.path(), &["status", "--json"]))["dropped"];
    assert_eq!(dropped["frames"], writer.lost().frames);
    assert_eq!(dropped["datagrams"], writer.lost().datagrams);
    for (exporter, datagrams) in &writer.lost().by_exporter {
        let exporter = exporter.expect("told apart").to_string();
        assert_eq!(dropped["by_exporter"][&exporter], *datagrams, "{exporter}");
    }
    assert_eq!(dropped["unreadable_lines"], 0);
    // A line that another process is just writing costs nothing of the others; the list before is added.
    bus::log::retention::write_down(
        &root.dropped().with_extension("jsonl.1"),
        SYSLOG,
        Reason::Age,
        (0, 5),
        &bus::log::retention::Lost {
            frames: 5,
            ..Default::default()
        },
        None,
    );
    let mut list = std::fs::OpenOptions::new()
        .append(true)
        .open(root.dropped())
        .expect("opens");
    list.write_all(b"{\"time_ns\":1,").expect("written");
    let dropped = &json(&run(directory.path(), &["status", "--json"]))["dropped"];
    assert_eq!(dropped["frames"], writer.lost().frames + 5);
    assert_eq!(dropped["unreadable_lines"], 1);
    let page = text(&run(directory.path(), &["status"]).stdout);
    assert!(page.contains("LOST") && page.contains("192.0.2.1"), "{page}");

    let output = run(directory.path(), &["cat", "syslog/0", "--from", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let dropped = format!("{} records from offset 0 on are not there", writer.lost().frames);
    assert!(
        text(&output.stderr).contains(&dropped),
        "{}",
        text(&output.stderr)
    );
    let datagrams = 600 - writer.lost().datagrams as usize;
    assert_eq!(lines(&output).len(), datagrams);
    let output = run(directory.path(), &["cat", "syslog/0"]);
    assert_eq!(output.status.code(), Some(0), "the oldest there is");
}

#[test]
fn without_a_log_nothing_is_said_to_be_there() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [["status"].as_slice(), &["verify"], &["cat", "syslog/0"]] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains("no frame log in"),
            "{}",
            text(&output.stderr)
        );
    }
    let (_root, _writer) = log(directory.path());
    let output = run(directory.path(), &["cat", "syslog/7"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no partition syslog/7"));
    assert_eq!(
        run(directory.path(), &["cat", "elsewhere/7"]).status.code(),
        Some(2)
    );
}

#[test]
fn verify_finds_what_is_damaged_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, mut writer) = log(directory.path());
    let payloads = numbered(10);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 2);
    let radius = stream(Topic::Radius, 0);
    write(&mut writer, radius, PayloadKind::Radius, &[b"\x04"], 1);

    let output = run(directory.path(), &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["whole"], true);
    assert_eq!(report["partitions"][0]["records"], 5);
    assert_eq!(report["partitions"][0]["datagrams"], 10);
    assert_eq!(report["partitions"][1]["stream"], "radius/0");
    assert_eq!(
        text(&run(directory.path(), &["verify"]).stdout)
            .matches("whole")
            .count(),
        2
    );

    // An octet of the first record's payload; of another stream's record a payload that is no frame.
    damage(&root, SYSLOG, 128 + 40 + 50);
    writer.append(radius, 1, b"no frame").expect("appends");
    let output = run(directory.path(), &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    let [first, second] = [&report["partitions"][0], &report["partitions"][1]];
    assert_eq!(first["damaged"], serde_json::json!([{"first": 0, "next": 1}]));
    assert_eq!((&first["records"], &first["whole"]), (&4.into(), &false.into()));
    assert_eq!(second["no_frames"], serde_json::json!([1]));
    assert_eq!(second["damaged_bytes"], 0);
    let page = text(&run(directory.path(), &["verify", "syslog/0"]).stdout);
    assert!(
        page.contains("DAMAGED") && page.contains("missing at 0") && !page.contains("radius"),
        "{page}"
    );

    // The last record: nothing follows it, and it does not become whole.
    damage(&root, radius, -1);
    let report = json(&run(directory.path(), &["verify", "--json", "radius/0"]));
    assert_eq!(report["partitions"][0]["damaged_bytes"], 48);
    // And a segment that nobody can tell anything about.
    let mut octets = std::fs::read(root.stream(radius).segment(0)).expect("the segment");
    octets[..128].fill(0);
    std::fs::write(root.stream(radius).segment(0), &octets).expect("written");
    let output = run(directory.path(), &["verify", "--json", "radius/0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["partitions"][0]["damaged_bytes"], octets.len());
}

#[test]
fn what_is_just_being_written_is_not_called_damaged() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let directory = tempfile::tempdir().expect("a directory");
    let (_root, mut writer) = log(directory.path());
    writer.add(SYSLOG).expect("made");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let payload = vec![b'x'; 40_000];
            let octets = frame(PayloadKind::Syslog, &[&payload], 0);
            for _ in 0..1000 {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                writer.append(SYSLOG, 1, &octets).expect("appends");
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let runs: Vec<Output> = (0..5).map(|_| run(directory.path(), &["verify"])).collect();
        done.store(true, Ordering::Relaxed);
        for output in runs {
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        }
    });
}

/// Every line of the decoders' samples.
fn samples() -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../decode/tests/samples");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("samples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let octets = std::fs::read(file).expect("a sample");
        lines.extend(
            octets
                .split(|octet| *octet == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    lines
}

/// What `natrail decode` says of its input, without the input's line numbers.
fn decoded(input: &[u8]) -> Vec<Value> {
    let mut child = natrail(&["decode", "--kind", "syslog", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("natrail starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut answer = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("written"));
        stdout.read_to_end(&mut answer).expect("read");
    });
    assert!(child.wait().expect("ends").success());
    text(&answer)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_cat_prints_decodes_to_the_events_of_the_original_lines() {
    let samples = samples();
    assert!(samples.len() > 50, "{} lines", samples.len());
    let directory = tempfile::tempdir().expect("a directory");
    let (_root, mut writer) = log(directory.path());
    // As routers send them: some with a trailer.
    let trailers: [&[u8]; 4] = [b"", b"\n", b"\r\n", b"\n\0"];
    let payloads: Vec<Vec<u8>> = samples
        .iter()
        .zip(trailers.iter().cycle())
        .map(|(line, trailer)| [line, *trailer].concat())
        .collect();
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 7);
    let output = run(directory.path(), &["cat", "syslog/0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (got, expected) = (decoded(&output.stdout), decoded(&samples.join(&b'\n')));
    assert!(
        expected
            .iter()
            .filter(|report| report["events"] != serde_json::json!([]))
            .count()
            > 10
    );
    assert_eq!(got, expected);

    let objects = lines(&run(directory.path(), &["cat", "syslog/0", "--json"]));
    assert_eq!(objects.len(), payloads.len());
    for (object, payload) in objects.iter().zip(&payloads) {
        let object: Value = serde_json::from_str(object).expect("JSON");
        match object["payload"].as_str() {
            Some(text) => assert_eq!(text.as_bytes(), payload),
            None => assert_eq!(object["payload_hex"], hex(payload)),
        }
    }
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for octet in octets {
        write!(text, "{octet:02x}").expect("written");
    }
    text
}

#[test]
fn cat_gives_what_was_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_root, mut writer) = log(directory.path());
    let payloads = numbered(20);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 4);
    let cat = |more: &[&str]| {
        let output = run(directory.path(), &[&["cat", "syslog/0"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{more:?} {}", text(&output.stderr));
        lines(&output)
    };
    let n = |numbers: std::ops::Range<u32>| numbers.map(|n| format!("n {n}")).collect::<Vec<_>>();
    assert_eq!(cat(&[]), n(0..20));
    assert_eq!(cat(&["--from", "2", "--to", "4"]), n(8..16));
    assert_eq!(cat(&["--from", "5"]), n(0..0));
    assert_eq!(cat(&["--to", "0"]), n(0..0));
    assert_eq!(
        cat(&["--from", "2026-03-01T12:00:03Z", "--to", "2026-03-01T12:00:11Z"]),
        n(3..11)
    );
    assert_eq!(cat(&["--limit", "6", "--from", "1"]), n(4..10));
    assert_eq!(
        cat(&["--exporter", "192.0.2.1", "--limit", "3"]),
        ["n 1", "n 4", "n 7"]
    );
    assert_eq!(cat(&["--exporter", "192.0.2.77"]), n(0..0));
    let object: Value =
        serde_json::from_str(&cat(&["--json", "--limit", "2"])[1]).expect("one object a line");
    assert_eq!(
        object,
        serde_json::json!({
            "stream": "syslog/0", "offset": 0, "index": 1, "exporter": "192.0.2.1",
            "received": "2026-03-01T12:00:01.000000000Z", "source_port": 40000, "destination_port": 514,
            "truncated": true, "payload": "n 1", "payload_hex": null,
        })
    );
}

#[test]
fn cat_says_what_is_damaged_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, mut writer) = log(directory.path());
    let payloads = numbered(6);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 2);
    writer.append(SYSLOG, 1, b"no frame").expect("appends");
    damage(&root, SYSLOG, 128 + 40 + 50);
    let output = run(directory.path(), &["cat", "syslog/0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), ["n 2", "n 3", "n 4", "n 5"]);
    let said = text(&output.stderr);
    assert!(
        said.contains("1 records from offset 0 on are damaged") && said.contains("record 3 is no frame"),
        "{said}"
    );
    // Where it was not asked for it does not matter.
    let output = run(directory.path(), &["cat", "syslog/0", "--from", "1", "--to", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn binary_kinds_are_objects_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_root, mut writer) = log(directory.path());
    let netflow = stream(Topic::Netflow, 3);
    write(&mut writer, netflow, PayloadKind::Netflow, &[b"\x00\x09\xff"], 1);
    let output = run(directory.path(), &["cat", "netflow/3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--json"));
    let object = json(&run(directory.path(), &["cat", "netflow/3", "--json"]));
    assert_eq!(
        (&object["payload"], &object["payload_hex"]),
        (&Value::Null, &"0009ff".into())
    );
}

#[test]
fn dead_letters_are_shown_with_their_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = config::Bus {
        log: config::Log {
            directory: directory.path().into(),
            ..config::Log::default()
        },
        ..config::Bus::default()
    };
    let mut letters = bus::log::connect_dead_letters(&bus).expect("opens");
    let letter = DeadLetter {
        stream: stream(Topic::Syslog, 2),
        offset: 17,
        index: 5,
        exporter: IpAddr::from([192, 0, 2, 1]),
        received_ns: BEGIN_NS,
        reason: "truncated",
        payload: b"A VRF 0\nINT\n",
    };
    letters.send(&letter, Duration::from_secs(1)).expect("sent");
    let output = run(directory.path(), &["cat", "dead-letter/0"]);
    assert_eq!(lines(&output), ["A VRF 0#012INT"], "{}", text(&output.stderr));
    let object = json(&run(directory.path(), &["cat", "dead-letter/0", "--json"]));
    assert_eq!(
        object,
        serde_json::json!({
            "stream": "dead-letter/0", "offset": 0, "index": 0, "exporter": "192.0.2.1",
            "received": "2026-03-01T12:00:00.000000000Z", "source_port": null, "destination_port": null,
            "truncated": false, "payload": "A VRF 0\nINT\n", "payload_hex": null,
            "reason": "truncated", "bytes": 12, "of": {"stream": "syslog/2", "offset": 17, "index": 5},
        })
    );
    let report = json(&run(directory.path(), &["status", "--json"]));
    assert_eq!(report["partitions"][0]["lag_frames"], 0);
    assert_eq!(report["partitions"][0]["owned"], true);
    assert!(
        report["bytes"] == 0
            && report["dead_letter_bytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 0)
    );
}

#[test]
fn cat_follows_and_a_reader_that_goes_away_is_no_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, mut writer) = log(directory.path());
    let payloads = numbered(4000);
    let payloads = borrowed(&payloads);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &payloads[..2], 2);
    let mut child = natrail(&["log", "cat", "syslog/0", "--follow", "--directory"])
        .arg(root.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("natrail starts");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("read");
        line
    };
    assert_eq!((line(), line()), ("n 0\n".into(), "n 1\n".into()));
    // More than one segment.
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &payloads, 2);
    for n in 0..4000 {
        assert_eq!(line(), format!("n {n}\n"));
    }
    drop(reader);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );

    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = natrail(&["log", "cat", "syslog/0", "--directory"])
        .arg(root.path())
        .stdout(closed)
        .output()
        .expect("natrail starts");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
}
