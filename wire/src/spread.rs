//! How datagrams are given to the sockets that share a port, one of each receive thread: what the `sk_reuseport` program and
//! the collector share.
//!
//! Left to itself the kernel takes the socket by a hash of addresses and ports; a router sends all from one port, and so
//! uses one thread only.

/// Name of the program in its object.
pub const PROGRAM: &str = "spread";
/// Socket array of [`MAX_SOCKETS`].
pub const MAP_SOCKETS: &str = "SOCKETS";
/// Array of one [`Plan`].
pub const MAP_PLAN: &str = "SPREAD";

/// Most sockets that share a port.
pub const MAX_SOCKETS: u32 = 1024;
/// Datagrams that go to one socket before it is the next one's turn: small enough to be even, and enough to be worth
/// waking a thread.
pub const RUN: u32 = 32;

/// The sockets of one listener, and how they are chosen among.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Plan {
    /// Sockets in the array, from place 0 on.
    pub sockets: u32,
    /// Not 0: all datagrams of an address go to one socket. 0: the sockets take turns.
    pub by_exporter: u32,
}

/// Place of the socket for datagram number `turn` of a CPU.
#[inline]
pub const fn by_turn(turn: u32, cpu: u32, sockets: u32) -> u32 {
    // CPUs begin at different sockets, so that they do not all fill the same one.
    (turn / RUN).wrapping_add(cpu) % sockets
}

/// Place of the socket for an exporter's address: IPv4 in the first word, the others 0, or IPv6.
#[inline]
pub const fn by_exporter(address: [u32; 4], sockets: u32) -> u32 {
    let [a, b, c, d] = address;
    let mut hash = (a ^ b.rotate_left(7) ^ c.rotate_left(13) ^ d.rotate_left(19)).wrapping_mul(0x9e37_79b1);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca77);
    (hash ^ (hash >> 13)) % sockets
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    #[test]
    fn turns_are_even_and_runs_stay_together() {
        for sockets in 1..=7 {
            let mut counts = vec![0; sockets as usize];
            for turn in 0..sockets * RUN * 3 {
                counts[by_turn(turn, 5, sockets) as usize] += 1;
                assert_eq!(by_turn(turn, 5, sockets), by_turn(turn / RUN * RUN, 5, sockets));
            }
            assert!(counts.iter().all(|count| *count == 3 * RUN), "{counts:?}");
        }
    }

    #[test]
    fn neighbouring_exporters_go_to_all_sockets() {
        for sockets in [2, 3, 8, 16] {
            for v6 in [false, true] {
                let mut counts = vec![0_u32; sockets as usize];
                for host in 0..4096_u32 {
                    // As the packet has them: the last octet of the address is the highest of a word.
                    let word = u32::from_ne_bytes((0xc000_0200 + host).to_be_bytes());
                    let address = if v6 {
                        [0xb80d_0120, 0, 0, word]
                    } else {
                        [word, 0, 0, 0]
                    };
                    counts[by_exporter(address, sockets) as usize] += 1;
                }
                let fair = 4096 / sockets;
                assert!(
                    counts.iter().all(|count| count.abs_diff(fair) < fair / 3),
                    "{counts:?}"
                );
            }
        }
    }
}
