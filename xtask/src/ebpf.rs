//! The XDP program: built with a toolchain of its own, committed as an object, so that nobody else needs that toolchain.
//!
//! Beside the object lies a record of what it was built from and with. The same compiler gives the same octets, on any
//! machine and in any directory; another compiler gives others. `--check` therefore compares octets when it has the
//! compiler of the record, and otherwise the recorded hash of the sources.

mod inputs;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{paths, progress};
use inputs::Record;
use toolchain::Toolchain;

const TARGET: &str = "bpfel-unknown-none";
const BINARY: &str = "natrail-collector-ebpf";
const OBJECT: &str = "natrail-collector.bpf.o";
const RECORD: &str = "natrail-collector.bpf.toml";

/// Builds the program and updates the committed object, or, with `check`, compares the two.
pub fn run(check: bool) -> Result<()> {
    let directory = paths::repository().join("collector-ebpf");
    let toolchain = Toolchain::find()?;
    progress::say(&format!("compiler: {}", toolchain.compiler));
    let built = progress::step("build the XDP program", || build(&directory, &toolchain))?;
    refuse_paths(&built)?;
    let record = Record {
        compiler: toolchain.compiler,
        linker: toolchain::LINKER.into(),
        sources: inputs::hash(&directory)?,
    };
    if check {
        compare(&directory, &built, &record)
    } else {
        update(&directory, &built, &record)
    }
}

fn build(directory: &Path, toolchain: &Toolchain) -> Result<Vec<u8>> {
    let target = target_directory();
    let mut command = Command::new(&toolchain.cargo);
    command
        .current_dir(directory)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-Z",
            "build-std=core",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", toolchain.path()?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain)?.join("\x1f"));
    // Set by the cargo that runs this xtask, for its own toolchain.
    for name in [
        "RUSTUP_TOOLCHAIN",
        "CARGO",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(name);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", toolchain.cargo.display()))?;
    ensure!(
        output.status.success(),
        "the XDP program does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = target.join(TARGET).join("release").join(BINARY);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Apart from the host's build: other compiler, other target.
fn target_directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| paths::repository().join("target"), PathBuf::from);
    target.join("bpf")
}

/// Directories in the object would make it differ from machine to machine.
fn flags(toolchain: &Toolchain) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok(vec![
        remap(paths::repository(), "/natrail"),
        remap(&home, "/cargo"),
        remap(&toolchain.sysroot, "/rust"),
    ])
}

/// Nothing of this machine may be in the object.
fn refuse_paths(object: &[u8]) -> Result<()> {
    for directory in [
        Some(paths::repository().to_path_buf()),
        std::env::var_os("HOME").map(PathBuf::from),
    ] {
        let Some(text) = directory
            .as_deref()
            .and_then(Path::to_str)
            .filter(|text| text.len() > 1)
        else {
            continue;
        };
        ensure!(
            !object.windows(text.len()).any(|window| window == text.as_bytes()),
            "the built object names {text}: it would differ from machine to machine"
        );
    }
    Ok(())
}

fn update(directory: &Path, built: &[u8], record: &Record) -> Result<()> {
    let object = directory.join(OBJECT);
    let same = fs::read(&object).is_ok_and(|committed| committed == built);
    fs::write(&object, built).with_context(|| format!("cannot write {}", object.display()))?;
    paths::write(&directory.join(RECORD), &record.to_toml())?;
    let what = if same {
        "unchanged"
    } else {
        "updated: commit it with its sources"
    };
    progress::say(&format!(
        "collector-ebpf/{OBJECT}: {} octets, {what}",
        built.len()
    ));
    Ok(())
}

fn compare(directory: &Path, built: &[u8], record: &Record) -> Result<()> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}: run `cargo xtask ebpf`", path.display()))
    };
    let committed = Record::from_toml(&String::from_utf8_lossy(&read(RECORD)?))
        .with_context(|| format!("collector-ebpf/{RECORD} is not what `cargo xtask ebpf` writes"))?;
    let object = read(OBJECT)?;
    let stale =
        |why: &str| anyhow::anyhow!("collector-ebpf/{why}. Run `cargo xtask ebpf` and commit what it writes");
    let same_toolchain = committed.compiler == record.compiler && committed.linker == record.linker;
    if same_toolchain && object != built {
        bail!(stale(&format!(
            "{OBJECT} is out of date: it is not what its sources give"
        )));
    }
    if committed.sources != record.sources {
        bail!(stale(&format!(
            "{RECORD} is out of date: the sources have changed since"
        )));
    }
    if same_toolchain {
        progress::say(&format!(
            "collector-ebpf/{OBJECT} is up to date: built anew, every octet is the same"
        ));
    } else {
        progress::say(&format!(
            "collector-ebpf/{OBJECT} was built from these sources (compared by hash; octets cannot be: it was built by \
             {} and {}, here are {} and {})",
            committed.compiler, committed.linker, record.compiler, record.linker
        ));
    }
    Ok(())
}
