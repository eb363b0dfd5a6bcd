//! A migrated database for one test, and short ways to write events.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::future::Future;
use std::net::IpAddr;

use event::{Action, Batch, Event, Kind, Origin};
use harness::database::Database;
use store::ingest::{Advance, Encoder, Writer};
use store::{Storage, connect, migrate};
use tokio_postgres::Client;

/// Runs a test on a runtime of its own.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// A database with the schema, and a connection to it.
pub async fn database(tag: &str, storage: Storage) -> (Database, Client) {
    let database = Database::new(tag).expect("a database");
    let mut client = connect::connect(&database.url()).await.expect("connected");
    let report = migrate::migrate(&mut client, Some(storage))
        .await
        .expect("migrated");
    assert_eq!(report.storage, storage);
    (database, client)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// 2026-03-01T12:00:00Z plus seconds, in ns.
pub fn at(seconds: f64) -> i64 {
    1_772_366_400_000_000_000 + (seconds * 1e9) as i64
}

/// An event of `kind` from 10.0.0.1 behind 203.0.113.1.
pub fn event(kind: Kind, action: Action) -> Event<'static> {
    Event::new(kind, action, ip("10.0.0.1"), Some(ip("203.0.113.1")))
}

/// Stores a batch without moving a stream.
pub async fn store(database: &Database, batch: &Batch) {
    store_with(database, batch, Vec::new()).await;
}

pub async fn store_with(database: &Database, batch: &Batch, advances: Vec<Advance>) {
    let client = connect::connect(&database.url()).await.expect("connected");
    let mut writer = Writer::new(client);
    let encoded = Encoder::new().encode(batch, advances);
    writer.copy(&encoded).await.expect("copied");
    writer.commit(&encoded).await.expect("committed");
    writer.summarise(&encoded).await.expect("summarised");
}

pub fn origin(offset: i64, index: i32) -> Origin {
    Origin {
        stream: 1,
        offset,
        index,
    }
}

pub async fn count(client: &Client, what: &str) -> i64 {
    client
        .query_one(&format!("SELECT count(*) FROM {what}"), &[])
        .await
        .expect("counted")
        .get(0)
}
