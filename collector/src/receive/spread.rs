//! One exporter over all receive threads: gives a listener's sockets the `sk_reuseport` program that chooses among them.
//!
//! The program stays with the sockets and goes with them, however the process ends; it needs no privilege once it is there.
//! Program and layouts are `collector-ebpf` and [`wire::spread`].
//!
//! # Minimum kernel version
//! 4.19 (`sk_reuseport`); 5.8 for loading it with CAP_BPF alone.

use aya::maps::{Array, ReusePortSockArray};
use aya::programs::SkReuseport;
use aya::{Ebpf, EbpfError, Pod};
use config::{Listener, Spread};
use wire::spread::{MAP_PLAN, MAP_SOCKETS, MAX_SOCKETS, PROGRAM, Plan};

use super::socket::ListenSocket;
use crate::xdp::{has_code, reasons};

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../collector-ebpf/natrail-spread.bpf.o");

/// Why the kernel's own choice stays in force.
#[derive(Debug, thiserror::Error)]
pub enum SpreadError {
    /// no CAP_BPF
    #[error(
        "CAP_BPF is missing (start as root, or with AmbientCapabilities=CAP_BPF in its systemd unit; \
         or set spread = \"off\" and accept it)"
    )]
    Privilege,
    /// the kernel does not take the program, a map, or a socket
    #[error("the kernel refuses the program that would (it needs Linux 5.8 or newer): {0}")]
    Refused(String),
}

/// Spreads the datagrams of a listener over its sockets, one of each thread. Does nothing for one socket, or when the
/// configuration says so.
pub fn spread(listener: &Listener, sockets: &[&ListenSocket]) -> Result<(), SpreadError> {
    let by_exporter = match listener.spread() {
        Spread::Off => return Ok(()),
        Spread::Datagram => 0,
        Spread::Exporter => 1,
    };
    if sockets.len() < 2 {
        return Ok(());
    }
    let mut object = Ebpf::load(OBJECT).map_err(|error| refused(&error))?;
    let sockets = &sockets[..sockets.len().min(MAX_SOCKETS as usize)];
    let plan = Plan {
        sockets: sockets.len() as u32,
        by_exporter,
    };
    attach(&mut object, sockets, plan).map_err(|error| refused(&error))
}

fn attach(object: &mut Ebpf, sockets: &[&ListenSocket], plan: Plan) -> Result<(), EbpfError> {
    let missing = || aya::maps::MapError::ElementNotFound;
    let mut array = ReusePortSockArray::try_from(object.map_mut(MAP_SOCKETS).ok_or_else(missing)?)?;
    for (place, socket) in sockets.iter().enumerate() {
        array.set(place as u32, *socket, 0)?;
    }
    let mut plans = Array::try_from(object.map_mut(MAP_PLAN).ok_or_else(missing)?)?;
    plans.set(0, Shared(plan), 0)?;
    let program: &mut SkReuseport = object.program_mut(PROGRAM).ok_or_else(missing)?.try_into()?;
    program.load()?;
    // One socket stands for all that share the port.
    Ok(program.attach(sockets[0])?)
}

fn refused(error: &EbpfError) -> SpreadError {
    if has_code(error, libc::EPERM) {
        SpreadError::Privilege
    } else {
        SpreadError::Refused(reasons(error))
    }
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared(Plan);

// SAFETY: `repr(C)`, two integers of the same size.
unsafe impl Pod for Shared {}
