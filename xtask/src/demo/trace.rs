//! One question to the trail, about a session that was generated.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::stage::Stage;
use super::traffic::FORMATS;
use crate::progress;

/// The keys of an expected event that the question needs.
#[derive(Deserialize)]
struct Expected {
    kind: String,
    event: String,
    protocol: Option<u8>,
    src_ip: String,
    src_port: Option<u16>,
    x_ip: Option<String>,
    x_port: Option<u16>,
    timestamp: Option<String>,
}

/// Asks who had the outside address and port of a session that was opened in the middle of the run, prints the answer,
/// and checks that it names the subscriber.
pub fn ask(stage: &Stage, directory: &Path) -> Result<bool> {
    let mut good = true;
    for format in &FORMATS {
        let session = session(&directory.join(format.expect_file()))?;
        let (Some(protocol), Some(x_ip), Some(x_port), Some(at), Some(src_port)) = (
            session.protocol,
            &session.x_ip,
            session.x_port,
            &session.timestamp,
            session.src_port,
        ) else {
            bail!(
                "the generated {} session has no protocol, outside end or time",
                format.name
            );
        };
        let public = format!("{x_ip}:{x_port}");
        let protocol = protocol.to_string();
        progress::say(&format!(
            "natrail trace --public {public} --protocol {protocol} --at {at}"
        ));
        let output = stage
            .natrail()
            .args(["trace", "--public", &public, "--protocol", &protocol, "--at", at])
            .output()?;
        let answer = String::from_utf8_lossy(&output.stdout);
        println!("\n{}", answer.trim_end());
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let named = answer.contains(&session.src_ip) && answer.contains(&src_port.to_string());
        if !output.status.success() || !named {
            println!("the answer should have named {} port {src_port}", session.src_ip);
            good = false;
        }
    }
    println!();
    Ok(good)
}

/// The first session opened after the middle of the file.
fn session(path: &Path) -> Result<Expected> {
    let open = || File::open(path).with_context(|| format!("cannot open {}", path.display()));
    let lines = || open().map(|file| BufReader::new(file).lines());
    let half = lines()?.count() / 2;
    for line in lines()?.skip(half) {
        let event: Expected = serde_json::from_str(&line?)?;
        if event.kind == "session-mapping" && event.event == "created" {
            return Ok(event);
        }
    }
    bail!("no session is opened in the second half of {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_the_second_half_is_chosen() {
        let line = |kind: &str, port: u16| {
            format!(
                r#"{{"exporter":"10.0.0.1","kind":"{kind}","event":"created","protocol":6,"src_ip":"10.0.0.1","src_port":{port},"x_ip":"192.0.2.1","x_port":1,"timestamp":"2026-01-01T00:00:00Z"}}"#
            )
        };
        let path = std::env::temp_dir().join(harness::topics::unique("xtask-trace"));
        let text = [
            line("session-mapping", 1),
            line("session-mapping", 2),
            line("port-mapping", 3),
            line("session-mapping", 4),
        ];
        std::fs::write(&path, text.join("\n")).expect("writes");
        let chosen = session(&path).map(|session| session.src_port);
        std::fs::remove_file(&path).expect("removes");
        assert_eq!(chosen.expect("a session"), Some(4));
    }
}
