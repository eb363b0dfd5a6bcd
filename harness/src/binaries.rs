//! The three programs, as they are shipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// Paths of the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub natrail: PathBuf,
    pub collector: PathBuf,
    pub consumer: PathBuf,
}

/// Builds the programs with the release profile (once for each process), or takes them from the directory that
/// `NATRAIL_BINARIES` names.
pub fn binaries() -> Result<Binaries> {
    static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn find_or_build() -> Result<Binaries> {
    if let Some(directory) = std::env::var_os("NATRAIL_BINARIES").filter(|value| !value.is_empty()) {
        return in_directory(Path::new(&directory));
    }
    let target = target_directory()?;
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--release",
            "--bins",
            "-p",
            "natrail",
            "-p",
            "natrail-collector",
            "-p",
            "natrail-consumer",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cannot build the programs ({status})");
    }
    in_directory(&target.join("release"))
}

fn in_directory(directory: &Path) -> Result<Binaries> {
    let find = |name: &str| {
        let path = directory.join(name);
        if path.is_file() {
            Ok(path)
        } else {
            bail!("{} is not there", path.display())
        }
    };
    Ok(Binaries {
        natrail: find("natrail")?,
        collector: find("natrail-collector")?,
        consumer: find("natrail-consumer")?,
    })
}

/// The one this program was built in: `<target>/<profile>/[deps/]program`.
fn target_directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let directory = program.parent().context("this program has no directory")?;
    let profile = if directory.ends_with("deps") || directory.ends_with("examples") {
        directory.parent()
    } else {
        Some(directory)
    };
    let target = profile.and_then(Path::parent);
    Ok(target
        .with_context(|| format!("{} is not in a target directory", program.display()))?
        .to_owned())
}
