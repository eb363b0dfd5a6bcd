//! Names that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// `<tag>-<process>-<time>-<number>`: for a topic prefix or a consumer group, which outlive the test.
pub fn unique(tag: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    format!("{tag}-{}-{time:x}-{number}", std::process::id())
}
