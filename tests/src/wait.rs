//! Waiting for what will come true.

use std::time::{Duration, Instant};

/// How often is looked whether something has come true.
pub const LOOK: Duration = Duration::from_millis(20);
/// The most that one look counts for.
const MOST_OF_A_LOOK: Duration = Duration::from_secs(2);

/// How long is waited yet. A machine that stood still as a whole, as a virtual one that is paused
/// or moved does, has not waited meanwhile: each look counts for so much at most.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    last: Instant,
    looks: u32,
}

impl Patience {
    /// Patience for so long, from now on.
    #[must_use]
    pub(crate) fn of(deadline: Duration) -> Self {
        Self { left: deadline, last: Instant::now(), looks: 0 }
    }

    /// A look found nothing: waits until the next one is due, or says after how many there will be
    /// no other.
    ///
    /// # Errors
    /// When it has come to an end: how often was looked.
    pub(crate) fn wait(&mut self) -> Result<(), u32> {
        let now = Instant::now();
        self.looks += 1;
        self.left = self.left.saturating_sub((now - self.last).min(MOST_OF_A_LOOK));
        self.last = now;
        if self.left.is_zero() {
            return Err(self.looks);
        }
        std::thread::sleep(LOOK);
        Ok(())
    }
}

/// Looks until `look` gives something, and gives that.
///
/// # Panics
/// When nothing has come within `deadline`; `what` says what was waited for.
pub fn wait_for<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut patience = Patience::of(deadline);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        if let Err(looks) = patience.wait() {
            panic!("after {deadline:?} and {looks} looks still not: {what}");
        }
    }
}
