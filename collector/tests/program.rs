//! The program itself: signals, exit codes, and a real Kafka.

mod common;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bus::{FrameReceiver, Handler, Ownership, Stream};
use common::{PATIENCE, exporter};
use harness::metrics::Metrics;
use harness::netns::Namespace;
use harness::process::Process;
use tempfile::TempDir;
use wire::frame::Frame;

const PROGRAM: &str = env!("CARGO_BIN_EXE_natrail-collector");
/// Nothing listens there.
const NO_KAFKA: &str = "127.0.0.1:1";

/// A configuration file in a directory of its own.
struct Setup {
    directory: TempDir,
    /// More lines of `[bus.log]`.
    log: &'static str,
}

impl Setup {
    fn new(text: &str) -> Self {
        Self::with_log(text, "")
    }

    fn with_log(text: &str, log: &'static str) -> Self {
        let setup = Self {
            directory: TempDir::new().expect("a directory"),
            log,
        };
        setup.write(text);
        setup
    }

    /// The text, and a place for the frame log, which no two collectors may share.
    fn write(&self, text: &str) {
        let directory = self.directory.path().join("frames");
        let log = format!("directory = \"{}\"\n{}", directory.display(), self.log);
        let text = format!("{text}\n[bus.log]\n{log}\n");
        std::fs::write(self.path(), text).expect("writes the configuration");
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("natrail.toml")
    }

    fn start(&self, kafka: &str) -> Running {
        self.start_as(Command::new(PROGRAM), kafka)
    }

    fn start_as(&self, mut command: Command, kafka: &str) -> Running {
        command
            .arg("--config")
            .arg(self.path())
            .env("NATRAIL_KAFKA", kafka);
        let log = self.directory.path().join("log");
        let mut process = Process::spawn("natrail-collector", &mut command, &log).expect("starts");
        let ready = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("receiving Syslog on "));
        process
            .wait_until(PATIENCE, "it receives", ready)
            .expect("it receives");
        let text = process.log();
        let after = |words: &str| {
            let rest = text.split_once(words).expect("in the log").1;
            let end = rest.find([' ', '/', '\n']).expect("an end");
            rest[..end].parse().expect("an address")
        };
        Running {
            listener: after("receiving Syslog on "),
            metrics: after("metrics are at http://"),
            process,
        }
    }
}

struct Running {
    process: Process,
    listener: SocketAddr,
    metrics: SocketAddr,
}

impl Running {
    fn metrics(&self) -> Metrics {
        harness::metrics::get(self.metrics, None).expect("metrics")
    }

    fn wait_for(&mut self, name: &str, count: u64) {
        let metrics = self.metrics;
        let ready = || harness::metrics::get(metrics, None).is_ok_and(|now| now.count(name, &[]) >= count);
        self.process.wait_until(PATIENCE, name, ready).expect("it counts");
    }

    /// The same of a collector in a namespace, to the datagram.
    fn wait_for_received(&self, namespace: &Namespace, name: &str, count: u64) {
        let metrics = || harness::metrics::get(self.metrics, Some(namespace)).expect("metrics");
        harness::wait_until(PATIENCE, name, || metrics().count(name, &[]) == count)
            .unwrap_or_else(|error| panic!("{error}: {:?}", metrics()));
    }

    fn wait_for_log(&mut self, words: &str) {
        let path = format!("/proc/{}", self.process.pid());
        assert!(Path::new(&path).exists(), "it runs");
        let deadline = Instant::now() + PATIENCE;
        while !self.process.log().contains(words) {
            assert!(
                Instant::now() < deadline,
                "no {words:?} in {}",
                self.process.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn terminate(&mut self) -> Option<i32> {
        self.process.terminate().expect("signals");
        self.process.wait(2 * PATIENCE).expect("ends").code()
    }
}

fn configuration(prefix: &str, allowed: &str, more: &str) -> String {
    format!(
        "[bus]\ntopic_prefix = \"{prefix}\"\npartitions = 2\n[[exporters.exporter]]\naddress = \"{allowed}\"\n\
         [collector]\ncores = [0]\nmetrics = \"127.0.0.1:0\"\n{more}\n\
         [[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:0\"\n"
    )
}

/// Takes all payloads from Kafka.
#[derive(Default)]
struct Payloads {
    assigned: Vec<Stream>,
    found: Vec<Vec<u8>>,
}

impl Handler for Payloads {
    fn frame(&mut self, stream: Stream, _: i64, record: &[u8]) {
        if stream == bus::connect::LEDGER {
            return;
        }
        let frame = Frame::open(record).expect("a whole frame");
        self.found
            .extend(frame.datagrams().map(|datagram| datagram.payload.to_vec()));
    }

    fn lost(&mut self, stream: Stream, offsets: std::ops::Range<i64>, _: bus::Loss) {
        panic!("{offsets:?} of {stream:?} are not there");
    }

    fn ownership(&mut self, change: Ownership) {
        if let Ownership::Assigned(streams) = change {
            self.assigned = streams;
        }
    }
}

fn read_back(kafka: &str, prefix: &str, count: usize) -> Vec<Vec<u8>> {
    let text =
        format!("[bus]\nbrokers = \"{kafka}\"\ntopic_prefix = \"{prefix}\"\n[exporters]\nallow_all = true\n");
    let config = config::Config::parse(&text, Path::new("test")).expect("valid");
    let mut receiver = bus::kafka::connect_receiver(&config.bus, prefix).expect("connects");
    let mut payloads = Payloads::default();
    let deadline = Instant::now() + 2 * PATIENCE;
    // A moment longer than needed, so that a frame delivered twice is seen.
    let mut quiet = 0;
    while quiet < 10 {
        assert!(
            Instant::now() < deadline,
            "{} of {count} are there",
            payloads.found.len()
        );
        receiver
            .poll(Duration::from_millis(100), &mut payloads)
            .expect("polls");
        let assigned = std::mem::take(&mut payloads.assigned);
        if !assigned.is_empty() {
            let from: Vec<_> = assigned.into_iter().map(|stream| (stream, -1)).collect();
            receiver.start(&from).expect("starts");
        }
        quiet = if payloads.found.len() >= count {
            quiet + 1
        } else {
            0
        };
    }
    receiver.close();
    payloads.found
}

#[test]
fn sigterm_delivers_everything_to_kafka_exactly_once() {
    const SENT: u64 = 30_000;
    let kafka = harness::services().expect("services").kafka;
    let prefix = harness::topics::unique("collector-test");
    let setup = Setup::new(&configuration(&prefix, "127.0.0.1", ""));
    let mut running = setup.start(&kafka);
    let socket = exporter("127.0.0.1:0", running.listener);
    for i in 0..SENT {
        socket.send(&i.to_ne_bytes()).expect("sends");
    }
    // At once: part of it is still in the socket, part in open frames, part on its way to Kafka.
    assert_eq!(running.terminate(), Some(0), "{}", running.process.end_of_log());
    let found = read_back(&kafka, &prefix, SENT as usize);
    assert_eq!(found.len() as u64, SENT);
    assert_eq!(found.into_iter().collect::<HashSet<_>>().len() as u64, SENT);
    let topics =
        ["syslog", "netflow", "radius", "ledger", "dead-letter"].map(|topic| format!("{prefix}.{topic}"));
    harness::kafka::delete_topics(&kafka, &topics.each_ref().map(String::as_str))
        .expect("deletes its topics");
}

#[test]
fn the_filter_in_the_kernel_counts_and_is_reloaded_without_privileges() {
    let (here, there) = (
        Namespace::new("col").expect("namespace"),
        Namespace::new("exp").expect("namespace"),
    );
    let from = ["198.51.100.2/24", "198.51.100.3/24"];
    harness::netns::veth((&here, "col0", &["198.51.100.1/24"]), (&there, "exp0", &from)).expect("veth");
    let text = |allowed: &str| {
        configuration("natrail", allowed, "")
            .replace("address = \"127.0.0.1:0\"", "address = \"0.0.0.0:5514\"")
            + "[collector.xdp]\ninterfaces = [\"col0\"]\n"
    };
    let setup = Setup::new(&text("198.51.100.2"));
    let mut running = setup.start_as(here.command(PROGRAM), NO_KAFKA);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.process.pid())).expect("status");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");

    let send = |source: &str| {
        let source = format!("{source}:0");
        let send = || exporter(&source, "198.51.100.1:5514".parse().expect("address")).send(b"x");
        there.run(send).expect("runs").expect("sends");
    };
    let metrics = |running: &Running| harness::metrics::get(running.metrics, Some(&here)).expect("metrics");
    let wait = |running: &Running, name: &str, labels: &[(&str, &str)], count: u64| {
        let ready = || metrics(running).count(name, labels) == count;
        harness::wait_until(PATIENCE, name, ready)
            .unwrap_or_else(|error| panic!("{error}: {:?}", metrics(running)));
    };
    let (packets, framed) = (
        "natrail_xdp_packets_total",
        "natrail_collector_datagrams_framed_total",
    );
    send("198.51.100.2");
    send("198.51.100.3");
    wait(
        &running,
        packets,
        &[("exporter", "198.51.100.2"), ("verdict", "accepted")],
        1,
    );
    wait(
        &running,
        packets,
        &[("exporter", "none"), ("verdict", "not_allowed")],
        1,
    );
    wait(&running, framed, &[], 1);

    setup.write(&text("198.51.100.3"));
    running.process.hang_up().expect("signals");
    running.wait_for_log("allow-list is in force (1 entries)");
    std::thread::sleep(Duration::from_millis(300));
    send("198.51.100.3");
    wait(
        &running,
        packets,
        &[("exporter", "198.51.100.3"), ("verdict", "accepted")],
        1,
    );
    wait(&running, framed, &[], 2);
}

/// The same rules in the kernel, and in user space for what comes around it; each datagram is counted on one side.
#[test]
fn rules_are_kept_in_the_kernel_and_around_it_and_follow_sighup() {
    let (here, there) = (
        Namespace::new("col").expect("namespace"),
        Namespace::new("exp").expect("namespace"),
    );
    let (mine, theirs) = ("198.51.100.1/24", "198.51.100.2/24");
    harness::netns::veth((&here, "col0", &[mine]), (&there, "exp0", &[theirs])).expect("veth");
    let text = |rules: &str| {
        configuration("natrail", "198.51.100.2", "").replace(
            "address = \"127.0.0.1:0\"",
            &format!("address = \"0.0.0.0:5514\"\n{rules}"),
        ) + "[collector.xdp]\ninterfaces = [\"col0\"]\n"
    };
    let setup = Setup::new(&text("keep = ['one']\nfacilities = ['local0']"));
    let mut running = setup.start_as(here.command(PROGRAM), NO_KAFKA);
    running.wait_for_log("filtered in the kernel");
    let send = |payload: &[u8]| {
        let send = || exporter("198.51.100.2:0", "198.51.100.1:5514".parse().expect("address")).send(payload);
        there.run(send).expect("runs").expect("sends");
    };
    let wait = |running: &Running, name: &str, label: (&str, &str), count: u64| {
        let metrics = || harness::metrics::get(running.metrics, Some(&here)).expect("metrics");
        let ready = || metrics().count(name, &[label]) == count;
        harness::wait_until(PATIENCE, name, ready)
            .unwrap_or_else(|error| panic!("{error}: {label:?}: {:?}", metrics()));
    };
    let packets = "natrail_xdp_packets_total";
    let dropped = "natrail_collector_datagrams_dropped_total";
    let received = "natrail_collector_datagrams_received_total";
    for payload in ["<134>one", "<134>two", "<30>one"] {
        send(payload.as_bytes());
        // In fragments: the program sees no payload.
        send(&[payload.as_bytes(), &[b' '; 4000]].concat());
    }
    wait(&running, packets, ("verdict", "accepted"), 1);
    wait(&running, packets, ("verdict", "filtered"), 1);
    wait(&running, packets, ("verdict", "pri_masked"), 1);
    wait(&running, dropped, ("reason", "filtered"), 1);
    wait(&running, dropped, ("reason", "pri_masked"), 1);
    running.wait_for_received(&here, received, 4);

    // A pattern that cannot be used changes nothing, another one does, without privileges.
    setup.write(&text("keep = ['on(e']"));
    running.process.hang_up().expect("signals");
    running.wait_for_log("unclosed group");
    send(b"<134>two");
    wait(&running, packets, ("verdict", "filtered"), 2);
    setup.write(&text("keep = ['two']"));
    running.process.hang_up().expect("signals");
    running.wait_for_log("allow-list is in force");
    send(b"<30>two");
    wait(&running, packets, ("verdict", "accepted"), 2);
    send(b"<134>one");
    wait(&running, packets, ("verdict", "filtered"), 3);
    running.wait_for_received(&here, received, 5);
}

#[test]
fn without_kafka_it_receives_and_says_so_and_ends_with_what_is_lost() {
    let setup = Setup::with_log(&configuration("natrail", "127.0.0.1", ""), "spill = false");
    let mut running = setup.start(NO_KAFKA);
    running.wait_for_log("keeps trying");
    let socket = exporter("127.0.0.1:0", running.listener);
    for _ in 0..100 {
        socket.send(b"x").expect("sends");
    }
    running.wait_for("natrail_collector_datagrams_framed_total", 100);
    assert_eq!(running.metrics().count("natrail_collector_bus_up", &[]), 0);
    assert_eq!(running.terminate(), Some(3));
    let log = running.process.log();
    assert!(
        log.contains("waiting for the bus") && log.contains("(100 datagrams)"),
        "{log}"
    );
}

#[test]
fn sighup_takes_a_good_list_and_refuses_a_bad_file() {
    let setup = Setup::new(&configuration("natrail", "127.0.0.1", ""));
    let mut running = setup.start(NO_KAFKA);
    let framed = "natrail_collector_datagrams_framed_total";
    let dropped = "natrail_collector_datagrams_dropped_total";
    let (one, two) = (
        exporter("127.0.0.1:0", running.listener),
        exporter("127.0.0.2:0", running.listener),
    );
    two.send(b"not yet").expect("sends");
    running.wait_for(dropped, 1);

    setup.write("[exporters]\nallow_everybody = true");
    running.process.hang_up().expect("signals");
    running.wait_for_log("the allow-list stays as it was");
    one.send(b"still").expect("sends");
    running.wait_for(framed, 1);

    setup.write(&configuration("natrail", "127.0.0.2", ""));
    running.process.hang_up().expect("signals");
    running.wait_for_log("allow-list is in force (1 entries)");
    std::thread::sleep(Duration::from_millis(300));
    two.send(b"now").expect("sends");
    one.send(b"no longer").expect("sends");
    running.wait_for(framed, 2);
    running.wait_for(dropped, 2);
    assert_eq!(running.metrics().count(dropped, &[("reason", "not_allowed")]), 2);
}

/// Exit code and log of a program that does not start.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env("NATRAIL_KAFKA", NO_KAFKA).output().expect("runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn what_cannot_start_ends_with_code_2_and_the_reason() {
    let good = configuration("natrail", "127.0.0.1", "");
    let xdp = format!("{good}[collector.xdp]\ninterfaces = [\"nosuchif0\"]\n");
    let tls = format!(
        "{good}transport = \"tls\"\ncertificate = \"/nowhere/certificate.pem\"\nkey = \"/nowhere/key.pem\"\n"
    );
    for (text, arguments, words) in [
        (
            good.replace("cores = [0]", "cores = [100000]"),
            &[][..],
            "CPU 100000",
        ),
        (
            good.replace("cores = [0]", "cores = [100000]"),
            &["--check"],
            "CPU 100000",
        ),
        (
            good.replace("address = \"127.0.0.1:0\"", "address = \"192.0.2.77:5140\""),
            &[],
            "192.0.2.77:5140",
        ),
        (tls.clone(), &["--check"], "/nowhere/certificate.pem"),
        (tls, &[], "/nowhere/certificate.pem"),
        (xdp.clone(), &["--check"], "nosuchif0"),
        (xdp, &[], "nosuchif0"),
        ("[exporters]\nallow_all = true".into(), &[], "[collector]"),
        (good.replace("cores", "coars"), &[], "coars"),
    ] {
        let setup = Setup::new(&text);
        let (code, log) = refused(
            Command::new(PROGRAM)
                .arg("--config")
                .arg(setup.path())
                .args(arguments),
        );
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(words), "{log}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let address = socket.local_addr().expect("bound").to_string();
    let setup = Setup::new(&good.replace("address = \"127.0.0.1:0\"", &format!("address = \"{address}\"")));
    let (code, log) = refused(Command::new(PROGRAM).arg("--config").arg(setup.path()));
    assert!(
        code == Some(2) && log.contains("port in use") && log.contains(&address),
        "{log}"
    );
    let (code, log) = refused(Command::new(PROGRAM).args(["--config", "/nonexistent/natrail.toml"]));
    assert!(
        code == Some(2) && log.contains("/nonexistent/natrail.toml"),
        "{log}"
    );
}

#[test]
fn a_good_configuration_passes_the_check() {
    let setup = Setup::new(&configuration("natrail", "127.0.0.1", ""));
    let (code, log) = refused(
        Command::new(PROGRAM)
            .arg("--check")
            .arg("--config")
            .arg(setup.path()),
    );
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn without_the_capability_a_low_port_is_refused() {
    let text = configuration("natrail", "127.0.0.1", "")
        .replace("address = \"127.0.0.1:0\"", "address = \"127.0.0.1:514\"");
    let setup = Setup::new(&text);
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--inh-caps=-all", PROGRAM, "--config"])
        .arg(setup.path());
    let (code, log) = refused(&mut command);
    assert!(code == Some(2) && log.contains("CAP_NET_BIND_SERVICE"), "{log}");
}

#[test]
fn without_cap_bpf_it_says_that_one_exporter_uses_one_thread() {
    let text = configuration("natrail", "127.0.0.1", "").replace("cores = [0]", "cores = [0, 0]");
    let setup = Setup::new(&text);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", PROGRAM]);
    let log = setup.start_as(command, NO_KAFKA).process.log();
    assert!(log.contains("one of 2 threads only: CAP_BPF is missing"), "{log}");
}
