//! Lines for the decoder's benchmarks, and the same grammars as regular expressions to compare with.

use std::net::Ipv4Addr;

use event::{Action, Event, Kind};
use regex::bytes::{Captures, Regex};

/// Distinct lines of a kind: too many for branch predictors to learn, few enough to stay in the cache as a datagram
/// that was just received does.
pub const LINES: usize = 4096;

/// A kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    NfwareSession,
    NfwareSessionFramed,
    NfwarePort,
    NfwareBlock,
    JuniperCreate,
    JuniperClose,
    JuniperBlock,
    JuniperText,
}

impl Lines {
    pub const ALL: [Self; 8] = [
        Self::NfwareSession,
        Self::NfwareSessionFramed,
        Self::NfwarePort,
        Self::NfwareBlock,
        Self::JuniperCreate,
        Self::JuniperClose,
        Self::JuniperBlock,
        Self::JuniperText,
    ];

    /// Name of the measure. `nfware` and `juniper` are the sessions that make up nearly all traffic.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NfwareSession => "nfware",
            Self::NfwareSessionFramed => "nfware_rfc5424",
            Self::NfwarePort => "nfware_port",
            Self::NfwareBlock => "nfware_block",
            Self::JuniperCreate => "juniper",
            Self::JuniperClose => "juniper_close",
            Self::JuniperBlock => "juniper_block",
            Self::JuniperText => "juniper_text",
        }
    }

    /// The lines, the same in every run.
    pub fn make(self) -> Vec<Vec<u8>> {
        let mut random = Random(0x6e61_7472_6169_6c00 + self as u64);
        (0..LINES).map(|_| self.line(&mut random).into_bytes()).collect()
    }

    fn line(self, random: &mut Random) -> String {
        let letter = if random.below(2) == 0 { 'A' } else { 'D' };
        let vrf = random.below(120);
        let protocol = [6, 6, 6, 17, 17, 1][random.below(6) as usize];
        let inside = Ipv4Addr::from_bits(0x6440_0000 | random.below(1 << 22));
        let outside = Ipv4Addr::from_bits(0xcb00_7100 | random.below(256));
        let remote = Ipv4Addr::from_bits(0x0100_0000 + random.below(0xd000_0000));
        let remote_port =
            [443, 443, 443, 80, 53, 123, 8080, 1024 + random.below(60_000)][random.below(8) as usize];
        let inside_port = 1024 + random.below(64_512);
        let outside_port = 1024 + random.below(64_512);
        let stamp = format!(
            "2025-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1000),
        );
        let session = format!(
            "{letter} VRF {vrf} {protocol} INT {inside}:{inside_port} EXT {outside}:{outside_port} DST {remote}:{remote_port} DIR OUT"
        );
        let structured = || {
            format!(
                "connection-tag=\"0\" service-name=\"junos-https\" nat-source-address=\"{outside}\" nat-source-port=\"{outside_port}\" nat-destination-address=\"{remote}\" nat-destination-port=\"{remote_port}\" nat-connection-tag=\"0\" src-nat-rule-type=\"source rule\" src-nat-rule-name=\"cgn-rule-{vrf}\" dst-nat-rule-type=\"N/A\" dst-nat-rule-name=\"N/A\" protocol-id=\"{protocol}\" policy-name=\"permit\" source-zone-name=\"trust\" destination-zone-name=\"untrust\""
            )
        };
        let ends = format!(
            "source-address=\"{inside}\" source-port=\"{inside_port}\" destination-address=\"{remote}\" destination-port=\"{remote_port}\""
        );
        let id = random.below(1 << 28);
        match self {
            Self::NfwareSession => session,
            Self::NfwareSessionFramed => format!("<134>1 {stamp} cgn{vrf} nfware 123 - - {session}"),
            Self::NfwarePort => {
                format!(
                    "{letter} VRF {vrf} {protocol} INT {inside}:{inside_port} EXT {outside}:{outside_port}"
                )
            }
            Self::NfwareBlock => {
                let start = outside_port & !511;
                format!(
                    "{letter} VRF {vrf} INT {inside} EXT {outside}:{start}-{}",
                    start + 511
                )
            }
            Self::JuniperCreate => format!(
                "<14>1 {stamp} srx-cgn{vrf} RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.129 {ends} {} session-id=\"{id}\" username=\"N/A\" roles=\"N/A\" packet-incoming-interface=\"ae0.{vrf}\" application=\"UNKNOWN\" nested-application=\"UNKNOWN\" encrypted=\"UNKNOWN\" application-category=\"N/A\" application-sub-category=\"N/A\" application-risk=\"-1\" application-characteristics=\"N/A\" src-vrf-grp=\"N/A\" dst-vrf-grp=\"N/A\" tunnel-inspection=\"Off\" tunnel-inspection-policy-set=\"root\"]",
                structured(),
            ),
            Self::JuniperClose => format!(
                "<14>1 {stamp} srx-cgn{vrf} RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.129 reason=\"TCP FIN\" {ends} {} session-id=\"{id}\" packets-from-client=\"{}\" bytes-from-client=\"{}\" packets-from-server=\"{}\" bytes-from-server=\"{}\" elapsed-time=\"{}\" application=\"UNKNOWN\" nested-application=\"UNKNOWN\" username=\"N/A\" roles=\"N/A\" packet-incoming-interface=\"ae0.{vrf}\" encrypted=\"UNKNOWN\" application-category=\"N/A\" application-sub-category=\"N/A\" application-risk=\"-1\" application-characteristics=\"N/A\" secure-web-proxy-session-type=\"NA\" peer-session-id=\"0\" peer-source-address=\"0.0.0.0\" peer-source-port=\"0\" peer-destination-address=\"0.0.0.0\" peer-destination-port=\"0\" hostname=\"NA NA\" src-vrf-grp=\"N/A\" dst-vrf-grp=\"N/A\" tunnel-inspection=\"Off\" tunnel-inspection-policy-set=\"root\" session-flag=\"0\"]",
                structured(),
                random.below(700_000),
                random.below(1 << 30),
                random.below(700_000),
                random.below(1 << 30),
                random.below(4000),
            ),
            Self::JuniperBlock => {
                let start = outside_port & !255;
                format!(
                    "<14>1 {stamp} srx-cgn{vrf} RT_NAT - RT_SRC_NAT_PBA_ALLOC [junos@2636.1.1.1.2.129 internal-ip=\"{inside}\" block-used=\"1\" block-max-per-host=\"4\" block-port-low=\"{start}\" block-port-high=\"{}\" reflexive-ip=\"{outside}\" nat-pool-name=\"cgn-pool-a\" logical-system-id=\"0\" epoch-time-64=\"{:08x}\"]",
                    start + 255,
                    0x6000_0000 + id,
                )
            }
            Self::JuniperText => format!(
                "<14>Nov 18 09:57:10 srx{vrf} RT_FLOW: RT_FLOW_SESSION_CREATE: session created {inside}/{inside_port}->{remote}/{remote_port} 0x0 junos-https {outside}/{outside_port}->{remote}/{remote_port} 0x0 source rule untrust N/A N/A {protocol} permit trust untrust {id} N/A(N/A) ge-0/0/0.0 UNKNOWN UNKNOWN UNKNOWN N/A N/A -1"
            ),
        }
    }
}

/// SplitMix64: random enough for lines, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// The grammars as one would write them with the regex crate: one expression per message, values by name, numbers and
/// addresses by the standard library.
pub struct Expressions {
    nfware: Regex,
    header: Regex,
    juniper: Regex,
    parameter: Regex,
    text: Regex,
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
        }
    }
}

impl Expressions {
    /// Decodes a line of the kind, as far as the benchmark's lines go.
    pub fn decode<'a>(&self, lines: Lines, line: &'a [u8]) -> Option<Event<'a>> {
        let time_ns = self.header.captures(line).and_then(|header| time(&header));
        let mut event = match lines {
            Lines::NfwareSession | Lines::NfwareSessionFramed | Lines::NfwarePort | Lines::NfwareBlock => {
                self.nfware(line)?
            }
            Lines::JuniperText => self.text(line)?,
            Lines::JuniperCreate | Lines::JuniperClose | Lines::JuniperBlock => self.juniper(line)?,
        };
        event.time_ns = event.time_ns.or(time_ns);
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
        event.vrf = Some(event::Text::plain(
            str::from_utf8(found.name("vrf")?.as_bytes()).ok()?,
        ));
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

/// The header's time, for lines with `Z` and milliseconds.
fn time(header: &Captures<'_>) -> Option<i64> {
    let part = |name| number::<i64>(header, name);
    let (year, month, day) = (part("y")?, part("mo")?, part("d")?);
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

#[cfg(test)]
mod tests {
    use decode::{Outcome, Profile};

    use super::*;

    /// A comparison is worth something only if both sides do the same.
    #[test]
    fn both_readers_find_the_same_event() {
        let expressions = Expressions::default();
        for lines in Lines::ALL {
            for line in lines.make().iter().take(500) {
                let text = String::from_utf8_lossy(line);
                let expected = expressions
                    .decode(lines, line)
                    .unwrap_or_else(|| panic!("no match: {text}"));
                let outcome = decode::syslog::decode(Profile::Auto, line, |event| {
                    let mut event = *event;
                    event.time_source = expected.time_source;
                    event.mapping_start_ns = None;
                    assert_eq!(event, expected, "{text}");
                });
                assert_eq!(outcome, Ok(Outcome::Events(1)), "{text}");
            }
        }
    }
}
