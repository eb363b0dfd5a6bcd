//! What one completed receive says: payload, sender, time, drops.
//!
//! A buffer filled by multishot recvmsg holds `io_uring_recvmsg_out` (16 octets), the name, the control messages and
//! the payload, each at a place fixed by the sizes asked for. Native byte order, except address and port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of `struct io_uring_recvmsg_out`: namelen, controllen, payloadlen, flags.
const OUT_BYTES: usize = 16;
/// Octets kept for the sender's address: `sockaddr_in6`, the longest.
pub const NAME_BYTES: usize = 28;
/// Octets kept for control messages: a `timespec` and a `u32`, each behind its header, each padded to 8.
pub const CONTROL_BYTES: usize = 32 + 24;
/// What a buffer needs in front of the payload.
pub const OVERHEAD_BYTES: usize = OUT_BYTES + NAME_BYTES + CONTROL_BYTES;
/// `struct cmsghdr` of 64-bit Linux: length (usize), level (i32), type (i32).
const CONTROL_HEADER_BYTES: usize = 16;

const NS_PER_S: u64 = 1_000_000_000;

/// One datagram and what the kernel says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub exporter: IpAddr,
    pub source_port: u16,
    /// When the kernel took it in (SO_TIMESTAMPNS), ns since 1970 (UTC); `None` if it does not say.
    pub received_ns: Option<u64>,
    /// Datagrams that the socket had dropped when this one was queued (SO_RXQ_OVFL): since its start, modulo 2^32.
    pub socket_drops: Option<u32>,
    /// The end of the payload is missing.
    pub truncated: bool,
    pub payload: &'a [u8],
}

/// A buffer that does not hold what the kernel promises: too short, or no Internet address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Message<'a> {
    /// Reads a filled buffer; `buffer` ends where the kernel stopped writing.
    pub fn parse(buffer: &'a [u8]) -> Result<Self, Malformed> {
        let (head, payload) = buffer.split_at_checked(OVERHEAD_BYTES).ok_or(Malformed)?;
        let name_bytes = u32_at(head, 0)? as usize;
        let control_bytes = u32_at(head, 4)? as usize;
        let payload_bytes = u32_at(head, 8)? as usize;
        let flags = u32_at(head, 12)?;
        let name = &head[OUT_BYTES..][..name_bytes.min(NAME_BYTES)];
        let control = &head[OUT_BYTES + NAME_BYTES..][..control_bytes.min(CONTROL_BYTES)];
        let (exporter, source_port) = sender(name).ok_or(Malformed)?;
        let mut message = Self {
            exporter,
            source_port,
            received_ns: None,
            socket_drops: None,
            truncated: flags & libc::MSG_TRUNC as u32 != 0 || payload_bytes > payload.len(),
            payload: &payload[..payload_bytes.min(payload.len())],
        };
        message.read_control(control);
        Ok(message)
    }

    /// Takes what is known from the control messages; a damaged one ends the reading.
    fn read_control(&mut self, mut control: &[u8]) {
        while let Some((header, rest)) = control.split_at_checked(CONTROL_HEADER_BYTES) {
            let Some(length) = u64_at(header, 0).and_then(|length| usize::try_from(length).ok()) else {
                return;
            };
            let (Ok(level), Ok(kind)) = (u32_at(header, 8), u32_at(header, 12)) else {
                return;
            };
            let Some(data) = length
                .checked_sub(CONTROL_HEADER_BYTES)
                .and_then(|bytes| rest.get(..bytes))
            else {
                return;
            };
            if level == libc::SOL_SOCKET as u32 {
                match kind as i32 {
                    libc::SCM_TIMESTAMPNS => self.received_ns = timespec_ns(data),
                    libc::SO_RXQ_OVFL => self.socket_drops = u32_at(data, 0).ok(),
                    _ => {}
                }
            }
            control = rest.get(data.len().next_multiple_of(8)..).unwrap_or_default();
        }
    }
}

/// Address and port of a `sockaddr_in` or `sockaddr_in6`.
fn sender(name: &[u8]) -> Option<(IpAddr, u16)> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*name.get(4..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => Ipv6Addr::from(*name.get(8..)?.first_chunk::<16>()?).to_canonical(),
        _ => return None,
    };
    Some((address, port))
}

/// A `timespec` of 64-bit Linux; `None` if it is cut or before 1970.
fn timespec_ns(data: &[u8]) -> Option<u64> {
    let seconds = u64_at(data, 0)?;
    let nanoseconds = u64_at(data, 8)?;
    seconds.checked_mul(NS_PER_S)?.checked_add(nanoseconds)
}

fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, Malformed> {
    let field = bytes
        .get(offset..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(Malformed)?;
    Ok(u32::from_ne_bytes(*field))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Follows one socket's drop counter, which counts modulo 2^32 and is reported by two ways that overtake each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct DropMeter {
    last: u32,
}

impl DropMeter {
    /// What was dropped since the newest value seen; 0 for an older value than that.
    pub fn advance(&mut self, counter: u32) -> u64 {
        let growth = counter.wrapping_sub(self.last) as i32;
        if growth <= 0 {
            return 0;
        }
        self.last = counter;
        growth as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer as the kernel fills it.
    fn filled(name: &[u8], control: &[u8], payload: &[u8], payload_bytes: u32, flags: u32) -> Vec<u8> {
        let mut buffer = Vec::new();
        for field in [name.len() as u32, control.len() as u32, payload_bytes, flags] {
            buffer.extend(field.to_ne_bytes());
        }
        buffer.extend(name);
        buffer.resize(OUT_BYTES + NAME_BYTES, 0);
        buffer.extend(control);
        buffer.resize(OVERHEAD_BYTES, 0);
        buffer.extend(payload);
        buffer
    }

    fn v4_name() -> Vec<u8> {
        let mut name = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        name.extend(5140u16.to_be_bytes());
        name.extend([192, 0, 2, 7]);
        name.resize(16, 0);
        name
    }

    fn control(kind: i32, data: &[u8]) -> Vec<u8> {
        let mut control = ((CONTROL_HEADER_BYTES + data.len()) as u64)
            .to_ne_bytes()
            .to_vec();
        control.extend(libc::SOL_SOCKET.to_ne_bytes());
        control.extend(kind.to_ne_bytes());
        control.extend(data);
        control.resize(control.len().next_multiple_of(8), 0);
        control
    }

    #[test]
    fn sender_time_drops_and_payload_are_read() {
        let mut time = 1_700_000_000u64.to_ne_bytes().to_vec();
        time.extend(5u64.to_ne_bytes());
        let mut controls = control(libc::SO_RXQ_OVFL, &9u32.to_ne_bytes());
        controls.extend(control(libc::SCM_TIMESTAMPNS, &time));
        assert_eq!(controls.len(), CONTROL_BYTES);
        let buffer = filled(&v4_name(), &controls, b"hello", 5, 0);
        let message = Message::parse(&buffer).expect("whole");
        assert_eq!(message.exporter, IpAddr::from([192, 0, 2, 7]));
        assert_eq!((message.source_port, message.socket_drops), (5140, Some(9)));
        assert_eq!(message.received_ns, Some(1_700_000_000_000_000_005));
        assert_eq!((message.payload, message.truncated), (&b"hello"[..], false));
    }

    #[test]
    fn a_cut_payload_is_marked_and_a_strange_name_refused() {
        let by_flag = filled(&v4_name(), &[], b"hel", 3, libc::MSG_TRUNC as u32);
        assert!(Message::parse(&by_flag).is_ok_and(|message| message.truncated));
        let by_length = filled(&v4_name(), &[], b"hel", 5, 0);
        assert!(Message::parse(&by_length).is_ok_and(|m| m.truncated && m.payload == b"hel"));
        for name in [
            &[][..],
            &[libc::AF_UNIX as u8, 0, 0, 0, 1, 2, 3, 4],
            &v4_name()[..7],
        ] {
            assert_eq!(
                Message::parse(&filled(name, &[], b"x", 1, 0)),
                Err(Malformed),
                "{name:?}"
            );
        }
    }

    #[test]
    fn no_length_in_the_buffer_leads_out_of_it() {
        let whole = filled(
            &v4_name(),
            &control(libc::SCM_TIMESTAMPNS, &[1; 16]),
            b"hello",
            5,
            0,
        );
        for end in 0..whole.len() {
            let _ = Message::parse(&whole[..end]);
            for value in [0, 1, 15, 16, 17, 127, 255] {
                let mut damaged = whole.clone();
                damaged[end] = value;
                let _ = Message::parse(&damaged);
            }
        }
    }

    #[test]
    fn drops_are_counted_once_and_across_the_wrap() {
        let mut meter = DropMeter::default();
        assert_eq!(meter.advance(7), 7);
        assert_eq!(meter.advance(5), 0, "an older value");
        assert_eq!(meter.advance(7), 0);
        let mut meter = DropMeter { last: u32::MAX - 1 };
        assert_eq!(meter.advance(3), 5);
    }
}
