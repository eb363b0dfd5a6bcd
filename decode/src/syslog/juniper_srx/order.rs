//! The parameters in the order in which Junos usually writes them.

use crate::syslog::fields;
use crate::syslog::keys::Key;

/// Slots of the values that a session needs. [`OTHER`] takes all others.
pub(super) mod session {
    pub const SOURCE_ADDRESS: usize = 0;
    pub const SOURCE_PORT: usize = 1;
    pub const DESTINATION_ADDRESS: usize = 2;
    pub const DESTINATION_PORT: usize = 3;
    pub const NAT_SOURCE_ADDRESS: usize = 4;
    pub const NAT_SOURCE_PORT: usize = 5;
    pub const NAT_DESTINATION_ADDRESS: usize = 6;
    pub const NAT_DESTINATION_PORT: usize = 7;
    pub const PROTOCOL_ID: usize = 8;
    pub const USERNAME: usize = 9;
    pub const ELAPSED_TIME: usize = 10;
}

/// Slots of the values that a block needs.
pub(super) mod block {
    pub const INTERNAL_IP: usize = 0;
    pub const BLOCK_PORT_LOW: usize = 1;
    pub const BLOCK_PORT_HIGH: usize = 2;
    pub const REFLEXIVE_IP: usize = 3;
    pub const EPOCH_TIME_64: usize = 4;
}

/// The values of a message, by these slots.
pub(super) type Fields<'a> = fields::Fields<'a, 16>;

/// The slot of values that no event needs.
const OTHER: usize = Fields::OTHER;

const fn key(name: &str, slot: usize) -> Key<2> {
    Key::new(name, true, slot as u8)
}

/// Of `RT_FLOW_SESSION_CREATE`; what only some releases write stands at the end.
pub(super) const CREATE: [Key<2>; 43] = [
    key("source-address", session::SOURCE_ADDRESS),
    key("source-port", session::SOURCE_PORT),
    key("destination-address", session::DESTINATION_ADDRESS),
    key("destination-port", session::DESTINATION_PORT),
    key("connection-tag", OTHER),
    key("service-name", OTHER),
    key("nat-source-address", session::NAT_SOURCE_ADDRESS),
    key("nat-source-port", session::NAT_SOURCE_PORT),
    key("nat-destination-address", session::NAT_DESTINATION_ADDRESS),
    key("nat-destination-port", session::NAT_DESTINATION_PORT),
    key("nat-connection-tag", OTHER),
    key("src-nat-rule-type", OTHER),
    key("src-nat-rule-name", OTHER),
    key("dst-nat-rule-type", OTHER),
    key("dst-nat-rule-name", OTHER),
    key("protocol-id", session::PROTOCOL_ID),
    key("policy-name", OTHER),
    key("source-zone-name", OTHER),
    key("destination-zone-name", OTHER),
    key("session-id", OTHER),
    key("username", session::USERNAME),
    key("roles", OTHER),
    key("packet-incoming-interface", OTHER),
    key("application", OTHER),
    key("nested-application", OTHER),
    key("encrypted", OTHER),
    key("application-category", OTHER),
    key("application-sub-category", OTHER),
    key("application-risk", OTHER),
    key("application-characteristics", OTHER),
    key("src-vrf-grp", OTHER),
    key("dst-vrf-grp", OTHER),
    key("tunnel-inspection", OTHER),
    key("tunnel-inspection-policy-set", OTHER),
    key("source-tenant", OTHER),
    key("destination-service", OTHER),
    key("session-id-32", OTHER),
    key("service-set-name", OTHER),
    key("logical-system-name", OTHER),
    key("prefix", OTHER),
    key("nestedapplication", OTHER),
    key("session-flag", OTHER),
    key("reason", OTHER),
];

/// Of `RT_FLOW_SESSION_CLOSE`.
pub(super) const CLOSE: [Key<2>; 56] = [
    key("reason", OTHER),
    key("source-address", session::SOURCE_ADDRESS),
    key("source-port", session::SOURCE_PORT),
    key("destination-address", session::DESTINATION_ADDRESS),
    key("destination-port", session::DESTINATION_PORT),
    key("connection-tag", OTHER),
    key("service-name", OTHER),
    key("nat-source-address", session::NAT_SOURCE_ADDRESS),
    key("nat-source-port", session::NAT_SOURCE_PORT),
    key("nat-destination-address", session::NAT_DESTINATION_ADDRESS),
    key("nat-destination-port", session::NAT_DESTINATION_PORT),
    key("nat-connection-tag", OTHER),
    key("src-nat-rule-type", OTHER),
    key("src-nat-rule-name", OTHER),
    key("dst-nat-rule-type", OTHER),
    key("dst-nat-rule-name", OTHER),
    key("protocol-id", session::PROTOCOL_ID),
    key("policy-name", OTHER),
    key("source-zone-name", OTHER),
    key("destination-zone-name", OTHER),
    key("session-id", OTHER),
    key("packets-from-client", OTHER),
    key("bytes-from-client", OTHER),
    key("packets-from-server", OTHER),
    key("bytes-from-server", OTHER),
    key("elapsed-time", session::ELAPSED_TIME),
    key("application", OTHER),
    key("nested-application", OTHER),
    key("username", session::USERNAME),
    key("roles", OTHER),
    key("packet-incoming-interface", OTHER),
    key("encrypted", OTHER),
    key("application-category", OTHER),
    key("application-sub-category", OTHER),
    key("application-risk", OTHER),
    key("application-characteristics", OTHER),
    key("secure-web-proxy-session-type", OTHER),
    key("peer-session-id", OTHER),
    key("peer-source-address", OTHER),
    key("peer-source-port", OTHER),
    key("peer-destination-address", OTHER),
    key("peer-destination-port", OTHER),
    key("hostname", OTHER),
    key("src-vrf-grp", OTHER),
    key("dst-vrf-grp", OTHER),
    key("tunnel-inspection", OTHER),
    key("tunnel-inspection-policy-set", OTHER),
    key("session-flag", OTHER),
    key("source-tenant", OTHER),
    key("destination-service", OTHER),
    key("user-type", OTHER),
    key("session-id-32", OTHER),
    key("service-set-name", OTHER),
    key("logical-system-name", OTHER),
    key("prefix", OTHER),
    key("nestedapplication", OTHER),
];

/// Of `RT_SRC_NAT_PBA_…`.
pub(super) const BLOCK: [Key<2>; 12] = [
    key("internal-ip", block::INTERNAL_IP),
    key("block-used", OTHER),
    key("block-max-per-host", OTHER),
    key("block-port-low", block::BLOCK_PORT_LOW),
    key("block-port-high", block::BLOCK_PORT_HIGH),
    key("reflexive-ip", block::REFLEXIVE_IP),
    key("nat-pool-name", OTHER),
    key("logical-system-id", OTHER),
    key("epoch-time-64", block::EPOCH_TIME_64),
    key("logical-system-name", OTHER),
    key("prefix", OTHER),
    key("service-set-name", OTHER),
];
