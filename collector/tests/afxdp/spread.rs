//! Which thread gets what.

use crate::setup::{Link, NETFLOW, RECEIVER, Running, SENDER, SYSLOG, Setup, ip};

fn start(link: &Link, spread: &str) -> Running {
    let syslog = format!("spread = \"{spread}\"");
    let cores = if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        "[0, 1]"
    } else {
        "[0, 0]"
    };
    link.start(&Setup {
        cores,
        syslog: &syslog,
        ..Setup::default()
    })
}

/// Sends `each` datagrams from every one of `ports` source ports. Gives what each thread took of them.
fn send(link: &Link, running: &Running, listener: u16, ports: u16, each: u64) -> [u64; 2] {
    let packets = || {
        let threads = &running.af_xdp().threads;
        assert_eq!(threads.len(), 2);
        [threads[0].packets.get(), threads[1].packets.get()]
    };
    let before = packets();
    for port in 0..ports {
        let socket = link.sending(SENDER[0], 41_000 + port);
        for number in 0..each {
            socket
                .send_to(&number.to_ne_bytes(), (ip(RECEIVER[0]), listener))
                .expect("sends");
        }
    }
    running.wait_received(before[0] + before[1] + u64::from(ports) * each);
    let after = packets();
    let taken = [after[0] - before[0], after[1] - before[1]];
    assert_eq!(taken[0] + taken[1], u64::from(ports) * each, "all by AF_XDP");
    taken
}

#[test]
fn one_source_port_is_spread_over_all_threads_in_turns() {
    let link = Link::new();
    let running = start(&link, "datagram");
    let taken = send(&link, &running, SYSLOG, 1, 1024);
    assert_eq!(taken, [512, 512]);
    let mut numbers: Vec<_> = running
        .stop()
        .kept()
        .into_iter()
        .map(|kept| kept.payload)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 1024);
}

#[test]
fn a_flow_stays_with_a_thread_and_flows_are_spread() {
    let link = Link::new();
    let running = start(&link, "off");
    let taken = send(&link, &running, SYSLOG, 1, 200);
    assert!(taken.contains(&200), "{taken:?}");
    let taken = send(&link, &running, SYSLOG, 64, 3);
    assert!(taken.iter().all(|&taken| taken >= 30), "{taken:?}");
    let _ = running.stop();
}

#[test]
fn an_exporter_of_netflow_stays_with_a_thread_whatever_its_ports() {
    let link = Link::new();
    let running = start(&link, "datagram");
    let taken = send(&link, &running, NETFLOW, 32, 5);
    assert!(taken.contains(&160), "{taken:?}");
    let _ = running.stop();
}
