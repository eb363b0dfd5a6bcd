//! UDP datagrams at an exact rate, up to millions a second, from one core. Needs root.
//!
//! An XDP program makes the packets and paces itself; the kernel runs it on frames that go out of the sender's veth as if
//! they came from a driver (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES). Sockets reach a tenth of that. The program is
//! `harness-ebpf`; what it sends ends by count and by time, whatever happens.
//!
//! # Minimum kernel version
//! 5.18 (live frames).

#[path = "../../harness-ebpf/src/plan.rs"]
mod plan;

use std::net::SocketAddrV4;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, MapData};
use aya::programs::links::FdLink;
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, Pod};

use crate::netns::Namespace;
use plan::{
    HEADER_OCTETS, MAP_PLAN, MAP_PROGRESS, MARK_BINARY, MARK_HEX, MARK_OCTETS_MAX, PACKET_OCTETS_MAX,
    PROGRAM, Plan, Progress,
};

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../harness-ebpf/natrail-live.bpf.o");

/// Frames in one go of the kernel. Fewer than a veth's queue holds (256).
const BATCH: u32 = 64;
/// Runs of the program in one system call, about ten milliseconds: how often the end is looked for.
const RUNS: u32 = 200_000;
/// Who was kept from sending for longer than this does not make up for it: no burst is longer.
const BEHIND_MAX: Duration = Duration::from_millis(1);
/// From the plan to the first datagram: the kernel makes ready in it.
const LEAD: Duration = Duration::from_millis(20);
/// How much longer than planned sending may take.
const OVERTIME: Duration = Duration::from_secs(2);

/// Where the number of a datagram (modulo 2^32) is written in its payload; the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Eight hexadecimal digits at this even offset.
    Hex(usize),
    /// Four octets at this even offset, the highest first; four more must follow.
    Binary(usize),
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Traffic<'a> {
    /// Datagrams come from so many addresses, and so many ports, from this one on in turn.
    pub from: SocketAddrV4,
    pub addresses: u32,
    pub ports: u32,
    pub to: SocketAddrV4,
    pub payload: &'a [u8],
    pub mark: Mark,
    /// Datagrams per second.
    pub rate: u64,
    pub count: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// Datagrams that were put into the receiver's queue.
    pub datagrams: u64,
    /// Datagrams that found it full, like a network card's.
    pub refused: u64,
    pub elapsed: Duration,
}

impl Sent {
    /// Datagrams offered to the receiver, per second.
    pub fn rate(&self) -> f64 {
        (self.datagrams + self.refused) as f64 / self.elapsed.as_secs_f64()
    }
}

/// The program on one end of a veth pair. It leaves the interface when this is dropped.
pub struct LiveSender<'a> {
    namespace: &'a Namespace,
    interface: String,
    index: u32,
    /// Ethernet addresses: receiver's and sender's.
    ethernet: [[u8; 6]; 2],
    cpu: usize,
    program: Ebpf,
    _link: FdLink,
}

impl<'a> LiveSender<'a> {
    /// Loads the program and attaches it to `from`; it will run on `cpu`. `to` is the other end of the veth pair, which needs
    /// an XDP program or `gro on` ([`crate::netns::veth`] sees to that).
    pub fn new(from: (&'a Namespace, &str), to: (&Namespace, &str), cpu: usize) -> Result<Self> {
        let mut program =
            Ebpf::load(OBJECT).context("cannot load the sending program (needs root and Linux 5.18)")?;
        let (namespace, interface) = from;
        let link = namespace.run(|| attach(&mut program, interface))??;
        Ok(Self {
            namespace,
            interface: interface.into(),
            index: interface_index(namespace, interface)?,
            ethernet: [
                ethernet_address(to.0, to.1)?,
                ethernet_address(namespace, interface)?,
            ],
            cpu,
            program,
            _link: link,
        })
    }

    /// Sends, and comes back when all is sent or time is over: that of the plan and two seconds more.
    pub fn send(&mut self, traffic: &Traffic<'_>) -> Result<Sent> {
        let packet = packet(traffic, self.ethernet)?;
        let planned = Duration::from_secs_f64(traffic.count as f64 / traffic.rate as f64);
        let plan = plan(traffic, &packet)?;
        array(&mut self.program, MAP_PROGRESS)?.set(0, Shared(Progress::default()), 0)?;
        array(&mut self.program, MAP_PLAN)?.set(0, Shared(plan), 0)?;
        let before = self.queued()?;
        let (namespace, cpu, index) = (self.namespace, self.cpu, self.index);
        let program = &mut self.program;
        let elapsed = namespace.run(|| -> Result<Duration> {
            pin(cpu)?;
            let begin = Instant::now() + LEAD;
            while begin.elapsed() < planned + OVERTIME {
                run(program, &packet, index)?;
                let Shared(Progress { sent, .. }) = array(program, MAP_PROGRESS)?.get(&0, 0)?;
                if sent >= traffic.count {
                    break;
                }
            }
            Ok(begin.elapsed())
        })??;
        let after = self.queued()?;
        Ok(Sent {
            datagrams: after.0 - before.0,
            refused: after.1 - before.1,
            elapsed,
        })
    }

    /// Packets that XDP put into the other end's queue, and those that found it full.
    fn queued(&self) -> Result<(u64, u64)> {
        let mut command = self.namespace.command("ethtool");
        let text = output(command.args(["-S", &self.interface]))?;
        let sum = |name: &str| {
            let lines = text.lines().filter_map(|line| line.trim().rsplit_once(": "));
            let values = lines.filter(|(key, _)| key.starts_with("tx_queue_") && key.ends_with(name));
            values.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
        };
        Ok((sum("_xdp_xmit"), sum("_xdp_xmit_errors")))
    }
}

/// In the thread of the caller, which must be in the interface's namespace.
fn attach(program: &mut Ebpf, interface: &str) -> Result<FdLink> {
    let live = xdp(program)?;
    live.load()?;
    let id = live
        .attach(interface, XdpMode::Driver)
        .with_context(|| format!("cannot attach the sending program to {interface}"))?;
    Ok(live.take_link(id)?.try_into()?)
}

fn run(program: &mut Ebpf, packet: &[u8], interface: u32) -> Result<()> {
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let context = [0, packet.len() as u32, 0, interface, 0, 0]
        .map(u32::to_ne_bytes)
        .concat();
    let options = TestRunOptions {
        data_in: Some(packet),
        ctx_in: Some(&context),
        repeat: RUNS,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..TestRunOptions::new()
    };
    xdp(program)?
        .test_run(options)
        .context("cannot run the sending program on live frames")?;
    Ok(())
}

fn xdp(program: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(program
        .program_mut(PROGRAM)
        .context("the object has no program")?
        .try_into()?)
}

/// A value that the program shares.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared<T>(T);

// SAFETY: `repr(C)`, integers only, the padding is a field.
unsafe impl Pod for Shared<Plan> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Progress> {}

fn array<'a, T>(program: &'a mut Ebpf, name: &str) -> Result<Array<&'a mut MapData, Shared<T>>>
where
    Shared<T>: Pod,
{
    let map = program
        .map_mut(name)
        .with_context(|| format!("the object has no map {name}"))?;
    Ok(Array::try_from(map)?)
}

const IP: usize = 14;
const UDP: usize = IP + 20;

/// The packet with both checksums, source address and port, and mark 0.
fn packet(traffic: &Traffic<'_>, [to, from]: [[u8; 6]; 2]) -> Result<Vec<u8>> {
    let octets = HEADER_OCTETS + traffic.payload.len();
    ensure!(
        octets <= PACKET_OCTETS_MAX,
        "a payload of {} octets does not fit",
        traffic.payload.len()
    );
    let mut packet = Vec::with_capacity(octets);
    packet.extend([to, from].concat());
    packet.extend(0x0800_u16.to_be_bytes());
    let total = (octets - IP) as u16;
    // RFC 791: version and length, service, total, identification, do not fragment, time to live, protocol, checksum.
    packet.extend([0x45, 0]);
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend([0; 4]);
    packet.extend(traffic.to.ip().octets());
    packet.extend([0; 2]);
    packet.extend(traffic.to.port().to_be_bytes());
    packet.extend(((octets - UDP) as u16).to_be_bytes());
    packet.extend([0; 2]);
    packet.extend(traffic.payload);
    let (Mark::Hex(offset) | Mark::Binary(offset)) = traffic.mark;
    let octets = if matches!(traffic.mark, Mark::Hex(_)) {
        MARK_OCTETS_MAX
    } else {
        4
    };
    let whole = offset % 2 == 0 && offset + MARK_OCTETS_MAX <= traffic.payload.len();
    ensure!(
        whole,
        "{:?} must be even, and {MARK_OCTETS_MAX} octets before the end",
        traffic.mark
    );
    packet[HEADER_OCTETS + offset..][..octets].fill(0);
    Ok(packet)
}

fn plan(traffic: &Traffic<'_>, packet: &[u8]) -> Result<Plan> {
    let (mark_kind, offset) = match traffic.mark {
        Mark::Hex(offset) => (MARK_HEX, offset),
        Mark::Binary(offset) => (MARK_BINARY, offset),
    };
    ensure!(
        traffic.rate > 0 && traffic.addresses > 0 && traffic.ports > 0,
        "nothing to send: {traffic:?}"
    );
    // What the UDP checksum covers beside header and payload (RFC 768): addresses, protocol, length.
    let pseudo = sum(&packet[IP + 16..UDP]) + 17 + (packet.len() - UDP) as u32;
    Ok(Plan {
        start_ns: monotonic_ns()? + LEAD.as_nanos() as u64,
        interval_ps: 1_000_000_000_000 / traffic.rate,
        behind_max_ps: BEHIND_MAX.as_nanos() as u64 * 1000,
        count: traffic.count,
        mark_offset: (HEADER_OCTETS + offset) as u32,
        mark_kind,
        source: (*traffic.from.ip()).into(),
        sources: traffic.addresses,
        port: traffic.from.port().into(),
        ports: traffic.ports,
        ip_sum: sum(&packet[IP..UDP]),
        udp_sum: pseudo + sum(&packet[UDP..]),
        header: packet[..HEADER_OCTETS].try_into()?,
        padding: [0; 6],
    })
}

/// Sum of words of 16 bits, the last one filled up with 0.
fn sum(octets: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    octets.chunks(2).map(word).sum()
}

/// The clock of `bpf_ktime_get_ns`.
fn monotonic_ns() -> Result<u64> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) } < 0 {
        return Err(std::io::Error::last_os_error()).context("cannot read the clock");
    }
    Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Keeps the calling thread on one CPU.
fn pin(cpu: usize) -> Result<()> {
    // SAFETY: a set of CPUs is integers, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    ensure!(cpu < libc::CPU_SETSIZE as usize, "there is no CPU {cpu}");
    // SAFETY: the CPU is within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: pointer and length name the set.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } < 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| format!("cannot run on CPU {cpu}"));
    }
    Ok(())
}

fn interface_index(namespace: &Namespace, interface: &str) -> Result<u32> {
    let line = link(namespace, interface)?;
    let index = line.split_once(':').and_then(|(index, _)| index.parse().ok());
    index.with_context(|| format!("no index in {line:?}"))
}

fn ethernet_address(namespace: &Namespace, interface: &str) -> Result<[u8; 6]> {
    let line = link(namespace, interface)?;
    let text = line
        .split_once("link/ether ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let octets = text.map(|text| {
        text.split(':')
            .map(|octet| u8::from_str_radix(octet, 16))
            .collect::<Result<Vec<_>, _>>()
    });
    match octets {
        Some(Ok(octets)) if octets.len() == 6 => Ok(octets.try_into().unwrap_or_default()),
        _ => bail!("no Ethernet address in {line:?}"),
    }
}

/// What `ip -o link` says about an interface.
fn link(namespace: &Namespace, interface: &str) -> Result<String> {
    output(Command::new("ip").args(["-n", namespace.name(), "-o", "link", "show", "dev", interface]))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
