//! What is remembered of the attempts at one task, by what names each: mostly of one. A map of the library's takes
//! more than a kilobyte for its first entry, and a studio has many tasks that failed once.

/// Up to `MOST` entries, by ascending keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Few<K, V, const MOST: usize>(Vec<(K, V)>);

impl<K, V, const MOST: usize> Default for Few<K, V, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V, const MOST: usize> Few<K, V, MOST> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.0.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Joins something, by a change that comes to the same in whichever order changes come. Of too many those with
    /// the greatest keys stay, so that the order makes no difference to that either.
    pub(super) fn join(&mut self, key: K, change: impl FnOnce(Option<V>) -> V) {
        let (at, known) = match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => (at, Some(self.0.remove(at).1)),
            Err(at) => (at, None),
        };
        // A vector would make room for four at once.
        self.0.reserve_exact(1);
        self.0.insert(at, (key, change(known)));
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Those whose keys are not below `least`.
    pub(super) fn from<'a>(
        &'a self,
        least: &K,
    ) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)> + use<'a, K, V, MOST> {
        let at = self.0.partition_point(|(key, _)| key < least);
        self.0[at..].iter().map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_greatest_are_remembered_whatever_the_order() {
        let all: Vec<(u32, u8)> = (0..20).flat_map(|key| [(key, 7), (key, 3), (key, 5)]).collect();
        let joined = |all: &mut dyn Iterator<Item = &(u32, u8)>| {
            let mut few = Few::<u32, u8, 16>::default();
            for (key, value) in all {
                few.join(*key, |known| known.map_or(*value, |known| known.min(*value)));
            }
            few
        };
        let few = joined(&mut all.iter());
        assert_eq!(few, joined(&mut all.iter().rev()));
        let keys: Vec<u32> = few.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, (4..20).collect::<Vec<u32>>());
        assert_eq!((few.get(&19), few.get(&3)), (Some(&3), None), "the smaller; none");
        assert_eq!(few.from(&18).map(|(key, _)| *key).collect::<Vec<_>>(), [18, 19]);
        assert_eq!(few.from(&20).count(), 0);
    }

    #[test]
    fn one_takes_no_more_than_itself() {
        let mut few = Few::<u32, [u64; 16], 8>::default();
        few.join(1, |_| [0; 16]);
        assert_eq!(few.0.capacity(), 1);
    }
}
