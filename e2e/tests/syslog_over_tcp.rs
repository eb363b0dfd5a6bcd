//! Syslog over TCP and TLS from senders that others wrote, to the tables; and collectors that restart in the middle of it.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use e2e::{Bus, PATIENCE, Settings, Stage, events, said};
use harness::process::Process;
use harness::wait_until;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

const TCP: &str = "127.0.0.1:5601";
const TCP6: &str = "[::1]:5601";
const TLS: &str = "127.0.0.1:6514";
/// Peers must show a certificate.
const TLS_CLIENTS: &str = "127.0.0.1:6515";

const MESSAGES: &str = "natrail_collector_stream_messages_total";

/// A stage whose collector listens on all of them. `more` is for each of these listeners, `more_tls` for those with TLS.
fn stage(tag: &str, more: &str, more_tls: &str) -> Stage {
    let mut stage = Stage::new(tag, Bus::Log, Settings::default()).expect("a stage");
    certificates(&stage);
    let path = |name: &str| stage.path(name).display().to_string();
    let tls = format!(
        ", transport = \"tls\", certificate = \"{}\", key = \"{}\"{more_tls}",
        path("server.pem"),
        path("server.key")
    );
    let clients = format!("{tls}, client_ca = \"{}\"", path("ca.pem"));
    let listeners = [
        (TCP, ", transport = \"tcp\""),
        (TCP6, ", transport = \"tcp\""),
        (TLS, &tls),
        (TLS_CLIENTS, &clients),
    ]
    .map(|(address, transport)| {
        format!(", {{ kind = \"syslog\", address = \"{address}\"{transport}{more} }}")
    })
    .concat();
    stage.settings = Settings {
        exporters:
            "[[exporters.exporter]]\naddress = \"127.0.0.0/8\"\n[[exporters.exporter]]\naddress = \"::1\""
                .into(),
        listeners,
        collector: "frame_age_ms = 20".into(),
        consumer: "batch_age_ms = 50".into(),
        ..Settings::default()
    };
    stage.write_config().expect("a configuration");
    stage
}

/// Makes a CA, and what it signs for the collector and a peer, where the configuration and [`s_client`] look for them.
fn certificates(stage: &Stage) {
    let ca = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new([]).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Not that of what it signs, or openssl takes that for signed by itself.
    parameters
        .distinguished_name
        .push(DnType::CommonName, "a CA for tests");
    let write = |name: &str, text: String| std::fs::write(stage.path(name), text).expect("written");
    write("ca.pem", parameters.self_signed(&ca).expect("a CA").pem());
    let issuer = Issuer::new(parameters, ca);
    for (name, usage) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        parameters.extended_key_usages.push(usage);
        let certificate = parameters.signed_by(&key, &issuer).expect("signs");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

/// The event with this number: its inside address and port are its own.
fn line(number: u32) -> String {
    let [.., high, low] = (number / 60_000).to_be_bytes();
    let port = 1024 + number % 60_000;
    format!("A VRF 0 6 INT 100.64.{high}.{low}:{port} EXT 203.0.113.77:2345 DST 198.18.0.1:443 DIR OUT")
}

/// A file with these events, one a line.
fn lines(stage: &Stage, numbers: std::ops::Range<u32>) -> PathBuf {
    let path = stage.path(&format!("lines-{}", numbers.start));
    let text: Vec<_> = numbers.map(|number| line(number) + "\n").collect();
    std::fs::write(&path, text.concat()).expect("written");
    path
}

/// Rows, and how many different events they are.
fn rows(stage: &Stage) -> (i64, i64) {
    let integer = |sql| stage.database.integer(sql).expect("an answer");
    (
        integer("SELECT count(*) FROM natrail.session"),
        integer("SELECT count(DISTINCT (src_ip, src_port)) FROM natrail.session"),
    )
}

/// Runs a program inside the stage's network to its end.
fn run(stage: &Stage, program: &str, arguments: &[&str], input: Option<PathBuf>) -> Output {
    let stdin = input.map_or_else(Stdio::null, |path| File::open(path).expect("it is there").into());
    let mut command = stage.network.command(program);
    let output = command.args(arguments).stdin(stdin).output();
    output.unwrap_or_else(|error| panic!("cannot run {program}: {error}; `cargo xtask test` installs it"))
}

fn logger(stage: &Stage, more: &[&str], file: PathBuf) {
    let file = file.to_str().expect("a path that is text");
    let arguments = [
        &["--tcp", "--port", "5601", "--rfc5424", "--size", "4096"],
        more,
        &["--file", file],
    ]
    .concat();
    let output = run(stage, "logger", &arguments, None);
    assert!(output.status.success(), "{}", said(&output));
}

fn loggen(stage: &Stage, arguments: &[&str]) {
    let common = ["--number", "500", "--rate", "5000", "--interval", "60", "--quiet"];
    let output = run(stage, "loggen", &[&common, arguments].concat(), None);
    assert!(output.status.success(), "{}", said(&output));
}

/// Sends the file through TLS, and ends the connection in order.
fn s_client(stage: &Stage, to: &str, more: &[&str], file: PathBuf) -> Output {
    let ca = stage.path("ca.pem");
    let arguments = [
        &[
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-nocommands",
            "-connect",
            to,
            "-servername",
            "localhost",
        ],
        [
            "-verify_return_error",
            "-CAfile",
            ca.to_str().expect("a path that is text"),
        ]
        .as_slice(),
        more,
    ]
    .concat();
    run(stage, "openssl", &arguments, Some(file))
}

#[test]
fn real_senders_over_tcp_and_tls_are_stored_once() {
    let stage = stage("senders", "", "");
    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");

    logger(&stage, &["--server", "127.0.0.1"], lines(&stage, 0..200));
    logger(
        &stage,
        &["--server", "127.0.0.1", "--octet-count"],
        lines(&stage, 200..400),
    );
    logger(
        &stage,
        &["--server", "::1", "--octet-count"],
        lines(&stage, 400..600),
    );
    let output = s_client(&stage, TLS, &["-tls1_3"], lines(&stage, 600..800));
    assert!(output.status.success(), "{}", said(&output));
    // Octet counting, as RFC 5425 demands.
    let counted: Vec<_> = (800..1000)
        .map(line)
        .map(|line| format!("{} {line}", line.len()))
        .collect();
    std::fs::write(stage.path("counted"), counted.concat()).expect("written");
    let output = s_client(&stage, TLS, &["-tls1_2"], stage.path("counted"));
    assert!(output.status.success(), "{}", said(&output));
    wait_until(PATIENCE, "1000 messages", || {
        stage.collector_metrics().expect("metrics").count(MESSAGES, &[]) >= 1000
    })
    .expect("all are received");
    let others = 4 * 500;
    loggen(&stage, &["--inet", "--stream", "127.0.0.1", "5601"]);
    loggen(
        &stage,
        &["--inet", "--stream", "--syslog-proto", "127.0.0.1", "5601"],
    );
    loggen(
        &stage,
        &["--inet", "--stream", "--ipv6", "--syslog-proto", "::1", "5601"],
    );
    loggen(&stage, &["--use-ssl", "--syslog-proto", "127.0.0.1", "6514"]);

    let wanted = 1000 + others;
    stage
        .wait_until_taken(&mut consumer, wanted)
        .expect("all of them are taken");
    let metrics = stage.collector_metrics().expect("metrics");
    let count = |name: &str, labels: &[(&str, &str)]| metrics.count(name, labels) as i64;
    assert_eq!(count(MESSAGES, &[("transport", "tls")]), 400 + 500);
    assert_eq!(count(MESSAGES, &[("transport", "tcp")]), 600 + 1500);
    assert_eq!(count("natrail_collector_datagrams_framed_total", &[]), wanted);
    assert_eq!(count("natrail_collector_datagrams_truncated_total", &[]), 0);
    assert_eq!(
        count(
            "natrail_collector_stream_connections_ended_total",
            &[("reason", "closed")]
        ),
        9
    );
    assert_eq!(rows(&stage), (1000, 1000));
    let v6 = "SELECT count(*) FROM natrail.session WHERE exporter6 = '::1' AND exporter IS NULL";
    assert_eq!(stage.database.integer(v6).expect("an answer"), 200);
    assert_eq!(stage.taken("datagrams"), wanted);
    collector.stop(PATIENCE).expect("the collector ends in order");
    consumer.stop(PATIENCE).expect("the consumer ends in order");
}

#[test]
fn a_client_certificate_is_required_where_the_configuration_says_so() {
    let stage = stage("clients", "", "");
    let mut collector = stage.collector().expect("a collector");
    let path = |name: &str| stage.path(name).display().to_string();
    let without = s_client(&stage, TLS_CLIENTS, &[], lines(&stage, 0..10));
    let ended = |reason: &str| {
        let metrics = stage.collector_metrics().expect("metrics");
        metrics.count(
            "natrail_collector_stream_connections_ended_total",
            &[("reason", reason)],
        )
    };
    wait_until(PATIENCE, "a refusal", || ended("handshake") == 1)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&without)));
    // One that this CA has signed, but for servers.
    let wrong = ["-cert", &path("server.pem"), "-key", &path("server.key")];
    s_client(&stage, TLS_CLIENTS, &wrong, lines(&stage, 0..10));
    wait_until(PATIENCE, "another refusal", || ended("handshake") == 2).expect("refused");
    let own = ["-cert", &path("client.pem"), "-key", &path("client.key")];
    let with = s_client(&stage, TLS_CLIENTS, &own, lines(&stage, 10..20));
    assert!(with.status.success(), "{}", said(&with));
    wait_until(PATIENCE, "an end in order", || ended("closed") == 1)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&with)));
    collector.stop(PATIENCE).expect("the collector ends in order");
    assert!(
        collector.log().contains("TLS with 127.0.0.1:"),
        "{}",
        collector.log()
    );
    assert_eq!(events::logged_count(&stage).expect("the log is read"), 10);
}

#[test]
fn sighup_reads_certificates_again_and_keeps_the_old_ones_if_they_are_bad() {
    let stage = stage("certificates", "", "");
    let mut collector = stage.collector().expect("a collector");
    let logs = |collector: &Process, words: &str, times: usize| {
        wait_until(PATIENCE, words, || {
            collector.log().matches(words).count() == times
        })
        .expect("it is said");
    };
    // A key that is none: new connections are shown the old certificate.
    std::fs::write(stage.path("server.key"), "nonsense").expect("written");
    collector.hang_up().expect("SIGHUP");
    logs(&collector, "keeps its certificate", 2);
    let output = s_client(&stage, TLS, &[], lines(&stage, 0..10));
    assert!(output.status.success(), "{}", said(&output));
    // Another CA's certificate. Who trusts that CA alone refuses the old one.
    certificates(&stage);
    let output = s_client(&stage, TLS, &[], lines(&stage, 0..10));
    assert!(!output.status.success(), "{}", said(&output));
    collector.hang_up().expect("SIGHUP");
    logs(&collector, "has read its certificate again", 2);
    let output = s_client(&stage, TLS, &[], lines(&stage, 10..20));
    assert!(output.status.success(), "{}", said(&output));
    collector.stop(PATIENCE).expect("the collector ends in order");
    assert_eq!(events::logged_count(&stage).expect("the log is read"), 20);
}

#[test]
fn slow_peers_and_a_flood_do_not_hold_back_a_good_one() {
    const GOOD: u32 = 40;
    let stage = stage("flood", ", idle_s = 3", ", handshake_s = 2");
    let mut collector = stage.collector().expect("a collector");
    // As fast as it goes, over TLS: the good one is alone on TCP.
    let mut flood = stage.network.command("loggen");
    flood.args([
        "--use-ssl",
        "--syslog-proto",
        "--rate",
        "1000000",
        "--active-connections",
        "10",
    ]);
    flood.args(["--interval", "600", "--quiet", "127.0.0.1", "6514"]);
    let mut flood = Process::spawn("loggen", &mut flood, &stage.path("loggen.log")).expect("loggen runs");
    let slow = stage
        .network
        .run(|| {
            let connect = |to| (0..20).map(move |_| TcpStream::connect(to).expect("connects"));
            let mut slow: Vec<_> = connect(TCP).chain(connect(TLS)).collect();
            // A part of a line; a part of a client's hello.
            for socket in &mut slow {
                socket.write_all(&[0x16, 3, 1]).expect("sends");
            }
            slow
        })
        .expect("the network");
    let count =
        |name: &str, labels: &[(&str, &str)]| stage.collector_metrics().expect("metrics").count(name, labels);
    wait_until(PATIENCE, "a flood", || {
        count(MESSAGES, &[("transport", "tls")]) > 10_000
    })
    .expect("a flood");
    for number in 0..GOOD {
        logger(
            &stage,
            &["--server", "127.0.0.1"],
            lines(&stage, number..number + 1),
        );
    }
    wait_until(PATIENCE, "the good one's lines", || {
        count(MESSAGES, &[("transport", "tcp")]) >= u64::from(GOOD)
    })
    .expect("the good one's lines arrive");
    assert!(
        flood.is_running(),
        "while the flood goes on: {}",
        flood.end_of_log()
    );
    let ended = |reason| {
        count(
            "natrail_collector_stream_connections_ended_total",
            &[("reason", reason)],
        )
    };
    wait_until(PATIENCE, "the slow ones to be ended", || {
        (ended("idle"), ended("handshake")) == (20, 20)
    })
    .expect("the slow ones are ended");
    flood.kill().expect("the flood is ended");
    drop(slow);
    collector.stop(PATIENCE).expect("the collector ends in order");
    let mut good = 0;
    harness::frame_log::datagrams(&stage.log_directory().join("bus"), "syslog", |datagram| {
        good += u32::from(datagram.payload.ends_with(b"443 DIR OUT"));
    })
    .expect("the log is read");
    assert_eq!(good, GOOD);
}

/// What a peer did that reconnects.
#[derive(Debug, Default)]
struct Sent {
    connections: u64,
    /// Number behind the last one that was sent.
    next: u32,
}

/// Sends events until told to stop, each once, over as many connections as it takes; looks for the end before each.
fn send_on(from: Ipv4Addr, counted: bool, mut number: u32, stop: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut socket) = connect_from(from) else {
            sleep(Duration::from_millis(5));
            continue;
        };
        sent.connections += 1;
        while !stop.load(Ordering::SeqCst) && !is_ended(&socket) {
            let line = line(number);
            let message = if counted {
                format!("{} {line}", line.len())
            } else {
                line + "\n"
            };
            if socket.write_all(message.as_bytes()).is_err() {
                break;
            }
            number += 1;
            if number.is_multiple_of(8) {
                sleep(Duration::from_millis(1));
            }
        }
    }
    sent.next = number;
    sent
}

fn connect_from(source: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    let to: SocketAddr = TCP.parse().expect("an address");
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Whether the other side has said that it reads no more.
fn is_ended(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).expect("set");
    let ended = matches!(socket.peek(&mut [0]), Ok(0));
    socket.set_nonblocking(false).expect("set");
    ended
}

#[test]
fn restarts_in_order_cost_nothing_of_peers_that_heed_the_end() {
    let stage = stage("orderly", "", "");
    let streams = Streams::through(&stage, &[End::InOrder; 6]);
    assert_eq!((streams.stored, streams.dead_letters), (streams.sent, 0));
}

#[test]
fn kills_in_the_middle_of_streams_store_all_that_was_acknowledged_once() {
    let stage = stage("kills", "", "");
    let streams = Streams::through(&stage, &[End::Kill, End::InOrder, End::Kill, End::Kill].repeat(3));
    // What the kernel had taken from a peer, and the collector had not framed, is lost.
    assert!(streams.stored <= streams.sent);
}

/// How a collector ends.
#[derive(Clone, Copy, Debug)]
enum End {
    InOrder,
    Kill,
}

/// What became of events that peers sent while collectors ended and came back.
#[derive(Debug)]
struct Streams {
    sent: i64,
    stored: i64,
    dead_letters: i64,
}

impl Streams {
    const PEERS: u32 = 4;
    /// Numbers of a peer's own.
    const NUMBERS: u32 = 10_000_000;

    /// Lets collectors end in these ways. Whatever they are: all that a collector said to be framed (in order) or
    /// acknowledged (killed) is in the log, all of the log is taken, no event is stored twice, and every peer comes back.
    fn through(stage: &Stage, ends: &[End]) -> Self {
        let mut collector = stage.collector().expect("a collector");
        let mut consumer = stage.consumer().expect("a consumer");
        let stop = AtomicBool::new(false);
        let sent: Vec<Sent> = std::thread::scope(|scope| {
            /// Also when this panics.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::SeqCst);
                }
            }
            let peers: Vec<_> = (0..Self::PEERS)
                .map(|peer| {
                    let stop = &stop;
                    let from = Ipv4Addr::new(127, 0, 1, 1 + peer as u8);
                    let send = move || send_on(from, peer % 2 == 0, peer * Self::NUMBERS, stop);
                    scope.spawn(move || stage.network.run(send).expect("the network"))
                })
                .collect();
            let stopped = Stop(&stop);
            let mut logged = 0;
            for end in ends {
                Self::wait_for_peers(stage);
                logged = restart(stage, &mut collector, *end, logged);
            }
            Self::wait_for_peers(stage);
            drop(stopped);
            (peers.into_iter())
                .map(|peer| peer.join().expect("no panic"))
                .collect()
        });
        collector.stop(PATIENCE).expect("the collector ends in order");

        let logged = events::logged_count(stage).expect("the log is read") as i64;
        stage
            .wait_until_taken(&mut consumer, logged)
            .expect("all of the log is taken");
        consumer.stop(PATIENCE).expect("the consumer ends in order");
        let (stored, different) = rows(stage);
        let dead_letters = stage.taken("dead_letters");
        assert_eq!(stored, different, "no event is stored twice");
        assert_eq!(stored + dead_letters, logged, "all of the log is stored");
        for (peer, sent) in sent.iter().enumerate() {
            assert!(
                sent.connections > ends.len() as u64,
                "peer {peer} came back: {sent:?}"
            );
        }
        let streams = Self {
            sent: sent.iter().map(|sent| i64::from(sent.next % Self::NUMBERS)).sum(),
            stored,
            dead_letters,
        };
        println!("{} ends: {streams:?}", ends.len());
        streams
    }

    /// Until all are connected, and some messages came.
    fn wait_for_peers(stage: &Stage) {
        wait_until(PATIENCE, "all peers", || {
            let metrics = stage.collector_metrics().expect("metrics");
            metrics.count("natrail_collector_stream_connections", &[]) == u64::from(Self::PEERS)
                && metrics.count("natrail_collector_datagrams_acknowledged_total", &[]) > 500
        })
        .expect("all peers come back");
    }
}

/// Ends the collector and starts the next. `logged` datagrams were in the log before it; gives back how many are now.
fn restart(stage: &Stage, collector: &mut Process, end: End, logged: u64) -> u64 {
    let in_log = || events::logged_count(stage).expect("the log is read");
    let now = match end {
        End::InOrder => {
            collector.stop(PATIENCE).expect("the collector ends in order");
            let log = collector.log();
            let (_, last) = log
                .rsplit_once(" datagrams received, ")
                .expect("what it has framed");
            let framed: Option<u64> = last.split(' ').next().and_then(|word| word.parse().ok());
            let now = in_log();
            assert_eq!(Some(now - logged), framed, "all that was framed is in the log");
            now
        }
        End::Kill => {
            let metrics = stage.collector_metrics().expect("metrics");
            collector.kill().expect("SIGKILL");
            let acknowledged = metrics.count("natrail_collector_datagrams_acknowledged_total", &[]);
            let now = in_log();
            assert!(
                now - logged >= acknowledged,
                "{acknowledged} were acknowledged, {} are in the log",
                now - logged
            );
            now
        }
    };
    *collector = stage.collector().expect("a collector");
    now
}
