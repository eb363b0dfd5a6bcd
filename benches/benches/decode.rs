//! `cargo bench --bench decode`: ns per line of each kind.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use natrail_benches::decode_lines::{Expressions, Lines};

fn decoders(criterion: &mut Criterion) {
    let expressions = Expressions::default();
    let mut group = criterion.benchmark_group("decode");
    // One line is one element: the time shown is that of a line, the next one in turn.
    group.throughput(Throughput::Elements(1));
    for kind in Lines::ALL {
        let lines = kind.make();
        let mut next = lines.iter().cycle();
        group.bench_function(kind.name(), |bencher| {
            bencher.iter(|| {
                decode::syslog::decode(
                    kind.profile(),
                    black_box(next.next().expect("an endless cycle")),
                    |event| {
                        black_box(event);
                    },
                )
            });
        });
        let mut next = lines.iter().cycle();
        group.bench_function(format!("{}/regex", kind.name()), |bencher| {
            bencher.iter(|| {
                black_box(expressions.decode(kind, black_box(next.next().expect("an endless cycle"))))
                    .is_some()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoders);
criterion_main!(benches);
