//! A sender and a receiver on a veth pair, and a collector on the receiver.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use bus::FrameSender;
use collector::collector::Sockets;
use collector::filter::Filter;
use collector::receive::xsk::counters::XskView;
use collector::{Collector, metrics};
use config::Config;
use daemon::metrics::Text;
use harness::metrics::Metrics;
use harness::netns::{Namespace, veth};
use socket2::{Domain, Protocol, Socket, Type};

use crate::common::{MemoryBus, PATIENCE};

pub const SYSLOG: u16 = 5514;
pub const NETFLOW: u16 = 2055;
/// The receiver is host 1, the sender host 2, of IPv4 and IPv6.
pub const RECEIVER: [&str; 2] = ["198.18.0.1", "fd00:5::1"];
pub const SENDER: [&str; 2] = ["198.18.0.2", "fd00:5::2"];
const RECEIVER_MAC: &str = "02:00:00:00:00:01";

pub struct Link {
    pub sender: Namespace,
    pub receiver: Namespace,
}

impl Link {
    /// Checksums are made by the sender: on veth they would be left to the hardware that is not there.
    pub fn new() -> Self {
        let link = Self::with_partial_checksums();
        ethtool(&link.sender, &["-K", "eth0", "tx", "off"]);
        link
    }

    pub fn with_partial_checksums() -> Self {
        let sender = Namespace::new("tx").expect("namespace");
        let receiver = Namespace::new("rx").expect("namespace");
        let addresses = |hosts: [&str; 2]| [format!("{}/24", hosts[0]), format!("{}/64", hosts[1])];
        let (tx, rx) = (addresses(SENDER), addresses(RECEIVER));
        veth(
            (&sender, "eth0", &tx.each_ref().map(String::as_str)),
            (&receiver, "eth0", &rx.each_ref().map(String::as_str)),
        )
        .expect("veth");
        // Known from the start: of what is sent while a neighbour is looked for, the sender drops some.
        receiver
            .ip(&["link", "set", "eth0", "address", RECEIVER_MAC])
            .expect("address");
        for host in RECEIVER {
            let neighbour = ["neigh", "replace", host, "lladdr", RECEIVER_MAC, "dev", "eth0"];
            sender.ip(&neighbour).expect("neighbour");
        }
        Self { sender, receiver }
    }

    /// A socket of the sender on this port (0: any).
    pub fn sending(&self, from: &str, port: u16) -> UdpSocket {
        let address = SocketAddr::new(ip(from), port);
        let open = || UdpSocket::bind(address);
        self.sender.run(open).expect("namespace").expect("bind")
    }

    /// Sends whole Ethernet frames to the receiver.
    pub fn send_frames<'a>(&self, frames: impl IntoIterator<Item = &'a Vec<u8>>) {
        let mut socket = self
            .sender
            .run(packet_socket)
            .expect("namespace")
            .expect("packet socket");
        for frame in frames {
            assert_eq!(socket.write(frame).expect("send"), frame.len());
        }
    }

    /// A collector before a bus that keeps everything.
    pub fn start(&self, setup: &Setup<'_>) -> Running<MemoryBus> {
        self.start_with(setup, Arc::default())
    }

    pub fn start_with<B: FrameSender + 'static>(&self, setup: &Setup<'_>, bus: Arc<B>) -> Running<B> {
        let config = Config::parse(&setup.text(), Path::new("test")).expect("valid");
        let start = || {
            let settings = config.collector.as_ref().expect("a collector");
            let mut sockets = Sockets::open(settings)?;
            let filter = sockets.attach_filter(&config.exporters)?;
            let collector = sockets.start(&config.exporters, config.bus.partitions, bus.clone())?;
            anyhow::Ok((collector, filter.expect("a filter")))
        };
        let (collector, filter) = self.receiver.run(start).expect("namespace").expect("starts");
        Running {
            collector,
            filter,
            bus,
        }
    }
}

/// A configuration.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub receive: &'a str,
    pub cores: &'a str,
    /// Lines of `[collector.af_xdp]`.
    pub af_xdp: &'a str,
    /// Lines of `[collector]`.
    pub collector: &'a str,
    /// Lines of the listeners for syslog.
    pub syslog: &'a str,
    /// Lines of `[collector.xdp]`.
    pub xdp: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            receive: "af_xdp",
            cores: "[0]",
            af_xdp: "ring_entries = 2048\nframes = 4096",
            collector: "",
            syslog: "",
            xdp: "interfaces = [\"eth0\"]",
        }
    }
}

impl Setup<'_> {
    pub fn text(&self) -> String {
        let mut text = format!(
            "[bus]\npartitions = 2\n[[exporters.exporter]]\naddress = \"198.18.0.0/24\"\n[[exporters.exporter]]\n\
             address = \"fd00:5::/64\"\n[collector]\ncores = {}\nframe_age_ms = 20\nreceive = \"{}\"\n{}\n\
             [collector.xdp]\n{}\n",
            self.cores, self.receive, self.collector, self.xdp
        );
        if self.receive == "af_xdp" {
            text += &format!("[collector.af_xdp]\n{}\n", self.af_xdp);
        }
        for (kind, port, lines) in [("syslog", SYSLOG, self.syslog), ("netflow", NETFLOW, "")] {
            for any in ["0.0.0.0", "[::]"] {
                text += &format!(
                    "[[collector.listener]]\nkind = \"{kind}\"\naddress = \"{any}:{port}\"\n{lines}\n"
                );
            }
        }
        text
    }
}

pub struct Running<B = MemoryBus> {
    pub collector: Collector,
    pub filter: Filter,
    bus: Arc<B>,
}

impl<B> Running<B> {
    pub fn af_xdp(&self) -> Arc<XskView> {
        self.collector.view().af_xdp.expect("AF_XDP")
    }

    pub fn metrics(&self) -> Metrics {
        let mut text = Text::default();
        metrics::render(&self.collector.view(), &mut text);
        self.filter.render(&mut text);
        Metrics::parse(&text.finish())
    }

    /// Packets with this verdict, of whomever.
    pub fn verdict(&self, verdict: &str) -> u64 {
        self.metrics()
            .count("natrail_xdp_packets_total", &[("verdict", verdict)])
    }

    pub fn by_af_xdp(&self) -> u64 {
        self.af_xdp().sum(|thread| &thread.packets)
    }

    pub fn wait(&self, what: &str, ready: impl FnMut() -> bool) {
        if let Err(error) = harness::wait_until(PATIENCE, what, ready) {
            panic!("{error}: {:?} {:?}", self.collector.counts(), self.metrics());
        }
    }

    pub fn wait_received(&self, datagrams: u64) {
        self.wait("datagrams", || self.collector.counts().received >= datagrams);
    }

    /// As the program ends.
    pub fn stop(self) -> Arc<B> {
        self.filter.end_redirect();
        self.collector.stop(PATIENCE);
        self.bus
    }
}

pub fn ethtool(namespace: &Namespace, arguments: &[&str]) {
    let output = namespace
        .command("ethtool")
        .args(arguments)
        .output()
        .expect("ethtool");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

/// A socket for whole Ethernet frames on `eth0`.
fn packet_socket() -> std::io::Result<Socket> {
    let name = c"eth0";
    // SAFETY: a string with its end.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: the closure writes a whole `sockaddr_ll` into storage that is larger, and says its length.
    let ((), address) = unsafe {
        socket2::SockAddr::try_init(|storage, length| {
            let address: *mut libc::sockaddr_ll = storage.cast();
            (*address).sll_family = libc::AF_PACKET as u16;
            (*address).sll_ifindex = index as i32;
            *length = size_of::<libc::sockaddr_ll>() as u32;
            Ok(())
        })?
    };
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.bind(&address)?;
    Ok(socket)
}
