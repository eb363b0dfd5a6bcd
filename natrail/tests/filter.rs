//! `natrail filter`, and what `natrail check` says of filters, as processes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const CONFIG: &str = r#"
[[exporters.exporter]]
address = "192.0.2.1"
rate_max = 5000
[collector]
cores = [0]
[collector.xdp]
interfaces = ["lo"]
[[collector.listener]]
kind = "syslog"
address = "127.0.0.1:5514"
keep = ['CREATE|CLOSE', 'nat']
drop = ['test\d']
facilities = ["local0"]
[[collector.listener]]
kind = "syslog"
address = "127.0.0.1:5515"
keep = ['a.{20}b']
severity_max = "info"
[[collector.listener]]
kind = "syslog"
address = "127.0.0.1:5514"
transport = "tcp"
drop = ['x']
"#;

fn natrail(arguments: &[&str], input: &[u8]) -> Output {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(CONFIG.as_bytes()).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_natrail"))
        .env_remove("NATRAIL_KAFKA")
        .env_remove("NATRAIL_DATABASE_URL")
        .args(arguments)
        .arg("--config")
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("natrail starts");
    // One that has refused its arguments reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const LISTENER: [&str; 5] = ["filter", "--listener", "127.0.0.1:5514", "--transport", "udp"];
const LINES: &[u8] = b"<134>CREATE nat\n<134>CREATE test7\n<134>other\n<30>CREATE\nCREATE \xff\n\n";

#[test]
fn lines_are_judged_with_their_reason() {
    let output = natrail(&LISTENER, LINES);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = [
        r#"     1 keep  matches keep ["CREATE|CLOSE", "nat"]"#,
        r#"     2 drop  matches drop ["test\\d"]"#,
        "     3 drop  no pattern of keep matches",
        "     4 drop  PRI 30 is masked out by facilities or severity_max",
        r#"     5 keep  matches keep ["CREATE|CLOSE"]"#,
        "     6 drop  no pattern of keep matches",
    ];
    assert_eq!(stdout.lines().collect::<Vec<_>>(), expected);
    assert!(text(&output.stderr).contains("6 messages, 2 kept, 4 dropped"));
    let output = natrail(&[&LISTENER[..], &["--json"]].concat(), LINES);
    let reports: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(reports.len(), 6);
    assert_eq!(
        (&reports[0]["keep"], &reports[0]["pri"]),
        (&true.into(), &134.into())
    );
    assert_eq!(reports[1]["reason"], "filtered");
    assert_eq!(reports[1]["drop_patterns"][0], r"test\d");
    assert_eq!(
        (&reports[3]["reason"], &reports[4]["pri"]),
        (&"pri_masked".into(), &serde_json::Value::Null)
    );
}

#[test]
fn which_listener_is_meant_must_be_clear() {
    let output = natrail(&["filter"], b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("--listener 127.0.0.1:5515 --transport udp"),
        "{stderr}"
    );
    let output = natrail(&["filter", "--listener", "127.0.0.1:1"], b"");
    assert!(text(&output.stderr).contains("no such listener"));
}

#[test]
fn check_says_where_rules_run() {
    let output = natrail(&["check"], b"");
    let stdout = text(&output.stdout);
    for words in [
        "2 keep and 1 drop patterns on the first 256 octets (",
        "184 of 192 PRIs masked out",
        "filtered in the kernel, and in user space for what comes around it",
        "keep CREATE|CLOSE",
        r"drop test\d",
        "not in the kernel: they need",
        "by PRI in the kernel, by patterns in user space",
        "in user space: no XDP program sees",
        "at most 5000 datagrams/s, 5000 at once",
    ] {
        assert!(stdout.contains(words), "{words} in:\n{stdout}");
    }
    let output = natrail(&["check", "--json"], b"");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let listeners = &report["meaning"]["collector"]["listeners"];
    assert!(
        listeners[0]["filter"]["states"]
            .as_u64()
            .is_some_and(|states| states > 10),
        "{listeners}"
    );
    assert!(listeners[1]["filter"]["states"].is_null());
    assert_eq!(
        listeners[1]["filter"]["masked_pris"].as_array().map(Vec::len),
        Some(24)
    );
}
