//! Programs for the kernel: built with a toolchain of its own, committed as objects, so that nobody else needs that toolchain.
//!
//! Beside the objects lies a record of what they were built from and with. The same compiler gives the same octets, on any
//! machine and in any directory; another compiler gives others. `--check` therefore compares octets when it has the
//! compiler of the record, and otherwise the recorded hash of the sources.

mod inputs;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{paths, progress};
use inputs::{Programs, Record};
use toolchain::Toolchain;

const TARGET: &str = "bpfel-unknown-none";

/// Builds the programs and updates the committed objects, or, with `check`, compares the two.
pub fn run(check: bool) -> Result<()> {
    let toolchain = Toolchain::find()?;
    progress::say(&format!("compiler: {}", toolchain.compiler));
    inputs::ALL
        .iter()
        .try_for_each(|programs| run_one(programs, &toolchain, check))
}

fn run_one(programs: &Programs, toolchain: &Toolchain, check: bool) -> Result<()> {
    let directory = paths::repository().join(programs.directory);
    let built = progress::step(&format!("build {}", programs.directory), || {
        build(programs, &directory, toolchain)
    })?;
    built.iter().try_for_each(|(_, object)| refuse_paths(object))?;
    let record = Record {
        compiler: toolchain.compiler.clone(),
        linker: toolchain::LINKER.into(),
        sources: inputs::hash(&directory, programs.sources)?,
    };
    if check {
        compare(programs, &directory, &built, &record)
    } else {
        update(programs, &directory, &built, &record)
    }
}

/// Names of objects, and their octets.
type Built = Vec<(&'static str, Vec<u8>)>;

fn build(programs: &Programs, directory: &Path, toolchain: &Toolchain) -> Result<Built> {
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
        "{} does not build:\n{}",
        programs.directory,
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |&(program, object)| {
        let path = target.join(TARGET).join("release").join(program);
        let octets = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((object, octets))
    };
    programs.objects.iter().map(read).collect()
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

fn update(programs: &Programs, directory: &Path, built: &Built, record: &Record) -> Result<()> {
    for (name, octets) in built {
        let object = directory.join(name);
        let same = fs::read(&object).is_ok_and(|committed| committed == *octets);
        fs::write(&object, octets).with_context(|| format!("cannot write {}", object.display()))?;
        let what = if same {
            "unchanged"
        } else {
            "updated: commit it with its sources"
        };
        let directory = programs.directory;
        progress::say(&format!("{directory}/{name}: {} octets, {what}", octets.len()));
    }
    paths::write(&directory.join(programs.record), &record.to_toml())
}

fn compare(programs: &Programs, directory: &Path, built: &Built, record: &Record) -> Result<()> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}: run `cargo xtask ebpf`", path.display()))
    };
    let place = programs.directory;
    let committed =
        Record::from_toml(&String::from_utf8_lossy(&read(programs.record)?)).with_context(|| {
            format!(
                "{place}/{} is not what `cargo xtask ebpf` writes",
                programs.record
            )
        })?;
    let stale =
        |why: &str| anyhow::anyhow!("{place}/{why}. Run `cargo xtask ebpf` and commit what it writes");
    let same_toolchain = committed.compiler == record.compiler && committed.linker == record.linker;
    for (name, octets) in built {
        if same_toolchain && read(name)? != *octets {
            bail!(stale(&format!(
                "{name} is out of date: it is not what its sources give"
            )));
        }
    }
    if committed.sources != record.sources {
        bail!(stale(&format!(
            "{} is out of date: the sources have changed since",
            programs.record
        )));
    }
    if same_toolchain {
        progress::say(&format!(
            "{place} is up to date: built anew, every octet is the same"
        ));
    } else {
        progress::say(&format!(
            "{place} was built from these sources (compared by hash; octets cannot be: it was built by {} and {}, here are \
             {} and {})",
            committed.compiler, committed.linker, record.compiler, record.linker
        ));
    }
    Ok(())
}
