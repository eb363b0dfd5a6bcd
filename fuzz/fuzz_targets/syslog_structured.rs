//! Messages of structured data: Juniper, VPP. As they are, and put together from the vendors' words.
#![no_main]

use decode::Profile;
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 3] = [Profile::JuniperSrx, Profile::JuniperMs, Profile::Vpp];

#[rustfmt::skip]
const WORDS: [&str; 91] = [
    "<14>1 2024-01-02T03:04:05.006Z h ", "<14>", "RT_FLOW - ", "RT_NAT - ", "RT_FLOW: ", "RT_NAT: ",
    "RT_FLOW_SESSION_CREATE ", "RT_FLOW_SESSION_CLOSE ", "RT_SRC_NAT_PBA_ALLOC ", "RT_SRC_NAT_PBA_RELEASE ",
    "RT_SRC_NAT_PBA_INTERIM ", "_LS", "_USF", ": ", "[junos@2636.1.1.1.2.129 ", "[", "]", "][x@1 ", "=\"", "\" ",
    "\"", "\\", " ", "-", "N/A", "TCP FIN", "source-address=\"", "source-port=\"", "destination-address=\"",
    "destination-port=\"", "connection-tag=\"", "service-name=\"", "nat-source-address=\"", "nat-source-port=\"",
    "nat-destination-address=\"", "nat-destination-port=\"", "protocol-id=\"", "policy-name=\"", "username=\"",
    "elapsed-time=\"", "reason=\"", "roles=\"", "internal-ip=\"", "block-port-low=\"", "block-port-high=\"",
    "reflexive-ip=\"", "epoch-time-64=\"", "session created ", "session closed ", "Subscriber ",
    "used/maximum [1/4] blocks, allocates port block [", " from ", " in source pool CGN_A lsys_id: 0 epoch 0x",
    "6a45014a", "->", "/", "0x0 ", "None", "{ss}", "[x]: ", "JSERVICES_SESSION_OPEN: ", "JSERVICES_SESSION_CLOSE: ",
    "JSERVICES_NAT_PORT_BLOCK_ALLOC: ", "ASP_NAT_PORT_BLOCK_RELEASE: ", "MSVCS_LOG_", "application:none, ",
    "xe-2/0/0.1 ", "(TCP)", "(17)", ":", ", ", "SADD ", "SDEL ", "APMADD ", "APMDEL ", "[nsess ", "[napmap ",
    "IATYP=\"IPv4\" ", "IATYP=\"IPv6\" ", "ISADDR=\"", "ISPORT=\"", "XATYP=\"IPv4\" ", "XSADDR=\"", "XSPORT=\"",
    "PROTO=\"", "XDADDR=\"", "XDPORT=\"", "SVLAN=\"", "SV6ENC=\"", "6", "17",
];

fuzz_target!(|octets: &[u8]| {
    fuzz::decoding::check(octets, &PROFILES);
    fuzz::decoding::check(&fuzz::pieces::message(octets, &WORDS), &PROFILES);
});
