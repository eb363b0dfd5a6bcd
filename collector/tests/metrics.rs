//! docs/metrics.md, the table in the code, and what is really rendered say the same.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::LogCounts;
use collector::metrics::{ALL, LOG, Metric, STREAM, XDP, XSK, render, render_log, render_xdp, render_xsk};
use collector::receive::xsk::counters::XskView;
use collector::receive::xsk::open::OpenQueue;
use collector::xdp::Count;
use daemon::metrics::{Text, Type};
use wire::verdict::{Verdict, XskQueue};

fn line(metric: &Metric) -> String {
    let metric_type = if metric.metric_type == Type::Counter {
        "counter"
    } else {
        "gauge"
    };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!(
        "| `{}` | {metric_type} | {} | {} |",
        metric.name,
        labels.join(", "),
        metric.help
    )
    .replace("|  |", "| |")
}

#[test]
fn the_page_has_the_table_of_the_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"))
        .expect("the page");
    let section = page
        .split_once("\n## Collector\n")
        .expect("a section Collector")
        .1;
    let section = section
        .split_once("\n## ")
        .map_or(section, |(section, _)| section);
    let on_page: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let in_code: Vec<_> = ALL
        .iter()
        .chain(XSK)
        .chain(STREAM)
        .chain(LOG)
        .chain(XDP)
        .map(|metric| line(metric))
        .collect();
    assert_eq!(
        on_page,
        in_code,
        "docs/metrics.md should have:\n{}",
        in_code.join("\n")
    );
}

/// Names and labels of the samples of a rendered text.
fn rendered(text: &str) -> BTreeSet<(String, Vec<String>)> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let series = line.rsplit_once(' ').expect("a value").0;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned());
            (name.to_owned(), labels.collect())
        })
        .collect()
}

fn table(metrics: &[&Metric]) -> BTreeSet<(String, Vec<String>)> {
    let labels = |metric: &Metric| metric.labels.iter().map(|&label| label.to_owned()).collect();
    metrics
        .iter()
        .map(|metric| (metric.name.to_owned(), labels(metric)))
        .collect()
}

#[test]
fn what_is_rendered_is_the_table() {
    let bus = Arc::new(common::MemoryBus::default());
    let collector = collector::Collector::start(&common::config("", &[]), bus).expect("starts");
    let mut text = Text::default();
    render(&collector.view(), &mut text);
    assert_eq!(rendered(&text.finish()), table(ALL));
    collector.stop(common::PATIENCE);

    let bus = Arc::new(common::MemoryBus::default());
    let more = "[[collector.listener]]\nkind = \"syslog\"\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"";
    let collector = collector::Collector::start(&common::config(more, &[]), bus).expect("starts");
    let mut text = Text::default();
    render(&collector.view(), &mut text);
    assert_eq!(rendered(&text.finish()), table(&[ALL, STREAM].concat()));
    collector.stop(common::PATIENCE);

    let mut text = Text::default();
    let queue = OpenQueue {
        interface: "eth0".into(),
        place: XskQueue {
            interface: 2,
            queue: 3,
        },
        zero_copy: true,
        frames_bytes: 4096,
        huge_pages: false,
    };
    let view = XskView {
        queues: vec![queue],
        threads: vec![Arc::default()],
    };
    render_xsk(&view, &mut text);
    let text = text.finish();
    assert_eq!(rendered(&text), table(XSK));
    for line in [
        "{interface=\"eth0\",queue=\"3\"} 1\n",
        "{pages=\"normal\"} 4096\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }

    let mut text = Text::default();
    let log = LogCounts {
        dropped_datagrams: vec![(Some([192, 0, 2, 1].into()), 7), (None, 2)],
        ..LogCounts::default()
    };
    render_log(&log, &mut text);
    let text = text.finish();
    assert_eq!(rendered(&text), table(LOG));
    for line in ["exporter=\"192.0.2.1\"} 7\n", "exporter=\"others\"} 2\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let mut text = Text::default();
    let count = Count {
        exporter: Some("cgn7".into()),
        verdict: Verdict::Accepted,
        packets: 3,
        octets: 300,
    };
    render_xdp(&[count], &mut text);
    let text = text.finish();
    assert_eq!(rendered(&text), table(XDP));
    assert!(
        text.contains("natrail_xdp_packets_total{exporter=\"cgn7\",verdict=\"accepted\"} 3\n"),
        "{text}"
    );
}
