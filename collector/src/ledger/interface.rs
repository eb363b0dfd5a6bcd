//! What the kernel says of a network interface: `/sys/class/net/<name>/statistics`.

use std::path::Path;

/// Counts of some interfaces together, since they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Good packets, also those that XDP then drops (`rx_packets`).
    pub received: u64,
    /// Packets that the interface had no room for (`rx_missed_errors`); not among those received.
    pub missed: u64,
    /// Packets that driver or stack dropped (`rx_dropped`).
    pub dropped: u64,
}

/// Sums up the interfaces. One that cannot be read counts as 0.
pub fn read(interfaces: &[String]) -> InterfaceCounts {
    let mut sum = InterfaceCounts::default();
    for interface in interfaces {
        let statistics = Path::new("/sys/class/net").join(interface).join("statistics");
        let number = |name: &str| {
            std::fs::read_to_string(statistics.join(name))
                .ok()
                .and_then(|text| text.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        sum.received += number("rx_packets");
        sum.missed += number("rx_missed_errors");
        sum.dropped += number("rx_dropped");
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_counts_what_is_sent_over_it_and_an_interface_that_is_not_there_nothing() {
        let names = ["lo".to_owned(), "nowhere0".to_owned()];
        let before = read(&names);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for _ in 0..10 {
            socket
                .send_to(b"x", socket.local_addr().expect("address"))
                .expect("sent");
        }
        assert!(read(&names).received >= before.received + 10);
        assert_eq!(read(&names[1..]), InterfaceCounts::default());
    }
}
