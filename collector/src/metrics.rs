//! The collector's metrics. Their names, labels and help stand in one table, which docs/metrics.md repeats.

use bus::LogCounts;
use daemon::metrics::{Text, Type};
use rustc_hash::FxHashMap;

use crate::collector::View;
use crate::receive::xsk::counters::XskView;
use crate::stream::counters::{Ending, Refusal, StreamCounters};
use crate::xdp::Count;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub metric_type: Type,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        metric_type: Type::Counter,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        metric_type: Type::Gauge,
        labels,
        help,
    }
}

const RECEIVED: Metric = counter(
    "natrail_collector_datagrams_received_total",
    &[],
    "Datagrams taken from the sockets and AF_XDP, and messages from TCP and TLS connections. Equals framed + dropped.",
);
const RECEIVED_BYTES: Metric = counter(
    "natrail_collector_received_bytes_total",
    &[],
    "Octets of payload of the datagrams received.",
);
const FRAMED: Metric = counter(
    "natrail_collector_datagrams_framed_total",
    &[],
    "Datagrams put into frames. Equals acknowledged + failed + those on their way.",
);
const DROPPED: Metric = counter(
    "natrail_collector_datagrams_dropped_total",
    &["reason"],
    "Datagrams received and dropped: not_allowed (exporter not on the allow-list), rate_limited (more than the exporter's rate_max), pri_masked (facilities, severity_max), filtered (keep, drop), no_buffer (the bus does not keep up), malformed (no usable sender; by AF_XDP, a wrong checksum).",
);
const EXPORTER_DROPPED: Metric = counter(
    "natrail_collector_exporter_dropped_total",
    &["exporter"],
    "The no_buffer drops by exporter; `others` beyond 1024 exporters a thread.",
);
const TRUNCATED: Metric = counter(
    "natrail_collector_datagrams_truncated_total",
    &[],
    "Datagrams framed without their end: longer than collector.datagram_bytes_max, or cut messages of TCP and TLS.",
);
const KERNEL_DROPS: Metric = counter(
    "natrail_collector_kernel_drops_total",
    &[],
    "Datagrams that the kernel dropped at the sockets: receive buffer full, wrong checksum, or the collector was ending. Not part of received.",
);
const FRAMES: Metric = counter(
    "natrail_collector_frames_total",
    &["closed_by"],
    "Frames closed: by size, by age, or by stop.",
);
const FRAMES_ACKNOWLEDGED: Metric = counter(
    "natrail_collector_frames_acknowledged_total",
    &[],
    "Frames that the bus has acknowledged, also those of the ledger.",
);
const ACKNOWLEDGED: Metric = counter(
    "natrail_collector_datagrams_acknowledged_total",
    &[],
    "Datagrams in frames that the bus has acknowledged.",
);
const FRAMES_FAILED: Metric = counter(
    "natrail_collector_frames_failed_total",
    &[],
    "Frames that the bus refused for good.",
);
const FAILED: Metric = counter(
    "natrail_collector_datagrams_failed_total",
    &[],
    "Datagrams in frames that the bus refused for good.",
);
const IN_FLIGHT: Metric = gauge(
    "natrail_collector_frames_in_flight",
    &[],
    "Frames handed to the bus and neither acknowledged nor refused yet, also those of the ledger.",
);
const BUS_UP: Metric = gauge(
    "natrail_collector_bus_up",
    &[],
    "1 if the bus answered last time, else 0.",
);
const BUS_STALLS: Metric = counter(
    "natrail_collector_bus_stalls_total",
    &[],
    "Frames that had to wait because the bus's memory was full.",
);
const REARMS: Metric = counter(
    "natrail_collector_buffer_rearms_total",
    &["cause"],
    "Receive requests armed again: no_buffer (raise collector.ring_buffers if it grows steadily) or other (an empty datagram ends a request).",
);
const RESIDENT: Metric = gauge(
    "natrail_collector_resident_bytes",
    &[],
    "Memory of this process that is in RAM, in octets.",
);

const LOG_BYTES: Metric = gauge(
    "natrail_collector_log_bytes",
    &[],
    "Octets of the frame log on the disk: the bus itself, or the spill of Kafka. Metrics of the log are absent without one.",
);
const LOG_SEGMENTS: Metric = gauge("natrail_collector_log_segments", &[], "Files that they are in.");
const LOG_MEMORY: Metric = gauge(
    "natrail_collector_log_memory_bytes",
    &[],
    "Octets of frames that are kept in memory since the disk refuses them.",
);
const LOG_WRITE_ERRORS: Metric = counter(
    "natrail_collector_log_write_errors_total",
    &[],
    "Times the disk refused frames or could not be synced.",
);
const LOG_DROPPED_FRAMES: Metric = counter(
    "natrail_collector_log_dropped_frames_total",
    &[],
    "Frames that the log's bounds dropped before they were consumed.",
);
const LOG_DROPPED: Metric = counter(
    "natrail_collector_log_dropped_datagrams_total",
    &["exporter"],
    "Datagrams in them, by exporter; `others` beyond 1024 exporters.",
);
const SPILLED: Metric = counter(
    "natrail_collector_spill_frames_total",
    &[],
    "Frames that went to the disk since Kafka did not take them.",
);
const SPILL_WAITING: Metric = gauge(
    "natrail_collector_spill_waiting_frames",
    &[],
    "Frames on the disk that Kafka has not acknowledged yet.",
);

const STREAM_MESSAGES: Metric = counter(
    "natrail_collector_stream_messages_total",
    &["transport"],
    "Those of the datagrams received that were messages of connections: tcp or tls. Metrics of streams are absent without a TCP or TLS listener.",
);
const STREAM_CUT: Metric = counter(
    "natrail_collector_stream_messages_cut_total",
    &["cause"],
    "Those of the datagrams truncated that were messages of connections: line_bytes_max (longer than that) or end (the connection ended in it).",
);
const STREAM_OPEN: Metric = gauge(
    "natrail_collector_stream_connections",
    &[],
    "Connections that are open. Equals accepted - ended.",
);
const STREAM_ACCEPTED: Metric = counter(
    "natrail_collector_stream_connections_accepted_total",
    &[],
    "Connections that were let in.",
);
const STREAM_REFUSED: Metric = counter(
    "natrail_collector_stream_connections_refused_total",
    &["reason"],
    "Connections closed before an octet was read: not_allowed (source not on the allow-list), too_many (connections_max), too_many_from_source (connections_per_source_max), no_resources (no descriptor or memory; tried again, and each attempt counts).",
);
const STREAM_ENDED: Metric = counter(
    "natrail_collector_stream_connections_ended_total",
    &["reason"],
    "Connections ended: closed (by the peer), reset (broken), idle (no whole message for idle_s), handshake (of TLS: failed or too slow), tls (what came is no TLS), bad_count (octet counting without a count), not_allowed (after a reload), stop (of the collector).",
);
const STREAM_PAUSES: Metric = counter(
    "natrail_collector_stream_pauses_total",
    &[],
    "Times that reading from connections stopped since the bus does not keep up; their peers wait meanwhile.",
);

const XSK_PACKETS: Metric = counter(
    "natrail_collector_af_xdp_packets_total",
    &[],
    "Those of the datagrams received that came by AF_XDP. Metrics of AF_XDP are absent without receive = \"af_xdp\".",
);
const XSK_BAD_CHECKSUMS: Metric = counter(
    "natrail_collector_af_xdp_bad_checksums_total",
    &[],
    "Those of the malformed that had a wrong checksum of IPv4 or UDP.",
);
const XSK_DROPPED: Metric = counter(
    "natrail_collector_af_xdp_dropped_total",
    &["reason"],
    "Packets redirected and lost before the collector took them: ring_full (a thread does not keep up; raise collector.af_xdp.ring_entries), no_frame (all frames are in use; raise frames). Not part of received. Redirected = packets + dropped + what waits in the rings.",
);
const XSK_FILL_EMPTY: Metric = counter(
    "natrail_collector_af_xdp_fill_ring_empty_total",
    &[],
    "Times that the kernel found no frame in a fill ring.",
);
const XSK_INVALID: Metric = counter(
    "natrail_collector_af_xdp_invalid_descriptors_total",
    &[],
    "Descriptors in a fill ring that the kernel refused. Always 0 unless natrail is at fault.",
);
const XSK_ZERO_COPY: Metric = gauge(
    "natrail_collector_af_xdp_zero_copy",
    &["interface", "queue"],
    "1 if the driver writes into the frames of this queue itself, 0 if the kernel copies.",
);
const XSK_FRAMES: Metric = gauge(
    "natrail_collector_af_xdp_frames_bytes",
    &["pages"],
    "Locked memory of all frames, in octets: in huge or in normal pages.",
);

const XDP_PACKETS: Metric = counter(
    "natrail_xdp_packets_total",
    &["exporter", "verdict"],
    "Packets that the XDP program saw, by what became of them; exporter `none` for sources that are no exporter. Absent without [collector.xdp].",
);
const XDP_BYTES: Metric = counter(
    "natrail_xdp_bytes_total",
    &["exporter", "verdict"],
    "Octets of those packets, from the Ethernet header on.",
);

/// All metrics of the collector's program in the kernel.
pub const XDP: &[&Metric] = &[&XDP_PACKETS, &XDP_BYTES];

/// All metrics of AF_XDP, in the order in which they are shown.
pub const XSK: &[&Metric] = &[
    &XSK_PACKETS,
    &XSK_BAD_CHECKSUMS,
    &XSK_DROPPED,
    &XSK_FILL_EMPTY,
    &XSK_INVALID,
    &XSK_ZERO_COPY,
    &XSK_FRAMES,
];

/// All metrics of TCP and TLS, in the order in which they are shown.
pub const STREAM: &[&Metric] = &[
    &STREAM_MESSAGES,
    &STREAM_CUT,
    &STREAM_OPEN,
    &STREAM_ACCEPTED,
    &STREAM_REFUSED,
    &STREAM_ENDED,
    &STREAM_PAUSES,
];

/// All metrics of the collector's frame log, in the order in which they are shown.
pub const LOG: &[&Metric] = &[
    &LOG_BYTES,
    &LOG_SEGMENTS,
    &LOG_MEMORY,
    &LOG_WRITE_ERRORS,
    &LOG_DROPPED_FRAMES,
    &LOG_DROPPED,
    &SPILLED,
    &SPILL_WAITING,
];

/// All metrics of the collector itself, in the order in which they are shown.
pub const ALL: &[&Metric] = &[
    &RECEIVED,
    &RECEIVED_BYTES,
    &FRAMED,
    &DROPPED,
    &EXPORTER_DROPPED,
    &TRUNCATED,
    &KERNEL_DROPS,
    &FRAMES,
    &FRAMES_ACKNOWLEDGED,
    &ACKNOWLEDGED,
    &FRAMES_FAILED,
    &FAILED,
    &IN_FLIGHT,
    &BUS_UP,
    &BUS_STALLS,
    &REARMS,
    &RESIDENT,
];

/// Writes the present values of [`ALL`], and of [`XSK`], [`STREAM`] and [`LOG`] if there are such.
pub fn render(view: &View, text: &mut Text) {
    render_own(view, text);
    if let Some(af_xdp) = &view.af_xdp {
        render_xsk(af_xdp, text);
    }
    if let Some(streams) = &view.streams {
        render_streams(streams, text);
    }
    if let Some(log) = view.sender.log_counts() {
        render_log(&log, text);
    }
}

/// Writes the values of [`XSK`].
pub fn render_xsk(af_xdp: &XskView, text: &mut Text) {
    single(text, &XSK_PACKETS, af_xdp.sum(|thread| &thread.packets));
    single(
        text,
        &XSK_BAD_CHECKSUMS,
        af_xdp.sum(|thread| &thread.bad_checksums),
    );
    let reasons = [
        ("ring_full", af_xdp.sum(|thread| &thread.ring_full)),
        ("no_frame", af_xdp.sum(|thread| &thread.no_frame)),
    ];
    labelled(text, &XSK_DROPPED, reasons);
    single(
        text,
        &XSK_FILL_EMPTY,
        af_xdp.sum(|thread| &thread.fill_ring_empty),
    );
    single(
        text,
        &XSK_INVALID,
        af_xdp.sum(|thread| &thread.invalid_descriptors),
    );
    text.metric(XSK_ZERO_COPY.name, XSK_ZERO_COPY.metric_type, XSK_ZERO_COPY.help);
    for queue in &af_xdp.queues {
        let number = queue.place.queue.to_string();
        let labels = [("interface", queue.interface.as_str()), ("queue", &number)];
        text.sample(XSK_ZERO_COPY.name, &labels, u64::from(queue.zero_copy));
    }
    let bytes = |huge| {
        let queues = af_xdp.queues.iter().filter(|queue| queue.huge_pages == huge);
        queues.map(|queue| queue.frames_bytes as u64).sum()
    };
    labelled(
        text,
        &XSK_FRAMES,
        [("huge", bytes(true)), ("normal", bytes(false))],
    );
}

/// Writes the values of [`STREAM`].
fn render_streams(streams: &StreamCounters, text: &mut Text) {
    let transports = [
        ("tcp", streams.tcp_messages.get()),
        ("tls", streams.tls_messages.get()),
    ];
    labelled(text, &STREAM_MESSAGES, transports);
    let causes = [
        ("line_bytes_max", streams.cut_long.get()),
        ("end", streams.cut_by_end.get()),
    ];
    labelled(text, &STREAM_CUT, causes);
    single(text, &STREAM_OPEN, streams.open());
    single(text, &STREAM_ACCEPTED, streams.accepted.get());
    let refusals = Refusal::ALL.map(|refusal| (refusal.name(), streams.refused(refusal).get()));
    labelled(text, &STREAM_REFUSED, refusals);
    let endings = Ending::ALL.map(|ending| (ending.name(), streams.ended(ending).get()));
    labelled(text, &STREAM_ENDED, endings);
    single(text, &STREAM_PAUSES, streams.pauses.get());
}

/// Writes the values of [`LOG`].
pub fn render_log(log: &LogCounts, text: &mut Text) {
    single(text, &LOG_BYTES, log.bytes);
    single(text, &LOG_SEGMENTS, log.segments);
    single(text, &LOG_MEMORY, log.memory_bytes);
    single(text, &LOG_WRITE_ERRORS, log.write_errors);
    single(text, &LOG_DROPPED_FRAMES, log.dropped_frames);
    text.metric(LOG_DROPPED.name, LOG_DROPPED.metric_type, LOG_DROPPED.help);
    let mut others = 0;
    for (exporter, datagrams) in &log.dropped_datagrams {
        match exporter {
            Some(exporter) => {
                let exporter = exporter.to_string();
                text.sample(LOG_DROPPED.name, &[("exporter", &exporter)], datagrams);
            }
            None => others += datagrams,
        }
    }
    text.sample(LOG_DROPPED.name, &[("exporter", "others")], others);
    single(text, &SPILLED, log.spilled_frames);
    single(text, &SPILL_WAITING, log.waiting_frames);
}

fn render_own(view: &View, text: &mut Text) {
    let counts = view.counts();
    let sent = view.sender.counts();
    single(text, &RECEIVED, counts.received);
    single(text, &RECEIVED_BYTES, counts.received_bytes);
    single(text, &FRAMED, counts.framed);
    labelled(text, &DROPPED, counts.dropped_by_reason());
    exporters(view, text);
    single(text, &TRUNCATED, counts.truncated);
    single(text, &KERNEL_DROPS, counts.kernel_drops);
    let causes = [
        ("size", counts.frames_by_size),
        ("age", counts.frames_by_age),
        ("stop", counts.frames_by_stop),
    ];
    labelled(text, &FRAMES, causes);
    single(text, &FRAMES_ACKNOWLEDGED, sent.acknowledged_frames);
    single(text, &ACKNOWLEDGED, sent.acknowledged_datagrams);
    single(text, &FRAMES_FAILED, sent.failed_frames);
    single(text, &FAILED, sent.failed_datagrams);
    single(text, &IN_FLIGHT, sent.in_flight_frames);
    single(text, &BUS_UP, u64::from(view.sender.is_up()));
    single(text, &BUS_STALLS, view.stalls.get());
    labelled(
        text,
        &REARMS,
        [("no_buffer", counts.out_of_buffers), ("other", counts.rearms)],
    );
    single(text, &RESIDENT, daemon::memory::resident_bytes().unwrap_or(0));
}

/// Writes the present values of [`XDP`].
pub fn render_xdp(counts: &[Count], text: &mut Text) {
    xdp_samples(counts, text, &XDP_PACKETS, |count| count.packets);
    xdp_samples(counts, text, &XDP_BYTES, |count| count.octets);
}

fn xdp_samples(counts: &[Count], text: &mut Text, metric: &Metric, value: fn(&Count) -> u64) {
    text.metric(metric.name, metric.metric_type, metric.help);
    for count in counts {
        let labels = [
            ("exporter", count.exporter.as_deref().unwrap_or("none")),
            ("verdict", count.verdict.name()),
        ];
        text.sample(metric.name, &labels, value(count));
    }
}

fn exporters(view: &View, text: &mut Text) {
    let mut sums = FxHashMap::default();
    let others: u64 = view
        .threads
        .iter()
        .map(|thread| thread.dropped_exporters.add_to(&mut sums))
        .sum();
    let metric = EXPORTER_DROPPED;
    text.metric(metric.name, metric.metric_type, metric.help);
    for (exporter, count) in sums {
        text.sample(metric.name, &[("exporter", &exporter.to_string())], count);
    }
    text.sample(metric.name, &[("exporter", "others")], others);
}

fn single(text: &mut Text, metric: &Metric, value: u64) {
    text.single(metric.name, metric.metric_type, metric.help, value);
}

/// One sample for each value of the metric's one label.
fn labelled<const N: usize>(text: &mut Text, metric: &Metric, values: [(&str, u64); N]) {
    text.metric(metric.name, metric.metric_type, metric.help);
    for (value, count) in values {
        text.sample(metric.name, &[(metric.labels[0], value)], count);
    }
}
