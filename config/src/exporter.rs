//! `[[exporters.exporter]]`: who may send, and how what it sends is read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use decode::exporter::pattern::{EventWord, Options, Pattern, WORD_BYTES_MAX, Words};
use decode::exporter::vrf::VrfNames;
use decode::exporter::{Dialects, PATTERNS_MAX, Settings, Unit};
use decode::zone::Zone;
use decode::{Profile, netflow};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Longest name of a VRF, in octets.
const VRF_BYTES_MAX: usize = 255;
/// Highest `rate_max`.
const RATE_MAX: u32 = 10_000_000;
/// Highest `burst`.
const BURST_MAX: u32 = 1_000_000;
/// Most entries of a table of an exporter.
const ENTRIES_MAX: usize = 10_000;

/// `[[exporters.exporter]]`. docs/exporter-profiles.md is the manual of what follows `name`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Exporter {
    /// An address, or a prefix such as `192.0.2.0/24`.
    pub address: IpNet,
    /// Name for reports; the address if absent.
    pub name: Option<String>,
    /// How its messages are read.
    pub settings: Settings,
    /// Most datagrams a second; 0: no limit.
    pub rate_max: u32,
    /// Datagrams that may come at once, if there is a rate.
    pub burst: u32,
}

impl Exporter {
    /// An entry that says nothing but an address.
    pub fn new(address: IpNet) -> Self {
        Self {
            address,
            name: None,
            settings: Profile::Auto.into(),
            rate_max: 0,
            burst: 0,
        }
    }
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "address_or_prefix")]
    address: IpNet,
    name: Option<String>,
    /// Most datagrams a second, up to 10000000; those beyond are dropped and counted. 0 or absent: no limit. TCP and TLS have
    /// none: there, the peer waits.
    #[serde(default)]
    rate_max: u32,
    /// Datagrams that may come at once after a silence, up to 1000000; what `rate_max` gives in a second if absent.
    burst: Option<u32>,
    /// Format of its messages: `auto`, or one that `natrail formats` lists. If absent: `auto`; with patterns: what none of
    /// them claims is of no known format.
    #[serde(default, deserialize_with = "parsed")]
    profile: Option<Profile>,
    /// How its NetFlow and IPFIX are read: `auto`, or a profile of docs/netflow.md. If absent: `auto`.
    #[serde(default, deserialize_with = "parsed")]
    flow_profile: Option<netflow::Profile>,
    /// Zone of its clock, for times that name none: an IANA name, `UTC`, or an offset such as `+03:00`. If absent, such times
    /// are no absolute times, and the receive time counts.
    #[serde(default, deserialize_with = "parsed")]
    time_zone: Option<Zone>,
    /// VRF of events whose message names none.
    vrf: Option<String>,
    /// Names to use instead of those that the device writes.
    #[serde(default)]
    vrf_names: BTreeMap<String, String>,
    /// Huawei: lines with `UserbasedA` and `UserbasedW` are port blocks.
    #[serde(default)]
    huawei_user_blocks: bool,
    /// A10, ASCII: the RADIUS attribute that is the subscriber. If absent: the first that is not empty.
    a10_subscriber: Option<String>,
    /// Fortinet: the unit of the duration of closed port blocks, `s` or `ms`. If absent, it is not used.
    fortinet_pba_duration: Option<Parsed<Unit>>,
    /// Formats of the operator's own: a regular expression, a table, or a list of those.
    #[serde(default, deserialize_with = "patterns")]
    pattern: Vec<PatternKeys>,
    /// What words in the group `event` of the patterns mean: `created`, `deleted`, `updated` or `ignored`.
    #[serde(default)]
    event_words: BTreeMap<String, Parsed<EventWord>>,
    /// Which protocol numbers words in the group `protocol` mean.
    #[serde(default)]
    protocol_words: BTreeMap<String, u8>,
}

/// One pattern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternKeys {
    /// The regular expression.
    regex: String,
    /// What its lines say, if it has no group `event`.
    event: Option<Parsed<EventWord>>,
    /// Its ports are hexadecimal numbers.
    #[serde(default)]
    hex_ports: bool,
}

fn check_rate(rate_max: u32, burst: Option<u32>) -> Result<(), String> {
    if rate_max > RATE_MAX {
        return Err(format!("rate_max must be at most {RATE_MAX}"));
    }
    if burst.is_some_and(|burst| !(1..=BURST_MAX).contains(&burst)) {
        return Err(format!("burst must be from 1 to {BURST_MAX}"));
    }
    if burst.is_some() && rate_max == 0 {
        return Err("burst is for rate_max".into());
    }
    Ok(())
}

impl TryFrom<Keys> for Exporter {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let of =
            |what: &dyn std::fmt::Display, why: &str| format!("exporter {}: {what}: {why}", keys.address);
        for (table, entries) in [
            ("vrf_names", keys.vrf_names.len()),
            ("event_words", keys.event_words.len()),
            ("protocol_words", keys.protocol_words.len()),
        ] {
            if entries > ENTRIES_MAX {
                return Err(of(&table, &format!("more than {ENTRIES_MAX} entries")));
            }
        }
        check_rate(keys.rate_max, keys.burst).map_err(|why| format!("exporter {}: {why}", keys.address))?;
        let mut words = Words::default();
        for (word, meaning) in &keys.event_words {
            check_word(word).map_err(|why| of(&"event_words", &why))?;
            words.set_event(word, meaning.0);
        }
        for (word, number) in &keys.protocol_words {
            check_word(word).map_err(|why| of(&"protocol_words", &why))?;
            words.set_protocol(word, *number);
        }
        if keys.pattern.is_empty() && !(keys.event_words.is_empty() && keys.protocol_words.is_empty()) {
            return Err(of(
                &"event_words and protocol_words",
                "they are for patterns, and there is no pattern",
            ));
        }
        if keys.a10_subscriber.as_deref() == Some("") {
            return Err(of(&"a10_subscriber", "it must name an attribute, such as IMSI"));
        }
        let vrf = vrf_names(keys.vrf.as_deref(), &keys.vrf_names).map_err(|why| of(&"vrf", &why))?;
        if keys.pattern.len() > PATTERNS_MAX {
            return Err(of(
                &"pattern",
                &format!(
                    "{} patterns; at most {PATTERNS_MAX} are allowed",
                    keys.pattern.len()
                ),
            ));
        }
        let words = Arc::new(words);
        let mut patterns = Vec::new();
        for (index, pattern) in keys.pattern.iter().enumerate() {
            let failed = |why: String| of(&format_args!("pattern {}", index + 1), &why);
            let event = match pattern.event.as_ref().map(|word| word.0) {
                None => None,
                Some(EventWord::Mapping(action)) => Some(action),
                Some(EventWord::Ignored) => {
                    return Err(failed("event = \"ignored\" would ignore all its lines".into()));
                }
            };
            let options = Options {
                event,
                hex_ports: pattern.hex_ports,
                words: Arc::clone(&words),
            };
            patterns.push(Pattern::new(&pattern.regex, options).map_err(failed)?);
        }
        let otherwise = patterns.is_empty().then_some(Profile::Auto);
        Ok(Self {
            address: keys.address,
            name: keys.name,
            rate_max: keys.rate_max,
            burst: keys.burst.unwrap_or(keys.rate_max.min(BURST_MAX)),
            settings: Settings {
                profile: keys.profile.or(otherwise),
                flow: keys.flow_profile.unwrap_or_default(),
                zone: keys.time_zone,
                vrf,
                dialects: Dialects {
                    huawei_user_blocks: keys.huawei_user_blocks,
                    a10_subscriber: keys.a10_subscriber.map(Into::into),
                    fortinet_pba_duration: keys.fortinet_pba_duration.map(|unit| unit.0),
                },
                patterns,
            },
        })
    }
}

fn check_word(word: &str) -> Result<(), String> {
    if word.is_empty() || word.len() > WORD_BYTES_MAX {
        return Err(format!("{word:?} must have 1 to {WORD_BYTES_MAX} octets"));
    }
    Ok(())
}

fn vrf_names(default: Option<&str>, names: &BTreeMap<String, String>) -> Result<VrfNames, String> {
    let check = |name: &str| {
        if name.is_empty() || name.len() > VRF_BYTES_MAX || name.contains('\0') {
            Err(format!(
                "{name:?} must have 1 to {VRF_BYTES_MAX} octets, none of them NUL"
            ))
        } else {
            Ok(())
        }
    };
    default.map_or(Ok(()), check)?;
    let mut known = VrfNames {
        default: default.map(Into::into),
        ..VrfNames::default()
    };
    for (written, name) in names {
        check(written)?;
        check(name)?;
        // F5 writes a route domain as `%1`, which is the VRF 1.
        let domain = written
            .strip_prefix('%')
            .filter(|domain| domain.bytes().all(|octet| octet.is_ascii_digit()));
        let written = domain.filter(|domain| !domain.is_empty()).unwrap_or(written);
        if known.names.insert(written.into(), name.as_str().into()).is_some() {
            return Err(format!("{written:?} is named twice, with and without %"));
        }
    }
    Ok(known)
}

/// A value that is read from its text.
struct Parsed<T>(T);

impl<'de, T: std::str::FromStr<Err = String>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr<Err = String>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Parsed::deserialize(from).map(|parsed| Some(parsed.0))
}

fn address_or_prefix<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(from)?;
    let net: Result<IpNet, _> = text.parse();
    net.or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is neither an address nor a prefix such as 192.0.2.0/24"
            ))
        })
}

/// A regular expression, a table, or a list of those.
fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PatternKeys>, D::Error> {
    let values = match toml::Value::deserialize(from)? {
        toml::Value::Array(values) => values,
        one => vec![one],
    };
    let keys = values.into_iter().map(|value| match value {
        toml::Value::String(regex) => Ok(PatternKeys {
            regex,
            event: None,
            hex_ports: false,
        }),
        table @ toml::Value::Table(_) => table
            .try_into()
            .map_err(|error: toml::de::Error| D::Error::custom(error.message())),
        other => Err(D::Error::custom(format!(
            "a pattern is a text or a table with the key regex, not {}",
            other.type_str()
        ))),
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;

    /// The settings of an exporter with these lines.
    fn settings(lines: &str) -> Result<Settings, String> {
        let text = format!("[[exporters.exporter]]\naddress = \"192.0.2.1\"\n{lines}\n");
        let config = Config::parse(&text, Path::new("test.toml")).map_err(|error| error.to_string())?;
        Ok(config.exporters.list[0].settings.clone())
    }

    #[test]
    fn every_key() {
        let plain = settings("").unwrap();
        assert_eq!((plain.profile, plain.zone), (Some(Profile::Auto), None));
        let said = settings(
            r#"
            time_zone = "Europe/Berlin"
            vrf = "global"
            vrf_names = { "%1" = "blue", vsys3 = "red" }
            huawei_user_blocks = true
            a10_subscriber = "IMSI"
            fortinet_pba_duration = "ms"
            pattern = [
                'X (?<src_ip>\S+) (?<x_ip>\S+) (?<event>\w+)$',
                { regex = 'Y (?<src_ip>\S+) (?<x_ip>\S+)$', event = "deleted", hex_ports = true },
            ]
            event_words = { Weg = "deleted" }
            protocol_words = { T = 6 }
            "#,
        )
        .unwrap();
        assert_eq!(said.profile, None);
        assert_eq!(
            said.zone.map(|zone| zone.to_string()).as_deref(),
            Some("Europe/Berlin")
        );
        assert_eq!(said.vrf.names.get("1").map(AsRef::as_ref), Some("blue"));
        assert_eq!(said.vrf.default.as_deref(), Some("global"));
        assert!(said.dialects.huawei_user_blocks && said.patterns.len() == 2);
        assert_eq!(said.dialects.a10_subscriber.as_deref(), Some("IMSI"));
        assert_eq!(said.dialects.fortinet_pba_duration, Some(Unit::Milliseconds));
        let one = settings("profile = \"nfware\"\npattern = '(?<src_ip>a)(?<x_ip>b)(?<event>c)'").unwrap();
        assert_eq!((one.profile, one.patterns.len()), (Some(Profile::Nfware), 1));
    }

    /// The blocks of the manual that are whole entries.
    #[test]
    fn what_the_manual_shows_is_valid() {
        let page = include_str!("../../docs/exporter-profiles.md");
        let blocks = page
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        let (entries, keys): (Vec<_>, Vec<_>) = blocks.partition(|block| block.starts_with("[["));
        for entry in &entries {
            Config::parse(entry, Path::new("page")).unwrap_or_else(|error| panic!("{error}\n{entry}"));
        }
        for keys in &keys {
            let pattern = "pattern = '(?<src_ip>a)(?<x_ip>b)(?<event>c)'";
            settings(&format!("{keys}\n{pattern}")).unwrap_or_else(|error| panic!("{error}\n{keys}"));
        }
        assert_eq!((entries.len(), keys.len()), (3, 2));
        for key in [
            "profile",
            "time_zone",
            "vrf",
            "vrf_names",
            "huawei_user_blocks",
            "a10_subscriber",
            "fortinet_pba_duration",
            "pattern",
            "event_words",
            "protocol_words",
        ] {
            assert!(
                page.contains(&format!("| `{key}` |")),
                "{key} is not in the table"
            );
        }
    }

    #[test]
    fn mistakes_are_named() {
        let good = "pattern = '(?<src_ip>a)(?<x_ip>b)(?<event>c)'";
        for (lines, expected) in [
            ("time_zone = \"Mars/Olympus\"", "no time zone"),
            ("profile = \"nope\"", "unknown profile"),
            ("time_zone = 3", "string"),
            ("fortinet_pba_duration = \"min\"", "is no unit"),
            ("a10_subscriber = \"\"", "must name"),
            ("vrf = \"\"", "octets"),
            ("vrf_names = { a = \"b\\u0000\" }", "NUL"),
            ("vrf_names = { 1 = \"a\", \"%1\" = \"b\" }", "twice"),
            ("patern = 'x'", "unknown field `patern`"),
            ("pattern = '('", "pattern 1: regex parse error"),
            ("pattern = '(?<src>x)'", "unknown group \"src\""),
            ("pattern = '(?<src_ip>x)(?<event>c)'", "needs the group x_ip"),
            ("pattern = '(?<src_ip>x)(?<x_ip>c)'", "no group event"),
            ("pattern = '(?:(?:(?:x{100}){100}){100}){100}'", "too big"),
            ("pattern = 5", "not integer"),
            ("pattern = { regexp = 'x' }", "unknown field `regexp`"),
            ("event_words = { a = \"created\" }", "there is no pattern"),
            (
                &format!("{good}\nevent_words = {{ a = \"open\" }}"),
                "is no event",
            ),
            (&format!("{good}\nprotocol_words = {{ a = 256 }}"), "256"),
            (&format!("{good}\nprotocol_words = {{ \"\" = 6 }}"), "octets"),
            (
                "pattern = { regex = '(?<src_ip>a)(?<x_ip>b)', event = \"ignored\" }",
                "ignore all",
            ),
        ] {
            let why = settings(lines).expect_err(lines);
            assert!(why.contains(expected), "{lines}: {why}");
        }
        let many = format!(
            "pattern = [{}]",
            "'(?<src_ip>a)(?<x_ip>b)(?<event>c)',".repeat(PATTERNS_MAX + 1)
        );
        assert!(settings(&many).expect_err("too many").contains("at most 16"));
        let long = format!("pattern = '{}'", "x".repeat(5000));
        assert!(settings(&long).expect_err("too long").contains("4096"));
    }
}
