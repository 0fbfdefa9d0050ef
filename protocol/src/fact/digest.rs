//! Digests of a set of facts, as a tree: two nodes that hold the same facts exchange one hash, and
//! two that differ descend only into the prefixes where they do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::FactId;

/// A subtree with at most this many ids is listed outright: 64 ids are 2 KiB, as much as the 256
/// short hashes of its children.
pub const LEAF: usize = 64;
/// The deepest prefix, in bytes. Ids are hashes: even a million facts leave four bytes nearly alone.
pub const MAX_DEPTH: usize = 6;

/// What a node holds below one prefix of ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Summary {
    /// All of the ids.
    Ids(Vec<FactId>),
    /// Eight bytes of hash for each of the next byte's values that occur.
    Children(Vec<(u8, [u8; 8])>),
}

/// The ids below `prefix`.
fn below<'a>(ids: &'a BTreeSet<FactId>, prefix: &'a [u8]) -> impl Iterator<Item = &'a FactId> {
    let mut first = [0; 32];
    first[..prefix.len()].copy_from_slice(prefix);
    ids.range(FactId(first)..).take_while(move |id| id.0.starts_with(prefix))
}

fn hash<'a>(ids: impl Iterator<Item = &'a FactId>) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for id in ids {
        hasher.update(&id.0);
    }
    let mut short = [0; 8];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    short
}

/// The hash of all ids: equal for equal sets.
#[must_use]
pub fn root(ids: &BTreeSet<FactId>) -> [u8; 8] {
    hash(ids.iter())
}

/// What a summary of `prefix` costs, as if so many facts were looked at: about those below it, of all that are held, ids
/// being hashes; and a message.
#[must_use]
pub fn cost(held: usize, prefix: &[u8]) -> usize {
    let bits = 8 * u32::try_from(prefix.len().min(MAX_DEPTH)).unwrap_or(u32::MAX);
    4 + held.checked_shr(bits).unwrap_or(0)
}

/// What is held below `prefix`, which is cut to [`MAX_DEPTH`].
#[must_use]
pub fn summary(ids: &BTreeSet<FactId>, prefix: &[u8]) -> Summary {
    let prefix = &prefix[..prefix.len().min(MAX_DEPTH)];
    let few: Vec<FactId> = below(ids, prefix).take(LEAF + 1).copied().collect();
    if few.len() <= LEAF || prefix.len() == MAX_DEPTH {
        return Summary::Ids(few);
    }
    let children = (0..=u8::MAX).filter_map(|byte| {
        let child = [prefix, &[byte]].concat();
        below(ids, &child).next()?;
        Some((byte, hash(below(ids, &child))))
    });
    Summary::Children(children.collect())
}

/// What to do about a peer's summary of `prefix`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Ids that the peer holds and we don't.
    pub wanted: Vec<FactId>,
    /// Ids that we hold and the peer doesn't.
    pub offered: Vec<FactId>,
    /// Prefixes whose summaries are needed to tell.
    pub descend: Vec<Vec<u8>>,
}

/// Compares what we hold with a peer's summary of `prefix`.
#[must_use]
pub fn compare(ids: &BTreeSet<FactId>, prefix: &[u8], theirs: &Summary) -> Difference {
    let prefix = &prefix[..prefix.len().min(MAX_DEPTH)];
    match theirs {
        Summary::Ids(theirs) => {
            let theirs: BTreeSet<FactId> =
                theirs.iter().filter(|id| id.0.starts_with(prefix)).copied().collect();
            let ours: BTreeSet<FactId> = below(ids, prefix).copied().collect();
            Difference {
                wanted: theirs.difference(&ours).copied().collect(),
                offered: ours.difference(&theirs).copied().collect(),
                descend: Vec::new(),
            }
        }
        Summary::Children(children) => {
            let mut difference = Difference::default();
            let mut named = BTreeSet::new();
            for (byte, theirs) in children {
                named.insert(*byte);
                let child = [prefix, &[*byte]].concat();
                if hash(below(ids, &child)) != *theirs {
                    difference.descend.push(child);
                }
            }
            let unnamed = below(ids, prefix).filter(|id| !named.contains(&id.0[prefix.len()]));
            difference.offered.extend(unnamed.copied());
            difference
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u32) -> FactId {
        FactId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    /// Runs the whole exchange as `ours` sees it, and counts the summaries that it took.
    fn exchange(ours: &BTreeSet<FactId>, theirs: &BTreeSet<FactId>) -> (Difference, usize) {
        let (mut all, mut asked) = (Difference::default(), 0);
        let mut open = vec![Vec::new()];
        while let Some(prefix) = open.pop() {
            asked += 1;
            let found = compare(ours, &prefix, &summary(theirs, &prefix));
            all.wanted.extend(found.wanted);
            all.offered.extend(found.offered);
            open.extend(found.descend);
        }
        (all, asked)
    }

    proptest! {
        #[test]
        fn an_exchange_finds_exactly_what_differs(
            both in 0_u32..2000, left in 0_u32..300, right in 0_u32..300,
        ) {
            let shared = (0..both).map(id);
            let a: BTreeSet<_> = shared.clone().chain((10_000..10_000 + left).map(id)).collect();
            let b: BTreeSet<_> = shared.chain((20_000..20_000 + right).map(id)).collect();
            let (found, _) = exchange(&a, &b);
            let wanted: BTreeSet<_> = found.wanted.into_iter().collect();
            let offered: BTreeSet<_> = found.offered.into_iter().collect();
            prop_assert_eq!(wanted, b.difference(&a).copied().collect());
            prop_assert_eq!(offered, a.difference(&b).copied().collect());
        }
    }

    #[test]
    fn one_new_fact_among_many_costs_few_summaries() {
        let a: BTreeSet<_> = (0..50_000).map(id).collect();
        let mut b = a.clone();
        assert_eq!(root(&a), root(&b));
        b.insert(id(99_999));
        assert_ne!(root(&a), root(&b));
        let (found, asked) = exchange(&a, &b);
        assert_eq!(found.wanted, [id(99_999)]);
        assert!(asked <= 4, "{asked} summaries");
    }
}
