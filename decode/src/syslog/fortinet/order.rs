//! The keys in the order in which FortiOS usually writes them.

use crate::syslog::fields;
use crate::syslog::keys::Key;

/// Slots of the values that events need. [`OTHER`] takes all others.
pub(super) mod slot {
    pub const KIND: usize = 0;
    pub const ACT: usize = 1;
    pub const ACTION: usize = 2;
    pub const LOGID: usize = 3;
    pub const VD: usize = 4;
    pub const PID: usize = 5;
    pub const PROTO: usize = 6;
    pub const SIP: usize = 7;
    pub const SPORT: usize = 8;
    pub const DIP: usize = 9;
    pub const DPORT: usize = 10;
    pub const NSIP: usize = 11;
    pub const NSPORT: usize = 12;
    pub const NDIP: usize = 13;
    pub const NDPORT: usize = 14;
    pub const DUR: usize = 15;
    pub const EVENTTIME: usize = 16;
    pub const TZ: usize = 17;
    pub const DATE: usize = 18;
    pub const TIME: usize = 19;
    pub const SRCIP: usize = 20;
    pub const SRCPORT: usize = 21;
    pub const DSTIP: usize = 22;
    pub const DSTPORT: usize = 23;
    pub const TRANDISP: usize = 24;
    pub const TRANSIP: usize = 25;
    pub const TRANSPORT: usize = 26;
    pub const TRANIP: usize = 27;
    pub const TRANPORT: usize = 28;
    pub const DURATION: usize = 29;
    pub const SADDR: usize = 30;
    pub const NAT: usize = 31;
    pub const PORTBEGIN: usize = 32;
    pub const PORTEND: usize = 33;
    pub const USER: usize = 34;
}

/// The values of a record, by these slots.
pub(super) type Fields<'a> = fields::Fields<'a, 64>;

/// The slot of values that no event needs.
const OTHER: usize = Fields::OTHER;

const fn key(name: &str, slot: usize) -> Key<1> {
    Key::new(name, false, slot as u8)
}

/// Of the hardware log, then of the event and the traffic log, whose first keys are the same. What events need is in it,
/// wherever they have it.
pub(super) const ORDER: [Key<1>; 75] = [
    key("date", slot::DATE),
    key("time", slot::TIME),
    key("sn", OTHER),
    key("vd", slot::VD),
    key("pid", slot::PID),
    key("type", slot::KIND),
    key("act", slot::ACT),
    key("tran", OTHER),
    key("proto", slot::PROTO),
    key("ipold", OTHER),
    key("ipnew", OTHER),
    key("sip", slot::SIP),
    key("dip", slot::DIP),
    key("sport", slot::SPORT),
    key("dport", slot::DPORT),
    key("nsip", slot::NSIP),
    key("ndip", slot::NDIP),
    key("nsport", slot::NSPORT),
    key("ndport", slot::NDPORT),
    key("dur", slot::DUR),
    key("sentp", OTHER),
    key("sentb", OTHER),
    key("rcvdp", OTHER),
    key("rcvdb", OTHER),
    key("devname", OTHER),
    key("devid", OTHER),
    key("eventtime", slot::EVENTTIME),
    key("tz", slot::TZ),
    key("logid", slot::LOGID),
    key("type", slot::KIND),
    key("subtype", OTHER),
    key("level", OTHER),
    key("vd", slot::VD),
    key("logdesc", OTHER),
    key("action", slot::ACTION),
    key("saddr", slot::SADDR),
    key("nat", slot::NAT),
    key("portbegin", slot::PORTBEGIN),
    key("portend", slot::PORTEND),
    key("poolname", OTHER),
    key("duration", slot::DURATION),
    key("msg", OTHER),
    key("user", slot::USER),
    key("authserver", OTHER),
    key("srcip", slot::SRCIP),
    key("srcport", slot::SRCPORT),
    key("srcintf", OTHER),
    key("srcintfrole", OTHER),
    key("dstip", slot::DSTIP),
    key("dstport", slot::DSTPORT),
    key("dstintf", OTHER),
    key("dstintfrole", OTHER),
    key("srccountry", OTHER),
    key("dstcountry", OTHER),
    key("sessionid", OTHER),
    key("proto", slot::PROTO),
    key("action", slot::ACTION),
    key("policyid", OTHER),
    key("policytype", OTHER),
    key("poluuid", OTHER),
    key("service", OTHER),
    key("trandisp", slot::TRANDISP),
    key("transip", slot::TRANSIP),
    key("transport", slot::TRANSPORT),
    key("tranip", slot::TRANIP),
    key("tranport", slot::TRANPORT),
    key("duration", slot::DURATION),
    key("sentbyte", OTHER),
    key("rcvdbyte", OTHER),
    key("sentpkt", OTHER),
    key("rcvdpkt", OTHER),
    key("appcat", OTHER),
    key("policyname", OTHER),
    key("srcuuid", OTHER),
    key("dstuuid", OTHER),
];
