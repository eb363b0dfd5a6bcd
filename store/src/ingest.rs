//! Streams, and the transaction of rows and offsets.
//!
//! A stream's row in `natrail.stream` holds the next offset to take. A batch's rows and the step of its streams are one
//! transaction, and the step is made only if the stream still is where the worker believes it to be. A worker that lost
//! its partition without noticing therefore commits nothing, and a repeated batch is refused: rows are stored exactly once.
//! What is known of the sources of a stream's frames moves in the same transaction, and so does the ledger.

use std::collections::HashMap;

use futures_util::SinkExt as _;
use tokio_postgres::{Client, Statement};

use crate::buffer::Segment;
pub use crate::encode::{EncodedBatch, Encoder};
use crate::ledger::{self, Changes};
use crate::partition::Partitions;
use crate::sources::{self, Statements};
pub use crate::sources::{SOURCES_MAX, SourceState};
use crate::{CommitError, StoreError};
use crate::{flow, layout};

/// A stream as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Number of the stream, for [`event::Origin::stream`] and [`Advance::stream`].
    pub id: i32,
    /// Offset of the next frame to take; -1 if none was taken yet.
    pub next_offset: i64,
    /// The sources of its frames, the one seen last at the end.
    pub sources: Vec<SourceState>,
}

/// What a transaction moves a stream by. The counters are added to the stream's totals in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    pub stream: i32,
    /// Where the stream has to be: the fence.
    pub expected: i64,
    /// Where it is afterwards.
    pub next: i64,
    pub frames: i64,
    /// Datagrams of the frames that were not taken before.
    pub datagrams: i64,
    pub events: i64,
    /// Datagrams that decode to no event and no error.
    pub ignored: i64,
    pub dead_letters: i64,
    /// Dead letters that gave events as well: one of several records is cut off or wrong.
    pub partly: i64,
    /// Records that are no frame.
    pub bad_frames: i64,
    /// Frames that had been taken before.
    pub duplicate_frames: i64,
    /// Frames that their source numbered and that never came.
    pub missing_frames: i64,
    /// The sources that the batch's frames are of, each once.
    pub sources: Vec<SourceState>,
    /// Sources that were pushed out by others. What is also in `sources` is kept.
    pub forgotten: Vec<u64>,
}

/// Registers streams (topic, partition) of `bus` where they are new, and gives number and position of each, in the given order.
pub async fn open_streams(
    client: &Client,
    bus: &str,
    streams: &[(String, i32)],
) -> Result<Vec<StreamState>, StoreError> {
    let topics: Vec<&str> = streams.iter().map(|(topic, _)| topic.as_str()).collect();
    let partitions: Vec<i32> = streams.iter().map(|&(_, partition)| partition).collect();
    client
        .execute(
            "INSERT INTO natrail.stream (bus, topic, partition)
             SELECT $1, asked.topic, asked.partition FROM unnest($2::text[], $3::int4[]) AS asked (topic, partition)
             WHERE NOT EXISTS (SELECT FROM natrail.stream s
                               WHERE s.bus = $1 AND s.topic = asked.topic AND s.partition = asked.partition)
             ON CONFLICT (bus, topic, partition) DO NOTHING",
            &[&bus, &topics, &partitions],
        )
        .await
        .map_err(StoreError::query("registering streams"))?;
    let rows = client
        .query(
            // One statement, one snapshot: sources that do not belong to the position would let repeats through.
            "SELECT topic, partition, id, next_offset,
                    ARRAY (SELECT k.source FROM natrail.stream_source k
                           WHERE k.stream = s.id ORDER BY k.seen_at, k.source),
                    ARRAY (SELECT k.next_sequence FROM natrail.stream_source k
                           WHERE k.stream = s.id ORDER BY k.seen_at, k.source)
             FROM natrail.stream s
             WHERE bus = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::int4[]))",
            &[&bus, &topics, &partitions],
        )
        .await
        .map_err(StoreError::query("reading stream positions"))?;
    let known: HashMap<(String, i32), StreamState> = rows
        .iter()
        .map(|row| {
            (
                (row.get(0), row.get(1)),
                StreamState {
                    id: row.get(2),
                    next_offset: row.get(3),
                    sources: sources::from_columns(&row.get::<_, Vec<i64>>(4), &row.get::<_, Vec<i64>>(5)),
                },
            )
        })
        .collect();
    streams
        .iter()
        .map(|stream| {
            known.get(stream).cloned().ok_or_else(|| {
                StoreError::Schema(format!(
                    "stream {}/{} vanished while it was opened",
                    stream.0, stream.1
                ))
            })
        })
        .collect()
}

/// One database connection that writes batches.
///
/// Two phases, so that a second writer can already COPY while this one commits. Batches of one stream have to be
/// committed in the order of their offsets: the caller sees to that.
///
/// After an error of kind [`StoreError`] the outcome of a commit may be unknown. Open a new connection, ask
/// [`open_streams`] for the positions, and go on from there.
pub struct Writer {
    client: Client,
    copies: [Option<Statement>; 4],
    advance: Option<(Statement, Statement, Statements)>,
    ledger: Option<ledger::write::Statements>,
    flow: Option<flow::Statements>,
    partitions: Partitions,
    /// BEGIN was sent, and neither COMMIT nor ROLLBACK came back.
    in_transaction: bool,
}

impl Writer {
    /// Takes a connection for itself.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            copies: [const { None }; 4],
            advance: None,
            ledger: None,
            flow: None,
            partitions: Partitions::default(),
            in_transaction: false,
        }
    }

    /// The connection, for other statements between batches.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a transaction and copies all rows of the batch. A transaction left open by an error is rolled back first.
    ///
    /// Missing day partitions are made before, in a transaction of their own.
    pub async fn copy(&mut self, batch: &EncodedBatch) -> Result<(), StoreError> {
        self.rollback().await?;
        let copied = self.try_copy(batch).await;
        if copied.is_err() {
            // Retention may have dropped a partition that this writer still believes to be there.
            self.partitions.forget();
            // The first error is the one to report; where the connection is gone, the next call says so too.
            let _ = self.rollback().await;
        }
        copied
    }

    async fn try_copy(&mut self, batch: &EncodedBatch) -> Result<(), StoreError> {
        for part in batch.parts() {
            self.partitions
                .ensure(&mut self.client, part.kind, &part.days)
                .await?;
        }
        self.in_transaction = true;
        self.client
            .batch_execute("BEGIN")
            .await
            .map_err(StoreError::query("opening a transaction"))?;
        for part in batch.parts() {
            let prepared = &mut self.copies[part.kind as usize];
            let statement = match prepared {
                Some(statement) => &*statement,
                None => prepared.insert(
                    self.client
                        .prepare(&layout::copy_statement(part.kind))
                        .await
                        .map_err(StoreError::query("preparing COPY"))?,
                ),
            };
            let sink = self
                .client
                .copy_in::<_, Segment>(statement)
                .await
                .map_err(StoreError::query("starting COPY"))?;
            let mut sink = std::pin::pin!(sink);
            for segment in &part.segments {
                sink.feed(segment.clone())
                    .await
                    .map_err(StoreError::query("sending rows"))?;
            }
            let stored = sink.finish().await.map_err(StoreError::query("storing rows"))?;
            if stored != part.rows as u64 {
                return Err(StoreError::Schema(format!(
                    "the server stored {stored} of {} rows in natrail.{}: does it have a trigger or rule that drops rows?",
                    part.rows,
                    layout::table(part.kind)
                )));
            }
        }
        Ok(())
    }

    /// Moves the streams and commits what [`Self::copy`] sent.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] if a stream is not where the batch expects it: everything is rolled back.
    pub async fn commit(&mut self, batch: &EncodedBatch) -> Result<(), CommitError> {
        if !self.in_transaction {
            return Err(StoreError::Schema("commit without a copied batch".into()).into());
        }
        let mut moved = self.advance_streams(batch.advances()).await;
        if moved.is_ok() {
            moved = self
                .add_to_ledger(batch.ledger())
                .await
                .map_err(CommitError::from);
        }
        if moved.is_ok() {
            moved = self.keep_flow(batch.flow()).await.map_err(CommitError::from);
        }
        if let Err(error) = moved {
            // As in `copy`: the first error is the one to report.
            let _ = self.rollback().await;
            return Err(error);
        }
        self.client
            .batch_execute("COMMIT")
            .await
            .map_err(StoreError::query("committing rows and offsets"))?;
        self.in_transaction = false;
        Ok(())
    }

    async fn advance_streams(&mut self, advances: &[Advance]) -> Result<(), CommitError> {
        if advances.is_empty() {
            return Ok(());
        }
        if self.advance.is_none() {
            self.advance = Some(prepare_advance(&self.client).await?);
        }
        let Some((lock, step, sources)) = &self.advance else {
            unreachable!("prepared above")
        };
        let column = |value: fn(&Advance) -> i64| advances.iter().map(value).collect::<Vec<i64>>();
        let ids: Vec<i32> = advances.iter().map(|advance| advance.stream).collect();
        // Locked in the order of their numbers: two workers that believe in the same streams cannot deadlock.
        let held = self
            .client
            .query(lock, &[&ids])
            .await
            .map_err(StoreError::query("locking stream positions"))?;
        let held: HashMap<i32, i64> = held.iter().map(|row| (row.get(0), row.get(1))).collect();
        for advance in advances {
            let found = held.get(&advance.stream).copied().ok_or_else(|| {
                StoreError::Schema(format!("stream {} is not in natrail.stream", advance.stream))
            })?;
            if found != advance.expected {
                return Err(CommitError::Fenced {
                    stream: advance.stream,
                    expected: advance.expected,
                    found,
                });
            }
        }
        let moved = self
            .client
            .execute(
                step,
                &[
                    &ids,
                    &column(|a| a.expected),
                    &column(|a| a.next),
                    &column(|a| a.frames),
                    &column(|a| a.datagrams),
                    &column(|a| a.events),
                    &column(|a| a.ignored),
                    &column(|a| a.dead_letters),
                    &column(|a| a.bad_frames),
                    &column(|a| a.duplicate_frames),
                    &column(|a| a.missing_frames),
                    &column(|a| a.partly),
                ],
            )
            .await
            .map_err(StoreError::query("moving stream positions"))?;
        if moved != advances.len() as u64 {
            return Err(StoreError::Schema(format!(
                "{moved} of {} streams moved: a stream is named twice in one batch",
                advances.len()
            ))
            .into());
        }
        sources.write(&self.client, advances).await?;
        Ok(())
    }

    /// Behind the fence: a batch that is refused adds nothing.
    async fn add_to_ledger(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let statements = match &mut self.ledger {
            Some(statements) => statements,
            None => self
                .ledger
                .insert(ledger::write::Statements::prepare(&self.client).await?),
        };
        statements.write(&self.client, changes).await
    }

    /// Behind the fence, as well.
    async fn keep_flow(&mut self, changes: &flow::Changes) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let statements = match &mut self.flow {
            Some(statements) => statements,
            None => self.flow.insert(flow::Statements::prepare(&self.client).await?),
        };
        statements.write(&self.client, changes).await
    }

    /// Gives up what [`Self::copy`] sent, if anything.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        if self.in_transaction {
            self.client
                .batch_execute("ROLLBACK")
                .await
                .map_err(StoreError::query("rolling back"))?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// Has BRIN learn about the batch's rows, after its commit: COPY leaves new block ranges unsummarised, and a trace
    /// would have to read them all. May be called for several batches at once by calling it for the last one of each day.
    pub async fn summarise(&mut self, batch: &EncodedBatch) -> Result<(), StoreError> {
        if self.in_transaction {
            return Err(StoreError::Schema(
                "summarise is called between transactions".into(),
            ));
        }
        for part in batch.parts() {
            self.partitions
                .summarise(&self.client, part.kind, &part.days)
                .await?;
        }
        Ok(())
    }
}

async fn prepare_advance(client: &Client) -> Result<(Statement, Statement, Statements), StoreError> {
    let prepare = |sql| async move {
        client
            .prepare(sql)
            .await
            .map_err(StoreError::query("preparing the offset fence"))
    };
    let lock =
        prepare("SELECT id, next_offset FROM natrail.stream WHERE id = ANY ($1) ORDER BY id FOR UPDATE")
            .await?;
    // A hostile frame can make any number of frames missing: that total stops at its end instead of failing.
    let step = prepare(
        "UPDATE natrail.stream s
         SET next_offset = a.next, frames = s.frames + a.frames, datagrams = s.datagrams + a.datagrams,
             events = s.events + a.events, ignored = s.ignored + a.ignored,
             dead_letters = s.dead_letters + a.dead_letters, bad_frames = s.bad_frames + a.bad_frames,
             duplicate_frames = s.duplicate_frames + a.duplicate_frames,
             missing_frames = s.missing_frames + least(a.missing_frames, 9223372036854775807 - s.missing_frames),
             partly = s.partly + a.partly, updated_at = now()
         FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[],
                     $10::int8[], $11::int8[], $12::int8[])
              AS a (id, expected, next, frames, datagrams, events, ignored, dead_letters, bad_frames,
                    duplicate_frames, missing_frames, partly)
         WHERE s.id = a.id AND s.next_offset = a.expected",
    )
    .await?;
    Ok((lock, step, Statements::prepare(client).await?))
}
