//! `natrail check` as a process.

use std::io::Write;
use std::process::{Command, Output};

fn check(config: &str, more: &[&str]) -> Output {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(config.as_bytes()).expect("written");
    Command::new(env!("CARGO_BIN_EXE_natrail"))
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .args(["check", "--config"])
        .arg(file.path())
        .args(more)
        .output()
        .expect("natrail starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const EXAMPLE: &str = include_str!("../../docs/natrail.example.toml");

#[test]
fn a_valid_file_is_explained() {
    let output = check(EXAMPLE, &[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for word in [
        "0.0.0.0:514",
        "192.0.2.10/32",
        "cgn-north",
        "nfware",
        "frame log in /var/lib/natrail/log/bus, 4 partitions",
        "at most the last 1000 ms",
        "is valid",
    ] {
        assert!(stdout.contains(word), "{word} in:\n{stdout}");
    }
    let output = check(EXAMPLE, &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["valid"], true);
    assert_eq!(
        report["meaning"]["collector"]["listeners"][0]["address"],
        "0.0.0.0:514"
    );
}

#[test]
fn what_af_xdp_takes_is_said() {
    let config = EXAMPLE
        .replace("# receive = \"socket\"", "receive = \"af_xdp\"")
        .replace(
            "# [collector.xdp]\n# interfaces = [\"eth0\"]",
            "[collector.xdp]\ninterfaces = [\"lo\"]",
        )
        + "\n[collector.af_xdp]\nqueues = [0]\nframe_bytes = 4096\n";
    let stdout = text(&check(&config, &[]).stdout);
    for words in [
        "AF_XDP on 1 queues, zero copy auto: packets of up to 3840 octets",
        "rings of 16384 packets and 32768 frames for each thread and queue: 128 MiB locked",
        "warning: listener 0.0.0.0:514: AF_XDP takes all that comes to this port on lo",
        "warning: collector.af_xdp: lo is virtual",
    ] {
        assert!(stdout.contains(words), "{words} in:\n{stdout}");
    }
    let report: serde_json::Value =
        serde_json::from_slice(&check(&config, &["--json"]).stdout).expect("JSON");
    assert_eq!(
        report["meaning"]["collector"]["receive"]["af_xdp"]["frames_mib"],
        128
    );
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let config = EXAMPLE.replace(
        "[[collector.listener]]\nkind = \"syslog\"",
        "[[collector.listener]]\nkind = \"syslogg\"",
    );
    let line = config
        .lines()
        .position(|line| line.contains("syslogg"))
        .expect("replaced")
        + 1;
    let output = check(&config, &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains(&format!("line {line}")) && stderr.contains("syslogg"),
        "{stderr}"
    );

    let output = check(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        report["problems"][0]
            .as_str()
            .is_some_and(|problem| problem.contains("syslogg")),
        "{report}"
    );
}

#[test]
fn values_that_make_no_sense_are_all_named() {
    let output = check(
        "[bus]\npartitions = 0\n[consumer]\ncores = []\n[exporters]\nallow_all = true",
        &[],
    );
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("bus.partitions") && stderr.contains("consumer.cores"),
        "{stderr}"
    );
}

/// A valid configuration with this `[bus]`.
fn with_bus(bus: &str) -> String {
    format!("{bus}\n[exporters]\nallow_all = true\n")
}

/// What `natrail check --json` says, with these variables of the environment.
fn report(config: &str, environment: &[(&str, &str)]) -> serde_json::Value {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(config.as_bytes()).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_natrail"))
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .envs(environment.iter().copied())
        .args(["check", "--json", "--config"])
        .arg(file.path())
        .output()
        .expect("natrail starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The warning that has all these words.
fn has_warning(report: &serde_json::Value, words: &[&str]) -> bool {
    let warnings = report["warnings"].as_array().expect("a list");
    warnings
        .iter()
        .filter_map(serde_json::Value::as_str)
        .any(|warning| words.iter().all(|word| warning.contains(word)))
}

#[test]
fn which_bus_it_is_is_said() {
    let kafka = with_bus("[bus]\nbrokers = \"kafka1:9092\"\nreplication = 3");
    let page = text(&check(&kafka, &[]).stdout);
    for word in [
        "Kafka at kafka1:9092, 4 partitions, 3 copies",
        "natrail.dead-letter",
        "spill      frame log in /var/lib/natrail/log/spill, after 2000 ms",
    ] {
        assert!(page.contains(word), "{word} in:\n{page}");
    }
    let bus = &report(&kafka, &[])["meaning"]["bus"];
    assert_eq!(
        (&bus["kind"], &bus["log"]),
        (&"kafka".into(), &serde_json::Value::Null)
    );
    assert_eq!(bus["kafka"]["brokers"], "kafka1:9092");
    assert_eq!(bus["spill"]["directory"], "/var/lib/natrail/log/spill");
    assert_eq!(bus["spill"]["replay_mib_per_s"], 200);

    let none = with_bus("[bus]\nbrokers = \"kafka1:9092\"\n[bus.log]\nspill = false");
    assert!(text(&check(&none, &[]).stdout).contains("spill      none"));
    assert!(report(&none, &[])["meaning"]["bus"]["spill"].is_null());

    let log = with_bus("[bus.log]\nsync = \"always\"\nwhen_full = \"drop_newest\"");
    let page = text(&check(&log, &[]).stdout);
    for word in [
        "frame log in /var/lib/natrail/log/bus",
        "sync always: a power failure loses nothing",
        "16384 MiB in segments of 64 MiB",
        "drop_newest",
    ] {
        assert!(page.contains(word), "{word} in:\n{page}");
    }
    assert!(!page.contains("Kafka"), "{page}");
    let bus = &report(&log, &[])["meaning"]["bus"];
    assert_eq!(
        (&bus["kind"], &bus["kafka"]),
        (&"log".into(), &serde_json::Value::Null)
    );
    assert_eq!(bus["log"]["when_full"], "drop_newest");
}

#[test]
fn what_is_doubtful_about_the_log_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("not/there");
    let log = |directory: &std::path::Path, more: &str| {
        with_bus(&format!(
            "[bus]\nkind = \"log\"\n[bus.log]\ndirectory = {directory:?}\n{more}"
        ))
    };
    let quiet = "size_max_mib = 256\nfree_reserve_mib = 0";
    let said = report(&log(directory.path(), quiet), &[]);
    assert!(!has_warning(&said, &["bus.log.directory", "exist"]), "{said}");
    assert!(!has_warning(&said, &["bus.log.size_max_mib"]), "{said}");

    for (config, words) in [
        (
            log(&missing, quiet),
            [
                "not/there does not exist yet",
                directory.path().to_str().expect("UTF-8"),
            ],
        ),
        (
            log(directory.path(), "size_max_mib = 1000000000"),
            ["MiB free", "will drop earlier"],
        ),
        (
            log(directory.path(), "sync = \"none\""),
            ["\"none\"", "power failure"],
        ),
        (
            log(directory.path(), "segment_mib = 64\nsize_max_mib = 256")
                .replace("kind = \"log\"", "kind = \"log\"\npartitions = 5"),
            ["bus.log.size_max_mib", "5 partitions"],
        ),
        (
            log(std::path::Path::new("/proc/version"), quiet),
            ["/proc/version", "no directory"],
        ),
        // Nobody can make files there, root neither.
        (
            log(std::path::Path::new("/proc/sys"), quiet),
            ["/proc/sys", "cannot be written"],
        ),
    ] {
        let said = report(&config, &[]);
        assert!(has_warning(&said, &words), "{words:?} in {said}");
    }
    if bus::log::inspect::space("/dev/shm".as_ref()).is_ok_and(|space| space.is_memory) {
        let said = report(&log("/dev/shm/natrail".as_ref(), quiet), &[]);
        assert!(has_warning(&said, &["/dev/shm/natrail", "tmpfs"]), "{said}");
    }

    let environment = [("NATRAIL_KAFKA", "kafka1:9092")];
    let said = report(&log(directory.path(), quiet), &environment);
    assert!(has_warning(&said, &["NATRAIL_KAFKA", "not used"]), "{said}");
    assert_eq!(said["meaning"]["bus"]["kind"], "log");
    let said = report(&with_bus(""), &environment);
    assert!(
        has_warning(&said, &["bus.brokers comes from the environment"]),
        "{said}"
    );
    assert_eq!(said["meaning"]["bus"]["kind"], "kafka");
}

#[test]
fn frames_that_a_change_of_the_bus_would_leave_behind_are_named() {
    use bus::log::directory::Root;
    use bus::log::position::PositionFile;
    use bus::log::writer::{Bounds, LogWriter};

    let directory = tempfile::tempdir().expect("a directory");
    let settings = config::Log {
        directory: directory.path().into(),
        free_reserve_mib: 0,
        ..config::Log::default()
    };
    let stream = bus::Stream {
        topic: bus::Topic::Syslog,
        partition: 0,
    };
    let log = format!("[bus.log]\ndirectory = {:?}\n", directory.path());
    let (on_log, on_kafka) = (
        with_bus(&format!("[bus]\nkind = \"log\"\n{log}")),
        with_bus(&format!("[bus]\nbrokers = \"kafka1:9092\"\n{log}")),
    );
    for (root, without, with) in [
        (Root::of_spill(&settings), &on_kafka, &on_log),
        (Root::of_bus(&settings), &on_log, &on_kafka),
    ] {
        let mut writer = LogWriter::open(root.clone(), Bounds::new(&settings)).expect("opens");
        for _ in 0..3 {
            writer.append(stream, 1, b"frame").expect("appends");
        }
        let mut position = PositionFile::open(&root.stream(stream)).expect("opens");
        position.consumed(1).expect("said");
        let path = root.path().to_str().expect("UTF-8");
        let words = [path, "2 frames that were not consumed"];
        assert!(has_warning(&report(with, &[]), &words), "{}", report(with, &[]));
        assert!(!has_warning(&report(without, &[]), &words));
        position.consumed(3).expect("said");
        assert!(!has_warning(&report(with, &[]), &["were not consumed"]));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_talk_about() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(EXAMPLE.as_bytes()).expect("written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_natrail"))
        .args(["check", "--config"])
        .arg(file.path())
        .stdout(writer)
        .output()
        .expect("natrail starts");
    assert_eq!(text(&output.stderr), "");
}
