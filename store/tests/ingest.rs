//! The encoder against the server, the fence, partitions.

mod common;

use std::net::{IpAddr, Ipv6Addr};

use common::{at, count, database, event, ip, origin, run};
use event::columns::PlausibleTime;
use event::{Action, Batch, Event, Kind, Text, TimeSource};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use store::ingest::{Advance, Encoder, Writer, open_streams};
use store::time::PgTime;
use store::{CommitError, Storage, connect};
use tokio_postgres::Client;

/// What the table says of the rows, in the order of their `frame_index`, as text.
async fn stored(client: &Client, kind: Kind) -> Vec<String> {
    let columns = store::layout::columns(kind);
    let shown: Vec<String> = columns
        .iter()
        .map(|column| match *column {
            "ts" | "received" | "device_ts" | "mapping_start" => {
                format!("coalesce((extract(epoch FROM {column}) * 1000000)::int8::text, '-')")
            }
            "exporter6" | "src_ip6" | "x_ip6" | "dst_ip6" => format!("coalesce(host({column}), '-')"),
            "vrf" | "subscriber" => format!("coalesce(quote_literal({column}), '-')"),
            _ => format!("coalesce({column}::text, '-')"),
        })
        .collect();
    let sql = format!(
        "SELECT concat_ws(' ', {}) FROM natrail.{} ORDER BY frame_index",
        shown.join(", "),
        store::layout::table(kind)
    );
    client
        .query(&sql, &[])
        .await
        .expect("read back")
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// The same from the event, by another way than the encoder's.
fn wanted(
    event: &Event<'_>,
    exporter: IpAddr,
    received: i64,
    index: i32,
    plausible: PlausibleTime,
) -> String {
    let micros = |ns: i64| (i128::from(ns).div_euclid(1000)).to_string();
    let number = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let v4 = |ip: Option<IpAddr>| match ip {
        Some(IpAddr::V4(v4)) => u32::from(v4).to_string(),
        _ => "-".into(),
    };
    let v6 = |ip: Option<IpAddr>| match ip {
        Some(IpAddr::V6(v6)) => v6.to_string(),
        _ => "-".into(),
    };
    let text = |text: Option<Text<'_>>| {
        number(text.map(|text| {
            let text = text.to_str().replace('\'', "''");
            // quote_literal's own rule.
            if text.contains('\\') {
                format!("E'{}'", text.replace('\\', "\\\\"))
            } else {
                format!("'{text}'")
            }
        }))
    };
    let trusted = event.time_ns.filter(|&ns| {
        ns >= received.saturating_sub(plausible.past_ns) && ns <= received.saturating_add(plausible.future_ns)
    });
    let port = |port: Option<u16>| number(port.map(|port| port.to_string()));
    let columns = store::layout::columns(event.kind);
    let shown: Vec<String> = columns
        .iter()
        .map(|column| match *column {
            "ts" => micros(trusted.unwrap_or(received)),
            "received" => micros(received),
            "device_ts" => number(event.time_ns.map(micros)),
            "mapping_start" => number(event.mapping_start_ns.map(micros)),
            "exporter" => v4(Some(exporter)),
            "exporter6" => v6(Some(exporter)),
            "src_ip" => v4(Some(event.src_ip)),
            "src_ip6" => v6(Some(event.src_ip)),
            "x_ip" => v4(event.x_ip),
            "x_ip6" => v6(event.x_ip),
            "dst_ip" => v4(event.dst_ip),
            "dst_ip6" => v6(event.dst_ip),
            "frame_offset" => i64::MAX.to_string(),
            "stream" => i32::MAX.to_string(),
            "frame_index" => index.to_string(),
            "src_port" => port(event.src_port),
            "x_port" => port(event.x_port),
            "dst_port" => port(event.dst_port),
            "start_port" => port(event.start_port),
            "end_port" => port(event.end_port),
            "port_step" => port(event.port_step),
            "event" => (event.action as u8).to_string(),
            "protocol" => number(event.protocol.map(|protocol| protocol.to_string())),
            "time_source" => if trusted.is_some() {
                event.time_source as u8
            } else {
                0
            }
            .to_string(),
            "vrf" => text(event.vrf),
            "subscriber" => text(event.subscriber),
            other => panic!("a column that this test does not know: {other}"),
        })
        .collect();
    shown.join(" ")
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<u128>()
            .prop_filter("IPv4 in disguise, or none", |&bits| bits >> 32 != 0xffff
                && bits != 0)
            .prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
        Just(ip("0.0.0.1")),
        Just(ip("255.255.255.255")),
        Just(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
    ]
}

fn some_text() -> impl Strategy<Value = Option<Text<'static>>> {
    prop_oneof![
        Just(None),
        Just(Some("")),
        Just(Some("0")),
        Just(Some("Zürich ☃ 𝔸 'quoted' \"x\" \\")),
        Just(Some(LONG)),
    ]
    .prop_map(|text| text.map(Text::plain))
}

/// Longer than the spare room of a buffer.
const LONG: &str = {
    const BYTES: [u8; 9000] = [b'v'; 9000];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

fn some_event() -> impl Strategy<Value = (Event<'static>, IpAddr, i64)> {
    let port = || proptest::option::of(any::<u16>());
    let kind = proptest::sample::select(&Kind::ALL[..]);
    let action = proptest::sample::select(&[Action::Created, Action::Deleted, Action::Updated][..]);
    let source = proptest::sample::select(
        &[
            TimeSource::Receive,
            TimeSource::DeviceHeader,
            TimeSource::DeviceEvent,
        ][..],
    );
    let near = -50_000_000_000_i64..50_000_000_000;
    let device = prop_oneof![
        Just(None),
        near.clone().prop_map(|delta| Some(at(0.0) + delta)),
        Just(Some(i64::MIN + 1)),
        Just(Some(i64::MAX)),
        Just(Some(-1)),
    ];
    (
        (
            kind,
            action,
            address(),
            proptest::option::of(address()),
            proptest::option::of(address()),
            address(),
        ),
        (
            port(),
            port(),
            port(),
            port(),
            port(),
            port(),
            proptest::option::of(any::<u8>()),
        ),
        (some_text(), some_text(), device.clone(), device, source, near),
    )
        .prop_map(|(who, ports, rest)| {
            let mut event = Event::new(who.0, who.1, who.2, who.3);
            event.dst_ip = who.4;
            (event.src_port, event.x_port, event.dst_port) = (ports.0, ports.1, ports.2);
            (event.start_port, event.end_port, event.port_step) = (ports.3, ports.4, ports.5);
            event.protocol = ports.6;
            (event.vrf, event.subscriber, event.time_ns, event.mapping_start_ns) =
                (rest.0, rest.1, rest.2, rest.3);
            event.time_source = rest.4;
            (event, who.5, at(0.0) + rest.5)
        })
}

#[test]
fn every_row_is_read_back_as_it_was() {
    let mut runner = TestRunner::default();
    let events = proptest::collection::vec(some_event(), 3000)
        .new_tree(&mut runner)
        .expect("events")
        .current();
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (database, client) = database("rows", storage).await;
            let plausible = PlausibleTime::default();
            let mut batch = Batch::new(plausible);
            for (index, (event, exporter, received)) in events.iter().enumerate() {
                let origin = event::Origin {
                    stream: i32::MAX,
                    offset: i64::MAX,
                    index: index as i32,
                };
                batch.push(event, *exporter, *received, origin);
            }
            common::store(&database, &batch).await;
            for kind in Kind::ALL {
                let wanted: Vec<String> = events
                    .iter()
                    .enumerate()
                    .filter(|(_, (event, ..))| event.kind == kind)
                    .map(|(index, (event, exporter, received))| {
                        wanted(event, *exporter, *received, index as i32, plausible)
                    })
                    .collect();
                let stored = stored(&client, kind).await;
                assert_eq!(stored.len(), wanted.len());
                for (stored, wanted) in stored.iter().zip(&wanted) {
                    assert_eq!(stored, wanted, "{kind:?} {storage}");
                }
            }
        }
    });
}

#[test]
fn a_view_shows_addresses_as_addresses() {
    run(async {
        let (database, client) = database("view_rows", Storage::Native).await;
        let mut batch = Batch::default();
        let mut v4 = event(Kind::Session, Action::Created);
        (v4.protocol, v4.src_port, v4.x_port) = (Some(6), Some(57938), Some(28475));
        (v4.dst_ip, v4.dst_port, v4.vrf) = (Some(ip("255.255.255.255")), Some(443), Some(Text::plain("7")));
        let mut v6 = v4;
        (v6.src_ip, v6.x_ip, v6.dst_ip) = (ip("2001:db8::1"), None, Some(ip("2001:db8::2")));
        batch.push(&v4, ip("192.0.2.1"), at(0.0), origin(0, 0));
        batch.push(&v6, ip("2001:db8::ff"), at(1.0), origin(0, 1));
        common::store(&database, &batch).await;
        let rows = client
            .query(
                "SELECT s::text FROM session_mapping s ORDER BY \"timestamp\"",
                &[],
            )
            .await
            .expect("rows");
        let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(
            rows,
            [
                "(\"2026-03-01 12:00:00+00\",192.0.2.1,1,7,6,10.0.0.1,57938,203.0.113.1,28475,255.255.255.255,443)",
                "(\"2026-03-01 12:00:01+00\",2001:db8::ff,1,7,6,2001:db8::1,57938,,28475,2001:db8::2,443)",
            ]
        );
    });
}

fn one_row(offset: i64) -> Batch {
    let mut batch = Batch::default();
    batch.push(
        &event(Kind::Address, Action::Created),
        ip("192.0.2.1"),
        at(offset as f64),
        origin(offset, 0),
    );
    batch
}

#[test]
fn the_fence_lets_each_batch_in_once() {
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (database, client) = database("fence", storage).await;
            let names = [("n.syslog".to_owned(), 0), ("n.syslog".to_owned(), 1)];
            let states = open_streams(&client, "kafka", &names).await.expect("opened");
            assert_eq!(
                states,
                open_streams(&client, "kafka", &names)
                    .await
                    .expect("opened again")
            );
            assert!(states[0].id != states[1].id && states.iter().all(|state| state.next_offset == -1));
            let connection = || async { connect::connect(&database.url()).await.expect("connected") };
            let (mut owner, mut zombie) = (Writer::new(connection().await), Writer::new(connection().await));
            let mut encoder = Encoder::new();
            let step = |expected, next| Advance {
                stream: states[0].id,
                expected,
                next,
                frames: 2,
                datagrams: 30,
                events: 20,
                ignored: 7,
                dead_letters: 3,
                bad_frames: 1,
                duplicate_frames: 4,
                missing_frames: 5,
                ..Advance::default()
            };
            let first = encoder.encode(&one_row(0), vec![step(-1, 5)]);
            // Both have copied the same rows; only the first to commit may.
            zombie.copy(&first).await.expect("copied");
            owner.copy(&first).await.expect("copied");
            owner.commit(&first).await.expect("committed");
            match zombie.commit(&first).await {
                Err(CommitError::Fenced {
                    stream,
                    expected: -1,
                    found: 5,
                }) => assert_eq!(stream, states[0].id),
                other => panic!("{other:?}"),
            }
            // Neither the refused writer nor the order of COPY keeps anybody from going on.
            let second = encoder.encode(&one_row(1), vec![step(5, 6)]);
            let third = encoder.encode(&one_row(2), vec![step(6, 9)]);
            owner.copy(&second).await.expect("copied");
            zombie.copy(&third).await.expect("copied while the other is open");
            owner.commit(&second).await.expect("committed");
            zombie.commit(&third).await.expect("committed");
            owner.summarise(&second).await.expect("summarised");
            assert!(owner.commit(&second).await.is_err(), "nothing is open");
            assert_eq!(count(&client, "natrail.address").await, 3);
            let row = client
                .query_one("SELECT s::text FROM (SELECT next_offset, frames, datagrams, events, ignored, dead_letters, bad_frames, duplicate_frames, missing_frames FROM natrail.stream WHERE id = $1) s", &[&states[0].id])
                .await
                .expect("totals");
            assert_eq!(row.get::<_, String>(0), "(9,6,90,60,21,9,3,12,15)");
            let now = open_streams(&client, "kafka", &names).await.expect("opened");
            assert_eq!((now[0].next_offset, now[1].next_offset), (9, -1));
        }
    });
}

#[test]
fn a_connection_that_breaks_in_the_middle_stores_nothing() {
    run(async {
        let (database, client) = database("broken", Storage::Native).await;
        let states = open_streams(&client, "kafka", &[("t".into(), 0)])
            .await
            .expect("opened");
        let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
        let advance = Advance {
            stream: states[0].id,
            expected: -1,
            next: 1,
            ..Advance::default()
        };
        let batch = Encoder::new().encode(&one_row(0), vec![advance]);
        writer.copy(&batch).await.expect("copied");
        let pid: i32 = writer
            .client()
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .expect("pid")
            .get(0);
        client
            .query_one("SELECT pg_terminate_backend($1, 5000)", &[&pid])
            .await
            .expect("terminated");
        match writer.commit(&batch).await {
            Err(CommitError::Store(error)) => assert!(error.is_disconnect(), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(writer.copy(&batch).await.is_err());
        assert_eq!(count(&client, "natrail.address").await, 0);
        // The same batch, sent again over a new connection.
        let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
        writer.copy(&batch).await.expect("copied");
        writer.commit(&batch).await.expect("committed");
        assert_eq!(count(&client, "natrail.address").await, 1);
    });
}

#[test]
fn workers_make_the_same_days_at_once_while_others_write() {
    run(async {
        let (database, client) = database("days", Storage::Native).await;
        let workers = (0..4).map(|worker| {
            let url = database.url();
            tokio::spawn(async move {
                let mut writer = Writer::new(connect::connect(&url).await.expect("connected"));
                for round in 0..5 {
                    let mut batch = Batch::default();
                    for day in 0..6 {
                        let received = at(f64::from(day + round) * 86_400.0);
                        for kind in Kind::ALL {
                            batch.push(
                                &event(kind, Action::Created),
                                ip("192.0.2.1"),
                                received,
                                origin(worker, day),
                            );
                        }
                    }
                    let encoded = Encoder::new().encode(&batch, Vec::new());
                    writer.copy(&encoded).await.expect("copied");
                    writer.commit(&encoded).await.expect("committed");
                    writer.summarise(&encoded).await.expect("summarised");
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.expect("a worker");
        }
        assert_eq!(count(&client, "natrail.session").await, 4 * 5 * 6);
        let partitions = count(
            &client,
            "pg_inherits WHERE inhparent = 'natrail.session'::regclass",
        )
        .await;
        assert_eq!(partitions, 10);
        assert_eq!(count(&client, "natrail.session_y2026m03d01").await, 4);
        // Retention drops a day behind a writer's back.
        let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
        let encoded = Encoder::new().encode(&one_row(0), Vec::new());
        writer.copy(&encoded).await.expect("copied");
        writer.commit(&encoded).await.expect("committed");
        client
            .batch_execute("DROP TABLE natrail.address_y2026m03d01")
            .await
            .expect("dropped");
        assert!(writer.copy(&encoded).await.is_err());
        writer.copy(&encoded).await.expect("made again");
        writer.commit(&encoded).await.expect("committed");
    });
}

#[test]
fn a_partition_can_be_made_while_another_connection_copies() {
    run(async {
        let (database, _client) = database("blocking", Storage::Native).await;
        let connection = || async { connect::connect(&database.url()).await.expect("connected") };
        let (mut open, mut other) = (Writer::new(connection().await), Writer::new(connection().await));
        let mut encoder = Encoder::new();
        let today = encoder.encode(&one_row(0), Vec::new());
        let tomorrow = encoder.encode(&one_row(86_400), Vec::new());
        open.copy(&today).await.expect("copied, and left open");
        let made = tokio::time::timeout(std::time::Duration::from_mins(1), other.copy(&tomorrow)).await;
        made.expect("not kept waiting by an open transaction")
            .expect("copied");
        other.commit(&tomorrow).await.expect("committed");
        open.commit(&today).await.expect("committed");
    });
}

#[test]
fn summarised_rows_are_in_the_index() {
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (database, client) = database("brin", storage).await;
            let mut batch = Batch::default();
            for number in 0..20_000u32 {
                let mut event = event(Kind::Port, Action::Created);
                event.x_ip = Some(IpAddr::from((0xcb00_7100 + number / 100).to_be_bytes()));
                (event.protocol, event.x_port) = (Some(6), Some((number % 100) as u16));
                batch.push(&event, ip("192.0.2.1"), at(0.0), origin(0, number as i32));
            }
            common::store(&database, &batch).await;
            client
                .batch_execute("SET enable_seqscan = off")
                .await
                .expect("set");
            let plan = client
                .query(
                    "EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT * FROM natrail.port WHERE x_ip = 3405803783 AND x_port = 7",
                    &[],
                )
                .await
                .expect("a plan");
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("Bitmap Index Scan"), "{plan}");
            // 20,000 rows of more than 100 bytes fill 300 pages; one range of 32 holds the key, or two.
            let pages: u32 = plan
                .split("lossy=")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|pages| pages.parse().ok())
                .unwrap_or_else(|| panic!("no lossy pages: {plan}"));
            assert!((1..=64).contains(&pages), "{plan}");
        }
    });
}

#[test]
fn times_reach_the_database_as_whole_microseconds_rounded_down() {
    run(async {
        let (database, client) = database("micros", Storage::Native).await;
        let mut batch = Batch::default();
        batch.push(
            &event(Kind::Address, Action::Created),
            ip("192.0.2.1"),
            at(0.0) + 1999,
            origin(0, 0),
        );
        common::store(&database, &batch).await;
        let row = client
            .query_one("SELECT ts FROM natrail.address", &[])
            .await
            .expect("a row");
        assert_eq!(row.get::<_, PgTime>(0), PgTime(at(0.0) + 1000));
    });
}
