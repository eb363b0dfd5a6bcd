//! Why a collector does not start, in words for the operator.

use std::io;
use std::net::SocketAddr;

use filter::RulesError;

use crate::receive::xsk::error::XskError;
use crate::stream::tls::TlsError;

/// A collector that cannot start. Every text says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// the configuration has no `[collector]`
    #[error(
        "the configuration has no [collector] section: add one, with cores and at least one [[collector.listener]]"
    )]
    NotConfigured,
    /// a pattern that cannot be used
    #[error("collector.listener: {0}")]
    Rules(#[from] RulesError),
    /// somebody has the port
    #[error(
        "{protocol} port in use: {address} is taken by another program, another collector or another listener; \
         `ss -{letter}lpn sport = :{port}` names it: stop it or change collector.listener.address",
        letter = if *protocol == "TCP" { 't' } else { 'u' },
        port = address.port()
    )]
    PortInUse {
        protocol: &'static str,
        address: SocketAddr,
    },
    /// the port needs a privilege
    #[error(
        "may not listen on {address}: ports below net.ipv4.ip_unprivileged_port_start (usually 1024) need CAP_NET_BIND_SERVICE; \
         start as root, or with AmbientCapabilities=CAP_NET_BIND_SERVICE"
    )]
    PortForbidden { address: SocketAddr },
    /// no interface has the address
    #[error("cannot listen on {address}: no network interface of this machine has that address")]
    NoSuchAddress { address: SocketAddr },
    /// any other failure of a socket
    #[error("cannot {what} on the {protocol} socket for {address}: {source}")]
    Socket {
        protocol: &'static str,
        what: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    /// certificate, key or CA of a TLS listener
    #[error("listener {address}: {source}")]
    Tls {
        address: SocketAddr,
        source: Box<TlsError>,
    },
    /// a CPU of the core plan that is not there
    #[error("collector.cores: {0:#}")]
    Core(anyhow::Error),
    /// io_uring is switched off
    #[error(
        "io_uring is disabled on this machine: sysctl kernel.io_uring_disabled is {0} (0 allows it), or a seccomp profile \
         forbids it (containers: allow io_uring_setup, io_uring_enter and io_uring_register)"
    )]
    UringDisabled(String),
    /// a kernel without something that is needed
    #[error("this kernel ({release}) lacks {feature}: Linux {needs} or later is needed")]
    KernelTooOld {
        feature: &'static str,
        needs: &'static str,
        release: String,
    },
    /// sockets of AF_XDP
    #[error(transparent)]
    AfXdp(#[from] XskError),
    /// memory or descriptors
    #[error("cannot {what}: {source}")]
    Resource { what: &'static str, source: io::Error },
}

impl StartError {
    /// Why `bind` to this address failed; `protocol` is `UDP` or `TCP`.
    pub(crate) fn of_bind(protocol: &'static str, address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { protocol, address },
            io::ErrorKind::PermissionDenied => Self::PortForbidden { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Socket {
                protocol,
                what: "bind",
                address,
                source,
            },
        }
    }
}
