//! Batches of events as columns, one set of columns per kind.
//!
//! A column holds one value a row and has a spelled-out value for "absent", so that a row costs no heap
//! allocation and a cleared batch keeps its memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Event, Kind, Text};

/// An address as 128 bits: IPv4 as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), absent as 0 (`::` is never a mapping's end).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Addr(pub u128);

const V4_MAPPED: u128 = 0xffff_0000_0000;

impl Addr {
    /// No address.
    pub const NONE: Self = Self(0);

    /// The IPv4 address as a number, if it is one.
    pub const fn v4(self) -> Option<u32> {
        if self.0 >> 32 == V4_MAPPED >> 32 {
            Some(self.0 as u32)
        } else {
            None
        }
    }

    /// The 16 octets, in network order.
    pub const fn octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The address, `None` where absent.
    pub fn ip(self) -> Option<IpAddr> {
        match (self.0, self.v4()) {
            (0, _) => None,
            (_, Some(v4)) => Some(IpAddr::V4(Ipv4Addr::from(v4))),
            (bits, None) => Some(IpAddr::V6(Ipv6Addr::from(bits))),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self(V4_MAPPED | u128::from(u32::from(v4))),
            IpAddr::V6(v6) => Self(u128::from(v6)),
        }
    }
}

/// Text of each row, or none, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct TextColumn {
    bytes: Vec<u8>,
    /// End of each row's text in `bytes`, with [`ABSENT`] set where the row has none.
    ends: Vec<u32>,
}

const ABSENT: u32 = 1 << 31;

impl TextColumn {
    fn push(&mut self, text: Option<Text<'_>>) {
        if let Some(text) = text {
            text.push_to(&mut self.bytes);
        }
        let end = self.bytes.len() as u32;
        debug_assert!(end < ABSENT, "a batch is limited in rows and a line in bytes");
        self.ends.push(if text.is_some() { end } else { end | ABSENT });
    }

    /// The text of `row`, UTF-8 without NUL.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let end = self.ends[row];
        if end & ABSENT != 0 {
            return None;
        }
        let start = if row == 0 { 0 } else { self.ends[row - 1] & !ABSENT };
        Some(&self.bytes[start as usize..end as usize])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Where on the bus an event came from: enough to find its raw bytes again, and unique to the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the stream (bus, topic, partition) in the database.
    pub stream: i32,
    /// Offset of the frame in the stream.
    pub offset: i64,
    /// Position of the event in the frame, counted over its events.
    pub index: i32,
}

/// "No time" in a time column.
pub const NO_TIME: i64 = i64::MIN;

/// The rows of one kind, as columns of equal length. Times are ns since 1970 (UTC).
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Time of the event: the device's where the batch found it plausible, else the receive time.
    pub time: Vec<i64>,
    pub received: Vec<i64>,
    /// Device time as written, whether plausible or not; [`NO_TIME`] if none.
    pub device_time: Vec<i64>,
    /// [`NO_TIME`] if not stated.
    pub mapping_start: Vec<i64>,
    /// Number of the [`crate::TimeSource`] that `time` really has.
    pub time_source: Vec<u8>,
    /// Number of the [`crate::Action`].
    pub action: Vec<u8>,
    /// IANA number, -1 if none.
    pub protocol: Vec<i16>,
    pub exporter: Vec<Addr>,
    pub src_ip: Vec<Addr>,
    pub x_ip: Vec<Addr>,
    pub dst_ip: Vec<Addr>,
    /// Ports: -1 if none.
    pub src_port: Vec<i32>,
    pub x_port: Vec<i32>,
    pub dst_port: Vec<i32>,
    pub start_port: Vec<i32>,
    pub end_port: Vec<i32>,
    pub port_step: Vec<i32>,
    pub vrf: TextColumn,
    pub subscriber: TextColumn,
    pub origin: Vec<Origin>,
}

/// How far a device's clock may be from the receive time before the receive time is used as the event's time.
///
/// Rows are partitioned by event time: without a bound, a clock set to 1970 or a forged line would make partitions without end.
#[derive(Clone, Copy, Debug)]
pub struct PlausibleTime {
    pub past_ns: i64,
    pub future_ns: i64,
}

impl Default for PlausibleTime {
    /// Ten years back (archives may be replayed), one day ahead (wrong time zone).
    fn default() -> Self {
        const DAY_NS: i64 = 86_400 * 1_000_000_000;
        Self {
            past_ns: 3660 * DAY_NS,
            future_ns: DAY_NS,
        }
    }
}

impl PlausibleTime {
    fn admits(self, device_ns: i64, received_ns: i64) -> bool {
        device_ns >= received_ns.saturating_sub(self.past_ns)
            && device_ns <= received_ns.saturating_add(self.future_ns)
    }
}

fn number(port: Option<u16>) -> i32 {
    port.map_or(-1, i32::from)
}

fn addr(ip: Option<IpAddr>) -> Addr {
    ip.map_or(Addr::NONE, Addr::from)
}

impl Columns {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Appends one row.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        exporter: IpAddr,
        received_ns: i64,
        origin: Origin,
        plausible: PlausibleTime,
    ) {
        let device = event.time_ns;
        let trusted = device.filter(|&time| plausible.admits(time, received_ns));
        self.time.push(trusted.unwrap_or(received_ns));
        self.received.push(received_ns);
        self.device_time.push(device.unwrap_or(NO_TIME));
        self.mapping_start.push(event.mapping_start_ns.unwrap_or(NO_TIME));
        self.time_source.push(if trusted.is_some() {
            event.time_source as u8
        } else {
            0
        });
        self.action.push(event.action as u8);
        self.protocol.push(event.protocol.map_or(-1, i16::from));
        self.exporter.push(exporter.into());
        self.src_ip.push(event.src_ip.into());
        self.x_ip.push(addr(event.x_ip));
        self.dst_ip.push(addr(event.dst_ip));
        self.src_port.push(number(event.src_port));
        self.x_port.push(number(event.x_port));
        self.dst_port.push(number(event.dst_port));
        self.start_port.push(number(event.start_port));
        self.end_port.push(number(event.end_port));
        self.port_step.push(number(event.port_step));
        self.vrf.push(event.vrf);
        self.subscriber.push(event.subscriber);
        self.origin.push(origin);
    }

    /// Removes all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.time.clear();
        self.received.clear();
        self.device_time.clear();
        self.mapping_start.clear();
        self.time_source.clear();
        self.action.clear();
        self.protocol.clear();
        self.exporter.clear();
        self.src_ip.clear();
        self.x_ip.clear();
        self.dst_ip.clear();
        self.src_port.clear();
        self.x_port.clear();
        self.dst_port.clear();
        self.start_port.clear();
        self.end_port.clear();
        self.port_step.clear();
        self.vrf.clear();
        self.subscriber.clear();
        self.origin.clear();
    }
}

/// Rows of all kinds that are written together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    kinds: [Columns; 4],
    pub plausible: PlausibleTime,
}

impl Batch {
    /// An empty batch with the given bounds on device times.
    pub fn new(plausible: PlausibleTime) -> Self {
        Self {
            kinds: Default::default(),
            plausible,
        }
    }

    /// Appends `event`, sent by `exporter` and received at `received_ns`.
    pub fn push(&mut self, event: &Event<'_>, exporter: IpAddr, received_ns: i64, origin: Origin) {
        self.kinds[event.kind as usize].push(event, exporter, received_ns, origin, self.plausible);
    }

    /// The rows of one kind.
    pub fn of(&self, kind: Kind) -> &Columns {
        &self.kinds[kind as usize]
    }

    /// Rows of all kinds.
    pub fn rows(&self) -> usize {
        self.kinds.iter().map(Columns::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Removes all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.kinds.iter_mut().for_each(Columns::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, TimeSource};

    fn at(time_ns: Option<i64>) -> Event<'static> {
        let mut event = Event::new(
            Kind::Address,
            Action::Created,
            IpAddr::from([10, 0, 0, 1]),
            Some(IpAddr::from([203, 0, 113, 1])),
        );
        event.time_ns = time_ns;
        event.time_source = TimeSource::DeviceHeader;
        event
    }

    #[test]
    fn an_implausible_device_time_is_kept_but_not_used() {
        let origin = Origin {
            stream: 1,
            offset: 0,
            index: 0,
        };
        let now = 1_700_000_000_000_000_000;
        let mut batch = Batch::default();
        for time in [Some(now - 5), Some(0), Some(i64::MAX), None] {
            batch.push(&at(time), IpAddr::from([192, 0, 2, 1]), now, origin);
        }
        let rows = batch.of(Kind::Address);
        assert_eq!(rows.time, [now - 5, now, now, now]);
        assert_eq!(rows.time_source, [1, 0, 0, 0]);
        assert_eq!(rows.device_time, [now - 5, 0, i64::MAX, NO_TIME]);
    }

    #[test]
    fn text_of_a_row_survives_absent_neighbours() {
        let mut column = TextColumn::default();
        for text in [None, Some("a"), None, Some(""), Some("bc")] {
            column.push(text.map(Text::plain));
        }
        let got: Vec<_> = (0..5).map(|row| column.get(row)).collect();
        assert_eq!(got, [None, Some(&b"a"[..]), None, Some(b""), Some(b"bc")]);
    }

    #[test]
    fn addresses_keep_their_family() {
        for text in ["10.0.0.1", "2001:db8::1", "255.255.255.255"] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Addr::from(ip).ip(), Some(ip));
        }
        assert_eq!(Addr::NONE.ip(), None);
    }
}
