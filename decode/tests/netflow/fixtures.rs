//! Datagrams of real exporters give what `fixtures/decoded.txt` says, octet by octet; cut and damaged ones do no harm.

use std::fs;
use std::path::PathBuf;

use decode::netflow::{Exporters, Profile};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::seen::{self, Seen};

/// The folder with the datagrams.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// One exporter's datagrams in their order, and what is in them.
pub struct Stream {
    pub name: String,
    pub datagrams: Vec<Vec<u8>>,
    /// Lines of `decoded.txt`.
    pub lines: Vec<String>,
}

pub fn streams() -> Vec<Stream> {
    let text = fs::read_to_string(folder().join("decoded.txt")).unwrap();
    let mut streams: Vec<Stream> = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, streams.last_mut()) {
            ("stream", _) => streams.push(Stream {
                name: rest.to_owned(),
                datagrams: Vec::new(),
                lines: Vec::new(),
            }),
            ("file", Some(stream)) => stream.datagrams.extend(datagrams(rest)),
            (_, Some(stream)) => stream.lines.push(line.to_owned()),
            (_, None) => panic!("{line}"),
        }
    }
    assert!(streams.len() > 55, "{} streams", streams.len());
    streams
}

/// The datagrams of a file.
pub fn datagrams(file: &str) -> Vec<Vec<u8>> {
    let mut octets = fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    if std::path::Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "hex")
    {
        let text = String::from_utf8(octets).unwrap();
        let digits = text.trim().as_bytes().chunks(2);
        octets = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
    }
    let is_several = ["/netflow5.dat", "/ipfix.dat"]
        .iter()
        .any(|name| file.ends_with(name));
    if !is_several {
        return vec![octets];
    }
    let mut all = Vec::new();
    while !octets.is_empty() {
        let word = usize::from(u16::from_be_bytes([octets[2], octets[3]]));
        let length = if octets[1] == 5 { 24 + 48 * word } else { word };
        let rest = octets.split_off(length);
        all.push(std::mem::replace(&mut octets, rest));
    }
    all
}

fn count(lines: &[String], word: &str) -> usize {
    lines
        .iter()
        .filter(|line| line.split(' ').next() == Some(word))
        .count()
}

#[test]
fn every_record_of_every_exporter_is_read_field_by_field() {
    let mut records = 0;
    for stream in streams() {
        let seen = seen::decode(Profile::Auto, &stream.datagrams);
        let expected: Vec<_> = stream
            .lines
            .iter()
            .filter(|line| !line.starts_with("message") && *line != "error")
            .cloned()
            .collect();
        let has_waited =
            seen.summary.unparked_events > 0 || count(&seen.lines, "record") > count(&expected, "record");
        assert!(!has_waited, "{}", stream.name);
        assert_eq!(seen.lines, expected, "{}", stream.name);
        let messages = count(&stream.lines, "message");
        let malformed = count(&stream.lines, "error");
        assert_eq!(stream.datagrams.len(), messages.max(malformed), "{}", stream.name);
        records += count(&expected, "record") + count(&expected, "flow");

        // One set of this one claims two octets more than there are.
        let refused = if stream.name == "issue_14370" {
            1
        } else {
            malformed
        };
        assert_eq!(seen.errors.len(), refused, "{}: {:?}", stream.name, seen.errors);
        let known = seen.events.len() as u64 + seen.summary.ignored;
        let all = (count(&expected, "record") + count(&expected, "flow")) as u64;
        assert_eq!(known, all, "{}: each record is an event or ignored", stream.name);
    }
    assert!(records > 700, "{records} records");
}

#[test]
fn the_nat_events_are_those_expected() {
    let text = fs::read_to_string(folder().join("events.jsonl")).unwrap();
    let mut expected: Vec<(String, Value)> = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let file = entry["file"].as_str().unwrap().to_owned();
        for event in entry["expect"].as_array().unwrap() {
            let mut event = event.clone();
            let time: Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
            event["timestamp"] = json!(i64::try_from(time.as_nanosecond()).unwrap());
            expected.push((file.clone(), event));
        }
    }
    let of = |name: &str| -> Vec<Value> {
        let with = expected.iter().filter(|(file, _)| file.contains(name));
        with.map(|(_, event)| event.clone()).collect()
    };
    let streams = streams();
    let events = |name: &str, profile| -> Seen {
        let stream = streams.iter().find(|stream| stream.name == name).unwrap();
        seen::decode(profile, &stream.datagrams)
    };
    for profile in [Profile::Auto, Profile::Nfware, Profile::Legacy] {
        assert_eq!(
            events("netflow_v9", profile).objects(),
            of("netflow_v9"),
            "{profile}"
        );
        let generator = events("netflow_v9_generator", profile);
        assert!(generator.events.is_empty() && generator.errors.is_empty());
        assert_eq!(generator.summary.ignored, 10);
    }
    for profile in [Profile::Auto, Profile::NokiaSr] {
        assert_eq!(
            events("nokia_bras", profile).objects(),
            of("nokia_bras"),
            "{profile}"
        );
    }
}

/// Of the exporters whose records are no mappings, none gives an event or an error as `auto`.
#[test]
fn traffic_flows_are_no_events() {
    let with_events = ["netflow_v9", "nokia_bras"];
    let mut streams = streams();
    streams.retain(|stream| !with_events.contains(&stream.name.as_str()));
    for stream in &streams {
        let seen = seen::decode(Profile::Auto, &stream.datagrams);
        assert_eq!(seen.events, [], "{}", stream.name);
    }
}

/// FortiGate and MikroTik log translations as flows; both directions of a session name the same mapping.
#[test]
fn translated_flows_are_sessions_that_ended() {
    let streams = streams();
    let flows = |name: &str| {
        let stream = streams.iter().find(|stream| stream.name == name).unwrap();
        seen::decode(Profile::Flow, &stream.datagrams)
    };
    let fortigate = flows("fortigate_542");
    assert!(fortigate.errors.is_empty() && fortigate.events.len() == 9);
    for event in fortigate.objects() {
        assert_eq!(event["event"], "deleted");
        assert_eq!(event["src_ip"], "192.168.100.151");
        assert_eq!(event["x_ip"], "10.0.0.250");
        assert!(
            event["mapping_start"].as_i64() < event["timestamp"].as_i64(),
            "{event}"
        );
        assert_eq!(event["time_source"], "device_event");
    }
    let tuple =
        |event: &Value| ["src_port", "x_port", "dst_ip", "dst_port"].map(|key| event[key].to_string());
    let ends: std::collections::BTreeSet<_> = fortigate.objects().iter().map(tuple).collect();
    assert_eq!(ends.len(), 5, "four sessions seen twice and one seen once");

    let mikrotik = flows("mikrotik");
    assert!(mikrotik.errors.is_empty() && mikrotik.events.len() > 5);
    let events = mikrotik.objects();
    let pair: Vec<_> = events
        .iter()
        .filter(|event| event["src_ip"] == "10.10.7.11")
        .collect();
    assert_eq!(pair.len(), 2);
    for event in &pair {
        assert_eq!(event["x_ip"], "192.168.230.216");
        assert_eq!(event["dst_ip"], "192.168.183.199");
    }
    // Its flows name no translated ports: each direction knows the port of the side that it saw.
    let ports = |key: &str| pair.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
    assert_eq!(ports("src_port"), [json!(48378), Value::Null]);
    assert_eq!(ports("x_port"), [Value::Null, json!(48378)]);
}

/// Every cut of every datagram: what is whole is read, in order, and the cut is told.
#[test]
fn cut_datagrams_give_a_prefix_and_one_error() {
    for stream in streams() {
        let whole = seen::decode(Profile::Flow, &stream.datagrams);
        let Some((last, before)) = stream.datagrams.split_last() else {
            continue;
        };
        // Every length of the short ones, a sample of the long.
        let step = if last.len() > 400 { 31 } else { 3 };
        for length in (0..last.len()).step_by(step) {
            let mut exporters = Exporters::default();
            seen::decode_with(&mut exporters, Profile::Flow, before);
            let seen = seen::decode_with(&mut exporters, Profile::Flow, &[&last[..length]]);
            assert!(
                whole.lines.ends_with(&seen.lines) || is_prefix_of_last(&whole.lines, &seen.lines),
                "{} cut to {length}",
                stream.name
            );
            assert!(seen.errors.len() <= 2, "{}: {:?}", stream.name, seen.errors);
            if length < 16 {
                assert_eq!(seen.errors.len(), 1, "{} cut to {length}", stream.name);
            }
        }
    }
}

/// Whether the lines stand in the same order in the whole, one behind the other. A set that was cut is parked shorter.
fn is_prefix_of_last(whole: &[String], part: &[String]) -> bool {
    part.iter().all(|line| {
        whole.contains(line)
            || line.starts_with("parked") && whole.iter().any(|line| line.starts_with("parked"))
    })
}

/// Any octet of any datagram changed: no panic, and bounds on what comes out.
#[test]
fn damaged_datagrams_do_no_harm() {
    for stream in streams() {
        for profile in [Profile::Auto, Profile::Flow, Profile::Rfc8158, Profile::IosXr] {
            let mut exporters = Exporters::default();
            for (index, datagram) in stream.datagrams.iter().enumerate() {
                let step = if datagram.len() > 300 { 37 } else { 5 };
                for at in (index % step..datagram.len()).step_by(step) {
                    for value in [0, 1, 0x7f, 0xff] {
                        let mut damaged = datagram.clone();
                        damaged[at] = value;
                        let seen = seen::decode_with(&mut exporters, profile, &[damaged]);
                        assert!(seen.summary.events <= 1500, "{}", stream.name);
                    }
                }
            }
        }
    }
}
