//! What does not come by AF_XDP, and what does not come at all.

use wire::packet::samples::PlainFrame;

use crate::setup::{Link, RECEIVER, Running, SENDER, SYSLOG, Setup, ip};

const UNVERIFIED: &str = "ring_entries = 2048\nframes = 4096\nverify_checksums = false";

fn bad_checksums(running: &Running) -> u64 {
    running.af_xdp().sum(|thread| &thread.bad_checksums)
}

fn send(link: &Link, from: &str, to: &str, count: usize, octets: usize) {
    let socket = link.sending(from, 0);
    for _ in 0..count {
        socket
            .send_to(&vec![b'x'; octets], (ip(to), SYSLOG))
            .expect("sends");
    }
}

#[test]
fn wrong_checksums_are_dropped_and_counted_unless_nobody_looks() {
    let link = Link::new();
    let good = SENDER.into_iter().zip(RECEIVER).map(|(from, to)| {
        PlainFrame {
            port: SYSLOG,
            ..PlainFrame::new(ip(from), ip(to))
        }
        .build()
    });
    let good: Vec<_> = good.collect();
    let mut frames = good.clone();
    for frame in &good {
        let mut payload = frame.clone();
        *payload.last_mut().expect("octets") ^= 4;
        frames.push(payload);
    }
    // Hop limit of IPv4, which its header's checksum is for; no checksum over IPv4, which is none; the same over IPv6.
    let mut header = good[0].clone();
    header[14 + 8] ^= 1;
    let (mut none_v4, mut none_v6) = (good[0].clone(), good[1].clone());
    none_v4[34 + 6..34 + 8].fill(0);
    none_v6[54 + 6..54 + 8].fill(0);
    frames.extend([header, none_v4, none_v6]);

    let running = link.start(&Setup::default());
    link.send_frames(&frames);
    running.wait_received(frames.len() as u64);
    let counts = running.collector.counts();
    assert_eq!(
        (counts.framed, counts.malformed, bad_checksums(&running)),
        (3, 4, 4)
    );
    let _ = running.stop();

    let running = link.start(&Setup {
        af_xdp: UNVERIFIED,
        ..Setup::default()
    });
    link.send_frames(&frames);
    running.wait_received(frames.len() as u64);
    assert_eq!(
        (running.collector.counts().framed, bad_checksums(&running)),
        (7, 0)
    );
    let _ = running.stop();
}

/// As docs/af-xdp.md says: a sender on the same machine leaves checksums to hardware that is not there.
#[test]
fn checksums_that_a_local_sender_left_out_are_wrong_ones() {
    let link = Link::with_partial_checksums();
    let running = link.start(&Setup::default());
    send(&link, SENDER[0], RECEIVER[0], 10, 50);
    running.wait_received(10);
    assert_eq!(
        (running.collector.counts().malformed, bad_checksums(&running)),
        (10, 10)
    );
    let _ = running.stop();

    let running = link.start(&Setup {
        af_xdp: UNVERIFIED,
        ..Setup::default()
    });
    send(&link, SENDER[0], RECEIVER[0], 10, 50);
    running.wait_received(10);
    assert_eq!(running.collector.counts().framed, 10);
    let _ = running.stop();
}

#[test]
fn fragments_and_what_is_larger_than_a_frame_come_by_sockets() {
    let link = Link::new();
    let running = link.start(&Setup::default());
    for (from, to) in SENDER.into_iter().zip(RECEIVER) {
        send(&link, from, to, 5, 4000);
    }
    running.wait_received(10);
    assert_eq!((running.collector.counts().framed, running.by_af_xdp()), (10, 0));
    assert!(running.verdict("fragment") >= 30);
    let _ = running.stop();

    for namespace in [&link.sender, &link.receiver] {
        namespace
            .ip(&["link", "set", "eth0", "mtu", "3000"])
            .expect("mtu");
    }
    let running = link.start(&Setup::default());
    // Ethernet, IPv4 and UDP headers are 42 octets; a frame of 2048 has room for 1792.
    send(&link, SENDER[0], RECEIVER[0], 5, 1792 - 42);
    send(&link, SENDER[0], RECEIVER[0], 5, 1792 - 41);
    send(&link, SENDER[0], RECEIVER[0], 5, 2900);
    running.wait_received(15);
    assert_eq!(running.collector.counts().framed, 15);
    assert_eq!(
        (running.verdict("redirected"), running.verdict("accepted")),
        (5, 10)
    );
    assert_eq!(running.by_af_xdp(), 5);
    let lengths = running.stop().kept().into_iter().map(|kept| kept.payload.len());
    assert_eq!(lengths.sum::<usize>(), 5 * (1750 + 1751 + 2900));
}

#[test]
fn strangers_are_dropped_before_they_cost_a_frame() {
    let link = Link::new();
    let running = link.start(&Setup::default());
    link.sender
        .add_addresses("eth0", &["203.0.113.2/24"])
        .expect("address");
    link.receiver
        .add_addresses("eth0", &["203.0.113.1/24"])
        .expect("address");
    send(&link, "203.0.113.2", "203.0.113.1", 7, 50);
    send(&link, SENDER[0], RECEIVER[0], 1, 50);
    running.wait_received(1);
    assert_eq!(
        (running.verdict("not_allowed"), running.verdict("redirected")),
        (7, 1)
    );
    assert_eq!(running.stop().kept().len(), 1);
}
