//! Messages of running text: NFWare, Cisco, Huawei, H3C, 6WIND, MikroTik, Linux, Jool, DANOS, VyOS. As they are, and put together from the vendors' words.
#![no_main]

use decode::Profile;
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 12] = [
    Profile::Nfware,
    Profile::CiscoIosXe,
    Profile::CiscoIosXr,
    Profile::Huawei,
    Profile::H3c,
    Profile::SixWind,
    Profile::Mikrotik,
    Profile::Ulogd,
    Profile::Conntrack,
    Profile::Jool,
    Profile::Danos,
    Profile::Vyos,
];

#[rustfmt::skip]
const WORDS: [&str; 126] = [
    "<134>", "<134>1 2020 Jan 17 11:05:55 h ", "<134>1 2024-01-02T03:04:05Z h ", "Jan 2 03:04:05 h ", " ", "\t", ":",
    "::", "-", "->", "-->", "--->", "/", "#", "|", ".", ",", "; ", "(", ")", "[", "]", "=", "\"", "6", "17", "TCP",
    "UDP", "ICMP", "tcp", "udp", "A VRF ", "D VRF ", "0 ", "INT ", " EXT ", " DST ", " DIR OUT", " DIR IN",
    "%NAT-6-LOG_TRANSLATION: ", "Created Translation ", "Deleted Translation ", "TS:0 ", "NAT44 - [", "NAT64 - [",
    "DSLITE - [", "SessionbasedAD ", "SessionbasedWD ", "SessionbasedA ", "UserbasedA ", "UserbasedW ", "- - ",
    " ivrf1 ", "- ]", " -]", "NAT444:SessionbasedA [", "NAT64:SessionbasedW [", "%@1%", "USERLOG/7/NAT: ",
    "[2005/07/07 04:20:03-0000/00/00 00:00:00]", "Operator 8: Data flow created", "Operator 1: Normal over",
    "fp-cgnat[1]: ", "fp-cgnat-logd@v[1]: ", "NEW CONN: ", "DESTROY CONN: ", "fwd proto ", ", back proto ", "USER ",
    "(matching rule 2): NEW BLOCK (pool \"p\", ip public ", ", proto ", ", port ", " - ", "firewall,info cgn ",
    "forward: in:a out:b, ", "connection-state:new,snat ", "connection-state:established ", "proto TCP, ", "NAT (",
    ")->", ", len 60", "[NEW] ", "[DESTROY] ", "[UPDATE] ", "ORIG: ", ", REPLY: ", "SRC=", "DST=", "PROTO=", "SPT=",
    "DPT=", "IN=a OUT=b ", "src=", "dst=", "sport=", "dport=", "[1.000001]", "id=1", "[ASSURED] ", "Jool: ",
    "a 2026/1/8 16:13:2 (GMT) - ", "Added session ", "Forgot session ", "Mapped ", "Forgot ", " to ", "CGNAT: ",
    "SESSION_CREATE ", "SESSION_DELETE ", "SESSION_ACTIVE ", "PB_ALLOCATED ", "PB_RELEASED ", "addr=", "port=",
    "proto=", "cgn-addr=", "cgn-port=", "subs-addr=", "pub-addr=", "start-time=", "end-time=", "current-time=",
    "cgnat[1]: ", "Internal host: ", ", external host: ", ", Port range: ",
];

fuzz_target!(|octets: &[u8]| {
    fuzz::decoding::check(octets, &PROFILES);
    fuzz::decoding::check(&fuzz::pieces::message(octets, &WORDS), &PROFILES);
});
