//! Intervals from events, on both storages. Each scenario has an outside address of its own.

mod common;
mod trace_scenarios;

use std::net::{IpAddr, SocketAddr};

use common::{at, database, ip, run};
use event::columns::PlausibleTime;
use event::{Action, Batch, Event, Kind, Text, TimeSource};
use store::Storage;
use store::ingest::open_streams;
use store::trace::{Begin, End, Mapping, Query, trace};
use trace_scenarios::SCENARIOS;

fn seconds(text: &str) -> i64 {
    at(text.parse().expect("seconds"))
}

fn end_of(text: &str) -> (IpAddr, Option<u16>) {
    match text.parse::<SocketAddr>() {
        Ok(both) => (both.ip(), Some(both.port())),
        Err(_) => (ip(text), None),
    }
}

fn push(batch: &mut Batch, line: &'static str, public: IpAddr, streams: [i32; 2], offset: i64) {
    let mut words = line.split_whitespace();
    let time = seconds(words.next().expect("seconds"));
    let kind = match words.next() {
        Some("session") => Kind::Session,
        Some("port") => Kind::Port,
        Some("block") => Kind::Block,
        Some("address") => Kind::Address,
        other => panic!("{other:?}"),
    };
    let action = match words.next() {
        Some("created") => Action::Created,
        Some("deleted") => Action::Deleted,
        Some("updated") => Action::Updated,
        other => panic!("{other:?}"),
    };
    let mut event = Event::new(kind, action, public, Some(public));
    (event.time_ns, event.time_source) = (Some(time), TimeSource::DeviceEvent);
    let (mut exporter, mut stream, mut received) = (ip("192.0.2.1"), streams[0], at(0.0));
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "src" => (event.src_ip, event.src_port) = end_of(value),
            "dst" => {
                let (ip, port) = end_of(value);
                (event.dst_ip, event.dst_port) = (Some(ip), port);
            }
            "x" => event.x_port = Some(value.parse().expect("a port")),
            "p" => event.protocol = Some(value.parse().expect("a protocol")),
            "b" => {
                let (range, step) = value.split_once('/').unwrap_or((value, ""));
                let (start, end) = range.split_once('-').expect("a range");
                event.start_port = Some(start.parse().expect("a port"));
                event.end_port = Some(end.parse().expect("a port"));
                event.port_step = step.parse().ok();
            }
            "vrf" => event.vrf = Some(Text::plain(value)),
            "sub" => event.subscriber = Some(Text::plain(value)),
            "from" => event.mapping_start_ns = Some(seconds(value)),
            "exp" => exporter = ip(value),
            "bare" => event.x_ip = None,
            "rcv" => received = seconds(value),
            "stream2" => stream = streams[1],
            other => panic!("{other}"),
        }
    }
    batch.push(
        &event,
        exporter,
        received,
        event::Origin {
            stream,
            offset,
            index: 0,
        },
    );
}

fn query(text: &str, public: IpAddr) -> Query {
    let mut query = Query {
        public,
        port: None,
        protocol: None,
        at_ns: 0,
        tolerance_ns: 0,
    };
    for word in text.split_whitespace() {
        if let Some(moment) = word.strip_prefix('@') {
            query.at_ns = seconds(moment);
        } else if let Some(tolerance) = word.strip_prefix('~') {
            query.tolerance_ns = seconds(tolerance) - at(0.0);
        } else if let Some(protocol) = word.strip_prefix("p=") {
            query.protocol = Some(protocol.parse().expect("a protocol"));
        } else if word != "*" {
            query.port = Some(word.parse().expect("a port"));
        }
    }
    query
}

fn short(mapping: &Mapping) -> String {
    let time = |ns: i64| ((ns - at(0.0)) as f64 / 1e9).to_string();
    let src = match (mapping.src_ip, mapping.src_port) {
        (ip, None) => ip.to_string(),
        (ip, Some(port)) => SocketAddr::new(ip, port).to_string(),
    };
    let begin = match mapping.begin {
        Begin::Created { at_ns } => format!("c{}", time(at_ns)),
        Begin::Stated { at_ns } => format!("s{}", time(at_ns)),
        Begin::Unknown { after_ns, until_ns } => {
            format!("?{}..{}", after_ns.map(time).unwrap_or_default(), time(until_ns))
        }
    };
    let end = match mapping.end {
        End::Open => "open".to_owned(),
        End::Deleted { at_ns } => format!("d{}", time(at_ns)),
        End::Superseded { at_ns } => format!("x{}", time(at_ns)),
    };
    let vrf = mapping
        .vrf
        .as_ref()
        .map(|vrf| format!(" vrf={vrf}"))
        .unwrap_or_default();
    let within = if mapping.at_the_moment { "" } else { " within" };
    format!("{src} {begin} {end}{vrf}{within}")
}

#[test]
fn scenarios() {
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (database, mut client) = database("trace", storage).await;
            let names = [("t".to_owned(), 0), ("t".to_owned(), 1)];
            let streams = open_streams(&client, "kafka", &names).await.expect("opened");
            let streams = [streams[0].id, streams[1].id];
            // Odd addresses are IPv4 and even ones IPv6: the outside may be either.
            let public = |number: usize| match number % 2 {
                0 => IpAddr::from([203, 0, 113, number as u8]),
                _ => ip(&format!("2001:db8:113::{number}")),
            };
            let mut batch = Batch::new(PlausibleTime {
                past_ns: i64::MAX,
                future_ns: i64::MAX,
            });
            for (number, scenario) in SCENARIOS.iter().enumerate() {
                for (offset, line) in scenario.events.iter().enumerate() {
                    push(&mut batch, line, public(number), streams, offset as i64);
                }
            }
            common::store(&database, &batch).await;
            let mut wrong = Vec::new();
            for (number, scenario) in SCENARIOS.iter().enumerate() {
                for (asked, wanted) in scenario.asked {
                    let answer = trace(&mut client, &query(asked, public(number)))
                        .await
                        .expect("an answer");
                    let got: Vec<String> = answer.mappings.iter().map(short).collect();
                    if got != *wanted {
                        wrong.push(format!(
                            "{storage}: {}, {asked}: {got:?}, wanted {wanted:?}",
                            scenario.name
                        ));
                    }
                }
            }
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    });
}

#[test]
fn an_answer_names_its_evidence_and_says_what_data_there_is() {
    run(async {
        let (database, mut client) = database("coverage", Storage::Native).await;
        let streams = open_streams(&client, "kafka", &[("n.syslog".into(), 3)])
            .await
            .expect("opened");
        let public = ip("203.0.113.1");
        let empty = trace(&mut client, &query("@0 4000", public))
            .await
            .expect("an answer");
        assert!(empty.mappings.is_empty() && !empty.coverage.data_around);
        assert_eq!((empty.coverage.before_ns, empty.coverage.after_ns), (None, None));
        let mut batch = Batch::default();
        for (offset, line) in [
            "0 port created src=10.0.0.1:1000 x=4000 p=6 sub=line-7",
            "20 port deleted src=10.0.0.1:1000 x=4000 p=6",
            "8000 address created src=10.0.0.9 exp=192.0.2.9 bare",
        ]
        .into_iter()
        .enumerate()
        {
            push(&mut batch, line, public, [streams[0].id; 2], offset as i64);
        }
        common::store(&database, &batch).await;
        let found = trace(&mut client, &query("@5 4000", public))
            .await
            .expect("an answer");
        let mapping = &found.mappings[0];
        assert_eq!(mapping.subscriber.as_deref(), Some("line-7"));
        let origins: Vec<_> = mapping
            .evidence
            .iter()
            .map(|e| {
                (
                    e.event,
                    e.bus.as_str(),
                    e.topic.as_str(),
                    e.partition,
                    e.offset,
                    e.index,
                )
            })
            .collect();
        assert_eq!(
            origins,
            [
                (Action::Created, "kafka", "n.syslog", 3, 0, 0),
                (Action::Deleted, "kafka", "n.syslog", 3, 1, 0),
            ]
        );
        let nobody = trace(&mut client, &query("@300 4000", public))
            .await
            .expect("an answer");
        assert!(nobody.mappings.is_empty() && nobody.coverage.data_around);
        assert_eq!(
            (nobody.coverage.before_ns, nobody.coverage.after_ns),
            (Some(at(20.0)), Some(at(8000.0)))
        );
        let silent = trace(&mut client, &query("@4000 4000", public))
            .await
            .expect("an answer");
        assert!(!silent.coverage.data_around && silent.coverage.before_ns == Some(at(20.0)));
        // Another router's events say nothing about this address.
        let other = trace(&mut client, &query("@8001 4000", public))
            .await
            .expect("an answer");
        assert!(!other.coverage.data_around && other.coverage.before_ns == Some(at(8000.0)));
        assert_eq!(
            other.coverage.exporters.iter().copied().collect::<Vec<_>>(),
            [ip("192.0.2.1")]
        );
        let json = serde_json::to_value(&found).expect("JSON");
        assert_eq!(json["mappings"][0]["begin"]["source"], "created");
        assert_eq!(
            json["mappings"][0]["begin"]["time"],
            "2026-03-01T12:00:00.000000Z"
        );
        assert_eq!(json["mappings"][0]["end"]["time"], "2026-03-01T12:00:20.000000Z");
        assert_eq!(json["mappings"][0]["x_ip"], "203.0.113.1");
    });
}
