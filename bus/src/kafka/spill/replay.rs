//! The thread that gives the disk's frames to Kafka, at a bounded rate, and what else has to be done now and then.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::lane::From;
use super::{Shared, State, take_back};
use crate::log::cursor::Read;

/// Longest sleep.
const NAP: Duration = Duration::from_millis(50);
/// Sleep while Kafka takes nothing.
const REST: Duration = Duration::from_millis(10);
/// How often bounds, free space and files are looked at.
const MAINTAIN: Duration = Duration::from_secs(1);
/// How often the position is noted on the disk.
const PUBLISH: Duration = Duration::from_millis(200);
/// How often replaying is said.
const SAY: Duration = Duration::from_secs(10);
/// What may be sent at once after a pause, as a part of what may be sent in a second.
const BURST: u64 = 10;

/// Runs until it is told to stop.
pub fn run(shared: &Arc<Shared>) {
    let mut budget = Budget::new(shared.replay_bytes_per_s);
    let (mut maintained, mut published, mut synced, mut said) =
        (Instant::now(), Instant::now(), Instant::now(), Instant::now());
    let mut was_busy = false;
    while !shared.stop.load(Ordering::Acquire) {
        let state = shared.lock();
        let busy = state.lanes.iter().any(|lane| !lane.is_direct());
        let nap = if busy { REST } else { NAP };
        let (mut state, _) = shared
            .wake
            .wait_timeout(state, nap)
            .unwrap_or_else(PoisonError::into_inner);
        if maintained.elapsed() >= MAINTAIN {
            maintained = Instant::now();
            maintain(shared, &mut state);
        }
        let publish = published.elapsed() >= PUBLISH;
        if publish {
            published = Instant::now();
            for lane in &mut state.lanes {
                if let Err(error) = lane.publish() {
                    tracing::debug!("spill's position not noted: {error}");
                }
            }
        }
        let renew = state.is_dead && !state.is_closed;
        let producer = if renew { state.producer.take() } else { None };
        state.is_giving_back = producer.is_some();
        let rests = state.is_closed || state.is_paused;
        drop(state);
        if let Some(producer) = producer {
            tracing::error!("Kafka producer stopped; a new one sends again what was not acknowledged");
            take_back(producer);
            shared.lock().is_giving_back = false;
        }
        if renew {
            make_producer(shared);
        }
        let due = shared.sync == config::Sync::Always || synced.elapsed() >= shared.sync_interval;
        if due {
            synced = Instant::now();
            shared.sync();
        }
        if rests || !shared.gate.is_open() {
            continue;
        }
        budget.refill(Instant::now());
        let places = shared.places.len();
        let mut any = false;
        for place in 0..places {
            any |= lane(shared, place, &mut budget);
        }
        if any && said.elapsed() >= SAY {
            said = Instant::now();
            let waiting = waiting(shared);
            tracing::info!("giving the spill to Kafka: {waiting} frames wait on the disk");
        }
        let busy = shared.lock().lanes.iter().any(|lane| !lane.is_direct());
        if was_busy && !busy {
            tracing::info!("the spill is empty: frames go to Kafka directly again");
        }
        was_busy = busy;
    }
}

fn waiting(shared: &Shared) -> u64 {
    let state = shared.lock();
    let Some(writer) = &state.writer else { return 0 };
    state.lanes.iter().map(|lane| lane.waiting(writer)).sum()
}

fn maintain(shared: &Shared, state: &mut State) {
    let result = match &mut state.writer {
        Some(writer) => writer.maintain(),
        None => shared.try_open_disk(state).map_err(Into::into),
    };
    if let Err(error) = result {
        shared.complain(&error);
    }
}

fn make_producer(shared: &Arc<Shared>) {
    match shared.make_producer() {
        Ok(producer) => {
            let mut state = shared.lock();
            if !state.is_closed {
                state.producer = Some(producer);
                state.is_dead = false;
            }
        }
        Err(error) => tracing::error!("cannot make a new Kafka producer: {error}; tries again"),
    }
}

/// Gives frames of one stream to Kafka, the oldest first, as long as it takes them. True if it took any.
fn lane(shared: &Shared, place: usize, budget: &mut Budget) -> bool {
    let mut any = false;
    while send_came_back(shared, place) {
        any = true;
    }
    if shared.lock().lanes[place].has_came_back() {
        return any;
    }
    while budget.allows() {
        match send_from_disk(shared, place) {
            Sent::Bytes(bytes) => {
                budget.spend(bytes);
                any = true;
            }
            Sent::Skipped => {}
            Sent::Nothing => break,
        }
    }
    any
}

fn send_came_back(shared: &Shared, place: usize) -> bool {
    let mut state = shared.lock();
    let Some((ticket, frame, datagrams)) = state.lanes[place].take_came_back() else {
        return false;
    };
    if shared.offer(&mut state, place, From::Retry(ticket), &frame, datagrams) {
        return true;
    }
    state.lanes[place].put_came_back(ticket, frame, datagrams);
    false
}

enum Sent {
    Bytes(usize),
    /// Frames that are gone from the disk.
    Skipped,
    Nothing,
}

/// Gives the next frame on the disk to Kafka. It is read without holding up whoever sends.
fn send_from_disk(shared: &Shared, place: usize) -> Sent {
    let mut cursor = {
        let mut state = shared.lock();
        let stream = state.lanes[place].stream();
        let idle = state.lanes[place].is_idle();
        let Some(backlog) = state.lanes[place].backlog_mut() else {
            return Sent::Nothing;
        };
        if backlog.rewind {
            if !idle {
                // The others come back as well, first.
                return Sent::Nothing;
            }
            if let Err(error) = backlog.go_back(&shared.root, stream) {
                shared.complain(&error.into());
                return Sent::Nothing;
            }
        }
        match backlog.cursor.take() {
            Some(cursor) => cursor,
            None => return Sent::Nothing,
        }
    };
    cursor.look_around();
    let read = cursor.read();
    let mut state = shared.lock();
    let under_way = !state.lanes[place].is_idle();
    let sent = match read {
        Ok(Read::Record(found)) => {
            let offset = found.header.offset;
            let payload = cursor.payload(&found);
            let (bytes, datagrams) = (payload.len(), found.header.datagrams);
            if shared.offer(&mut state, place, From::Disk { offset }, payload, datagrams) {
                Sent::Bytes(bytes)
            } else {
                cursor.unread(&found);
                Sent::Nothing
            }
        }
        Ok(Read::Lost(missing, why)) => {
            tracing::error!(
                "spill: {} frames of {} are not on the disk any more ({why:?})",
                missing.end - missing.start,
                state.lanes[place].stream()
            );
            if let Some(backlog) = state.lanes[place].backlog_mut() {
                backlog.skip_to(missing.end, under_way);
            }
            Sent::Skipped
        }
        Ok(Read::End) => {
            finish(shared, &mut state, place, cursor.next_offset());
            Sent::Nothing
        }
        Err(error) => {
            shared.complain(&error.into());
            Sent::Nothing
        }
    };
    if let Some(backlog) = state.lanes[place].backlog_mut() {
        backlog.cursor = Some(cursor);
    }
    sent
}

/// Everything on the disk was given to Kafka: the detour ends when all of it is acknowledged.
fn finish(shared: &Shared, state: &mut State, place: usize, read_to: i64) {
    let State { writer, lanes, .. } = state;
    let Some(writer) = writer else { return };
    let lane = &mut lanes[place];
    let end = writer.end_offset(lane.stream()).unwrap_or(0);
    if read_to < end {
        return;
    }
    let idle = lane.is_idle();
    if let Some(backlog) = lane.backlog_mut() {
        // Offsets that jumped over have no frames.
        backlog.skip_to(end, !idle);
    }
    match lane.end_backlog(writer) {
        Ok(true) => {}
        Ok(false) => lane.hold(),
        Err(error) => shared.complain(&error.into()),
    }
}

/// How much may be sent now.
struct Budget {
    bytes_per_s: u64,
    left: i64,
    at: Instant,
}

impl Budget {
    fn new(bytes_per_s: u64) -> Self {
        Self {
            bytes_per_s,
            left: 0,
            at: Instant::now(),
        }
    }

    fn refill(&mut self, now: Instant) {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * self.bytes_per_s as f64;
        self.at = now;
        let most = (self.bytes_per_s / BURST).max(1) as i64;
        self.left = (self.left + more as i64).min(most);
    }

    fn allows(&self) -> bool {
        self.left > 0
    }

    fn spend(&mut self, bytes: usize) {
        self.left -= bytes as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pause_buys_a_short_burst_only() {
        let mut budget = Budget::new(1000);
        let later = budget.at + Duration::from_mins(1);
        assert!(!budget.allows(), "nothing before time has passed");
        budget.refill(later);
        let mut sent = 0;
        while budget.allows() {
            budget.spend(30);
            sent += 30;
        }
        assert_eq!(
            sent, 120,
            "a tenth of a second's worth, and the frame that goes beyond"
        );
        // What went beyond is paid back first.
        budget.refill(later + Duration::from_millis(20));
        assert!(!budget.allows());
        budget.refill(later + Duration::from_millis(30));
        assert!(budget.allows());
    }
}
