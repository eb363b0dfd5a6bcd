//! What the tests share: the sample lines, and events in a shape that can be compared.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use decode::{DecodeError, Ignored, Outcome, Profile};
use event::{Action, Event, Kind};
use serde_json::{Value, json};

/// The sample files, and the profiles that read them.
pub const OWN: [(&str, Profile); 20] = [
    ("nfware.log", Profile::Nfware),
    ("juniper.log", Profile::JuniperSrx),
    ("f5-bigip.log", Profile::F5BigIp),
    ("a10-ascii.log", Profile::A10),
    ("a10-cef.log", Profile::A10),
    ("sixwind.log", Profile::SixWind),
    ("fortinet.log", Profile::Fortinet),
    ("paloalto.log", Profile::PaloAlto),
    ("juniper-ms.log", Profile::JuniperMs),
    ("cisco-ios-xe.log", Profile::CiscoIosXe),
    ("cisco-ios-xr.log", Profile::CiscoIosXr),
    ("huawei.log", Profile::Huawei),
    ("h3c.log", Profile::H3c),
    ("mikrotik.log", Profile::Mikrotik),
    ("linux-ulogd.log", Profile::Ulogd),
    ("linux-conntrack.log", Profile::Conntrack),
    ("vpp.log", Profile::Vpp),
    ("jool.log", Profile::Jool),
    ("danos.log", Profile::Danos),
    ("vyos.log", Profile::Vyos),
];

/// The profile that reads a sample file.
pub fn own(file: &str) -> Profile {
    let own = OWN.iter().find(|(name, _)| *name == file);
    own.unwrap_or_else(|| panic!("{file} is in no row")).1
}

/// The lines of a sample file, without their LF.
pub fn lines(file: &str) -> Vec<Vec<u8>> {
    let path = samples().join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
        .strip_suffix(b"\n")
        .unwrap_or(&bytes)
        .split(|&byte| byte == b'\n')
        .map(Vec::from)
        .collect()
}

/// The names of the sample files, of all vendors.
pub fn logs() -> Vec<String> {
    let names = fs::read_dir(samples())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut logs: Vec<_> = names
        .filter(|name| name.rsplit('.').next() == Some("log"))
        .collect();
    logs.sort();
    logs
}

/// Where the sample files are.
pub fn samples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// Decodes a message: its outcome, and its events as the objects of `expected.jsonl`.
pub fn decode(profile: Profile, message: &[u8]) -> (Result<Outcome, DecodeError>, Vec<Value>) {
    let mut events = Vec::new();
    let outcome = decode::syslog::decode(profile, message, |event| events.push(object(event)));
    let count = outcome.map_or(0, Outcome::events);
    assert_eq!(count as usize, events.len(), "events beside {outcome:?}");
    if let Ok(Outcome::Events(count) | Outcome::Partly { events: count, .. }) = outcome {
        assert_ne!(count, 0, "{outcome:?}");
    }
    for event in &events {
        assert_possible(event);
    }
    (outcome, events)
}

/// The one event of a message that must be good.
pub fn event(message: &str) -> Value {
    let (outcome, events) = decode(Profile::Auto, message.as_bytes());
    assert_eq!(outcome, Ok(Outcome::Events(1)), "{message}");
    events.into_iter().next().unwrap()
}

/// The events of a message that must be good, in [`brief`].
pub fn briefs(message: &str) -> Vec<String> {
    let (outcome, events) = decode(Profile::Auto, message.as_bytes());
    assert_eq!(outcome, Ok(Outcome::Events(events.len() as u32)), "{message}");
    events.iter().map(brief).collect()
}

/// Why a message that must be known yields nothing.
pub fn ignored(message: &str) -> Ignored {
    match decode(Profile::Auto, message.as_bytes()).0 {
        Ok(Outcome::Ignored(why)) => why,
        other => panic!("{other:?}: {message}"),
    }
}

/// An event in a line: `session created 6 10.0.0.1 80 = 203.0.113.1 1024 > 198.51.100.1 443 vrf blue sub x at NS since NS`.
/// What is absent is left out, a protocol's place has `*`.
pub fn brief(event: &Value) -> String {
    let text = |key: &str| match &event[key] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let kind = event["kind"].as_str().unwrap();
    let mut words = vec![
        kind.strip_suffix("-mapping").unwrap().to_owned(),
        text("event").unwrap(),
        text("protocol").unwrap_or("*".to_owned()),
    ];
    for (before, key) in [
        ("", "src_ip"),
        ("", "src_port"),
        ("=", "x_ip"),
        ("", "x_port"),
        ("", "start_port"),
        ("-", "end_port"),
        (">", "dst_ip"),
        ("", "dst_port"),
        ("vrf", "vrf"),
        ("sub", "subscriber"),
        ("at", "timestamp"),
        ("since", "mapping_start"),
    ] {
        if let Some(text) = text(key) {
            words.extend([before.to_owned(), text]);
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// What is wrong with a message that must be bad.
pub fn error(message: &str) -> DecodeError {
    decode(Profile::Auto, message.as_bytes()).0.expect_err(message)
}

/// An event with the keys of `expected.jsonl`, times in ns, and `mapping_start`.
pub fn object(event: &Event<'_>) -> Value {
    json!({
        "kind": event.kind.name(),
        "event": event.action.name(),
        "protocol": event.protocol,
        "src_ip": event.src_ip.to_string(),
        "src_port": event.src_port,
        "x_ip": event.x_ip.map(|ip| ip.to_string()),
        "x_port": event.x_port,
        "dst_ip": event.dst_ip.map(|ip| ip.to_string()),
        "dst_port": event.dst_port,
        "start_port": event.start_port,
        "end_port": event.end_port,
        "port_step": event.port_step,
        "vrf": event.vrf.map(event::Text::to_str),
        "subscriber": event.subscriber.map(event::Text::to_str),
        "timestamp": event.time_ns,
        "time_source": event.time_source.name(),
        "mapping_start": event.mapping_start_ns,
    })
}

/// What every event promises, whatever the bytes were.
pub fn assert_possible(event: &Value) {
    for key in ["src_ip", "x_ip", "dst_ip"] {
        if let Some(ip) = event[key].as_str() {
            assert!(!ip.parse::<IpAddr>().unwrap().is_unspecified(), "{event}");
        }
    }
    assert!(
        event["start_port"].as_u64() <= event["end_port"].as_u64(),
        "{event}"
    );
    for key in ["vrf", "subscriber"] {
        assert!(
            !event[key].as_str().is_some_and(|text| text.contains('\0')),
            "{event}"
        );
    }
    assert_eq!(
        event["timestamp"].is_null(),
        event["time_source"] == "receive",
        "{event}"
    );
    let given = |key: &str| !event[key].is_null();
    let [inside, outside] = ["src_port", "x_port"].map(given);
    let remote = ["dst_ip", "dst_port"].map(given);
    let range = ["start_port", "end_port"].map(given);
    assert_eq!(inside, outside, "{event}");
    let fits = match event["kind"].as_str().unwrap() {
        // ESP and others have no ports, ICMP has identifiers inside and outside.
        "session-mapping" => remote[0] && (inside || !remote[1]) && range == [false; 2],
        // The remote end, if a device names one, is extra.
        "port-mapping" => inside && range == [false; 2],
        "port-block-mapping" => !inside && remote == [false; 2] && range == [true; 2],
        _ => !inside && remote == [false; 2] && range == [false; 2],
    };
    assert!(fits, "{event}");
    if event["protocol"] == 6 || event["protocol"] == 17 {
        assert!(event["kind"] != "session-mapping" || remote[1], "{event}");
    }
}

/// Writes an event as NFWare would. The event must have a VRF, an action that NFWare has, and no device time.
pub fn print_nfware(event: &Event<'_>) -> String {
    let letter = if event.action == Action::Created { 'A' } else { 'D' };
    let end = |ip: IpAddr, port: u16| match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    };
    let (src_ip, x_ip) = (event.src_ip, event.x_ip.unwrap());
    let mut line = format!("{letter} VRF {} ", event.vrf.unwrap().to_str());
    if let Some(protocol) = event.protocol {
        line += &format!("{protocol} ");
    }
    line += &match event.kind {
        Kind::Address => format!("INT {src_ip} EXT {x_ip}"),
        Kind::Block => {
            format!(
                "INT {src_ip} EXT {}-{}",
                end(x_ip, event.start_port.unwrap()),
                event.end_port.unwrap()
            )
        }
        Kind::Port | Kind::Session => {
            format!(
                "INT {} EXT {}",
                end(src_ip, event.src_port.unwrap()),
                end(x_ip, event.x_port.unwrap())
            )
        }
    };
    if let (Some(dst_ip), Some(dst_port)) = (event.dst_ip, event.dst_port) {
        line += &format!(" DST {} DIR OUT", end(dst_ip, dst_port));
    }
    line
}
