//! From a packet to what a UDP socket would have given: exporter, port, time, payload, and the listener it is for.

use std::net::{IpAddr, SocketAddr};

use rustix::time::{ClockId, clock_gettime};
use wire::frame::PayloadKind;
use wire::packet::{Content, Datagram, dissect};

use super::super::message::Message;
use super::checksum;
use super::umem::Packet;

const NS_PER_S: i64 = 1_000_000_000;

/// A listener for datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: SocketAddr,
    pub kind: PayloadKind,
    /// Its place among the listeners for datagrams.
    pub listener: usize,
}

/// Why a packet becomes no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No whole datagram for a listener: the XDP program lets none through.
    Malformed,
    /// A checksum of IPv4 or UDP is wrong.
    Checksum,
}

/// Reads packets.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Those on one address before those on all, which is how the kernel chooses too.
    targets: Vec<Target>,
    verify_checksums: bool,
    datagram_bytes_max: usize,
    /// CLOCK_TAI less CLOCK_REALTIME: whole seconds, in ns.
    tai_offset_ns: i64,
}

impl Reader {
    pub fn new(mut targets: Vec<Target>, verify_checksums: bool, datagram_bytes_max: usize) -> Self {
        targets.sort_by_key(|target| target.address.ip().is_unspecified());
        let mut reader = Self {
            targets,
            verify_checksums,
            datagram_bytes_max,
            tai_offset_ns: 0,
        };
        reader.read_clocks();
        reader
    }

    /// Looks how far the clock of the stamps is from the wall clock. It changes with leap seconds, and when somebody
    /// tells the kernel how many there were: cheap enough for every batch.
    pub fn read_clocks(&mut self) {
        let ns = |clock| {
            let now = clock_gettime(clock);
            now.tv_sec * NS_PER_S + now.tv_nsec
        };
        let difference = ns(ClockId::Tai) - ns(ClockId::Realtime);
        // The two were not read at the same moment.
        self.tai_offset_ns = (difference + NS_PER_S / 2).div_euclid(NS_PER_S) * NS_PER_S;
    }

    /// The datagram in a packet, and its listener.
    pub fn read<'a>(&self, packet: Packet<'a>) -> Result<(&Target, Message<'a>), Refused> {
        let Content::Datagram(datagram) = dissect(packet.octets) else {
            return Err(Refused::Malformed);
        };
        let target = self.target(&datagram).ok_or(Refused::Malformed)?;
        if !datagram.whole {
            return Err(Refused::Malformed);
        }
        let payload = packet.octets.get(datagram.payload()).ok_or(Refused::Malformed)?;
        if self.verify_checksums && !checksum::is_right(packet.octets, &datagram) {
            return Err(Refused::Checksum);
        }
        let message = Message {
            exporter: datagram.source.into(),
            source_port: datagram.source_port,
            received_ns: packet
                .stamp
                .map(|stamp| stamp.saturating_add_signed(-self.tai_offset_ns)),
            socket_drops: None,
            truncated: payload.len() > self.datagram_bytes_max,
            payload: &payload[..payload.len().min(self.datagram_bytes_max)],
        };
        Ok((target, message))
    }

    fn target(&self, datagram: &Datagram) -> Option<&Target> {
        let to = IpAddr::from(datagram.destination);
        self.targets.iter().find(|target| {
            let ip = target.address.ip();
            target.address.port() == datagram.destination_port
                && (ip == to || (ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4()))
        })
    }
}

#[cfg(test)]
mod tests {
    use wire::packet::samples::PlainFrame;

    use super::*;

    fn target(address: &str, kind: PayloadKind) -> Target {
        Target {
            address: address.parse().expect("address"),
            kind,
            listener: 0,
        }
    }

    fn reader(verify: bool) -> Reader {
        let targets = vec![
            target("0.0.0.0:514", PayloadKind::Syslog),
            target("[::]:514", PayloadKind::Syslog),
            target("192.0.2.2:514", PayloadKind::Netflow),
        ];
        Reader::new(targets, verify, 600)
    }

    fn packet(octets: &[u8]) -> Packet<'_> {
        Packet { stamp: None, octets }
    }

    #[test]
    fn a_datagram_is_for_the_listener_on_its_address_before_those_on_all() {
        let reader = reader(true);
        for (to, kind) in [
            ("192.0.2.1", PayloadKind::Syslog),
            ("192.0.2.2", PayloadKind::Netflow),
        ] {
            let frame = PlainFrame::new([198, 51, 100, 7], to.parse::<IpAddr>().expect("address")).build();
            let (target, message) = reader.read(packet(&frame)).expect("a datagram");
            assert_eq!(
                (target.kind, message.source_port, message.truncated),
                (kind, 40_000, false)
            );
            assert_eq!(message.exporter, IpAddr::from([198, 51, 100, 7]));
            assert_eq!(message.payload, b"abcdefghijklmnopqrstuvwxyzabcdef");
        }
    }

    #[test]
    fn long_ones_are_cut_and_marked_and_wrong_ones_refused() {
        let plain = PlainFrame::new([198, 51, 100, 7], [192, 0, 2, 1]);
        let long = PlainFrame {
            payload: 601,
            ..plain
        }
        .build();
        let message = reader(true).read(packet(&long)).map(|(_, message)| message);
        assert!(message.is_ok_and(|message| message.truncated && message.payload.len() == 600));
        let other_port = PlainFrame { port: 515, ..plain }.build();
        assert_eq!(
            reader(true).read(packet(&other_port)).err(),
            Some(Refused::Malformed)
        );
        let mut wrong = plain.build();
        wrong[50] ^= 1;
        assert_eq!(reader(true).read(packet(&wrong)).err(), Some(Refused::Checksum));
        assert!(reader(false).read(packet(&wrong)).is_ok());
        assert_eq!(
            reader(true).read(packet(&plain.build()[..60])).err(),
            Some(Refused::Malformed)
        );
    }

    #[test]
    fn stamps_become_wall_clock_time() {
        let reader = reader(true);
        let now = clock_gettime(ClockId::Tai);
        let stamp = (now.tv_sec * NS_PER_S + now.tv_nsec) as u64;
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos() as u64;
        let frame = PlainFrame::new([198, 51, 100, 7], [192, 0, 2, 1]).build();
        let stamped = Packet {
            stamp: Some(stamp),
            octets: &frame,
        };
        let received = reader
            .read(stamped)
            .expect("a datagram")
            .1
            .received_ns
            .expect("a time");
        assert!(
            received.abs_diff(wall) < 60 * NS_PER_S as u64,
            "{received} {wall}"
        );
    }
}
