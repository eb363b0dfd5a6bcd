//! The frame log.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bus::{FrameReceiver, FrameSender, Handler, Loss, Ownership, Stream, Topic, log};
use config::{Bus, BusKind, Log, Sync};

use super::{Cost, Load, PARTITIONS, Round, own_cpu, remove};

const PATIENCE: Duration = Duration::from_mins(2);
pub const STREAM: Stream = Stream {
    topic: Topic::Syslog,
    partition: 0,
};

/// Writes and reads the load once.
pub fn round(directory: &Path, load: &Load, sync: Sync) -> Result<Round> {
    let directory = directory.join("log");
    let bus = Bus {
        kind: Some(BusKind::Log),
        partitions: PARTITIONS,
        log: Log {
            directory: directory.clone(),
            sync,
            ..Log::default()
        },
        ..Bus::default()
    };
    let write = Cost::of(|| write(&bus, load), || Ok(own_cpu()))?;
    let read = Cost::of(|| read(&bus, load), || Ok(own_cpu()))?;
    remove(&directory)?;
    Ok(Round { write, read })
}

/// Writes the load while a consumer far behind reads what was written before, on another core, over and over.
pub fn write_beside_reader(directory: &Path, load: &Load) -> Result<Cost> {
    let directory = directory.join("log");
    let bus = Bus {
        kind: Some(BusKind::Log),
        partitions: PARTITIONS,
        log: Log {
            directory: directory.clone(),
            ..Log::default()
        },
        ..Bus::default()
    };
    write(&bus, load)?;
    super::settle();
    let done = AtomicBool::new(false);
    let cost = std::thread::scope(|scope| {
        let reader = scope.spawn(|| -> Result<()> {
            // Where there is one core only, it is shared.
            let _ = daemon::cpu::pin(1);
            while !done.load(Ordering::Acquire) {
                read(&bus, load)?;
            }
            Ok(())
        });
        let cost = Cost::of(|| write(&bus, load), || Ok(own_cpu()));
        done.store(true, Ordering::Release);
        match reader.join() {
            Ok(read) => read.and(cost),
            Err(_) => bail!("the reader panicked"),
        }
    })?;
    remove(&directory)?;
    Ok(cost)
}

fn write(bus: &Bus, load: &Load) -> Result<()> {
    let sender = log::connect_sender(bus, &[STREAM])?;
    send(&sender, load)
}

/// Sends the load and waits until all of it is acknowledged.
pub fn send(sender: &dyn FrameSender, load: &Load) -> Result<()> {
    for frame in load.iter() {
        while sender.send(STREAM, frame, 1).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    if !sender.flush(PATIENCE) || sender.counts().acknowledged_frames != load.count as u64 {
        bail!("not all frames were acknowledged: {:?}", sender.counts());
    }
    Ok(())
}

fn read(bus: &Bus, load: &Load) -> Result<()> {
    let mut receiver = log::connect_receiver(bus)?;
    receive(&mut receiver, load)
}

/// Reads until all frames have come.
pub fn receive(receiver: &mut dyn FrameReceiver, load: &Load) -> Result<()> {
    let mut counter = Counter::default();
    while counter.frames < load.count as u64 {
        receiver.poll(Duration::from_millis(100), &mut counter)?;
        if let Some(streams) = counter.assigned.take() {
            let all: Vec<_> = streams.into_iter().map(|stream| (stream, -1)).collect();
            receiver.start(&all).context("cannot start to read")?;
        }
        if counter.lost {
            bail!("frames were lost");
        }
    }
    if counter.bytes < load.bytes {
        bail!("{} octets were read, {} were written", counter.bytes, load.bytes);
    }
    Ok(())
}

#[derive(Default)]
struct Counter {
    frames: u64,
    bytes: u64,
    assigned: Option<Vec<Stream>>,
    lost: bool,
}

impl Handler for Counter {
    fn frame(&mut self, _: Stream, _: i64, record: &[u8]) {
        self.frames += 1;
        self.bytes += record.len() as u64;
    }
    fn ownership(&mut self, change: Ownership) {
        if let Ownership::Assigned(streams) = change {
            self.assigned = Some(streams);
        }
    }
    fn lost(&mut self, _: Stream, _: Range<i64>, _: Loss) {
        self.lost = true;
    }
}
