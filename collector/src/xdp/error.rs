//! Why the filter is not in place, in words for the operator.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use config::XdpMode;
use rustix::thread::CapabilitySet;
use wire::verdict::{MAX_BOUND_LISTENERS, MAX_EXPORTERS, MAX_PORTS};

/// Why the filter is not in place, or does not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// no CAP_BPF, CAP_PERFMON or CAP_NET_ADMIN
    #[error(
        "no privilege to {action}: natrail-collector needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (start it as root, or give it \
         them by AmbientCapabilities= of its systemd unit), or remove [collector.xdp] to filter in user space"
    )]
    Privilege { action: String },
    /// the kernel does not take the program or one of its maps
    #[error("cannot load the XDP program into the kernel (it needs Linux 6.1 or newer): {0}")]
    Load(String),
    /// no such interface
    #[error("collector.xdp.interfaces names {interface:?}, but there is no such interface: see `ip link`")]
    NoInterface { interface: String },
    /// the driver has no XDP, or not with these settings
    #[error(
        "the driver of {interface} cannot run XDP programs natively ({source}): set collector.xdp.mode = \"generic\" \
         (slower, works everywhere), or remove {interface} from collector.xdp.interfaces"
    )]
    NotNative { interface: String, source: io::Error },
    /// another program is attached
    #[error(
        "{interface} already has an XDP program: see `ip link show {interface}`, remove it or the interface from collector.xdp.interfaces"
    )]
    Busy { interface: String },
    /// any other refusal
    #[error("cannot attach the XDP program to {interface} in {mode} mode: {reason}")]
    Attach {
        interface: String,
        mode: &'static str,
        reason: String,
    },
    /// more prefixes than the tables hold
    #[error(
        "{count} exporter prefixes, but the filter holds {MAX_EXPORTERS}: combine some into shorter prefixes, or remove [collector.xdp]"
    )]
    TooManyExporters { count: usize },
    /// more listeners than the tables hold
    #[error(
        "the listeners have {ports} ports and {bound} addresses other than 0.0.0.0 and [::]; the filter holds {MAX_PORTS} and {MAX_BOUND_LISTENERS}"
    )]
    TooManyListeners { ports: usize, bound: usize },
    /// a look-up or an update in a map failed
    #[error("cannot {action} the filter's map {map}: {reason}")]
    Map {
        action: &'static str,
        map: &'static str,
        reason: String,
    },
    /// a run of the program on a packet of ours failed
    #[error("cannot run the XDP program on a packet: {0}")]
    TestRun(String),
}

pub(super) fn mode_name(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => "native",
        XdpMode::Generic => "generic",
    }
}

pub(super) fn attach_error(error: ProgramError, interface: &str, mode: XdpMode) -> XdpError {
    let interface = interface.to_owned();
    match error {
        ProgramError::UnknownInterface { .. } => XdpError::NoInterface { interface },
        ProgramError::SyscallError(error) => match error.io_error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => XdpError::Privilege {
                action: format!("attach the XDP program to {interface}"),
            },
            Some(libc::EBUSY | libc::EEXIST) => XdpError::Busy { interface },
            Some(libc::ENODEV) => XdpError::NoInterface { interface },
            Some(libc::EOPNOTSUPP) if mode == XdpMode::Native => XdpError::NotNative {
                interface,
                source: error.io_error,
            },
            _ => XdpError::Attach {
                interface,
                mode: mode_name(mode),
                reason: reasons(&error),
            },
        },
        error => XdpError::Attach {
            interface,
            mode: mode_name(mode),
            reason: reasons(&error),
        },
    }
}

pub(super) fn load_error(error: &EbpfError) -> XdpError {
    // EACCES is the verifier's answer to a program that it does not like; without CAP_PERFMON it likes none that
    // computes with packet pointers.
    if has_code(error, libc::EPERM) || (has_code(error, libc::EACCES) && !has_perfmon()) {
        return XdpError::Privilege {
            action: "load the XDP program".into(),
        };
    }
    XdpError::Load(reasons(error))
}

/// Whether the error or one of its causes is this one of the system's.
pub(crate) fn has_code(error: &(dyn std::error::Error + 'static), code: i32) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let os = inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if os == Some(code) {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn has_perfmon() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::PERFMON))
}

pub(super) fn missing(what: &str) -> XdpError {
    XdpError::Load(format!(
        "the object has no {what}: build it anew with `cargo xtask ebpf`"
    ))
}

pub(super) fn map_error(action: &'static str, map: &'static str, error: &MapError) -> XdpError {
    XdpError::Map {
        action,
        map,
        reason: reasons(error),
    }
}

/// The error and its causes, in one line.
pub(crate) fn reasons(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
