//! What was in a datagram, to be printed.

use std::collections::BTreeMap;

use decode::Ignored;
use decode::netflow::{Known, News, Origin, Refused, Sink, Version};
use event::Event;
use serde::Serialize;

use super::FlowEvent;
use crate::decode::EventObject;

/// Gathers what a datagram gives.
#[derive(Default)]
pub struct FlowReport {
    datagram: u64,
    pub events: Vec<FlowEvent>,
    pub templates: Vec<TemplateObject>,
    pub errors: Vec<String>,
    pub ignored: BTreeMap<&'static str, u64>,
    pub parked: Vec<u16>,
    pub vrf_names: BTreeMap<u64, String>,
}

/// A template as it came.
#[derive(Serialize)]
pub struct TemplateObject {
    id: u16,
    /// Observation domain, source id.
    domain: u32,
    version: u16,
    news: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    options: bool,
    fields: Vec<FieldObject>,
}

#[derive(Serialize)]
struct FieldObject {
    ie: u16,
    /// Enterprise number; 0 is IANA.
    pen: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    length: Length,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    scope: bool,
}

/// Octets, or `"variable"`.
#[derive(Serialize)]
#[serde(untagged)]
enum Length {
    Octets(u16),
    Word(&'static str),
}

impl FlowReport {
    /// For the datagram with this number.
    pub fn new(datagram: u64) -> Self {
        Self {
            datagram,
            ..Self::default()
        }
    }

    /// Adds an event, of an earlier datagram if one is named.
    pub fn push(&mut self, event: &Event<'_>, datagram: Option<u64>) {
        self.events.push(FlowEvent {
            event: EventObject::new(event),
            datagram,
        });
    }

    fn earlier(&self, origin: Origin) -> Option<u64> {
        (origin.tag != self.datagram).then_some(origin.tag)
    }
}

impl Sink for FlowReport {
    fn event(&mut self, event: &Event<'_>, origin: Origin) {
        self.push(event, self.earlier(origin));
    }

    fn ignored(&mut self, reason: Ignored, records: u64, _origin: Origin) {
        *self.ignored.entry(reason.name()).or_default() += records;
    }

    fn refused(&mut self, refused: &Refused<'_>, origin: Origin) {
        let error = refused.to_string();
        self.errors.push(match self.earlier(origin) {
            Some(datagram) => format!("{error} (of datagram {datagram})"),
            None => error,
        });
    }

    fn template(&mut self, known: &Known<'_>, news: News) {
        let template = known.template;
        let scope = usize::from(template.scope_fields.unwrap_or(0));
        let fields = template.fields.iter().enumerate();
        self.templates.push(TemplateObject {
            id: template.id,
            domain: known.domain,
            version: known.version.number(),
            news: match news {
                News::New => "new",
                News::Changed => "changed",
                News::Repeated => "repeated",
                News::Withdrawn => "withdrawal ignored",
            },
            options: template.is_options(),
            fields: fields
                .map(|(index, field)| FieldObject {
                    ie: field.element.id,
                    pen: field.element.enterprise,
                    // Scope types of NetFlow v9 are no elements.
                    name: (index >= scope || known.version == Version::Ipfix)
                        .then(|| field.element.name())
                        .flatten(),
                    length: field.octets.map_or(Length::Word("variable"), Length::Octets),
                    scope: index < scope,
                })
                .collect(),
        });
    }

    fn parked(&mut self, id: u16, _octets: &[u8], _origin: Origin) {
        self.parked.push(id);
    }

    fn vrf_name(&mut self, id: u64, name: &str, _origin: Origin) {
        self.vrf_names.insert(id, name.to_owned());
    }
}
