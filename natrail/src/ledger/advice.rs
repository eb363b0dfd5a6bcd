//! What to do where the ledger does not close.

use wire::ledger::Cell;
use wire::ledger::equation::{BUS, COLLECTOR, CONSUMER, INTERFACE, RINGS, ROWS, SOCKETS, THREADS};

use super::account::{Account, Balance};

/// One or more lines for an equation that fails. `difference`: where it is largest.
pub fn advice(balance: &Balance, difference: i64, account: &Account) -> String {
    let is_missing = difference > 0;
    let name = balance.equation.name;
    if name == BUS.name && is_missing {
        return missing_behind_the_bus(account);
    }
    let text = match is_missing {
        true if name == INTERFACE.name => {
            "packets came to an interface and XDP never saw them: is the program still attached (`ip link show`), on all queues?"
        }
        false if name == INTERFACE.name => {
            "XDP saw packets that the interface does not count: some drivers count late, or were reset; ask again on a quieter \
             network"
        }
        true if name == SOCKETS.name => {
            "lost in the kernel between XDP and the sockets: a firewall (`nft list ruleset`), rp_filter, or a wrong checksum; \
             `nstat -az 'UdpIn*' 'IpIn*'` and `dropwatch` name the place"
        }
        true if name == RINGS.name => {
            "lost between XDP and the rings: the XDP program redirects to a ring that nobody reads"
        }
        true if name == THREADS.name => {
            "taken from a socket and counted for nobody: this is a fault of natrail, please report it"
        }
        false if name == THREADS.name || name == RINGS.name => {
            "counted more than was taken: this is a fault of natrail, please report it"
        }
        _ if name == COLLECTOR.name => {
            "a datagram came out of a thread otherwise than it went in: a fault of natrail, please report it"
        }
        false if name == BUS.name => {
            "more was taken than collectors say that they framed: a collector was cut off before it could say so, or its last \
             counts are not taken yet"
        }
        _ if name == CONSUMER.name || name == ROWS.name => {
            "rows and counts move in one transaction: somebody else has changed natrail's tables, or this is a fault of natrail"
        }
        _ => "counted otherwise than it should be: this is a fault of natrail, please report it",
    };
    text.into()
}

fn missing_behind_the_bus(account: &Account) -> String {
    let waiting: i64 = account.lives.iter().map(|life| life.life.waiting_frames).sum();
    let missing = account.cells.get(&Cell::MissingFrames).copied().unwrap_or(0);
    let mut text = String::from(
        "framed, and not taken by a consumer: does one run, and does it keep up (natrail_consumer_lag_frames)?",
    );
    if waiting > 0 {
        text += &format!(
            " {waiting} frames waited in collectors' memory or on their disks when they were heard last."
        );
    }
    if missing > 0 {
        text += &format!(
            " {missing} frames never came, told by the numbers of their neighbours: the bus lost them; look into `natrail log \
             status`, or Kafka's retention."
        );
    }
    text
}
