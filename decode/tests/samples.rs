//! Every sample line yields what `samples/expected.jsonl` says, and those of other vendors nothing.

mod common;

use std::collections::BTreeMap;
use std::fs;

use decode::{Outcome, Profile};
use jiff::Timestamp;
use serde_json::{Value, json};

fn ns(time: &Value) -> Value {
    let Some(text) = time.as_str() else {
        return Value::Null;
    };
    let time: Timestamp = text.parse().expect("an RFC 3339 time");
    json!(i64::try_from(time.as_nanosecond()).expect("a time of our days"))
}

#[test]
fn every_line_decodes_as_expected() {
    let mut seen: BTreeMap<_, _> = common::OWN.iter().map(|&(file, _)| (file, 0)).collect();
    let expected = fs::read_to_string(common::samples().join("expected.jsonl")).unwrap();
    for entry in expected
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        let file = entry["file"].as_str().unwrap();
        let number = entry["line"].as_u64().unwrap() as usize;
        let line = &common::lines(file)[number - 1];
        *seen.get_mut(file).unwrap() += 1;
        for profile in [Profile::Auto, common::own(file).unwrap()] {
            let (outcome, mut events) = common::decode(profile, line);
            let place = format!("{file}:{number} as {profile}: {outcome:?}");
            let mut expected = entry["expect"].as_array().unwrap().clone();
            for event in &mut expected {
                event["timestamp"] = ns(&event["timestamp"]);
            }
            if let Some(start) = entry["also"].get("mapping_start") {
                assert_eq!(events[0]["mapping_start"], ns(start), "{place}");
            }
            for event in &mut events {
                event.as_object_mut().unwrap().remove("mapping_start");
            }
            assert_eq!(events, expected, "{place}");
            match entry["message"].as_str().unwrap() {
                "ignore" => assert!(matches!(outcome, Ok(Outcome::Ignored(_))), "{place}"),
                "reject" => assert!(outcome.is_err(), "{place}"),
                _ => assert_eq!(outcome, Ok(Outcome::Events(1)), "{place}"),
            }
        }
    }
    for (file, count) in seen {
        assert_eq!(count, common::lines(file).len(), "{file}");
    }
}

/// The full cross product: each line under each profile but its own.
#[test]
fn lines_of_other_vendors_yield_nothing() {
    let logs = common::logs();
    for log in &logs {
        let own = common::own(log);
        for (index, line) in common::lines(log).iter().enumerate() {
            for profile in Profile::ALL {
                if own.is_some_and(|own| own == profile || profile == Profile::Auto) {
                    continue;
                }
                let (outcome, events) = common::decode(profile, line);
                assert!(events.is_empty(), "{log}:{} as {profile}: {outcome:?}", index + 1);
            }
        }
    }
    assert_eq!(logs.len(), 20, "sample files");
}
