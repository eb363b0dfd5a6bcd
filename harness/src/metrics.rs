//! Prometheus metrics of a running program.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::netns::Namespace;

const TIMEOUT: Duration = Duration::from_secs(5);

/// `name{labels}`, as the program wrote it, to value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub BTreeMap<String, f64>);

/// Fetches `http://address/metrics`, from inside a namespace if one is given.
pub fn get(address: SocketAddr, inside: Option<&Namespace>) -> Result<Metrics> {
    let text = match inside {
        Some(namespace) => namespace.run(|| fetch(address))?,
        None => fetch(address),
    }
    .with_context(|| format!("cannot get http://{address}/metrics"))?;
    let (head, body) = text.split_once("\r\n\r\n").context("not an HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("http://{address}/metrics answers {status}");
    }
    Ok(Metrics::parse(body))
}

/// HTTP/1.0: no keep-alive, no chunks.
fn fetch(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

impl Metrics {
    /// Reads the exposition text (format version 0.0.4). Lines that are none of its samples are left out.
    pub fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.trim().rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            });
        Self(samples.collect())
    }

    /// The sum over all samples of the metric `name` that have each of the labels; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matches = |key: &str| {
            let Some(rest) = key.strip_prefix(name) else {
                return false;
            };
            let inside = match rest.strip_prefix('{') {
                Some(inside) => inside.trim_end_matches('}'),
                None if rest.is_empty() => "",
                None => return false,
            };
            labels.iter().all(|(label, value)| {
                let wanted = format!("{label}=\"{value}\"");
                inside == wanted
                    || inside.starts_with(&format!("{wanted},"))
                    || inside.ends_with(&format!(",{wanted}"))
                    || inside.contains(&format!(",{wanted},"))
            })
        };
        self.0
            .iter()
            .filter(|(key, _)| matches(key))
            .map(|(_, value)| value)
            .sum()
    }

    /// [`Metrics::sum`] as a count.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_label() {
        let metrics = Metrics::parse(
            "# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\na_total{x=\"11\"} 5\na_totality 9\nb 0.5\n",
        );
        assert_eq!(metrics.count("a_total", &[]), 12);
        assert_eq!(metrics.count("a_total", &[("x", "1")]), 7);
        assert_eq!(metrics.count("a_total", &[("y", "3"), ("x", "1")]), 4);
        assert_eq!(metrics.count("a_total", &[("z", "1")]), 0);
        assert!((metrics.sum("b", &[]) - 0.5).abs() < f64::EPSILON);
    }
}
