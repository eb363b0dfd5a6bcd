//! On real interfaces, in native mode.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use collector::xdp::XdpFilter;
use config::XdpMode;
use filter::{Compiled, PriMask, Rules};
use harness::netns::{Namespace, veth};
use socket2::{Domain, Protocol, Socket, Type};
use wire::packet::samples::PlainFrame;
use wire::verdict::Verdict;

use crate::setup::{OTHER_PORT, PATIENCE, PORT, any_filter, exporters, packets, wait_for};

/// A sender and a receiver on a veth pair.
struct Link {
    sender: Namespace,
    receiver: Namespace,
}

/// Networks of the link: exporters of IPv4, strangers of IPv4, exporters of IPv6, strangers of IPv6. The receiver is
/// host 1, the sender host 2.
const NETWORKS: [&str; 4] = ["198.18.0.", "203.0.113.", "fd00:5::", "fd00:6::"];
const ALLOWED: [&str; 2] = ["198.18.0.0/16", "fd00:5::/32"];

fn host(network: &str, number: u8) -> String {
    format!(
        "{network}{number}{}",
        if network.contains(':') { "/64" } else { "/24" }
    )
}

fn ip(network: &str, number: u8) -> IpAddr {
    format!("{network}{number}").parse().expect("address")
}

impl Link {
    fn new() -> Self {
        let (sender, receiver) = (
            Namespace::new("tx").expect("namespace"),
            Namespace::new("rx").expect("namespace"),
        );
        let [tx, rx] = [2, 1].map(|number| NETWORKS.map(|network| host(network, number)));
        veth(
            (&sender, "eth0", &tx.each_ref().map(String::as_str)),
            (&receiver, "eth0", &rx.each_ref().map(String::as_str)),
        )
        .expect("veth");
        Self { sender, receiver }
    }

    /// Whether an XDP program is on the receiver's interface.
    fn has_program(&self) -> bool {
        let output = self
            .receiver
            .command("ip")
            .args(["-d", "link", "show", "dev", "eth0"])
            .output()
            .expect("ip");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("eth0"), "ip: {text}");
        text.contains("prog/xdp")
    }

    fn attach(&self, filter: &mut XdpFilter) {
        let interfaces = ["eth0".to_owned()];
        self.receiver
            .run(|| filter.attach(&interfaces, XdpMode::Native))
            .expect("namespace")
            .expect("attach");
    }

    fn receiving(&self, network: &str, port: u16) -> UdpSocket {
        let socket = self
            .receiver
            .run(|| UdpSocket::bind((ip(network, 1), port)))
            .expect("namespace")
            .expect("bind");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        socket
    }

    fn sending(&self, network: &str) -> UdpSocket {
        self.sender
            .run(|| UdpSocket::bind((ip(network, 2), 0)))
            .expect("namespace")
            .expect("bind")
    }

    fn send(&self, network: &str, port: u16, count: usize) {
        let socket = self.sending(network);
        for _ in 0..count {
            socket
                .send_to(b"<134>1 message", (ip(network, 1), port))
                .expect("send");
        }
    }

    /// Datagrams that wait at `socket`, without waiting for more.
    fn waiting(socket: &UdpSocket) -> usize {
        socket.set_nonblocking(true).expect("non-blocking");
        let mut buffer = [0; 100];
        std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
    }
}

#[test]
fn on_an_interface_exporters_pass_strangers_do_not_and_the_rest_is_untouched() {
    let link = Link::new();
    let mut filter = any_filter(&ALLOWED);
    link.attach(&mut filter);
    const EACH: usize = 20;
    let [exporter_v4, stranger_v4, exporter_v6, stranger_v6] = NETWORKS;
    for (exporter, stranger) in [(exporter_v4, stranger_v4), (exporter_v6, stranger_v6)] {
        let (good, bad) = (link.receiving(exporter, PORT), link.receiving(stranger, PORT));
        let (good_other, bad_other) = (
            link.receiving(exporter, OTHER_PORT),
            link.receiving(stranger, OTHER_PORT),
        );
        for (network, port) in [
            (exporter, PORT),
            (stranger, PORT),
            (exporter, OTHER_PORT),
            (stranger, OTHER_PORT),
        ] {
            link.send(network, port, EACH);
        }
        let mut buffer = [0; 100];
        for socket in [&good, &good_other, &bad_other] {
            for _ in 0..EACH {
                let (octets, _) = socket.recv_from(&mut buffer).expect("a datagram that must pass");
                assert_eq!(&buffer[..octets], b"<134>1 message");
            }
        }
        // What a stranger sent to the listener went before what it sent to the other port.
        assert_eq!(Link::waiting(&bad), 0, "a stranger's datagrams from {stranger}2");
        tcp(&link, stranger);
    }
    ping(&link, stranger_v4);
    let counts = filter.counts().expect("counters");
    let each = EACH as u64;
    for exporter in ALLOWED {
        assert_eq!(
            packets(&counts, Some(exporter), Verdict::Accepted),
            each,
            "{exporter}"
        );
        assert_eq!(packets(&counts, Some(exporter), Verdict::NotAllowed), 0);
    }
    assert_eq!(packets(&counts, None, Verdict::NotAllowed), 2 * each);
    assert_eq!(packets(&counts, None, Verdict::Accepted), 0);
    assert!(packets(&counts, None, Verdict::NotOurs) >= 4 * each, "{counts:?}");
    assert!(link.has_program());
    drop(filter);
    assert!(!link.has_program(), "a dropped filter leaves the interface");
    let free = link.receiving(stranger_v4, PORT);
    link.send(stranger_v4, PORT, 1);
    assert!(
        free.recv_from(&mut [0; 100]).is_ok(),
        "without the filter strangers pass"
    );
}

/// Tags are in the packets here, as with a driver that does not take them off.
#[test]
fn on_an_interface_tagged_packets_are_judged_like_others() {
    let link = Link::new();
    let mut filter = any_filter(&ALLOWED);
    link.attach(&mut filter);
    let (tx, rx) = (raw(&link.sender), raw(&link.receiver));
    let mut seen = BTreeMap::new();
    let mut sent = Vec::new();
    for (length, tags) in [(100, &[0x8100][..]), (101, &[0x88a8]), (102, &[0x88a8, 0x8100])] {
        for (index, network) in NETWORKS.into_iter().enumerate() {
            let plain = PlainFrame::new(ip(network, 2), ip(network, 1));
            let frame = PlainFrame {
                tags,
                port: PORT,
                payload: length + 10 * index,
                ..plain
            }
            .build();
            assert_eq!((&tx).write(&frame).expect("send"), frame.len());
            sent.push((plain, frame.len()));
        }
    }
    // Not ours, sent last: when it is there, all that passed is.
    let last = PlainFrame {
        port: OTHER_PORT,
        payload: 200,
        ..sent[0].0
    }
    .build();
    assert_eq!((&tx).write(&last).expect("send"), last.len());
    let mut buffer = [0; 2000];
    loop {
        let octets = (&rx).read(&mut buffer).expect("the last packet passes");
        let payload = buffer[..octets]
            .windows(8)
            .position(|window| window == b"abcdefgh")
            .map(|at| octets - at);
        match payload {
            Some(200) => break,
            Some(payload) => *seen.entry(payload).or_insert(0) += 1,
            None => {}
        }
    }
    // Exporters of IPv4 and IPv6, each with three kinds of tags; of strangers nothing.
    assert_eq!(
        seen,
        [100, 101, 102, 120, 121, 122].map(|payload| (payload, 1)).into()
    );
    let counts = filter.counts().expect("counters");
    for exporter in ALLOWED {
        assert_eq!(
            packets(&counts, Some(exporter), Verdict::Accepted),
            3,
            "{exporter}"
        );
    }
    assert_eq!(packets(&counts, None, Verdict::NotAllowed), 6);
}

/// A socket for whole Ethernet frames on `eth0`, in both directions. What it receives passed the XDP program.
fn raw(namespace: &Namespace) -> Socket {
    let all = libc::ETH_P_ALL as u16;
    let open = || {
        let name = c"eth0";
        // SAFETY: a string with its end.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // SAFETY: the closure writes a whole `sockaddr_ll` into storage that is larger, and says its length.
        let ((), address) = unsafe {
            socket2::SockAddr::try_init(|storage, length| {
                let address: *mut libc::sockaddr_ll = storage.cast();
                (*address).sll_family = libc::AF_PACKET as u16;
                (*address).sll_protocol = all.to_be();
                (*address).sll_ifindex = index as i32;
                *length = size_of::<libc::sockaddr_ll>() as u32;
                Ok(())
            })?
        };
        let socket = Socket::new(
            Domain::PACKET,
            Type::RAW,
            Some(Protocol::from(i32::from(all.to_be()))),
        )?;
        socket.bind(&address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok::<_, std::io::Error>(socket)
    };
    namespace.run(open).expect("namespace").expect("packet socket")
}

/// TCP to the listener's port number, from a stranger.
fn tcp(link: &Link, network: &str) {
    let listener = link
        .receiver
        .run(|| TcpListener::bind((ip(network, 1), PORT)))
        .expect("namespace")
        .expect("bind");
    let address = SocketAddr::new(ip(network, 1), PORT);
    let connect = || TcpStream::connect_timeout(&address, PATIENCE);
    let mut client = link.sender.run(connect).expect("namespace").expect("TCP passes");
    let (mut server, _) = listener.accept().expect("accept");
    server.set_read_timeout(Some(PATIENCE)).expect("timeout");
    client.write_all(b"hello").expect("write");
    let mut buffer = [0; 5];
    server.read_exact(&mut buffer).expect("TCP passes");
    assert_eq!(&buffer, b"hello");
}

/// An ICMP echo (RFC 792) and its answer.
fn ping(link: &Link, network: &str) {
    let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4));
    let mut socket = link.sender.run(open).expect("namespace").expect("raw socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    socket
        .connect(&SocketAddr::new(ip(network, 1), 0).into())
        .expect("connect");
    // Type 8, identifier 0x1234, sequence 1, checksum.
    socket.send(&[8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1]).expect("send");
    let mut buffer = [0; 100];
    let octets = socket.read(&mut buffer).expect("an answer to the ping");
    assert_eq!(&buffer[20..octets], [0, 0, 0xed, 0xca, 0x12, 0x34, 0, 1]);
}

/// An exporter that is in the old and in the new list loses nothing while lists change, and keeps its counters.
#[test]
fn a_reload_drops_nothing_of_those_who_stay() {
    let link = Link::new();
    let [stays, ..] = NETWORKS;
    let mut filter = any_filter(&["198.18.0.0/16"]);
    link.attach(&mut filter);
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let socket = link.sending(stays);
            let mut sent = 0_u64;
            // Nobody listens there: what comes back as "unreachable" is no failure of the sender.
            while !done.load(Ordering::Relaxed) {
                sent += u64::from(socket.send_to(b"x", (ip(stays, 1), PORT)).is_ok());
            }
            sent
        });
        let lists = [
            exporters(&["198.18.0.0/16", "10.0.0.0/8", "0.0.0.0/1"]),
            exporters(&["10.1.0.0/16", "198.18.0.0/16", "128.0.0.0/1"]),
            exporters(&["198.18.0.0/16"]),
        ];
        for round in 0..300 {
            filter.reload(&lists[round % lists.len()]).expect("reload");
        }
        done.store(true, Ordering::Relaxed);
        sender.join().expect("sender")
    });
    assert!(sent > 100, "{sent} sent");
    let accepted = || {
        packets(
            &filter.counts().expect("counters"),
            Some("198.18.0.0/16"),
            Verdict::Accepted,
        )
    };
    wait_for(
        "all that was sent to be counted for the exporter that stayed",
        || accepted() == sent,
    );
    let counts = filter.counts().expect("counters");
    let all = |verdict| {
        counts
            .iter()
            .filter(|count| count.verdict == verdict)
            .map(|count| count.packets)
            .sum::<u64>()
    };
    assert_eq!(all(Verdict::NotAllowed), 0);
    assert_eq!(all(Verdict::Accepted), sent);
}

#[test]
fn a_killed_process_leaves_no_program_behind() {
    const HOLD: &str = "NATRAIL_TEST_HOLD_XDP";
    if let Ok(interface) = std::env::var(HOLD) {
        // This is the process to be killed; its standard input ends with the test that started it.
        let mut filter = any_filter(&ALLOWED);
        filter.attach(&[interface], XdpMode::Native).expect("attach");
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let link = Link::new();
    let mut child = link
        .receiver
        .command(std::env::current_exe().expect("this program"))
        .args(["--exact", "interface::a_killed_process_leaves_no_program_behind"])
        .env(HOLD, "eth0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("spawn");
    wait_for("the child's program on the interface", || link.has_program());
    assert!(child.try_wait().expect("child").is_none(), "the child lives");
    child.kill().expect("kill");
    child.wait().expect("wait");
    wait_for("the killed child's program to be gone", || !link.has_program());
}

/// Two filters take turns while datagrams come: what passes both never stops, what passes neither never passes.
#[test]
fn changing_a_filter_drops_nothing_and_lets_nothing_through() {
    let link = Link::new();
    let [exporter, ..] = NETWORKS;
    let mut filter = any_filter(&ALLOWED);
    let filters = ["one", "two"].map(|word| {
        let rules = Rules::new(&[word.to_owned()], &[], 256, PriMask::default());
        Compiled::new(&rules.expect("valid"))
    });
    filter.set_filter(0, filters[0].kernel()).expect("set");
    link.attach(&mut filter);
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let socket = link.sending(exporter);
            let mut sent = [0_u64; 2];
            while !done.load(Ordering::Relaxed) {
                for (sent, payload) in sent.iter_mut().zip(["... one and two", "... three"]) {
                    *sent += u64::from(
                        socket
                            .send_to(payload.as_bytes(), (ip(exporter, 1), PORT))
                            .is_ok(),
                    );
                }
            }
            sent
        });
        for round in 0..200 {
            filter
                .set_filter(0, filters[(round + 1) % 2].kernel())
                .expect("set");
        }
        done.store(true, Ordering::Relaxed);
        sender.join().expect("sender")
    });
    assert!(sent[0] > 100, "{sent:?} sent");
    let counted = |verdict| {
        let counts = filter.counts().expect("counters");
        packets(&counts, Some("198.18.0.0/16"), verdict)
    };
    wait_for("all that was sent to be counted", || {
        counted(Verdict::Accepted) + counted(Verdict::Filtered) == sent[0] + sent[1]
    });
    assert_eq!([counted(Verdict::Accepted), counted(Verdict::Filtered)], sent);
}
