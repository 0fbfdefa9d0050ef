//! What is remembered of one task's results, of which there may be many: of those of the latest rounds.

use crate::ids::NodeId;

/// The most results of one task of which something is remembered: as many as are tried in a bad hour.
pub(super) const MAX_RESULTS: usize = 16;

/// Something about results, by the round in which a node made each, and that node, ascending: a handful, and mostly
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Latest<T>(Vec<((u32, NodeId), T)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Latest<T> {
    /// What is known about the result that a node made in a round.
    pub(super) fn of(&self, generation: u32, author: NodeId) -> Option<&T> {
        let at = self.0.binary_search_by_key(&(generation, author), |(key, _)| *key).ok()?;
        self.0.get(at).map(|(_, known)| known)
    }

    /// Joins something about a result, by a change that comes to the same in whichever order changes come. Of too many
    /// results those of the latest rounds stay, so that the order makes no difference to that either.
    pub(super) fn join(&mut self, generation: u32, author: NodeId, change: impl FnOnce(&mut T)) {
        let key = (generation, author);
        let at = match self.0.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, T::default()));
                at
            }
        };
        change(&mut self.0[at].1);
        if self.0.len() > MAX_RESULTS {
            self.0.remove(0);
        }
    }
}

/// The smaller of what was known and what is new: whichever came first, it is the same.
pub(super) fn smaller<T: Ord + Copy>(known: &mut Option<T>, new: T) {
    *known = Some(known.map_or(new, |known| known.min(new)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_results_the_latest_are_remembered_whatever_the_order() {
        let node = |n: u8| NodeId([n; 32]);
        let all: Vec<(u32, u8, u8)> =
            (0..20).flat_map(|g| [(g, 1, 7), (g, 2, 7), (g, 1, 3)]).collect();
        let latest = |facts: &mut dyn Iterator<Item = &(u32, u8, u8)>| {
            let mut latest = Latest::<Option<u8>>::default();
            for (generation, author, number) in facts {
                latest.join(*generation, node(*author), |known| smaller(known, *number));
            }
            latest
        };
        let (forth, back) = (latest(&mut all.iter()), latest(&mut all.iter().rev()));
        assert_eq!(forth, back);
        assert_eq!(forth.0.len(), MAX_RESULTS);
        assert_eq!(forth.of(19, node(1)), Some(&Some(3)), "the smaller");
        assert_eq!(forth.of(0, node(1)), None);
        assert_eq!(forth.of(19, node(3)), None);
    }
}
