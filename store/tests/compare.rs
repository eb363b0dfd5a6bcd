//! Differences in both directions are found, and only they.

mod common;

use common::{at, count, database, event, ip, origin, run};
use event::{Action, Batch, Kind, Text, TimeSource};
use store::compare::{Comparison, compare};
use store::{Storage, status};
use tokio_postgres::Client;

const SESSION: &str = r#"{"kind":"session-mapping","event":"created","exporter":"192.0.2.1","protocol":6,"src_ip":"10.0.0.1","src_port":1000,"x_ip":"203.0.113.1","x_port":4000,"dst_ip":"198.51.100.1","dst_port":443,"start_port":null,"end_port":null,"port_step":null,"vrf":"a\\b\tc","subscriber":null,"timestamp":"2026-03-01T12:00:00.000001999Z","time_source":"device_event"}"#;
const BLOCK: &str = r#"{"kind":"port-block-mapping","event":"deleted","exporter":"2001:db8::1","protocol":null,"src_ip":"2001:db8::2","src_port":null,"x_ip":"203.0.113.1","x_port":null,"dst_ip":null,"dst_port":null,"start_port":1024,"end_port":2047,"port_step":4,"vrf":null,"subscriber":"line","timestamp":null,"time_source":"receive"}"#;

async fn compared(client: &mut Client, lines: &[&str]) -> Comparison {
    compare(client, lines.join("\n").as_bytes(), |_| ())
        .await
        .expect("compared")
}

#[test]
fn missing_and_extra_events_are_counted() {
    run(async {
        for storage in [Storage::Timescale, Storage::Native] {
            let (database, mut client) = database("compare", storage).await;
            assert!(compared(&mut client, &[]).await.is_equal());
            let mut session = event(Kind::Session, Action::Created);
            (session.protocol, session.src_port, session.x_port) = (Some(6), Some(1000), Some(4000));
            (session.dst_ip, session.dst_port) = (Some(ip("198.51.100.1")), Some(443));
            session.vrf = Some(Text::plain("a\\b\tc"));
            (session.time_ns, session.time_source) = (Some(at(0.0) + 1999), TimeSource::DeviceEvent);
            let mut block = event(Kind::Block, Action::Deleted);
            block.src_ip = ip("2001:db8::2");
            (block.start_port, block.end_port, block.port_step) = (Some(1024), Some(2047), Some(4));
            block.subscriber = Some(Text::plain("line"));
            let mut batch = Batch::default();
            batch.push(&session, ip("192.0.2.1"), at(9.0), origin(0, 0));
            batch.push(&session, ip("192.0.2.1"), at(9.5), origin(0, 1));
            batch.push(&block, ip("2001:db8::1"), at(7.0), origin(0, 2));
            common::store(&database, &batch).await;

            let equal = compared(&mut client, &[SESSION, BLOCK, SESSION]).await;
            assert!(
                equal.is_equal() && equal.expected == 3 && equal.stored == 3,
                "{equal:?}"
            );
            let doubled = compared(&mut client, &[SESSION, BLOCK]).await;
            assert_eq!((doubled.missing, doubled.extra), (0, 1), "{doubled:?}");
            assert_eq!(doubled.first_extra[0]["kind"], "session-mapping");
            let lost = compared(&mut client, &[SESSION, SESSION, BLOCK, BLOCK, BLOCK]).await;
            assert_eq!((lost.missing, lost.extra), (2, 0), "{lost:?}");
            assert_eq!(lost.first_missing[0]["count"], 2);
            // One letter, one microsecond.
            for (from, to) in [
                ("a\\\\b", "a\\\\B"),
                ("000001999Z", "000002000Z"),
                ("\"event\":\"created\"", "\"event\":\"updated\""),
            ] {
                let altered = SESSION.replace(from, to);
                assert_ne!(altered, SESSION);
                let other = compared(&mut client, &[SESSION, &altered, BLOCK]).await;
                assert_eq!((other.missing, other.extra), (1, 1), "{to}: {other:?}");
            }
            let error = compare(&mut client, format!("{SESSION}\n{{}}").as_bytes(), |_| ()).await;
            assert!(error.expect_err("no event").to_string().starts_with("line 2"));
            assert_eq!(count(&client, "natrail.session").await, 2);

            let status = status::status(&client).await.expect("status");
            assert_eq!(status.storage, Some(storage));
            assert_eq!(status.oldest.as_deref(), Some("2026-03-01T12:00:00.000001Z"));
            assert_eq!(status.newest.as_deref(), Some("2026-03-01T12:00:07.000000Z"));
            assert_eq!(
                status.tables.iter().map(|table| table.days).collect::<Vec<_>>(),
                [1, 0, 1, 0]
            );
        }
    });
}
