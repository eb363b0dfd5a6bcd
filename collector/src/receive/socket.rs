//! The UDP sockets of all threads, and their options.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use config::{Listener, ListenerKind, Transport};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use wire::frame::PayloadKind;

use super::spread;
use crate::error::StartError;

/// How often a taken port is tried again: the kernel frees the sockets of an ended io_uring a moment later.
const BIND_TRIES: u32 = 10;
const BIND_PAUSE: Duration = Duration::from_millis(50);
/// Places in what SO_MEMINFO gives (`SK_MEMINFO_RMEM_ALLOC`, `SK_MEMINFO_RCVBUF`, `SK_MEMINFO_DROPS`), and how many there are.
const MEMINFO_USED: usize = 0;
const MEMINFO_LIMIT: usize = 1;
const MEMINFO_DROPS: usize = 8;
const MEMINFO_VARS: usize = 9;

/// What a datagram costs of a socket's buffer, at most, with usual drivers: they give a page to each (4096 octets), and the
/// kernel adds its own structures.
const DATAGRAM_COST_BYTES: u64 = 4608;

/// One thread's socket for one listener.
#[derive(Debug)]
pub struct ListenSocket {
    socket: Socket,
    kind: PayloadKind,
    address: SocketAddr,
}

impl ListenSocket {
    pub fn kind(&self) -> PayloadKind {
        self.kind
    }

    /// Where it listens; the port is the real one also if the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Octets that the kernel really grants for waiting datagrams, its own bookkeeping included.
    pub fn buffer_bytes(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// Datagrams dropped by this socket since its start, modulo 2^32 (SO_MEMINFO, Linux 4.12).
    ///
    /// SO_RXQ_OVFL reports the same counter, but only with the next datagram: the last drops before a silence need this.
    pub fn drops(&self) -> io::Result<u32> {
        Ok(self.memory()?[MEMINFO_DROPS])
    }

    /// Datagrams that its buffer has room for, if each costs [`DATAGRAM_COST_BYTES`]. None, in the last eighth of the
    /// buffer: that is for those that are on their way when this is asked.
    pub fn room(&self) -> io::Result<u64> {
        let memory = self.memory()?;
        let limit = memory[MEMINFO_LIMIT] / 8 * 7;
        Ok(u64::from(limit.saturating_sub(memory[MEMINFO_USED])) / DATAGRAM_COST_BYTES)
    }

    fn memory(&self) -> io::Result<[u32; MEMINFO_VARS]> {
        let mut variables = [0u32; MEMINFO_VARS];
        let mut length = size_of_val(&variables) as libc::socklen_t;
        // SAFETY: pointer and length name the array, which the kernel fills with at most that many octets.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                variables.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(variables)
    }

    /// Lets nothing more in: what is queued stays readable, what comes is dropped and counted by the kernel.
    pub fn shut(&self) -> io::Result<()> {
        // One instruction of classic BPF: keep 0 octets.
        let refuse_all = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
        self.socket.attach_filter(&[refuse_all])
    }

    fn open(listener: &Listener, address: SocketAddr) -> Result<Self, StartError> {
        let step = |what| {
            move |source| StartError::Socket {
                protocol: "UDP",
                what,
                address,
                source,
            }
        };
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
            .map_err(step("create"))?;
        if address.is_ipv6() {
            socket.set_only_v6(true).map_err(step("set IPV6_V6ONLY"))?;
        }
        for (option, what) in [
            (libc::SO_TIMESTAMPNS, "set SO_TIMESTAMPNS"),
            (libc::SO_RXQ_OVFL, "set SO_RXQ_OVFL"),
        ] {
            set_option(&socket, libc::SOL_SOCKET, option, 1).map_err(step(what))?;
        }
        Ok(Self {
            socket,
            kind: payload_kind(listener.kind),
            address,
        })
    }

    /// Binds before SO_REUSEPORT is set: a socket of anybody else on the port then is an error, where two sockets
    /// with SO_REUSEPORT would share the port and each silently get half of the datagrams.
    fn claim(&mut self) -> Result<(), StartError> {
        let mut tries = 0;
        while let Err(source) = self.socket.bind(&self.address.into()) {
            tries += 1;
            if source.kind() != io::ErrorKind::AddrInUse || tries == BIND_TRIES {
                return Err(self.bind_error(source));
            }
            std::thread::sleep(BIND_PAUSE);
        }
        let bound = self
            .socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket());
        self.address = bound.unwrap_or(self.address);
        self.share()
    }

    /// Binds beside the socket that claimed the port.
    fn join(&self) -> Result<(), StartError> {
        self.share()?;
        self.socket
            .bind(&self.address.into())
            .map_err(|source| self.bind_error(source))
    }

    fn share(&self) -> Result<(), StartError> {
        self.socket
            .set_reuse_port(true)
            .map_err(|source| StartError::Socket {
                protocol: "UDP",
                what: "set SO_REUSEPORT",
                address: self.address,
                source,
            })
    }

    fn bind_error(&self, source: io::Error) -> StartError {
        StartError::of_bind("UDP", self.address, source)
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ListenSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// What the datagrams of a listener carry.
pub fn payload_kind(kind: ListenerKind) -> PayloadKind {
    match kind {
        ListenerKind::Syslog => PayloadKind::Syslog,
        ListenerKind::Netflow => PayloadKind::Netflow,
        ListenerKind::Radius => PayloadKind::Radius,
    }
}

/// Opens the sockets of `threads` threads: one for each UDP listener and thread, in the listeners' order.
///
/// Each has a receive buffer of `buffer_bytes`, or what net.core.rmem_max allows without CAP_NET_ADMIN (said in the log).
pub fn open_all(
    listeners: &[Listener],
    threads: usize,
    buffer_bytes: usize,
) -> Result<Vec<Vec<ListenSocket>>, StartError> {
    let mut all: Vec<Vec<ListenSocket>> = (0..threads).map(|_| Vec::new()).collect();
    for listener in (listeners.iter()).filter(|listener| listener.transport == Transport::Udp) {
        let mut address = listener.address;
        for (thread, sockets) in all.iter_mut().enumerate() {
            let mut socket = ListenSocket::open(listener, address)?;
            let forced = grow_buffer(&socket.socket, buffer_bytes).map_err(|source| StartError::Socket {
                protocol: "UDP",
                what: "size the receive buffer",
                address,
                source,
            })?;
            if thread == 0 {
                socket.claim()?;
                address = socket.address;
                warn_of_small_buffer(&socket, buffer_bytes, forced);
            } else {
                socket.join()?;
            }
            sockets.push(socket);
        }
        let sharing: Vec<&ListenSocket> = all.iter().filter_map(|sockets| sockets.last()).collect();
        if let Err(error) = spread::spread(listener, &sharing) {
            tracing::warn!(
                "{address}: an exporter that sends from one port will use one of {threads} threads only: {error}"
            );
        }
    }
    Ok(all)
}

/// Sets an integer option of a socket.
pub fn set_option(socket: &impl AsRawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: pointer and length name `value`, which outlives the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// True if the size could be forced beyond net.core.rmem_max.
fn grow_buffer(socket: &Socket, bytes: usize) -> io::Result<bool> {
    let value = i32::try_from(bytes).unwrap_or(i32::MAX);
    if set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value).is_ok() {
        return Ok(true);
    }
    socket.set_recv_buffer_size(bytes)?;
    Ok(false)
}

fn warn_of_small_buffer(socket: &ListenSocket, wanted: usize, forced: bool) {
    // The kernel doubles what was asked for and reports the double.
    let granted = socket.buffer_bytes().unwrap_or(0) / 2;
    if !forced && granted < wanted {
        tracing::warn!(
            "receive buffers on {} have {granted} octets instead of {wanted}: without CAP_NET_ADMIN, \
             net.core.rmem_max limits them; raise it or grant the capability",
            socket.address
        );
    }
}
