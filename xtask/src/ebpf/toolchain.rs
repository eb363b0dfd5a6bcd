//! The compiler and linker of the XDP program: Debian's, or a nightly of rustup.
//!
//! `core` is built from source for the target, which takes rust-src; `bpf-linker` is built by cargo into the cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::install::{self, Need};
use crate::{paths, progress};

/// Name and version of the linker.
pub const LINKER: &str = "bpf-linker 0.13.0";
const LINKER_VERSION: &str = "0.13.0";

const LLVM: &str = "/usr/lib/llvm-22";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Where rust-src lies below a sysroot.
const CORE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";
/// The versions of aya-ebpf that are locked need this compiler or a newer one: `1.MINOR`.
const MINOR_MIN: u32 = 87;

const DEBIAN: &[Need] = &[
    Need {
        thing: DEBIAN_RUSTC,
        package: "rustc-web",
        why: "compiles the XDP program",
    },
    Need {
        thing: DEBIAN_CARGO,
        package: "cargo-web",
        why: "builds core for the XDP program",
    },
    Need {
        thing: "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
        package: "rust-web-src",
        why: "core's source",
    },
];

const LINKER_BUILD: &[Need] = &[
    Need {
        thing: "/usr/lib/llvm-22/bin/llvm-config",
        package: "llvm-22-dev",
        why: "bpf-linker is made of it",
    },
    Need {
        thing: "/usr/lib/llvm-22/lib/libPolly.a",
        package: "libpolly-22-dev",
        why: "LLVM 22 links it",
    },
];

/// What builds the program.
pub struct Toolchain {
    pub rustc: PathBuf,
    pub cargo: PathBuf,
    pub sysroot: PathBuf,
    /// First line of `rustc --version`.
    pub compiler: String,
    /// Directory of bpf-linker.
    linker: PathBuf,
}

impl Toolchain {
    /// Finds the toolchain. As root installs what is missing; else says which packages are.
    pub fn find() -> Result<Self> {
        let mut found = compiler()?;
        if found.is_none() {
            install::ensure(&[DEBIAN])
                .context("with rustup instead: rustup toolchain install nightly --component rust-src")?;
            found = compiler()?;
        }
        let (rustc, cargo, sysroot) = found.with_context(|| {
            format!("{DEBIAN_RUSTC} is older than 1.{MINOR_MIN} or lacks its source ({CORE} in its sysroot)")
        })?;
        let compiler = version(&rustc)?;
        Ok(Self {
            rustc,
            cargo,
            sysroot,
            compiler,
            linker: linker()?,
        })
    }

    /// The path with the linker in front.
    pub fn path(&self) -> Result<OsString> {
        path_with(&self.linker)
    }
}

type Compiler = (PathBuf, PathBuf, PathBuf);

/// Compiler, cargo and sysroot: Debian's, else rustup's nightly.
fn compiler() -> Result<Option<Compiler>> {
    let debian = (PathBuf::from(DEBIAN_RUSTC), PathBuf::from(DEBIAN_CARGO));
    let nightly =
        ["rustc", "cargo"].map(|tool| output("rustup", &["which", "--toolchain", "nightly", tool]).ok());
    let nightly = match nightly {
        [Some(rustc), Some(cargo)] => Some((PathBuf::from(rustc), PathBuf::from(cargo))),
        _ => None,
    };
    for (rustc, cargo) in [Some(debian), nightly].into_iter().flatten() {
        if !rustc.exists() || !cargo.exists() || minor(&version(&rustc)?) < MINOR_MIN {
            continue;
        }
        let sysroot = PathBuf::from(output(&rustc, &["--print", "sysroot"])?);
        if sysroot.join(CORE).exists() {
            return Ok(Some((rustc, cargo, sysroot)));
        }
    }
    Ok(None)
}

/// Directory of the pinned bpf-linker: the one in the path, or one that is built into the cache.
fn linker() -> Result<PathBuf> {
    let right = |program: &Path| output(program, &["--version"]).is_ok_and(|text| text == LINKER);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let root = paths::cache()?.join("bpf-linker");
    let cached = root.join("bin");
    if let Some(found) = std::env::split_paths(&path)
        .chain([cached.clone()])
        .find(|directory| right(&directory.join("bpf-linker")))
    {
        return Ok(found);
    }
    install::ensure(&[LINKER_BUILD, install::BUILD])?;
    progress::step(&format!("cargo install {LINKER}"), || {
        // Debian's compiler does not fit rustup's cargo and the other way round: the one that runs this xtask does.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["install", "bpf-linker", "--locked", "--version", LINKER_VERSION])
            .args(["--no-default-features", "--features", "llvm-22", "--root"])
            .arg(&root)
            .env("LLVM_PREFIX", LLVM)
            .env("PATH", path_with(&Path::new(LLVM).join("bin"))?)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!(
                "cargo install {LINKER} failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    })?;
    ensure!(
        right(&cached.join("bpf-linker")),
        "{} is not {LINKER}",
        cached.join("bpf-linker").display()
    );
    Ok(cached)
}

fn path_with(first: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("PATH has an entry that cannot be written")
}

fn version(rustc: &Path) -> Result<String> {
    output(rustc, &["--version"])
}

/// `96` of `rustc 1.96.0 (...)`.
fn minor(version: &str) -> u32 {
    version
        .split('.')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// The first line that a program writes.
fn output(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let program = program.as_ref();
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} {} failed",
        program.display(),
        arguments.join(" ")
    );
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
