//! Datagrams into frames: one open frame for each stream of a thread.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::Stream;
use wire::frame::{Datagram, FrameBuilder, PayloadKind};
use wire::ledger::Cell;

use crate::counters::ThreadCounters;
use crate::exchange::{Buffer, ClosedFrame, Exchange};

/// One thread's open frames. Allocates nothing after [`Framer::new`].
#[derive(Debug)]
pub struct Framer {
    streams: Vec<OpenStream>,
    /// Where the streams of a kind begin in `streams`, by `PayloadKind as usize`; one for each partition follows.
    bases: [Option<usize>; PayloadKind::ALL.len() + 1],
    partitions: usize,
    frame_age: Duration,
    /// Not before this moment is a frame old enough to be closed; `None` while all are empty.
    next_close: Option<Instant>,
    /// Buffers at hand, the last used on top: it is the one still in the CPU's cache.
    spare: Vec<Buffer>,
    exchange: Arc<Exchange>,
    counters: Arc<ThreadCounters>,
}

#[derive(Debug)]
struct OpenStream {
    stream: Stream,
    kind: PayloadKind,
    /// Random, so that a reader tells this life of the stream from the one before a restart.
    source: u64,
    /// Number of the next frame.
    sequence: u64,
    open: Option<OpenFrame>,
}

#[derive(Debug)]
struct OpenFrame {
    builder: FrameBuilder<Buffer>,
    since: Instant,
}

/// Why a frame is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClosedBy {
    Size,
    Age,
    Stop,
}

impl Framer {
    /// Frames for all partitions of `kinds`, with all buffers of `exchange` that are free now.
    pub fn new(
        kinds: &[PayloadKind],
        partitions: u16,
        frame_age: Duration,
        exchange: Arc<Exchange>,
        counters: Arc<ThreadCounters>,
    ) -> Self {
        let random = RandomState::new();
        let mut bases = [None; PayloadKind::ALL.len() + 1];
        let mut streams = Vec::with_capacity(kinds.len() * usize::from(partitions));
        for &kind in kinds {
            bases[kind as usize] = Some(streams.len());
            for partition in 0..i32::from(partitions) {
                let mut hasher = random.build_hasher();
                hasher.write_usize(streams.len());
                streams.push(OpenStream {
                    stream: Stream {
                        topic: kind.into(),
                        partition,
                    },
                    kind,
                    source: hasher.finish(),
                    sequence: 0,
                    open: None,
                });
            }
        }
        let mut spare = Vec::with_capacity(exchange.buffers());
        exchange.take_back(&mut spare);
        Self {
            streams,
            bases,
            partitions: partitions.into(),
            frame_age,
            next_close: None,
            spare,
            exchange,
            counters,
        }
    }

    /// Appends a datagram to its stream's frame, and closes that frame first if it is full.
    ///
    /// Without a buffer the datagram is dropped and counted. Gives the cell of the ledger that it is in now. `now` may be as old as the batch of the datagram.
    pub fn push(&mut self, kind: PayloadKind, partition: i32, datagram: &Datagram<'_>, now: Instant) -> Cell {
        let Some(place) = self.place(kind, partition) else {
            debug_assert!(false, "no stream for {kind:?} {partition}");
            self.counters.malformed.add(1);
            return Cell::Malformed;
        };
        if let Some(frame) = &mut self.streams[place].open {
            if frame.builder.push(datagram).is_ok() {
                self.count_framed(datagram);
                return Cell::Framed;
            }
            self.close(place, ClosedBy::Size);
        }
        let Some(buffer) = self.buffer() else {
            self.counters.no_buffer.add(1);
            self.counters.dropped_exporters.add(datagram.exporter);
            return Cell::NoBuffer;
        };
        let stream = &mut self.streams[place];
        let mut builder = FrameBuilder::new(buffer, stream.kind, stream.source, stream.sequence);
        let pushed = builder.push(datagram);
        debug_assert!(pushed.is_ok(), "FRAME_BYTES_MIN holds any datagram");
        stream.sequence += 1;
        stream.open = Some(OpenFrame { builder, since: now });
        self.next_close.get_or_insert(now + self.frame_age);
        self.count_framed(datagram);
        Cell::Framed
    }

    /// Whether [`Self::push`] finds a buffer if it needs one. For those who can make their senders wait instead.
    pub fn has_spare(&mut self) -> bool {
        if self.spare.is_empty() {
            self.exchange.take_back(&mut self.spare);
        }
        !self.spare.is_empty()
    }

    /// When [`Self::close_aged`] has something to do; `None` while all frames are empty.
    pub fn next_close(&self) -> Option<Instant> {
        self.next_close
    }

    /// Closes the frames that are old enough. Cheap when none is.
    pub fn close_aged(&mut self, now: Instant) {
        if self.next_close.is_none_or(|at| now < at) {
            return;
        }
        let mut oldest: Option<Instant> = None;
        for place in 0..self.streams.len() {
            let Some(frame) = &self.streams[place].open else {
                continue;
            };
            let since = frame.since;
            if now >= since + self.frame_age {
                self.close(place, ClosedBy::Age);
            } else {
                oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
            }
        }
        self.next_close = oldest.map(|since| since + self.frame_age);
    }

    /// Closes all frames.
    pub fn close_all(&mut self) {
        for place in 0..self.streams.len() {
            self.close(place, ClosedBy::Stop);
        }
        self.next_close = None;
    }

    fn place(&self, kind: PayloadKind, partition: i32) -> Option<usize> {
        let partition = usize::try_from(partition).ok().filter(|p| *p < self.partitions)?;
        Some(self.bases[kind as usize]? + partition)
    }

    fn count_framed(&self, datagram: &Datagram<'_>) {
        self.counters.framed.add(1);
        if datagram.truncated {
            self.counters.truncated.add(1);
        }
    }

    fn buffer(&mut self) -> Option<Buffer> {
        // Those that came back first: they are the ones that are still in the CPU's cache.
        self.exchange.take_back(&mut self.spare);
        self.spare.pop()
    }

    fn close(&mut self, place: usize, closed_by: ClosedBy) {
        let stream = &mut self.streams[place];
        let Some(OpenFrame { builder, .. }) = stream.open.take() else {
            return;
        };
        let datagrams = builder.count();
        let (buffer, bytes) = builder.finish();
        self.exchange.hand_over(ClosedFrame {
            stream: stream.stream,
            buffer,
            bytes,
            datagrams,
        });
        match closed_by {
            ClosedBy::Size => &self.counters.frames_by_size,
            ClosedBy::Age => &self.counters.frames_by_age,
            ClosedBy::Stop => &self.counters.frames_by_stop,
        }
        .add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use wire::frame::{FRAME_BYTES_MIN, Frame};

    fn framer(buffers: usize) -> (Framer, Arc<Exchange>, Arc<ThreadCounters>) {
        let exchange = Arc::new(Exchange::new(buffers, FRAME_BYTES_MIN));
        let counters = Arc::new(ThreadCounters::default());
        let framer = Framer::new(
            &[PayloadKind::Syslog, PayloadKind::Radius],
            2,
            Duration::from_millis(100),
            Arc::clone(&exchange),
            Arc::clone(&counters),
        );
        (framer, exchange, counters)
    }

    fn datagram(payload: &[u8]) -> Datagram<'_> {
        Datagram {
            exporter: IpAddr::from([192, 0, 2, 1]),
            source_port: 1,
            destination_port: 514,
            received_ns: 1,
            truncated: false,
            payload,
        }
    }

    #[test]
    fn frames_close_by_age_each_at_its_own_time() {
        let (mut framer, exchange, counters) = framer(4);
        let start = Instant::now();
        let ms = Duration::from_millis;
        framer.push(PayloadKind::Syslog, 0, &datagram(b"a"), start);
        framer.push(PayloadKind::Radius, 1, &datagram(b"b"), start + ms(60));
        assert_eq!(framer.next_close(), Some(start + ms(100)));
        framer.close_aged(start + ms(99));
        assert_eq!(counters.frames_by_age.get(), 0);
        framer.close_aged(start + ms(100));
        assert_eq!(
            (counters.frames_by_age.get(), framer.next_close()),
            (1, Some(start + ms(160)))
        );
        framer.close_aged(start + ms(160));
        assert_eq!((counters.frames_by_age.get(), framer.next_close()), (2, None));
        let streams: Vec<_> = std::iter::from_fn(|| exchange.next_closed())
            .map(|frame| frame.stream)
            .collect();
        assert_eq!(
            streams,
            [
                Stream {
                    topic: bus::Topic::Syslog,
                    partition: 0
                },
                Stream {
                    topic: bus::Topic::Radius,
                    partition: 1
                }
            ]
        );
    }

    #[test]
    fn without_a_buffer_datagrams_are_counted_and_with_one_again_framed() {
        let (mut framer, exchange, counters) = framer(2);
        let payload = vec![0; 60_000];
        let now = Instant::now();
        for _ in 0..5 {
            framer.push(PayloadKind::Syslog, 0, &datagram(&payload), now);
        }
        assert_eq!((counters.framed.get(), counters.no_buffer.get()), (2, 3));
        let mut sequences = Vec::new();
        while let Some(frame) = exchange.next_closed() {
            sequences.push(Frame::open(frame.bytes()).expect("own frame").sequence());
            exchange.give_back(frame);
        }
        framer.push(PayloadKind::Syslog, 0, &datagram(&payload), now);
        framer.close_all();
        let last = exchange.next_closed().expect("closed");
        sequences.push(Frame::open(last.bytes()).expect("own frame").sequence());
        assert_eq!(sequences, [0, 1, 2], "a dropped datagram takes no number");
        assert_eq!(counters.framed.get(), 3);
    }
}
