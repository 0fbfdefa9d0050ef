//! Blobs of which nothing is known yet: who is asked for their manifests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use weft_protocol::content::Manifest;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::wire::transfer::MAX_OPEN;

/// How many blobs are asked for at once: few while they are large, many while they are small.
const WINDOW: usize = 16;
const SMALLEST: usize = 4;
const LARGEST: usize = 2048;
/// By how much one small blob widens the window.
const STEP: usize = 8;
/// How long a peer may take to answer before another is asked.
const PATIENCE: Duration = Duration::from_secs(4);
/// What a silent peer counts among those that don't have what was asked.
const SILENT: u32 = 4;

#[derive(Debug, Default)]
struct Waiting {
    asked: Option<(NodeId, Instant)>,
    /// Who said that it doesn't have it.
    refused: BTreeSet<NodeId>,
    /// Who has said nothing for long: its answer is taken when it comes, and others are asked meanwhile.
    silent: BTreeSet<NodeId>,
    /// Whether its manifest is here, and the disk makes room for it.
    beginning: bool,
}

impl Waiting {
    /// Whether nobody is being asked for it, or has given it.
    const fn is_unasked(&self) -> bool {
        self.asked.is_none() && !self.beginning
    }

    /// Whether asking a peer for it is over, or in vain so far.
    fn was_asked(&self, node: &NodeId) -> bool {
        self.refused.contains(node) || self.silent.contains(node)
    }
}

/// The blobs whose manifests are not here.
#[derive(Debug)]
pub(super) struct Opening {
    queue: VecDeque<BlobId>,
    waiting: BTreeMap<BlobId, Waiting>,
    window: usize,
    /// How often in a row a peer did not have what was asked.
    misses: BTreeMap<NodeId, u32>,
}

impl Opening {
    pub(super) fn new(blobs: Vec<BlobId>) -> Self {
        let (waiting, misses) = (BTreeMap::new(), BTreeMap::new());
        Self { queue: blobs.into(), waiting, window: WINDOW, misses }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn first(&self) -> Option<BlobId> {
        self.waiting.keys().chain(&self.queue).next().copied()
    }

    /// What to ask of whom, where there is room for so many larger blobs.
    pub(super) fn asks(
        &mut self,
        room: usize,
        nodes: impl Iterator<Item = NodeId> + Clone,
    ) -> Vec<(NodeId, Vec<BlobId>)> {
        let beginning = self.waiting.values().filter(|waiting| waiting.beginning).count();
        if beginning >= room {
            return Vec::new();
        }
        while self.waiting.len() < self.window {
            let Some(blob) = self.queue.pop_front() else { break };
            self.waiting.insert(blob, Waiting::default());
        }
        let mut open: BTreeMap<NodeId, usize> = nodes.map(|node| (node, 0)).collect();
        for (node, _) in self.waiting.values().filter_map(|waiting| waiting.asked) {
            open.entry(node).and_modify(|open| *open += 1);
        }
        let mut asks: BTreeMap<NodeId, Vec<BlobId>> = BTreeMap::new();
        for (blob, waiting) in &mut self.waiting {
            if waiting.asked.is_some() || waiting.beginning {
                continue;
            }
            // Whoever had what was asked before will have more of the same.
            let misses = |node: &NodeId| self.misses.get(node).copied().unwrap_or(0);
            let best = open
                .iter_mut()
                .filter(|(node, _)| !waiting.was_asked(node))
                .min_by_key(|(node, open)| (misses(node), **open, **node));
            if let Some((node, open)) = best {
                *open += 1;
                waiting.asked = Some((*node, Instant::now()));
                asks.entry(*node).or_default().push(*blob);
            }
        }
        asks.into_iter()
            .flat_map(|(node, blobs)| {
                blobs.chunks(MAX_OPEN).map(|some| (node, some.to_vec())).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Whether there is a blob that all of these were asked for in vain, or are silent about.
    pub(super) fn is_stuck(&self, nodes: impl Iterator<Item = NodeId> + Clone) -> bool {
        let stuck = |waiting: &Waiting| {
            waiting.is_unasked() && nodes.clone().all(|node| waiting.was_asked(&node))
        };
        self.waiting.values().any(stuck)
    }

    /// A blob that none of these has.
    pub(super) fn hopeless(
        &self,
        mut nodes: impl Iterator<Item = NodeId> + Clone,
    ) -> Option<BlobId> {
        let nobody = |(blob, waiting): (&BlobId, &Waiting)| {
            let all_refused = nodes.clone().all(|node| waiting.refused.contains(&node));
            (waiting.is_unasked() && all_refused).then_some(*blob)
        };
        let found = self.waiting.iter().find_map(nobody);
        found.or_else(|| nodes.next().is_none().then(|| self.queue.front().copied()).flatten())
    }

    /// Whether a blob was asked for and has not come.
    pub(super) fn is_open(&self, blob: &BlobId) -> bool {
        self.waiting.get(blob).is_some_and(|waiting| !waiting.beginning)
    }

    /// A peer does not have a blob.
    pub(super) fn refused(&mut self, node: &NodeId, blob: &BlobId) {
        if let Some(waiting) = self.waiting.get_mut(blob) {
            waiting.refused.insert(*node);
            if waiting.asked.take_if(|(asked, _)| asked == node).is_some() {
                *self.misses.entry(*node).or_default() += 1;
            }
        }
    }

    /// A peer has something of a blob after all.
    pub(super) fn may_have(&mut self, node: &NodeId, blob: &BlobId) {
        if let Some(waiting) = self.waiting.get_mut(blob) {
            waiting.refused.remove(node);
            waiting.silent.remove(node);
        }
    }

    /// A blob came whole.
    pub(super) fn came_whole(&mut self, node: &NodeId, blob: &BlobId) {
        self.misses.remove(node);
        self.waiting.remove(blob);
        self.window = (self.window + STEP).min(LARGEST);
    }

    /// The manifest of a blob came: says whether it is to be begun. If there is no room, it will
    /// be asked for again.
    pub(super) fn came(&mut self, node: &NodeId, blob: &BlobId, room: bool) -> bool {
        let Some(waiting) = self.waiting.get_mut(blob) else { return false };
        if waiting.beginning {
            return false;
        }
        self.misses.remove(node);
        self.window = (self.window / 2).max(SMALLEST);
        if room {
            (waiting.beginning, waiting.asked) = (true, None);
        } else {
            self.waiting.remove(blob);
            self.queue.push_front(*blob);
        }
        room
    }

    /// A blob was begun.
    pub(super) fn begun(&mut self, blob: &BlobId) {
        self.waiting.remove(blob);
    }

    /// The manifest that a peer sent for a blob was not the one.
    pub(super) fn not_begun(&mut self, node: &NodeId, blob: &BlobId) {
        if let Some(waiting) = self.waiting.get_mut(blob) {
            waiting.beginning = false;
            waiting.refused.insert(*node);
        }
    }

    /// A peer is gone.
    pub(super) fn lost(&mut self, node: &NodeId) {
        for waiting in self.waiting.values_mut() {
            waiting.asked.take_if(|(asked, _)| asked == node);
            waiting.refused.remove(node);
            waiting.silent.remove(node);
        }
    }

    /// What peers were asked long before `now` is asked of others.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        for waiting in self.waiting.values_mut() {
            let late = |(_, at): &mut (NodeId, Instant)| now.duration_since(*at) > PATIENCE;
            if let Some((node, _)) = waiting.asked.take_if(late) {
                waiting.silent.insert(node);
                *self.misses.entry(node).or_default() += SILENT;
            }
        }
    }

    /// What came could not be looked at until `now`: nobody was silent for that.
    pub(super) fn excuse(&mut self, now: Instant) {
        for (_, at) in self.waiting.values_mut().filter_map(|waiting| waiting.asked.as_mut()) {
            *at = now;
        }
    }
}

/// Whether a small blob is the one that its id names.
pub(super) fn is_whole(blob: BlobId, manifest: &[u8], bytes: &[u8]) -> bool {
    if Manifest::id_of(manifest) != blob {
        return false;
    }
    let Ok(manifest) = Manifest::decode(manifest) else {
        return false;
    };
    let mut rest = bytes;
    for chunk in &manifest.chunks {
        let Some((head, tail)) = rest.split_at_checked(chunk.len as usize) else {
            return false;
        };
        if blake3::hash(head).as_bytes() != &chunk.id.0 {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId([1; 32]);
    const TWO: NodeId = NodeId([2; 32]);

    fn blobs(count: u8) -> Vec<BlobId> {
        (0..count).map(|n| BlobId([n; 32])).collect()
    }

    #[test]
    fn whoever_had_the_last_is_asked_for_the_next() {
        let mut opening = Opening::new(blobs(40));
        let asks = opening.asks(9, [ONE, TWO].into_iter());
        assert_eq!(asks.iter().map(|(_, blobs)| blobs.len()).collect::<Vec<_>>(), [8, 8]);
        for (node, blobs) in asks {
            for blob in blobs {
                match node == ONE {
                    true => opening.refused(&node, &blob),
                    false => opening.came_whole(&node, &blob),
                }
            }
        }
        let asks = opening.asks(9, [ONE, TWO].into_iter());
        assert_eq!(asks.len(), 1);
        assert_eq!((asks[0].0, asks[0].1.len()), (TWO, 32));
    }

    #[test]
    fn a_blob_that_nobody_has_is_told() {
        let mut opening = Opening::new(blobs(1));
        let blob = blobs(1)[0];
        for node in [ONE, TWO] {
            assert_eq!(opening.hopeless([ONE, TWO].into_iter()), None);
            assert_eq!(opening.asks(9, [ONE, TWO].into_iter()), [(node, vec![blob])]);
            opening.refused(&node, &blob);
        }
        assert_eq!(opening.hopeless([ONE, TWO].into_iter()), Some(blob));
        opening.may_have(&ONE, &blob);
        assert_eq!(opening.hopeless([ONE, TWO].into_iter()), None);
        assert_eq!(opening.hopeless(std::iter::empty()), Some(blob));
    }

    #[test]
    fn who_is_silent_may_answer_yet_while_others_are_asked() {
        let mut opening = Opening::new(blobs(1));
        let blob = blobs(1)[0];
        let both = || [ONE, TWO].into_iter();
        assert_eq!(opening.asks(9, both()), [(ONE, vec![blob])]);
        let now = Instant::now();
        opening.give_up_waiting(now);
        assert_eq!(opening.asks(9, both()), [], "it has some time");
        opening.excuse(now + PATIENCE);
        opening.give_up_waiting(now + 2 * PATIENCE);
        assert_eq!(opening.asks(9, both()), [], "what could not be looked at doesn't count");
        let late = now + 3 * PATIENCE;
        opening.give_up_waiting(late);
        assert!(!opening.is_stuck(both()), "another can be asked");
        assert_eq!(opening.asks(9, both()), [(TWO, vec![blob])]);
        opening.refused(&TWO, &blob);
        assert!(opening.is_stuck(both()), "a third would help");
        assert_eq!((opening.hopeless(both()), opening.asks(9, both())), (None, vec![]));
        assert!(opening.came(&ONE, &blob, true), "it is taken when it comes");
        assert!(!opening.is_stuck(both()));

        // When it goes, nobody has it.
        let mut opening = Opening::new(blobs(1));
        assert_eq!(opening.asks(9, both()).len(), 1);
        opening.give_up_waiting(Instant::now() + 2 * PATIENCE);
        assert_eq!(opening.asks(9, both()), [(TWO, vec![blob])]);
        opening.refused(&TWO, &blob);
        opening.lost(&ONE);
        assert_eq!(opening.hopeless([TWO].into_iter()), Some(blob));
    }

    #[test]
    fn without_room_a_manifest_is_asked_for_later() {
        let mut opening = Opening::new(blobs(1));
        assert_eq!(opening.asks(1, [ONE].into_iter()).len(), 1);
        assert!(!opening.came(&ONE, &blobs(1)[0], false));
        assert_eq!(opening.asks(1, [ONE].into_iter()).len(), 1);
        assert!(opening.came(&ONE, &blobs(1)[0], true));
        assert_eq!(opening.asks(1, [ONE].into_iter()), []);
        opening.begun(&blobs(1)[0]);
        assert!(opening.is_empty());
    }
}
