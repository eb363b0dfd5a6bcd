//! Who is behind the NAT, what stands before it, and whom it talks to: tables that never change during a run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use event::Text;
use rand::Rng;
use rand::rngs::SmallRng;

/// TCP's IANA protocol number.
pub const TCP: u8 = 6;
/// UDP's IANA protocol number.
pub const UDP: u8 = 17;
/// ICMP's IANA protocol number; its "ports" are query identifiers.
pub const ICMP: u8 = 1;

/// One subscriber's line.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub inside: IpAddr,
    pub vrf: &'static str,
    /// What the device logs as user name, where it knows one.
    pub username: Option<Box<str>>,
}

impl Subscriber {
    /// The subscriber with this number. Every 32nd is behind NAT64, every 16th in another VRF, every 4th has a name.
    pub fn new(number: u32) -> Self {
        // 100.64.0.0/10 (RFC 6598) from .0.1 on, 2001:db8::/32 (RFC 3849) with a /56 for each line.
        let inside = if number % 32 == 31 {
            let network = 0x2001_0db8_u128 << 96 | u128::from(number) << 72;
            IpAddr::V6(Ipv6Addr::from(network | 1))
        } else {
            IpAddr::V4(Ipv4Addr::from(0x6440_0001 + number))
        };
        Self {
            inside,
            vrf: if number % 16 == 7 { "12" } else { "0" },
            username: (number % 4 == 1).then(|| format!("line{number:07}@isp.example").into_boxed_str()),
        }
    }

    pub fn name(&self) -> Option<Text<'_>> {
        self.username.as_deref().map(Text::plain)
    }
}

/// Highest number of subscribers: their blocks fit into the outside pool, and into a few hundred MiB of memory.
pub const SUBSCRIBERS_MAX: u32 = 1_000_000;

/// Outside addresses of the CGNs of one format. The formats' pools are disjoint, as those of two operators are.
#[derive(Clone, Copy, Debug)]
pub struct OutsidePool {
    /// First address and size of each network.
    networks: [(u32, u32); 2],
}

impl OutsidePool {
    /// 203.0.113.0/24 (RFC 5737), then 198.18.0.0/16 (RFC 2544).
    pub const FIRST: Self = Self {
        networks: [(0xcb00_7101, 254), (0xc612_0001, 65_534)],
    };
    /// 198.51.100.0/24 (RFC 5737), then 198.19.0.0/16 (RFC 2544).
    pub const SECOND: Self = Self {
        networks: [(0xc633_6401, 254), (0xc613_0001, 65_534)],
    };

    /// The address with this number; `None` past the end.
    pub fn address(self, number: u32) -> Option<Ipv4Addr> {
        let mut rest = number;
        for (first, size) in self.networks {
            if rest < size {
                return Some(Ipv4Addr::from(first + rest));
            }
            rest -= size;
        }
        None
    }
}

/// A server on the outside.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    pub address: Ipv4Addr,
    /// 0 for ICMP, where the query identifier takes the port's place.
    pub port: u16,
    pub protocol: u8,
    /// What Junos calls the service.
    pub service: &'static str,
}

/// Destinations whose popularity falls off as Zipf's law has it: the second is asked for half as often as the first.
#[derive(Debug)]
pub struct Destinations {
    all: Vec<Destination>,
    /// Rank for each of [`DRAWS`] equally likely draws.
    draws: Vec<u16>,
}

const DESTINATIONS: usize = 4096;
const DRAWS: usize = 1 << 16;

impl Destinations {
    pub fn new(rng: &mut SmallRng) -> Self {
        // Service and its share in percent.
        const SERVICES: [(u16, u8, &str, u32); 9] = [
            (443, TCP, "junos-https", 42),
            (443, UDP, "None", 22),
            (53, UDP, "junos-dns-udp", 14),
            (80, TCP, "junos-http", 9),
            (5223, TCP, "None", 4),
            (123, UDP, "junos-ntp", 3),
            (3478, UDP, "None", 2),
            (22, TCP, "junos-ssh", 2),
            (0, ICMP, "junos-icmp-all", 2),
        ];
        let all = (0..DESTINATIONS)
            .map(|_| {
                let mut percent = rng.random_range(0..100);
                let (port, protocol, service, _) = SERVICES
                    .into_iter()
                    .find(|&(_, _, _, share)| {
                        let here = percent < share;
                        percent = percent.wrapping_sub(share);
                        here
                    })
                    .unwrap_or(SERVICES[0]);
                // 198.18.0.0/16 (RFC 2544): nobody's.
                let address = Ipv4Addr::from(0xc612_0000 | rng.random_range(1..0xffff));
                Destination {
                    address,
                    port,
                    protocol,
                    service,
                }
            })
            .collect();
        // With exponent 1 the rank of a draw is N^u for u uniform in [0, 1).
        let ranks = (0..DRAWS).map(|draw| {
            let rank = (DESTINATIONS as f64).powf(draw as f64 / DRAWS as f64) as usize - 1;
            rank.min(DESTINATIONS - 1) as u16
        });
        Self {
            all,
            draws: ranks.collect(),
        }
    }

    pub fn draw(&self, rng: &mut SmallRng) -> Destination {
        self.all[self.draws[rng.random_range(0..DRAWS)] as usize]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn outside_pools_are_disjoint_and_end() {
        let (first, second) = (OutsidePool::FIRST, OutsidePool::SECOND);
        assert_eq!(first.address(0), Some(Ipv4Addr::new(203, 0, 113, 1)));
        assert_eq!(
            first.address(253 + 65_534),
            Some(Ipv4Addr::new(198, 18, 255, 254))
        );
        assert_eq!(first.address(254 + 65_534), None);
        assert_eq!(second.address(0), Some(Ipv4Addr::new(198, 51, 100, 1)));
        assert_eq!(second.address(254), Some(Ipv4Addr::new(198, 19, 0, 1)));
    }

    #[test]
    fn a_few_destinations_get_most_of_the_sessions() {
        let mut rng = SmallRng::seed_from_u64(1);
        let destinations = Destinations::new(&mut rng);
        let top = destinations.draws.iter().filter(|&&rank| rank < 64).count();
        assert!((DRAWS * 45 / 100..DRAWS * 55 / 100).contains(&top), "{top}");
    }

    #[test]
    fn subscribers_differ() {
        let mut seen = std::collections::HashSet::new();
        assert!((0..10_000).all(|number| seen.insert(Subscriber::new(number).inside)));
    }
}
