//! What a node lets go of: pins whose job is over, and, where its disk fills up, what nobody refers to.
//!
//! A pin is a promise: for as long as a job is known, no holder of its files takes its pin away, whoever else
//! holds them, so that no two can drop the last copies in trust of each other. A removal is a fact, which
//! never goes back, and ends the promises of all.

use std::time::Duration;

use crate::ids::JobId;
use crate::job::table::Jobs;

/// A job of which nothing is known a week after something was pinned for it was never submitted, or was removed
/// while this node was away: as long as clocks may be wrong ([`crate::certificate::CLOCK_TOLERANCE_MS`]).
pub const UNHEARD_OF: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whether a pin that was set for a job's sake `age` ago has lost its reason.
///
/// Removing a job takes its pins away. What was on its way then (inputs that were being fetched, a frame that
/// was being rendered) is pinned after that, and so is what was taken in for a submission that failed.
#[must_use]
pub fn is_over(jobs: &Jobs, job: &JobId, age: Duration) -> bool {
    jobs.is_removed(job) || (jobs.get(job).is_none() && age >= UNHEARD_OF)
}

/// How full a disk may be, in percent of its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Above this much in use, what nobody refers to goes.
    pub high: u8,
    /// Until no more than this is in use.
    pub low: u8,
}

impl Default for Watermarks {
    /// 90 and 80: room for what a studio brings in while it is noticed, and not a collection a minute.
    fn default() -> Self {
        Self { high: 90, low: 80 }
    }
}

impl Watermarks {
    /// Whether they are marks: 1 to 100, the low one not above the high one.
    #[must_use]
    pub const fn are_sound(self) -> bool {
        1 <= self.low && self.low <= self.high && self.high <= 100
    }

    /// How many bytes are to go from a disk of `total` bytes with `available` left: `None` where no more than
    /// the high mark is in use, else all above the low one.
    #[must_use]
    pub fn excess(self, total: u64, available: u64) -> Option<u64> {
        let used = total.saturating_sub(available);
        let share = |percent: u8| {
            let bytes = u128::from(total) * u128::from(percent) / 100;
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        (used > share(self.high)).then(|| used.saturating_sub(share(self.low)))
    }
}

/// Of things that nobody refers to, those to let go of for room of `bytes`: the ones longest unused first, and
/// no more than it takes. `measure` says when one was last used (seconds since 1970) and its size in bytes.
#[must_use]
pub fn oldest<T>(mut unused: Vec<T>, bytes: u64, measure: impl Fn(&T) -> (u64, u64)) -> Vec<T> {
    unused.sort_by_key(|thing| measure(thing).0);
    let mut freed = 0_u64;
    let enough = unused.iter().position(|thing| {
        let before = freed;
        freed = freed.saturating_add(measure(thing).1);
        before >= bytes
    });
    unused.truncate(enough.unwrap_or(unused.len()));
    unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::samples::spec;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_disk_is_emptied_from_the_high_mark_to_the_low_one() {
        let marks = Watermarks::default();
        assert_eq!(marks.excess(1000, 100), None, "exactly at the mark");
        assert_eq!(marks.excess(1000, 99), Some(101));
        assert_eq!(marks.excess(1000, 0), Some(200));
        assert_eq!(
            marks.excess(u64::MAX, 0),
            Some(u64::MAX - (u128::from(u64::MAX) * 80 / 100) as u64)
        );
        assert_eq!(marks.excess(0, 0), None, "a disk that can't be asked");
        assert!(marks.are_sound());
        for (high, low, sound) in
            [(100, 1, true), (50, 50, true), (50, 51, false), (101, 9, false), (9, 0, false)]
        {
            assert_eq!(Watermarks { high, low }.are_sound(), sound, "{high} {low}");
        }
    }

    #[test]
    fn the_longest_unused_goes_first_and_no_more_than_it_takes() {
        let unused = vec![(5, 10), (1, 10), (3, 10), (2, 0)];
        let gone = |bytes| oldest(unused.clone(), bytes, |&(used, size)| (used, size));
        assert_eq!(gone(0), []);
        assert_eq!(gone(1), [(1, 10)]);
        assert_eq!(gone(11), [(1, 10), (2, 0), (3, 10)]);
        assert_eq!(gone(99).len(), 4);
    }

    #[test]
    fn pins_end_with_their_job() {
        use crate::fact::{Body, Removal};
        use crate::ids::{FactId, NodeId};
        let spec = spec(3);
        let job = spec.id();
        let mut jobs = Jobs::new();
        assert!(!is_over(&jobs, &job, DAY), "its facts may be on their way");
        assert!(is_over(&jobs, &job, DAY * 7), "a submission that failed");
        let mut join = |body: Body| {
            jobs.apply(FactId([1; 32]), NodeId([2; 32]), &body);
            is_over(&jobs, &job, DAY * 365)
        };
        assert!(!join(Body::Spec(Box::new(spec))), "a job is kept until it is removed");
        assert!(join(Body::Removal(Removal { job })));
    }
}
