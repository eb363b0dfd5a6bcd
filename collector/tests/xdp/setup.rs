//! Filters and exporters of the tests.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use collector::xdp::{Count, XdpFilter};
use config::{Exporter, Exporters};
use wire::packet::samples::{EXPORTERS, LISTENERS};
use wire::verdict::Verdict;

pub const PORT: u16 = 5514;
pub const OTHER_PORT: u16 = 5515;
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn exporters(prefixes: &[&str]) -> Exporters {
    let list = prefixes.iter().map(|prefix| exporter(prefix)).collect();
    Exporters {
        allow_all: false,
        list,
    }
}

pub fn exporter(prefix: &str) -> Exporter {
    Exporter::new(prefix.parse().expect("prefix"))
}

pub fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().expect("address")).collect()
}

pub fn sample_filter() -> XdpFilter {
    XdpFilter::load(&addresses(&LISTENERS), &exporters(&EXPORTERS)).expect("the program loads (run as root)")
}

pub fn any_filter(prefixes: &[&str]) -> XdpFilter {
    let listeners = [format!("0.0.0.0:{PORT}"), format!("[::]:{PORT}")];
    let listeners = listeners.map(|text| text.parse().expect("address"));
    XdpFilter::load(&listeners, &exporters(prefixes)).expect("the program loads (run as root)")
}

pub fn packets(counts: &[Count], exporter: Option<&str>, verdict: Verdict) -> u64 {
    let found = counts
        .iter()
        .find(|count| count.exporter.as_deref() == exporter && count.verdict == verdict);
    found.map_or(0, |count| count.packets)
}

pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
