//! Catching up: which facts are asked for now, of all that peers hold and this node lacks.
//!
//! A node that was away for long may lack a million. Were all asked for at once, each would be held by a message, by
//! the queue of the disk and by what waits for the disk, and from every peer that has it. So each is asked of one
//! peer at a time, few are on their way at once, and where to look further is asked as room gets free, of one peer
//! after the other: once all is here that the first has, little is left to compare with the next. A peer that stands
//! still holds up little: others are asked beside it, and what waits for it is forgotten. What doesn't come is found
//! again when digests are compared the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fact::digest::Difference;
use crate::ids::{FactId, NodeId};
use crate::time::Time;
use crate::wire::control::Sync;

/// How many facts are on their way at once. Those of results are some kilobytes at most.
pub const FLIGHT: usize = 512;
/// How many that are known to be lacking wait to be asked for.
const WAITING: usize = 16 * FLIGHT;
/// How many summaries are asked for at once, and how many prefixes wait.
const LOOKING: usize = 8;
const PREFIXES: usize = 4096;
/// How long a peer may take to tell a summary before another is asked beside it. In a LAN it takes a millisecond.
const SLOW: Duration = Duration::from_millis(500);
/// How long something may take to come before the peer that was asked for it is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many facts that a peer lacks are sent to it unasked. Of more it is told by a summary, at its own pace.
pub const UNASKED: usize = 64;
/// How often one peer is told so.
const INVITE: Duration = Duration::from_secs(2);

/// What a node lacks and is at.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    /// Facts to be asked for, each of one peer that has it.
    wanted: BTreeMap<FactId, NodeId>,
    asked: BTreeMap<FactId, (NodeId, Time)>,
    /// Peers that hold something else than this node.
    looks: BTreeMap<NodeId, Look>,
    invited: BTreeMap<NodeId, Time>,
}

/// Prefixes below which a peer holds something else: those that wait, and those that it was asked about.
#[derive(Clone, Debug, Default)]
struct Look {
    waiting: BTreeSet<Vec<u8>>,
    asked: BTreeMap<Vec<u8>, Time>,
}

impl Look {
    /// How many summaries may come at any moment; none where the peer is slow.
    fn awaited(&self, now: Time) -> Option<usize> {
        let slow = self.asked.values().any(|since| now.since(*since) >= SLOW);
        (!slow).then_some(self.asked.len())
    }
}

impl CatchUp {
    /// A summary of a peer's was compared.
    pub fn found(&mut self, from: NodeId, prefix: &[u8], difference: &Difference) {
        for id in &difference.wanted {
            if self.wanted.len() < WAITING && !self.asked.contains_key(id) {
                self.wanted.entry(*id).or_insert(from);
            }
        }
        let mut room = PREFIXES.saturating_sub(self.waiting());
        let look = self.looks.entry(from).or_default();
        look.asked.remove(prefix);
        for prefix in &difference.descend {
            if room > 0 && !look.asked.contains_key(prefix) && look.waiting.insert(prefix.clone()) {
                room -= 1;
            }
        }
        if look.waiting.is_empty() && look.asked.is_empty() {
            self.looks.remove(&from);
        }
    }

    /// A fact is here, or nothing that this node can use.
    pub fn came(&mut self, id: &FactId) {
        self.wanted.remove(id);
        self.asked.remove(id);
    }

    /// A peer is gone.
    pub fn lost(&mut self, node: &NodeId) {
        self.give_up(node);
        self.invited.remove(node);
    }

    /// Nothing more is expected of a peer.
    fn give_up(&mut self, node: &NodeId) {
        self.wanted.retain(|_, from| from != node);
        self.asked.retain(|_, (from, _)| from != node);
        self.looks.remove(node);
    }

    /// Whether a peer that lacks much is to be told now.
    pub fn invites(&mut self, now: Time, node: NodeId) -> bool {
        let due = self.invited.get(&node).is_none_or(|told| now.since(*told) >= INVITE);
        if due {
            self.invited.insert(node, now);
        }
        due
    }

    /// How much waits and is on its way.
    #[must_use]
    pub fn open(&self) -> usize {
        let looking: usize = self.looks.values().map(|look| look.asked.len()).sum();
        self.wanted.len() + self.asked.len() + self.waiting() + looking
    }

    fn waiting(&self) -> usize {
        self.looks.values().map(|look| look.waiting.len()).sum()
    }

    /// Peers that have not answered for too long.
    fn silent(&self, now: Time) -> BTreeSet<NodeId> {
        let late = |since: &Time| now.since(*since) >= PATIENCE;
        let facts = self.asked.values().filter(|(_, since)| late(since)).map(|(from, _)| *from);
        let looks = self.looks.iter().filter(|(_, look)| look.asked.values().any(late));
        facts.chain(looks.map(|(from, _)| *from)).collect()
    }

    /// What is to be asked of whom now.
    pub fn next(&mut self, now: Time) -> Vec<(NodeId, Sync)> {
        if self.open() == 0 {
            return Vec::new();
        }
        for node in self.silent(now) {
            self.give_up(&node);
        }
        let mut wants: BTreeMap<NodeId, Vec<FactId>> = BTreeMap::new();
        // Half of it at a time: a message for each fact that came would cost more than it gains.
        if self.asked.len() <= FLIGHT / 2 {
            while self.asked.len() < FLIGHT
                && let Some((id, from)) = self.wanted.pop_first()
            {
                self.asked.insert(id, (from, now));
                wants.entry(from).or_default().push(id);
            }
        }
        let mut asks: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
        let awaited = self.looks.values().filter_map(|look| look.awaited(now)).sum();
        let mut room = LOOKING.saturating_sub(awaited);
        while room > 0
            && self.wanted.len() < FLIGHT
            && let Some((from, look)) = self
                .looks
                .iter_mut()
                .filter(|(_, look)| !look.waiting.is_empty() && look.awaited(now).is_some())
                .max_by_key(|(_, look)| look.asked.len())
            // The last is the deepest of its branch, so that few branches are open at once.
            && let Some(prefix) = look.waiting.pop_last()
        {
            look.asked.insert(prefix.clone(), now);
            asks.entry(*from).or_default().push(prefix);
            room -= 1;
        }
        let wants = wants.into_iter().map(|(to, ids)| (to, Sync::Want(ids)));
        wants.chain(asks.into_iter().map(|(to, prefixes)| (to, Sync::Ask(prefixes)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::digest;

    fn id(n: u32) -> FactId {
        FactId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    /// Has a node that holds nothing catch up with peers that answer at once; gives the most that was on its way.
    fn catch_up(theirs: &BTreeSet<FactId>, peers: &[NodeId]) -> (usize, usize) {
        let (mut ours, mut machine) = (BTreeSet::new(), CatchUp::default());
        let (mut most, mut sent) = (0, 0);
        let mut now = Time(0);
        while ours.len() < theirs.len() {
            now = now + Duration::from_secs(2);
            assert!(now < Time(600_000), "{} of {}", ours.len(), theirs.len());
            let mut come = Vec::new();
            let mut summaries: Vec<(NodeId, Vec<u8>)> =
                peers.iter().map(|peer| (*peer, Vec::new())).collect();
            loop {
                for (from, prefix) in summaries.drain(..) {
                    let summary = digest::summary(theirs, &prefix);
                    machine.found(from, &prefix, &digest::compare(&ours, &prefix, &summary));
                }
                for (from, sync) in machine.next(now) {
                    match sync {
                        Sync::Want(ids) => come.extend(ids),
                        Sync::Ask(prefixes) => {
                            summaries.extend(prefixes.into_iter().map(|prefix| (from, prefix)));
                        }
                        Sync::Root(_) | Sync::Summary(..) => unreachable!("it asks only"),
                    }
                }
                most = most.max(come.len());
                if summaries.is_empty() {
                    if come.is_empty() {
                        break;
                    }
                    for id in come.drain(..) {
                        sent += 1;
                        machine.came(&id);
                        ours.insert(id);
                    }
                }
            }
        }
        assert_eq!(machine.asked.len() + machine.wanted.len(), 0);
        (most, sent)
    }

    #[test]
    fn few_are_on_their_way_at_once_and_each_comes_once_whatever_is_lacking() {
        let theirs: BTreeSet<FactId> = (0..30_000).map(id).collect();
        let peers = [NodeId([1; 32]), NodeId([2; 32])];
        let (most, sent) = catch_up(&theirs, &peers);
        assert!(most <= FLIGHT, "{most}");
        assert_eq!(sent, theirs.len(), "not one from both");
    }

    #[test]
    fn what_does_not_come_is_asked_of_another_later() {
        let (one, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut machine = CatchUp::default();
        let lacking = Difference { wanted: vec![id(1)], ..Difference::default() };
        machine.found(one, &[], &lacking);
        assert_eq!(machine.next(Time(0)), [(one, Sync::Want(vec![id(1)]))]);
        machine.found(other, &[], &lacking);
        assert_eq!(machine.next(Time(1000)), [], "it is on its way");
        assert_eq!(machine.next(Time(5000)), []);
        machine.found(other, &[], &lacking);
        assert_eq!(machine.next(Time(6000)), [(other, Sync::Want(vec![id(1)]))]);
        machine.lost(&other);
        machine.found(one, &[], &lacking);
        assert_eq!(machine.next(Time(6000)), [(one, Sync::Want(vec![id(1)]))]);
    }

    #[test]
    fn a_peer_that_stands_still_holds_up_little() {
        let (still, other) = (NodeId([2; 32]), NodeId([1; 32]));
        let mut machine = CatchUp::default();
        let wanted = (0..1000).map(id).collect();
        let descend: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        let difference = Difference { descend, ..Difference::default() };
        machine.found(still, &[], &Difference { wanted, ..difference.clone() });
        machine.found(other, &[], &difference);
        let theirs: BTreeSet<FactId> = (2000..2010).map(id).collect();
        let (mut now, mut asked) = (Time(0), Vec::new());
        while machine.open() > 0 {
            assert!(now < Time(6000), "{}", machine.open());
            for (to, sync) in machine.next(now) {
                let Sync::Ask(prefixes) = sync else { continue };
                asked.extend(prefixes.iter().map(|_| (now, to)));
                for prefix in prefixes.into_iter().filter(|_| to == other) {
                    let summary = digest::summary(&theirs, &prefix);
                    machine.found(other, &prefix, &digest::compare(&theirs, &prefix, &summary));
                }
            }
            now = now + Duration::from_millis(10);
        }
        let others = asked.iter().filter(|(_, to)| *to == other);
        assert_eq!(others.clone().count(), 256, "all that the other could tell");
        let last = others.map(|(when, _)| *when).max();
        assert!(last.is_some_and(|last| last < Time(1000)), "and not after the one: {last:?}");
        assert_eq!(asked.len() - 256, LOOKING, "the one is not asked again by itself");
    }

    #[test]
    fn a_peer_that_names_more_than_there_is_does_not_fill_memory() {
        let mut machine = CatchUp::default();
        for n in 0..1000 {
            let wanted = (0..1000).map(|m| id(n * 1000 + m)).collect();
            let descend =
                (0..100).map(|m| n.to_le_bytes().into_iter().chain([m]).collect()).collect();
            machine.found(
                NodeId([1; 32]),
                &[],
                &Difference { wanted, descend, ..Difference::default() },
            );
            _ = machine.next(Time(0));
        }
        assert!(machine.open() <= WAITING + FLIGHT + PREFIXES + LOOKING, "{}", machine.open());
    }
}
