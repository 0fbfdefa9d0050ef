//! Time: the world's, which only the simulator sees, and each node's own, which is wrong.

use std::time::Duration;

use weft_protocol::random::Random;
use weft_protocol::time::{Time, Unix};

/// A moment of the world, in microseconds since it began.
pub type Moment = u64;

/// A second, in the world's time.
pub const SECOND: Moment = 1_000_000;
/// A millisecond, in the world's time.
pub const MILLI: Moment = 1_000;

/// A duration in the world's time.
#[must_use]
pub fn micros(duration: Duration) -> Moment {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// One machine's clocks.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// What the monotonic clock showed when the world began, in milliseconds.
    offset: u64,
    /// How many microseconds it goes in a second of the world.
    rate: u64,
    /// What the wall clock showed when the world began, in milliseconds since 1970.
    wall: u64,
    /// Whether the wall clock is kept right.
    right: bool,
}

impl Clock {
    /// A clock that started at another moment, and goes up to one part in a thousand wrong; its wall clock
    /// is up to a day off, or two seconds where it is kept right.
    #[must_use]
    pub(super) fn new(random: &mut Random, right: bool) -> Self {
        let off = if right { 2000 } else { 24 * 3_600_000 };
        Self {
            offset: random.next() % 10_000_000,
            rate: SECOND - 1000 + random.next() % 2001,
            wall: 1_700_000_000_000 - off + random.next() % (2 * off),
            right,
        }
    }

    /// What the monotonic clock shows.
    #[must_use]
    pub(super) const fn now(&self, now: Moment) -> Time {
        Time(self.offset + now / 1000 * self.rate / SECOND)
    }

    /// What the wall clock shows.
    #[must_use]
    pub(super) const fn wall(&self, now: Moment) -> Unix {
        Unix(self.wall + now / 1000 * self.rate / SECOND)
    }

    /// Somebody sets the wall clock, up to an hour forwards or backwards, unless it is kept right.
    pub(super) fn set(&mut self, random: &mut Random) {
        if !self.right {
            self.wall = self.wall + random.next() % 7_200_000 - 3_600_000;
        }
    }
}
