//! `cat`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bus::{DeadLetter, DeadLetterSender, Topic};
use serde_json::Value;
use wire::frame::PayloadKind;

use crate::common::{
    BEGIN_NS, SYSLOG, borrowed, damage, json, lines, log, natrail, numbered, run, stream, text, write,
};

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
fn cat_says_that_the_only_segment_cannot_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, mut writer) = log(directory.path());
    let payloads = numbered(2);
    write(&mut writer, SYSLOG, PayloadKind::Syslog, &borrowed(&payloads), 2);
    // Both copies of its header.
    damage(&root, SYSLOG, 3);
    damage(&root, SYSLOG, 64 + 3);
    let output = run(directory.path(), &["cat", "syslog/0"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).contains("no whole record"),
        "{}",
        text(&output.stderr)
    );
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
