//! Giving up privileges once sockets are bound and the XDP program is attached.
//!
//! What comes later needs none: maps of the XDP program are written through descriptors that are open by then (Linux 6.0),
//! and io_uring needs no capability. A reload must be able to read the configuration file as its owner or by its mode.

use rustix::thread::{CapabilitySet, CapabilitySets};

/// Gives up all capabilities of the calling thread, and of the threads it starts from now on, for ever.
pub fn drop_all() -> std::io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    /// On a thread of its own, which takes its capabilities with it.
    #[test]
    fn nothing_is_left() {
        let status = std::thread::spawn(|| {
            super::drop_all().expect("privileges can always be given up");
            std::fs::read_to_string("/proc/thread-self/status").expect("proc")
        });
        let status = status.join().expect("no panic");
        for line in [
            "CapEff:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "NoNewPrivs:\t1",
        ] {
            assert!(status.contains(line), "{line} in {status}");
        }
    }
}
