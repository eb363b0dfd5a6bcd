//! Where things are: the repository, and the cache that `cargo clean` does not touch.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the repository")
}

/// The cache directory of [`harness::services::cache`], made if it is not there, without symbolic links: processes are
/// recognised by it.
pub fn cache() -> Result<PathBuf> {
    let path = harness::services::cache()?;
    make_directory(&path)?;
    path.canonicalize()
        .with_context(|| format!("cannot find {}", path.display()))
}

/// Makes the directory and its parents.
pub fn make_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make directory {}", path.display()))
}

/// Removes a directory and all below it; it need not exist.
pub fn remove_directory(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a whole file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
