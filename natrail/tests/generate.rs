//! `natrail generate` as a process: what it sends arrives, from the addresses that it says, as it says.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Output};
use std::time::Duration;

fn natrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_natrail"))
        .args(args)
        .output()
        .expect("natrail starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_line_arrives_from_the_exporter_that_the_expectation_names() {
    const COUNT: usize = 3000;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let target = socket.local_addr().expect("an address").to_string();
    let receiver = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut lines: HashMap<IpAddr, Vec<String>> = HashMap::new();
        for _ in 0..COUNT {
            // With a timeout, a machine that was suspended for a moment interrupts it.
            let (length, from) = loop {
                match socket.recv_from(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    received => break received.expect("a datagram"),
                }
            };
            lines.entry(from.ip()).or_default().push(text(&buffer[..length]));
        }
        lines
    });

    let folder = tempfile::tempdir().expect("a folder");
    let expect = folder.path().join("expect.jsonl");
    let output = natrail(&[
        "generate",
        "--format",
        "nfware",
        "--to",
        &target,
        "--rate",
        "20000",
        "--count",
        &COUNT.to_string(),
        "--exporters",
        "3",
        "--from",
        "127.0.0.5",
        "--expect",
        expect.to_str().expect("a path"),
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = receiver.join().expect("all datagrams arrive");

    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&summary["sent"], &summary["refused"]),
        (&COUNT.into(), &0.into())
    );
    let bytes: usize = lines.values().flatten().map(String::len).sum();
    assert_eq!(summary["bytes"], bytes);

    let mut expected: HashMap<IpAddr, Vec<serde_json::Value>> = HashMap::new();
    for line in std::fs::read_to_string(&expect).expect("the expect file").lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let exporter = object["exporter"]
            .as_str()
            .and_then(|ip| ip.parse().ok())
            .expect("an address");
        expected.entry(exporter).or_default().push(object);
    }
    for last in 5..8 {
        let exporter = IpAddr::from([127, 0, 0, last]);
        let (lines, expected) = (&lines[&exporter], &expected[&exporter]);
        assert!(
            lines.len() == expected.len() && lines.len() > COUNT / 4,
            "{exporter}: {}",
            lines.len()
        );
        for (line, object) in lines.iter().zip(expected) {
            let field = |key: &str| object[key].as_str().expect("text").to_owned();
            assert!(
                line.contains(&field("src_ip")) && line.contains(&field("timestamp")),
                "{line} {object}"
            );
        }
    }
    let names: Vec<_> = folder
        .path()
        .read_dir()
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(
        names,
        ["expect.jsonl"],
        "the unfinished file has become the finished one"
    );
}

#[test]
fn what_cannot_be_sent_is_said_with_exit_code_2() {
    let generate = |more: &[&str]| {
        let mut args = vec!["generate", "--format", "juniper", "--rate", "0", "--count", "1"];
        args.extend(more);
        natrail(&args)
    };
    for (args, word) in [
        (&["--to", "127.0.0.1:9", "--from", "192.0.2.77"][..], "192.0.2.77"),
        (&["--to", "127.0.0.1:9", "--from", "::1"], "families"),
        (&["--to", "192.0.2.1:9", "--exporters", "2"], "--from"),
        (&["--to", "nowhere"], "host:port"),
        (
            &["--to", "127.0.0.1:9", "--exporters", "9", "--subscribers", "3"],
            "subscribers",
        ),
        (
            &["--to", "127.0.0.1:9", "--expect", "/no/such/folder/x"],
            "/no/such/folder",
        ),
    ] {
        let output = generate(args);
        let stderr = text(&output.stderr);
        assert!(
            output.status.code() == Some(2) && stderr.contains(word),
            "{args:?}: {stderr}"
        );
    }
}
