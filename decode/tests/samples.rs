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
    let own = BTreeMap::from(common::OWN);
    let mut seen: BTreeMap<_, usize> = common::OWN.iter().map(|&(file, _)| (file, 0)).collect();
    let expected = fs::read_to_string(common::samples().join("expected.jsonl")).unwrap();
    for entry in expected
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        let file = entry["file"].as_str().unwrap();
        let Some(&own) = own.get(file) else { continue };
        let number = entry["line"].as_u64().unwrap() as usize;
        let line = &common::lines(file)[number - 1];
        *seen.get_mut(file).unwrap() += 1;
        for profile in [Profile::Auto, own] {
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
                _ => assert_eq!(outcome, Ok(Outcome::Events(expected.len() as u32)), "{place}"),
            }
        }
    }
    for (file, count) in seen {
        assert_eq!(count, common::lines(file).len(), "{file}");
    }
}

#[test]
fn lines_of_other_vendors_yield_nothing() {
    let own = BTreeMap::from(common::OWN);
    let logs = common::logs();
    for log in &logs {
        for (index, line) in common::lines(log).iter().enumerate() {
            for profile in Profile::ALL {
                let is_own = own
                    .get(log.as_str())
                    .is_some_and(|own| [*own, Profile::Auto].contains(&profile));
                if !is_own {
                    let (outcome, _) = common::decode(profile, line);
                    assert!(outcome.is_err(), "{log}:{} as {profile}: {outcome:?}", index + 1);
                }
            }
        }
    }
    assert_eq!(logs.len(), 20, "sample files");
}
