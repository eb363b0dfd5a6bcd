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
        "natrail.dead-letter",
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
