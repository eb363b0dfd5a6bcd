//! Datagrams of flow records, with state across them, and what must hold whatever they are.

use std::net::IpAddr;

use arbitrary::Arbitrary;
use decode::netflow::{
    DOMAINS_MAX, Datagram, Exporters, Header, Origin, PARKED_OCTETS_MAX, ParkedSet, Profile, Record, Refused,
    Sink, TEMPLATES_MAX,
};
use event::{Action, Event};

/// Several datagrams of a few exporters.
#[derive(Arbitrary, Debug)]
pub struct Case<'a> {
    profile: u8,
    /// The profile changes after so many datagrams, and the state is kept and restored.
    restart_after: u8,
    /// Exporter, domain, and what is behind the version.
    datagrams: Vec<(u8, u8, &'a [u8])>,
}

impl Case<'_> {
    /// Decodes the datagrams as `version`.
    pub fn run(&self, version: u8) {
        let mut exporters = Exporters::default();
        let mut seen = Seen::default();
        for (number, (exporter, domain, rest)) in self.datagrams.iter().enumerate() {
            let restarted = number == usize::from(self.restart_after);
            if restarted {
                exporters = kept(&exporters);
            }
            let at = usize::from(self.profile) + usize::from(restarted);
            let mut payload = vec![0, version];
            payload.extend_from_slice(rest);
            // A few domains, so that templates and data meet.
            let domain_at = if version == 9 { 19 } else { 15 };
            if let Some(octets) = payload.get_mut(domain_at - 3..=domain_at)
                && version != 5
            {
                octets.copy_from_slice(&[0, 0, 0, domain % 4]);
            }
            let datagram = Datagram {
                exporter: IpAddr::from([192, 0, 2, exporter % 4]),
                received_ns: number as i64,
                tag: number as u64,
                payload: &payload,
            };
            let before = seen.events;
            let summary = exporters.decode(Profile::ALL[at % Profile::ALL.len()], &datagram, &mut seen);
            assert_eq!(seen.events - before, summary.events + summary.unparked_events);
        }
        assert!(exporters.templates().count() <= TEMPLATES_MAX);
        assert!(exporters.sequences().count() <= DOMAINS_MAX);
        let parked: usize = exporters.parked().map(|(_, set)| set.octets.len()).sum();
        assert!(parked <= PARKED_OCTETS_MAX);
    }
}

/// The state as it is after a restart of the program.
fn kept(before: &Exporters) -> Exporters {
    let mut after = Exporters::default();
    for known in before.templates() {
        let (template, options) = (known.template, known.template.is_options());
        after
            .restore_template(known.exporter, known.version, known.domain, options, template.wire())
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
        for ip in [Some(event.src_ip), event.x_ip, event.dst_ip].into_iter().flatten() {
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
