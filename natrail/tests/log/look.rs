//! `status` and `verify`.

use std::io::Write;
use std::process::Output;
use std::time::Duration;

use bus::Topic;
use bus::log::directory::{open_or_create, try_lock};
use bus::log::position::PositionFile;
use bus::log::retention::Reason;
use bus::log::writer::{Bounds, LogWriter};
use serde_json::Value;
use wire::frame::PayloadKind;

use crate::common::{
    BOUNDS, SYSLOG, borrowed, damage, frame, json, lines, log, natrail, numbered, run, stream, text, write,
};

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
