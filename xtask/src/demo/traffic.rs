//! Who sends what: two formats from allowed exporters, garbage from an allowed one, and a stranger.

use std::net::UdpSocket;
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context, Result};

use super::output_of;
use super::stage::{COLLECTOR_V4, COLLECTOR_V6, GARBAGE, JUNIPER_FIRST, NFWARE_FIRST, PORT, STRANGER, Stage};
use crate::progress;

const EVENTS_PER_FORMAT: u64 = 100_000;
const EVENTS_PER_S: u64 = 15_000;
const GARBAGE_DATAGRAMS: u64 = 1000;
const STRANGER_DATAGRAMS: u64 = 2000;
/// Datagrams from the stranger to a port where nobody listens: not ours.
const OTHER_PORT: u16 = 1514;
const OTHER_PORT_DATAGRAMS: u64 = 500;

/// A format that `natrail generate` speaks.
pub struct Format {
    pub name: &'static str,
    first_exporter: &'static str,
    collector: &'static str,
}

pub const FORMATS: [Format; 2] = [
    Format {
        name: "nfware",
        first_exporter: NFWARE_FIRST,
        collector: COLLECTOR_V4,
    },
    Format {
        name: "juniper",
        first_exporter: JUNIPER_FIRST,
        collector: COLLECTOR_V6,
    },
];

impl Format {
    pub fn expect_file(&self) -> String {
        format!("expected-{}.jsonl", self.name)
    }

    fn generate(&self, stage: &Stage, directory: &Path) -> Result<u64> {
        let to = match self.collector {
            v6 if v6.contains(':') => format!("[{v6}]:{PORT}"),
            v4 => format!("{v4}:{PORT}"),
        };
        let expect = directory.join(self.expect_file());
        let (rate, count) = (EVENTS_PER_S.to_string(), EVENTS_PER_FORMAT.to_string());
        output_of(
            stage
                .natrail_at_sender()
                .args([
                    "generate", "--format", self.name, "--to", &to, "--rate", &rate, "--count", &count,
                ])
                .args(["--exporters", "2", "--from", self.first_exporter, "--expect"])
                .arg(&expect),
        )?;
        // What the kernel refused to send is not in the file.
        let text =
            std::fs::read_to_string(&expect).with_context(|| format!("cannot read {}", expect.display()))?;
        Ok(text.lines().count() as u64)
    }
}

/// Datagrams sent, by sort.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub nfware: u64,
    pub juniper: u64,
    pub garbage: u64,
    pub stranger: u64,
    pub other_port: u64,
}

impl Sent {
    pub fn events(self) -> u64 {
        self.nfware + self.juniper
    }

    /// What must pass the filter.
    pub fn accepted(self) -> u64 {
        self.events() + self.garbage
    }
}

/// Sends all of it at the same time.
pub fn send(stage: &Stage, directory: &Path) -> Result<Sent> {
    let per_format = format!("{EVENTS_PER_FORMAT} events at {EVENTS_PER_S}/s");
    progress::say(&format!("NFWare from 10.77.0.11-12: {per_format}"));
    progress::say(&format!("Juniper from fd77::21-22: {per_format}"));
    progress::say(&format!(
        "garbage from {GARBAGE}, which is allowed: {GARBAGE_DATAGRAMS}"
    ));
    progress::say(&format!(
        "good messages from {STRANGER}, which is not: {STRANGER_DATAGRAMS}"
    ));
    progress::say(&format!(
        "to port {OTHER_PORT}, where nobody listens: {OTHER_PORT_DATAGRAMS}"
    ));
    let good = b"A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT";
    let [nfware, juniper] = &FORMATS;
    scope(|scope| {
        let nfware = scope.spawn(|| nfware.generate(stage, directory));
        let juniper = scope.spawn(|| juniper.generate(stage, directory));
        let garbage = scope.spawn(|| trickle(stage, GARBAGE, PORT, GARBAGE_DATAGRAMS, garbage));
        let stranger = scope.spawn(|| trickle(stage, STRANGER, PORT, STRANGER_DATAGRAMS, |_| good.into()));
        let other =
            scope.spawn(|| trickle(stage, STRANGER, OTHER_PORT, OTHER_PORT_DATAGRAMS, |_| good.into()));
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<u64>>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Ok(Sent {
            nfware: join(nfware)?,
            juniper: join(juniper)?,
            garbage: join(garbage)?,
            stranger: join(stranger)?,
            other_port: join(other)?,
        })
    })
}

/// Sends `count` datagrams, about one a millisecond.
fn trickle(
    stage: &Stage,
    from: &str,
    port: u16,
    count: u64,
    payload: impl Fn(u64) -> Vec<u8>,
) -> Result<u64> {
    let socket = stage
        .sender
        .run(|| UdpSocket::bind((from, 0)))?
        .with_context(|| format!("cannot send from {from}"))?;
    for number in 0..count {
        // Not connected: an ICMP answer must not fail the next one.
        socket
            .send_to(&payload(number), (COLLECTOR_V4, port))
            .with_context(|| format!("cannot send from {from}"))?;
        sleep(Duration::from_millis(1));
    }
    Ok(count)
}

/// What no router means: noise, and messages that are nearly right.
fn garbage(number: u64) -> Vec<u8> {
    let nearly: [&[u8]; 6] = [
        b"A VRF 0 6 INT 10.0.0.999:57938 EXT 100.64.0.1:28475 DST 185.165.123.206:443 DIR OUT",
        b"A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.0.1:99999 DST 185.165.123.206:443 DIR OUT",
        b"A VRF 0 6 INT 10.0.0.1:57938 EXT 100.64.",
        b"\xff\xfe\xfd\x80",
        b"<14>",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    match nearly.get((number % 8) as usize) {
        Some(message) => message.to_vec(),
        // Octets with the high bit set: never text, whatever the number.
        None => (0..64 + number % 900)
            .map(|at| 0x80 | (at.wrapping_mul(number + 31) >> 3) as u8)
            .collect(),
    }
}
