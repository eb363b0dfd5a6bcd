//! `natrail decode` and `natrail check` with what is said of an exporter, as processes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn natrail(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_natrail"))
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("natrail starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that refuses its arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("ends")
}

/// What `natrail decode` says of each line.
fn decode(arguments: &[&str], input: &str) -> Vec<Value> {
    let output = natrail(&[&["decode", "--kind", "syslog"], arguments].concat(), input);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

const PATTERN: &str = r"^NAT (?<event>\w+) (?<src_ip>\S+) (?<x_ip>\S+) (?<time>.+)$";
const NFWARE: &str = "<134>Dec 31 23:59:59 nfw A VRF 0 INT 10.0.0.1 EXT 100.64.0.1\n";

#[test]
fn patterns_and_zones_are_tried_from_the_command_line() {
    let input = format!(
        "NAT add 10.0.0.1 203.0.113.1 Dec 31 23:59:59\nNAT add 10.0.0.999 203.0.113.1 Dec 31 23:59:59\nother\n{NFWARE}"
    );
    let arguments = [
        "--pattern",
        r"^OTHER (?<event>\w+) (?<src_ip>\S+) (?<x_ip>\S+)$",
        "--pattern",
        PATTERN,
        "--time-zone",
        "Europe/Berlin",
        "--received",
        "2026-01-01T00:00:00Z",
    ];
    let reports = decode(&arguments, &input);
    let event = &reports[0]["events"][0];
    assert_eq!(
        (&event["timestamp"], &event["kind"]),
        (
            &Value::from("2025-12-31T22:59:59.000Z"),
            &Value::from("address-mapping")
        )
    );
    assert_eq!(reports[1]["error"], "bad_address: not an address");
    assert_eq!(reports[2]["error"], "unknown_format: unknown format");
    assert_eq!(reports[3]["error"], "unknown_format: unknown format");
    // With a profile beside them, it reads what no pattern claims.
    let reports = decode(&[&arguments[..], &["--profile", "auto"]].concat(), NFWARE);
    assert_eq!(reports[0]["events"][0]["timestamp"], "2025-12-31T22:59:59.000Z");

    let output = natrail(&["decode", "--kind", "syslog", "--pattern", "(?<inside>x)"], "");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{why}");
    assert!(
        why.contains("unknown group \"inside\"; known are event, protocol"),
        "{why}"
    );
    let output = natrail(&["decode", "--kind", "syslog", "--time-zone", "Europe/Berln"], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("IANA"));
}

#[test]
fn a_batch_with_a_cut_record_has_events_and_an_error() {
    let record = "NAT-TCP-C: 100.64.9.9:33000<-->198.51.100.9:2000 to 8.8.8.8:53";
    let reports = decode(&[], &format!("{record}#012{}\n", &record[..20]));
    assert_eq!(reports[0]["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(reports[0]["error"], "truncated: message ends too early");
}

fn config(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "[[exporters.exporter]]\naddress = \"192.0.2.7\"\n{lines}\n").expect("written");
    file
}

#[test]
fn all_that_the_configuration_says_of_an_exporter_is_used_and_explained() {
    let file = config(&format!(
        "profile = \"nfware\"\ntime_zone = \"UTC\"\nvrf_names = {{ 0 = \"blue\" }}\npattern = '{PATTERN}'\nevent_words = {{ neu = \"created\" }}"
    ));
    let path = file.path().to_str().expect("a path");
    let arguments = [
        "--config",
        path,
        "--exporter",
        "192.0.2.7",
        "--received",
        "2026-01-01T00:00:00Z",
    ];
    let input = format!("{NFWARE}NAT NEU 10.0.0.1 203.0.113.1 2026-01-01 00:00:00\n");
    let reports = decode(&arguments, &input);
    let event = |report: usize| &reports[report]["events"][0];
    assert_eq!(
        (&event(0)["timestamp"], &event(0)["vrf"]),
        (&"2025-12-31T23:59:59.000Z".into(), &"blue".into())
    );
    assert_eq!(event(1)["timestamp"], "2026-01-01T00:00:00.000Z");

    let output = natrail(&["check", "--config", path], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in [
        "clock in UTC",
        "VRF 0 as blue",
        "pattern (address-mapping): ^NAT",
        "is valid",
    ] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(!text.contains("warning: exporter"), "{text}");
    let output = natrail(&["check", "--json", "--config", path], "");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let exporter = &report["meaning"]["exporters"][0];
    assert_eq!(exporter["time_zone"], "UTC");
    assert_eq!(exporter["patterns"][0]["kind"], "address-mapping");
}

#[test]
fn check_names_what_is_wrong_with_a_pattern_and_warns_of_one_without_an_end() {
    for (lines, expected) in [
        (
            "pattern = '(?<src_ip>x)(?<event>c)'",
            "pattern 1: it has no ports: an address mapping, which also needs the group x_ip",
        ),
        ("pattern = '(?<x>x)'", "unknown group \"x\"; known are event"),
        ("pattern = '(?:(?:x{1000}){1000})'", "too big"),
        ("time_zone = \"Moon\"", "\"Moon\" is no time zone"),
    ] {
        let file = config(lines);
        let output = natrail(&["check", "--config", file.path().to_str().expect("a path")], "");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{why}");
        assert!(why.contains(expected), "{why}");
    }
    let file = config("pattern = '^(?<src_ip>a) (?<x_ip>b) (?<event>c)'\nhuawei_user_blocks = true");
    let output = natrail(&["check", "--config", file.path().to_str().expect("a path")], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for warning in [
        "exporter 192.0.2.7/32: pattern 1 does not end with $",
        "exporter 192.0.2.7/32: huawei_user_blocks does nothing with its profile",
    ] {
        assert!(text.contains(warning), "{warning} in\n{text}");
    }
}
