//! What a perfect system would store: one JSON object a line, with the keys of an event and its exporter.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use event::{Event, Text};

use super::render::{self, Clockface};

/// The file, under another name until it is whole.
#[derive(Debug)]
pub struct ExpectFile {
    path: PathBuf,
    unfinished: PathBuf,
    out: BufWriter<File>,
}

impl ExpectFile {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".part");
        let unfinished = PathBuf::from(unfinished);
        let file =
            File::create(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        Ok(Self {
            path: path.into(),
            unfinished,
            out: BufWriter::with_capacity(1 << 20, file),
        })
    }

    pub fn write(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        self.out
            .write_all(lines)
            .with_context(|| format!("cannot write {}", self.unfinished.display()))
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.out
            .flush()
            .with_context(|| format!("cannot write {}", self.unfinished.display()))?;
        std::fs::rename(&self.unfinished, &self.path).with_context(|| {
            format!(
                "cannot rename {} to {}",
                self.unfinished.display(),
                self.path.display()
            )
        })
    }
}

/// Appends the JSON object of a stamped event, with LF.
pub fn line(out: &mut Vec<u8>, clock: &mut Clockface, exporter: IpAddr, event: &Event<'_>) {
    out.extend_from_slice(b"{\"exporter\":\"");
    render::address(out, exporter);
    out.extend_from_slice(b"\",\"kind\":\"");
    out.extend_from_slice(event.kind.name().as_bytes());
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event.action.name().as_bytes());
    out.push(b'"');
    number(out, ",\"protocol\":", event.protocol.map(u16::from));
    address(out, ",\"src_ip\":", Some(event.src_ip));
    number(out, ",\"src_port\":", event.src_port);
    address(out, ",\"x_ip\":", event.x_ip);
    number(out, ",\"x_port\":", event.x_port);
    address(out, ",\"dst_ip\":", event.dst_ip);
    number(out, ",\"dst_port\":", event.dst_port);
    number(out, ",\"start_port\":", event.start_port);
    number(out, ",\"end_port\":", event.end_port);
    number(out, ",\"port_step\":", event.port_step);
    text(out, ",\"vrf\":", event.vrf);
    text(out, ",\"subscriber\":", event.subscriber);
    out.extend_from_slice(b",\"timestamp\":");
    match event.time_ns {
        Some(time_ns) => {
            out.push(b'"');
            clock.push(out, time_ns);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"time_source\":\"");
    out.extend_from_slice(event.time_source.name().as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn number(out: &mut Vec<u8>, key: &str, value: Option<u16>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) => render::number(out, value.into()),
        None => out.extend_from_slice(b"null"),
    }
}

fn address(out: &mut Vec<u8>, key: &str, value: Option<IpAddr>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) => {
            out.push(b'"');
            render::address(out, value);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn text(out: &mut Vec<u8>, key: &str, value: Option<Text<'_>>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        // The names that the model makes hold nothing that JSON would want escaped.
        Some(value) => {
            out.push(b'"');
            value.push_to(out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}
