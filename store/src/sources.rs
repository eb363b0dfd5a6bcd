//! The sources of a stream's frames, moved in the transaction that moves the stream.

use tokio_postgres::{Client, Statement};

use crate::StoreError;
use crate::ingest::Advance;

/// Sources that are kept for one stream: those that were seen last. A collector has one for each of its threads and
/// streams, and a new one after each start.
pub const SOURCES_MAX: usize = 256;

/// Whose frames a stream had, and how far they were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// As in the frames' header.
    pub source: u64,
    /// Number after the last one taken; 0 after 2^64 - 1.
    pub next_sequence: u64,
}

/// Pairs up what the database has in two columns of the same length.
pub(crate) fn from_columns(sources: &[i64], next_sequences: &[i64]) -> Vec<SourceState> {
    let pairs = sources.iter().zip(next_sequences);
    pairs
        .map(|(source, next)| SourceState {
            source: source.cast_unsigned(),
            next_sequence: next.cast_unsigned(),
        })
        .collect()
}

/// The statements of one connection.
pub(crate) struct Statements {
    remember: Statement,
    forget: Statement,
}

impl Statements {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let prepare = |sql| async move {
            client
                .prepare(sql)
                .await
                .map_err(StoreError::query("preparing the sources of streams"))
        };
        Ok(Self {
            remember: prepare(
                "INSERT INTO natrail.stream_source (stream, source, next_sequence, seen_at)
                 SELECT a.stream, a.source, a.next_sequence, statement_timestamp()
                 FROM unnest($1::int4[], $2::int8[], $3::int8[]) AS a (stream, source, next_sequence)
                 ON CONFLICT (stream, source)
                 DO UPDATE SET next_sequence = excluded.next_sequence, seen_at = excluded.seen_at",
            )
            .await?,
            forget: prepare(
                "DELETE FROM natrail.stream_source s
                 USING unnest($1::int4[], $2::int8[]) AS a (stream, source)
                 WHERE s.stream = a.stream AND s.source = a.source",
            )
            .await?,
        })
    }

    /// Writes the sources of all `advances`, whose streams the open transaction has locked.
    pub(crate) async fn write(&self, client: &Client, advances: &[Advance]) -> Result<(), StoreError> {
        let (mut streams, mut gone) = (Vec::new(), Vec::new());
        for advance in advances {
            streams.extend(advance.forgotten.iter().map(|_| advance.stream));
            gone.extend(advance.forgotten.iter().map(|source| source.cast_signed()));
        }
        // First: a source may be forgotten and come back in one batch.
        if !gone.is_empty() {
            client
                .execute(&self.forget, &[&streams, &gone])
                .await
                .map_err(StoreError::query("forgetting sources of streams"))?;
        }
        let (mut streams, mut sources, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for advance in advances {
            for state in &advance.sources {
                streams.push(advance.stream);
                sources.push(state.source.cast_signed());
                next.push(state.next_sequence.cast_signed());
            }
        }
        if !sources.is_empty() {
            client
                .execute(&self.remember, &[&streams, &sources, &next])
                .await
                .map_err(StoreError::query("moving the sources of streams"))?;
        }
        Ok(())
    }
}
