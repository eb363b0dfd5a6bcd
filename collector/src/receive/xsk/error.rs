//! Why AF_XDP cannot be used, in words for the operator.

use std::io;

use wire::verdict::{MAX_XSK_QUEUES, MAX_XSK_SOCKETS};

/// Why the AF_XDP sockets are not there. Every text says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum XskError {
    /// no CAP_NET_RAW
    #[error(
        "no privilege to open AF_XDP sockets: natrail-collector needs CAP_NET_RAW beside those of XDP (start it as root, or give \
         it to it by AmbientCapabilities= of its systemd unit), or set collector.receive = \"socket\""
    )]
    Privilege,
    /// a kernel without AF_XDP
    #[error(
        "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS): take one that has it, or set collector.receive = \"socket\""
    )]
    Unsupported,
    /// no such interface
    #[error("collector.xdp.interfaces names {interface:?}, but there is no such interface: see `ip link`")]
    NoInterface { interface: String },
    /// no such queue
    #[error(
        "collector.af_xdp.queues names queue {queue}, but {interface} has {queues} (numbered from 0): see `ethtool -l {interface}`"
    )]
    NoQueue {
        interface: String,
        queue: u32,
        queues: u32,
    },
    /// more sockets than the XDP program can address
    #[error(
        "AF_XDP on {queues} queues with {threads} threads: at most {MAX_XSK_QUEUES} queues, and {MAX_XSK_SOCKETS} queues times \
         threads; name fewer in collector.af_xdp.queues, or lower their number with `ethtool -L`"
    )]
    TooMany { queues: usize, threads: usize },
    /// huge pages were required, and are not there
    #[error(
        "collector.af_xdp.huge_pages = \"require\", but {interface} queue {queue} needs {pages} huge pages of 2 MiB and {free} are \
         free: `sysctl vm.nr_hugepages=N` with N raised by what is missing, or set huge_pages = \"auto\""
    )]
    HugePages {
        interface: String,
        queue: u32,
        pages: usize,
        free: String,
    },
    /// more than the machine has
    #[error(
        "{mib} MiB for the frames of {interface} queue {queue} are more than the {available_mib} MiB that are available: lower \
         collector.af_xdp.frames, or name fewer collector.af_xdp.queues (`ethtool -L {interface}` lowers their number)"
    )]
    Memory {
        interface: String,
        queue: u32,
        mib: usize,
        available_mib: usize,
    },
    /// locked memory is limited
    #[error(
        "may not lock {mib} MiB for the frames of {interface} queue {queue}: give CAP_IPC_LOCK or LimitMEMLOCK=infinity \
         (`ulimit -l unlimited`), or lower collector.af_xdp.frames"
    )]
    LockedMemory {
        interface: String,
        queue: u32,
        mib: usize,
    },
    /// somebody else has the queue
    #[error(
        "{interface} queue {queue} is taken by other AF_XDP sockets: `ss --xdp -ap` names their program; stop it, or leave the \
         queue out of collector.af_xdp.queues"
    )]
    Busy { interface: String, queue: u32 },
    /// zero copy was required, and is not there
    #[error(
        "collector.af_xdp.zero_copy = \"require\", but the driver of {interface} cannot do it on queue {queue} ({source}): set \
         zero_copy = \"auto\" to let the kernel copy"
    )]
    NoZeroCopy {
        interface: String,
        queue: u32,
        source: io::Error,
    },
    /// any other refusal
    #[error("AF_XDP on {interface} queue {queue}: cannot {what}: {source}")]
    Step {
        interface: String,
        queue: u32,
        what: &'static str,
        source: io::Error,
    },
}
