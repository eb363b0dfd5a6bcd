//! The ledger moves with the rows, or not at all.

mod common;

use std::net::{IpAddr, Ipv6Addr};

use common::{database, ip, run};
use event::Batch;
use event::columns::PlausibleTime;
use store::ingest::{Advance, Encoder, Writer, open_streams};
use store::ledger::read::{Window, read};
use store::ledger::{Added, Changes, LifeState, retention};
use store::{CommitError, Storage, connect};

const MINUTE_NS: i64 = 60_000_000_000;
/// A minute in 2026.
const MINUTE: i64 = 29_539_440 * MINUTE_NS;
const ALL: Window = Window {
    from_ns: 0,
    to_ns: i64::MAX,
};

fn added(exporter: IpAddr, cell: &'static str, count: i64) -> Added {
    Added {
        minute_ns: MINUTE,
        life: 0,
        exporter,
        cell: cell.into(),
        count,
    }
}

fn life(heard_ns: i64, has_ended: bool) -> LifeState {
    LifeState {
        life: u64::MAX,
        host: "collector-1".into(),
        started_ns: MINUTE,
        heard_ns,
        has_ended,
        has_xdp: true,
        hold_max: 100,
        skew_interface: 0,
        skew_sockets: 0,
        waiting_frames: 3,
    }
}

#[test]
fn counts_are_added_behind_the_fence_only() {
    run(async {
        let (database, mut client) = database("ledger", Storage::Native).await;
        let stream = open_streams(&client, "bus", &[("syslog".into(), 0)])
            .await
            .expect("a stream")[0]
            .id;
        let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
        let batch = Batch::new(PlausibleTime::default());
        let exporter = ip("192.0.2.1");
        for (expected, next, fenced) in [(-1, 5, false), (-1, 5, true), (5, 9, false)] {
            let advance = Advance {
                stream,
                expected,
                next,
                ..Advance::default()
            };
            let cells = vec![
                added(exporter, "taken", 10),
                added(ip("2001:db8::1"), "taken", 1),
                added(exporter, "stored", 9),
            ];
            let changes = Changes::new(cells, vec![life(MINUTE + next, false)]);
            let encoded = Encoder::new().encode(&batch, vec![advance]).with_ledger(changes);
            writer.copy(&encoded).await.expect("copied");
            let committed = writer.commit(&encoded).await;
            assert_eq!(matches!(committed, Err(CommitError::Fenced { .. })), fenced);
        }
        let page = read(&mut client, &ALL).await.expect("read");
        let counts: Vec<_> = page
            .cells
            .iter()
            .map(|counted| (counted.exporter, counted.cell.as_str(), counted.count))
            .collect();
        assert_eq!(
            counts,
            [
                (exporter, "stored", 18),
                (exporter, "taken", 20),
                (ip("2001:db8::1"), "taken", 2)
            ]
        );
        assert_eq!(page.lives.len(), 1);
        let life = &page.lives[0];
        assert_eq!(
            (life.life, life.heard_ns, life.ended_ns),
            (u64::MAX, (MINUTE + 9) / 1000 * 1000, None)
        );
    });
}

#[test]
fn no_count_is_too_large_and_a_last_word_stays() {
    run(async {
        let (database, mut client) = database("ledger", Storage::Native).await;
        let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
        let batch = Batch::new(PlausibleTime::default());
        let nobody = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        // The last word, and then what an older page says that comes again.
        for (heard, ended) in [(2000, false), (9000, true), (5000, false)] {
            let cell = Added {
                life: u64::MAX,
                ..added(nobody, "framed", i64::MAX - 1)
            };
            let changes = Changes::new(vec![cell], vec![life(MINUTE + heard, ended)]);
            let encoded = Encoder::new().encode(&batch, Vec::new()).with_ledger(changes);
            writer.copy(&encoded).await.expect("copied");
            writer.commit(&encoded).await.expect("committed");
        }
        let page = read(&mut client, &ALL).await.expect("read");
        assert_eq!(page.cells[0].count, i64::MAX);
        let life = &page.lives[0];
        assert_eq!(life.ended_ns, Some(MINUTE + 9000));
        assert_eq!(life.totals, [("framed".to_owned(), i64::MAX)]);
    });
}

#[test]
fn old_minutes_are_dropped_and_the_others_stay() {
    run(async {
        let (_database, mut client) = database("ledger", Storage::Native).await;
        client
            .execute(
                "INSERT INTO natrail.ledger
                 SELECT date_trunc('minute', now()) - make_interval(days => age), 0, '192.0.2.1', 'taken', 1
                 FROM generate_series(0, 2 * $1::int4) AS age",
                &[&retention::KEPT_DAYS],
            )
            .await
            .expect("inserted");
        let dropped = retention::drop_old(&client).await.expect("dropped");
        let kept = read(&mut client, &ALL).await.expect("read").cells.len() as u64;
        let days = u64::from(retention::KEPT_DAYS.unsigned_abs());
        // The minute itself is between the two.
        assert!(kept == days || kept == days + 1, "{kept}");
        assert_eq!(dropped + kept, 2 * days + 1);
    });
}
