//! Syslog over TLS: peers with and without certificates, reloads, and bytes that are no TLS.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use collector::Collector;
use collector::stream::counters::{Ending, StreamCounters};
use common::{MemoryBus, PATIENCE};
use harness::wait_until;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A CA with a folder for what it signs.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new([]).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        let issuer = Issuer::new(parameters, key);
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign(&self, usage: ExtendedKeyUsagePurpose) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        parameters.extended_key_usages.push(usage);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("signs");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A new certificate for the collector, where its configuration looks for it.
    fn renew(&self) {
        let pair = self.sign(ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(self.path("certificate.pem"), pair.certificate).expect("written");
        std::fs::write(self.path("key.pem"), pair.key).expect("written");
    }

    /// A collector that has its certificate from here. `more` are lines of the listener.
    fn start(&self, more: &str) -> Running {
        self.renew();
        let listener = format!(
            "[[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n\
             certificate = \"{}\"\nkey = \"{}\"\n{more}",
            self.path("certificate.pem").display(),
            self.path("key.pem").display(),
        );
        let bus = Arc::new(MemoryBus::default());
        let config = common::config(&listener, &[]);
        let collector = Collector::start(&config, Arc::clone(&bus) as _).expect("starts");
        Running {
            streams: collector.view().streams.expect("a listener for streams"),
            address: collector.addresses()[0],
            collector,
            bus,
            config,
        }
    }

    /// A peer that trusts this CA, and shows a certificate if it has one.
    fn peer(&self, to: SocketAddr, own: Option<&Pair>) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.path("ca.pem")).expect("a certificate");
        roots.add(ca).expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let certificate =
                    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .expect("a pair")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let socket = TcpStream::connect(to).expect("connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        StreamOwned::new(connection, socket)
    }
}

struct Running {
    collector: Collector,
    bus: Arc<MemoryBus>,
    streams: Arc<StreamCounters>,
    address: SocketAddr,
    config: config::Config,
}

impl Running {
    fn wait(&self, what: &str, done: impl FnMut() -> bool) {
        if let Err(error) = wait_until(PATIENCE, what, done) {
            panic!("{error}: {:?}, {:?}", self.collector.counts(), self.streams);
        }
    }

    fn wait_for_messages(&self, messages: u64) {
        self.wait("messages", || self.collector.counts().received >= messages);
    }

    fn wait_for_ending(&self, ending: Ending, count: u64) {
        self.wait(ending.name(), || self.streams.ended(ending).get() >= count);
    }

    fn reload(&self) -> Result<(), String> {
        let listeners = &self.config.collector.as_ref().expect("a collector").listeners;
        let reloaded = self.collector.reload_certificates(listeners);
        let [(address, result)]: [_; 1] = reloaded.try_into().expect("one listener");
        assert_eq!(address, listeners[0].address);
        result.map_err(|error| error.to_string())
    }

    fn payloads(self) -> Vec<String> {
        let outcome = self.collector.stop(PATIENCE);
        assert_eq!(
            outcome.counts.received, outcome.counts.framed,
            "nothing is dropped"
        );
        assert_eq!(self.streams.open(), 0);
        assert!(!outcome.thread_failed);
        (self.bus.kept().iter())
            .map(|kept| String::from_utf8_lossy(&kept.payload).into_owned())
            .collect()
    }
}

/// The certificate that the other side shows.
fn shown(peer: &mut StreamOwned<ClientConnection, TcpStream>) -> Vec<u8> {
    peer.flush().expect("a handshake");
    peer.conn.peer_certificates().expect("certificates")[0].to_vec()
}

#[test]
fn both_framings_come_over_tls_and_records_do_not_matter() {
    let authority = Authority::new();
    let running = authority.start("line_bytes_max = 512");
    let mut counted = authority.peer(running.address, None);
    let mut lines = authority.peer(running.address, None);
    // Records that split messages, and one that holds many: more than a read takes.
    for piece in ["5 <1", ">ab3 ", "cde1 ", "x"] {
        counted.write_all(piece.as_bytes()).expect("sends");
        counted.flush().expect("sends");
    }
    let many: Vec<_> = (0..20_000).map(|number| format!("<2>{number}\n")).collect();
    lines.write_all(many.concat().as_bytes()).expect("sends");
    running.wait_for_messages(20_003);
    assert_eq!(running.streams.tls_messages.get(), 20_003);
    counted.conn.send_close_notify();
    counted.flush().expect("says goodbye");
    running.wait_for_ending(Ending::Closed, 1);
    // Without a goodbye, in the middle of a message.
    lines.write_all(b"<3>unfini").expect("sends");
    lines.flush().expect("sends");
    drop(lines);
    running.wait_for_ending(Ending::Closed, 2);
    let mut payloads = running.payloads();
    assert_eq!(payloads.pop().as_deref(), Some("<3>unfini"));
    let (numbered, others): (Vec<_>, Vec<_>) = payloads.into_iter().partition(|text| text.starts_with("<2>"));
    assert_eq!(others, ["<1>ab", "cde", "x"]);
    assert!((0..20_000).map(|number| format!("<2>{number}")).eq(numbered));
}

#[test]
fn a_client_ca_lets_only_its_own_in() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let more = format!("client_ca = \"{}\"", authority.path("ca.pem").display());
    let running = authority.start(&more);
    let send = |own: Option<&Pair>| -> std::io::Result<()> {
        let mut peer = authority.peer(running.address, own);
        peer.write_all(b"1 a")?;
        peer.flush()?;
        // With TLS 1.3, the refusal comes after the handshake is done for the client.
        peer.conn.send_close_notify();
        peer.flush()?;
        peer.read(&mut [0]).map(drop)
    };
    send(None).expect_err("a certificate is required");
    send(Some(&stranger.sign(ExtendedKeyUsagePurpose::ClientAuth))).expect_err("another CA's is not taken");
    send(Some(&authority.sign(ExtendedKeyUsagePurpose::ServerAuth))).expect_err("nor is one for servers");
    running.wait_for_ending(Ending::Handshake, 3);
    assert_eq!(running.collector.counts().received, 0);
    send(Some(&authority.sign(ExtendedKeyUsagePurpose::ClientAuth))).expect("its own is taken");
    running.wait_for_messages(1);
    assert_eq!(running.payloads(), ["a"]);
}

#[test]
fn a_reload_is_for_new_connections_and_a_bad_file_changes_nothing() {
    let authority = Authority::new();
    let running = authority.start("");
    let mut old = authority.peer(running.address, None);
    let first = shown(&mut old);

    std::fs::write(authority.path("key.pem"), "nonsense").expect("written");
    let refused = running.reload().expect_err("nonsense");
    assert!(refused.contains("key.pem"), "{refused}");
    assert_eq!(shown(&mut authority.peer(running.address, None)), first);

    authority.renew();
    running.reload().expect("a good pair");
    assert_ne!(shown(&mut authority.peer(running.address, None)), first);
    old.write_all(b"1 a").expect("the old connection goes on");
    old.flush().expect("sends");
    running.wait_for_messages(1);
    assert_eq!(running.payloads(), ["a"]);
}

#[test]
fn what_is_no_tls_or_too_slow_ends_and_harms_nobody() {
    let authority = Authority::new();
    let running = authority.start("handshake_s = 1");
    let mut good = authority.peer(running.address, None);
    good.write_all(b"1 a").expect("sends");
    good.flush().expect("sends");
    running.wait_for_messages(1);
    // Says nothing; sends a hello octet by octet; speaks plain syslog; breaks what was TLS until then.
    let silent = TcpStream::connect(running.address).expect("connects");
    let mut slow = TcpStream::connect(running.address).expect("connects");
    for octet in [0x16, 3, 1, 1, 0] {
        slow.write_all(&[octet]).expect("sends");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut plain = TcpStream::connect(running.address).expect("connects");
    plain.write_all(b"<134>a line without TLS\n").expect("sends");
    running.wait_for_ending(Ending::Handshake, 3);
    let mut broken = authority.peer(running.address, None);
    broken.write_all(b"1 b").expect("sends");
    broken.flush().expect("sends");
    running.wait_for_messages(2);
    broken.sock.write_all(&[0xff; 64]).expect("sends");
    running.wait_for_ending(Ending::Tls, 1);
    drop((silent, slow));
    good.write_all(b"1 c").expect("the good one stays");
    good.flush().expect("sends");
    running.wait_for_messages(3);
    assert_eq!(running.payloads(), ["a", "b", "c"]);
}

#[test]
fn the_end_takes_what_was_sent_over_tls() {
    const MESSAGES: usize = 50_000;
    let authority = Authority::new();
    let running = authority.start("");
    let mut peer = authority.peer(running.address, None);
    // The handshake is done; what follows may be in the socket still when the end comes.
    peer.write_all(b"<1>first\n").expect("sends");
    peer.flush().expect("sends");
    running.wait_for_messages(1);
    let sender = std::thread::spawn(move || {
        for number in 0..MESSAGES {
            writeln!(peer, "<2>{number}").expect("sends");
        }
        peer.flush().expect("sends");
        peer
    });
    let mut peer = sender.join().expect("sent");
    assert_eq!(running.payloads().len(), MESSAGES + 1);
    assert_eq!(peer.read(&mut [0]).expect("an end in order"), 0, "close_notify");
}

#[test]
fn certificates_that_cannot_be_used_are_said_at_the_start() {
    let authority = Authority::new();
    authority.renew();
    std::fs::remove_file(authority.path("key.pem")).expect("removed");
    let listener = format!(
        "[[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n\
         certificate = \"{}\"\nkey = \"{}\"\n",
        authority.path("certificate.pem").display(),
        authority.path("key.pem").display(),
    );
    let started = Collector::start(&common::config(&listener, &[]), Arc::new(MemoryBus::default()));
    let error = started.err().expect("no key").to_string();
    assert!(
        error.contains("127.0.0.1:0") && error.contains("key.pem"),
        "{error}"
    );
}
