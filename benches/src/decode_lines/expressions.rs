//! The grammars as regular expressions.

use event::{Action, Event, Kind, Text};
use regex::bytes::{Captures, Regex};

use super::Lines;

/// The grammars as one would write them with the regex crate: one expression per message, values by name, numbers and
/// addresses by the standard library.
pub struct Expressions {
    nfware: Regex,
    header: Regex,
    juniper: Regex,
    parameter: Regex,
    text: Regex,
    /// Of the vendors that have one, at the place of their [`Lines`].
    others: Vec<Option<Regex>>,
}

impl Default for Expressions {
    fn default() -> Self {
        let new = |expression: &str| Regex::new(expression).expect("a regular expression of this file");
        let ip = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}";
        Self {
            nfware: new(&format!(
                r"(?-u)(?:^|\s)(?P<event>[AD]) VRF (?P<vrf>\S+) (?:(?P<protocol>[0-9]+) )?INT (?P<src>{ip})(?::(?P<sport>[0-9]+))? EXT (?P<x>{ip})(?::(?P<xport>[0-9]+)(?:-(?P<xend>[0-9]+))?)?(?: DST (?P<dst>{ip}):(?P<dport>[0-9]+) DIR (?:OUT|IN))?\s*$"
            )),
            header: new(
                r"(?-u)^<[0-9]{1,3}>1 (?P<y>[0-9]{4})-(?P<mo>[0-9]{2})-(?P<d>[0-9]{2})T(?P<h>[0-9]{2}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?(?:Z|[+-][0-9]{2}:[0-9]{2}) ",
            ),
            juniper: new(
                r"(?-u)RT_(?:FLOW|NAT) - (?P<tag>RT_FLOW_SESSION_(?:CREATE|CLOSE)|RT_SRC_NAT_PBA_(?:ALLOC|INTERIM|RELEASE))(?:_LS|_USF)? \[",
            ),
            parameter: new(r#"(?-u)(?P<key>[a-z0-9-]+)="(?P<value>(?:[^"\\]|\\.)*)"(?: |\])"#),
            text: new(&format!(
                r"(?-u)RT_FLOW_SESSION_(?P<tag>CREATE|CLOSE): session (?:created|closed [^:]*:) (?P<src>{ip})/(?P<sport>[0-9]+)->{ip}/[0-9]+ (?:0x0 )?\S+ (?P<x>{ip})/(?P<xport>[0-9]+)->(?P<dst>{ip})/(?P<dport>[0-9]+) .*? (?P<protocol>[0-9]+) "
            )),
            others: Lines::ALL
                .iter()
                .map(|lines| Some(new(&other(*lines)?.1.replace('@', ip))))
                .collect(),
        }
    }
}

impl Expressions {
    /// Decodes a line of the kind, as far as the benchmark's lines go.
    pub fn decode<'a>(&self, lines: Lines, line: &'a [u8]) -> Option<Event<'a>> {
        if let Some(expression) = &self.others[lines as usize] {
            return self.other(lines, expression, line);
        }
        let time_ns = self.header.captures(line).and_then(|header| time(&header));
        let mut event = match lines {
            Lines::NfwareSession | Lines::NfwareSessionFramed | Lines::NfwarePort | Lines::NfwareBlock => {
                self.nfware(line)?
            }
            Lines::JuniperText => self.text(line)?,
            _ => self.juniper(line)?,
        };
        event.time_ns = event.time_ns.or(time_ns);
        Some(event)
    }

    /// Reads a line of a vendor that has one expression.
    fn other<'a>(&self, lines: Lines, expression: &Regex, line: &'a [u8]) -> Option<Event<'a>> {
        let (kind, _) = other(lines)?;
        let found = expression.captures(line)?;
        // Without a word there is one kind of line: the allocation of a block.
        let word = found
            .name("event")
            .map_or(&b"CREATE"[..], |event| event.as_bytes());
        let action = match word {
            b"established" => Action::Updated,
            b"LSN_ADD" | b"100" | b"NEW" | b"start" | b"OPEN" | b"Created" | b"AD" | b"A" | b"8" | b"new"
            | b"SADD" | b"Added" | b"CREATE" => Action::Created,
            _ => Action::Deleted,
        };
        let text = |name| Some(Text::plain(str::from_utf8(found.name(name)?.as_bytes()).ok()?));
        let mut event = Event::new(kind, action, number(&found, "src")?, number(&found, "x"));
        event.protocol = found
            .name("protocol")
            .and_then(|protocol| match protocol.as_bytes() {
                b"TCP" | b"tcp" => Some(6),
                b"UDP" | b"udp" => Some(17),
                _ => number(&found, "protocol"),
            });
        (event.src_port, event.x_port) = (number(&found, "sport"), number(&found, "xport"));
        (event.dst_ip, event.dst_port) = (number(&found, "dst"), number(&found, "dport"));
        (event.start_port, event.end_port) = (number(&found, "first"), number(&found, "last"));
        (event.vrf, event.subscriber) = (text("vrf"), text("subscriber"));
        let part = |name| number::<i64>(&found, name);
        event.time_ns = match lines {
            Lines::F5BigIp => Some((part("start")? + part("duration").unwrap_or(0)) * 1_000_000),
            Lines::Conntrack => Some((part("second")? * 1_000_000 + part("microsecond")?) * 1000),
            Lines::Danos => Some(part("end").or(part("start"))? * 1000),
            Lines::A10 | Lines::CiscoIosXr | Lines::Jool => time(&found),
            Lines::Vpp => time(&self.header.captures(line)?),
            _ => None,
        };
        Some(event)
    }

    fn nfware<'a>(&self, line: &'a [u8]) -> Option<Event<'a>> {
        let found = self.nfware.captures(line)?;
        let action = if &found["event"] == b"A" {
            Action::Created
        } else {
            Action::Deleted
        };
        let mut event = Event::new(Kind::Address, action, number(&found, "src")?, number(&found, "x"));
        event.protocol = number(&found, "protocol");
        event.vrf = Some(Text::plain(str::from_utf8(found.name("vrf")?.as_bytes()).ok()?));
        if found.name("xend").is_some() {
            event.kind = Kind::Block;
            (event.start_port, event.end_port) = (number(&found, "xport"), number(&found, "xend"));
        } else if found.name("xport").is_some() {
            event.kind = Kind::Port;
            (event.src_port, event.x_port) = (number(&found, "sport"), number(&found, "xport"));
        }
        if found.name("dst").is_some() {
            event.kind = Kind::Session;
            (event.dst_ip, event.dst_port) = (number(&found, "dst"), number(&found, "dport"));
        }
        Some(event)
    }

    fn juniper<'a>(&self, line: &'a [u8]) -> Option<Event<'a>> {
        let found = self.juniper.captures(line)?;
        let (mut ends, mut ports, mut protocol, mut epoch) = ([None; 3], [None; 3], None, None);
        for parameter in self.parameter.captures_iter(&line[found.get(0)?.end()..]) {
            let value = parameter.name("value")?.as_bytes();
            let text = str::from_utf8(value).ok()?;
            match &parameter["key"] {
                b"source-address" | b"internal-ip" => ends[0] = text.parse().ok(),
                b"nat-source-address" | b"reflexive-ip" => ends[1] = text.parse().ok(),
                b"nat-destination-address" => ends[2] = text.parse().ok(),
                b"source-port" | b"block-port-low" => ports[0] = text.parse().ok(),
                b"nat-source-port" | b"block-port-high" => ports[1] = text.parse().ok(),
                b"nat-destination-port" => ports[2] = text.parse().ok(),
                b"protocol-id" => protocol = text.parse().ok(),
                b"epoch-time-64" => epoch = i64::from_str_radix(text, 16).ok(),
                _ => {}
            }
        }
        let block = found["tag"].starts_with(b"RT_SRC");
        let created = found["tag"].ends_with(b"CREATE") || found["tag"].ends_with(b"ALLOC");
        let action = if created { Action::Created } else { Action::Deleted };
        let kind = if block { Kind::Block } else { Kind::Session };
        let mut event = Event::new(kind, action, ends[0]?, ends[1]);
        if block {
            (event.start_port, event.end_port) = (ports[0], ports[1]);
            event.time_ns = epoch.map(|s| s * 1_000_000_000);
        } else {
            (event.src_port, event.x_port) = (ports[0], ports[1]);
            (event.dst_ip, event.dst_port, event.protocol) = (ends[2], ports[2], protocol);
        }
        Some(event)
    }

    fn text<'a>(&self, line: &'a [u8]) -> Option<Event<'a>> {
        let found = self.text.captures(line)?;
        let action = if &found["tag"] == b"CREATE" {
            Action::Created
        } else {
            Action::Deleted
        };
        let mut event = Event::new(Kind::Session, action, number(&found, "src")?, number(&found, "x"));
        event.protocol = number(&found, "protocol");
        (event.src_port, event.x_port) = (number(&found, "sport"), number(&found, "xport"));
        (event.dst_ip, event.dst_port) = (number(&found, "dst"), number(&found, "dport"));
        Some(event)
    }
}

fn number<T: std::str::FromStr>(found: &Captures<'_>, name: &str) -> Option<T> {
    str::from_utf8(found.name(name)?.as_bytes()).ok()?.parse().ok()
}

/// The time, in UTC, with milliseconds or none.
fn time(header: &Captures<'_>) -> Option<i64> {
    let part = |name| number::<i64>(header, name);
    let month = part("mo").or_else(|| month(header.name("month")?.as_bytes()));
    let (year, month, day) = (part("y")?, month?, part("d")?);
    // Days of the civil calendar, with years that begin in March.
    let (year, shifted) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day - 719_469;
    let s = days * 86_400 + part("h")? * 3600 + part("m")? * 60 + part("s")?;
    Some(s * 1_000_000_000 + part("f").unwrap_or(0) * 1_000_000)
}

fn month(name: &[u8]) -> Option<i64> {
    let names = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = names.chunks(3).position(|other| other == name)?;
    i64::try_from(month + 1).ok()
}

/// What a vendor's line is, and its expression, in which `@` stands for an IPv4 address; `None` for those that have
/// several kinds of lines.
fn other(lines: Lines) -> Option<(Kind, &'static str)> {
    use Kind::{Block, Port, Session};
    Some(match lines {
        Lines::F5BigIp => (
            Port,
            r#"(?-u)ip_protocol="(?P<protocol>[A-Z]+)",lsn_event="(?P<event>LSN_[A-Z_]+)",start="(?P<start>[0-9]+)",cli="(?P<src>@):(?P<sport>[0-9]+)",nat="(?P<x>@):(?P<xport>[0-9]+)"(?:,duration="(?P<duration>[0-9]+)")?,pem_subscriber_id="(?P<subscriber>[^"]*)""#,
        ),
        Lines::A10 => (
            Port,
            r"(?-u)^(?P<y>[0-9]{4})-(?P<mo>[0-9]{2})-(?P<d>[0-9]{2})T(?P<h>[0-9]{2}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?(?:Z|[+-][0-9]{2}:[0-9]{2}) .*?CEF:[0-9]\|A10\|[^|]*\|[^|]*\|CGN (?P<event>10[01])\|[^|]*\|[0-9]+\|proto=(?P<protocol>[A-Z]+) src=(?P<src>@) spt=(?P<sport>[0-9]+) sourceTranslatedAddress=(?P<x>@) sourceTranslatedPort=(?P<xport>[0-9]+)",
        ),
        Lines::SixWind => (
            Session,
            r"(?-u)fp-cgnat(?:\[[0-9]+\])?: (?P<event>NEW|DESTROY) CONN: fwd proto (?P<protocol>[0-9]+) (?P<src>@):(?P<sport>[0-9]+) --?> @:[0-9]+, back proto [0-9]+ (?P<dst>@):(?P<dport>[0-9]+) --?> (?P<x>@):(?P<xport>[0-9]+)",
        ),
        Lines::Fortinet => (
            Session,
            r"(?-u) vd=(?P<vrf>\S+) .*?type=sess act=(?P<event>start|end) .*?proto=(?P<protocol>[0-9]+) .*?sip=(?P<src>@) dip=@ sport=(?P<sport>[0-9]+) dport=[0-9]+ nsip=(?P<x>@) ndip=(?P<dst>@) nsport=(?P<xport>[0-9]+) ndport=(?P<dport>[0-9]+) ",
        ),
        Lines::PaloAlto => (
            Session,
            r"(?-u)1,[^,]*,[^,]*,TRAFFIC,(?P<event>start|end),[^,]*,[^,]*,(?P<src>@),@,(?P<x>@),(?P<dst>@),(?:[^,]*,){4}(?P<vrf>[^,]*),(?:[^,]*,){8}(?P<sport>[0-9]+),[0-9]+,(?P<xport>[0-9]+),(?P<dport>[0-9]+),[^,]*,(?P<protocol>[a-z]+),",
        ),
        Lines::JuniperMs => (
            Session,
            r"(?-u)(?:JSERVICES|MSVCS_LOG|ASP)_SESSION_(?P<event>OPEN|CLOSE): [^,]*, \S+ (?P<src>@):(?P<sport>[0-9]+) \[(?P<x>@):(?P<xport>[0-9]+)\] -> (?P<dst>@):(?P<dport>[0-9]+) \((?P<protocol>[A-Z]+)\)",
        ),
        Lines::CiscoIosXe => (
            Session,
            r"(?-u)%NAT-6-LOG_TRANSLATION: (?P<event>Created|Deleted) Translation (?P<protocol>[A-Z]+) (?P<src>@):(?P<sport>[0-9]+) (?P<x>@):(?P<xport>[0-9]+) @:[0-9]+ (?P<dst>@):(?P<dport>[0-9]+) (?P<vrf>[0-9]+)",
        ),
        Lines::CiscoIosXr => (
            Session,
            r"(?-u)1 (?P<y>[0-9]{4}) (?P<month>[A-Z][a-z]{2}) +(?P<d>[0-9]{1,2}) (?P<h>[0-9]{2}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2}) \S+ - - +NAT44 - \[Sessionbased(?P<event>AD|WD) (?P<protocol>[0-9]+) (?P<src>@) (?P<vrf>\S+) \S+ (?P<x>@) (?P<sport>[0-9]+) (?P<xport>[0-9]+) \S+ (?P<dst>@) (?P<dport>[0-9]+) \]",
        ),
        Lines::Huawei => (
            Port,
            r"(?-u) - NAT444:Sessionbased(?P<event>[AW]) \[(?P<protocol>[0-9]+) (?P<src>@) - (?P<x>@) (?P<sport>[0-9]+) (?P<xport>[0-9]+) -\]",
        ),
        Lines::H3c => (
            Session,
            r"(?-u)USERLOG/[0-7]/NAT: (?P<protocol>[A-Z]+); (?P<src>@):(?P<sport>[0-9]+)--->(?P<x>@):(?P<xport>[0-9]+); (?P<dst>@):(?P<dport>[0-9]+); \[[0-9/: ]+-[0-9/: ]+\]; Operator (?P<event>[0-9]+):",
        ),
        Lines::Mikrotik => (
            Session,
            r"(?-u): in:\S+ out:\S+, connection-state:(?P<event>[a-z]+),snat .*?proto (?P<protocol>[A-Z]+)(?: \([^)]*\))?, @:[0-9]+->@:[0-9]+, NAT \((?P<src>@):(?P<sport>[0-9]+)->(?P<x>@):(?P<xport>[0-9]+)\)->(?P<dst>@):(?P<dport>[0-9]+), len [0-9]",
        ),
        Lines::Ulogd => (
            Session,
            r"(?-u)\[(?P<event>NEW|DESTROY)\] +ORIG: SRC=(?P<src>@) DST=@ PROTO=(?P<protocol>[A-Z]+) SPT=(?P<sport>[0-9]+) DPT=[0-9]+ PKTS=[0-9]+ BYTES=[0-9]+ , REPLY: SRC=(?P<dst>@) DST=(?P<x>@) PROTO=[A-Z]+ SPT=(?P<dport>[0-9]+) DPT=(?P<xport>[0-9]+) PKTS=",
        ),
        Lines::Conntrack => (
            Session,
            r"(?-u)\[(?P<second>[0-9]+)\.(?P<microsecond>[0-9]{6})\]\s+\[(?P<event>NEW|DESTROY)\] [a-z]+ +(?P<protocol>[0-9]+) .*?src=(?P<src>@) dst=@ sport=(?P<sport>[0-9]+) dport=[0-9]+ .*?src=(?P<dst>@) dst=(?P<x>@) sport=(?P<dport>[0-9]+) dport=(?P<xport>[0-9]+) .*?id=",
        ),
        Lines::Vpp => (
            Session,
            r#"(?-u) (?P<event>SADD|SDEL) \[nsess SSUBIX="[0-9]+" SVLAN="(?P<vrf>[^"]*)" IATYP="IPv4" ISADDR="(?P<src>@)" ISPORT="(?P<sport>[0-9]+)" XATYP="IPv4" XSADDR="(?P<x>@)" XSPORT="(?P<xport>[0-9]+)" PROTO="(?P<protocol>[0-9]+)" XDADDR="(?P<dst>@)" XDPORT="(?P<dport>[0-9]+)"\]"#,
        ),
        Lines::Jool => (
            Session,
            r"(?-u)(?P<y>[0-9]{4})/(?P<mo>[0-9]{1,2})/(?P<d>[0-9]{1,2}) (?P<h>[0-9]{1,2}):(?P<m>[0-9]{1,2}):(?P<s>[0-9]{1,2}) \(GMT\) - (?P<event>Added|Forgot) session (?P<src>[0-9a-f:]+)#(?P<sport>[0-9]+)\|[0-9a-f:]+#[0-9]+\|(?P<x>@)#(?P<xport>[0-9]+)\|(?P<dst>@)#(?P<dport>[0-9]+)\|(?P<protocol>[A-Z]+)$",
        ),
        Lines::Danos => (
            Session,
            r"(?-u)CGNAT: SESSION_(?P<event>CREATE|DELETE) .*?proto=(?P<protocol>[0-9]+) dir=\S+ addr=(?P<src>@)->(?P<dst>@) port=(?P<sport>[0-9]+)->(?P<dport>[0-9]+) cgn-addr=(?P<x>@) cgn-port=(?P<xport>[0-9]+) .*?start-time=(?P<start>[0-9]+)(?: end-time=(?P<end>[0-9]+))?",
        ),
        Lines::Vyos => (
            Block,
            r"(?-u)Internal host: (?P<src>@), external host: (?P<x>@), Port range: (?P<first>[0-9]+)-(?P<last>[0-9]+)$",
        ),
        _ => return None,
    })
}
