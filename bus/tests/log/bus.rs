//! The log as a bus: sender, receivers, dead letters; disks that are full, read-only or gone.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bus::log::directory::Root;
use bus::log::letters;
use bus::{
    BusError, DeadLetter, DeadLetterSender, FrameReceiver, FrameSender, Loss, QueueFull, connect, log,
};
use config::{Bus, BusKind, Log, Sync};
use wire::frame::PayloadKind;

use crate::common::{PATIENCE, Taker, frame, poll_until, read_from, stream};

fn bus(directory: &Path) -> Bus {
    Bus {
        kind: Some(BusKind::Log),
        partitions: 4,
        queue_mib: 8,
        log: Log {
            directory: directory.into(),
            sync_interval_ms: 50,
            segment_mib: 1,
            size_max_mib: 64,
            free_reserve_mib: 0,
            ..Log::default()
        },
        ..Bus::default()
    }
}

fn send(sender: &dyn FrameSender, partition: i32, number: u64) {
    let octets = frame(&[1], b"message", number);
    assert_eq!(sender.send(stream(partition), &octets, 1), Ok(()));
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn frames_arrive_in_order_whatever_the_sync_policy() {
    for sync in [Sync::None, Sync::Interval, Sync::Always] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut bus = bus(directory.path());
        bus.log.sync = sync;
        let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
        let mut receiver = connect::receiver(&bus, "").expect("receiver");
        let mut taker = Taker::default();
        for number in 0..400 {
            send(sender.as_ref(), (number % 4) as i32, number);
        }
        assert!(sender.flush(PATIENCE));
        let counts = sender.counts();
        assert_eq!(
            (
                counts.acknowledged_frames,
                counts.in_flight_frames,
                counts.failed_frames
            ),
            (400, 0, 0),
            "{sync:?}"
        );
        poll_until(receiver.as_mut(), &mut taker, -1, |taker| {
            taker.frames.len() == 400
        });
        for partition in 0..4 {
            let of = taker
                .frames
                .iter()
                .filter(|(from, ..)| *from == stream(partition));
            for (expected, (_, offset, octets)) in of.enumerate() {
                assert_eq!(*offset, expected as i64);
                let number = expected as u64 * 4 + partition as u64;
                assert_eq!(*octets, frame(&[1], b"message", number));
            }
        }
    }
}

#[test]
fn a_sleeping_reader_is_woken() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    let mut receiver = connect::receiver(&bus, "").expect("receiver");
    let mut taker = Taker::default();
    send(sender.as_ref(), 0, 0);
    poll_until(receiver.as_mut(), &mut taker, -1, |taker| taker.frames.len() == 1);
    // Without being woken, it would find most of them only at its next look around, which it takes twice a second.
    const UNTIL_ITS_OWN_LOOK: Duration = Duration::from_millis(100);
    let mut waits = Vec::new();
    for number in 1..=50u64 {
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                let begin = Instant::now();
                send(sender.as_ref(), (number % 4) as i32, number);
                begin
            });
            let before = taker.frames.len();
            let deadline = Instant::now() + PATIENCE;
            while taker.frames.len() == before {
                assert!(Instant::now() < deadline, "never woken");
                receiver.poll(PATIENCE, &mut taker).expect("polls");
            }
            let arrived = Instant::now();
            waits.push(arrived.saturating_duration_since(sent.join().expect("sent")));
        });
    }
    waits.sort();
    println!("woken after {:?} (median), {:?} (longest)", waits[25], waits[49]);
    assert!(waits[25] < UNTIL_ITS_OWN_LOOK, "it was not woken: {waits:?}");
}

#[test]
fn receivers_share_the_streams_and_a_dead_ones_are_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let mut first = connect::receiver(&bus, "").expect("receiver");
    let mut of_first = Taker::default();
    poll_until(first.as_mut(), &mut of_first, -1, |taker| taker.owned.len() == 16);
    let mut second = connect::receiver(&bus, "").expect("receiver");
    let mut of_second = Taker::default();
    let begin = Instant::now();
    while (of_first.owned.len(), of_second.owned.len()) != (8, 8) {
        assert!(
            begin.elapsed() < PATIENCE,
            "{:?} {:?}",
            of_first.owned,
            of_second.owned
        );
        first
            .poll(Duration::from_millis(10), &mut of_first)
            .expect("polls");
        second
            .poll(Duration::from_millis(10), &mut of_second)
            .expect("polls");
        assert!(
            of_first
                .owned
                .iter()
                .all(|stream| !of_second.owned.contains(stream)),
            "a stream with two owners"
        );
    }
    drop(first);
    poll_until(second.as_mut(), &mut of_second, -1, |taker| {
        taker.owned.len() == 16
    });
}

#[test]
fn a_paused_receiver_gives_nothing_and_goes_on_where_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    let mut receiver = connect::receiver(&bus, "").expect("receiver");
    let mut taker = Taker::default();
    for number in 0..20 {
        send(sender.as_ref(), 1, number);
    }
    poll_until(receiver.as_mut(), &mut taker, -1, |taker| taker.frames.len() >= 4);
    receiver.pause(true).expect("paused");
    let before = taker.frames.len();
    for _ in 0..10 {
        receiver
            .poll(Duration::from_millis(5), &mut taker)
            .expect("polls");
    }
    assert_eq!(taker.frames.len(), before);
    assert_eq!(receiver.behind(), 20 - before as u64);
    receiver.pause(false).expect("goes on");
    poll_until(receiver.as_mut(), &mut taker, -1, |taker| {
        taker.frames.len() == 20
    });
    receiver.start(&[(stream(1), 5)]).expect("goes back");
    poll_until(receiver.as_mut(), &mut taker, -1, |taker| {
        taker.frames.len() == 35
    });
    assert_eq!(taker.frames[20].1, 5);
}

#[test]
fn a_new_log_in_the_same_place_is_another_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let name = connect::prepare(&bus, || false).expect("made").expect("a name");
    assert_eq!(
        connect::prepare(&bus, || false).expect("there"),
        Some(name.clone())
    );
    let mut receiver = connect::receiver(&bus, "").expect("receiver");
    let mut taker = Taker::default();
    poll_until(receiver.as_mut(), &mut taker, -1, |taker| !taker.owned.is_empty());
    std::fs::remove_dir_all(Root::of_bus(&bus.log).path()).expect("removed");
    assert_ne!(connect::prepare(&bus, || false).expect("made anew"), Some(name));
    let begin = Instant::now();
    let refused = loop {
        assert!(begin.elapsed() < PATIENCE);
        match receiver.poll(Duration::from_millis(50), &mut taker) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&refused, BusError::Refused(text) if text.contains("another one")),
        "{refused}"
    );
}

#[test]
fn two_senders_of_one_log_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let _first = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    let Err(error) = connect::sender(&bus, &[PayloadKind::Syslog]) else {
        panic!("two writers");
    };
    assert!(error.to_string().contains("bus.log.directory"), "{error}");
}

#[test]
fn dead_letters_of_several_senders_keep_place_reason_and_message() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let mut senders = [log::connect_dead_letters(&bus), log::connect_dead_letters(&bus)]
        .map(|sender| sender.expect("sender"));
    for (number, sender) in senders.iter_mut().enumerate() {
        for index in 0..3u32 {
            let letter = DeadLetter {
                stream: stream(number as i32),
                offset: 5,
                index,
                exporter: "2001:db8::1".parse().expect("address"),
                received_ns: 17,
                reason: "bad_port",
                payload: b"line one\nline two\xff",
            };
            sender.send(&letter, PATIENCE).expect("taken");
        }
        sender.flush(PATIENCE).expect("flushed");
    }
    for number in 0..2 {
        let path = Root::of_bus(&bus.log)
            .path()
            .join(format!("dead-letter/{number}"));
        let seen = read_from(&path, -1);
        assert_eq!(seen.records.len(), 3);
        let (description, message) = letters::read(&seen.records[2].1).expect("a dead letter");
        assert_eq!(message, b"line one\nline two\xff");
        assert_eq!(
            (
                description.stream,
                description.offset,
                description.index,
                description.reason.as_str(),
                description.bytes
            ),
            (format!("syslog/{number}"), 5, 2, "bad_port", 18)
        );
    }
}

/// A file system of its own, in memory, of a given size; unmounted with the value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(mib: u32) -> Self {
        let disk = Self(tempfile::tempdir().expect("a directory"));
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]);
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        self.mount(&["-o", &format!("remount,{how}")]);
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(self.path()).status();
        assert!(status.expect("mount runs").success(), "tests run as root");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Sends frames of 100 kB until memory is full; gives how many were taken.
fn fill(sender: &dyn FrameSender) -> u64 {
    let octets = frame(&[1], &vec![b'x'; 60_000], 0);
    let mut taken = 0;
    while sender.send(stream(0), &octets, 1) != Err(QueueFull) {
        taken += 1;
        assert!(taken < 10_000, "neither disk nor memory is ever full");
    }
    taken
}

#[test]
fn a_full_disk_is_waited_for_in_memory_and_used_again() {
    let disk = Disk::new(4);
    let bus = bus(disk.path());
    let hog = disk.path().join("hog");
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    std::fs::write(&hog, vec![1; 2 << 20]).expect("somebody else's file");
    let taken = fill(sender.as_ref());
    assert!(!sender.is_up());
    let counts = sender.log_counts().expect("a log");
    assert!(
        counts.write_errors > 0 && counts.memory_bytes > 7 << 20 && counts.memory_bytes <= 8 << 20,
        "{counts:?}"
    );
    assert!(sender.counts().acknowledged_frames > 0);
    assert!(!sender.flush(Duration::from_millis(300)));
    // Room: twelve MiB hold all of it.
    disk.remount("size=20m");
    wait_until("the frames in memory to be written", || {
        sender.counts().in_flight_frames == 0
    });
    assert_eq!(sender.counts().acknowledged_frames, taken);
    assert!(sender.is_up());
    let path = Root::of_bus(&bus.log).path().join("syslog/0");
    let seen = read_from(&path, 0);
    assert_eq!((seen.offsets(), seen.lost), ((0..taken as i64).collect(), vec![]));
}

#[test]
fn a_reserve_is_left_free_for_others() {
    let disk = Disk::new(8);
    let mut bus = bus(disk.path());
    bus.log.free_reserve_mib = 4;
    bus.log.when_full = config::WhenFull::DropNewest;
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    fill(sender.as_ref());
    let free = rustix::fs::statvfs(disk.path()).expect("asked");
    let free_mib = (free.f_bavail * free.f_frsize) >> 20;
    assert!((2..=4).contains(&free_mib), "{free_mib} MiB are left");
}

#[test]
fn a_read_only_disk_is_waited_for_in_memory() {
    let disk = Disk::new(16);
    let bus = bus(disk.path());
    disk.remount("ro");
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("starts even so");
    for number in 0..10 {
        send(sender.as_ref(), 0, number);
    }
    assert!(!sender.is_up());
    assert_eq!(sender.counts().in_flight_frames, 10);
    disk.remount("rw");
    wait_until("the frames in memory to be written", || {
        sender.counts().in_flight_frames == 0
    });
    send(sender.as_ref(), 0, 10);
    let path = Root::of_bus(&bus.log).path().join("syslog/0");
    assert_eq!(read_from(&path, 0).records.len(), 11);
}

#[test]
fn a_directory_that_vanishes_comes_back_and_its_readers_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = bus(directory.path());
    let sender = connect::sender(&bus, &[PayloadKind::Syslog]).expect("sender");
    let mut receiver = connect::receiver(&bus, "").expect("receiver");
    let mut taker = Taker::default();
    for number in 0..10 {
        send(sender.as_ref(), 2, number);
    }
    poll_until(receiver.as_mut(), &mut taker, 0, |taker| taker.frames.len() == 10);
    let path = Root::of_bus(&bus.log).path().join("syslog");
    std::fs::remove_dir_all(&path).expect("removed");
    for number in 10..20 {
        send(sender.as_ref(), 2, number);
    }
    wait_until("its directory", || path.join("2").exists());
    wait_until("its file", || {
        std::fs::read_dir(path.join("2")).is_ok_and(|mut entries| {
            entries
                .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".log")))
        })
    });
    for number in 20..30 {
        send(sender.as_ref(), 2, number);
    }
    // The new directory has a new lock: it is given anew, and read from where the database would say.
    let mut offsets = Vec::new();
    poll_until(receiver.as_mut(), &mut taker, 10, |taker| {
        offsets = taker.frames.iter().map(|(_, offset, _)| *offset).collect();
        offsets.contains(&29)
    });
    for offset in 0..30 {
        assert!(offsets.contains(&offset), "{offset} in {offsets:?}");
    }
    assert!(!taker.lost.iter().any(|(.., why)| *why == Loss::Damaged));
}
