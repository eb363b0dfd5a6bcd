//! What listeners mean, and what of it is perhaps not meant.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::{ListenerKind, Transport};
use serde::Serialize;

/// Longest message that is decoded, in octets.
const DECODED_BYTES_MAX: usize = decode::syslog::MAX_LINE_BYTES;

#[derive(Debug, Serialize)]
pub struct Meaning {
    kind: &'static str,
    address: SocketAddr,
    transport: &'static str,
    /// How datagrams are given to the threads; absent for TCP and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<&'static str>,
    /// Of TCP and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    /// What it asks of messages; absent if everything passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<super::rules::Meaning>,
}

#[derive(Debug, Serialize)]
struct Limits {
    connections_max: usize,
    connections_per_source_max: usize,
    line_bytes_max: usize,
    idle_s: u64,
}

#[derive(Debug, Serialize)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// Without it, peers need no certificate.
    client_ca: Option<PathBuf>,
    handshake_s: u64,
}

impl Meaning {
    /// `has_xdp`: whether an XDP program has room for its filter.
    pub fn new(listener: &config::Listener, has_xdp: bool) -> Self {
        let limits = listener.stream_limits();
        Self {
            kind: kind_name(listener.kind),
            address: listener.address,
            transport: listener.transport.name(),
            spread: (listener.transport == Transport::Udp).then(|| listener.spread().name()),
            limits: (listener.transport != Transport::Udp).then_some(Limits {
                connections_max: limits.connections_max,
                connections_per_source_max: limits.connections_per_source_max,
                line_bytes_max: limits.line_bytes_max,
                idle_s: limits.idle.as_secs(),
            }),
            tls: listener.tls_files().map(|files| Tls {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                client_ca: files.client_ca.cloned(),
                handshake_s: limits.handshake.as_secs(),
            }),
            filter: super::rules::Meaning::new(listener, has_xdp),
        }
    }

    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        const INDENT: &str = "           ";
        let Self {
            kind,
            address,
            transport,
            ..
        } = self;
        writeln!(out, "{INDENT}listens on {address} for {kind} over {transport}")?;
        if let Some(filter) = &self.filter {
            filter.print(out, &format!("{INDENT}  "))?;
        }
        if let Some(limits) = &self.limits {
            writeln!(
                out,
                "{INDENT}  up to {} connections, {} from one address; messages up to {} octets; ended after {} s without one",
                limits.connections_max,
                limits.connections_per_source_max,
                limits.line_bytes_max,
                limits.idle_s
            )?;
        }
        if let Some(tls) = &self.tls {
            let peers = match &tls.client_ca {
                Some(path) => format!("peers must show a certificate of a CA in {}", path.display()),
                None => "peers need no certificate".into(),
            };
            writeln!(
                out,
                "{INDENT}  certificate {}, key {}; {peers}; handshakes take up to {} s",
                tls.certificate.display(),
                tls.key.display(),
                tls.handshake_s
            )?;
        }
        Ok(())
    }
}

/// What is right but perhaps not meant.
pub fn warnings(listener: &config::Listener) -> Vec<String> {
    let mut warnings = Vec::new();
    let address = listener.address;
    let mut warn = |warning: String| warnings.push(format!("listener {address}: {warning}"));
    if listener.kind != ListenerKind::Syslog {
        warn(format!(
            "{} is kept on the bus, but not decoded yet",
            kind_name(listener.kind)
        ));
    }
    match address.port() {
        0 => warn("port 0 lets the kernel choose a port at each start".into()),
        1..1024 => warn("a port below 1024 needs CAP_NET_BIND_SERVICE".into()),
        _ => {}
    }
    let limits = listener.stream_limits();
    if limits.line_bytes_max > DECODED_BYTES_MAX {
        warn(format!(
            "line_bytes_max is {}, but messages longer than {DECODED_BYTES_MAX} octets become dead letters",
            limits.line_bytes_max
        ));
    }
    if limits.connections_per_source_max > limits.connections_max {
        warn("connections_per_source_max is more than connections_max, so one source can have all".into());
    }
    if let Some(files) = listener.tls_files() {
        let named = [
            ("certificate", Some(files.certificate)),
            ("key", Some(files.key)),
            ("client_ca", files.client_ca),
        ];
        for (name, path) in named.into_iter().filter_map(|(name, path)| Some((name, path?))) {
            if let Err(error) = std::fs::File::open(path) {
                warn(format!("{name}: {} cannot be read now: {error}", path.display()));
            }
        }
        if readable_by_all(files.key) {
            warn(format!(
                "everybody on this machine can read the key {}",
                files.key.display()
            ));
        }
    }
    warnings
}

/// Name in the configuration.
pub fn kind_name(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Syslog => "syslog",
        ListenerKind::Netflow => "netflow",
        ListenerKind::Radius => "radius",
    }
}

fn readable_by_all(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_doubtful_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key.pem");
        std::fs::write(&key, "a key").expect("written");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("readable");
        let text = format!(
            "[exporters]\nallow_all = true\n[collector]\ncores = [0]\n\
             [[collector.listener]]\nkind = \"syslog\"\naddress = \"[::]:601\"\ntransport = \"tls\"\n\
             certificate = \"/nowhere/certificate.pem\"\nkey = \"{}\"\n\
             line_bytes_max = 9000\nconnections_max = 10\n",
            key.display()
        );
        let config = config::Config::parse(&text, Path::new("test.toml")).expect("valid");
        let listener = &config.collector.expect("a collector").listeners[0];
        let warnings = warnings(listener).join("\n");
        for words in [
            "CAP_NET_BIND_SERVICE",
            "longer than 8192",
            "one source can have all",
            "/nowhere/certificate.pem cannot be read",
            "everybody on this machine can read the key",
        ] {
            assert!(warnings.contains(words), "{words} in:\n{warnings}");
        }
        let mut page = Vec::new();
        Meaning::new(listener, false).print(&mut page).expect("printed");
        let page = String::from_utf8(page).expect("text");
        for words in [
            "listens on [::]:601 for syslog over tls",
            "up to 10 connections, 64 from one address; messages up to 9000 octets; ended after 600 s",
            "peers need no certificate; handshakes take up to 10 s",
        ] {
            assert!(page.contains(words), "{words} in:\n{page}");
        }
    }
}
