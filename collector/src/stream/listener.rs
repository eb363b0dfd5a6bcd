//! The listening sockets, and who may connect.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use config::{Listener, StreamLimits, Transport};
use rustix::process::{Resource, Rlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::tls::Identity;
use crate::error::StartError;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;
/// Descriptors of this process that are no connections.
const OTHER_DESCRIPTORS: u64 = 512;

/// A listening TCP socket, with TLS or without.
#[derive(Debug)]
pub struct StreamListener {
    pub(super) socket: TcpListener,
    address: SocketAddr,
    pub(super) limits: StreamLimits,
    identity: Option<Arc<Identity>>,
}

impl StreamListener {
    /// Where it listens; the port is the real one also if the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it shows to its peers; `None` without TLS.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    fn open(listener: &Listener) -> Result<Self, StartError> {
        let address = listener.address;
        let identity = listener
            .tls_files()
            .map(|files| Identity::load(files).map(Arc::new))
            .transpose()
            .map_err(|source| StartError::Tls {
                address,
                source: source.into(),
            })?;
        let step = |what| {
            move |source| StartError::Socket {
                protocol: "TCP",
                what,
                address,
                source,
            }
        };
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
            .map_err(step("create"))?;
        if address.is_ipv6() {
            socket.set_only_v6(true).map_err(step("set IPV6_V6ONLY"))?;
        }
        // Connections of the collector before this one may still be closing; another listener is an error all the same.
        socket.set_reuse_address(true).map_err(step("set SO_REUSEADDR"))?;
        socket.set_nonblocking(true).map_err(step("set O_NONBLOCK"))?;
        (socket.bind(&address.into()))
            .and_then(|()| socket.listen(BACKLOG))
            .map_err(|source| StartError::of_bind("TCP", address, source))?;
        let socket = TcpListener::from(socket);
        let address = socket.local_addr().map_err(step("ask the address of"))?;
        Ok(Self {
            socket,
            address,
            limits: listener.stream_limits(),
            identity,
        })
    }
}

/// Opens the sockets of the TCP and TLS listeners among `listeners`, in their order, and reads their certificates.
pub fn open_all(listeners: &[Listener]) -> Result<Vec<StreamListener>, StartError> {
    let opened = listeners
        .iter()
        .filter(|listener| listener.transport != Transport::Udp)
        .map(StreamListener::open)
        .collect::<Result<Vec<_>, _>>()?;
    if !opened.is_empty() {
        allow_descriptors(connections_max(&opened) as u64 + OTHER_DESCRIPTORS);
    }
    Ok(opened)
}

/// Most connections of all listeners together.
pub fn connections_max(listeners: &[StreamListener]) -> usize {
    listeners
        .iter()
        .map(|listener| listener.limits.connections_max)
        .sum()
}

/// Raises RLIMIT_NOFILE as far as it may be; says so if that is not enough.
fn allow_descriptors(wanted: u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let set = |current, maximum| {
        rustix::process::setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(current),
                maximum,
            },
        )
        .map_err(io::Error::from)
    };
    let Some(maximum) = limit.maximum.filter(|maximum| *maximum < wanted) else {
        let _ = set(wanted, limit.maximum);
        return;
    };
    if set(wanted, Some(wanted)).is_err() {
        let _ = set(maximum, Some(maximum));
        tracing::warn!(
            "this process may have {maximum} descriptors, and needs {wanted} for all connections that \
             connections_max allows; raise LimitNOFILE= (ulimit -n)"
        );
    }
}
