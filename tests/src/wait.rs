//! Waiting for what will come true.

use std::time::{Duration, Instant};

/// How often is looked whether something has come true.
pub const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` gives something, and gives that.
///
/// # Panics
/// When nothing has come within `deadline`; `what` says what was waited for.
pub fn wait_for<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < deadline, "after {deadline:?} still not: {what}");
        std::thread::sleep(LOOK);
    }
}
