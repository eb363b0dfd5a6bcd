//! Namespaces and the relay, on the real kernel. Needs root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use harness::netns::{Namespace, veth};
use harness::relay::Relay;
use harness::wait_until;

#[test]
fn a_datagram_crosses_a_veth_pair_in_both_families() {
    let (a, b) = (
        Namespace::new("a").expect("namespace"),
        Namespace::new("b").expect("namespace"),
    );
    veth(
        (&a, "veth0", &["10.9.0.1/24", "10.9.0.7/24", "fd09::1/64"]),
        (&b, "veth0", &["10.9.0.2/24", "fd09::2/64"]),
    )
    .expect("veth");
    for (from, to) in [("10.9.0.7:0", "10.9.0.2:514"), ("[fd09::1]:0", "[fd09::2]:514")] {
        let receiver = b.run(|| UdpSocket::bind(to)).expect("enters").expect("binds");
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("timeout");
        let sender = a.run(|| UdpSocket::bind(from)).expect("enters").expect("binds");
        sender.send_to(b"hello", to).expect("sends");
        let mut buffer = [0; 16];
        let (length, source) = receiver.recv_from(&mut buffer).expect("receives");
        assert_eq!(&buffer[..length], b"hello");
        assert_eq!(source.ip(), from.parse::<SocketAddr>().expect("address").ip());
    }
}

#[test]
fn a_namespace_goes_with_its_value() {
    let namespace = Namespace::new("gone").expect("namespace");
    let path = format!("/run/netns/{}", namespace.name());
    assert!(std::path::Path::new(&path).exists());
    drop(namespace);
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn the_relay_carries_cuts_and_pauses() {
    let namespace = Namespace::new("relay").expect("namespace");
    let server = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = server.local_addr().expect("address");
    // An echo server; ends with the test's process.
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let relay = Relay::new(&namespace, address, address).expect("relay");
    let echo = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"ping")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    let connect = || {
        namespace
            .run(|| TcpStream::connect(address))
            .expect("enters")
            .expect("connects")
    };

    let mut first = connect();
    assert_eq!(&echo(&mut first).expect("answers"), b"ping");
    assert_eq!((relay.accepted(), relay.cut()), (1, 1));
    assert!(echo(&mut first).is_err(), "a cut connection must not answer");

    relay.pause();
    assert!(echo(&mut connect()).is_err(), "a paused relay must not answer");
    relay.resume();
    wait_until(Duration::from_secs(10), "the relay to accept again", || {
        echo(&mut connect()).is_ok()
    })
    .expect("resumes");
}
