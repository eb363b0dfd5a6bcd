//! Prometheus text over HTTP.

use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tiny_http::{Header, Method, Response, Server};

use crate::signals::Signals;

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
}

/// Builds the exposition text (format version 0.0.4).
#[derive(Debug, Default)]
pub struct Text {
    out: String,
}

impl Text {
    /// Begins a metric; its samples follow.
    pub fn metric(&mut self, name: &str, metric_type: Type, help: &str) -> &mut Self {
        let kind = if metric_type == Type::Counter {
            "counter"
        } else {
            "gauge"
        };
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self
    }

    /// One sample of the metric `name`. Values of labels are escaped.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.out.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            self.out.push(if i == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    other => self.out.push(other),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
        self
    }

    /// A metric with one sample and no labels.
    pub fn single(&mut self, name: &str, metric_type: Type, help: &str, value: impl Display) -> &mut Self {
        self.metric(name, metric_type, help).sample(name, &[], value)
    }

    /// The text so far.
    pub fn finish(self) -> String {
        self.out
    }
}

/// Serves `GET /metrics` on `address` from a thread of its own until `signals` say stop.
///
/// Gives back the bound address (for port 0). One request at a time: a slow reader delays only other readers of metrics.
pub fn serve(
    address: SocketAddr,
    signals: &Signals,
    render: impl Fn(&mut Text) + Send + 'static,
) -> anyhow::Result<SocketAddr> {
    let server = Server::http(address)
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("cannot serve metrics on {address}: is the address free?"))?;
    let bound = server
        .server_addr()
        .to_ip()
        .context("metrics address is not an IP address")?;
    let server = Arc::new(server);
    let signals = signals.clone();
    std::thread::Builder::new()
        .name("metrics".into())
        .spawn(move || {
            while !signals.stopping() {
                let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(200)) else {
                    continue;
                };
                let path = request.url().split('?').next().unwrap_or_default();
                let response = if *request.method() == Method::Get && path == "/metrics" {
                    let mut text = Text::default();
                    render(&mut text);
                    let response = Response::from_string(text.finish());
                    match Header::from_bytes("Content-Type", "text/plain; version=0.0.4; charset=utf-8") {
                        Ok(header) => response.with_header(header),
                        Err(()) => response,
                    }
                } else {
                    Response::from_string("metrics are at /metrics\n").with_status_code(404)
                };
                // The reader went away: nothing to do for it.
                let _ = request.respond(response);
            }
        })
        .context("cannot start the metrics thread")?;
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connects");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("reads");
        answer
    }

    #[test]
    fn metrics_are_served_and_nothing_else_is() {
        let signals = Signals::detached();
        let address = serve("127.0.0.1:0".parse().expect("address"), &signals, |text| {
            text.metric("a_total", Type::Counter, "Things.")
                .sample("a_total", &[("who", "x\"y\\\n")], 3);
        })
        .expect("serves");
        let answer = get(address, "/metrics");
        assert!(answer.contains("# TYPE a_total counter"), "{answer}");
        assert!(answer.contains("a_total{who=\"x\\\"y\\\\\\n\"} 3\n"), "{answer}");
        assert!(get(address, "/").starts_with("HTTP/1.1 404"));
        signals.stop();
    }

    #[test]
    fn a_taken_address_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = taken.local_addr().expect("address");
        let error = serve(address, &Signals::detached(), |_| ()).expect_err("taken");
        assert!(error.to_string().contains(&address.to_string()));
    }
}
