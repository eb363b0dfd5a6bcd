//! What the thread of the connections counts, beside what every receive thread counts.

use crate::counters::Cell;

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not on the allow-list.
    NotAllowed,
    /// The listener has as many connections as it may.
    TooMany,
    /// The source has as many connections as it may.
    TooManyFromSource,
    /// No descriptor or memory for it now. It waits in the kernel, and each attempt counts.
    NoResources,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer ended it.
    Closed,
    /// It broke.
    Reset,
    /// It brought no whole message for too long.
    Idle,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// What came after the handshake is no TLS.
    Tls,
    /// Octet counting without a count.
    BadCount,
    /// A reload took the peer from the allow-list.
    NotAllowed,
    /// The collector ends.
    Stop,
}

impl Refusal {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::NotAllowed,
        Self::TooMany,
        Self::TooManyFromSource,
        Self::NoResources,
    ];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::TooMany => "too_many",
            Self::TooManyFromSource => "too_many_from_source",
            Self::NoResources => "no_resources",
        }
    }
}

impl Ending {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Closed,
        Self::Reset,
        Self::Idle,
        Self::Handshake,
        Self::Tls,
        Self::BadCount,
        Self::NotAllowed,
        Self::Stop,
    ];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Idle => "idle",
            Self::Handshake => "handshake",
            Self::Tls => "tls",
            Self::BadCount => "bad_count",
            Self::NotAllowed => "not_allowed",
            Self::Stop => "stop",
        }
    }
}

/// Cells of the thread of the connections.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Messages that came over TCP without TLS.
    pub tcp_messages: Cell,
    /// Messages that came over TLS.
    pub tls_messages: Cell,
    /// Messages cut since they were longer than `line_bytes_max`.
    pub cut_long: Cell,
    /// Messages cut since the connection ended in them.
    pub cut_by_end: Cell,
    /// Connections let in.
    pub accepted: Cell,
    /// Times that reading stopped since no frame buffer was free.
    pub pauses: Cell,
    refused: [Cell; Refusal::ALL.len()],
    ended: [Cell; Ending::ALL.len()],
}

impl StreamCounters {
    pub fn refused(&self, refusal: Refusal) -> &Cell {
        &self.refused[refusal as usize]
    }

    pub fn ended(&self, ending: Ending) -> &Cell {
        &self.ended[ending as usize]
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        // Ended ones first: a connection that comes and goes between the two looks is not missing.
        let ended: u64 = self.ended.iter().map(Cell::get).sum();
        self.accepted.get().saturating_sub(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_lists() {
        assert!(Refusal::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Ending::ALL.iter().enumerate().all(|(i, e)| *e as usize == i));
    }
}
