//! What must hold of every message that is decoded, whatever its octets.

#[path = "../../decode/tests/written/mod.rs"]
mod written;

use std::net::IpAddr;

use decode::{DecodeError, Outcome, Profile};
use event::{Event, Kind, TimeSource};
use written::Mapping;

/// Outcome and events, in words.
type Decoded = (Result<Outcome, DecodeError>, Vec<String>);

/// Decodes a message with each of some profiles and with `auto`, and checks what comes of it: the same each time, events
/// that can be, all or none of them, and those of `auto` are the ones that the device's own profile finds.
pub fn check(message: &[u8], profiles: &[Profile]) {
    let auto = decode(Profile::Auto, message);
    let own: Vec<Decoded> = profiles.iter().map(|&profile| decode(profile, message)).collect();
    // Which profile `auto` found is not said: it must be one of all, first those of the target.
    if auto.1.is_empty() || own.contains(&auto) {
        return;
    }
    let is_found = Profile::ALL[1..]
        .iter()
        .any(|&profile| decode(profile, message) == auto);
    assert!(is_found, "auto found what no profile finds: {auto:?}");
}

fn decode(profile: Profile, message: &[u8]) -> Decoded {
    let decoded = once(profile, message, |event| {
        is_possible(event);
        comes_back(profile, event);
    });
    assert_eq!(
        once(profile, message, |_| {}),
        decoded,
        "another result the second time"
    );
    match decoded.0 {
        Ok(Outcome::Events(count)) => assert_eq!(count as usize, decoded.1.len()),
        _ => assert!(decoded.1.is_empty(), "events beside {:?}", decoded.0),
    }
    decoded
}

fn once(profile: Profile, message: &[u8], mut each: impl FnMut(&Event<'_>)) -> Decoded {
    let mut events = Vec::new();
    let outcome = decode::syslog::decode(profile, message, |event| {
        each(event);
        events.push(format!("{event:?}"));
    });
    (outcome, events)
}

/// What every event promises.
fn is_possible(event: &Event<'_>) {
    let addresses = [Some(event.src_ip), event.x_ip, event.dst_ip];
    assert!(
        !addresses.iter().flatten().any(IpAddr::is_unspecified),
        "{event:?}"
    );
    for text in [event.vrf, event.subscriber].into_iter().flatten() {
        assert!(!text.to_str().contains('\0'), "{event:?}");
    }
    assert_eq!(
        event.time_ns.is_none(),
        event.time_source == TimeSource::Receive,
        "{event:?}"
    );
    assert!(event.start_port <= event.end_port, "{event:?}");
    assert_eq!(event.src_port.is_some(), event.x_port.is_some(), "{event:?}");
    let is_block = event.kind == Kind::Block;
    assert_eq!(event.start_port.is_some(), is_block, "{event:?}");
    assert_eq!(event.end_port.is_some(), is_block, "{event:?}");
    assert!(is_block || event.port_step.is_none(), "{event:?}");
    let has_remote = event.dst_ip.is_some();
    let fits = match event.kind {
        Kind::Session => has_remote,
        Kind::Port => event.src_port.is_some(),
        Kind::Block | Kind::Address => event.src_port.is_none() && !has_remote,
    };
    assert!(fits, "{event:?}");
}

/// The event written as the device that it came from would write it, if that is known, decodes to itself.
fn comes_back(profile: Profile, event: &Event<'_>) {
    let mut expected = Mapping::from(event);
    let Some(line) = expected.write(profile) else {
        return;
    };
    let mut is_same = false;
    let outcome = decode::syslog::decode(profile, line.as_bytes(), |event| {
        is_same = expected.is_said_by(event)
    });
    assert_eq!(outcome, Ok(Outcome::Events(1)), "{line} of {event:?}");
    assert!(is_same, "{line} of {event:?} is another event");
}
