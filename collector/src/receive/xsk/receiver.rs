//! One thread's AF_XDP sockets.

use std::sync::Arc;

use super::counters::XskCounters;
use super::datagram::{Reader, Refused, Target};
use super::socket::XskSocket;
use crate::receive::message::Message;

/// The AF_XDP sockets of one thread, one for each queue.
#[derive(Debug)]
pub struct XskReceiver {
    sockets: Vec<Metered>,
    reader: Reader,
    /// Whether this thread counts what all sockets of a queue say alike.
    counts_queues: bool,
    counters: Arc<XskCounters>,
}

#[derive(Debug)]
struct Metered {
    socket: XskSocket,
    /// What was counted of the socket's losses.
    ring_full: u64,
    no_frame: u64,
    invalid_descriptors: u64,
    fill_ring_empty: u64,
}

impl XskReceiver {
    /// `thread`: which of the threads this is, from 0.
    pub fn new(sockets: Vec<XskSocket>, reader: Reader, thread: usize, counters: Arc<XskCounters>) -> Self {
        let meter = |socket| Metered {
            socket,
            ring_full: 0,
            no_frame: 0,
            invalid_descriptors: 0,
            fill_ring_empty: 0,
        };
        Self {
            sockets: sockets.into_iter().map(meter).collect(),
            reader,
            counts_queues: thread == 0,
            counters,
        }
    }

    /// What becomes readable when packets wait.
    pub fn descriptors(&self) -> Vec<i32> {
        self.sockets
            .iter()
            .map(|metered| metered.socket.raw_descriptor())
            .collect()
    }

    /// As many packets in one [`Self::take`] mean that there may be more.
    pub fn turn_packets(&self) -> usize {
        self.sockets
            .iter()
            .map(|metered| metered.socket.take_max())
            .min()
            .unwrap_or(0)
    }

    /// Gives all datagrams that wait to `handle`, of each socket at most as many as its ring holds. Gives back the number
    /// of packets.
    pub fn take(&mut self, mut handle: impl FnMut(Result<(&Target, Message<'_>), Refused>)) -> usize {
        let Self {
            sockets,
            reader,
            counters,
            ..
        } = self;
        reader.read_clocks();
        let mut packets = 0;
        for Metered { socket, .. } in sockets {
            packets += socket.take(|packet| {
                // Before it counts as received: what is received less these came by sockets, at any moment.
                counters.packets.add(1);
                let datagram = packet
                    .map_err(|_| Refused::Malformed)
                    .and_then(|packet| reader.read(packet));
                if matches!(datagram, Err(Refused::Checksum)) {
                    counters.bad_checksums.add(1);
                }
                handle(datagram);
            });
        }
        packets
    }

    /// Counts what was lost since the last call.
    pub fn count_losses(&mut self) {
        let counters = &self.counters;
        let advance = |cell: &crate::counters::Cell, counted: &mut u64, now: u64| {
            cell.add(now.saturating_sub(*counted));
            *counted = now.max(*counted);
        };
        for metered in &mut self.sockets {
            let Ok(now) = metered.socket.statistics() else {
                continue;
            };
            advance(&counters.ring_full, &mut metered.ring_full, now.rx_ring_full);
            advance(&counters.no_frame, &mut metered.no_frame, now.rx_dropped);
            if self.counts_queues {
                let (invalid, empty) = (now.rx_invalid_descs, now.rx_fill_ring_empty_descs);
                advance(
                    &counters.invalid_descriptors,
                    &mut metered.invalid_descriptors,
                    invalid,
                );
                advance(&counters.fill_ring_empty, &mut metered.fill_ring_empty, empty);
            }
        }
    }
}
