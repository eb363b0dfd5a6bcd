//! The exact sender, against plain sockets on the real kernel. Needs root.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use harness::live::{LiveSender, Mark, Traffic};
use harness::netns::{Namespace, veth};

const TO: &str = "198.18.0.1:5514";
const QUIET: Duration = Duration::from_millis(500);

/// A datagram's payload, and where it came from.
type Received = Vec<(Vec<u8>, SocketAddr)>;

/// Sends, and gives what a plain socket got.
fn send(traffic: &Traffic<'_>) -> Received {
    let (tx, rx) = (
        Namespace::new("tx").expect("namespace"),
        Namespace::new("rx").expect("namespace"),
    );
    veth(
        (&tx, "eth0", &["198.18.0.2/16"]),
        (&rx, "eth0", &["198.18.0.1/16"]),
    )
    .expect("veth");
    let socket = rx.run(|| UdpSocket::bind(TO)).expect("enters").expect("binds");
    grow(&socket);
    let mut sender = LiveSender::new((&tx, "eth0"), (&rx, "eth0"), 0).expect("sender");
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&socket));
        let sent = sender.send(traffic).expect("sends");
        assert_eq!((sent.datagrams, sent.refused), (traffic.count, 0), "{sent:?}");
        receiving.join().expect("receives")
    })
}

/// Room for all datagrams of a test: this machine may have other things to do than to receive.
fn grow(socket: &UdpSocket) {
    let octets: i32 = 256 * 1024 * 1024;
    // SAFETY: pointer and length name the integer, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const octets).cast(),
            size_of_val(&octets) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// All datagrams, until none has come for a while.
fn receive(socket: &UdpSocket) -> Received {
    let mut buffer = [0; 2000];
    let mut received = Vec::new();
    loop {
        // The first may take its time.
        let wait = if received.is_empty() { 20 * QUIET } else { QUIET };
        socket.set_read_timeout(Some(wait)).expect("timeout");
        match socket.recv_from(&mut buffer) {
            Ok((octets, from)) => received.push((buffer[..octets].to_vec(), from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return received,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn all_that_was_sent_arrives_whole_and_told_apart() {
    const COUNT: u64 = 20_000;
    let payload = b"<134>1 number ........ of a line of syslog, odd";
    let traffic = Traffic {
        from: "198.18.0.2:40000".parse().expect("address"),
        addresses: 1,
        ports: 1,
        to: TO.parse().expect("address"),
        payload,
        mark: Mark::Hex(14),
        rate: 20_000,
        count: COUNT,
    };
    let received = send(&traffic);
    let from: SocketAddr = "198.18.0.2:40000".parse().expect("address");
    for (number, (got, source)) in received.iter().enumerate() {
        let text = format!("<134>1 number {number:08x} of a line of syslog, odd");
        assert_eq!(
            (String::from_utf8_lossy(got).as_ref(), *source),
            (text.as_str(), from)
        );
    }
    assert_eq!(received.len() as u64, COUNT);
}

#[test]
fn addresses_and_ports_take_turns() {
    let traffic = Traffic {
        from: "198.18.1.0:50000".parse().expect("address"),
        addresses: 300,
        ports: 7,
        to: TO.parse().expect("address"),
        payload: &[0xff; 1000],
        mark: Mark::Binary(16),
        rate: 10_000,
        count: 4200,
    };
    let received = send(&traffic);
    for (number, (got, _)) in received.iter().enumerate() {
        assert_eq!(got[16..20], (number as u32).to_be_bytes());
        assert!(got.len() == 1000 && got[..16].iter().chain(&got[20..]).all(|octet| *octet == 0xff));
    }
    assert_eq!(received.len() as u64, traffic.count);
    let sources: HashSet<_> = received.iter().map(|(_, source)| *source).collect();
    assert_eq!(
        sources.len(),
        2100,
        "every pair, as 300 and 7 have no common factor"
    );
    assert!(
        sources.contains(&"198.18.2.43:50004".parse().expect("address")),
        "{sources:?}"
    );
}
