//! Which objects there are, and what the committed ones were built from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A directory of programs, and what is built from it.
pub struct Programs {
    /// Below the repository.
    pub directory: &'static str,
    /// Name of each program, and of the object that it becomes, beside its sources.
    pub objects: &'static [(&'static str, &'static str)],
    /// The text file about the objects.
    pub record: &'static str,
    /// Sources, relative to the directory. Directories with all that is below them.
    pub sources: &'static [&'static str],
}

/// All that are built for the kernel.
pub const ALL: [Programs; 2] = [COLLECTOR, HARNESS];

const COLLECTOR: Programs = Programs {
    directory: "collector-ebpf",
    objects: &[
        ("natrail-collector-ebpf", "natrail-collector.bpf.o"),
        ("natrail-spread", "natrail-spread.bpf.o"),
    ],
    record: "natrail-collector.bpf.toml",
    sources: &[
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "../wire/Cargo.toml",
        "../wire/src/filter.rs",
        "../wire/src/lib.rs",
        "../wire/src/limit.rs",
        "../wire/src/packet.rs",
        "../wire/src/spread.rs",
        "../wire/src/verdict.rs",
    ],
};

const HARNESS: Programs = Programs {
    directory: "harness-ebpf",
    objects: &[("natrail-live", "natrail-live.bpf.o")],
    record: "natrail-live.bpf.toml",
    sources: &["Cargo.toml", "Cargo.lock", "src"],
};

/// The text file beside the objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// First line of `rustc --version`.
    pub compiler: String,
    /// Name and version of the linker.
    pub linker: String,
    /// [`hash`] of the sources.
    pub sources: String,
}

impl Record {
    pub fn to_toml(&self) -> String {
        format!(
            "# What the objects here were built with and from. Written by `cargo xtask ebpf`.\n\
             compiler = {:?}\nlinker = {:?}\nsources = {:?}\n",
            self.compiler, self.linker, self.sources
        )
    }

    /// Reads what [`Self::to_toml`] writes, and no other TOML.
    pub fn from_toml(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            line.strip_suffix('"').map(str::to_owned)
        };
        Some(Self {
            compiler: value("compiler")?,
            linker: value("linker")?,
            sources: value("sources")?,
        })
    }
}

/// FNV-1a of names and contents, 64 bits: finds what was forgotten, not what was forged.
pub fn hash(directory: &Path, sources: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for source in sources {
        collect(directory, Path::new(source), &mut files)?;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |octets: &[u8]| {
        for octet in octets.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for file in files {
        let path = directory.join(&file);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        take(file.as_os_str().as_encoded_bytes());
        take(&content);
    }
    Ok(format!("{hash:016x}"))
}

fn collect(directory: &Path, source: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let path = directory.join(source);
    if !path.is_dir() {
        files.push(source.into());
        return Ok(());
    }
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    names
        .iter()
        .try_for_each(|name| collect(directory, &source.join(name), files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            compiler: "rustc 1.96.0 (abc)".into(),
            linker: "x 1".into(),
            sources: "00ff".into(),
        };
        assert_eq!(Record::from_toml(&record.to_toml()), Some(record));
        assert_eq!(Record::from_toml("compiler = \"x\"\n"), None);
    }

    #[test]
    fn the_hash_sees_every_source() {
        let here = crate::paths::repository().join("collector-ebpf");
        let copy = std::env::temp_dir().join(format!("natrail-inputs-{}", std::process::id()));
        let root = copy.join("collector-ebpf");
        let mut files = Vec::new();
        for source in COLLECTOR.sources {
            collect(&here, Path::new(source), &mut files).expect("sources");
        }
        for file in &files {
            let to = root.join(file);
            fs::create_dir_all(root.join("src")).expect("directory");
            fs::create_dir_all(to.parent().expect("parent")).expect("directory");
            fs::copy(here.join(file), to).expect("copy");
        }
        let original = hash(&root, COLLECTOR.sources).expect("hash");
        assert_eq!(original, hash(&here, COLLECTOR.sources).expect("hash"));
        for file in &files {
            let path = root.join(file);
            let content = fs::read(&path).expect("read");
            fs::write(&path, [&content[..], b" "].concat()).expect("write");
            assert_ne!(
                hash(&root, COLLECTOR.sources).expect("hash"),
                original,
                "{}",
                file.display()
            );
            fs::write(&path, content).expect("write");
        }
        fs::remove_dir_all(&copy).expect("remove");
    }
}
