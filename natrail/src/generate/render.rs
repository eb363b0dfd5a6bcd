//! Numbers, addresses and times as text, into buffers that keep their memory.

use std::io::Write;
use std::net::IpAddr;

/// Appends a decimal number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends an address; IPv6 as RFC 5952 has it.
pub fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // A Vec takes everything, so writing to it cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Appends `2026-01-31T12:34:56`, formatted only when the second changes.
#[derive(Debug, Default)]
struct Second {
    seconds: Option<i64>,
    text: Vec<u8>,
}

impl Second {
    fn push(&mut self, out: &mut Vec<u8>, seconds: i64) {
        if self.seconds != Some(seconds) {
            self.seconds = Some(seconds);
            self.text.clear();
            let text = jiff::Timestamp::from_second(seconds)
                .map(|time| time.to_string())
                .unwrap_or_default();
            self.text.extend_from_slice(text.trim_end_matches('Z').as_bytes());
        }
        out.extend_from_slice(&self.text);
    }
}

/// RFC 3339 times in UTC with microseconds, as RFC 5424 section 6.2.3 wants them.
#[derive(Debug, Default)]
pub struct Clockface(Second);

impl Clockface {
    /// Appends the time of `ns` since 1970; what is below a microsecond is cut off.
    pub fn push(&mut self, out: &mut Vec<u8>, ns: i64) {
        self.0.push(out, ns.div_euclid(1_000_000_000));
        let mut fraction = *b".000000Z";
        let mut micros = ns.rem_euclid(1_000_000_000) / 1000;
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        out.extend_from_slice(&fraction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn numbers_and_addresses() {
        for value in [0, 9, 10, 65_535, u64::MAX] {
            assert_eq!(text(|out| number(out, value)), value.to_string());
        }
        for ip in ["100.64.0.1", "255.0.10.200", "2001:db8::1"] {
            assert_eq!(text(|out| address(out, ip.parse().expect("address"))), ip);
        }
    }

    #[test]
    fn times_have_microseconds() {
        let mut clock = Clockface::default();
        let second = 1_700_000_000_000_000_000;
        assert_eq!(
            text(|out| clock.push(out, second + 1_999)),
            "2023-11-14T22:13:20.000001Z"
        );
        assert_eq!(
            text(|out| clock.push(out, second + 999_999_999)),
            "2023-11-14T22:13:20.999999Z"
        );
        assert_eq!(
            text(|out| clock.push(out, second + 1_000_000_000)),
            "2023-11-14T22:13:21.000000Z"
        );
    }
}
