//! Writes first inputs for the fuzz targets: whole logs of a few shapes, as natrail writes them, the decoders' sample
//! lines, and flow records of real exporters.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example corpus`, before the first `cargo fuzz run`.

use std::collections::BTreeMap;
use std::path::Path;

use fuzz::files::{Kind, push};
use fuzz::{Log, flow};

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let octets = corpus.join("frame_log_octets");
    std::fs::create_dir_all(&octets)?;
    // Records of these lengths; behind each `true` a new segment begins.
    let shapes: [&[(usize, bool)]; 5] = [
        &[],
        &[(0, false)],
        &[(5, false), (300, false), (0, false)],
        &[(10, true), (20, true), (30, false)],
        &[
            (1000, false),
            (1, true),
            (2000, false),
            (40, false),
            (7, true),
            (3, false),
        ],
    ];
    for (number, shape) in shapes.iter().enumerate() {
        for sealed in [false, true] {
            let name = format!("whole-{number}{}", if sealed { "-sealed" } else { "" });
            std::fs::write(octets.join(name), files(shape, sealed)?)?;
        }
    }
    // What frame_log_damage makes a log and its damages of is any octets.
    let damage = corpus.join("frame_log_damage");
    std::fs::create_dir_all(&damage)?;
    for number in 0..8u8 {
        let octets: Vec<u8> = (0..=255u8)
            .map(|octet| octet.wrapping_mul(2 * number + 1))
            .collect();
        std::fs::write(damage.join(format!("any-{number}")), octets)?;
    }
    lines(&corpus)?;
    flow_records(&corpus)
}

/// The decoders' sample lines, for each target that decodes.
fn lines(corpus: &Path) -> std::io::Result<()> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../decode/tests/samples");
    for target in [
        "syslog_auto",
        "syslog_keyvalue",
        "syslog_structured",
        "syslog_text",
    ] {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory)?;
        for file in std::fs::read_dir(&samples)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let octets = std::fs::read(&path)?;
            for (number, line) in octets.split(|&octet| octet == b'\n').enumerate() {
                std::fs::write(directory.join(format!("{name}-{number}")), line)?;
            }
        }
    }
    Ok(())
}

/// The datagrams of each exporter among the decoder's fixtures, for the target of their version.
fn flow_records(corpus: &Path) -> std::io::Result<()> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../decode/tests/fixtures");
    let mut stream = String::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in std::fs::read_to_string(fixtures.join("decoded.txt"))?.lines() {
        match line.split_once(' ') {
            Some(("stream", name)) => name.clone_into(&mut stream),
            Some(("file", name)) if !name.ends_with(".hex") => {
                files.push((stream.clone(), std::fs::read(fixtures.join(name))?));
            }
            _ => {}
        }
    }
    for (target, version) in [("netflow_v5", 5), ("netflow_v9", 9), ("ipfix", 10)] {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        let of_version = files
            .iter()
            .filter(|(_, payload)| payload.get(1) == Some(&version));
        let mut inputs: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for (stream, payload) in of_version {
            // The first profile, and no restart.
            let octets = inputs.entry(stream).or_insert_with(|| vec![0, u8::MAX]);
            flow::push(octets, payload);
        }
        for (stream, octets) in inputs {
            std::fs::write(folder.join(stream), octets)?;
        }
    }
    Ok(())
}

/// The files of a log with such records; `sealed`: their checksums are made right when they are read.
fn files(shape: &[(usize, bool)], sealed: bool) -> std::io::Result<Vec<u8>> {
    let log = Log::default();
    let mut partition = log.open();
    for (number, &(length, seals)) in shape.iter().enumerate() {
        partition.append(number as u64 + 1, 1, &vec![number as u8; length])?;
        if seals {
            partition.seal();
        }
    }
    let directory = log.stream();
    let mut octets = Vec::new();
    for base in directory.segments()? {
        let (segment, index) = (directory.segment(base), directory.index(base));
        push(&mut octets, Kind::Segment, sealed, &std::fs::read(segment)?);
        push(&mut octets, Kind::Index, sealed, &std::fs::read(index)?);
    }
    let mut position = bus::log::position::PositionFile::open(&directory)?;
    position.consumed(shape.len() as i64 / 2)?;
    let position = std::fs::read(directory.position())?;
    push(&mut octets, Kind::Position, sealed, &position);
    Ok(octets)
}
