//! The program around AF_XDP: what a thread that stands still costs, how it ends, and why it does not start.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collector::receive::xsk::socket::XskSocket;
use collector::receive::xsk::syscall::{Binding, interface_index};
use collector::receive::xsk::umem::Umem;
use harness::metrics::Metrics;
use harness::process::Process;
use tempfile::TempDir;

use crate::common::PATIENCE;
use crate::setup::{Link, RECEIVER, SENDER, SYSLOG, Setup, ip};

const PROGRAM: &str = env!("CARGO_BIN_EXE_natrail-collector");
const METRICS: &str = "127.0.0.1:9101";

/// A configuration file, and the directory of the frame log and of the program's own log.
struct Files(TempDir);

impl Files {
    fn new(setup: &Setup<'_>) -> Self {
        let files = Self(TempDir::new().expect("a directory"));
        let directory = files.0.path().join("frames");
        let text = format!(
            "{}\n[bus.log]\ndirectory = \"{}\"\n",
            setup.text(),
            directory.display()
        );
        std::fs::write(files.configuration(), text).expect("writes");
        files
    }

    fn configuration(&self) -> PathBuf {
        self.0.path().join("natrail.toml")
    }

    fn run(&self, mut command: Command) -> Process {
        command.arg("--config").arg(self.configuration());
        let log = self.0.path().join("log");
        // What an earlier run said does not count.
        let _ = std::fs::remove_file(&log);
        let mut process = Process::spawn("natrail-collector", &mut command, &log).expect("starts");
        let ready = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("receiving Syslog on "));
        process
            .wait_until(PATIENCE, "it receives", ready)
            .expect("it receives");
        process
    }

    /// Exit code and log of a program that does not start.
    fn refused(&self, mut command: Command) -> (Option<i32>, String) {
        let output = command
            .arg("--config")
            .arg(self.configuration())
            .output()
            .expect("runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

fn with_metrics(af_xdp: &str) -> Setup<'_> {
    Setup {
        af_xdp,
        collector: "metrics = \"127.0.0.1:9101\"",
        ..Setup::default()
    }
}

fn metrics(link: &Link) -> Metrics {
    harness::metrics::get(METRICS.parse().expect("address"), Some(&link.receiver)).expect("metrics")
}

fn redirected(metrics: &Metrics) -> u64 {
    metrics.count("natrail_xdp_packets_total", &[("verdict", "redirected")])
}

fn send(link: &Link, count: u64) {
    let socket = link.sending(SENDER[0], 0);
    for number in 0..count {
        socket
            .send_to(&number.to_ne_bytes(), (ip(RECEIVER[0]), SYSLOG))
            .expect("sends");
    }
}

#[test]
fn what_a_full_ring_loses_is_counted_to_the_packet() {
    const SENT: u64 = 1000;
    const RING: u64 = 64;
    let link = Link::new();
    let files = Files::new(&with_metrics("ring_entries = 64\nframes = 128"));
    let process = files.run(link.receiver.command(PROGRAM));
    process.freeze().expect("freezes");
    send(&link, SENT);
    process.thaw().expect("thaws");
    let taken = |metrics: &Metrics| metrics.count("natrail_collector_af_xdp_packets_total", &[]);
    let dropped = |metrics: &Metrics| metrics.count("natrail_collector_af_xdp_dropped_total", &[]);
    let all = || {
        let now = metrics(&link);
        taken(&now) + dropped(&now) == SENT
    };
    harness::wait_until(PATIENCE, "all to be counted", all)
        .unwrap_or_else(|error| panic!("{error}: {:?}", metrics(&link)));
    let now = metrics(&link);
    assert_eq!(redirected(&now), SENT);
    // What waited when it stood still, and what came before it did.
    assert!((RING..SENT / 2).contains(&taken(&now)), "{now:?}");
    assert_eq!(
        now.count("natrail_collector_datagrams_framed_total", &[]),
        taken(&now)
    );
    assert_eq!(
        now.count(
            "natrail_collector_af_xdp_dropped_total",
            &[("reason", "ring_full")]
        ),
        dropped(&now)
    );
    // It goes on as if nothing had been.
    send(&link, 20);
    harness::wait_until(PATIENCE, "what came later", || {
        taken(&metrics(&link)) == taken(&now) + 20
    })
    .expect("goes on");
    assert_eq!(
        metrics(&link).count("natrail_collector_af_xdp_zero_copy", &[("interface", "eth0")]),
        0
    );
}

#[test]
fn sigterm_takes_what_is_in_the_rings_and_whoever_comes_next_starts_at_once() {
    const SENT: u64 = 3000;
    let link = Link::new();
    let files = Files::new(&with_metrics("ring_entries = 4096\nframes = 8192"));
    for _ in 0..2 {
        let mut process = files.run(link.receiver.command(PROGRAM));
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("status");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        // Part of it waits in the ring while the signal is there.
        process.freeze().expect("freezes");
        send(&link, SENT);
        process.terminate().expect("signals");
        process.thaw().expect("thaws");
        let ended = process.wait(2 * PATIENCE).expect("ends");
        assert!(ended.success(), "{}", process.end_of_log());
        let log = process.log();
        let expected = format!("{SENT} datagrams received, {SENT} framed, 0 dropped");
        assert!(log.contains(&expected) && log.contains("copy mode"), "{log}");
    }
}

/// While datagrams come, the way to AF_XDP ends, the sockets close, and none is lost without a count.
#[test]
fn an_end_under_load_loses_nothing_uncounted() {
    let link = Link::new();
    let running = link.start(&Setup::default());
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let socket = link.sending(SENDER[0], 0);
            let mut sent = 0_u64;
            // Once nobody listens, the receiver's answer is an error of the sender's next call.
            while !done.load(Ordering::Relaxed) {
                sent += u64::from(socket.send_to(b"x", (ip(RECEIVER[0]), SYSLOG)).is_ok());
                std::thread::sleep(Duration::from_micros(50));
            }
            sent
        });
        running.wait_received(200);
        running.filter.end_redirect();
        // What comes now, comes by the sockets.
        running.wait("the sockets", || running.verdict("accepted") > 100);
        done.store(true, Ordering::Relaxed);
        sender.join().expect("sender")
    });
    running.wait_received(sent);
    let redirected = running.verdict("redirected");
    assert_eq!(
        (redirected, redirected + running.verdict("accepted")),
        (running.by_af_xdp(), sent)
    );
    assert_eq!(running.stop().kept().len() as u64, sent);
}

#[test]
fn a_killed_collector_leaves_nothing_and_datagrams_reach_whoever_listens() {
    let link = Link::new();
    let files = Files::new(&with_metrics("ring_entries = 2048\nframes = 4096"));
    let programs = || {
        let output = link
            .receiver
            .command("ip")
            .args(["-d", "link", "show", "dev", "eth0"])
            .output()
            .expect("ip");
        String::from_utf8_lossy(&output.stdout).contains("prog/xdp")
    };
    let mut process = files.run(link.receiver.command(PROGRAM));
    send(&link, 10);
    let taken = || redirected(&metrics(&link)) == 10;
    harness::wait_until(PATIENCE, "AF_XDP to take some", taken).expect("takes");
    assert!(programs());
    process.kill().expect("kills");
    harness::wait_until(PATIENCE, "the program to be gone", || !programs()).expect("gone");
    {
        let address = SocketAddr::new(ip(RECEIVER[0]), SYSLOG);
        let plain = link
            .receiver
            .run(|| UdpSocket::bind(address))
            .expect("namespace")
            .expect("the port is free");
        plain.set_read_timeout(Some(PATIENCE)).expect("timeout");
        send(&link, 1);
        plain.recv(&mut [0; 100]).expect("a plain socket gets it");
    }
    // The queue is free again, with no more than a short wait.
    let mut process = files.run(link.receiver.command(PROGRAM));
    send(&link, 10);
    harness::wait_until(PATIENCE, "AF_XDP to take some again", taken).expect("takes");
    process.stop(PATIENCE).expect("ends");
}

#[test]
fn what_the_host_cannot_do_is_refused_with_what_to_do() {
    let link = Link::new();
    let small = "ring_entries = 64\nframes = 128\n";
    let with = |line: &str| format!("{small}{line}");
    // 8 GiB in huge pages: more than a machine that runs tests keeps ready.
    let huge = "ring_entries = 64\nframes = 2097152\nframe_bytes = 4096\nhuge_pages = \"require\"";
    for (af_xdp, words) in [
        (huge.into(), "vm.nr_hugepages"),
        (with("zero_copy = \"require\""), "zero_copy = \"auto\""),
        (with("queues = [7]"), "ethtool -l eth0"),
    ] {
        let files = Files::new(&with_metrics(&af_xdp));
        let (code, log) = files.refused(link.receiver.command(PROGRAM));
        assert!(code == Some(2) && log.contains(words), "{words}: {log}");
    }
    // Half a TiB.
    let cores = format!("{:?}", [0; 64]);
    let af_xdp = "ring_entries = 64\nframes = 2097152\nframe_bytes = 4096\nhuge_pages = \"off\"";
    let files = Files::new(&Setup {
        cores: &cores,
        af_xdp,
        ..Setup::default()
    });
    let (code, log) = files.refused(link.receiver.command(PROGRAM));
    assert!(code == Some(2) && log.contains("MiB that are available"), "{log}");
    let files = Files::new(&with_metrics(small));
    for (limits, words) in [
        (
            &["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"][..],
            "CAP_NET_RAW",
        ),
        (
            &[
                "prlimit",
                "--memlock=65536",
                "setpriv",
                "--bounding-set=-ipc_lock",
                "--inh-caps=-ipc_lock",
            ],
            "CAP_IPC_LOCK",
        ),
    ] {
        let mut command = link.receiver.command(limits[0]);
        command.args(&limits[1..]).arg(PROGRAM);
        let (code, log) = files.refused(command);
        assert!(code == Some(2) && log.contains(words), "{words}: {log}");
    }
    // Last, since it takes the queue.
    let taken = link.receiver.run(|| {
        let umem = Umem::new(64, 2048, false).expect("memory");
        let socket = XskSocket::first(umem, 64, 64).expect("socket");
        let binding = Binding {
            flags: 0,
            interface: interface_index("eth0").expect("interface"),
            queue: 0,
            shared_with: None,
        };
        socket.bind(&binding).expect("binds");
        socket
    });
    let taken = taken.expect("namespace");
    let (code, log) = files.refused(link.receiver.command(PROGRAM));
    assert!(code == Some(2) && log.contains("ss --xdp -ap"), "{log}");
    drop(taken);
    files
        .run(link.receiver.command(PROGRAM))
        .stop(PATIENCE)
        .expect("ends");
}
