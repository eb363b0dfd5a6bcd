//! `[collector] receive` and `[collector.af_xdp]`: the way of datagrams from the network interface to the collector.

use serde::Deserialize;

use crate::{Collector, Transport, XdpMode};

/// How datagrams are received.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ReceivePath {
    /// UDP sockets.
    #[default]
    Socket,
    /// AF_XDP sockets, around the kernel's network stack, on the interfaces of `[collector.xdp]`; UDP sockets for all else.
    AfXdp,
}

/// `[collector.af_xdp]`: for `receive = "af_xdp"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AfXdp {
    /// Receive queues of every interface; all that there are if absent. What comes on others goes to the UDP sockets.
    pub queues: Option<Vec<u32>>,
    /// Packets that may wait for a thread on one queue, a power of two.
    pub ring_entries: u32,
    /// Frames of memory for each thread on each queue, a power of two, at least twice `ring_entries`. All threads of a queue
    /// take from one pool, so that one that stands still cannot take the frames of the others.
    pub frames: u32,
    /// Octets of a frame: 2048 (packets of up to 1792 octets, Ethernet header included) or 4096 (3840). Larger packets go
    /// to the UDP sockets.
    pub frame_bytes: u32,
    /// Whether frames are in huge pages of 2 MiB: `auto` (if `vm.nr_hugepages` keeps enough ready), `require` or `off`.
    pub huge_pages: Choice,
    /// Whether the driver writes into the frames itself: `auto` (if it can), `require` or `off` (always copies).
    pub zero_copy: Choice,
    /// Lets a driver that runs out of frames sleep until it is woken. Only for zero copy.
    pub need_wakeup: bool,
    /// Polls the driver from the receive threads for so long (SO_BUSY_POLL), in microseconds; 0: it works by interrupts.
    /// For drivers that can, with the interface's `napi_defer_hard_irqs` and `gro_flush_timeout` set.
    pub busy_poll_us: u32,
    /// Packets that such a poll may take (SO_BUSY_POLL_BUDGET).
    pub busy_poll_budget: u16,
    /// Drops datagrams with a wrong checksum of IPv4 or UDP, as the kernel's stack does. Without it they are taken as they
    /// are. Senders on this very machine (containers, virtual machines) may leave checksums to hardware that is not there:
    /// then set it to false, or `ethtool -K <interface> tx off` at the sender.
    pub verify_checksums: bool,
}

impl Default for AfXdp {
    fn default() -> Self {
        Self {
            queues: None,
            ring_entries: 16384,
            frames: 32768,
            frame_bytes: 2048,
            huge_pages: Choice::Auto,
            zero_copy: Choice::Auto,
            need_wakeup: true,
            busy_poll_us: 0,
            busy_poll_budget: 64,
            verify_checksums: true,
        }
    }
}

impl AfXdp {
    /// Largest packet that fits into a frame, from the Ethernet header on: the kernel keeps 256 octets free in front of it
    /// (`XDP_PACKET_HEADROOM`).
    pub const fn packet_octets_max(&self) -> u32 {
        self.frame_bytes - 256
    }
}

/// Whether something is used that not every machine has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// If it is there.
    Auto,
    /// Or the collector does not start.
    Require,
    Off,
}

impl Choice {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Require => "require",
            Self::Off => "off",
        }
    }
}

/// What is wrong with the values, in words for the operator.
pub(crate) fn problems(collector: &Collector) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |ok: bool, problem: &str| {
        if !ok {
            problems.push(problem.to_owned());
        }
    };
    check(
        collector.receive == ReceivePath::AfXdp || collector.af_xdp.is_none(),
        "collector.af_xdp is for collector.receive = \"af_xdp\": set that, or remove the section",
    );
    if collector.receive == ReceivePath::Socket {
        return problems;
    }
    check(
        collector.xdp.is_some(),
        "collector.receive = \"af_xdp\" needs [collector.xdp] with the interfaces that datagrams come in on",
    );
    check(
        (collector.listeners.iter()).any(|listener| listener.transport == Transport::Udp),
        "collector.receive = \"af_xdp\" is for UDP, but no listener has transport = \"udp\"",
    );
    let settings = collector.af_xdp();
    check(
        settings.ring_entries.is_power_of_two() && (64..=1 << 20).contains(&settings.ring_entries),
        "collector.af_xdp.ring_entries must be a power of two from 64 to 1048576",
    );
    check(
        settings.frames.is_power_of_two()
            && settings.frames / 2 >= settings.ring_entries
            && settings.frames <= 1 << 21,
        "collector.af_xdp.frames must be a power of two, at least twice ring_entries and at most 2097152",
    );
    check(
        [2048, 4096].contains(&settings.frame_bytes),
        "collector.af_xdp.frame_bytes must be 2048 or 4096",
    );
    check(
        settings.busy_poll_us <= 1_000_000 && settings.busy_poll_budget >= 1,
        "collector.af_xdp.busy_poll_us must be at most 1000000, and busy_poll_budget at least 1",
    );
    check(
        settings.queues.as_ref().is_none_or(|queues| !queues.is_empty()),
        "collector.af_xdp.queues must name at least one queue, or be absent for all",
    );
    let generic = collector
        .xdp
        .as_ref()
        .is_some_and(|xdp| xdp.mode == XdpMode::Generic);
    check(
        !(generic && settings.zero_copy == Choice::Require),
        "collector.af_xdp.zero_copy = \"require\" needs collector.xdp.mode = \"native\"",
    );
    problems
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Config, ConfigError};

    fn parse(receive: &str, sections: &str) -> Result<AfXdp, ConfigError> {
        let text = format!(
            "[exporters]\nallow_all = true\n[collector]\ncores = [0]\n{receive}\n\
             [[collector.listener]]\nkind = \"syslog\"\naddress = \"0.0.0.0:514\"\n{sections}\n"
        );
        let config = Config::parse(&text, Path::new("test.toml"))?;
        Ok(config.collector.expect("a collector").af_xdp())
    }

    const AF_XDP: &str = "receive = \"af_xdp\"";
    const XDP: &str = "[collector.xdp]\ninterfaces = [\"eth0\"]\n";

    #[test]
    fn defaults_are_valid() {
        let settings = parse(AF_XDP, XDP).expect("valid");
        assert_eq!((settings.ring_entries, settings.frames), (16384, 32768));
        assert!(settings.verify_checksums && settings.queues.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let with = |lines: &str| format!("{XDP}[collector.af_xdp]\n{lines}\n");
        for (receive, sections, word) in [
            (AF_XDP, String::new(), "needs [collector.xdp]"),
            ("", with(""), "collector.af_xdp is for"),
            ("receive = \"pcap\"", XDP.into(), "pcap"),
            (AF_XDP, with("ring_entries = 1000"), "ring_entries must be"),
            (AF_XDP, with("frames = 16384"), "frames must be"),
            (AF_XDP, with("frame_bytes = 3000"), "frame_bytes must be"),
            (AF_XDP, with("queues = []"), "queues must name"),
            (AF_XDP, with("huge_pages = \"maybe\""), "maybe"),
            (AF_XDP, with("busy_poll_budget = 0"), "busy_poll_budget at least"),
            (
                AF_XDP,
                format!("{XDP}mode = \"generic\"\n[collector.af_xdp]\nzero_copy = \"require\"\n"),
                "needs collector.xdp.mode",
            ),
        ] {
            let error = parse(receive, &sections).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
