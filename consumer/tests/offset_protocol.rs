//! The offset protocol against the real database, with a crash at every step of it.
//!
//! A step is a point at which the writer waits for the server. An attempt is dropped, connections and all, after 0, 1, 2, …
//! steps, until it gets through; then the next batch is attempted in the same way. A crash may or may not have come before
//! the server saw the COMMIT: only the position in the database tells, and that is the point.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;

use event::columns::Origin;
use event::{Action, Batch, Event, Kind};
use harness::database::Database;
use store::CommitError;
use store::ingest::{Advance, EncodedBatch, Encoder, SourceState, StreamState, Writer, open_streams};

const EVENTS_PER_FRAME: i64 = 3;
const FRAMES_PER_BATCH: i64 = 2;
const BATCHES: i64 = 4;
/// A source of which all batches have frames. Above `i64::MAX`: sources are any 64 bits.
const LASTING: u64 = u64::MAX - 1000;

/// The frames `from..from + FRAMES_PER_BATCH` of the stream, as rows: always the same, as the bus gives them.
fn batch(stream: i32, position: i64) -> EncodedBatch {
    let from = position.max(0);
    let mut batch = Batch::default();
    for offset in from..from + FRAMES_PER_BATCH {
        for index in 0..EVENTS_PER_FRAME {
            let inside = IpAddr::from((0x0a00_0000 + offset as u32).to_be_bytes());
            let mut event = Event::new(
                Kind::Session,
                Action::Created,
                inside,
                Some(IpAddr::from([203, 0, 113, 1])),
            );
            event.src_port = Some(index as u16);
            event.x_port = Some((offset * EVENTS_PER_FRAME + index) as u16);
            let origin = Origin {
                stream,
                offset,
                index: index as i32,
            };
            batch.push(
                &event,
                IpAddr::from([192, 0, 2, 1]),
                1_750_000_000_000_000_000,
                origin,
            );
        }
    }
    let advance = Advance {
        stream,
        expected: position,
        next: from + FRAMES_PER_BATCH,
        frames: FRAMES_PER_BATCH,
        datagrams: FRAMES_PER_BATCH * EVENTS_PER_FRAME,
        events: FRAMES_PER_BATCH * EVENTS_PER_FRAME,
        sources: sources_at(from + FRAMES_PER_BATCH),
        forgotten: sources_at(position)
            .iter()
            .skip(1)
            .map(|one| one.source)
            .collect(),
        ..Advance::default()
    };
    Encoder::new().encode(&batch, vec![advance])
}

/// The sources that belong to a position: one that goes on for ever and one that only the last batch's frames are of.
fn sources_at(position: i64) -> Vec<SourceState> {
    if position <= 0 {
        return Vec::new();
    }
    let next_sequence = position as u64;
    [LASTING, LASTING + next_sequence]
        .map(|source| SourceState {
            source,
            next_sequence,
        })
        .to_vec()
}

/// A connection, and the stream's state, whose parts must fit each other whatever went before.
async fn connect(url: &str) -> (Writer, StreamState) {
    let client = store::connect::connect(url).await.expect("connects");
    let states = open_streams(&client, "test", &[("syslog".into(), 0)])
        .await
        .expect("positions");
    let state = states.into_iter().next().expect("one stream");
    assert_eq!(
        state.sources,
        sources_at(state.next_offset),
        "at {}",
        state.next_offset
    );
    (Writer::new(client), state)
}

async fn write(writer: &mut Writer, batch: &EncodedBatch) -> Result<(), CommitError> {
    writer.copy(batch).await?;
    writer.commit(batch).await
}

/// Runs `work` until it has waited `steps` times; `None` if it was not done by then.
async fn crash_after<T>(steps: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut waited = 0;
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waited == steps => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

fn run<T>(tag: &str, storage: store::Storage, test: impl AsyncFnOnce(&str, &Database) -> T) -> T {
    let database = Database::new(tag).expect("database");
    let url = database.url();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let mut client = store::connect::connect(&url).await.expect("connects");
        store::migrate::migrate(&mut client, Some(storage))
            .await
            .expect("schema");
        drop(client);
        test(&url, &database).await
    })
}

fn assert_exactly(database: &Database, frames: i64) {
    let rows = frames * EVENTS_PER_FRAME;
    let integer = |sql: &str| database.integer(sql).expect("an answer");
    assert_eq!(integer("SELECT next_offset FROM natrail.stream"), frames);
    assert_eq!(integer("SELECT count(*) FROM natrail.session"), rows, "rows");
    assert_eq!(
        integer("SELECT count(DISTINCT (frame_offset, frame_index)) FROM natrail.session"),
        rows,
        "different rows"
    );
    assert_eq!(
        integer("SELECT max(frame_offset) FROM natrail.session"),
        frames - 1
    );
    assert_eq!(
        integer("SELECT frames FROM natrail.stream"),
        frames,
        "frames counted"
    );
    assert_eq!(
        integer("SELECT events FROM natrail.stream"),
        rows,
        "events counted"
    );
}

fn crash_everywhere(tag: &str, storage: store::Storage) {
    run(tag, storage, async |url, database| {
        let mut crashes = 0;
        let (mut steps, mut done) = (0, 0);
        while done < BATCHES {
            let (mut writer, state) = connect(url).await;
            let before = state.next_offset.max(0);
            assert_eq!(before % FRAMES_PER_BATCH, 0, "whole batches only");
            match crash_after(steps, write(&mut writer, &batch(state.id, state.next_offset))).await {
                Some(Ok(())) => {
                    done += 1;
                    steps = 0;
                }
                // The COMMIT of the attempt before came through after its position was read.
                Some(Err(CommitError::Fenced { .. })) => {}
                Some(Err(error)) => panic!("{error}"),
                None => {
                    crashes += 1;
                    steps += 1;
                }
            }
        }
        let (_, state) = connect(url).await;
        assert!(
            crashes >= 20,
            "only {crashes} crashes: the protocol has more steps"
        );
        assert_exactly(database, state.next_offset);
        assert!(state.next_offset >= BATCHES * FRAMES_PER_BATCH);
    });
}

#[test]
fn a_crash_at_every_step_loses_and_doubles_nothing_with_timescale() {
    crash_everywhere("crash_ts", store::Storage::Timescale);
}

#[test]
fn a_crash_at_every_step_loses_and_doubles_nothing_with_native_partitions() {
    crash_everywhere("crash_nat", store::Storage::Native);
}

#[test]
fn a_zombie_that_has_copied_commits_nothing() {
    run("zombie", store::Storage::Timescale, async |url, database| {
        let (mut zombie, state) = connect(url).await;
        let stale = batch(state.id, state.next_offset);
        zombie.copy(&stale).await.expect("copies");
        // Its partition goes to another, who stores the same frames and the next ones.
        for _ in 0..2 {
            let (mut owner, state) = connect(url).await;
            write(&mut owner, &batch(state.id, state.next_offset))
                .await
                .expect("the owner commits");
        }
        match zombie.commit(&stale).await {
            Err(CommitError::Fenced {
                expected: -1,
                found: 4,
                ..
            }) => {}
            other => panic!("not fenced: {other:?}"),
        }
        // Nor when it tries again, and it does not hold anybody up.
        assert!(matches!(
            write(&mut zombie, &stale).await,
            Err(CommitError::Fenced { .. })
        ));
        let (mut owner, state) = connect(url).await;
        write(&mut owner, &batch(state.id, state.next_offset))
            .await
            .expect("the owner goes on");
        assert_exactly(database, 6);
    });
}

#[test]
fn batches_of_two_writers_that_commit_out_of_order_are_refused() {
    run("order", store::Storage::Timescale, async |url, database| {
        let ((mut a, state), (mut b, _)) = (connect(url).await, connect(url).await);
        let (first, second) = (batch(state.id, -1), batch(state.id, FRAMES_PER_BATCH));
        a.copy(&first).await.expect("copies");
        b.copy(&second).await.expect("copies beside it");
        assert!(matches!(
            b.commit(&second).await,
            Err(CommitError::Fenced {
                expected: 2,
                found: -1,
                ..
            })
        ));
        a.commit(&first).await.expect("in order");
        write(&mut b, &second).await.expect("in order");
        assert_exactly(database, 4);
    });
}
