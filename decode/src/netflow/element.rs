//! Information elements: who defined them, and the names of those that NAT devices send.

use std::fmt;

/// An information element. In NetFlow v9 a field type: those above 32,767 are Cisco's private ones, there is no
/// enterprise bit (RFC 3954, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Element {
    /// Private enterprise number; 0 is IANA. An enterprise's number says nothing about IANA's element of that number.
    pub enterprise: u32,
    pub id: u16,
}

/// Nokia (Alcatel-Lucent), IANA enterprise number.
pub(super) const NOKIA: u32 = 637;

impl Element {
    pub(super) const fn iana(id: u16) -> Self {
        Self { enterprise: 0, id }
    }

    /// The name in IANA's registry, or Cisco's for the private ones; `None` if it is not in [`NAMES`].
    pub fn name(self) -> Option<&'static str> {
        match self.enterprise {
            0 => NAMES
                .binary_search_by_key(&self.id, |&(id, _)| id)
                .ok()
                .map(|index| NAMES[index].1),
            NOKIA => match self.id {
                91 => Some("aluInsideServiceId"),
                92 => Some("aluOutsideServiceId"),
                93 => Some("aluNatSubString"),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.enterprise) {
            (Some(name), _) => f.write_str(name),
            (None, 0) => write!(f, "{}", self.id),
            (None, enterprise) => write!(f, "{enterprise}/{}", self.id),
        }
    }
}

/// In the order of their numbers.
const NAMES: [(u16, &str); 92] = [
    (1, "octetDeltaCount"),
    (2, "packetDeltaCount"),
    (4, "protocolIdentifier"),
    (5, "ipClassOfService"),
    (6, "tcpControlBits"),
    (7, "sourceTransportPort"),
    (8, "sourceIPv4Address"),
    (10, "ingressInterface"),
    (11, "destinationTransportPort"),
    (12, "destinationIPv4Address"),
    (14, "egressInterface"),
    (15, "ipNextHopIPv4Address"),
    (21, "flowEndSysUpTime"),
    (22, "flowStartSysUpTime"),
    (23, "postOctetDeltaCount"),
    (24, "postPacketDeltaCount"),
    (27, "sourceIPv6Address"),
    (28, "destinationIPv6Address"),
    (32, "icmpTypeCodeIPv4"),
    (56, "sourceMacAddress"),
    (60, "ipVersion"),
    (61, "flowDirection"),
    (80, "destinationMacAddress"),
    (82, "interfaceName"),
    (85, "octetTotalCount"),
    (86, "packetTotalCount"),
    (95, "applicationId"),
    (130, "exporterIPv4Address"),
    (131, "exporterIPv6Address"),
    (136, "flowEndReason"),
    (139, "icmpTypeCodeIPv6"),
    (144, "exportingProcessId"),
    (148, "flowId"),
    (149, "observationDomainId"),
    (150, "flowStartSeconds"),
    (151, "flowEndSeconds"),
    (152, "flowStartMilliseconds"),
    (153, "flowEndMilliseconds"),
    (154, "flowStartMicroseconds"),
    (155, "flowEndMicroseconds"),
    (156, "flowStartNanoseconds"),
    (157, "flowEndNanoseconds"),
    (160, "systemInitTimeMilliseconds"),
    (176, "icmpTypeIPv4"),
    (177, "icmpCodeIPv4"),
    (178, "icmpTypeIPv6"),
    (179, "icmpCodeIPv6"),
    (210, "paddingOctets"),
    (225, "postNATSourceIPv4Address"),
    (226, "postNATDestinationIPv4Address"),
    (227, "postNAPTSourceTransportPort"),
    (228, "postNAPTDestinationTransportPort"),
    (229, "natOriginatingAddressRealm"),
    (230, "natEvent"),
    (231, "initiatorOctets"),
    (232, "responderOctets"),
    (233, "firewallEvent"),
    (234, "ingressVRFID"),
    (235, "egressVRFID"),
    (236, "VRFname"),
    (281, "postNATSourceIPv6Address"),
    (282, "postNATDestinationIPv6Address"),
    (283, "natPoolId"),
    (284, "natPoolName"),
    (297, "natType"),
    (322, "observationTimeSeconds"),
    (323, "observationTimeMilliseconds"),
    (324, "observationTimeMicroseconds"),
    (325, "observationTimeNanoseconds"),
    (346, "privateEnterpriseNumber"),
    (361, "portRangeStart"),
    (362, "portRangeEnd"),
    (363, "portRangeStepSize"),
    (364, "portRangeNumPorts"),
    (371, "userName"),
    (455, "mobileIMSI"),
    (456, "mobileMSISDN"),
    (463, "natInstanceID"),
    (464, "internalAddressRealm"),
    (465, "externalAddressRealm"),
    (466, "natQuotaExceededEvent"),
    (467, "natThresholdEvent"),
    (471, "maxSessionEntries"),
    (472, "maxBIBEntries"),
    (473, "maxEntriesPerUser"),
    (474, "maxSubscribers"),
    (475, "maxFragmentsPendingReassembly"),
    (33000, "NF_F_INGRESS_ACL_ID"),
    (33001, "NF_F_EGRESS_ACL_ID"),
    (33002, "NF_F_FW_EXT_EVENT"),
    (40000, "NF_F_USERNAME"),
    (40005, "NF_F_FW_EVENT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_enterprises_have_numbers_of_their_own() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(Element::iana(230).to_string(), "natEvent");
        assert_eq!(Element::iana(65_000).to_string(), "65000");
        let nokia = Element {
            enterprise: NOKIA,
            id: 93,
        };
        assert_eq!(nokia.to_string(), "aluNatSubString");
        let not_a_range = Element {
            enterprise: 35632,
            id: 361,
        };
        assert_eq!(not_a_range.to_string(), "35632/361");
    }
}
