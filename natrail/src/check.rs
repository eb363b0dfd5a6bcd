//! `natrail check`: is the configuration right, and what does it mean? Reads, and touches nothing.

mod bus;
mod exporter;
mod listener;
mod receive;
mod rules;

use std::collections::HashSet;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use config::{Config, ConfigError, Transport, XdpMode};
use serde::Serialize;
use wire::verdict::MAX_FILTERED_LISTENERS;

/// Say what the configuration means and what is wrong with it, without touching anything.
///
/// Exit codes: 0 valid (perhaps with warnings), 2 not valid.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What a configuration means.
#[derive(Debug, Serialize)]
struct Report {
    path: String,
    valid: bool,
    /// What is wrong; not empty exactly when not valid.
    problems: Vec<String>,
    /// What is right but perhaps not meant.
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<Meaning>,
}

#[derive(Debug, Serialize)]
struct Meaning {
    bus: bus::Meaning,
    collector: Option<CollectorMeaning>,
    allow_all: bool,
    exporters: Vec<exporter::Meaning>,
    consumer: ConsumerMeaning,
    /// Connection string without its password.
    database: String,
}

#[derive(Debug, Serialize)]
struct CollectorMeaning {
    cores: Vec<usize>,
    listeners: Vec<listener::Meaning>,
    xdp_interfaces: Vec<String>,
    xdp_mode: Option<&'static str>,
    receive: receive::Meaning,
    frame_bytes: usize,
    frame_age_ms: u64,
    socket_buffer_bytes: usize,
    datagram_bytes_max: usize,
    metrics: Option<SocketAddr>,
}

#[derive(Debug, Serialize)]
struct ConsumerMeaning {
    cores: Vec<usize>,
    group: String,
    batch_rows: usize,
    batch_age_ms: u64,
    metrics: Option<SocketAddr>,
}

/// Runs the command on the file that was named, or the default one.
pub fn run(args: Args, path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let path = path.unwrap_or(Path::new(config::DEFAULT_PATH));
    let loaded = Config::load(path);
    let report = match &loaded {
        Ok(config) => Report {
            path: path.display().to_string(),
            valid: true,
            problems: Vec::new(),
            warnings: warnings(config, path),
            meaning: Some(meaning(config)),
        },
        Err(error) => Report {
            path: path.display().to_string(),
            valid: false,
            problems: problems(error),
            warnings: Vec::new(),
            meaning: None,
        },
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&mut out, &report)?;
    }
    match loaded {
        Ok(_) => Ok(ExitCode::SUCCESS),
        // The object on standard output says it all.
        Err(_) if args.json => Ok(crate::ERROR.into()),
        Err(error) => Err(error.into()),
    }
}

fn problems(error: &ConfigError) -> Vec<String> {
    match error {
        ConfigError::Invalid { problems, .. } => problems.clone(),
        ConfigError::Parse { reason, .. } => vec![reason.to_string()],
        other => vec![other.to_string()],
    }
}

fn meaning(config: &Config) -> Meaning {
    Meaning {
        bus: bus::Meaning::new(&config.bus),
        collector: config.collector.as_ref().map(|collector| CollectorMeaning {
            cores: collector.cores.clone(),
            listeners: listeners(collector),
            xdp_interfaces: collector
                .xdp
                .iter()
                .flat_map(|xdp| xdp.interfaces.clone())
                .collect(),
            xdp_mode: collector.xdp.as_ref().map(|xdp| match xdp.mode {
                XdpMode::Native => "native",
                XdpMode::Generic => "generic",
            }),
            receive: receive::Meaning::new(collector),
            frame_bytes: collector.frame_bytes,
            frame_age_ms: collector.frame_age_ms,
            socket_buffer_bytes: collector.socket_buffer_bytes,
            datagram_bytes_max: collector.datagram_bytes_max,
            metrics: collector.metrics,
        }),
        allow_all: config.exporters.allow_all,
        exporters: config.exporters.list.iter().map(exporter::Meaning::new).collect(),
        consumer: ConsumerMeaning {
            cores: config.consumer.cores.clone(),
            group: config.consumer.group.clone(),
            batch_rows: config.consumer.batch_rows,
            batch_age_ms: config.consumer.batch_age_ms,
            metrics: config.consumer.metrics,
        },
        database: without_password(&config.database.url),
    }
}

fn listeners(collector: &config::Collector) -> Vec<listener::Meaning> {
    let mut datagrams = 0;
    let mut meaning = |listener: &config::Listener| {
        let is_udp = listener.transport == Transport::Udp;
        let has_xdp = collector.xdp.is_some() && is_udp && datagrams < MAX_FILTERED_LISTENERS;
        datagrams += u32::from(is_udp);
        listener::Meaning::new(listener, has_xdp)
    };
    collector.listeners.iter().map(&mut meaning).collect()
}

/// The connection string with `***` where it has a password.
fn without_password(url: &str) -> String {
    let words = url.split(' ').map(|word| {
        if word.starts_with("password=") {
            "password=***"
        } else {
            word
        }
    });
    let url = words.collect::<Vec<_>>().join(" ");
    let Some((scheme, rest)) = url.split_once("://") else {
        return url;
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else {
        return url;
    };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => url,
    }
}

/// What is right but perhaps not meant.
fn warnings(config: &Config, path: &Path) -> Vec<String> {
    let mut warnings = bus::warnings(config);
    warnings.extend(exporter::warnings(config));
    let mut warn = |warning: String| warnings.push(warning);

    let consumer_cores = ("consumer.cores", config.consumer.cores.as_slice());
    let collector_cores = config
        .collector
        .iter()
        .map(|c| ("collector.cores", c.cores.as_slice()));
    for (key, cores) in collector_cores.chain([consumer_cores]) {
        let mut seen = HashSet::new();
        for &core in cores {
            if !Path::new(&format!("/sys/devices/system/cpu/cpu{core}")).exists() {
                warn(format!("{key}: this machine has no CPU {core}"));
            }
            if !seen.insert(core) {
                warn(format!(
                    "{key}: CPU {core} is named twice; two threads would share it"
                ));
            }
        }
    }
    match &config.collector {
        None => warn("there is no [collector]: natrail-collector will not start with this file".into()),
        Some(collector) => {
            for core in collector
                .cores
                .iter()
                .filter(|core| config.consumer.cores.contains(core))
            {
                warn(format!(
                    "CPU {core} serves both collector and consumer; a busy consumer may cost datagrams"
                ));
            }
            collector
                .listeners
                .iter()
                .flat_map(listener::warnings)
                .for_each(&mut warn);
            receive::warnings(collector).into_iter().for_each(&mut warn);
            let listens = |with: fn(Transport) -> bool| {
                (collector.listeners.iter()).any(|listener| with(listener.transport))
            };
            let has_datagrams = listens(|transport| transport == Transport::Udp);
            let has_streams = listens(|transport| transport != Transport::Udp);
            if collector.xdp.is_some() && has_streams {
                warn("collector.xdp is for datagrams: it passes TCP, and strangers are refused when they connect".into());
            }
            match &collector.xdp {
                None if !has_datagrams => {}
                None => warn("there is no [collector.xdp]: what is not allowed is dropped in user space, which costs more".into()),
                Some(xdp) => {
                    for interface in &xdp.interfaces {
                        // Only as a file name: an interface's name has no slash (and none would be found with one).
                        if interface.contains('/') || !Path::new("/sys/class/net").join(interface).exists() {
                            warn(format!("collector.xdp.interfaces: this machine has no interface {interface:?} now"));
                        }
                    }
                    if xdp.mode == XdpMode::Generic {
                        warn("collector.xdp.mode = \"generic\" runs after the kernel has made a socket buffer: slower than \"native\"".into());
                    }
                }
            }
        }
    }
    let metrics = [
        (
            "collector.metrics",
            config.collector.as_ref().and_then(|collector| collector.metrics),
        ),
        ("consumer.metrics", config.consumer.metrics),
    ];
    for (key, address) in metrics {
        if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
            warn(format!(
                "{key}: {address} is not loopback; whoever reaches it can read the metrics"
            ));
        }
    }
    let url = &config.database.url;
    let readable_by_all = std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
    if without_password(url) != *url && readable_by_all && std::env::var_os("NATRAIL_DATABASE_URL").is_none()
    {
        warn(format!(
            "database.url has a password, and everybody on this machine can read {}",
            path.display()
        ));
    }
    if std::env::var_os("NATRAIL_DATABASE_URL").is_some_and(|value| !value.is_empty()) {
        warn("database.url comes from the environment (NATRAIL_DATABASE_URL), not from the file".into());
    }
    warnings
}

fn print(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    if let Some(meaning) = &report.meaning {
        print_meaning(out, meaning)?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    if report.valid {
        writeln!(
            out,
            "{} is valid ({} warnings)",
            report.path,
            report.warnings.len()
        )?;
    }
    Ok(())
}

fn print_meaning(out: &mut impl Write, meaning: &Meaning) -> std::io::Result<()> {
    let metrics = |address: Option<SocketAddr>| match address {
        Some(address) => format!("http://{address}/metrics"),
        None => "none".into(),
    };
    let cores = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    meaning.bus.print(out)?;
    if let Some(collector) = &meaning.collector {
        writeln!(
            out,
            "collector  cores {}, metrics {}",
            cores(&collector.cores),
            metrics(collector.metrics)
        )?;
        for listener in &collector.listeners {
            listener.print(out)?;
        }
        match collector.xdp_mode {
            Some(mode) => writeln!(
                out,
                "           XDP ({mode}) on {}",
                collector.xdp_interfaces.join(" ")
            )?,
            None => writeln!(out, "           no XDP")?,
        }
        collector.receive.print(out)?;
        writeln!(
            out,
            "           frames of {} octets or {} ms; sockets buffer {} octets; datagrams up to {} octets",
            collector.frame_bytes,
            collector.frame_age_ms,
            collector.socket_buffer_bytes,
            collector.datagram_bytes_max
        )?;
    }
    if meaning.allow_all {
        writeln!(out, "exporters  everybody may send")?;
    }
    for (index, exporter) in meaning.exporters.iter().enumerate() {
        let title = if index == 0 && !meaning.allow_all {
            "exporters"
        } else {
            ""
        };
        exporter.print(out, title)?;
    }
    let consumer = &meaning.consumer;
    writeln!(
        out,
        "consumer   cores {}, group {}, metrics {}",
        cores(&consumer.cores),
        consumer.group,
        metrics(consumer.metrics)
    )?;
    writeln!(
        out,
        "           batches of {} rows or {} ms",
        consumer.batch_rows, consumer.batch_age_ms
    )?;
    writeln!(out, "database   {}", meaning.database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgresql://u:p@ss@h:1/db?x=1", "postgresql://u:***@h:1/db?x=1"),
            ("postgresql://u@h/db", "postgresql://u@h/db"),
            (
                "host=h user=u password=secret dbname=d",
                "host=h user=u password=*** dbname=d",
            ),
            ("postgresql://h:5432/db@x", "postgresql://h:5432/db@x"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn what_is_doubtful_is_said() {
        let text = r#"
            [collector]
            cores = [0, 0, 9999]
            metrics = "0.0.0.0:9101"
            [[collector.listener]]
            kind = "netflow"
            address = "0.0.0.0:514"
            [collector.xdp]
            interfaces = ["no-such-if0"]
            [exporters]
            allow_all = true
        "#;
        let path = Path::new("test.toml");
        let warnings = warnings(&Config::parse(text, path).expect("valid"), path).join("\n");
        for word in [
            "CPU 9999",
            "CPU 0 is named twice",
            "both collector and consumer",
            "not decoded yet",
            "CAP_NET_BIND_SERVICE",
            "no-such-if0",
            "0.0.0.0:9101",
            "allow_all",
        ] {
            assert!(warnings.contains(word), "{word} in:\n{warnings}");
        }
    }
}
