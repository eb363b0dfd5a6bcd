//! NetFlow v5 (as Cisco has it), NetFlow v9 (RFC 3954) and IPFIX (RFC 7011), and the NAT events in them (RFC 8158 and what
//! vendors made of its drafts).
//!
//! [`Exporters`] is the state, without I/O: templates, sets that wait for theirs, sequence numbers. It decodes a datagram and
//! gives what was in it to a [`Sink`].
//!
//! - [`message`], [`v5`]: headers and sets, read by length;
//! - [`template`]: templates and their records, field by field; [`element`]: the elements' names;
//! - [`slot`], [`plan`]: a template compiled to the place of each column; [`rows`]: the loop over a set's records;
//! - [`meaning`], [`dialect`], [`ios_xr`]: what a record is for a [`Profile`];
//! - [`mapping`], [`session`], [`nokia`]: the event's ends; [`clock`]: its time; [`text`]: its texts;
//! - [`decoding`]: one message; [`exporters`], [`domain`], [`parked`], [`sequence`]: the state and its bounds; [`sink`]: what comes out.

mod clock;
mod decoding;
mod dialect;
mod domain;
mod element;
mod exporters;
mod ios_xr;
mod mapping;
mod meaning;
mod message;
mod nokia;
mod parked;
mod plan;
mod profile;
mod rows;
mod sequence;
mod session;
mod sink;
mod slot;
mod template;
mod text;
mod v5;

pub use domain::TEMPLATES_PER_DOMAIN_MAX;
pub use element::Element;
pub use exporters::{DOMAINS_MAX, DOMAINS_PER_EXPORTER_MAX, Exporters, StateCounters, TEMPLATES_MAX};
pub use message::{Header, Version};
pub use parked::{PARKED_AGE_MAX_NS, PARKED_OCTETS_MAX, PARKED_OCTETS_PER_DOMAIN_MAX, ParkedSet};
pub use profile::Profile;
pub use sequence::{Sequence, SequenceCounters};
pub use sink::{Datagram, Known, News, Origin, Part, Refused, Sink, Summary};
pub use template::{FIELDS_PER_TEMPLATE_MAX, Field, Fields, Record, Records, Template};
pub use v5::Flow;
