//! The reference: a loop of `recvmmsg` that looks at nothing and keeps nothing, in a thread of the benchmark.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::lane::{Lane, PORT, RECEIVER, RECEIVER_CPU, buffer_bytes};

/// Datagrams in one system call, at most.
const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 2048;

/// The thread. It ends when this is dropped.
pub struct Loop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    received: AtomicU64,
    cpu_ns: AtomicU64,
    stop: AtomicBool,
}

impl Loop {
    pub fn start(lane: &Lane) -> Result<Self> {
        let socket = lane
            .receiver
            .run(|| UdpSocket::bind((std::net::Ipv4Addr::from(RECEIVER), PORT)))??;
        collector::receive::socket::set_option(
            &socket,
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            buffer_bytes()? as i32,
        )?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("recvmmsg".into())
            .spawn(move || {
                if daemon::cpu::pin(RECEIVER_CPU).is_ok() {
                    receive(&socket, &of_thread);
                }
            });
        Ok(Self {
            shared,
            thread: Some(thread.context("cannot start a thread")?),
        })
    }

    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Acquire)
    }

    /// CPU time of the thread.
    pub fn cpu_ns(&self) -> u64 {
        self.shared.cpu_ns.load(Ordering::Acquire)
    }

    pub fn stop(mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.thread.take().map(JoinHandle::join);
        thread
            .unwrap_or(Ok(()))
            .map_err(|_| anyhow!("the recvmmsg loop panicked"))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn receive(socket: &UdpSocket, shared: &Shared) {
    let mut buffers = vec![0_u8; BATCH * DATAGRAM_BYTES];
    let mut parts: Vec<libc::iovec> = buffers
        .chunks_exact_mut(DATAGRAM_BYTES)
        .map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: a mmsghdr is integers and pointers, for which all zeroes is a value.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    while !shared.stop.load(Ordering::Acquire) {
        // SAFETY: headers, their parts and the buffers behind them outlive the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        if let Ok(got) = u64::try_from(got) {
            shared.received.fetch_add(got, Ordering::Release);
        } else if io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock {
            return;
        }
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        shared.cpu_ns.store(
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
            Ordering::Release,
        );
    }
}
