//! Once it runs, a collector allocates nothing: not for a datagram, not for a frame.
//!
//! Alone in its program, since the allocator counts for all threads of it.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::sync::Arc;

use collector::Collector;
use counting::{Counting, Discard, wants_no_allocation};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn nothing_is_allocated_while_datagrams_become_frames() {
    let discard = Arc::new(Discard::default());
    let config = common::config("frame_bytes = 66000", &[]);
    let collector = Collector::start(&config, Arc::clone(&discard) as _).expect("starts");
    let socket = common::exporter("127.0.0.1:0", collector.addresses()[0]);
    wants_no_allocation(&collector.view(), &discard, || {
        socket.send(&[0; 500]).expect("sends");
    });
    collector.stop(common::PATIENCE);
}
