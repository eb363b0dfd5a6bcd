//! All connections and how many each source has.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::connection::Connection;
use super::counters::Refusal;
use super::listener::StreamListener;

/// The open connections, each at a place that stays its own.
#[derive(Debug)]
pub struct Table {
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    by_listener: Vec<usize>,
    /// By listener and source; no entry for those without a connection.
    by_source: FxHashMap<(usize, IpAddr), usize>,
}

impl Table {
    /// For so many listeners.
    pub fn new(listeners: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_listener: vec![0; listeners],
            by_source: FxHashMap::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.by_listener.iter().all(|count| *count == 0)
    }

    /// Whether the listener's limits let another connection from `source` in.
    pub fn room(&self, number: usize, listener: &StreamListener, source: IpAddr) -> Result<(), Refusal> {
        let from_source = self.by_source.get(&(number, source)).copied().unwrap_or(0);
        if from_source >= listener.limits.connections_per_source_max {
            Err(Refusal::TooManyFromSource)
        } else if self.by_listener[number] >= listener.limits.connections_max {
            Err(Refusal::TooMany)
        } else {
            Ok(())
        }
    }

    /// Where the next connection will be.
    pub fn next_place(&self) -> usize {
        self.free.last().copied().unwrap_or(self.places.len())
    }

    /// Keeps the connection at [`Self::next_place`].
    pub fn insert(&mut self, connection: Connection) {
        self.by_listener[connection.listener()] += 1;
        *self.by_source.entry(key(&connection)).or_default() += 1;
        match self.free.pop() {
            Some(place) => self.places[place] = Some(connection),
            None => self.places.push(Some(connection)),
        }
    }

    pub fn get(&mut self, place: usize) -> Option<&mut Connection> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Takes the connection out; whoever drops it closes it.
    pub fn remove(&mut self, place: usize) -> Option<Connection> {
        let connection = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.by_listener[connection.listener()] -= 1;
        if let Some(count) = self.by_source.get_mut(&key(&connection)) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&key(&connection));
            }
        }
        Some(connection)
    }

    /// Places of all connections.
    pub fn places(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.places.len()
    }
}

fn key(connection: &Connection) -> (usize, IpAddr) {
    (connection.listener(), connection.peer().ip())
}
