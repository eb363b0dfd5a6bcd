//! Which Debian mirror and proxy this machine uses.

use std::path::PathBuf;
use std::process::Command;

const FALLBACK: &str = "http://deb.debian.org/debian";

/// The mirror of the machine's own apt sources, if it is a Debian; the general one otherwise.
pub fn of_debian() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    if field("ID").as_deref() != Some("debian") {
        return FALLBACK.into();
    }
    let Some(codename) = field("VERSION_CODENAME") else {
        return FALLBACK.into();
    };
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let mut more: Vec<PathBuf> = std::fs::read_dir("/etc/apt/sources.list.d")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    more.sort();
    files.append(&mut more);
    files
        .iter()
        .filter_map(|file| {
            Some((
                file.extension()?.to_str()? == "sources",
                std::fs::read_to_string(file).ok()?,
            ))
        })
        .find_map(|(deb822, text)| {
            if deb822 {
                from_deb822(&text, &codename)
            } else {
                from_list(&text, &codename)
            }
        })
        .unwrap_or_else(|| FALLBACK.into())
}

/// The HTTP proxy of the machine's apt, which mmdebstrap does not take over by itself.
pub fn proxy() -> Option<String> {
    let output = Command::new("apt-config")
        .args(["dump", "--format", "%v%n", "Acquire::http::Proxy"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// `deb [options] URI SUITE COMPONENT…`, sources.list(5).
fn from_list(text: &str, codename: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim().strip_prefix("deb ")?.trim_start();
        let line = if line.starts_with('[') {
            line.split_once(']')?.1
        } else {
            line
        };
        let mut words = line.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        (suite == codename && words.any(|word| word == "main")).then(|| uri.to_owned())
    })
}

/// Paragraphs of `Field: value`, sources.list(5).
fn from_deb822(text: &str, codename: &str) -> Option<String> {
    text.split("\n\n").find_map(|paragraph| {
        let words = |name: &str| -> Vec<&str> {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.split_whitespace().collect())
                .unwrap_or_default()
        };
        let ours = words("Types").contains(&"deb")
            && words("Suites").contains(&codename)
            && words("Components").contains(&"main");
        if ours {
            words("URIs").first().map(|uri| (*uri).to_owned())
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sources_are_read() {
        let list = "# deb http://no/debian bookworm main\n\
                    deb http://security/debian-security bookworm-security main\n\
                    deb [signed-by=/k.gpg arch=amd64] https://mirror/debian bookworm main contrib\n";
        assert_eq!(
            from_list(list, "bookworm").as_deref(),
            Some("https://mirror/debian")
        );
        assert_eq!(from_list(list, "trixie"), None);

        let deb822 = "Types: deb\nURIs: http://third/party\nSuites: nodistro\nComponents: main\n\n\
                      Types: deb deb-src\n# a comment\nURIs: http://mirror/debian\n\
                      Suites: bookworm bookworm-updates\nComponents: main\n";
        assert_eq!(
            from_deb822(deb822, "bookworm").as_deref(),
            Some("http://mirror/debian")
        );
        assert_eq!(from_deb822(deb822, "trixie"), None);
    }
}
