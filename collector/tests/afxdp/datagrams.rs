//! What comes by AF_XDP is what comes by sockets.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use harness::netns::veth;
use wire::packet::samples::PlainFrame;

use crate::common::Kept;
use crate::setup::{Link, NETFLOW, RECEIVER, Running, SENDER, SYSLOG, Setup, ethtool, ip};

/// Sends datagrams of many lengths to both listeners, over IPv4 and IPv6, always the same. Gives their number.
fn send_all(link: &Link) -> u64 {
    let mut sent = 0;
    for (from, to) in SENDER.into_iter().zip(RECEIVER) {
        for (listener, source) in [(SYSLOG, 40_001), (SYSLOG, 40_002), (NETFLOW, 40_003)] {
            let socket = link.sending(from, source);
            let lengths = [0, 1, 2, 3, 18, 19, 150, 700, 701, 1399, 1400];
            for (number, length) in (0..).zip(lengths.into_iter().cycle().take(60)) {
                let mut payload = vec![b'a' + number % 26; length];
                if let Some(first) = payload.first_mut() {
                    *first = number;
                }
                let to = SocketAddr::new(ip(to), listener);
                socket.send_to(&payload, to).expect("sends");
                sent += 1;
            }
        }
    }
    sent
}

/// What was framed, but for the time, sorted.
fn framed(running: Running) -> Vec<Kept> {
    let mut framed = running.stop().kept();
    for kept in &mut framed {
        kept.received_ns = 0;
    }
    framed.sort_by(|a, b| {
        (a.source_port, a.exporter, &a.payload).cmp(&(b.source_port, b.exporter, &b.payload))
    });
    framed
}

#[test]
fn af_xdp_frames_what_sockets_frame() {
    let link = Link::new();
    let cut = "datagram_bytes_max = 1000";
    let by_path = ["socket", "af_xdp"].map(|receive| {
        let running = link.start(&Setup {
            receive,
            collector: cut,
            ..Setup::default()
        });
        let sent = send_all(&link);
        running.wait_received(sent);
        let redirected = if receive == "af_xdp" { sent } else { 0 };
        assert_eq!(running.verdict("redirected"), redirected);
        assert_eq!(running.verdict("accepted"), sent - redirected);
        if receive == "af_xdp" {
            assert_eq!(running.by_af_xdp(), sent);
        }
        let framed = framed(running);
        assert_eq!(framed.len() as u64, sent);
        framed
    });
    let [by_sockets, by_af_xdp] = by_path;
    assert!(by_sockets == by_af_xdp, "{by_sockets:?}\n{by_af_xdp:?}");
}

#[test]
fn the_time_is_when_the_packet_came() {
    let link = Link::new();
    let running = link.start(&Setup::default());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos() as u64
    };
    let socket = link.sending(SENDER[0], 0);
    let mut spans = Vec::new();
    for number in 0..50u8 {
        let before = now();
        socket
            .send_to(&[number], (ip(RECEIVER[0]), SYSLOG))
            .expect("sends");
        spans.push((before, now()));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.wait_received(50);
    let mut kept = running.stop().kept();
    kept.sort_by_key(|kept| kept.payload.clone());
    // On veth, receiving is a part of sending, mostly; the two clocks differ by less than a tick.
    const SLACK_NS: u64 = 10_000_000;
    let within = kept
        .iter()
        .zip(&spans)
        .filter(|(kept, (before, after))| (before - SLACK_NS..=after + SLACK_NS).contains(&kept.received_ns))
        .count();
    assert!(within > 40, "{within} of 50: {kept:?} {spans:?}");
}

/// Tags are in the packets, as with a driver that does not take them off.
#[test]
fn tagged_packets_come_by_af_xdp_too() {
    let link = Link::new();
    let running = link.start(&Setup::default());
    let mut frames = Vec::new();
    for (from, to) in SENDER.into_iter().zip(RECEIVER) {
        for (payload, tags) in [(30, &[0x8100][..]), (31, &[0x88a8]), (32, &[0x88a8, 0x8100])] {
            let plain = PlainFrame::new(ip(from), ip(to));
            frames.push(
                PlainFrame {
                    tags,
                    port: SYSLOG,
                    payload,
                    ..plain
                }
                .build(),
            );
        }
    }
    link.send_frames(&frames);
    running.wait_received(6);
    assert_eq!((running.by_af_xdp(), running.collector.counts().framed), (6, 6));
    let mut lengths: Vec<_> = running
        .stop()
        .kept()
        .iter()
        .map(|kept| kept.payload.len())
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [30, 30, 31, 31, 32, 32]);
}

#[test]
fn every_queue_of_an_interface_has_its_sockets() {
    let link = Link::new();
    for namespace in [&link.sender, &link.receiver] {
        let output = namespace
            .command("ethtool")
            .args(["-L", "eth0", "rx", "2", "tx", "2"])
            .output()
            .expect("ethtool");
        // A veth has as many queues as the machine has CPUs; with one CPU there is nothing to test.
        if !output.status.success() {
            return;
        }
    }
    let running = link.start(&Setup::default());
    assert_eq!(running.af_xdp().queues.len(), 2);
    let sent = send_all(&link);
    running.wait_received(sent);
    assert_eq!(running.by_af_xdp(), sent);
    let _ = running.stop();

    // What comes on a queue without sockets comes by UDP sockets.
    let running = link.start(&Setup {
        af_xdp: "queues = [1]\nring_entries = 2048\nframes = 4096",
        ..Setup::default()
    });
    let sent = send_all(&link);
    running.wait_received(sent);
    assert_eq!(running.verdict("redirected") + running.verdict("accepted"), sent);
    assert_eq!(running.verdict("redirected"), running.by_af_xdp());
    assert_eq!(running.stop().kept().len() as u64, sent);
}

#[test]
fn every_interface_has_its_sockets() {
    let link = Link::new();
    veth(
        (&link.sender, "eth1", &["198.18.0.130/25"]),
        (&link.receiver, "eth1", &["198.18.0.129/25"]),
    )
    .expect("veth");
    ethtool(&link.sender, &["-K", "eth1", "tx", "off"]);
    let running = link.start(&Setup {
        xdp: "interfaces = [\"eth0\", \"eth1\"]",
        ..Setup::default()
    });
    assert_eq!(running.af_xdp().queues.len(), 2);
    for (from, to, count) in [
        ("198.18.0.2", "198.18.0.1", 3),
        ("198.18.0.130", "198.18.0.129", 4),
    ] {
        let socket = link.sending(from, 0);
        for _ in 0..count {
            socket.send_to(b"x", (ip(to), SYSLOG)).expect("sends");
        }
    }
    running.wait_received(7);
    assert_eq!(running.by_af_xdp(), 7);
    let _ = running.stop();
}

#[test]
fn in_generic_mode_it_works_too() {
    let link = Link::new();
    let running = link.start(&Setup {
        xdp: "interfaces = [\"eth0\"]\nmode = \"generic\"",
        ..Setup::default()
    });
    let sent = send_all(&link);
    running.wait_received(sent);
    assert_eq!(
        (running.by_af_xdp(), running.collector.counts().framed),
        (sent, sent)
    );
    let _ = running.stop();
}

/// A veth polls nothing and never sleeps for want of frames; that the settings are taken and harm nothing is all that shows.
#[test]
fn busy_polling_without_wakeups_is_accepted() {
    let link = Link::new();
    let running = link.start(&Setup {
        af_xdp: "ring_entries = 2048\nframes = 4096\nbusy_poll_us = 20\nneed_wakeup = false\nhuge_pages = \"off\"\nzero_copy = \"off\"",
        ..Setup::default()
    });
    let sent = send_all(&link);
    running.wait_received(sent);
    assert_eq!(running.by_af_xdp(), sent);
    let _ = running.stop();
}
