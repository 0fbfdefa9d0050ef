//! One blob that is being fetched: what of it is here, on its way, or free to be asked for.

use std::collections::BTreeMap;

use super::doubt::Doubt;
use super::set::ChunkSet;
use crate::content::Bitmap;
use crate::ids::NodeId;
use crate::random::Random;
use crate::time::Time;

/// What a peer said to hold.
#[derive(Clone, Debug)]
struct Held {
    /// Without what it denied since.
    chunks: ChunkSet,
    /// Whether it said so of less than all of them: there may be more with time.
    grows: bool,
}

/// The bookkeeping of one blob.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    lens: Vec<u32>,
    have: ChunkSet,
    /// By how many peers hold a chunk: the chunks that are neither here nor on their way.
    free: Vec<ChunkSet>,
    holders: Vec<u16>,
    /// How often a chunk is on its way, or being checked.
    open: BTreeMap<u32, u8>,
    peers: BTreeMap<NodeId, Held>,
    doubts: BTreeMap<NodeId, Doubt>,
    /// What each peer has sent, whether or not it was of use.
    sent: BTreeMap<NodeId, ChunkSet>,
}

impl Blob {
    /// A blob of chunks of these lengths, of which `have` is here.
    pub(super) fn new(lens: Vec<u32>, have: &Bitmap) -> Self {
        let len = u32::try_from(lens.len()).unwrap_or(u32::MAX);
        let have = ChunkSet::of(have, len);
        let mut free = ChunkSet::new(len);
        for chunk in (0..len).filter(|chunk| !have.get(*chunk)) {
            free.set(chunk);
        }
        let holders = vec![0; lens.len()];
        Self {
            lens,
            have,
            free: vec![free],
            holders,
            open: BTreeMap::new(),
            peers: BTreeMap::new(),
            doubts: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    pub(super) fn chunks(&self) -> u32 {
        self.have.len()
    }

    /// A chunk's length in bytes; none past the last one.
    pub(super) fn len_of(&self, chunk: u32) -> Option<u32> {
        self.lens.get(chunk as usize).copied()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    pub(super) fn has(&self, chunk: u32) -> bool {
        self.have.get(chunk)
    }

    /// How many chunks could be asked for that are neither here nor on their way.
    pub(super) fn askable(&self) -> u32 {
        self.free.iter().skip(1).map(ChunkSet::count).sum()
    }

    /// Whether a chunk is missing that nobody holds.
    pub(super) fn lacks_holders(&self) -> bool {
        self.free.first().is_some_and(|nobody| nobody.count() > 0)
    }

    /// Whether somebody may soon hold more: it does not hold all of it yet, or denied some and will
    /// be asked anew.
    pub(super) fn may_grow(&self) -> bool {
        self.peers.values().any(|held| held.grows) || self.doubts.values().any(Doubt::waits)
    }

    /// Whether a peer holds a chunk.
    pub(super) fn holds(&self, node: &NodeId, chunk: u32) -> bool {
        self.peers.get(node).is_some_and(|held| held.chunks.get(chunk))
    }

    fn is_deaf_to(&self, node: &NodeId) -> bool {
        self.doubts.get(node).is_some_and(Doubt::is_deaf)
    }

    /// A peer says what it holds. That does not count if it denied too much of it.
    pub(super) fn told(&mut self, node: NodeId, bitmap: &Bitmap) {
        if self.is_deaf_to(&node) {
            return;
        }
        let new = ChunkSet::of(bitmap, self.chunks());
        let old = self.peers.remove(&node).map(|held| held.chunks);
        let old = old.unwrap_or_else(|| ChunkSet::new(self.chunks()));
        for chunk in new.iter().filter(|chunk| !old.get(*chunk)) {
            self.count(chunk, true);
        }
        for chunk in old.iter().filter(|chunk| !new.get(*chunk)) {
            self.count(chunk, false);
        }
        self.peers.insert(node, Held { grows: !new.is_full(), chunks: new });
    }

    /// A peer holds another chunk.
    pub(super) fn gained(&mut self, node: &NodeId, chunk: u32) {
        let Some(held) = self.peers.get_mut(node) else { return };
        if held.chunks.set(chunk) {
            held.grows &= !held.chunks.is_full();
            self.count(chunk, true);
        }
    }

    /// A peer does not hold a chunk after all. Says whether with that it denied so much that it is
    /// not asked for any, until it is asked anew what it holds.
    pub(super) fn denied(&mut self, now: Time, node: &NodeId, chunk: u32) -> bool {
        if self.peers.get_mut(node).is_some_and(|held| held.chunks.unset(chunk)) {
            self.count(chunk, false);
        }
        let doubt = self.doubts.entry(*node).or_default();
        let before = doubt.is_deaf();
        doubt.denied(now);
        let turned_away = doubt.is_deaf() && !before;
        if turned_away {
            self.forget_held(node);
        }
        turned_away
    }

    /// Whether it is time to ask a peer anew what it holds: it denied some of it.
    pub(super) fn take_doubtful(&mut self, now: Time) -> Vec<NodeId> {
        let due =
            self.doubts.iter_mut().filter_map(|(node, doubt)| doubt.take_due(now).then_some(*node));
        due.collect()
    }

    /// A peer holds nothing, as it says.
    pub(super) fn unknown(&mut self, node: &NodeId) {
        self.forget_held(node);
        if let Some(doubt) = self.doubts.get_mut(node) {
            doubt.settled();
        }
    }

    /// A peer is gone.
    pub(super) fn lost(&mut self, node: &NodeId) {
        self.forget_held(node);
        self.doubts.remove(node);
        self.sent.remove(node);
    }

    fn forget_held(&mut self, node: &NodeId) {
        let held = self.peers.remove(node).map(|held| held.chunks);
        for chunk in held.iter().flat_map(ChunkSet::iter) {
            self.count(chunk, false);
        }
    }

    /// A peer sent a chunk. Says whether it had sent that before.
    pub(super) fn sent(&mut self, node: &NodeId, chunk: u32) -> bool {
        let chunks = self.chunks();
        !self.sent.entry(*node).or_insert_with(|| ChunkSet::new(chunks)).set(chunk)
    }

    fn count(&mut self, chunk: u32, more: bool) {
        let Some(holders) = self.holders.get_mut(chunk as usize) else { return };
        let before = usize::from(*holders);
        *holders = if more { holders.saturating_add(1) } else { holders.saturating_sub(1) };
        let after = usize::from(*holders);
        if self.free.get_mut(before).is_some_and(|free| free.unset(chunk)) {
            self.put_free(chunk, after);
        }
    }

    fn put_free(&mut self, chunk: u32, holders: usize) {
        while self.free.len() <= holders {
            self.free.push(ChunkSet::new(self.have.len()));
        }
        self.free[holders].set(chunk);
    }

    fn holders(&self, chunk: u32) -> usize {
        self.holders.get(chunk as usize).copied().map_or(0, usize::from)
    }

    /// The rarest chunk that a peer holds and that is free to be asked for: among equally rare ones
    /// the first, or any with `random`.
    pub(super) fn pick(&self, node: &NodeId, mut random: Option<&mut Random>) -> Option<u32> {
        let held = self.peers.get(node)?;
        self.free.iter().skip(1).find_map(|free| free.common(&held.chunks, random.as_deref_mut()))
    }

    /// A peer sent a chunk that is missing here.
    pub(super) fn helped(&mut self, node: &NodeId) {
        if let Some(doubt) = self.doubts.get_mut(node) {
            doubt.delivered();
        }
    }

    /// A chunk is on its way, once more.
    pub(super) fn opened(&mut self, chunk: u32) {
        let holders = self.holders(chunk);
        if let Some(free) = self.free.get_mut(holders) {
            free.unset(chunk);
        }
        let open = self.open.entry(chunk).or_default();
        *open = open.saturating_add(1);
    }

    /// A chunk is not on its way any more, whether or not it came.
    pub(super) fn closed(&mut self, chunk: u32) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        *open -= 1;
        if *open == 0 {
            self.open.remove(&chunk);
            if chunk < self.chunks() && !self.have.get(chunk) {
                self.put_free(chunk, self.holders(chunk));
            }
        }
    }

    /// How often a chunk is on its way.
    pub(super) fn open(&self, chunk: u32) -> u8 {
        self.open.get(&chunk).copied().unwrap_or(0)
    }

    /// A chunk was checked and written.
    pub(super) fn written(&mut self, chunk: u32) {
        self.have.set(chunk);
        let holders = self.holders(chunk);
        if let Some(free) = self.free.get_mut(holders) {
            free.unset(chunk);
        }
    }
}
