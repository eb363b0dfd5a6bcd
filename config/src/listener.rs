//! `[[collector.listener]]`: one address to receive on.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::filter::{Facility, Severity};

/// `[[collector.listener]]`: one address to receive on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `syslog`. (`netflow` and `radius` frames are kept on the bus, but nothing decodes them yet.)
    pub kind: ListenerKind,
    /// Address and port, `0.0.0.0:514` or `[::]:514`. `[::]` takes IPv6 only; write both to have both.
    pub address: SocketAddr,
    /// UDP: how datagrams are given to the threads of `collector.cores`. `datagram`: in turn, so that one exporter uses all
    /// threads (syslog, if nothing is said). `exporter`: those of one address always to the same thread (NetFlow and
    /// RADIUS, if nothing is said; a template must not be overtaken). `off`: by the kernel's hash of addresses and ports.
    /// The first two need CAP_BPF; without it, a warning says so, and it is as with `off`. With `receive = "af_xdp"` the XDP
    /// program does the same.
    spread: Option<Spread>,
    /// Syslog: with patterns here, a message that matches none of them is dropped and counted. The syntax is that of the `regex`
    /// crate, over octets and ASCII; a pattern matches anywhere unless it is anchored.
    #[serde(default)]
    pub(crate) keep: Vec<String>,
    /// Syslog: a message that matches one of these patterns is dropped and counted, whatever `keep` says.
    #[serde(default)]
    pub(crate) drop: Vec<String>,
    /// First octets of a message that `keep` and `drop` look at, up to 1024; 256 if absent. `$` matches where they end.
    pub(crate) filter_bytes: Option<usize>,
    /// Syslog: a message of another facility than these is dropped and counted: `kern`, `user`, …, `local7`.
    pub(crate) facilities: Option<Vec<Facility>>,
    /// Syslog: a message less grave than this is dropped and counted: `emerg`, `alert`, `crit`, `err`, `warning`, `notice`, `info`, `debug`.
    pub(crate) severity_max: Option<Severity>,
    /// `udp`; for syslog also `tcp` (RFC 6587) and `tls` (RFC 5425; port 6514). What follows is for those two.
    #[serde(default)]
    pub transport: Transport,
    /// TLS: the collector's certificate with those between it and its CA, PEM. Read again on SIGHUP, for new connections.
    pub certificate: Option<PathBuf>,
    /// TLS: the private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// TLS: certificates of the CAs, PEM; a peer must then show a certificate that one of them has signed.
    pub client_ca: Option<PathBuf>,
    /// Most connections at a time; 1024 if absent. Those beyond are refused and counted.
    connections_max: Option<usize>,
    /// Most of them from one address; 64 if absent.
    connections_per_source_max: Option<usize>,
    /// Longest message that is taken whole, in octets; longer ones are cut, marked and counted. 8192 if absent.
    line_bytes_max: Option<usize>,
    /// A connection that has brought no whole message for so long is ended, in seconds; 600 if absent.
    idle_s: Option<u64>,
    /// TLS: a handshake must be done after so long, in seconds; 10 if absent.
    handshake_s: Option<u64>,
}

/// What a listener receives.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum ListenerKind {
    Syslog,
    Netflow,
    Radius,
}

/// How datagrams of a listener are given to the threads.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    Datagram,
    Exporter,
    Off,
}

impl Spread {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datagram => "datagram",
            Self::Exporter => "exporter",
            Self::Off => "off",
        }
    }
}

/// How messages come to a listener.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

/// Limits of a TCP or TLS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    pub connections_max: usize,
    pub connections_per_source_max: usize,
    pub line_bytes_max: usize,
    pub idle: Duration,
    pub handshake: Duration,
}

/// The files of a TLS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFiles<'a> {
    pub certificate: &'a PathBuf,
    pub key: &'a PathBuf,
    pub client_ca: Option<&'a PathBuf>,
}

impl Transport {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl Listener {
    /// How its datagrams are given to the threads.
    pub fn spread(&self) -> Spread {
        self.spread.unwrap_or(match self.kind {
            ListenerKind::Syslog => Spread::Datagram,
            ListenerKind::Netflow | ListenerKind::Radius => Spread::Exporter,
        })
    }

    /// The limits of its connections, for TCP and TLS.
    pub fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            connections_max: self.connections_max.unwrap_or(1024),
            connections_per_source_max: self.connections_per_source_max.unwrap_or(64),
            line_bytes_max: self.line_bytes_max.unwrap_or(8192),
            idle: Duration::from_secs(self.idle_s.unwrap_or(600)),
            handshake: Duration::from_secs(self.handshake_s.unwrap_or(10)),
        }
    }

    /// The files of a TLS listener; `None` for another.
    pub fn tls_files(&self) -> Option<TlsFiles<'_>> {
        let (certificate, key) = (self.certificate.as_ref()?, self.key.as_ref()?);
        (self.transport == Transport::Tls).then_some(TlsFiles {
            certificate,
            key,
            client_ca: self.client_ca.as_ref(),
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: &str| {
            if !ok {
                problems.push(format!("listener {}: {problem}", self.address));
            }
        };
        let is_udp = self.transport == Transport::Udp;
        let is_tls = self.transport == Transport::Tls;
        check(
            is_udp || self.kind == ListenerKind::Syslog,
            "only kind = \"syslog\" comes over TCP and TLS",
        );
        check(
            is_udp || self.spread.is_none(),
            "spread is for transport = \"udp\"",
        );
        check(
            self.kind == ListenerKind::Syslog || self.spread != Some(Spread::Datagram),
            "spread = \"datagram\" is for syslog: of NetFlow and RADIUS, what comes later depends on what came before",
        );
        for (key, is_set) in [
            ("connections_max", self.connections_max.is_some()),
            (
                "connections_per_source_max",
                self.connections_per_source_max.is_some(),
            ),
            ("line_bytes_max", self.line_bytes_max.is_some()),
            ("idle_s", self.idle_s.is_some()),
        ] {
            check(
                !(is_udp && is_set),
                &format!("{key} is for transport = \"tcp\" and \"tls\""),
            );
        }
        for (key, is_set) in [
            ("certificate", self.certificate.is_some()),
            ("key", self.key.is_some()),
            ("client_ca", self.client_ca.is_some()),
            ("handshake_s", self.handshake_s.is_some()),
        ] {
            check(is_tls || !is_set, &format!("{key} is for transport = \"tls\""));
        }
        check(
            !is_tls || (self.certificate.is_some() && self.key.is_some()),
            "transport = \"tls\" needs certificate and key",
        );
        let limits = self.stream_limits();
        check(
            (1..=65_536).contains(&limits.connections_max),
            "connections_max must be from 1 to 65536",
        );
        check(
            limits.connections_per_source_max > 0,
            "connections_per_source_max must be at least 1",
        );
        check(
            (512..=65_535).contains(&limits.line_bytes_max),
            "line_bytes_max must be from 512 to 65535",
        );
        check(
            (1..=604_800).contains(&limits.idle.as_secs()),
            "idle_s must be from 1 to 604800",
        );
        check(
            (1..=600).contains(&limits.handshake.as_secs()),
            "handshake_s must be from 1 to 600",
        );
        self.rules_problems()
            .iter()
            .for_each(|problem| check(false, problem));
        problems
    }
}

/// What is wrong with the listeners, each for itself and together.
pub(crate) fn problems(listeners: &[Listener]) -> Vec<String> {
    let mut problems: Vec<String> = listeners.iter().flat_map(Listener::problems).collect();
    let mut seen = HashSet::new();
    // UDP and TCP ports are not the same; TLS is TCP.
    let is_new = |listener: &Listener| seen.insert((listener.address, listener.transport == Transport::Udp));
    // Port 0 means another port each time.
    if !listeners
        .iter()
        .filter(|listener| listener.address.port() != 0)
        .all(is_new)
    {
        problems.push("two [[collector.listener]] have the same address".into());
    }
    problems
}
