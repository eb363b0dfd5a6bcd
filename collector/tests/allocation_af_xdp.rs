//! The same by AF_XDP. Alone in its program too. Needs root.

mod common;
#[path = "common/counting.rs"]
mod counting;
#[path = "afxdp/setup.rs"]
#[allow(dead_code, reason = "it is there for the tests of AF_XDP")]
mod setup;

use std::sync::Arc;

use counting::{Counting, Discard, wants_no_allocation};
use setup::{Link, RECEIVER, SENDER, SYSLOG, Setup, ip};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn nothing_is_allocated_while_packets_become_frames() {
    let link = Link::new();
    let discard = Arc::new(Discard::default());
    let setup = Setup {
        collector: "frame_bytes = 66000",
        // Room for a third of a second, should the machine have other work.
        af_xdp: "ring_entries = 32768\nframes = 65536",
        ..Setup::default()
    };
    let running = link.start_with(&setup, Arc::clone(&discard) as _);
    let socket = link.sending(SENDER[0], 0);
    socket.connect((ip(RECEIVER[0]), SYSLOG)).expect("connects");
    wants_no_allocation(&running.collector.view(), &discard, || {
        socket.send(&[0; 500]).expect("sends");
    });
    assert_eq!(running.by_af_xdp(), 60_000);
    running.stop();
}
