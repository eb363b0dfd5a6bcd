//! Decoding in ns per line, beside the same grammars as regular expressions.
//!
//! All read the same lines in alternating rounds of one run; the medians are compared. Decoding is measured with the
//! device's own profile, and with `auto`. `--json` prints one object per measure, else a table. Where
//! `NATRAIL_PEER_CGN_EC` names a checkout of cgn-ec-consumer, its Python handlers read the lines of the vendors that they
//! know in the same run; `--peers` measures these alone. `--count KIND PASSES`
//! decodes its lines a fixed number of times and does nothing else, as `auto` if the kind ends with `_auto`: run under
//! `valgrind --tool=callgrind`, the difference of two counts is the instructions per line.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use decode::Profile;
use natrail_benches::decode_lines::peer::Peer;
use natrail_benches::decode_lines::{Expressions, LINES, Lines};
use natrail_benches::measure::Measure;

const ROUNDS: usize = 41;
/// Of cgn-ec's consumer, each of one pass over the lines.
const PEER_ROUNDS: usize = 11;
/// Passes over the lines in one round.
const PASSES: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            table();
            peers(|measure| println!("{measure}"));
        }
        ["--json"] => {
            json();
            peers(|measure| println!("{}", measure.json()));
        }
        ["--peers"] => peers(|measure| println!("{}", measure.json())),
        ["--count", kind, passes] => {
            let (name, as_auto) = match kind.strip_suffix("_auto") {
                Some(name) => (name, true),
                None => (kind, false),
            };
            let lines = Lines::ALL.iter().find(|lines| lines.name() == name);
            let (Some(lines), Ok(passes)) = (lines, passes.parse()) else {
                return usage();
            };
            count(*lines, as_auto, passes);
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let kinds: Vec<_> = Lines::ALL.iter().map(|lines| lines.name()).collect();
    eprintln!(
        "usage: decode_bench [--json | --peers | --count KIND[_auto] PASSES]\nkinds: {}",
        kinds.join(", ")
    );
    ExitCode::from(2)
}

fn table() {
    println!(
        "{:<16} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7}",
        "lines", "octets", "ns/line", "best", "auto", "regex", "ratio"
    );
    for lines in Lines::ALL {
        let Measured {
            octets,
            own_ns,
            own_best_ns,
            auto_ns,
            regex_ns,
        } = measure(lines);
        let (name, ratio) = (lines.name(), own_ns / regex_ns);
        println!(
            "{name:<16} {octets:>7.0} {own_ns:>10.1} {own_best_ns:>10.1} {auto_ns:>10.1} {regex_ns:>10.1} {ratio:>7.4}"
        );
    }
}

fn json() {
    for lines in Lines::ALL {
        let Measured {
            own_ns,
            auto_ns,
            regex_ns,
            ..
        } = measure(lines);
        for (profile, ns) in [("", own_ns), ("_auto", auto_ns)] {
            println!(
                "{{\"bench\":\"decode\",\"measure\":\"{}{profile}_ns_per_line\",\"value\":{ns:.2},\"unit\":\"ns\",\
                 \"against\":\"regex\",\"against_value\":{regex_ns:.2},\"ratio\":{:.4}}}",
                lines.name(),
                ns / regex_ns,
            );
        }
    }
}

/// The vendors that cgn-ec's consumer knows too, if the environment names a checkout of it: both read the same lines, one
/// behind the other, on the core that they share.
fn peers(print: impl Fn(&Measure)) {
    let Some(peer) = Peer::from_environment() else {
        return;
    };
    for kind in Lines::ALL {
        let lines = kind.make();
        match peer.rounds_ns(kind, &lines, PEER_ROUNDS) {
            Ok(Some(peer_ns)) => {
                let own = (0..ROUNDS).map(|_| ns_per_line(PASSES, || pass(kind.profile(), &lines)));
                let (own_ns, peer_ns) = (median(own.collect()), median(peer_ns));
                print(&Measure {
                    bench: "decode",
                    measure: kind.peer_measure(),
                    value: peer_ns,
                    unit: "ns",
                    against: Some(("natrail", own_ns)),
                });
            }
            Ok(None) => {}
            Err(error) => eprintln!("{}: {error:#}", kind.name()),
        }
    }
}

struct Measured {
    octets: f64,
    /// With the device's own profile.
    own_ns: f64,
    /// The fastest round: what is left when nobody else wants the core.
    own_best_ns: f64,
    auto_ns: f64,
    regex_ns: f64,
}

fn measure(kind: Lines) -> Measured {
    let expressions = Expressions::default();
    let lines = kind.make();
    let octets = lines.iter().map(Vec::len).sum::<usize>() as f64 / LINES as f64;
    let (mut own, mut auto, mut regex) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(ns_per_line(PASSES, || pass(kind.profile(), &lines)));
        auto.push(ns_per_line(PASSES, || pass(Profile::Auto, &lines)));
        regex.push(ns_per_line(1, || {
            for line in &lines {
                black_box(expressions.decode(kind, black_box(line)));
            }
        }));
    }
    let own_best_ns = own.iter().copied().fold(f64::INFINITY, f64::min);
    Measured {
        octets,
        own_ns: median(own),
        own_best_ns,
        auto_ns: median(auto),
        regex_ns: median(regex),
    }
}

fn pass(profile: Profile, lines: &[Vec<u8>]) {
    for line in lines {
        let outcome = decode::syslog::decode(black_box(profile), black_box(line), |event| {
            black_box(event);
        });
        black_box(outcome).expect("a good line");
    }
}

fn ns_per_line(passes: usize, mut pass: impl FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..passes {
        pass();
    }
    begin.elapsed().as_nanos() as f64 / (passes * LINES) as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn count(kind: Lines, as_auto: bool, passes: usize) {
    let lines = kind.make();
    let profile = if as_auto { Profile::Auto } else { kind.profile() };
    for _ in 0..passes {
        pass(profile, &lines);
    }
}
