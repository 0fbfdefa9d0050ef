//! Planning a transfer: which chunk of a blob to ask of which peer. Bookkeeping here, policy in
//! [`Fetch::next`]; bytes, streams and checks belong to the shell.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::Bitmap;
use crate::ids::NodeId;
use crate::random::Random;

/// How many wants one peer has open for one blob: enough chunks of some hundreds of KiB to keep
/// a gigabit busy over a LAN's round trip, and little to ask anew when the peer goes.
pub const PIPELINE: usize = 16;
/// How many peers may be asked for one chunk at the end, when nothing else is left to ask.
pub const ENDGAME: usize = 2;

#[derive(Clone, Debug)]
struct Provider {
    has: Bitmap,
    asked: BTreeSet<u32>,
}

/// The fetch of one blob.
#[derive(Clone, Debug)]
pub struct Fetch {
    have: Bitmap,
    providers: BTreeMap<NodeId, Provider>,
}

impl Fetch {
    /// A fetch that begins with the chunks of `have`.
    #[must_use]
    pub const fn new(have: Bitmap) -> Self {
        Self { have, providers: BTreeMap::new() }
    }

    /// Whether every chunk is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// Whether some missing chunk can be had from nobody.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.have.missing().any(|chunk| !self.providers.values().any(|p| p.has.get(chunk)))
    }

    /// Whether a peer that it draws on does not have everything yet, and may have more soon.
    #[must_use]
    pub fn may_grow(&self) -> bool {
        self.providers.values().any(|provider| !provider.has.is_full())
    }

    /// A peer holds some chunks, or more than before.
    pub fn provider(&mut self, node: NodeId, has: Bitmap) {
        let asked = self.providers.remove(&node).map(|known| known.asked).unwrap_or_default();
        self.providers.insert(node, Provider { has, asked });
    }

    /// A peer is gone, or was dropped: what was asked of it is asked of others.
    pub fn lost(&mut self, node: &NodeId) {
        self.providers.remove(node);
    }

    /// The peers that it draws on.
    pub fn providers(&self) -> impl Iterator<Item = NodeId> {
        self.providers.keys().copied()
    }

    /// A peer said that it does not have a chunk after all.
    pub fn missing(&mut self, node: &NodeId, chunk: u32) {
        if let Some(provider) = self.providers.get_mut(node) {
            provider.asked.remove(&chunk);
            provider.has.unset(chunk);
        }
    }

    /// A chunk was verified and written. Says whether it is new.
    pub fn arrived(&mut self, chunk: u32) -> bool {
        for provider in self.providers.values_mut() {
            provider.asked.remove(&chunk);
        }
        self.have.set(chunk)
    }

    /// What to ask now, of whom: rare chunks first, ties broken at random so that peers who start
    /// together fetch different ones and can serve each other; at the end one chunk of two peers.
    pub fn next(&mut self, random: &mut Random) -> Vec<(NodeId, u32)> {
        let mut open: BTreeMap<u32, usize> = BTreeMap::new();
        for chunk in self.providers.values().flat_map(|p| &p.asked) {
            *open.entry(*chunk).or_default() += 1;
        }
        let room: usize =
            self.providers.values().map(|p| PIPELINE.saturating_sub(p.asked.len())).sum();
        if room == 0 {
            return Vec::new();
        }
        let mut ranked: Vec<(usize, usize, u64, u32)> = self
            .have
            .missing()
            .map(|chunk| {
                let holders = self.providers.values().filter(|p| p.has.get(chunk)).count();
                let asked = open.get(&chunk).copied().unwrap_or(0);
                (asked, holders, random.next(), chunk)
            })
            .filter(|(asked, holders, ..)| *holders > 0 && *asked < ENDGAME)
            .collect();
        ranked.sort_unstable();
        let all_asked = ranked.first().is_none_or(|(asked, ..)| *asked > 0);
        let mut asks = Vec::new();
        for (asked, _, _, chunk) in ranked {
            if asked > 0 && !all_asked {
                break;
            }
            let least = self
                .providers
                .iter_mut()
                .filter(|(_, p)| p.asked.len() < PIPELINE && p.has.get(chunk))
                .filter(|(_, p)| !p.asked.contains(&chunk))
                .min_by_key(|(node, p)| (p.asked.len(), **node));
            if let Some((node, provider)) = least {
                provider.asked.insert(chunk);
                asks.push((*node, chunk));
            }
            if asks.len() >= room {
                break;
            }
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn holding(len: u32, chunks: impl IntoIterator<Item = u32>) -> Bitmap {
        let mut bitmap = Bitmap::new(len);
        for chunk in chunks {
            bitmap.set(chunk);
        }
        bitmap
    }

    #[test]
    fn rare_chunks_go_first_and_the_end_is_asked_twice() {
        let mut fetch = Fetch::new(Bitmap::new(40));
        fetch.provider(node(1), Bitmap::full(40));
        fetch.provider(node(2), holding(40, 0..39));
        let asks = fetch.next(&mut Random::seeded(1));
        assert_eq!(asks.len(), PIPELINE * 2);
        assert_eq!(asks[0], (node(1), 39), "only one peer has the last chunk");
        assert_eq!(fetch.next(&mut Random::seeded(1)), [], "every pipeline is full");
        for chunk in 0..39 {
            fetch.arrived(chunk);
        }
        assert_eq!(fetch.next(&mut Random::seeded(1)), [], "nobody else has chunk 39");
        fetch.provider(node(2), Bitmap::full(40));
        assert_eq!(fetch.next(&mut Random::seeded(1)), [(node(2), 39)], "the endgame");
        assert!(fetch.arrived(39) && !fetch.arrived(39) && fetch.is_complete());
    }

    #[test]
    fn what_was_asked_of_a_lost_peer_is_asked_of_others() {
        let mut fetch = Fetch::new(Bitmap::new(3));
        fetch.provider(node(1), Bitmap::full(3));
        assert_eq!(fetch.next(&mut Random::seeded(2)).len(), 3);
        fetch.provider(node(2), Bitmap::full(3));
        fetch.lost(&node(1));
        assert_eq!(fetch.next(&mut Random::seeded(2)).len(), 3);
        fetch.missing(&node(2), 1);
        assert!(fetch.is_stuck());
    }

    proptest! {
        /// Whoever holds what, and whoever leaves: every chunk that somebody holds arrives.
        #[test]
        fn everything_that_can_be_had_is_had(
            holdings in prop::collection::vec(prop::collection::vec(0_u32..70, 0..70), 1..6),
            seed in any::<u64>(),
        ) {
            let mut random = Random::seeded(seed);
            let mut fetch = Fetch::new(Bitmap::new(70));
            let leaves = holdings.len() > 1 && random.below(2) == 1;
            for (n, chunks) in (1..).zip(&holdings) {
                fetch.provider(node(n), holding(70, chunks.iter().copied()));
            }
            let mut got = BTreeSet::new();
            loop {
                let asks = fetch.next(&mut random);
                if asks.is_empty() { break; }
                for (_, chunk) in asks {
                    fetch.arrived(chunk);
                    got.insert(chunk);
                }
                if leaves { fetch.lost(&node(1)); }
            }
            let kept = holdings.iter().skip(usize::from(leaves)).flatten();
            for chunk in kept {
                prop_assert!(got.contains(chunk), "{}", chunk);
            }
        }
    }
}
