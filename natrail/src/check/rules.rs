//! What a listener asks of messages.

use std::io::{self, Write};

use filter::{Compiled, PRIS, Plan};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Meaning {
    keep: Vec<String>,
    drop: Vec<String>,
    filter_bytes: usize,
    /// Of the patterns' table, if it can be made.
    states: Option<usize>,
    classes: Option<usize>,
    /// PRIs that are dropped.
    masked_pris: Vec<u8>,
    /// Where it runs, and why.
    runs: String,
    #[serde(skip)]
    summary: String,
}

impl Meaning {
    /// `None` if everything passes. `has_xdp`: whether an XDP program has room for it.
    pub fn new(listener: &config::Listener, has_xdp: bool) -> Option<Self> {
        let rules = listener.rules().ok().filter(|rules| !rules.is_empty())?;
        let compiled = Compiled::new(&rules);
        let size = match compiled.plan() {
            Plan::Table(size) => Some(*size),
            Plan::NoPatterns | Plan::UserSpace(_) => None,
        };
        Some(Self {
            keep: rules.keep().to_vec(),
            drop: rules.drop().to_vec(),
            filter_bytes: rules.text_octets(),
            states: size.map(|size| size.states),
            classes: size.map(|size| size.classes),
            masked_pris: (0..PRIS).filter(|&pri| rules.masked().holds(pri)).collect(),
            runs: compiled.whereabouts(has_xdp).into(),
            summary: compiled.to_string(),
        })
    }

    pub fn print(&self, out: &mut impl Write, indent: &str) -> io::Result<()> {
        writeln!(out, "{indent}{}", self.summary)?;
        writeln!(out, "{indent}filtered {}", self.runs)?;
        for (key, patterns) in [("keep", &self.keep), ("drop", &self.drop)] {
            for pattern in patterns {
                writeln!(out, "{indent}  {key} {pattern}")?;
            }
        }
        Ok(())
    }
}
