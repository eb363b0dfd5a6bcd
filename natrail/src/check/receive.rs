//! What `collector.receive` means, and what of it is perhaps not meant.

use std::io::Write;
use std::path::{Path, PathBuf};

use config::{Choice, Collector, ReceivePath, Transport};
use serde::Serialize;

const MIB: usize = 1024 * 1024;
const HUGE_PAGE_BYTES: usize = 2 * MIB;

#[derive(Debug, Serialize)]
pub struct Meaning {
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    af_xdp: Option<AfXdpMeaning>,
}

#[derive(Debug, Serialize)]
struct AfXdpMeaning {
    /// Of all interfaces, as they are now.
    queues: usize,
    ring_entries: u32,
    frames: u32,
    packet_octets_max: u32,
    /// Locked memory of all frames.
    frames_mib: usize,
    huge_pages: &'static str,
    zero_copy: &'static str,
    verify_checksums: bool,
}

impl Meaning {
    pub fn new(collector: &Collector) -> Self {
        if collector.receive == ReceivePath::Socket {
            return Self {
                path: "socket",
                af_xdp: None,
            };
        }
        let settings = collector.af_xdp();
        Self {
            path: "af_xdp",
            af_xdp: Some(AfXdpMeaning {
                queues: queues(collector),
                ring_entries: settings.ring_entries,
                frames: settings.frames,
                packet_octets_max: settings.packet_octets_max(),
                frames_mib: frames_bytes(collector).div_ceil(MIB),
                huge_pages: settings.huge_pages.name(),
                zero_copy: settings.zero_copy.name(),
                verify_checksums: settings.verify_checksums,
            }),
        }
    }

    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Some(meaning) = &self.af_xdp else {
            return Ok(());
        };
        writeln!(
            out,
            "           AF_XDP on {} queues, zero copy {}: packets of up to {} octets, the others by sockets",
            meaning.queues, meaning.zero_copy, meaning.packet_octets_max
        )?;
        writeln!(
            out,
            "           rings of {} packets and {} frames for each thread and queue: {} MiB locked, huge pages {}",
            meaning.ring_entries, meaning.frames, meaning.frames_mib, meaning.huge_pages
        )
    }
}

/// What is right but perhaps not meant.
pub fn warnings(collector: &Collector) -> Vec<String> {
    let mut warnings = Vec::new();
    if collector.receive == ReceivePath::Socket {
        return warnings;
    }
    let settings = collector.af_xdp();
    let interfaces: Vec<&str> = collector
        .xdp
        .iter()
        .flat_map(|xdp| &xdp.interfaces)
        .map(String::as_str)
        .collect();
    for listener in &collector.listeners {
        if listener.transport == Transport::Udp && listener.address.ip().is_unspecified() {
            warnings.push(format!(
                "listener {}: AF_XDP takes all that comes to this port on {}, for other hosts too; name an address if this machine \
                 routes or bridges",
                listener.address,
                interfaces.join(" ")
            ));
        }
    }
    for interface in interfaces {
        if directory(interface).is_some_and(|path| path.exists() && !path.join("device").exists())
            && settings.zero_copy != Choice::Off
        {
            warnings.push(format!(
                "collector.af_xdp: {interface} is virtual, and AF_XDP will probably copy every packet there; the log says so at start"
            ));
        }
    }
    if settings.huge_pages == Choice::Require {
        let pages = frames_bytes(collector).div_ceil(HUGE_PAGE_BYTES);
        let free = free_huge_pages();
        if free < pages {
            warnings.push(format!(
                "collector.af_xdp.huge_pages = \"require\": {pages} huge pages are needed and {free} are free now; raise vm.nr_hugepages"
            ));
        }
    }
    warnings
}

fn frames_bytes(collector: &Collector) -> usize {
    let settings = collector.af_xdp();
    queues(collector) * collector.cores.len() * settings.frames as usize * settings.frame_bytes as usize
}

/// Queues with sockets, on the interfaces that there are now.
fn queues(collector: &Collector) -> usize {
    if let Some(queues) = &collector.af_xdp().queues {
        return queues.len() * collector.xdp.iter().flat_map(|xdp| &xdp.interfaces).count();
    }
    let of_interface = |interface: &String| {
        let entries = directory(interface).and_then(|path| path.join("queues").read_dir().ok());
        let is_rx = |name: std::ffi::OsString| name.to_string_lossy().starts_with("rx-");
        entries.map_or(0, |entries| {
            entries.flatten().filter(|entry| is_rx(entry.file_name())).count()
        })
    };
    collector
        .xdp
        .iter()
        .flat_map(|xdp| &xdp.interfaces)
        .map(of_interface)
        .sum()
}

/// Where the kernel tells of an interface; `None` if no interface can have such a name.
fn directory(interface: &str) -> Option<PathBuf> {
    (!interface.contains('/')).then(|| Path::new("/sys/class/net").join(interface))
}

fn free_huge_pages() -> usize {
    let path = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}
