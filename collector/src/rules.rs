//! What listeners ask of payloads, in user space: for all that comes to them, as some of it never met the XDP program.
//!
//! What the XDP program has judged already is judged again here, with the same answer: a socket does not tell which way a
//! datagram came.

use std::sync::Arc;

use config::{Listener, Transport};
use filter::{Compiled, RulesError};
use wire::verdict::MAX_FILTERED_LISTENERS;

/// The rules of all listeners.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Of those for datagrams, in their order.
    pub datagrams: Vec<Arc<Compiled>>,
    /// Of those for TCP and TLS, in theirs.
    pub streams: Vec<Arc<Compiled>>,
}

impl RuleSet {
    /// Compiles the rules of `listeners`.
    pub fn new(listeners: &[Listener]) -> Result<Self, RulesError> {
        Self::default().changed(listeners, listeners)
    }

    /// The rules that a new configuration has for `listeners`, which are those that run. Those that it does not name, by address and
    /// transport, keep theirs; what is the same is not compiled again.
    pub fn changed(&self, listeners: &[Listener], new: &[Listener]) -> Result<Self, RulesError> {
        let mut changed = Self::default();
        for listener in listeners {
            let is_udp = listener.transport == Transport::Udp;
            let (before, after) = if is_udp {
                (&self.datagrams, &mut changed.datagrams)
            } else {
                (&self.streams, &mut changed.streams)
            };
            let before = before.get(after.len());
            let is_same =
                |new: &&Listener| new.address == listener.address && new.transport == listener.transport;
            let rules = match (new.iter().find(is_same), before) {
                (Some(new), _) => new.rules()?,
                (None, Some(before)) => before.rules().clone(),
                (None, None) => listener.rules()?,
            };
            after.push(match before.filter(|before| *before.rules() == rules) {
                Some(same) => Arc::clone(same),
                None => Arc::new(Compiled::new(&rules)),
            });
        }
        Ok(changed)
    }

    /// What is to be known of each listener's rules, for those that have some. `has_xdp`: whether there is an XDP program.
    pub fn say(&self, listeners: &[Listener], has_xdp: bool) {
        let (mut datagrams, mut streams) = (self.datagrams.iter(), self.streams.iter());
        let mut number = 0;
        for listener in listeners {
            let is_udp = listener.transport == Transport::Udp;
            let Some(compiled) = (if is_udp { datagrams.next() } else { streams.next() }) else {
                continue;
            };
            let in_kernel = has_xdp && is_udp && number < MAX_FILTERED_LISTENERS;
            number += u32::from(is_udp);
            if compiled.rules().is_empty() {
                continue;
            }
            let whereabouts = compiled.whereabouts(in_kernel);
            tracing::info!(
                "listener {}: {compiled}; filtered {whereabouts}",
                listener.address
            );
        }
    }
}
