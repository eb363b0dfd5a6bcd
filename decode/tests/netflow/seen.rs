//! Everything that a datagram gave, in a shape that can be compared.

use std::fmt::Write;
use std::net::IpAddr;

use decode::Ignored;
use decode::netflow::{
    Datagram, Exporters, Flow, Header, Known, News, Origin, Profile, Record, Refused, Sink, Summary,
};
use event::Event;
use serde_json::{Value, json};

pub const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// What came out, each line and event with the tag of its datagram.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// In the words of `fixtures/decoded.txt`.
    pub lines: Vec<String>,
    pub events: Vec<(u64, Value)>,
    pub errors: Vec<(u64, String)>,
    pub ignored: Vec<(Ignored, u64)>,
    pub news: Vec<(u16, News)>,
    pub vrf_names: Vec<(u64, String)>,
    pub summary: Summary,
}

impl Sink for Seen {
    const RECORDS: bool = true;

    fn event(&mut self, event: &Event<'_>, origin: Origin) {
        assert_possible(event);
        self.events.push((origin.tag, object(event)));
    }

    fn ignored(&mut self, reason: Ignored, records: u64, _origin: Origin) {
        self.ignored.push((reason, records));
    }

    fn refused(&mut self, refused: &Refused<'_>, origin: Origin) {
        self.errors.push((origin.tag, refused.to_string()));
    }

    fn template(&mut self, known: &Known<'_>, news: News) {
        let template = known.template;
        let word = if template.is_options() {
            "options"
        } else {
            "template"
        };
        let mut line = format!("{word} {}", template.id);
        for (index, field) in template.fields.iter().enumerate() {
            line.push(' ');
            if field.element.enterprise != 0 {
                let _ = write!(line, "{}/", field.element.enterprise);
            }
            let octets = field.octets.map_or("v".to_owned(), |octets| octets.to_string());
            let _ = write!(line, "{}:{octets}", field.element.id);
            if index < usize::from(template.scope_fields.unwrap_or(0)) {
                line.push('s');
            }
        }
        self.lines.push(line);
        self.news.push((template.id, news));
    }

    fn parked(&mut self, id: u16, octets: &[u8], _origin: Origin) {
        self.lines.push(format!("parked {id} {}", octets.len()));
    }

    fn record(&mut self, _header: &Header, record: Record<'_>, _origin: Origin) {
        let values: Vec<String> = record.fields().map(|(_, octets)| hexadecimal(octets)).collect();
        self.lines
            .push(format!("record {} {}", record.template.id, values.join(",")));
    }

    fn flow(&mut self, flow: &Flow, _origin: Origin) {
        self.lines.push(format!(
            "flow {} {} {} {} {} {} {} {} {} {} {} {} {}",
            flow.source,
            flow.destination,
            flow.next_hop,
            flow.packets,
            flow.octets,
            flow.first_ms,
            flow.last_ms,
            flow.source_port,
            flow.destination_port,
            flow.tcp_flags,
            flow.protocol,
            flow.source_as,
            flow.destination_as
        ));
    }

    fn vrf_name(&mut self, id: u64, name: &str, _origin: Origin) {
        self.vrf_names.push((id, name.to_owned()));
    }
}

impl Seen {
    /// The events alone.
    pub fn objects(&self) -> Vec<Value> {
        self.events.iter().map(|(_, event)| event.clone()).collect()
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Decodes datagrams of one exporter, one second apart; their tags are 1, 2, …
pub fn decode<D: AsRef<[u8]>>(profile: Profile, datagrams: &[D]) -> Seen {
    decode_with(&mut Exporters::default(), profile, datagrams)
}

/// The same with state that is there already.
pub fn decode_with<D: AsRef<[u8]>>(exporters: &mut Exporters, profile: Profile, datagrams: &[D]) -> Seen {
    let mut seen = Seen::default();
    for (payload, tag) in datagrams.iter().zip(1..) {
        let datagram = Datagram {
            exporter: EXPORTER,
            received_ns: tag as i64 * 1_000_000_000,
            tag,
            payload: payload.as_ref(),
        };
        let summary = exporters.decode(profile, &datagram, &mut seen);
        seen.summary.events += summary.events;
        seen.summary.ignored += summary.ignored;
        seen.summary.refused += summary.refused;
        seen.summary.parked += summary.parked;
        seen.summary.unparked_events += summary.unparked_events;
    }
    let ignored: u64 = seen.ignored.iter().map(|(_, records)| records).sum();
    assert!(ignored >= seen.summary.ignored);
    assert_eq!(
        seen.events.len() as u64,
        seen.summary.events + seen.summary.unparked_events
    );
    seen
}

/// An event with the keys of `samples/expected.jsonl`, times in ns, and `mapping_start` where it has one.
pub fn object(event: &Event<'_>) -> Value {
    let mut object = json!({
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
    });
    if let Some(start) = event.mapping_start_ns {
        object["mapping_start"] = json!(start);
    }
    object
}

/// What every event promises.
pub fn assert_possible(event: &Event<'_>) {
    for ip in [Some(event.src_ip), event.x_ip, event.dst_ip]
        .into_iter()
        .flatten()
    {
        assert!(!ip.is_unspecified(), "{event:?}");
    }
    assert!(
        event.x_ip.is_some() || event.action == event::Action::Deleted,
        "{event:?}"
    );
    if let (Some(start), Some(end)) = (event.start_port, event.end_port) {
        assert!(start <= end, "{event:?}");
    }
    assert_eq!(
        event.start_port.is_some(),
        event.kind == event::Kind::Block,
        "{event:?}"
    );
    for text in [event.vrf, event.subscriber].into_iter().flatten() {
        assert!(!text.to_str().contains('\0'), "{event:?}");
    }
    assert_eq!(
        event.time_ns.is_none(),
        event.time_source == event::TimeSource::Receive,
        "{event:?}"
    );
}
