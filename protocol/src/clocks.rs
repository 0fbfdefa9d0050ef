//! What time it is in the studio, where any single machine's clock may be wrong.
//!
//! What is decided by days is decided by the clocks of several nodes. Of those that were heard of lately the
//! middle one counts, so that as long as fewer than half are wrong none of the wrong ones does; where there
//! is no middle one, the one that makes things stay longer. A machine whose clock is days ahead or behind
//! removes nothing, and holds nothing up, be it the leader or not.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NodeId;
use crate::time::{Time, Unix};

/// How often a node's own clock is to be told, and how often nodes tell their leader, while something is
/// decided by it.
pub const PERIOD: Duration = Duration::from_secs(10);
/// What was heard longer ago says nothing: three words were missed.
pub const STALE: Duration = Duration::from_secs(30);

/// The clocks of nodes, as they told them.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    heard: BTreeMap<NodeId, (Unix, Time)>,
}

/// The time by several clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// At least this late: for what may happen from then on.
    pub earliest: Unix,
    /// At most this late: for what is counted from.
    pub latest: Unix,
}

impl Clocks {
    /// A node told what its clock says.
    pub fn heard(&mut self, now: Time, node: NodeId, clock: Unix) {
        self.heard.retain(|_, (_, at)| now.since(*at) < STALE);
        self.heard.insert(node, (clock, now));
    }

    /// The time by the clocks of nodes that count; none where fewer than `least` were heard of lately.
    #[must_use]
    pub fn agreed(
        &self,
        now: Time,
        least: usize,
        counts: impl Fn(&NodeId) -> bool,
    ) -> Option<Agreed> {
        let recent = |at: &Time| now.since(*at) < STALE;
        let heard = self.heard.iter().filter(|(node, (_, at))| counts(node) && recent(at));
        let mut clocks: Vec<Unix> = heard.map(|(_, (clock, at))| *clock + now.since(*at)).collect();
        if clocks.is_empty() || clocks.len() < least {
            return None;
        }
        clocks.sort_unstable();
        let (lower, upper) = ((clocks.len() - 1) / 2, clocks.len() / 2);
        Some(Agreed { earliest: clocks[lower], latest: clocks[upper] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 24 * 3600 * 1000;

    fn node(n: usize) -> NodeId {
        NodeId([u8::try_from(n).unwrap(); 32])
    }

    fn agreed(clocks: &[u64], least: usize) -> Option<(u64, u64)> {
        let mut heard = Clocks::default();
        for (n, clock) in clocks.iter().enumerate() {
            heard.heard(Time(0), node(n), Unix(*clock));
        }
        let agreed = heard.agreed(Time(0), least, |_| true)?;
        Some((agreed.earliest.0, agreed.latest.0))
    }

    #[test]
    fn the_middle_one_counts_and_of_two_the_one_that_makes_things_stay() {
        assert_eq!(agreed(&[], 1), None);
        assert_eq!(agreed(&[7], 2), None, "one clock says nothing of itself");
        assert_eq!(agreed(&[7], 1), Some((7, 7)));
        assert_eq!(agreed(&[9 * DAY, DAY], 2), Some((DAY, 9 * DAY)));
        assert_eq!(agreed(&[99 * DAY, DAY, DAY + 5], 2), Some((DAY + 5, DAY + 5)));
        assert_eq!(agreed(&[0, DAY, DAY + 5], 2), Some((DAY, DAY)));
        assert_eq!(agreed(&[0, 1, 2, 99], 2), Some((1, 2)));
    }

    #[test]
    fn clocks_go_on_and_what_was_heard_long_ago_or_of_strangers_is_left_out() {
        let mut clocks = Clocks::default();
        clocks.heard(Time(0), node(1), Unix(DAY));
        clocks.heard(Time(4000), node(2), Unix(DAY + 4000));
        let at = |now, counts: fn(&NodeId) -> bool| {
            clocks.agreed(Time(now), 1, counts).map(|agreed| agreed.earliest.0)
        };
        assert_eq!(at(10_000, |_| true), Some(DAY + 10_000));
        assert_eq!(at(31_000, |_| true), Some(DAY + 31_000), "the second's alone");
        assert_eq!(at(31_000, |n| *n == NodeId([1; 32])), None);
        assert_eq!(at(34_000, |_| true), None);
    }

    proptest! {
        #[test]
        fn fewer_than_half_wrong_clocks_change_nothing(
            right in prop::collection::vec(DAY..DAY + 60_000, 2..9),
            wrong in prop::collection::vec(0..100 * DAY, 0..8),
        ) {
            let wrong = &wrong[..wrong.len().min(right.len() - 1)];
            let all: Vec<u64> = right.iter().chain(wrong).copied().collect();
            let (earliest, latest) = agreed(&all, 2).unwrap();
            let (least, most) = (right.iter().min().unwrap(), right.iter().max().unwrap());
            prop_assert!(least <= &earliest && earliest <= latest && &latest <= most);
        }

        #[test]
        fn with_half_of_them_wrong_things_only_stay_longer(
            right in prop::collection::vec(DAY..DAY + 60_000, 1..9),
            wrong in prop::collection::vec(0..100 * DAY, 8),
        ) {
            let all: Vec<u64> = right.iter().chain(&wrong[..right.len()]).copied().collect();
            let (earliest, latest) = agreed(&all, 1).unwrap();
            prop_assert!(&earliest <= right.iter().max().unwrap());
            prop_assert!(right.iter().min().unwrap() <= &latest);
        }
    }
}
