//! What the configuration says of an exporter and its messages do not.

use std::str::FromStr;

use crate::bytes::Cursor;
use crate::search::find;
use crate::written::Written;
use crate::zone::Zone;

/// Words of a header before which its time begins: a sequence number and a host (Cisco), and room for two more.
const WORDS_BEFORE_TIME_MAX: usize = 4;

/// Which of the shapes that a vendor's grammar leaves open an exporter's messages have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialects {
    /// Huawei: `UserbasedA` and `UserbasedW` are port blocks, `[- PRIVATE - PUBLIC - FIRST LAST]`. No real line was seen
    /// of them, only parsers: without the switch they are refused.
    pub huawei_user_blocks: bool,
    /// A10, ASCII: the RADIUS attribute that is the subscriber, in any case. If absent: the first that is not empty.
    pub a10_subscriber: Option<Box<str>>,
    /// Fortinet: the unit of the duration of a port block that is closed, which no manual states. If absent, it is not used.
    pub fortinet_pba_duration: Option<Unit>,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    /// `s` or `ms`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
        }
    }

    pub(crate) const fn ns(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
        }
    }
}

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [Self::Seconds, Self::Milliseconds];
        let unit = units.into_iter().find(|unit| unit.name() == text);
        unit.ok_or_else(|| format!("{text:?} is no unit: use s or ms"))
    }
}

/// What is said, for one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub zone: Option<&'a Zone>,
    pub received_ns: i64,
    pub dialects: &'a Dialects,
}

impl Said<'_> {
    /// The moment of a time that names no zone, given as ns since 1970 if it were UTC.
    pub(crate) fn moment(&self, zoneless_ns: i64) -> Option<i64> {
        self.zone?.resolve(zoneless_ns, self.received_ns)
    }

    /// The moment that all of `text` is.
    pub(crate) fn moment_of(&self, text: &[u8]) -> Option<i64> {
        let mut cursor = Cursor::new(text);
        let written = Written::take(&mut cursor)?;
        if cursor.is_empty() {
            written.moment(Some(self.zone?), self.received_ns)
        } else {
            None
        }
    }

    /// The first time of a header that is no RFC 5424 header with a zone: of one or two clocks, the one that is written
    /// first counts.
    pub(crate) fn header_moment(&self, text: &[u8]) -> Option<i64> {
        let zone = self.zone?;
        let mut rest = Cursor::new(text);
        for _word in 0..=WORDS_BEFORE_TIME_MAX {
            while rest.take(b" ") {}
            if let [b'%', b'@', ..] = rest.rest() {
                // Comware glues a sequence number to its time.
                let sequence = find(&rest.rest()[2..], b"%")?;
                rest.skip(sequence + 3);
            }
            if let Some(written) = Written::take(&mut rest) {
                return written.moment(Some(zone), self.received_ns);
            }
            // Nothing that is a value's belongs to the header.
            if rest
                .token()
                .iter()
                .any(|octet| matches!(octet, b'=' | b'"' | b'[' | b'{'))
            {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_of_a_header_counts() {
        let said = Said {
            zone: Some(&Zone::UTC),
            received_ns: 1_763_456_220_000_000_000,
            dialects: &Dialects::default(),
        };
        let second = Some(1_763_456_218_000_000_000);
        for header in [
            "Nov 18 08:56:58  HOST tag: x",
            "Nov 18 08:56:58 relay Nov 18 07:00:00 HOST tag: x",
            "*Nov 18 08:56:58 UTC: x",
            "29: host: Nov 18 08:56:58: x",
            "%@250005%Nov 18 08:56:58:72 2025 DeviceA USERLOG/7/NAT: x",
            "2025-11-18 08:56:58: CGN-1{SS}[jservices-nat]: x",
            "1 2025-11-18T08:56:58 h a - - - x",
            "Nov 18 08:56:58 mx (FPC Slot 1, PIC Slot 0) 2011-11-02 09:00:05 [FWNAT]:x",
        ] {
            assert_eq!(said.header_moment(header.as_bytes()), second, "{header}");
        }
        for header in [
            "",
            "x",
            "a=1 Nov 18 08:56:58 x",
            "\"x\" Nov 18 08:56:58 x",
            "%@",
            "a b c d e Nov 18 08:56:58 x",
        ] {
            assert_eq!(said.header_moment(header.as_bytes()), None, "{header}");
        }
    }
}
