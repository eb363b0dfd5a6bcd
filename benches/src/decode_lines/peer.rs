//! cgn-ec's consumer, whose handlers read lines with regular expressions in Python, as something to compare with.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Lines;

/// Names a checkout of cgn-ec-consumer, which no package registry has. `NATRAIL_PEER_PYTHON` may name a Python that has
/// its requirements; else it is `python3`.
pub const CHECKOUT: &str = "NATRAIL_PEER_CGN_EC";
const PYTHON: &str = "NATRAIL_PEER_PYTHON";

/// The checkout, if one is named.
pub struct Peer {
    checkout: PathBuf,
    python: String,
}

impl Peer {
    /// `None` if the environment names no checkout.
    pub fn from_environment() -> Option<Self> {
        let checkout = std::env::var_os(CHECKOUT)?.into();
        let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
        Some(Self { checkout, python })
    }

    /// ns per line in each of `rounds` rounds, Python's start not counted; `None` if no handler of it is
    /// measured with such lines. docs/performance.md says why those
    /// for Juniper, 6WIND and F5 are not.
    pub fn rounds_ns(&self, kind: Lines, lines: &[Vec<u8>], rounds: usize) -> Result<Option<Vec<f64>>> {
        let handler = match kind {
            Lines::NfwareSession | Lines::NfwarePort | Lines::NfwareBlock => "NFWareSyslogHandler",
            Lines::A10 => "A10ThunderCEFSyslogHandler",
            _ => return Ok(None),
        };
        let mut child = Command::new(&self.python)
            .args(["-W", "ignore", "-c", include_str!("peer.py")])
            .arg(&self.checkout)
            .args([handler, &rounds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.python))?;
        let mut input = child.stdin.take().context("its input")?;
        input
            .write_all(&lines.join(&b'\n'))
            .context("give lines to Python")?;
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{handler} of {} failed: see above", self.checkout.display());
        }
        let text = String::from_utf8(output.stdout)?;
        let took: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        ensure!(
            took.len() == rounds,
            "{handler} printed {} rounds of {rounds}",
            took.len()
        );
        Ok(Some(took))
    }
}
