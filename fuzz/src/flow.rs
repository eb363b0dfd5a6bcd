//! Datagrams of flow records, with state across them, and what must hold whatever they are.

use std::net::IpAddr;

use decode::netflow::{
    DOMAINS_MAX, Datagram, Exporters, Header, Origin, PARKED_OCTETS_MAX, ParkedSet, Profile, Record, Refused,
    Sink, TEMPLATES_MAX,
};
use event::{Action, Event};

/// Decodes datagrams of `version` that `octets` hold: a profile, after how many datagrams the program restarts, and then the
/// datagrams as [`push`] writes them.
pub fn run(version: u8, octets: &[u8]) {
    let Some((&[profile, restart_after], mut rest)) = octets.split_first_chunk() else {
        return;
    };
    let mut exporters = Exporters::default();
    let mut seen = Seen::default();
    let mut number = 0;
    while let Some((&[exporter, domain, high, low], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (body, behind) = behind.split_at(length);
        rest = behind;
        let restarted = number == usize::from(restart_after);
        if restarted {
            exporters = kept(&exporters);
        }
        // Another profile may be given to an exporter at any time.
        let profile = (usize::from(profile) + usize::from(restarted)) % Profile::ALL.len();
        let payload = payload(version, domain, body);
        let datagram = Datagram {
            exporter: IpAddr::from([192, 0, 2, exporter % 4]),
            received_ns: number as i64,
            tag: number as u64,
            payload: &payload,
        };
        let before = seen.events;
        let summary = exporters.decode(Profile::ALL[profile], &datagram, &mut seen);
        assert_eq!(seen.events - before, summary.events + summary.unparked_events);
        number += 1;
    }
    assert!(exporters.templates().count() <= TEMPLATES_MAX);
    assert!(exporters.sequences().count() <= DOMAINS_MAX);
    let parked: usize = exporters.parked().map(|(_, set)| set.octets.len()).sum();
    assert!(parked <= PARKED_OCTETS_MAX);
}

/// Appends a datagram, for [`run`] to read.
pub fn push(octets: &mut Vec<u8>, payload: &[u8]) {
    let body = payload.get(2..).unwrap_or_default();
    octets.extend_from_slice(&[0, 0]);
    octets.extend_from_slice(&(body.len() as u16).to_be_bytes());
    octets.extend_from_slice(body);
}

/// What is behind the version, with one of a few domains, so that templates and data meet.
fn payload(version: u8, domain: u8, body: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, version];
    payload.extend_from_slice(body);
    let domain_at = match version {
        9 => 16..20,
        10 => 12..16,
        _ => return payload,
    };
    if let Some(octets) = payload.get_mut(domain_at) {
        octets.copy_from_slice(&[0, 0, 0, domain % 4]);
    }
    payload
}

/// The state as it is after a restart of the program.
fn kept(before: &Exporters) -> Exporters {
    let mut after = Exporters::default();
    for known in before.templates() {
        let (template, options) = (known.template, known.template.is_options());
        after
            .restore_template(
                known.exporter,
                known.version,
                known.domain,
                options,
                template.wire(),
            )
            .expect("what was kept comes back");
    }
    let sets: Vec<(IpAddr, ParkedSet)> = before
        .parked()
        .map(|(exporter, set)| (exporter, set.clone()))
        .collect();
    for (exporter, set) in sets {
        after.restore_parked(exporter, set);
    }
    assert_eq!(before.templates().count(), after.templates().count());
    assert_eq!(before.parked().count(), after.parked().count());
    after
}

#[derive(Default)]
struct Seen {
    events: u64,
}

impl Sink for Seen {
    const RECORDS: bool = true;

    fn event(&mut self, event: &Event<'_>, _origin: Origin) {
        self.events += 1;
        for ip in [Some(event.src_ip), event.x_ip, event.dst_ip]
            .into_iter()
            .flatten()
        {
            assert!(!ip.is_unspecified());
        }
        assert!(event.x_ip.is_some() || event.action == Action::Deleted);
        if let (Some(start), Some(end)) = (event.start_port, event.end_port) {
            assert!(start <= end);
        }
        for text in [event.vrf, event.subscriber].into_iter().flatten() {
            assert!(!text.to_str().contains('\0'));
        }
    }

    fn record(&mut self, _header: &Header, record: Record<'_>, _origin: Origin) {
        let octets: usize = record.fields().map(|(_, octets)| octets.len()).sum();
        assert!(octets <= record.octets.len());
        assert_eq!(record.fields().count(), record.template.fields.len());
    }

    fn refused(&mut self, refused: &Refused<'_>, _origin: Origin) {
        assert!(!refused.to_string().is_empty());
    }
}
