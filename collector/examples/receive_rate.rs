//! `cargo run --release -p natrail-collector --example receive_rate [PAYLOAD_BYTES]`: what one core receives.

use std::time::Duration;

use collector::bench::{Load, lossless_rate, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let bytes = std::env::args().nth(1).map_or(Ok(150), |text| text.parse())?;
    let payload = vec![b'x'; bytes];
    let load = Load {
        core: 0,
        sender_core: 1,
        payload: &payload,
        rate: 200_000,
        duration: Duration::from_secs(2),
    };
    for rate in [100_000, 500_000, 1_000_000] {
        println!("{rate} datagrams/s asked: {:?}", measure(&Load { rate, ..load })?);
    }
    println!("without loss: {:?}", lossless_rate(&load)?);
    Ok(())
}
