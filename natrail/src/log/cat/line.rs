//! A datagram as a line of output.

use std::io::{self, Write};

use bus::log::letters::Description;
use bus::{Stream, Topic};
use serde::Serialize;
use wire::frame::Datagram;

use crate::log::rfc3339;

/// How datagrams are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// Plain, for a terminal: what a router wrote cannot steer it.
    Terminal,
    Json,
}

/// A datagram, and where it is.
pub struct Message<'a> {
    pub stream: Stream,
    pub offset: i64,
    /// Position in its frame.
    pub index: u32,
    pub datagram: Datagram<'a>,
    /// Set for a dead letter: its datagram has no ports.
    pub letter: Option<Letter<'a>>,
}

/// What a dead letter says besides.
#[derive(Serialize)]
pub struct Letter<'a> {
    reason: &'a str,
    /// Octets of the message, of which a very long one's begin is kept.
    bytes: usize,
    of: Of<'a>,
}

/// Where a dead letter's datagram came from.
#[derive(Serialize)]
struct Of<'a> {
    stream: &'a str,
    offset: i64,
    index: u32,
}

#[derive(Serialize)]
struct Object<'a> {
    stream: String,
    offset: i64,
    index: u32,
    exporter: std::net::IpAddr,
    received: String,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    truncated: bool,
    payload: Option<&'a str>,
    payload_hex: Option<String>,
    #[serde(flatten)]
    letter: Option<&'a Letter<'a>>,
}

impl<'a> Letter<'a> {
    pub fn new(description: &'a Description) -> Self {
        Self {
            reason: &description.reason,
            bytes: description.bytes,
            of: Of {
                stream: &description.stream,
                offset: description.offset,
                index: description.index,
            },
        }
    }
}

impl Message<'_> {
    pub fn write(&self, output: &mut impl Write, form: Form) -> io::Result<()> {
        match form {
            Form::Plain => plain(output, self.datagram.payload)?,
            Form::Terminal => harmless(output, self.datagram.payload)?,
            Form::Json => serde_json::to_writer(&mut *output, &self.object())?,
        }
        output.write_all(b"\n")
    }

    fn object(&self) -> Object<'_> {
        let Datagram {
            exporter,
            source_port,
            destination_port,
            received_ns,
            truncated,
            payload,
        } = self.datagram;
        let is_binary = matches!(self.stream.topic, Topic::Netflow | Topic::Radius);
        let text = str::from_utf8(payload).ok().filter(|_| !is_binary);
        let has_ports = self.letter.is_none();
        Object {
            stream: self.stream.to_string(),
            offset: self.offset,
            index: self.index,
            exporter,
            received: rfc3339(received_ns),
            source_port: has_ports.then_some(source_port),
            destination_port: has_ports.then_some(destination_port),
            truncated,
            payload: text,
            payload_hex: text.is_none().then(|| hex(payload)),
            letter: self.letter.as_ref(),
        }
    }
}

/// One line, whatever it holds: LF and NUL as syslog relays write them. Those at the end, and CR, say nothing.
fn plain(output: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    for part in without_end(payload).split_inclusive(|octet| matches!(octet, 0 | b'\n')) {
        match part {
            [text @ .., b'\n'] => {
                output.write_all(text)?;
                output.write_all(b"#012")?;
            }
            [text @ .., 0] => {
                output.write_all(text)?;
                output.write_all(b"#000")?;
            }
            text => output.write_all(text)?,
        }
    }
    Ok(())
}

/// The same with all control characters so written, and what is no UTF-8 replaced.
fn harmless(output: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    for character in String::from_utf8_lossy(without_end(payload)).chars() {
        if character.is_control() && character != '\t' {
            write!(output, "#{:03o}", character as u32)?;
        } else {
            write!(output, "{character}")?;
        }
    }
    Ok(())
}

fn without_end(payload: &[u8]) -> &[u8] {
    let end = payload
        .iter()
        .rposition(|octet| !matches!(octet, 0 | b'\n' | b'\r'));
    &payload[..end.map_or(0, |end| end + 1)]
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets
        .iter()
        .fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_one_line() {
        for (payload, line) in [
            (&b"one\r\n\0"[..], &b"one"[..]),
            (b"one\ntwo\0three\r\nfour\n\n", b"one#012two#000three\r#012four"),
            (b"\xff\xfe \n", b"\xff\xfe "),
            (b"\n", b""),
            (b"", b""),
        ] {
            let mut output = Vec::new();
            plain(&mut output, payload).unwrap();
            assert_eq!(output, line);
        }
    }

    #[test]
    fn what_a_router_wrote_cannot_steer_a_terminal() {
        let mut output = Vec::new();
        harmless(&mut output, "a\u{1b}[2J\tb\n\u{9b}c\0\r\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "a#033[2J\tb#012#233c");
    }
}
