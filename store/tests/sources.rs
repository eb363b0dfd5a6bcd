//! The sources of streams move with the stream, or not at all.

mod common;

use common::{count, database, run};
use event::Batch;
use harness::database::Database;
use store::ingest::{Advance, Encoder, SourceState, StreamState, Writer, open_streams};
use store::{CommitError, Storage, connect};
use tokio_postgres::Client;

fn source(source: u64, next_sequence: u64) -> SourceState {
    SourceState {
        source,
        next_sequence,
    }
}

/// Moves a stream by one frame, with these sources.
fn step(stream: &StreamState, sources: &[SourceState], forgotten: &[u64]) -> Advance {
    Advance {
        stream: stream.id,
        expected: stream.next_offset,
        next: stream.next_offset.max(0) + 1,
        sources: sources.to_vec(),
        forgotten: forgotten.to_vec(),
        ..Advance::default()
    }
}

async fn commit(database: &Database, advances: Vec<Advance>) -> Result<(), CommitError> {
    let mut writer = Writer::new(connect::connect(&database.url()).await.expect("connected"));
    let batch = Encoder::new().encode(&Batch::default(), advances);
    writer.copy(&batch).await.expect("copied");
    writer.commit(&batch).await
}

async fn open(client: &Client) -> Vec<StreamState> {
    let names = [("a".to_owned(), 0), ("a".to_owned(), 1)];
    let mut states = open_streams(client, "kafka", &names).await.expect("opened");
    for state in &mut states {
        state.sources.sort_by_key(|state| state.source);
    }
    states
}

#[test]
fn each_stream_has_its_own_and_a_refused_batch_changes_none() {
    run(async {
        let (database, client) = database("sources", Storage::Native).await;
        let first = open(&client).await;
        assert!(first.iter().all(|stream| stream.sources.is_empty()));
        // Any 64 bits, in both numbers; the same source on two streams.
        let (far, all) = (source(u64::MAX, 0), source(0, u64::MAX));
        let advances = vec![
            step(&first[0], &[all, far], &[]),
            step(&first[1], &[source(0, 4), source(8, 1)], &[]),
        ];
        commit(&database, advances).await.expect("committed");
        let second = open(&client).await;
        assert_eq!(second[0].sources, [all, far]);
        assert_eq!(second[1].sources, [source(0, 4), source(8, 1)]);

        // The second stream of the batch is not where it says.
        let stale = vec![
            step(&second[0], &[source(0, 1), source(5, 5)], &[u64::MAX]),
            step(&first[1], &[source(8, 2)], &[0]),
        ];
        let refused = commit(&database, stale).await;
        assert!(matches!(refused, Err(CommitError::Fenced { .. })), "{refused:?}");
        assert_eq!(open(&client).await, second);

        // One is forgotten, one is forgotten and comes back, one is moved, one is left alone.
        let advances = vec![
            step(&second[0], &[source(0, 7)], &[u64::MAX, 0]),
            step(&second[1], &[source(8, 2)], &[]),
        ];
        commit(&database, advances).await.expect("committed");
        let third = open(&client).await;
        assert_eq!(third[0].sources, [source(0, 7)]);
        assert_eq!(third[1].sources, [source(0, 4), source(8, 2)]);
    });
}

#[test]
fn the_one_seen_last_is_at_the_end() {
    run(async {
        let (database, client) = database("seen", Storage::Native).await;
        let names = [("a".to_owned(), 0)];
        let state = async || {
            let states = open_streams(&client, "kafka", &names).await.expect("opened");
            states.into_iter().next().expect("one stream")
        };
        for number in [5, 3, 9, 3] {
            let advance = step(&state().await, &[source(number, 1)], &[]);
            commit(&database, vec![advance]).await.expect("committed");
        }
        let order: Vec<u64> = state().await.sources.iter().map(|one| one.source).collect();
        assert_eq!(order, [5, 9, 3]);
    });
}

#[test]
fn sources_go_with_their_stream_and_a_full_total_stays_full() {
    run(async {
        let (database, client) = database("cascade", Storage::Native).await;
        for duplicates in [1, 2] {
            let states = open(&client).await;
            let advance = Advance {
                duplicate_frames: duplicates,
                missing_frames: i64::MAX,
                ..step(&states[0], &[source(1, 1)], &[])
            };
            commit(&database, vec![advance]).await.expect("committed");
        }
        let status = store::status::status(&client).await.expect("status");
        let totals = (
            status.streams[0].duplicate_frames,
            status.streams[0].missing_frames,
        );
        assert_eq!(totals, (3, i64::MAX));
        assert_eq!(count(&client, "natrail.stream_source").await, 1);
        client
            .batch_execute("DELETE FROM natrail.stream")
            .await
            .expect("deleted");
        assert_eq!(count(&client, "natrail.stream_source").await, 0);
    });
}
