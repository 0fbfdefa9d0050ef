//! Numbers that count up: the versions of what is set, and the rounds of a job. Each is one more than the highest
//! that its author had seen. A member may write any all the same, and after the highest that there is nothing could ever
//! be said again: a pause of that version would stand for good.
//!
//! So a number counts only where those below lead up to it: it lies at most [`STEP`] above the highest one that counts,
//! the first above nothing. Any other waits until that is so. Which count is the smallest set of which this is true, and a
//! number that comes later takes none away from it: whatever the order in which they come, and however often, it is the
//! same. Whoever wants to climb to the top must write a fact for each step, and stands in view meanwhile.

use std::collections::BTreeMap;

/// How far above the highest number that counts another one may lie. Nodes that know the same facts leave no gap
/// at all; this is for what has not come yet to who writes or reads. To the end of 32 bits it takes four million facts.
pub const STEP: u64 = 1024;

/// Numbers of one kind, each of a fact that `K` names and orders, with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ladder<K, V> {
    reached: u64,
    waiting: BTreeMap<(u64, K), V>,
}

impl<K, V> Default for Ladder<K, V> {
    fn default() -> Self {
        Self { reached: 0, waiting: BTreeMap::new() }
    }
}

impl<K: Ord, V> Ladder<K, V> {
    /// The highest number that counts: all up to it do.
    pub(crate) const fn reached(&self) -> u64 {
        self.reached
    }

    /// What is written next.
    pub(crate) const fn next(&self) -> u64 {
        self.reached.saturating_add(1)
    }

    /// Takes a number in. Gives all that counts because of it: itself, and those that waited for it.
    pub(crate) fn climb(&mut self, number: u64, key: K, value: V) -> Vec<(K, V)> {
        self.waiting.insert((number, key), value);
        let mut counting = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= self.reached.saturating_add(STEP)
        {
            let ((number, key), value) = first.remove_entry();
            self.reached = self.reached.max(number);
            counting.push((key, value));
        }
        counting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_stands_above_all_that_follows() {
        let mut ladder = Ladder::default();
        assert_eq!(ladder.climb(1, 'a', ()), [('a', ())]);
        assert_eq!(ladder.climb(u64::MAX, 'b', ()), []);
        assert_eq!(ladder.climb(1 + STEP + 1, 'c', ()), [], "it has nothing to stand on yet");
        assert_eq!((ladder.reached(), ladder.next()), (1, 2));
        assert_eq!(ladder.climb(2, 'd', ()), [('d', ()), ('c', ())]);
        assert_eq!(ladder.next(), STEP + 3);
        assert_eq!(ladder.climb(0, 'e', ()), [('e', ())], "what is lower counts, too");
        assert_eq!(ladder.next(), STEP + 3);
    }

    proptest! {
        #[test]
        fn the_same_numbers_count_in_any_order(
            all in proptest::collection::vec(0..6 * STEP, 0..20),
            order in any::<u64>(),
        ) {
            let keyed: Vec<(usize, u64)> = all.into_iter().enumerate().collect();
            let join = |numbers: &[(usize, u64)]| {
                let mut ladder = Ladder::default();
                let mut counting = std::collections::BTreeSet::new();
                for (key, number) in numbers {
                    counting.extend(ladder.climb(*number, *key, ()));
                }
                (ladder, counting)
            };
            let first = join(&keyed);
            let shuffled = crate::random::Random::seeded(order).sample(keyed.clone(), keyed.len());
            prop_assert_eq!(&join(&[&shuffled[..], &keyed[..]].concat()), &first);
            // In the plainest way: from below, as long as no gap is too wide.
            let mut numbers: Vec<u64> = keyed.iter().map(|(_, number)| *number).collect();
            numbers.sort_unstable();
            let mut reached = 0;
            for number in numbers {
                if number - reached <= STEP {
                    reached = number;
                }
            }
            prop_assert_eq!(first.0.reached(), reached);
        }
    }
}
