//! Decoding allocates nothing, whatever the message.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use decode::exporter::Settings;
use decode::exporter::pattern::{Options, Pattern};
use decode::exporter::vrf::VrfNames;
use decode::{Exporter, Profile};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

// SAFETY: everything is handed to `System` as it came; the counter is a constant-initialised thread-local without a
// destructor, so counting neither allocates nor outlives the thread's storage.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_line_allocates() {
    let mut lines: Vec<_> = common::logs().iter().flat_map(|log| common::lines(log)).collect();
    lines.push(b"A VRF 0 6 INT [2001:db8::1]:80 EXT 100.64.0.1:81".to_vec());
    lines.push(vec![b'"'; 8000]);
    lines.push(vec![0xff; 8000]);
    lines.push(vec![b' '; 9000]);
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0_u8; 64]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");

    let (mut events, before) = (0, ALLOCATIONS.get());
    for line in &lines {
        for profile in Profile::ALL {
            let _ = decode::syslog::decode(profile, line, |event| {
                std::hint::black_box(event);
                events += 1;
            });
        }
    }
    assert_eq!(
        ALLOCATIONS.get() - before,
        0,
        "allocations for {} lines",
        lines.len()
    );
    assert!(events > 330, "{events} events");
}

/// Once a pattern has made its states, all that may be said of an exporter costs no allocation.
#[test]
fn no_line_of_an_exporter_with_settings_allocates() {
    let text = r" (?<event>\w+) (?<src_ip>\S+) (?<x_ip>\S+) (?<time>[0-9: -]+)$";
    let mut exporter = Exporter::new(Settings {
        zone: Some("Europe/Berlin".parse().expect("a zone")),
        vrf: VrfNames {
            default: Some("global".into()),
            names: [("1".into(), "blue".into())].into(),
        },
        patterns: vec![Pattern::new(text, Options::default()).expect("good")],
        ..Settings::from(Profile::Auto)
    });
    let mut lines: Vec<_> = common::logs().iter().flat_map(|log| common::lines(log)).collect();
    lines.push(b"<1>Nov 18 09:56:58 h add 10.0.0.1 203.0.113.1 2026-01-01 00:00:00".to_vec());
    let (mut events, mut counts) = (0, [0; 3]);
    for count in &mut counts {
        let before = ALLOCATIONS.get();
        for line in &lines {
            let _ = exporter.decode(line, 1_782_918_011_000_000_000, |event| {
                std::hint::black_box(event);
                events += 1;
            });
        }
        *count = ALLOCATIONS.get() - before;
    }
    assert_eq!(counts[1..], [0, 0], "allocations for {} lines", lines.len());
    assert!(events > 300, "{events} events");
}

/// The records of a datagram whose template is known, of NetFlow v9 and of IPFIX with variable fields.
#[test]
fn no_flow_record_allocates() {
    struct Count(u64);
    impl decode::netflow::Sink for Count {
        fn event(&mut self, event: &event::Event<'_>, _origin: decode::netflow::Origin) {
            std::hint::black_box(event);
            self.0 += 1;
        }
    }
    let fixture = |file: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        std::fs::read(folder.join(file)).expect("a fixture")
    };
    let hex = String::from_utf8(fixture("nfware/netflow_v9.hex")).expect("text");
    let nfware: Vec<u8> = (0..hex.trim().len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hexadecimal"))
        .collect();
    let datagrams = [
        nfware,
        fixture("logstash-codec-netflow/ipfix_test_nokia_bras_tpl.dat"),
        fixture("logstash-codec-netflow/ipfix_test_nokia_bras_data256.dat"),
        fixture("logstash-codec-netflow/netflow5_test_juniper_mx80.dat"),
    ];
    let mut exporters = decode::netflow::Exporters::default();
    let mut sink = Count(0);
    let mut all = |sink: &mut Count| {
        for (payload, tag) in datagrams.iter().zip(0..) {
            let datagram = decode::netflow::Datagram {
                exporter: std::net::IpAddr::from([192, 0, 2, 1]),
                received_ns: 0,
                tag,
                payload,
            };
            exporters.decode(decode::netflow::Profile::Auto, &datagram, sink);
        }
    };
    all(&mut sink);
    let before = ALLOCATIONS.get();
    (0..10).for_each(|_| all(&mut sink));
    assert_eq!(
        ALLOCATIONS.get() - before,
        0,
        "allocations once templates are known"
    );
    assert_eq!(sink.0, 11 * 11, "events");
}
