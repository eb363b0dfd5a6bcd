//! Messages of keys and values: F5, A10, Fortinet, Palo Alto. As they are, and put together from the vendors' words.
#![no_main]

use decode::Profile;
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 4] = [
    Profile::F5BigIp,
    Profile::A10,
    Profile::Fortinet,
    Profile::PaloAlto,
];

#[rustfmt::skip]
const WORDS: [&str; 102] = [
    "<134>", "May 29 12:00:00 h ", " ", ",", "=", "\"", "|", "{", "}", ":", "%", "-", "/", "\\", "LSN_ADD ",
    "LSN_DELETE ", "LSN_INBOUND_ADD ", "LSN_PB_ALLOCATED ", "LSN_PB_RELEASED ", "lsn_event=",
    "lsn_event=\"LSN_ADD\"", "LSN_DELETE", "start=", "cli=", "nat=", "duration=", "ip_protocol=",
    "pem_subscriber_id=", "CEF:0|A10|CFW|6|CGN ", "|n|5|", "100", "101", "102", "103", "106", "107", "proto=",
    "src=", "spt=", "dst=", "dpt=", "sourceTranslatedAddress=", "sourceTranslatedPort=", "cn3=",
    "cn3Label=Last Nat Port", "NAT-TCP-C: ", "NAT-UDP-F: ", "<-->", "<->", " to ", "PortBatchV2Allocated: [",
    "PortBatchV2Freed: [", "]", "date=", "time=", "vd=", "pid=", "type=", "sess", "event", "traffic", "act=",
    "start", "end", "sip=", "dip=", "sport=", "dport=", "nsip=", "ndip=", "nsport=", "ndport=", "dur=", "logid=",
    "0100022015", "0000000013", "eventtime=", "tz=", "saddr=", "portbegin=", "portend=", "srcip=", "srcport=",
    "dstip=", "dstport=", "trandisp=", "snat", "dnat", "transip=", "transport=", "tranip=", "tranport=", "action=",
    "user=", "1,2026/03/04 05:06:07,001,TRAFFIC,", "0x400000", "2026/03/04 05:06:07", "allow", "tcp", "udp", "6",
    "17",
];

fuzz_target!(|octets: &[u8]| {
    fuzz::decoding::check(octets, &PROFILES);
    fuzz::decoding::check(&fuzz::pieces::message(octets, &WORDS), &PROFILES);
});
