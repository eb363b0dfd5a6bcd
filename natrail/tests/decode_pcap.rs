//! `natrail decode --pcap`: captures of every kind give their datagrams in order, and bad ones end with a reason.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const EXPORTER: [u8; 4] = [192, 0, 2, 1];

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../decode/tests/fixtures/logstash-codec-netflow")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// IPv4 and UDP around a payload.
fn ipv4(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp_octets = payload.len() as u16 + 8;
    let mut packet = vec![0x45, 0];
    packet.extend((udp_octets + 20).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(EXPORTER);
    packet.extend([192, 0, 2, 2]);
    packet.extend(40_000_u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend(udp_octets.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn ipv6(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp_octets = payload.len() as u16 + 8;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(udp_octets.to_be_bytes());
    packet.extend([17, 64]);
    for last in [1, 2] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(40_000_u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend(udp_octets.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn ethernet(types: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    let (last, tags) = types.split_last().expect("an ether type");
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(last.to_be_bytes());
    frame.extend(packet);
    frame
}

/// A pcap of this link type; each packet is (held, sent octets).
fn pcap(link_type: u32, packets: &[(Vec<u8>, usize)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link_type] {
        file.extend(word.to_le_bytes());
    }
    for (second, (packet, sent)) in packets.iter().enumerate() {
        for word in [1_500_000_000 + second, 250_000, packet.len(), *sent] {
            file.extend((word as u32).to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn whole(packets: Vec<Vec<u8>>) -> Vec<(Vec<u8>, usize)> {
    packets
        .into_iter()
        .map(|packet| (packet.clone(), packet.len()))
        .collect()
}

/// A pcapng with one interface that counts in ns, of big-endian numbers.
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &length, &body, &length].concat()
    };
    let mut file = block(
        0x0a0d_0d0a,
        &[
            0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    );
    file.extend(block(
        1,
        &[0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0],
    ));
    for packet in packets {
        let ns = 1_500_000_000_123_456_789_u64;
        let mut body = vec![0, 0, 0, 0];
        body.extend(ns.to_be_bytes());
        body.extend((packet.len() as u32).to_be_bytes());
        body.extend((packet.len() as u32).to_be_bytes());
        body.extend(packet);
        file.extend(block(6, &body));
        // Statistics of the interface: nothing to see.
        file.extend(block(5, &[0; 12]));
    }
    file
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, octets: &[u8]) -> PathBuf {
        let path = self.0.path().join("capture");
        fs::write(&path, octets).expect("writes");
        path
    }
}

fn natrail(more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_natrail"))
        .arg("decode")
        .args(more)
        .output()
        .expect("natrail starts")
}

fn run(octets: &[u8], more: &[&str]) -> (Vec<Value>, Output) {
    let folder = Folder::new();
    let path = folder.file(octets);
    let mut arguments = vec!["--pcap", path.to_str().expect("a path")];
    arguments.extend(more);
    let output = natrail(&arguments);
    let lines = String::from_utf8(output.stdout.clone()).expect("text");
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    (objects, output)
}

fn good(octets: &[u8], more: &[&str]) -> Vec<Value> {
    let (objects, output) = run(octets, more);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    objects
}

const TEMPLATE: &str = "ipfix_test_nokia_bras_tpl.dat";
const DATA: &str = "ipfix_test_nokia_bras_data256.dat";

#[test]
fn every_link_type_gives_the_same_datagrams() {
    let payloads = [fixture(TEMPLATE), fixture(DATA)];
    let packets: Vec<_> = payloads.iter().map(|payload| ipv4(4739, payload)).collect();
    let with = |begin: &dyn Fn(&[u8]) -> Vec<u8>| {
        let packets = packets.iter().map(|packet| begin(packet)).collect();
        whole(packets)
    };
    let cooked = |packet: &[u8]| [&[0; 14][..], &[8, 0], packet].concat();
    let cooked2 = |packet: &[u8]| [&[8, 0][..], &[0; 18], packet].concat();
    let captures = [
        pcap(1, &with(&|packet| ethernet(&[0x0800], packet))),
        pcap(1, &with(&|packet| ethernet(&[0x8100, 0x0800], packet))),
        pcap(1, &with(&|packet| ethernet(&[0x88a8, 0x8100, 0x0800], packet))),
        pcap(101, &with(&<[u8]>::to_vec)),
        pcap(228, &with(&<[u8]>::to_vec)),
        pcap(0, &with(&|packet| [&[2, 0, 0, 0], packet].concat())),
        pcap(113, &with(&cooked)),
        pcap(276, &with(&cooked2)),
        pcapng(
            &packets
                .iter()
                .map(|packet| ethernet(&[0x0800], packet))
                .collect::<Vec<_>>(),
        ),
    ];
    for capture in captures {
        let objects = good(&capture, &[]);
        assert_eq!(objects.len(), 2);
        for (object, number) in objects.iter().zip(1..) {
            assert_eq!(object["datagram"], number);
            assert_eq!(object["exporter"], "192.0.2.1");
            assert_eq!(object["kind"], "netflow");
            assert_eq!(object["errors"], json!([]));
        }
        assert_eq!(objects[0]["templates"].as_array().unwrap().len(), 2);
        assert_eq!(objects[0]["templates"][0]["fields"][11]["length"], "variable");
        assert_eq!(objects[0]["templates"][0]["fields"][11]["pen"], 637);
        let event = &objects[1]["events"][0];
        assert_eq!(event["subscriber"], "USER1");
        assert_eq!(event["timestamp"], "2017-12-14T07:23:45.148Z");
        assert!(event.get("datagram").is_none());
    }
}

#[test]
fn ipv6_and_times_of_both_precisions() {
    let payload = fixture(TEMPLATE);
    let packet = ethernet(&[0x86dd], &ipv6(9, &payload));
    let micro = good(&pcap(1, &whole(vec![packet.clone()])), &[]);
    assert_eq!(micro[0]["exporter"], "2001:db8::1");
    assert_eq!(micro[0]["received"], "2017-07-14T02:40:00.250Z");
    let nano = good(&pcapng(&[packet]), &[]);
    assert_eq!(nano[0]["received"], "2017-07-14T02:40:00.123456789Z");
}

#[test]
fn what_waited_is_shown_with_the_datagram_that_brought_its_template() {
    let payloads = [fixture(DATA), b"<134>1 - - - - - - x".to_vec(), fixture(TEMPLATE)];
    let packets = payloads
        .iter()
        .map(|payload| ethernet(&[0x0800], &ipv4(4739, payload)))
        .collect();
    let objects = good(&pcap(1, &whole(packets)), &[]);
    assert_eq!(objects[0]["events"], json!([]));
    assert_eq!(objects[0]["parked"], json!([256]));
    assert_eq!(objects[1]["kind"], "syslog");
    assert_eq!(objects[2]["events"][0]["datagram"], 1);

    let only_data = good(
        &pcap(1, &whole(vec![ethernet(&[0x0800], &ipv4(4739, &payloads[0]))])),
        &[],
    );
    assert_eq!(only_data[0]["parked"], json!([256]));
}

#[test]
fn kinds_are_told_apart_and_can_be_said() {
    let mut radius = vec![4, 1, 0, 20];
    radius.resize(20, 0);
    let line = b"A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT\n";
    let packets: Vec<_> = [
        (514, line.to_vec()),
        (1813, radius),
        (7, vec![1, 2, 3]),
        (7, vec![]),
    ]
    .into_iter()
    .map(|(port, payload)| ethernet(&[0x0800], &ipv4(port, &payload)))
    .collect();
    let capture = pcap(1, &whole(packets));
    let objects = good(&capture, &["--profile", "rfc8158"]);
    let kinds: Vec<_> = objects.iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(kinds, ["syslog", "radius", "unknown", "unknown"]);
    assert_eq!(objects[0]["events"][0]["x_port"], 28475);
    for object in &objects[1..] {
        assert_eq!(object["errors"].as_array().unwrap().len(), 1, "{object}");
    }
    let objects = good(&capture, &["--kind", "netflow"]);
    assert!(objects.iter().all(|object| object["kind"] == "netflow"));
    assert_eq!(objects[0]["errors"][0], "unknown_format: unknown format");
    assert_eq!(objects[3]["errors"][0], "truncated: message ends too early");
}

#[test]
fn pieces_and_cut_packets_are_errors_of_their_own() {
    let payload = fixture(TEMPLATE);
    let packet = ethernet(&[0x0800], &ipv4(4739, &payload));
    let mut fragment = packet.clone();
    fragment[20] = 0x20;
    let mut wrong = packet.clone();
    wrong[39] = 200;
    let sent = packet.len();
    let capture = pcap(
        1,
        &[
            (fragment, sent),
            (packet[..96].to_vec(), sent),
            (wrong, sent),
            (ethernet(&[0x0806], &[0; 28]), 42),
            (packet, sent),
        ],
    );
    let objects = good(&capture, &[]);
    let errors: Vec<_> = objects
        .iter()
        .map(|object| object["errors"][0].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(objects.len(), 4, "ARP is no datagram");
    assert!(errors[0].starts_with("fragment: "), "{errors:?}");
    assert!(
        errors[1].starts_with("truncated_on_receive: ") && errors[1].contains("snaplen"),
        "{errors:?}"
    );
    assert!(errors[2].starts_with("malformed: "), "{errors:?}");
    assert_eq!(errors[3], "");
}

#[test]
fn files_that_are_no_captures_or_end_too_early_are_said_with_exit_code_2() {
    let packet = ethernet(&[0x0800], &ipv4(4739, &fixture(TEMPLATE)));
    let capture = pcap(1, &whole(vec![packet.clone(), packet.clone()]));
    let ng = pcapng(&[packet.clone(), packet.clone()]);
    for (octets, datagrams, word) in [
        (&b""[..], 0, "empty"),
        (b"A VRF 0 INT 10.0.0.1 EXT 100.64.0.1\n", 0, "neither"),
        (&capture[..10], 0, "neither"),
        (&capture[..capture.len() - 1], 1, "cut off"),
        (&ng[..ng.len() - 30], 1, "behind datagram 1"),
        (&pcap(147, &whole(vec![packet])), 0, "link type 147"),
    ] {
        let (objects, output) = run(octets, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
        assert_eq!(objects.len(), datagrams, "{stderr}");
    }
    let missing = natrail(&["--pcap", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(2));
    for arguments in [
        &["--kind", "netflow", "/dev/null"][..],
        &["--kind", "syslog", "--profile", "ios-xr", "/dev/null"],
        &["--pcap", "x", "--exporter", "192.0.2.1"],
    ] {
        assert_eq!(natrail(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_capture_comes_from_standard_input_too() {
    let packet = ethernet(&[0x0800], &ipv4(4739, &fixture(TEMPLATE)));
    let capture = pcap(1, &whole(vec![packet]));
    let mut child = Command::new(env!("CARGO_BIN_EXE_natrail"))
        .args(["decode", "--pcap", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("natrail starts");
    let mut input = child.stdin.take().expect("a pipe");
    // In pieces, as a pipe gives it.
    for piece in capture.chunks(20) {
        input.write_all(piece).expect("writes");
        input.flush().expect("writes");
    }
    drop(input);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}
