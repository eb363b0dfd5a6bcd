//! Multishot recvmsg and the batched wait.
//!
//! One request for each socket stays armed and completes once for every datagram, into a buffer of the ring. The wait
//! asks for many completions at once, but is content with few after [`BATCH_WAIT`]: without that, every datagram
//! wakes the thread, and io_uring is slower than plain `recvmmsg`.
//!
//! Other descriptors can be watched in the same wait: those of AF_XDP, whose packets come by rings of their own. Each is asked
//! for once at a time, and the question is answered at once if something waits already: no wake-up is missed.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};

use super::buffer_ring::BufferRing;
use super::message::{CONTROL_BYTES, Malformed, Message, NAME_BYTES, OVERHEAD_BYTES};
use super::socket::ListenSocket;
use crate::error::StartError;

/// How long a few datagrams wait for more, at most.
pub const BATCH_WAIT: Duration = Duration::from_micros(500);
/// Completions that end a wait at once.
const BATCH_COMPLETIONS: usize = 64;
const BUFFER_GROUP: u16 = 0;

/// One thread's io_uring with its sockets and buffers. Must be made and used on one thread (`IORING_SETUP_SINGLE_ISSUER`).
pub struct Receiver {
    // Dropped first: once it is closed, the kernel writes to no buffer.
    ring: IoUring,
    buffers: BufferRing,
    /// What a receive asks for: the sizes of name and control messages.
    request: Box<libc::msghdr>,
    sockets: Vec<ListenSocket>,
    /// Descriptors that end a wait when they are readable.
    watched: Vec<i32>,
    /// Sockets, and behind them watched descriptors (by position), without an armed request.
    idle: Vec<usize>,
    batch: usize,
    batched_wait: bool,
}

/// What a wait brought, apart from messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// Completions of any kind.
    pub completions: usize,
    /// Requests that ended because the kernel had no buffer left, and were armed again.
    pub out_of_buffers: u64,
    /// Requests that ended for another reason (an empty datagram, a full completion ring), and were armed again.
    pub ended: u64,
}

impl Receiver {
    /// Takes over the sockets. `buffers` (a power of two) datagrams of `datagram_bytes_max` octets are taken at a time. The
    /// `watched` descriptors must stay open as long as this is used.
    pub fn new(
        sockets: Vec<ListenSocket>,
        watched: Vec<i32>,
        buffers: u16,
        datagram_bytes_max: usize,
    ) -> Result<Self, StartError> {
        let requests = sockets.len() + watched.len();
        let completions = (u32::from(buffers) + requests as u32) * 2;
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(completions.next_power_of_two())
            .setup_clamp()
            .build((requests as u32).next_power_of_two())
            .map_err(setup_error)?;
        let batched_wait = ring.params().is_feature_min_timeout();
        let mut buffer_ring =
            BufferRing::new(buffers, OVERHEAD_BYTES + datagram_bytes_max).map_err(|source| {
                StartError::Resource {
                    what: "map the receive buffers",
                    source,
                }
            })?;
        // SAFETY: both go into one struct, whose fields are dropped in order: the io_uring first.
        unsafe { buffer_ring.register(&ring.submitter(), BUFFER_GROUP) }.map_err(|source| {
            StartError::Resource {
                what: "register the receive buffers with io_uring",
                source,
            }
        })?;
        // SAFETY: a msghdr is integers and pointers, for which all zeroes is a value.
        let mut request: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        request.msg_namelen = NAME_BYTES as libc::socklen_t;
        request.msg_controllen = CONTROL_BYTES as _;
        Ok(Self {
            ring,
            buffers: buffer_ring,
            request,
            idle: (0..requests).collect(),
            sockets,
            watched,
            batch: BATCH_COMPLETIONS.min(usize::from(buffers) / 4),
            batched_wait,
        })
    }

    pub fn sockets(&self) -> &[ListenSocket] {
        &self.sockets
    }

    /// Whether the kernel can batch wake-ups (Linux 6.12); without that, receiving costs more CPU.
    pub fn has_batched_wait(&self) -> bool {
        self.batched_wait
    }

    /// Waits for datagrams or a watched descriptor, at most `timeout`, and gives all datagrams that came to `handle`, with their
    /// socket and its position. A timeout of 0 only takes what is there.
    ///
    /// # Errors
    /// When the kernel refuses to receive at all; nothing comes any more then.
    pub fn wait(
        &mut self,
        timeout: Duration,
        mut handle: impl FnMut(&ListenSocket, usize, Result<Message<'_>, Malformed>),
    ) -> io::Result<Wait> {
        self.arm()?;
        self.enter(timeout)?;
        let mut wait = Wait::default();
        let Self {
            ring,
            buffers,
            idle,
            sockets,
            ..
        } = self;
        for completion in ring.completion() {
            wait.completions += 1;
            let place = completion.user_data() as usize;
            let Some(socket) = sockets.get(place) else {
                // A watched descriptor: that the wait has ended is all that it is for.
                idle.push(place);
                continue;
            };
            if let Some(id) = cqueue::buffer_select(completion.flags()) {
                let length = completion.result().max(0) as usize;
                // SAFETY: this completion names the buffer; it is given back once, below.
                let filled = unsafe { buffers.filled(id, length) };
                handle(socket, place, filled.ok_or(Malformed).and_then(Message::parse));
                // SAFETY: the handler has returned, so nothing borrows the buffer any more.
                unsafe { buffers.give_back(id) };
            }
            if !cqueue::more(completion.flags()) {
                idle.push(place);
                match -completion.result() {
                    libc::ENOBUFS => wait.out_of_buffers += 1,
                    error @ (libc::EINVAL
                    | libc::EBADF
                    | libc::EOPNOTSUPP
                    | libc::ENOTSOCK
                    | libc::EFAULT) => {
                        return Err(io::Error::from_raw_os_error(error));
                    }
                    _ => wait.ended += 1,
                }
            }
        }
        Ok(wait)
    }

    /// Queues a request for every socket and watched descriptor that has none.
    fn arm(&mut self) -> io::Result<()> {
        while let Some(&place) = self.idle.last() {
            let entry = if let Some(socket) = self.sockets.get(place) {
                let descriptor = Fd(socket.as_raw_fd());
                opcode::RecvMsgMulti::new(descriptor, &raw const *self.request, BUFFER_GROUP).build()
            } else {
                let descriptor = Fd(self.watched[place - self.sockets.len()]);
                opcode::PollAdd::new(descriptor, libc::POLLIN as u32).build()
            };
            let entry = entry.user_data(place as u64);
            // SAFETY: socket, msghdr and buffer group live as long as the io_uring; a poll refers to no memory.
            if unsafe { self.ring.submission().push(&entry) }.is_err() {
                // More sockets than places: submit these first.
                self.ring.submit()?;
                continue;
            }
            self.idle.pop();
        }
        Ok(())
    }

    fn enter(&self, timeout: Duration) -> io::Result<()> {
        let only_look = timeout.is_zero();
        let timeout = Timespec::from(timeout);
        let mut arguments = SubmitArgs::new().timespec(&timeout);
        let mut want = 1;
        if self.batched_wait && !only_look {
            arguments = arguments.min_wait_usec(BATCH_WAIT.as_micros() as u32);
            want = self.batch;
        }
        match self.ring.submitter().submit_with_args(want, &arguments) {
            Ok(_) => Ok(()),
            // Time is over, a signal came, or completions wait to be taken: all normal.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Frees the ports now: closing the io_uring alone frees them some time later. Nothing to cancel is fine too.
        let limit = Timespec::from(Duration::from_secs(1));
        let _ = self
            .ring
            .submitter()
            .register_sync_cancel(Some(limit), CancelBuilder::any());
    }
}

fn setup_error(source: io::Error) -> StartError {
    let read = |path| {
        std::fs::read_to_string(path)
            .unwrap_or_else(|_| "unknown".into())
            .trim()
            .to_owned()
    };
    match source.raw_os_error() {
        Some(libc::EPERM) => StartError::UringDisabled(read("/proc/sys/kernel/io_uring_disabled")),
        Some(libc::ENOSYS) => StartError::KernelTooOld {
            feature: "io_uring",
            needs: "6.1",
            release: read("/proc/sys/kernel/osrelease"),
        },
        Some(libc::EINVAL) => StartError::KernelTooOld {
            feature: "io_uring with deferred task work (IORING_SETUP_DEFER_TASKRUN)",
            needs: "6.1",
            release: read("/proc/sys/kernel/osrelease"),
        },
        _ => StartError::Resource {
            what: "set up io_uring",
            source,
        },
    }
}
