//! Pinning a thread to a core of the core plan.

use anyhow::{Context, bail};
use core_affinity::CoreId;

/// Pins the calling thread to CPU number `core`.
///
/// # Errors
/// If this process may not use that CPU: it does not exist, or a cpuset excludes it. The text names those it may use.
pub fn pin(core: usize) -> anyhow::Result<()> {
    check(core)?;
    if !core_affinity::set_for_current(CoreId { id: core }) {
        bail!("cannot pin a thread to CPU {core}");
    }
    Ok(())
}

/// Whether [`pin`] can pin to `core`, without doing it.
pub fn check(core: usize) -> anyhow::Result<()> {
    let usable = core_affinity::get_core_ids().context("cannot read which CPUs this process may use")?;
    if !usable.iter().any(|id| id.id == core) {
        let names: Vec<_> = usable.iter().map(|id| id.id.to_string()).collect();
        bail!(
            "CPU {core} of the core plan is not usable here; usable are {}",
            names.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_absent_cpu_is_named_with_those_that_exist() {
        let error = super::pin(100_000).expect_err("no such CPU").to_string();
        assert!(
            error.contains("100000") && error.contains("usable are"),
            "{error}"
        );
        std::thread::spawn(|| super::pin(core_affinity::get_core_ids().expect("some CPU")[0].id))
            .join()
            .expect("no panic")
            .expect("an existing CPU");
    }
}
