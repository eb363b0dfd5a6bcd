//! `cargo run --release -p natrail-collector --example receive_rate [PAYLOAD_BYTES] [af_xdp]`: what one core receives, by UDP
//! sockets on the loopback, or by AF_XDP on a veth pair between two network namespaces (as root).

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use anyhow::Context;
use collector::bench::{Load, Path, lossless_rate, measure};
use harness::netns::{Namespace, veth};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECEIVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const SENDER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let bytes = arguments.next().map_or(Ok(150), |text| text.parse())?;
    let payload = vec![b'x'; bytes];
    match arguments.next().as_deref() {
        None => run(&payload, Path::Loopback),
        Some("af_xdp") => run_af_xdp(&payload),
        Some(other) => anyhow::bail!("{other:?} is no way to receive: af_xdp, or nothing"),
    }
}

fn run(payload: &[u8], path: Path<'_>) -> anyhow::Result<()> {
    let load = Load {
        core: 0,
        sender_core: 1,
        payload,
        rate: 200_000,
        duration: Duration::from_secs(2),
        path,
    };
    for rate in [100_000, 500_000, 1_000_000] {
        println!("{rate} datagrams/s asked: {:?}", measure(&Load { rate, ..load })?);
    }
    println!("without loss: {:?}", lossless_rate(&load)?);
    Ok(())
}

fn run_af_xdp(payload: &[u8]) -> anyhow::Result<()> {
    let (receiver, sender) = (Namespace::new("rx")?, Namespace::new("tx")?);
    let (to, from) = (format!("{RECEIVER}/24"), format!("{SENDER}/24"));
    veth((&receiver, "eth0", &[&to]), (&sender, "eth0", &[&from]))?;
    // Checksums are to be there, since they are verified.
    let off = sender
        .command("ethtool")
        .args(["-K", "eth0", "tx", "off"])
        .output()?;
    anyhow::ensure!(
        off.status.success(),
        "ethtool: {}",
        String::from_utf8_lossy(&off.stderr)
    );
    let from = sender
        .run(|| UdpSocket::bind((SENDER, 0)))?
        .context("cannot open the sender's socket")?;
    let path = Path::AfXdp {
        interface: "eth0",
        to: IpAddr::V4(RECEIVER),
        from: &from,
    };
    receiver.run(|| run(payload, path))?
}
