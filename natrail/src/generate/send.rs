//! Datagrams out: one socket an exporter, many messages a system call, no faster than asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Most messages handed to the kernel at once.
pub const BATCH_MAX: usize = 64;
const SEND_BUFFER_BYTES: usize = 4 << 20;
/// So many messages in a row may fail before the run is given up.
const FAILURES_IN_A_ROW_MAX: u64 = 1000;

/// One exporter's socket.
pub struct Exporter {
    pub address: IpAddr,
    socket: Socket,
    target: SockAddr,
    failures_in_a_row: u64,
}

impl Exporter {
    /// A socket that sends from `address` to `target`.
    fn bind(address: IpAddr, target: SocketAddr) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP))
            .context("cannot make a UDP socket")?;
        socket.bind(&SocketAddr::new(address, 0).into()).with_context(|| {
            format!("cannot send from {address}: is it an address of this machine? (ip address add {address} dev …)")
        })?;
        // What the kernel grants is enough; blocking sends wait when it is full.
        let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
        Ok(Self {
            address,
            socket,
            target: target.into(),
            failures_in_a_row: 0,
        })
    }

    /// Sends the messages in order, and calls `sent` with the index of each that the kernel took. Waits while the
    /// socket's buffer is full. A message that the kernel refuses is counted in the result and left out.
    pub fn send(&mut self, messages: &[Vec<u8>], mut sent: impl FnMut(usize)) -> anyhow::Result<u64> {
        debug_assert!(messages.len() <= BATCH_MAX);
        let mut parts: [libc::iovec; BATCH_MAX] = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; BATCH_MAX];
        // SAFETY: mmsghdr is plain data for which all zeros is a valid value (no name, no parts, no control).
        let mut headers: [libc::mmsghdr; BATCH_MAX] = unsafe { std::mem::zeroed() };
        for ((message, part), header) in messages.iter().zip(&mut parts).zip(&mut headers) {
            part.iov_base = message.as_ptr().cast_mut().cast();
            part.iov_len = message.len();
            header.msg_hdr.msg_name = self.target.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = self.target.len();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        let mut done = 0;
        let mut failed = 0;
        while done < messages.len() {
            let rest = &mut headers[done..messages.len()];
            // SAFETY: the headers point to names, parts and messages that outlive the call; the kernel only reads
            // them, apart from msg_len, which is in the headers that are borrowed mutably.
            let taken = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            if taken > 0 {
                self.failures_in_a_row = 0;
                (done..done + taken as usize).for_each(&mut sent);
                done += taken as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => {}
                // The device's queue is full.
                Some(libc::ENOBUFS) => std::thread::sleep(Duration::from_micros(200)),
                _ => {
                    failed += 1;
                    done += 1;
                    self.failures_in_a_row += 1;
                    if self.failures_in_a_row > FAILURES_IN_A_ROW_MAX {
                        let target = self
                            .target
                            .as_socket()
                            .map(|target| target.to_string())
                            .unwrap_or_default();
                        return Err(error)
                            .with_context(|| format!("cannot send from {} to {target}", self.address));
                    }
                }
            }
        }
        Ok(failed)
    }
}

/// `count` exporters with consecutive addresses, from `first` on. Without it: from 127.0.0.1 on for a target on
/// loopback, else the one address that the kernel would take.
pub fn exporters(target: SocketAddr, first: Option<IpAddr>, count: u32) -> anyhow::Result<Vec<Exporter>> {
    let first = match first {
        Some(first) => first,
        None if target.ip().is_loopback() && target.is_ipv4() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        None if count == 1 => kernels_choice(target)?,
        None => bail!("cannot choose {count} source addresses: name the first one with --from"),
    };
    if first.is_ipv4() != target.is_ipv4() {
        bail!("cannot send from {first} to {target}: they are of different families");
    }
    let last = (0..count)
        .map(|index| following(first, index))
        .collect::<Option<Vec<_>>>();
    let addresses = last.with_context(|| format!("no {count} addresses follow {first}"))?;
    addresses
        .into_iter()
        .map(|address| Exporter::bind(address, target))
        .collect()
}

/// The address `index` after `first`.
fn following(first: IpAddr, index: u32) -> Option<IpAddr> {
    match first {
        IpAddr::V4(v4) => u32::from(v4)
            .checked_add(index)
            .map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => u128::from(v6)
            .checked_add(index.into())
            .map(|bits| IpAddr::V6(bits.into())),
    }
}

/// The source address of the route to `target`. Sends nothing.
fn kernels_choice(target: SocketAddr) -> anyhow::Result<IpAddr> {
    let any: SocketAddr = if target.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0; 16], 0).into()
    };
    UdpSocket::bind(any)
        .and_then(|socket| socket.connect(target).and_then(|()| socket.local_addr()))
        .map(|address| address.ip())
        .with_context(|| format!("cannot find a way to {target}"))
}

/// Spreads messages evenly over time, in bursts of about a millisecond.
#[derive(Debug)]
pub struct Pace {
    /// Messages a second; 0 is as fast as possible.
    rate: u64,
    due: Instant,
}

impl Pace {
    pub fn new(rate: u64) -> Self {
        Self {
            rate,
            due: Instant::now(),
        }
    }

    /// How many messages make a burst.
    pub fn burst(&self) -> usize {
        match self.rate {
            0 => BATCH_MAX,
            rate => (rate / 1000).clamp(1, BATCH_MAX as u64) as usize,
        }
    }

    /// Waits until `messages` more may go.
    pub fn wait(&mut self, messages: usize) {
        if self.rate == 0 {
            return;
        }
        let now = Instant::now();
        if now < self.due {
            std::thread::sleep(self.due - now);
        } else {
            // A sender that was held up does not make up for it with one long burst.
            self.due = self
                .due
                .max(now.checked_sub(Duration::from_millis(5)).unwrap_or(now));
        }
        self.due += Duration::from_nanos(messages as u64 * 1_000_000_000 / self.rate);
    }
}
