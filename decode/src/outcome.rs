//! What becomes of a message.

use std::fmt;

/// What a message was, apart from the events that it yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many events went to the sink.
    Events(u32),
    /// Known and whole, but no mapping: counted, not kept.
    Ignored(Ignored),
    /// A message of several records, of which some are good: so many events (one or more) went to the sink. Another record is
    /// cut off or wrong, so that the message becomes a dead letter as well.
    Partly { events: u32, error: DecodeError },
}

impl Outcome {
    /// Events that went to the sink.
    pub const fn events(self) -> u32 {
        match self {
            Self::Events(events) | Self::Partly { events, .. } => events,
            Self::Ignored(_) => 0,
        }
    }
}

/// Why a known message is no mapping. `Copy`: it indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ignored {
    /// The translated tuple equals the original one.
    NotTranslated,
    /// Pool, port, quota or table exhaustion, thresholds.
    ResourceAlarm,
    /// A message of the vendor that is about something else (denied sessions, rule matches, …).
    NotAMapping,
    /// Flow records of traffic, without a translation.
    TrafficFlow,
    /// A datagram of flow templates, without a record.
    TemplatesAlone,
}

impl Ignored {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::NotTranslated,
        Self::ResourceAlarm,
        Self::NotAMapping,
        Self::TrafficFlow,
        Self::TemplatesAlone,
    ];

    /// Stable word for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTranslated => "not_translated",
            Self::ResourceAlarm => "resource_alarm",
            Self::NotAMapping => "not_a_mapping",
            Self::TrafficFlow => "traffic_flow",
            Self::TemplatesAlone => "templates_alone",
        }
    }
}

/// Why a message yields no event though it may be one: it becomes a dead letter. `Copy`: it indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DecodeError {
    /// Nothing but blanks, NUL, CR or LF.
    Empty,
    /// Longer than [`crate::syslog::MAX_LINE_BYTES`].
    TooLong,
    /// The collector's receive buffer cut it.
    TruncatedOnReceive,
    /// Not UTF-8 (RFC 5424 section 6.4).
    NotUtf8,
    /// No format of the profile claims it.
    UnknownFormat,
    /// Of a known format, but it ends too early.
    Truncated,
    /// Of a known format, but not its grammar.
    Malformed,
    /// An address that is none, or is unspecified.
    BadAddress,
    /// A port above 65,535, or no number.
    BadPort,
    /// A port range that ends before it starts.
    BadRange,
    /// A protocol number above 255.
    BadProtocol,
    /// An event's own time that is no time.
    BadTime,
    /// A field that the event must have is absent.
    MissingField,
    /// No decoder for this kind of payload in this version.
    NoDecoder,
    /// Flow records whose template did not come.
    NoTemplate,
    /// A flow template that does not fit its set, or has too many fields.
    BadTemplate,
    /// There is no room for more flow templates.
    TooManyTemplates,
    /// A natEvent that means different things in the dialects that fit the record's fields.
    UnknownDialect,
    /// A natEvent that means nothing, or nothing that fits the record's fields.
    BadNatEvent,
}

impl DecodeError {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Empty,
        Self::TooLong,
        Self::TruncatedOnReceive,
        Self::NotUtf8,
        Self::UnknownFormat,
        Self::Truncated,
        Self::Malformed,
        Self::BadAddress,
        Self::BadPort,
        Self::BadRange,
        Self::BadProtocol,
        Self::BadTime,
        Self::MissingField,
        Self::NoDecoder,
        Self::NoTemplate,
        Self::BadTemplate,
        Self::TooManyTemplates,
        Self::UnknownDialect,
        Self::BadNatEvent,
    ];

    /// Stable word for metrics and dead letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::TruncatedOnReceive => "truncated_on_receive",
            Self::NotUtf8 => "not_utf8",
            Self::UnknownFormat => "unknown_format",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::BadAddress => "bad_address",
            Self::BadPort => "bad_port",
            Self::BadRange => "bad_range",
            Self::BadProtocol => "bad_protocol",
            Self::BadTime => "bad_time",
            Self::MissingField => "missing_field",
            Self::NoDecoder => "no_decoder",
            Self::NoTemplate => "no_template",
            Self::BadTemplate => "bad_template",
            Self::TooManyTemplates => "too_many_templates",
            Self::UnknownDialect => "unknown_dialect",
            Self::BadNatEvent => "bad_nat_event",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty message",
            Self::TooLong => "message too long",
            Self::TruncatedOnReceive => "cut off by the receive buffer",
            Self::NotUtf8 => "not UTF-8",
            Self::UnknownFormat => "unknown format",
            Self::Truncated => "message ends too early",
            Self::Malformed => "not the grammar of its format",
            Self::BadAddress => "not an address",
            Self::BadPort => "not a port",
            Self::BadRange => "not a port range",
            Self::BadProtocol => "not a protocol number",
            Self::BadTime => "not a time",
            Self::MissingField => "a required field is missing",
            Self::NoDecoder => "no decoder for this kind of payload",
            Self::NoTemplate => "the template did not come",
            Self::BadTemplate => "not a template",
            Self::TooManyTemplates => "no room for more templates",
            Self::UnknownDialect => "natEvent dialect unknown, set a profile",
            Self::BadNatEvent => "natEvent does not fit the fields of the record",
        })
    }
}

impl std::error::Error for DecodeError {}
